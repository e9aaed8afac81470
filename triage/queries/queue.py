"""The desk's queue: what needs a person, in as many queries for sixty tickets as for one.

The order stands in `order`, what narrows it in `narrowing`. Tickets that wait for a verdict and read alike but for
numbers, names and times are one row: the first of them in the queue's order, which tells how many there are.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Substr

from triage.models import Approval, Article, Customer, Person, Prediction, Source, Ticket
from triage.models.ticket import OPEN
from triage.queries import articles, asked, blind, order
from triage.queries.customers import customers_of
from triage.queries.narrowing import Filters, matching

T = Ticket.Status
PAGE = 50
COUNTED = 1000
SNIPPET = 200
"""Characters of a text that a row may show."""

Known: TypeAlias = Mapping[tuple[int | None, str], articles.Shown]
Group: TypeAlias = tuple[int | None, str]
"""Customer and masked text's key."""

HEAVY = ("body", "fields", "attachments", "waiting_update")
SHOWN = (
    *("uuid", "external_id", "subject", "status", "reason", "language", "text_hash", "alike", "place"),
    *("due_at", "received_at", "changed_at", "held_until", "customer__name"),
    *("held_by__username", "held_by__first_name", "held_by__last_name"),
)
"""The columns that a row is made of: fifty rows of all that is known of a ticket take a third of the page's time."""


@dataclass(frozen=True)
class Row:
    """One row of the queue, ready to be shown. `alike`: how many tickets it stands for, itself included."""

    ticket: Ticket
    article: Article | None
    label: str
    probability: float | None
    language: str
    sealed: bool
    sufficient: bool
    holder: Person | None
    alike: int = 1

    @property
    def snippet(self) -> str:
        """The beginning of the body."""
        return str(getattr(self.ticket, "snippet", ""))

    @property
    def version(self) -> str:
        """Changes with whatever the row shows, but for the passing of time."""
        ticket = self.ticket
        told = (ticket.status, ticket.changed_at, ticket.due_at, ticket.text_hash, ticket.reason, ticket.subject)
        holder = self.holder.pk if self.holder else 0
        shown = (*told, holder, self.alike, self.sealed, self.label, self.probability, self.language)
        return digest(shown)


@dataclass(frozen=True)
class Page:
    """One page of the queue. `total` counts tickets and stops at 1,000, since nobody reads further."""

    rows: list[Row]
    total: int
    onward: str


def digest(told: object) -> str:
    """A short name for a state."""
    return hashlib.blake2b(repr(told).encode(), digest_size=6).hexdigest()


def page(person: Person, *, filters: Filters, at: datetime, after: str = "", limit: int = PAGE) -> Page:
    """One page of the queue after a cursor; raises CursorInvalid."""
    wanted = matching(person, filters=filters, at=at)
    if filters.searches:
        return _searched(wanted, person=person, filters=filters, at=at, after=after, limit=limit)
    total = wanted.order_by()[:COUNTED].count()
    first = leading(wanted)
    if after:
        first = filters.order.after(first, after)
    tickets = list(listed(filters.order.sorted(first))[: limit + 1])
    return _page(tickets, _sizes(tickets, among=wanted), total, person=person, at=at, limit=limit)


def _searched(
    wanted: QuerySet[Ticket], *, person: Person, filters: Filters, at: datetime, after: str, limit: int
) -> Page:
    """What no index answers is looked for once: the first thousand that are found are all that is shown and counted."""
    found = filters.order.sorted(wanted).values_list("pk", "place", "status", "customer_id", "alike")[:COUNTED]
    leaders: list[tuple[int, int]] = []
    sizes: Counter[Group] = Counter()
    total = 0
    for pk, place, status, customer, alike in found:
        total += 1
        group = (customer, alike)
        one_of_many = status == T.NEEDS_REVIEW and alike and customer
        if not one_of_many or not sizes[group]:
            leaders.append((place, pk))
        if one_of_many:
            sizes[group] += 1
    shown = [pk for place, pk in leaders if not after or filters.order.behind(place, pk, after)][: limit + 1]
    rows = Ticket.objects.visible_to(person).filter(pk__in=shown)
    tickets = list(listed(filters.order.sorted(rows)))
    many = {group: size for group, size in sizes.items() if size > 1}
    return _page(tickets, many, total, person=person, at=at, limit=limit)


def _page(
    tickets: list[Ticket], sizes: Mapping[Group, int], total: int, *, person: Person, at: datetime, limit: int
) -> Page:
    onward = order.cursor(tickets[limit - 1]) if len(tickets) > limit else ""
    return Page(rows_of(tickets[:limit], person=person, at=at, sizes=sizes), total, onward)


def light(rows: QuerySet[Ticket], *, without: Sequence[str] = HEAVY) -> QuerySet[Ticket]:
    """With what a row shows and without what is heavy."""
    return rows.select_related("customer", "held_by").defer(*without).annotate(snippet=Substr("body", 1, SNIPPET))


def listed(rows: QuerySet[Ticket]) -> QuerySet[Ticket]:
    """With what a row of the queue is made of, and nothing else."""
    return rows.select_related("customer", "held_by").only(*SHOWN).annotate(snippet=Substr("body", 1, SNIPPET))


