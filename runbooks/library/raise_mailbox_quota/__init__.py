"""Raises a mailbox quota to a size that is asked for, within bounds."""

from runbooks.base import Limits, Parameter, Runbook

RUNBOOK = Runbook(
    key="raise_mailbox_quota",
    title="Raise a mailbox quota",
    owner="messaging team",
    article_keys=("KB0003",),
    parameters=(
        Parameter(
            name="account",
            kind="account",
            title="the mailbox's account",
            own=True,
            fields=("account", "user", "username", "mailbox", "u_account", "affected_user"),
            pattern=r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
            max_length=64,
        ),
        Parameter(
            name="quota_mb",
            kind="size_mb",
            title="the new quota",
            fields=("quota_mb", "quota_gb", "quota", "mailbox_size", "u_quota"),
            pattern=r"[1-9][0-9]{0,6}",
            max_length=7,
            minimum=1024,
            maximum=102_400,
        ),
    ),
    tier="low",
    reversible=True,
    time_limit=20,
    undo_time_limit=20,
    assurance="monitored",
    entry="runbooks.library.raise_mailbox_quota.steps",
    target_kind="directory",
    limits=Limits(runs_an_hour=30),
)
