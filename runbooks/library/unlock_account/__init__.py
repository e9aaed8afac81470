"""Unlocks an account that was locked by failed sign-ins."""

from runbooks.base import Parameter, Runbook

RUNBOOK = Runbook(
    key="unlock_account",
    title="Unlock an account that failed sign-ins have locked",
    owner="identity team",
    article_keys=("KB0001",),
    parameters=(
        Parameter(
            name="account",
            kind="account",
            title="the account to unlock",
            own=True,
            fields=("account", "user", "username", "u_account", "affected_user"),
            pattern=r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
            max_length=64,
        ),
    ),
    tier="low",
    reversible=True,
    time_limit=20,
    undo_time_limit=20,
    assurance="monitored",
    entry="runbooks.library.unlock_account.steps",
    target_kind="directory",
)
