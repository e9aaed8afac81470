"""Raise a mailbox quota: never lower it, never for a disabled or privileged account."""

from runbooks.context import Context, NotDone, Refused
from runbooks.targets.accounts import Directory


def pre_check(context: Context[Directory]) -> None:
    """Refuse what would lower the quota or leave it, and accounts that are not in plain use."""
    uid = context.text("account")
    account = context.target.account(uid)
    if account is None:
        raise Refused(f"the directory has no account {uid}")
    wanted = context.number("quota_mb")
    if account.privileged:
        raise Refused(f"{account.uid} is privileged: only a person may change it")
    if not account.enabled:
        raise Refused(f"{account.uid} is disabled: its mailbox is closed")
    if account.quota_mb == wanted:
        raise Refused(f"the quota of {account.uid} is already {wanted} MiB")
    if account.quota_mb > wanted:
        raise Refused(f"the quota of {account.uid} is {account.quota_mb} MiB, more than the {wanted} MiB asked for")


def action(context: Context[Directory]) -> None:
    """Set the new quota."""
    account = context.target.known(context.text("account"))
    context.remember("quota_mb", account.quota_mb)
    context.target.set_quota(account.uid, context.number("quota_mb"), run_id=context.run_id)


def post_check(context: Context[Directory]) -> None:
    """The whole size must be there: a policy may have accepted the change and cut it."""
    account = context.target.known(context.text("account"))
    wanted = context.number("quota_mb")
    if account.quota_mb != wanted:
        raise NotDone(f"the quota of {account.uid} is {account.quota_mb} MiB and not {wanted}: a policy may cap it")
    print(f"the quota of {account.uid} is {account.quota_mb} MiB")


def undo(context: Context[Directory]) -> None:
    """Set the former quota where it is another now."""
    if "quota_mb" not in context.memory:
        return
    former = int(context.memory["quota_mb"])
    if context.target.known(context.text("account")).quota_mb != former:
        context.target.restore_quota(context.text("account"), former, run_id=context.run_id)


def undo_check(context: Context[Directory]) -> None:
    """The former quota must be in force."""
    account = context.target.known(context.text("account"))
    if "quota_mb" in context.memory and account.quota_mb != context.memory["quota_mb"]:
        raise NotDone(f"the quota of {account.uid} is {account.quota_mb} MiB, formerly {context.memory['quota_mb']}")
