"""Pages that were pulled: what of them is news goes the way of every message, raw bytes included."""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from triage.intake import attached
from triage.intake.accepting import Accepted, Landed, Message, parsed_by, store
from triage.intake.changes import is_news
from triage.itsm.base import BadLine, IncomingTicket, Page, Parsed
from triage.models import DeliveryKey, Source, Ticket

CONTENT_TYPE = "application/vnd.triage.page+json"
"""Of a delivery that is a page: `answer` (or `answer_b64`) as it came, and the news of it as `tickets`."""

BATCH = 500
NOTHING = Accepted(delivery=UUID(int=0), duplicate=True)


def accept_page(*, source: Source, page: Page, at: datetime) -> Accepted:
    """Store what a page tells that is not known yet; a page without news leaves no trace.

    Raises OperationalError where the database does not answer: then nothing is stored.
    """
    news = _news(source, page.tickets)
    if not news and not page.problems:
        return NOTHING
    lines = [ticket.to_json().decode() for ticket in news]
    # the line of a bad record moves as others are changed before it; what is wrong with it does not
    told = lines or sorted({bad.reason for bad in page.problems})
    key = f"pull_{hashlib.sha256(json.dumps(told).encode()).hexdigest()}"
    seen = DeliveryKey.objects.filter(source_id=source.pk, key=key).first()
    if seen is not None:
        return Accepted(delivery=seen.delivery, duplicate=True)
    body = json.dumps({**_answer(page.raw), "tickets": [json.loads(line) for line in lines]}).encode()
    return store(
        Message(
            source=source,
            key=key,
            body=body,
            sha256=hashlib.sha256(body).hexdigest(),
            headers={"content-type": CONTENT_TYPE},
            parsed=Parsed(tuple(enumerate(news, start=1)), page.problems),
            at=at,
            pulled=True,
        )
    )


def apply_again(
    *, source: Source, body: bytes, headers: Mapping[str, str], landed: Landed, received_at: datetime
) -> Accepted:
    """Apply a delivery that lies in the lake already, as of the time when it came; raises PayloadTooLarge."""
    parsed, pulled = parsed_again(source, body=body, headers=headers, received_at=received_at)
    return store(
        Message(
            source=source,
            key=f"!replay {landed.delivery}",
            body=body,
            sha256=hashlib.sha256(body).hexdigest(),
            headers=headers,
            parsed=parsed,
            at=received_at,
            pulled=pulled,
            landed=landed,
        )
    )


def parsed_again(
    source: Source, *, body: bytes, headers: Mapping[str, str], received_at: datetime
) -> tuple[Parsed, bool]:
    """What a stored delivery says, read as when it came; and whether it is a page that was pulled.

    Raises PayloadTooLarge.
    """
    content_type = headers.get("content-type", "application/json").partition(";")[0].strip()
    if content_type == CONTENT_TYPE:
        return _page_again(body), True
    return parsed_by(source, body=body, content_type=content_type, at=received_at), False


def _page_again(body: bytes) -> Parsed:
    try:
        tickets = [IncomingTicket.from_json(json.dumps(item).encode()) for item in json.loads(body)["tickets"]]
    except (ValueError, KeyError, TypeError) as error:
        return Parsed(problems=(BadLine(0, f"this is no pulled page: {error}"),))
    return Parsed(tuple(enumerate(tickets, start=1)))


def _answer(raw: bytes) -> dict[str, str]:
    try:
        return {"answer": raw.decode()}
    except UnicodeDecodeError:
        return {"answer_b64": base64.b64encode(raw).decode()}


def _news(source: Source, tickets: Iterable[IncomingTicket]) -> list[IncomingTicket]:
    """The tickets that are unknown, or later than what is known of them."""
    found = list(tickets)
    names = sorted({ticket.external_id for ticket in found})
    known: dict[str, Ticket] = {}
    columns = ("external_id", "updated_at", "sequence", "waiting_update", "fields")
    for start in range(0, len(names), BATCH):
        rows = Ticket.objects.filter(source=source, external_id__in=names[start : start + BATCH])
        known |= {row.external_id: row for row in rows.only(*columns)}
    return [ticket for ticket in found if _is_told_first(ticket, known.get(ticket.external_id))]


def _is_told_first(told: IncomingTicket, known: Ticket | None) -> bool:
    return known is None or is_news(told, known) or attached.is_news(told, known)
