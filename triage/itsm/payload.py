"""The `standard` payload: from one JSON object to an IncomingTicket, or a message naming the key and how to mend it."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from triage.itsm.base import IncomingTicket, PayloadInvalid
from triage.itsm.html_text import plain
from triage.itsm.strict_json import shown
from triage.models.source import SourceMappingPart
from triage.models.ticket import TicketActor

T = TypeVar("T")

# the lengths of the columns that these go to
LONGEST = {
    "external_id": 200,
    "requester": 320,
    "channel": 40,
    "language": 16,
    "kind": 40,
    "status": 60,
    "priority": 20,
    "attached_article": 60,
}
GROUP_FIELD = "assignment_group"
AUTHOR_FIELD = "updated_by"
COMMENT_KINDS = frozenset({"comment", "note", "work_note"})
MOST_ATTACHMENTS = 100
FUTURE = timedelta(days=1)
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def ticket(value: object, *, at: datetime) -> IncomingTicket:
    """The ticket that one JSON object tells; keys that are null or missing are not stated. Raises PayloadInvalid."""
    if not isinstance(value, dict):
        raise PayloadInvalid(f'a ticket must be a JSON object, this is {_kind(value)}; send {{"external_id": ...}}')
    said = {key: item for key, item in value.items() if item is not None}
    if "external_id" not in said:
        raise PayloadInvalid("external_id is missing; send the ticket's number or id in your system")
    if not ({"subject", "body", "attachments", "status"} & said.keys()):
        raise PayloadInvalid("nothing is told of the ticket; send at least subject or body, or a new status")
    found: dict[str, object] = {}
    for key, read in _READERS.items():
        if key in said:
            found[key] = read(key, said[key])
    fields = _fields(said.get("fields", {}))
    updated = _not_future("updated_at", _moment("updated_at", said["updated_at"]), at) if "updated_at" in said else at
    found |= {
        "updated_at": updated,
        "created_at": _moment("created_at", said["created_at"]) if "created_at" in said else min(updated, at),
        "fields": fields,
        "group": fields.get(GROUP_FIELD, "")[:200],
        "owner": _owner(fields),
        "author": fields.get(AUTHOR_FIELD, ""),
        "comment": str(found.get("kind", "")).casefold() in COMMENT_KINDS,
    }
    if not found["external_id"]:
        raise PayloadInvalid("external_id is empty; send the ticket's number or id in your system")
    stated = frozenset(key for key in (*_READERS, "created_at", "updated_at", "fields") if key in said)
    if GROUP_FIELD in fields:
        stated |= {"group"}
    return IncomingTicket(**found, stated=stated)  # type: ignore[arg-type]  # each reader gives its column's type


def _owner(fields: Mapping[str, str]) -> dict[str, str]:
    named = {part: fields[part].strip() for part in SourceMappingPart.values if fields.get(part, "").strip()}
    if "organisation" not in named and fields.get("organization", "").strip():
        named["organisation"] = fields["organization"].strip()
    return named


def _kind(value: object) -> str:
    names = {
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "null")


def _text(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise PayloadInvalid(f"{key} must be a text, this is {_kind(value)}; put it in quotes")
    return value


def _html(key: str, value: object) -> str:
    return plain(_text(key, value))


def _subject(key: str, value: object) -> str:
    return _CONTROL.sub(" ", _text(key, value))


def _short(key: str, value: object) -> str:
    """One line of at most the column's length; whole numbers count as text (priorities and ids often are)."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(key, value)
    text = text.strip()
    if _CONTROL.search(text):
        raise PayloadInvalid(f"{key} {shown(text)} holds a control character; send one line of plain text")
    if len(text) > LONGEST[key]:
        raise PayloadInvalid(f"{key} has {len(text)} characters; send at most {LONGEST[key]}")
    return text


def _actor(key: str, value: object) -> str:
    if value not in TicketActor.values:
        raise PayloadInvalid(f"{key} {shown(value)} is unknown; send person or machine")
    return str(value)


def _sequence(key: str, value: object) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 18:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise PayloadInvalid(f"{key} {shown(value)} is no count; send a whole number from 0 to {2**63 - 1}")
    return value


def _moment(key: str, value: object) -> datetime:
    text = _text(key, value)
    try:
        moment = datetime.fromisoformat(text) if len(text) <= 40 else None
        found = moment.astimezone(UTC) if moment and moment.tzinfo else None
    except (ValueError, OverflowError):
        found = None
    if found is None:
        raise PayloadInvalid(
            f"{key} {shown(text)} is no moment with a time zone; send ISO 8601, such as 2026-11-20T09:30:00Z"
        )
    if found < EARLIEST:
        raise PayloadInvalid(f"{key} {shown(text)} lies before 1990; check the sender's clock")
    return found


def _not_future(key: str, moment: datetime, at: datetime) -> datetime:
    """A date far ahead would make every later, true message look old."""
    if moment > at + FUTURE:
        raise PayloadInvalid(f"{key} {moment.isoformat()} lies more than a day ahead; check the sender's clock")
    return moment


def _attachments(key: str, value: object) -> tuple[Mapping[str, str], ...]:
    if not isinstance(value, list) or len(value) > MOST_ATTACHMENTS:
        raise PayloadInvalid(f'{key} must be a list of at most {MOST_ATTACHMENTS} objects like {{"name": "a.png"}}')
    found = []
    for item in value:
        if not isinstance(item, dict) or not isinstance(item.get("name"), str):
            raise PayloadInvalid(f'{key} holds {_kind(item)} without a name; send objects like {{"name": "a.png"}}')
        found.append({"name": item["name"][:255], "type": str(item.get("type") or "")[:100]})
    return tuple(found)


def _fields(value: object) -> dict[str, str]:
    """Names and values as text: untrusted numbers never reach a JSON column as numbers."""
    if not isinstance(value, dict):
        raise PayloadInvalid(f'fields must be an object, this is {_kind(value)}; send {{"host": "web01"}}')
    return {name: _as_text(item) for name, item in value.items() if item is not None}


def _as_text(item: object) -> str:
    if isinstance(item, list) and len(item) == 1 and isinstance(item[0], str):
        return item[0]
    return item if isinstance(item, str) else json.dumps(item, ensure_ascii=False, sort_keys=True)


_READERS: Mapping[str, Callable[[str, object], object]] = {
    "external_id": _short,
    "subject": _subject,
    "body": _html,
    "requester": _short,
    "channel": _short,
    "actor": _actor,
    "language": _short,
    "kind": _short,
    "status": _short,
    "priority": _short,
    "due_at": _moment,
    "sequence": _sequence,
    "attachments": _attachments,
    "attached_article": _short,
}
