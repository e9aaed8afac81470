"""What one value of a parameter must fulfil: the runbook's schema, and what the directory says of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from runbooks import mentions, plain
from runbooks.base import ANY, Parameter, ParameterKind
from runbooks.targets.accounts import Account, Directory
from runbooks.targets.lists import Lists

SHOWN = 5

FORMS: Mapping[ParameterKind, str] = {
    "mailbox": r"[^\s@:,]{1,64}@[A-Za-z0-9][A-Za-z0-9.-]{0,252}",
    "host": r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}",
    "ticket": r"#?[A-Za-z0-9][A-Za-z0-9_-]{0,63}",
    "date": r"20[0-9]{2}-[0-9]{2}-[0-9]{2}",
    "size_mb": r"[0-9]{1,9}",
}
"""What a whole value of a kind looks like, whatever the parameter's own pattern allows besides."""

LISTED = {
    "host": "host", "software": "software", "services": "service", "folders": "folder", "logs": "log",
    "certificates": "certificate",
}  # fmt: skip


class Unfit(Exception):
    """Why a parameter has no usable value, in words; `candidates` are what could have been meant."""

    def __init__(self, message: str, candidates: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.candidates = candidates

    @property
    def told(self) -> str:
        """The reason with whatever could have been meant, for whoever is to choose."""
        message = str(self)
        unsaid = any(short(name) not in message for name in self.candidates[:SHOWN])
        return f"{message} ({listed(self.candidates)}?)" if unsaid else message


@dataclass(frozen=True)
class Known:
    """What a target can say of values. directory: None where it is none. lists: None where its settings are not known.

    A target that cannot be asked says nothing against a value; parameters whose values only it knows have none then.
    """

    directory: Directory | None = None
    lists: Lists | None = None


def check_value(parameter: Parameter, value: str) -> None:
    """Raise Unfit unless the value has the length, form and range that the schema and its kind ask for."""
    if len(value) > parameter.max_length:
        raise Unfit(f"{short(value)} is longer than {parameter.max_length} characters")
    form = FORMS.get(parameter.kind)
    if not re.fullmatch(parameter.pattern, value) or (form and not re.fullmatch(form, value)):
        raise Unfit(f"{short(value)} does not have the form that {parameter.title} must have")
    if parameter.choices and value not in parameter.choices:
        raise Unfit(f"{short(value)} is not one of {listed(parameter.choices)}", parameter.choices)
    if parameter.kind == "ticket" and not re.fullmatch(reference_form(parameter), value):
        raise Unfit(f"{short(value)} is no reference to a ticket")
    if parameter.kind == "date":
        _check_date(value)
    if parameter.kind == "size_mb":
        low, high = parameter.minimum or 0, parameter.maximum or 0
        if not low <= int(value) <= high:
            raise Unfit(f"{int(value)} MiB is not within {low} to {high} MiB")


def check_plain(parameter: Parameter, value: str) -> None:
    """Raise Unfit for a value that could be read as more than a name: an option, a path, a pattern, a template.

    This holds for every kind and whatever a runbook's pattern allows, of values from tickets and of typed ones.
    """
    if why := plain.trouble_with(value, reference=parameter.kind == "ticket"):
        raise Unfit(f"{short(value)} {why}, which no value may")


def reference_form(parameter: Parameter) -> str:
    """Return what a whole reference to a ticket looks like: the parameter's own pattern, or the usual ones."""
    return mentions.REFERENCE if parameter.pattern == ANY else parameter.pattern


def _check_date(value: str) -> None:
    try:
        date.fromisoformat(value)
    except ValueError:
        raise Unfit(f"{short(value)} is no day of the calendar") from None


def check_target(parameter: Parameter, value: str, known: Known, requester: str | None) -> None:
    """Raise Unfit unless the target knows the value, knows it once, and opens it to this requester.

    requester: None where nobody's own account is asked for (a monitored machine wrote the ticket, or a person of the
    desk answers for whose it is).
    """
    if parameter.kind in ("account", "mailbox") and known.directory is not None:
        _check_account(parameter, value, known.directory, requester)
    if parameter.kind == "group" and known.directory is not None:
        _check_group(value, known.directory)
    names = names_of(parameter, known.lists)
    if names is not None and not parameter.choices and value not in names:
        near = known.lists.host_index.called(value) if known.lists and parameter.kind == "host" else ()
        spelt = f"; its own spelling is {listed(near)}" if near else ""
        raise Unfit(f"the target has no {LISTED[parameter.listed_by or parameter.kind]} {short(value)}{spelt}", near)


def names_of(parameter: Parameter, lists: Lists | None) -> Mapping[str, tuple[str, ...]] | None:
    """Return the allow-list of a parameter with the aliases of each name; None where it has none or nobody knows it."""
    if parameter.choices:
        return {name: parameter.aliases.get(name, ()) for name in parameter.choices}
    if lists is None:
        return None
    if parameter.kind == "host":
        return dict.fromkeys(lists.hosts, ())
    if parameter.kind == "software":
        return lists.software
    return None if parameter.listed_by is None else dict.fromkeys(getattr(lists, parameter.listed_by), ())


def _check_account(parameter: Parameter, value: str, directory: Directory, requester: str | None) -> None:
    account = directory.account(value) if parameter.kind == "account" else _with_mailbox(value, directory)
    if account is None:
        raise Unfit(f"the directory has no {parameter.kind} {short(value)}")
    if account.privileged:
        raise Unfit(f"{account.uid} is a privileged account, which no runbook ever touches: do this by hand")
    if parameter.own and requester is not None and account.uid != requesters_account(directory, requester).uid:
        named = account.uid if parameter.kind == "account" else account.mail
        raise Unfit(f"{named} is not the requester's own {parameter.kind}", (named,))


def _with_mailbox(value: str, directory: Directory) -> Account | None:
    same = value.casefold()
    found = [one for one in directory.find([value]).get(value, ()) if one.mail.casefold() == same]
    if len(found) > 1:
        uids = tuple(account.uid for account in found)
        raise Unfit(f"{short(value)} is the mailbox of {listed(uids)}, and must be that of one account")
    if found and found[0].mail != value:
        raise Unfit(f"the directory writes {short(value)} as {short(found[0].mail)}", (found[0].mail,))
    return found[0] if found else None


def _check_group(value: str, directory: Directory) -> None:
    group = next((group for group in directory.groups() if group.name == value), None)
    if group is None:
        raise Unfit(f"the directory has no group {short(value)}")
    if not group.askable:
        raise Unfit(f"{group.name} can't be asked for by ticket", (group.name,))


def requesters_account(directory: Directory, requester: str) -> Account:
    """Return the account that the requester's mail address or uid stands for; Unfit where it is not one."""
    handle = mentions.bare(mentions.clean(requester))
    same = handle.casefold()
    # A display name is no proof of who asks: anybody can call themselves so.
    accounts = [
        account
        for account in directory.find([handle]).get(handle, ())
        if same in (account.uid.casefold(), account.mail.casefold())
    ]
    if len(accounts) != 1:
        raise Unfit(f"the requester {short(requester) or '(nobody)'} has no account of their own in the directory")
    return accounts[0]


def short(text: str) -> str:
    """Return untrusted text as it may stand in a sentence: printable, at most 60 characters."""
    text = "".join(c if c.isprintable() else "?" for c in text[:100])
    return text if len(text) <= 60 else f"{text[:57]}..."


def listed(names: tuple[str, ...]) -> str:
    """Return names as a list for a sentence, the first five of many."""
    shown = ", ".join(short(name) for name in names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"
