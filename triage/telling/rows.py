"""Writing a notification and what is to be sent of it: rows only, in the caller's transaction."""

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q

from triage.environment import environment
from triage.models import Customer, EventEndpoint, Notification, Person, Posting, Ticket
from triage.queries import blind
from triage.telling.kinds import KINDS, STREAMS, Kind
from triage.telling.recipients import Recipient, recipients

LONGEST_TEXT = 1000
_UNSEEN = re.compile(r"[\x00-\x20\x7f-\xa0\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u2069\ufeff]+")


def tell(
    *,
    kind: str,
    customer: Customer | None,
    key: str,
    text: str,
    at: datetime,
    link: str = "",
    runbook: str = "",
    ticket: Ticket | None = None,
    data: Mapping[str, str] | None = None,
    but: Collection[int | None] = (),
    wait: timedelta = timedelta(0),
) -> Notification | None:
    """Tell of one occasion, once for each `key`: a row for the desk, one for each mail address and endpoint.

    `text` holds no ticket text beyond the external id and no secret. Where `ticket` was drawn for a blind answer that
    has not been given, neither text nor event names the runbook or what it was to do, and its owner is not singled
    out. `link` is a path of the desk. `data`: what an event says besides. `but`: people, by primary key, who cannot
    act on it. `wait`: until it is sent, where it may be withdrawn. None where it was told before, or where nobody is
    to hear of it.
    """
    how = KINDS[kind]
    endpoints = endpoints_of(how.event, customer)
    if not (how.desk or endpoints):
        return None
    text, runbook, said = _allowed(how, ticket, text=text, runbook=runbook, data=data or {}, at=at)
    with transaction.atomic():
        text = plain(text)[:LONGEST_TEXT]
        row = _first(key, customer=customer, kind=kind, text=text, link=link, desk=how.desk, data=said, created_at=at)
        if row is None:
            return None
        mails = recipients(kind, customer=customer, runbook=runbook, ticket=ticket, but=but) if _has_mail() else ()
        _post(row, mails, endpoints, at=at, wait=wait)
    return row


def withdraw(key: str, *, person: Person, at: datetime) -> None:
    """The person took the occasion back: no more is sent of it, and the desk has it as seen."""
    waiting = Posting.objects.filter(notification__key=key, status=Posting.Status.WAITING)
    waiting.update(status=Posting.Status.GIVEN_UP, reason="undone", done_at=at)
    Notification.objects.filter(key=key, seen_at__isnull=True).update(seen_by=person, seen_at=at)


def _allowed(
    how: Kind, ticket: Ticket | None, *, text: str, runbook: str, data: Mapping[str, str], at: datetime
) -> tuple[str, str, dict[str, str]]:
    """Text, runbook and what the event says, without what a drawn ticket must not give away."""
    said = dict(data)
    if ticket is not None:
        said |= {"ticket": ticket.external_id, "ticket_uuid": str(ticket.uuid)}
        if blind.sealed([ticket], at=at):
            said = {name: value for name, value in said.items() if name in OPEN_TO_ALL} | {"sealed": "yes"}
            return f"{ticket.external_id}: {how.blind or 'it needs a look'}.", "", said
    if runbook:
        said["runbook"] = runbook
    return text, runbook, said


def _first(key: str, **fields: Any) -> Notification | None:
    """The row for the desk; None where this occasion was told before."""
    row, made = Notification.objects.get_or_create(key=key, defaults=fields)
    return row if made else None


def _post(
    row: Notification, mails: Iterable[Recipient], endpoints: Iterable[int], *, at: datetime, wait: timedelta
) -> None:
    """What is to be sent of it, a row for each receiver."""
    common = {"notification": row, "next_at": at + wait, "created_at": at}
    Posting.objects.bulk_create(
        [
            *(Posting(address=one.address, why=one.why, **common) for one in mails),
            *(Posting(endpoint_id=one, **common) for one in endpoints),
        ]
    )


OPEN_TO_ALL = frozenset({"ticket", "ticket_uuid", "run", "approval", "expires_at"})
"""What an event about a sealed ticket still says."""


def plain(text: str) -> str:
    """One line without control or invisible characters: an external id is written by strangers."""
    return _UNSEEN.sub(" ", text).strip()


def endpoints_of(event: str, customer: Customer | None) -> list[int]:
    """The endpoints that hear of this event; of a stream those that name it."""
    mine = Q(customer__isnull=True)
    if customer is not None:
        mine |= Q(customer=customer)
    rows = EventEndpoint.objects.filter(mine, enabled=True).values_list("pk", "kinds")
    return [pk for pk, kinds in rows if event in kinds or (not kinds and event not in STREAMS)]


def _has_mail() -> bool:
    return bool(environment().mail_url.get_secret_value())
