"""The desk's queue: what needs a person, most urgent first, in as many queries for sixty tickets as for one."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from django.db.models import F, Q, QuerySet

from triage.models import Approval, Article, Customer, Person, Prediction, Ticket
from triage.queries import articles, asked, blind
from triage.queries.customers import customers_of

T = Ticket.Status
OPEN = (T.NEEDS_REVIEW, T.WAITING_APPROVAL)
PAGE = 50
Known: TypeAlias = Mapping[tuple[int | None, str], articles.Shown]
COUNTED = 1000


@dataclass(frozen=True)
class Filters:
    """What the person narrowed the queue to; unknown values narrow nothing."""

    status: str = ""
    customer: str = ""
    text: str = ""

    @property
    def active(self) -> dict[str, str]:
        """The narrowing ones, for links."""
        return {name: value for name, value in vars(self).items() if value}


STATUSES = {
    "": "Open",
    "needs_review": "Needs a verdict",
    "waiting_approval": "Waiting for approval",
    "verify": "Blind checks",
    "all": "Every status",
}


@dataclass(frozen=True)
class Row:
    """One ticket of the queue, ready to be shown."""

    ticket: Ticket
    article: Article | None
    label: str
    probability: float | None
    language: str
    sealed: bool
    sufficient: bool
    holder: Person | None


@dataclass(frozen=True)
class Page:
    """One page of the queue. `total` stops at 1,000, since nobody reads further."""

    rows: list[Row]
    total: int
    onward: str


class CursorInvalid(ValueError):
    """The address names a place in the queue that cannot be read."""


def page(person: Person, *, filters: Filters, at: datetime, after: str = "", limit: int = PAGE) -> Page:
    """One page of the queue after a cursor; raises CursorInvalid."""
    wanted = matching(person, filters=filters)
    total = wanted.order_by()[:COUNTED].count()
    tickets = list(
        _ordered(_after(wanted, after) if after else wanted).select_related("customer", "held_by", "draw")[: limit + 1]
    )
    onward = cursor(tickets[limit - 1]) if len(tickets) > limit else ""
    return Page(_rows(tickets[:limit], person=person, at=at), total, onward)


def matching(person: Person, *, filters: Filters) -> QuerySet[Ticket]:
    """The tickets that the person may see and asked for."""
    rows: QuerySet[Ticket] = Ticket.objects.visible_to(person)
    if filters.status == "verify":
        rows = blind.to_verify(rows)
    elif filters.status in OPEN:
        rows = rows.filter(status=filters.status)
    elif filters.status != "all":
        rows = rows.filter(status__in=OPEN)
    if filters.customer:
        rows = rows.filter(customer__slug=filters.customer)
    for word in filters.text.split()[:6]:
        rows = rows.filter(
            Q(subject__icontains=word)
            | Q(external_id__icontains=word)
            | Q(requester__icontains=word)
            | Q(body__icontains=word)
        )
    return rows


def following(person: Person, *, filters: Filters, at: datetime, past: Ticket) -> Ticket | None:
    """The ticket to decide after `past`: the next that nobody else holds, from the top again after the last."""
    free = Q(held_until__isnull=True) | Q(held_until__lt=at) | Q(held_by=person)
    rows = matching(person, filters=filters).filter(free).exclude(pk=past.pk)
    if filters.status in ("", "all"):
        rows = rows.filter(status=T.NEEDS_REVIEW)
    return _ordered(_after(rows, cursor(past))).first() or _ordered(rows).first()


def counts(person: Person) -> dict[str, int]:
    """How much waits for the person, for the header; each stops at 1,000."""
    rows = Ticket.objects.visible_to(person)
    waiting = Approval.objects.visible_to(person).filter(status=Approval.Status.ASKED)
    return {
        "queue": rows.filter(status__in=OPEN)[:COUNTED].count(),
        "approvals": asked.leading(waiting)[:COUNTED].count(),
    }


def cursor(ticket: Ticket) -> str:
    """The place right behind a ticket in the queue's order."""
    due = ticket.due_at.astimezone(UTC).isoformat() if ticket.due_at else ""
    return base64.urlsafe_b64encode(f"{due}~{ticket.pk}".encode()).decode().rstrip("=")


def choices(person: Person) -> list[Customer]:
    """The customers that the queue can be narrowed to."""
    return list(customers_of(person)[:200])


def _ordered(rows: QuerySet[Ticket]) -> QuerySet[Ticket]:
    return rows.order_by(F("due_at").asc(nulls_last=True), "pk")


def _after(rows: QuerySet[Ticket], place: str) -> QuerySet[Ticket]:
    try:
        due, _, pk = base64.urlsafe_b64decode(place + "=" * (-len(place) % 4)).decode().partition("~")
        key, when = _key(pk), datetime.fromisoformat(due).astimezone(UTC) if due else None
    except (ValueError, OverflowError, binascii.Error) as error:
        raise CursorInvalid("this link into the queue is damaged; open the queue again") from error
    if when is None:
        return rows.filter(due_at__isnull=True, pk__gt=key)
    return rows.filter(Q(due_at__gt=when) | Q(due_at=when, pk__gt=key) | Q(due_at__isnull=True))


def _key(text: str) -> int:
    """A primary key, small enough for every database."""
    key = int(text)
    if not 0 <= key < 2**63:
        raise ValueError(text)
    return key


def _rows(tickets: list[Ticket], *, person: Person, at: datetime) -> list[Row]:
    hidden = blind.sealed(tickets, at=at)
    predictions = {
        (row.ticket_id, row.text_hash): row
        for row in Prediction.objects.visible_to(person).filter(ticket_id__in=[t.pk for t in tickets], in_force=True)
    }
    found = {ticket.pk: predictions.get((ticket.pk, ticket.text_hash)) for ticket in tickets}
    shown = articles.by_label(
        (ticket.customer_id, first[0])
        for ticket in tickets
        if ticket.pk not in hidden and (first := _first(found[ticket.pk]))
    )
    return [_row(t, prediction=found[t.pk], shown=shown, sealed=t.pk in hidden, at=at) for t in tickets]


def _first(prediction: Prediction | None) -> tuple[str, float] | None:
    """Label and probability of the best match."""
    if prediction is None or not prediction.matches:
        return None
    return prediction.matches[0]["label"], prediction.matches[0]["probability"]


def _row(ticket: Ticket, *, prediction: Prediction | None, shown: Known, sealed: bool, at: datetime) -> Row:
    label, probability = (None if sealed else _first(prediction)) or ("", None)
    found = shown.get((ticket.customer_id, label))
    return Row(
        ticket=ticket,
        article=found.article if found else None,
        label=label,
        probability=probability,
        language=language_of(ticket, prediction),
        sealed=sealed,
        sufficient=bool(prediction and prediction.evidence.get("sufficient")),
        holder=ticket.held_by if ticket.held_until and ticket.held_until > at else None,
    )


def language_of(ticket: Ticket, prediction: Prediction | None) -> str:
    """The language that was recognised, else the stated one, else nothing."""
    recognised = str(prediction.evidence.get("language", "")) if prediction else ""
    return ticket.language if recognised in ("", "und") else recognised