def leading(rows: QuerySet[Ticket]) -> QuerySet[Ticket]:
    """Of the tickets that wait for a verdict and read alike, those that come first; all others as they are.

    `rows` are narrowed by nothing that tells tickets apart that read alike: then the first one may be looked for among
    all of the same customer, in one step down an index.
    """
    earlier = Ticket.objects.filter(
        Q(place__lt=OuterRef("place")) | Q(pk__lt=OuterRef("pk")),
        place__lte=OuterRef("place"),
        customer=OuterRef("customer"),
        alike=OuterRef("alike"),
        status=T.NEEDS_REVIEW,
    )
    return rows.exclude(Q(status=T.NEEDS_REVIEW) & ~Q(alike="") & Exists(earlier.order_by()))


def following(person: Person, *, filters: Filters, at: datetime, past: Ticket) -> Ticket | None:
    """The ticket to decide after `past`: the next that nobody else holds, from the top again after the last."""
    free = Q(held_until__isnull=True) | Q(held_until__lt=at) | Q(held_by=person)
    rows = matching(person, filters=filters, at=at).filter(free).exclude(pk=past.pk)
    if filters.status in ("", "all"):
        rows = rows.filter(status=T.NEEDS_REVIEW)
    ordered = filters.order.sorted(rows).defer(*HEAVY)
    return filters.order.after(ordered, order.cursor(past)).first() or ordered.first()


def counts(person: Person) -> dict[str, int]:
    """How much waits for the person, for the header; each stops at 1,000."""
    rows = Ticket.objects.visible_to(person)
    waiting = Approval.objects.visible_to(person).filter(status=Approval.Status.ASKED)
    return {
        "queue": rows.filter(status__in=OPEN)[:COUNTED].count(),
        "approvals": asked.leading(waiting)[:COUNTED].count(),
    }


def choices(person: Person) -> list[Customer]:
    """The customers that the queue can be narrowed to."""
    return list(customers_of(person)[:200])


def sources(person: Person) -> list[Source]:
    """The sources that the queue can be narrowed to."""
    customers = customers_of(person).order_by()
    rows = Source.objects.filter(Q(customer__in=customers) | Q(mappings__customer__in=customers))
    return list(rows.distinct().order_by("name", "pk").only("slug", "name")[:200])


def rows_of(tickets: list[Ticket], *, person: Person, at: datetime, sizes: Mapping[Group, int]) -> list[Row]:
    """The tickets as rows, each with how many it stands for."""
    shut = _shut(tickets, sizes, at=at)
    hidden = blind.sealed(tickets, at=at)
    hidden |= {ticket.pk for ticket in tickets if (ticket.customer_id, ticket.alike) in shut}
    predictions = {
        (row.ticket_id, row.text_hash): row
        for row in Prediction.objects.visible_to(person)
        .filter(ticket_id__in=[ticket.pk for ticket in tickets], in_force=True)
        .only("ticket_id", "text_hash", "matches", "evidence")
    }
    found = {ticket.pk: predictions.get((ticket.pk, ticket.text_hash)) for ticket in tickets}
    shown = articles.by_label(
        (ticket.customer_id, first[0])
        for ticket in tickets
        if ticket.pk not in hidden and (first := _first(found[ticket.pk]))
    )
    return [
        _row(
            ticket,
            prediction=found[ticket.pk],
            shown=shown,
            sealed=ticket.pk in hidden,
            alike=sizes.get((ticket.customer_id, ticket.alike), 1) if ticket.status == T.NEEDS_REVIEW else 1,
            at=at,
        )
        for ticket in tickets
    ]


def _sizes(tickets: Iterable[Ticket], *, among: QuerySet[Ticket]) -> dict[Group, int]:
    """How many tickets each group has that has more than one."""
    keys = {ticket.alike for ticket in tickets if ticket.status == T.NEEDS_REVIEW and ticket.alike}
    rows = among.filter(alike__in=keys, status=T.NEEDS_REVIEW).order_by()
    each = rows.values("customer_id", "alike").annotate(size=Count("pk")).filter(size__gt=1)
    return {(row["customer_id"], row["alike"]): row["size"] for row in each if row["customer_id"]}


def _shut(tickets: Iterable[Ticket], sizes: Mapping[Group, int], *, at: datetime) -> set[Group]:
    """The groups on the page with a ticket under a blind check, on it or not: what is thought of them stays hidden."""
    groups = {(ticket.customer_id, ticket.alike) for ticket in tickets} & set(sizes)
    if not groups:
        return set()
    rows = Ticket.objects.filter(
        customer__in={customer for customer, _ in groups},
        alike__in={alike for _, alike in groups},
        status=T.NEEDS_REVIEW,
    )
    return set(blind.sealed_among(rows, at=at).order_by().values_list("customer_id", "alike").distinct())


def _first(prediction: Prediction | None) -> tuple[str, float] | None:
    """Label and probability of the best match."""
    if prediction is None or not prediction.matches:
        return None
    return prediction.matches[0]["label"], prediction.matches[0]["probability"]


def _row(ticket: Ticket, *, prediction: Prediction | None, shown: Known, sealed: bool, alike: int, at: datetime) -> Row:
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
        holder=ticket.held_by if ticket.is_held(at=at) else None,
        alike=alike,
    )


def language_of(ticket: Ticket, prediction: Prediction | None) -> str:
    """The language that was recognised, else the stated one, else nothing."""
    recognised = str(prediction.evidence.get("language", "")) if prediction else ""
    return ticket.language if recognised in ("", "und") else recognised
