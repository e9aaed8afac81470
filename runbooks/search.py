"""Looks for one parameter's value in one ticket: structured fields first, then the text.

What a ticket says only ever becomes a value that the schema and the directory both know. Whatever could
be read in two ways is left to a person.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from runbooks import mentions, names
from runbooks.base import Parameter
from runbooks.rules import Unfit, check_target, check_value, listed, requesters_account, short
from runbooks.targets.accounts import Directory

MOST_NAMES = 20_000
LONGEST_NAME = 5


@dataclass(frozen=True)
class Ticket:
    """What is searched. text: cleaned. unreadable: why the text is not to be used, or empty.

    fields: caseless names. machine: a monitored machine wrote it, so the requester is nobody.
    """

    text: str
    unreadable: str
    fields: Mapping[str, object]
    requester: str
    directory: Directory | None
    machine: bool


def find(parameter: Parameter, ticket: Ticket, earlier: Mapping[str, str]) -> tuple[str, str]:
    """Return the value and where it came from (`field <name>`, `text`, `requester`), or two empty texts.

    earlier: the values of the parameters before this one. Unfit where there is no one value that will do.
    """
    for name in parameter.fields:
        given = ticket.fields.get(name.casefold())
        if given is None or given in ("", []):
            continue
        # What a field says is never overruled by the text, even when it will not do.
        return _checked(parameter, _from_field(parameter, name, given, ticket), ticket), f"field {name}"
    if parameter.kind != "text":
        if ticket.unreadable:
            raise Unfit(f"{ticket.unreadable}, so it is not searched")
        value, source = _from_text(parameter, ticket, earlier)
        if value:
            return _checked(parameter, value, ticket), source
    if parameter.required:
        raise Unfit(f"{parameter.title} is neither in a field nor in the text")
    return "", ""


def _checked(parameter: Parameter, value: str, ticket: Ticket) -> str:
    check_value(parameter, value)
    if ticket.directory is not None:
        check_target(parameter, value, ticket.directory, None if ticket.machine else ticket.requester)
    return value


def _from_field(parameter: Parameter, name: str, given: object, ticket: Ticket) -> str:
    if isinstance(given, list) and len(given) == 1:
        given = given[0]
    if isinstance(given, bool) or not isinstance(given, (str, int)):
        raise Unfit(f"the field {name} holds a {type(given).__name__}, and one text or number is wanted")
    if len(str(given)) > parameter.max_length + 300:
        raise Unfit(f"the field {name} is too long")
    text = mentions.clean(str(given))
    if parameter.kind == "account":
        return _account_named(mentions.bare(text), ticket.directory)
    if parameter.kind == "group":
        return _group_named(text, ticket.directory)
    if parameter.kind == "size_mb":
        unit = {"_mb": " MB", "_gb": " GB"}.get(name.casefold()[-3:], "")
        found = mentions.sizes(text + unit if text.isdigit() else text)
        if len(found) != 1 or found[0] is None:
            raise Unfit(f"the field {name} holds {short(text)}, and one size such as 50 GB is wanted")
        return str(found[0])
    if parameter.kind == "choice":
        return next((choice for choice in parameter.choices if choice.casefold() == text.casefold()), text)
    return text


def _from_text(parameter: Parameter, ticket: Ticket, earlier: Mapping[str, str]) -> tuple[str, str]:
    if parameter.kind == "account":
        return _account_in_text(parameter, ticket)
    if parameter.kind == "size_mb":
        return _size_in_text(ticket, earlier), "text"
    if parameter.kind == "choice":
        return _only(_named_in_text(parameter.choices, ticket.text)), "text"
    if ticket.directory is None:
        raise Unfit("the groups are known to the directory only")
    # Closed groups count too: who asks for two groups must not silently get only the open one.
    return _only(_named_in_text(tuple(group.name for group in ticket.directory.groups()), ticket.text)), "text"


def _only(named: tuple[str, ...]) -> str:
    if len(named) > 1:
        raise Unfit(f"the text names {listed(named)}, and one is wanted", named)
    return named[0] if named else ""


def _named_in_text(choices: tuple[str, ...], text: str) -> tuple[str, ...]:
    by_key: dict[str, list[str]] = {}
    for choice in choices:
        by_key.setdefault(" ".join(names.words(choice)), []).append(choice)
    by_key.pop("", None)
    longest = max((key.count(" ") + 1 for key in by_key), default=0)
    keys = mentions.names_in(names.words(text), frozenset(by_key), longest=longest)
    return tuple(choice for key in keys for choice in by_key[key])


def _account_in_text(parameter: Parameter, ticket: Ticket) -> tuple[str, str]:
    handles = mentions.handles(ticket.text)
    default = parameter.own and not ticket.machine
    if ticket.directory is None:
        value = _only(handles.certain or handles.shaped)
        if not value and default:
            raise Unfit("the requester's account is known to the directory only")
        return value, "text"
    likely = {*handles.possible, *mentions.spoken_names(ticket.text, longest=LONGEST_NAME)}
    if len(handles.certain) + len(likely) > MOST_NAMES:
        raise Unfit("the text has too many words to look for accounts")
    meant = {_account_named(name, ticket.directory) for name in handles.certain}
    # Who is called by name in the text may be whom it is about: then the requester is not taken for granted.
    for accounts in ticket.directory.find(likely).values():
        meant.update(account.uid for account in accounts)
    value = _only(tuple(sorted(meant)))
    if value or not default:
        return value, "text"
    return requesters_account(ticket.directory, ticket.requester).uid, "requester"


def _account_named(name: str, directory: Directory | None) -> str:
    if directory is None:
        return name
    accounts = directory.find([name]).get(name, ())
    if len(accounts) > 1:
        uids = tuple(account.uid for account in accounts)
        raise Unfit(f"{short(name)} can mean {listed(uids)}", uids)
    if not accounts:
        raise Unfit(f"the directory has nobody called {short(name)}")
    return accounts[0].uid


def _group_named(name: str, directory: Directory | None) -> str:
    if directory is None:
        raise Unfit("the groups are known to the directory only")
    key = names.words(name)
    named = tuple(group.name for group in directory.groups() if names.words(group.name) == key)
    if len(named) > 1:
        raise Unfit(f"{short(name)} can mean {listed(named)}", named)
    return named[0] if named else name


def _size_in_text(ticket: Ticket, earlier: Mapping[str, str]) -> str:
    found = mentions.sizes(ticket.text)
    if None in found:
        raise Unfit("the text has a size that can't be read for certain")
    sizes = {size for size in found if size is not None}
    if len(sizes) > 1 and ticket.directory is not None:
        # "20 GB are full, please raise to 50 GB": what is so already is not what is asked for.
        for uid in earlier.values():
            account = ticket.directory.account(uid)
            if account is not None:
                sizes -= {account.quota_mb, account.quota_used_mb}
    shown = tuple(f"{size} MiB" for size in sorted(sizes))
    if len(sizes) > 1:
        raise Unfit(f"the text names {listed(shown)}, and one is wanted", shown)
    return str(sizes.pop()) if sizes else ""
