"""Whose account or mailbox a ticket means: found in the directory, by handle, address or name."""

from collections.abc import Callable, Iterable

from runbooks import mentions
from runbooks.base import Parameter
from runbooks.rules import Unfit, listed, requesters_account, short
from runbooks.targets.accounts import Account, Directory

MOST_NAMES = 20_000
LONGEST_NAME = 5


def in_field(parameter: Parameter, text: str, directory: Directory | None) -> str:
    """Return the value of an account or mailbox that a whole field names; Unfit where it is not one."""
    name = mentions.bare(text)
    if directory is not None:
        return value_of(parameter, _named(name, directory, parameter))
    if parameter.kind == "mailbox":
        raise Unfit("the mailboxes are known to the directory only")
    return name


def in_text(parameter: Parameter, text: str, *, directory: Directory | None, requester: str | None) -> tuple[str, str]:
    """Return the value that a cleaned text names and `text`, or the requester's own and `requester`; Unfit.

    requester: who asks, where the parameter may be their own by default; else None. Both texts are empty where
    nobody is named.
    """
    handles = mentions.handles(text)
    if directory is None:
        if parameter.kind == "mailbox":
            raise Unfit("the mailboxes are known to the directory only")
        value = _only(handles.certain or handles.shaped)
        if not value and requester is not None:
            raise Unfit("the requester's account is known to the directory only")
        return value, "text"
    likely = {*handles.possible, *mentions.spoken_names(text, longest=LONGEST_NAME)}
    if len(handles.certain) + len(likely) > MOST_NAMES:
        raise Unfit("the text has too many words to look for accounts")
    meant = {(one := _named(name, directory, parameter)).uid: one for name in handles.certain}
    # Who is called by name in the text may be whom it is about: then the requester is not taken for granted.
    for accounts in directory.find(likely).values():
        meant.update({account.uid: account for account in accounts})
    if len(meant) > 1:
        _only(shown(parameter, (meant[uid] for uid in sorted(meant))))
    for account in meant.values():
        return value_of(parameter, account), "text"
    if requester is None:
        return "", "text"
    return value_of(parameter, requesters_account(directory, requester)), "requester"


def value_of(parameter: Parameter, account: Account) -> str:
    """Return what stands for an account: its uid, or the address of its mailbox on file."""
    if parameter.kind == "account":
        return account.uid
    if not account.mail:
        raise Unfit(f"{account.uid} has no mailbox")
    return account.mail


def shown(parameter: Parameter, accounts: Iterable[Account]) -> tuple[str, ...]:
    """Return how accounts are offered to a person: as values of the parameter, where they have one."""
    one: Callable[[Account], str] = (lambda a: a.uid) if parameter.kind == "account" else (lambda a: a.mail or a.uid)
    return tuple(one(account) for account in accounts)


def _only(named: tuple[str, ...]) -> str:
    if len(named) > 1:
        raise Unfit(f"the text names {listed(named)}, and one is wanted", named)
    return named[0] if named else ""


def _named(name: str, directory: Directory, parameter: Parameter) -> Account:
    accounts = directory.find([name]).get(name, ())
    if len(accounts) > 1:
        meant = shown(parameter, accounts)
        raise Unfit(f"{short(name)} can mean {listed(meant)}", meant)
    if not accounts:
        raise Unfit(f"the directory has nobody called {short(name)}")
    return accounts[0]
