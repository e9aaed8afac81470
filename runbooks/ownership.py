"""Groups that are joined with their owner's yes only: which of them a run is about, and whether an owner said it."""

from collections.abc import Collection, Mapping

from runbooks.base import Runbook
from runbooks.rules import listed
from runbooks.targets.accounts import Directory, Group


def owned(runbook: Runbook, values: Mapping[str, str], directory: Directory | None) -> tuple[Group, ...]:
    """The groups among a run's values that nobody may join without their owner's yes."""
    names = {str(values.get(each.name, "")) for each in runbook.parameters if each.kind == "group"} - {""}
    if not names or directory is None:
        return ()
    return tuple(group for group in directory.groups() if group.name in names and not group.self_service)


def unsaid(groups: Collection[Group], people: Collection[str], directory: Directory) -> str:
    """Whose yes is missing, as a sentence; empty where an owner of each group is among the people.

    people: mail addresses and uids of those who said yes. A display name is nobody's proof of who they are.
    """
    found = directory.find(sorted(people)) if people else {}
    uids = {
        account.uid
        for name, accounts in found.items()
        for account in accounts
        if name.casefold() in (account.uid.casefold(), account.mail.casefold())
    }
    return " ".join(needs(group) for group in groups if not uids & set(group.owners))


def needs(group: Group) -> str:
    """Whose yes the group asks for, as a sentence."""
    if not group.owners:
        return f"{group.name} can't be asked for by ticket."
    return f"{group.name} is joined with its owner's yes only: {listed(group.owners)}."
