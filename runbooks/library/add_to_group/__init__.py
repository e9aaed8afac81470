"""Makes an account a member of a group that may be asked for by ticket."""

from runbooks.base import Limits, Parameter, Runbook

RUNBOOK = Runbook(
    key="add_to_group",
    title="Add an account to a group that may be asked for by ticket",
    owner="identity team",
    article_keys=("KB0002",),
    parameters=(
        Parameter(
            name="account",
            kind="account",
            title="the account to add",
            own=True,
            fields=("account", "user", "username", "u_account", "affected_user"),
            pattern=r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
            max_length=64,
        ),
        Parameter(
            name="group",
            kind="group",
            title="the group",
            fields=("group", "group_name", "u_group"),
            pattern=r"[^\W_][\w .&()+-]{0,99}",
            max_length=100,
        ),
    ),
    tier="medium",
    reversible=True,
    time_limit=20,
    undo_time_limit=20,
    assurance="mail",
    entry="runbooks.library.add_to_group.steps",
    target_kind="directory",
    limits=Limits(runs_an_hour=30),
)
