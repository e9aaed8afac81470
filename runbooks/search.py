"""Looks for one parameter's value in one ticket: structured fields first, then the text.

What a ticket says only ever becomes a value that the schema and the target both know. Whatever could
be read in two ways is left to a person.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from runbooks import catalogue, dates, hosts, mentions, people
from runbooks.base import Parameter
from runbooks.catalogue import Names
from runbooks.rules import (
    Known,
    Unfit,
    check_plain,
    check_target,
    check_value,
    listed,
    names_of,
    reference_form,
    short,
)
from runbooks.targets.lists import Index

MOST_OFFERED = 20
"""Names of an allow-list that are offered for a parameter that the ticket does not name; a longer list is no help."""


@dataclass(frozen=True)
class Ticket:
    """What is searched. text: cleaned. unreadable: why the text is not to be used, or empty.

    fields: caseless names. machine: a monitored machine wrote it, so the requester is nobody. reference: what the
    ticket itself is called. written_at: when it was, or None where nobody knows.
    """

    text: str
    unreadable: str
    fields: Mapping[str, object]
    requester: str
    known: Known
    machine: bool
    reference: str = ""
    written_at: datetime | None = None


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
        raise Unfit(f"{parameter.title} is neither in a field nor in the text", _offered(parameter, ticket))
    return "", ""


def _checked(parameter: Parameter, value: str, ticket: Ticket) -> str:
    check_value(parameter, value)
    check_plain(parameter, value)
    check_target(parameter, value, ticket.known, None if ticket.machine else ticket.requester)
    return value


def _offered(parameter: Parameter, ticket: Ticket) -> tuple[str, ...]:
    names = tuple(names_of(parameter, ticket.known.lists) or ())
    return names if len(names) <= MOST_OFFERED else ()


def _from_field(parameter: Parameter, name: str, given: object, ticket: Ticket) -> str:
    text = _field_text(parameter, name, given)
    match parameter.kind:
        case "account" | "mailbox":
            return people.in_field(parameter, text, ticket.known.directory)
        case "group":
            return _only(catalogue.called(_groups(ticket), text)) or text
        case "host":
            return hosts.in_field(text, _hosts(ticket))
        case "software" | "choice":
            return _listed_in_field(parameter, text, ticket)
        case "ticket":
            return mentions.reference_in(text, re.compile(reference_form(parameter))) or text
        case "date":
            return dates.in_field(text, written_at=ticket.written_at)
        case "size_mb":
            return _size_in_field(name, text)
    return text


def _from_text(parameter: Parameter, ticket: Ticket, earlier: Mapping[str, str]) -> tuple[str, str]:
    match parameter.kind:
        case "account" | "mailbox":
            asked = ticket.requester if parameter.own and not ticket.machine else None
            return people.in_text(parameter, ticket.text, directory=ticket.known.directory, requester=asked)
        case "group":
            # Closed groups count too: who asks for two groups must not silently get only the open one.
            value = _only(catalogue.named(_groups(ticket), ticket.text))
        case "host":
            value = hosts.in_text(ticket.text, _hosts(ticket))
        case "software" | "choice":
            value = _only(catalogue.named(_names(parameter, ticket), ticket.text))
        case "ticket":
            found = mentions.references(ticket.text, reference_form(parameter))
            value = _only(tuple(one for one in found if one.casefold() != ticket.reference.casefold()))
        case "date":
            value = dates.in_text(ticket.text, written_at=ticket.written_at)
        case "size_mb":
            value = _size_in_text(ticket, earlier)
        case _:
            value = ""
    return value, "text"


def _field_text(parameter: Parameter, name: str, given: object) -> str:
    if isinstance(given, list) and len(given) == 1:
        given = given[0]
    if isinstance(given, bool) or not isinstance(given, (str, int)):
        raise Unfit(f"the field {name} holds a {type(given).__name__}, and one text or number is wanted")
    if len(str(given)) > parameter.max_length + 300:
        raise Unfit(f"the field {name} is too long")
    return mentions.clean(str(given))


def _listed_in_field(parameter: Parameter, text: str, ticket: Ticket) -> str:
    names = _names(parameter, ticket)
    value = _only(catalogue.called(names, text))
    if not value and not parameter.choices:
        raise Unfit(
            f"{short(text)} is not one of {listed(tuple(names))}" if names else "the target names none to choose from",
            catalogue.named(names, text) or _offered(parameter, ticket),
        )
    return value or text


def _only(named: tuple[str, ...]) -> str:
    if len(named) > 1:
        raise Unfit(f"the text names {listed(named)}, and one is wanted", named)
    return named[0] if named else ""


def _groups(ticket: Ticket) -> Names:
    if ticket.known.directory is None:
        raise Unfit("the groups are known to the directory only")
    return {group.name: () for group in ticket.known.directory.groups()}


def _hosts(ticket: Ticket) -> Index:
    if ticket.known.lists is None or not ticket.known.lists.hosts:
        raise Unfit("the hosts are known to a target with hosts only")
    return ticket.known.lists.host_index


def _names(parameter: Parameter, ticket: Ticket) -> Names:
    names = names_of(parameter, ticket.known.lists)
    if names is None:
        raise Unfit(f"what {parameter.title} may be is known to the target only")
    return names


def _size_in_field(name: str, text: str) -> str:
    unit = {"_mb": " MB", "_gb": " GB"}.get(name.casefold()[-3:], "")
    found = mentions.sizes(text + unit if text.isdigit() else text)
    if len(found) != 1 or found[0] is None:
        raise Unfit(f"the field {name} holds {short(text)}, and one size such as 50 GB is wanted")
    return str(found[0])


def _size_in_text(ticket: Ticket, earlier: Mapping[str, str]) -> str:
    found = mentions.sizes(ticket.text)
    if None in found:
        raise Unfit("the text has a size that can't be read for certain")
    sizes = {size for size in found if size is not None}
    directory = ticket.known.directory
    if len(sizes) > 1 and directory is not None:
        # "20 GB are full, please raise to 50 GB": what is so already is not what is asked for.
        for name in earlier.values():
            for account in directory.find([name]).get(name, ()):
                sizes -= {account.quota_mb, account.quota_used_mb}
    if len(sizes) > 1:
        shown = tuple(f"{size} MiB" for size in sorted(sizes))
        raise Unfit(f"the text names {listed(shown)}, and one is wanted", tuple(map(str, sorted(sizes))))
    return str(sizes.pop()) if sizes else ""
