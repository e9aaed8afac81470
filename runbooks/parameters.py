"""Finds and checks a runbook's parameters: structured fields first, then the text, then the target's word.

Ticket text only ever becomes a value that the runbook's schema and the directory both know.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from runbooks import base, mentions
from runbooks.base import Parameter, Runbook
from runbooks.targets.accounts import Account, Directory, Group

EXTRACTOR = base.extractor()
"""The version of parameter extraction, for the gate."""

SHOWN = 5
MOST_HANDLES = 5000


class ParameterError(ValueError):
    """Values do not fit a runbook's schema; the message names the parameter and what would fit."""


@dataclass(frozen=True)
class Extraction:
    """What was found. problems: one sentence for each parameter that is missing, ambiguous or not allowed.

    sources: where a value came from: `field <name>`, `text`, `requester`. candidates: what the text offered
    where a parameter has a problem.
    """

    values: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    candidates: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """True when every needed value was found and nothing speaks against any."""
        return not self.problems


class _Problem(Exception):
    """Why one parameter has no value; `candidates` are what could have been meant."""

    def __init__(self, message: str, candidates: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.candidates = candidates


@dataclass(frozen=True)
class _Ticket:
    """What parameters are looked for in; text is cleaned. `unreadable` says why the text is not used."""

    text: str
    unreadable: str
    fields: Mapping[str, object]
    requester: str
    directory: Directory | None
    machine: bool


def extract(
    runbook: Runbook,
    *,
    subject: str,
    body: str,
    requester: str,
    fields: Mapping[str, object],
    directory: Directory | None = None,
    machine: bool = False,
) -> Extraction:
    """Find the runbook's parameters in a ticket.

    requester: mail address or uid of who asks, as the source vouches for it. fields: the ITSM's structured
    fields; names are compared caselessly, values are text, numbers or a list of one. directory: the target's;
    with it, accounts become their uid, groups must be open to requests and `own` is checked. Without it,
    an account is what its shape says and a group is always a problem. machine: a monitored machine wrote the
    ticket; it has no account of its own, so it must name one and `own` does not hold.
    """
    text = mentions.clean(f"{subject}\n{body}")
    unreadable = ""
    if max(len(subject) + len(body), len(text)) > mentions.TEXT_LIMIT:
        unreadable = f"the text is longer than {mentions.TEXT_LIMIT} characters"
    elif mentions.misleads(subject) or mentions.misleads(body):
        unreadable = "the text has characters that turn its reading direction round"
    ticket = _Ticket(text, unreadable, {k.casefold(): v for k, v in fields.items()}, requester, directory, machine)
    found = Extraction()
    problems: list[str] = []
    for parameter in runbook.parameters:
        try:
            value, source = _find(parameter, ticket, found.values)
        except _Problem as problem:
            problems.append(f"{parameter.name}: {problem}")
            found.candidates[parameter.name] = problem.candidates
        else:
            if value:
                found.values[parameter.name] = value
                found.sources[parameter.name] = source
    return Extraction(found.values, found.sources, tuple(problems), found.candidates)


def validate(
    runbook: Runbook, extraction: Extraction, *, directory: Directory | None, requester: str, machine: bool = False
) -> tuple[str, ...]:
    """Return what speaks against these values now: schema, and with a directory existence, openness, `own`.

    Also for values that a person typed, and once more before a run starts, since directories change.
    An account must be given by its uid.
    """
    problems = [*extraction.problems]
    unknown = sorted(set(extraction.values) - {parameter.name for parameter in runbook.parameters})
    problems += [f"{name}: {runbook.key} has no such parameter" for name in unknown]
    for parameter in runbook.parameters:
        value = extraction.values.get(parameter.name)
        if value is None:
            if parameter.required and not any(p.startswith(f"{parameter.name}: ") for p in problems):
                problems.append(f"{parameter.name}: {parameter.title} is missing")
            continue
        try:
            _check_value(parameter, value)
            if directory is not None:
                _check_target(parameter, value, directory, None if machine else requester)
        except _Problem as problem:
            problems.append(f"{parameter.name}: {problem}")
    return tuple(problems)


def typed(runbook: Runbook, values: Mapping[str, str]) -> dict[str, str | int]:
    """Return the values as steps get them (sizes as int, MiB); ParameterError where one does not fit."""
    problems = validate(runbook, Extraction(dict(values)), directory=None, requester="")
    if problems:
        raise ParameterError("; ".join(problems))
    sizes = {parameter.name for parameter in runbook.parameters if parameter.kind == "size_mb"}
    return {name: int(value) if name in sizes else value for name, value in values.items()}


def _find(parameter: Parameter, ticket: _Ticket, earlier: Mapping[str, str]) -> tuple[str, str]:
    for name in parameter.fields:
        given = ticket.fields.get(name.casefold())
        if given is None or given in ("", []):
            continue
        value = _from_field(parameter, name, given, ticket)
        return _checked(parameter, value, ticket), f"field {name}"
    if parameter.kind != "text":
        if ticket.unreadable:
            raise _Problem(f"{ticket.unreadable}, so it is not searched")
        value, source = _from_text(parameter, ticket, earlier)
        if value:
            return _checked(parameter, value, ticket), source
    if parameter.required:
        raise _Problem(f"{parameter.title} is neither in a field nor in the text")
    return "", ""


def _checked(parameter: Parameter, value: str, ticket: _Ticket) -> str:
    _check_value(parameter, value)
    if ticket.directory is not None:
        _check_target(parameter, value, ticket.directory, None if ticket.machine else ticket.requester)
    return value


def _from_field(parameter: Parameter, name: str, given: object, ticket: _Ticket) -> str:
    if isinstance(given, list) and len(given) == 1:
        given = given[0]
    if isinstance(given, bool) or not isinstance(given, (str, int)):
        raise _Problem(f"the field {name} holds {type(given).__name__}, and one text or number is wanted")
    if len(str(given)) > parameter.max_length + 300:
        raise _Problem(f"the field {name} is too long")
    text = mentions.clean(str(given))
    if parameter.kind == "account":
        return _account_named(mentions.bare(text), ticket.directory)
    if parameter.kind == "group":
        return _group_named(text, ticket.directory)
    if parameter.kind == "size_mb":
        unit = {"_mb": " MB", "_gb": " GB"}.get(name.casefold()[-3:], "")
        found = mentions.sizes(text + unit if text.isdigit() else text)
        if len(found) != 1 or found[0] is None:
            raise _Problem(f"the field {name} holds {_short(text)}, and one size such as 50 GB is wanted")
        return str(found[0])
    if parameter.kind == "choice":
        return next((c for c in parameter.choices if c.casefold() == text.casefold()), text)
    return text


def _from_text(parameter: Parameter, ticket: _Ticket, earlier: Mapping[str, str]) -> tuple[str, str]:
    if parameter.kind == "account":
        return _account_in_text(parameter, ticket)
    if parameter.kind == "size_mb":
        return _size_in_text(ticket, earlier), "text"
    if parameter.kind == "choice":
        named = _named_in_text(parameter.choices, ticket.text)
    elif ticket.directory is None:
        raise _Problem("the groups are not known here")
    else:
        # Closed groups count too: who asks for two groups must not silently get only the open one.
        named = _named_in_text(tuple(group.name for group in ticket.directory.groups()), ticket.text)
    return _only(named), "text"


def _only(named: tuple[str, ...]) -> str:
    if len(named) > 1:
        raise _Problem(f"the text names {_list(named)}, and one is wanted", named)
    return named[0] if named else ""


def _named_in_text(choices: tuple[str, ...], text: str) -> tuple[str, ...]:
    by_key: dict[str, list[str]] = {}
    for choice in choices:
        by_key.setdefault(" ".join(mentions.words(mentions.clean(choice))), []).append(choice)
    by_key.pop("", None)
    longest = max((key.count(" ") + 1 for key in by_key), default=0)
    keys = mentions.names_in(mentions.words(text), frozenset(by_key), longest=longest)
    return tuple(choice for key in keys for choice in by_key[key])


def _account_in_text(parameter: Parameter, ticket: _Ticket) -> tuple[str, str]:
    handles = mentions.handles(ticket.text)
    default = parameter.own and not ticket.machine
    if ticket.directory is None:
        names = tuple(dict.fromkeys(mentions.bare(name) for name in handles.certain))
        names = names or tuple(name for name in handles.possible if re.search(r"[._0-9]", name))
        value = _only(names)
        return (value, "text") if value or not default else (ticket.requester, "requester")
    words = mentions.words(ticket.text)
    if len(handles.certain) + len(handles.possible) + len(words) > MOST_HANDLES:
        raise _Problem("the text has too many words to look for accounts")
    meant = {_account_named(name, ticket.directory) for name in handles.certain}
    # Who is called by name in the text may be whom it is about, so that nobody else is taken for granted.
    likely = {*handles.possible, *mentions.phrases(words, longest=4)}
    for accounts in ticket.directory.find(likely).values():
        meant.update(account.uid for account in accounts)
    value = _only(tuple(sorted(meant)))
    if value or not default:
        return value, "text"
    return _requesters_account(ticket.directory, ticket.requester).uid, "requester"


def _account_named(name: str, directory: Directory | None) -> str:
    if directory is None:
        return name
    accounts = directory.find([name]).get(name, ())
    if len(accounts) > 1:
        uids = tuple(account.uid for account in accounts)
        raise _Problem(f"{_short(name)} can mean {_list(uids)}", uids)
    if not accounts:
        raise _Problem(f"the directory has nobody called {_short(name)}")
    return accounts[0].uid


def _requesters_account(directory: Directory, requester: str) -> Account:
    handle = mentions.bare(mentions.clean(requester))
    same = handle.casefold()
    # A display name is no proof of who asks: anybody can call themselves so.
    accounts = [
        account
        for account in directory.find([handle]).get(handle, ())
        if same in (account.uid.casefold(), account.mail.casefold())
    ]
    if len(accounts) != 1:
        raise _Problem(f"the requester {_short(requester) or '(none)'} has no account of their own in the directory")
    return accounts[0]


def _group_named(name: str, directory: Directory | None) -> str:
    if directory is None:
        raise _Problem("the groups are not known here")
    key = mentions.words(name)
    named = tuple(group.name for group in directory.groups() if mentions.words(mentions.clean(group.name)) == key)
    if len(named) > 1:
        raise _Problem(f"{_short(name)} can mean {_list(named)}", named)
    return named[0] if named else name


def _size_in_text(ticket: _Ticket, earlier: Mapping[str, str]) -> str:
    found = mentions.sizes(ticket.text)
    if None in found:
        raise _Problem("the text has a size that can't be read for certain")
    sizes = {size for size in found if size is not None}
    if len(sizes) > 1 and ticket.directory is not None:
        # "20 GB are full, please raise to 50 GB": what is so already is not what is asked for.
        for uid in earlier.values():
            account = ticket.directory.account(uid)
            if account is not None:
                sizes -= {account.quota_mb, account.quota_used_mb}
    if len(sizes) > 1:
        shown = tuple(f"{size} MiB" for size in sorted(sizes))
        raise _Problem(f"the text names the sizes {_list(shown)}, and one is wanted", shown)
    return str(sizes.pop()) if sizes else ""


def _check_value(parameter: Parameter, value: str) -> None:
    if len(value) > parameter.max_length:
        raise _Problem(f"{_short(value)} is longer than {parameter.max_length} characters")
    if not re.fullmatch(parameter.pattern, value):
        raise _Problem(f"{_short(value)} does not have the form that {parameter.title} must have")
    if parameter.kind == "choice" and value not in parameter.choices:
        raise _Problem(f"{_short(value)} is not one of {_list(parameter.choices)}", parameter.choices)
    if parameter.kind == "size_mb":
        if not re.fullmatch(r"[0-9]{1,9}", value):
            raise _Problem(f"{_short(value)} is no whole number of MiB")
        low, high = parameter.minimum or 0, parameter.maximum or 0
        if not low <= int(value) <= high:
            raise _Problem(f"{int(value)} MiB is not within {low} to {high} MiB")


def _check_target(parameter: Parameter, value: str, directory: Directory, requester: str | None) -> None:
    if parameter.kind == "account":
        account = directory.account(value)
        if account is None:
            raise _Problem(f"the directory has no account {_short(value)}")
        if parameter.own and requester is not None and account.uid != _requesters_account(directory, requester).uid:
            raise _Problem(f"{account.uid} is not the requester's own account", (account.uid,))
    if parameter.kind == "group":
        group: Group | None = next((group for group in directory.groups() if group.name == value), None)
        if group is None:
            raise _Problem(f"the directory has no group {_short(value)}")
        if group.privileged or not group.self_service:
            raise _Problem(f"{group.name} can't be asked for by ticket", (group.name,))


def _short(text: str) -> str:
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _list(names: tuple[str, ...]) -> str:
    shown = ", ".join(_short(name) for name in names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"
