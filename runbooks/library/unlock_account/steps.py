"""Unlock an account: only one that failed sign-ins have locked, never a privileged or a held one."""

from runbooks.context import Context, NotDone, Refused
from runbooks.targets.accounts import LOCKED_BY_FAILED_LOGINS, LOCKED_FOR_SECURITY, Directory


def pre_check(context: Context[Directory]) -> None:
    """Refuse whatever is not plainly a lock by failed sign-ins."""
    uid = context.text("account")
    account = context.target.account(uid)
    if account is None:
        raise Refused(f"the directory has no account {uid}")
    if account.privileged:
        raise Refused(f"{account.uid} is privileged: only a person may unlock it")
    if not account.enabled:
        raise Refused(f"{account.uid} is disabled: unlocking would not help and enabling is not ours")
    if not account.locked:
        raise Refused(f"{account.uid} is already unlocked")
    if account.lock_reason == LOCKED_FOR_SECURITY:
        raise Refused(f"{account.uid} is held for a security investigation")
    if account.lock_reason != LOCKED_BY_FAILED_LOGINS:
        raise Refused(f"{account.uid} is locked for another reason: {account.lock_reason or 'none given'}")


def action(context: Context[Directory]) -> None:
    """Unlock."""
    account = context.target.known(context.text("account"))
    context.remember("lock_reason", account.lock_reason)
    context.target.unlock(account.uid, run_id=context.run_id)


def post_check(context: Context[Directory]) -> None:
    """It must be unlocked still: a device with an old password locks it again at once."""
    account = context.target.known(context.text("account"))
    if account.locked:
        raise NotDone(f"{account.uid} is locked again ({account.lock_reason}): some device may use an old password")
    print(f"{account.uid} is unlocked")


def undo(context: Context[Directory]) -> None:
    """Lock it for the former reason, unless it is so already."""
    if "lock_reason" not in context.memory:
        return
    account = context.target.known(context.text("account"))
    reason = str(context.memory["lock_reason"])
    if not account.locked or account.lock_reason != reason:
        context.target.lock(account.uid, reason=reason, run_id=context.run_id)


def undo_check(context: Context[Directory]) -> None:
    """It must be locked for the former reason."""
    account = context.target.known(context.text("account"))
    if not account.locked:
        raise NotDone(f"{account.uid} is unlocked, although it could not be verified before")
    if "lock_reason" in context.memory and account.lock_reason != context.memory["lock_reason"]:
        raise NotDone(f"{account.uid} is locked for {account.lock_reason}, formerly {context.memory['lock_reason']}")
