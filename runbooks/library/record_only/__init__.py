"""Writes down in a journal that a runbook would have run, and touches nothing else."""

from runbooks.base import Limits, Parameter, Runbook

RUNBOOK = Runbook(
    key="record_only",
    title="Write down what would have been done, and do nothing",
    owner="service desk",
    parameters=(
        Parameter(
            name="article",
            kind="text",
            title="the article that was matched",
            required=False,
            fields=("article",),
        ),
    ),
    tier="low",
    reversible=True,
    time_limit=20,
    undo_time_limit=20,
    assurance="none",
    entry="runbooks.library.record_only.steps",
    target_kind="journal",
    limits=Limits(runs_an_hour=1_000_000, concurrent=64),
)
