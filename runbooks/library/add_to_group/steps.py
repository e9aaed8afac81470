"""Add an account to a group: one that is open to tickets or whose owner agreed, never a privileged one."""

from runbooks.context import Context, NotDone, Refused
from runbooks.targets.accounts import Directory


def pre_check(context: Context[Directory]) -> None:
    """Refuse closed groups, accounts that are not in plain use, and what is so already."""
    uid = context.text("account")
    account = context.target.account(uid)
    if account is None:
        raise Refused(f"the directory has no account {uid}")
    name = context.text("group")
    group = next((group for group in context.target.groups() if group.name == name), None)
    if group is None:
        raise Refused(f"the directory has no group {name}")
    if not group.askable:
        raise Refused(f"{name} can't be asked for by ticket")
    if account.privileged:
        raise Refused(f"{account.uid} is privileged: only a person may change its groups")
    if not account.enabled:
        raise Refused(f"{account.uid} is disabled")
    if account.locked:
        raise Refused(f"{account.uid} is locked: unlock it first")
    if name in account.groups:
        raise Refused(f"{account.uid} is already a member of {name}")


def action(context: Context[Directory]) -> None:
    """Add the member."""
    name = context.text("group")
    context.remember("groups", ", ".join(context.target.known(context.text("account")).groups))
    context.target.add_to_group(context.text("account"), name, run_id=context.run_id)


def post_check(context: Context[Directory]) -> None:
    """The membership must have stayed: a group kept by a rule throws others out at once."""
    account = context.target.known(context.text("account"))
    name = context.text("group")
    if name not in account.groups:
        raise NotDone(f"{account.uid} is no member of {name}: the group may be kept by a rule")
    print(f"{account.uid} is a member of {name}")


def undo(context: Context[Directory]) -> None:
    """End the membership where there is one; the pre-check has seen that there was none."""
    name = context.text("group")
    if name in context.target.known(context.text("account")).groups:
        context.target.remove_from_group(context.text("account"), name, run_id=context.run_id)


def undo_check(context: Context[Directory]) -> None:
    """There must be no membership, as before."""
    account = context.target.known(context.text("account"))
    if context.text("group") in account.groups:
        raise NotDone(f"{account.uid} is still a member of {context.text('group')}")
