"""What a ticket gives a runbook: each parameter with the words around it, or why there is none and what to ask."""

import re
from dataclasses import dataclass

from runbooks import dates, mentions, parameters
from runbooks.base import Parameter, Runbook
from runbooks.parameters import Extraction
from runbooks.rules import names_of, short
from runbooks.targets.accounts import Directory
from runbooks.targets.lists import Lists
from triage.models import Ticket

AROUND = 24
"""Characters of the text shown on each side of what was found in it."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """One parameter: its value and where it came from, or why there is none and what would be asked."""

    name: str
    title: str
    value: str
    source: str
    excerpt: str
    problem: str
    question: str


def extracted(ticket: Ticket, runbook: Runbook, client: Directory | None, lists: Lists | None) -> Extraction:
    """The runbook's parameters, as the gate looks for them when the model chooses it."""
    return parameters.extract(
        runbook,
        subject=ticket.subject,
        body=ticket.body,
        requester=ticket.requester,
        fields=ticket.fields,
        directory=client,
        lists=lists,
        reference=ticket.external_id,
        written_at=ticket.created_at,
    )


def found_for(
    parameter: Parameter, extraction: Extraction, ticket: Ticket, client: Directory | None, lists: Lists | None
) -> Found:
    """One parameter of the runbook, as the extraction left it."""
    value = extraction.values.get(parameter.name, "")
    source = extraction.sources.get(parameter.name, "")
    start = f"{parameter.name}: "
    problem = next((each.removeprefix(start) for each in extraction.problems if each.startswith(start)), "")
    offered = ", ".join(short(each) for each in extraction.candidates.get(parameter.name, ())[:5])
    return Found(
        name=parameter.name,
        title=parameter.title,
        value=value,
        source=source,
        excerpt=_excerpt(parameter, value, ticket, client, lists) if source == "text" else "",
        problem=problem,
        question=f"What is {parameter.title}?{f' ({offered}?)' if offered else ''}" if problem else "",
    )


def _excerpt(parameter: Parameter, value: str, ticket: Ticket, client: Directory | None, lists: Lists | None) -> str:
    """The words around the place where the value was found, as they may be shown; empty where it is not literal."""
    text = mentions.clean(f"{ticket.subject}\n{ticket.body}")
    if parameter.kind == "size_mb":
        sizes = re.finditer(r"[0-9][0-9.,]{0,9} ?\w{1,12}", text)
        found = next((size.span() for size in sizes if mentions.sizes(size[0]) == (int(value),)), None)
    elif parameter.kind == "date":
        dated = (one.shown for one in dates.read(text, written_at=None) if one.days == (value,))
        found = next((place.span() for shown in dated if (place := re.search(re.escape(shown), text))), None)
    else:
        names = [value, *_also_called(parameter, value, client, lists)]
        # The longest first: a uid may be a part of the address beside it.
        names.sort(key=len, reverse=True)
        places = (re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE) for name in names if name)
        found = next((place.span() for place in places if place), None)
    if found is None:
        return ""
    cut = text[max(0, found[0] - AROUND) : found[1] + AROUND]
    return "".join(c if c.isprintable() else "?" for c in cut)


def _also_called(parameter: Parameter, value: str, client: Directory | None, lists: Lists | None) -> list[str]:
    """What a text may have called a value by."""
    if parameter.kind in ("account", "mailbox") and client:
        accounts = client.find([value]).get(value, ())
        return [name for one in accounts for name in (one.uid, one.mail, one.display_name)]
    if parameter.kind == "host":
        return [value.partition(".")[0]]
    return list((names_of(parameter, lists) or {}).get(value, ()))
