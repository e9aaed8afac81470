"""Gaps as people read them: what no article answers, how often, whether it grows, and tickets to look at."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import ExpressionWrapper, F, FloatField, Q, QuerySet

from triage.models import Customer, Gap, GapMember, Job, Person, Ticket
from triage.queries import blind
from triage.queries.customers import customers_of

GROWN_BY, GROWN = 3, 1.5
"""A dismissed gap is shown again when it has grown by so many tickets and to so many times its size."""

PAGE = 30
EXAMPLES = 3
MEMBERS = 100
RECENT = 4
HEIGHT = 24
SHOW = ("open", "dismissed", "written")


@dataclass(frozen=True)
class Shown:
    """A gap with tickets to look at, sealed ones left out, and its trend."""

    gap: Gap
    tickets: list[Ticket]

    @property
    def recent(self) -> int:
        """Tickets of the last four weeks."""
        return sum(self.gap.weeks[-RECENT:])

    @property
    def before(self) -> int:
        """Tickets of the four weeks before those."""
        return sum(self.gap.weeks[-2 * RECENT : -RECENT])

    @property
    def trend(self) -> str:
        """`rising`, `falling` or `steady`; a difference that chance makes often is none."""
        by = self.recent - self.before
        if by * by <= 4 * max(1, self.recent + self.before):
            return "steady"
        return "rising" if by > 0 else "falling"

    @property
    def bars(self) -> list[tuple[int, int, int]]:
        """Each week's bar in a drawing 24 high and 8 wide a week: left, top, height."""
        most = max(self.gap.weeks, default=0) or 1
        heights = [round(HEIGHT * count / most) for count in self.gap.weeks]
        return [(8 * place + 1, HEIGHT - height, height) for place, height in enumerate(heights)]


def is_hidden(gap: Gap) -> bool:
    """Whether it was dismissed and has not grown enough since."""
    grown = gap.size >= max(gap.dismissed_size + GROWN_BY, GROWN * gap.dismissed_size)
    return gap.dismissed_at is not None and not grown


def page(
    person: Person, *, customer: Customer | None, show: str, after: tuple[int, int] | None, at: datetime
) -> tuple[list[Shown], str]:
    """One page, largest first, and where the next begins; the same queries for any number of gaps."""
    rows = narrowed(person, customer=customer, show=show)
    if after is not None:
        size, pk = after
        rows = rows.filter(Q(size__lt=size) | Q(size=size, pk__gt=pk))
    found = list(rows.select_related("customer", "article").order_by("-size", "pk")[: PAGE + 1])
    last = found[PAGE - 1] if len(found) > PAGE else None
    shown = found[:PAGE]
    tickets = examples(person, shown, most=EXAMPLES, at=at)
    return [Shown(gap, tickets.get(gap.pk, [])) for gap in shown], f"{last.size}~{last.pk}" if last else ""


def narrowed(person: Person, *, customer: Customer | None, show: str) -> QuerySet[Gap]:
    """The person's gaps: open ones, those dismissed and not grown since, or those an article was written for."""
    rows: QuerySet[Gap] = Gap.objects.visible_to(person)
    if customer is not None:
        rows = rows.filter(customer=customer)
    if show == "written":
        return rows.filter(article__isnull=False)
    share = ExpressionWrapper(F("dismissed_size") * GROWN, output_field=FloatField())
    rows = rows.alias(share=share).filter(article__isnull=True)
    grown = Q(size__gte=F("dismissed_size") + GROWN_BY, dismissed_at__isnull=False) & Q(size__gte=F("share"))
    if show == "dismissed":
        return rows.filter(dismissed_at__isnull=False).exclude(grown)
    return rows.filter(Q(dismissed_at__isnull=True) | grown)


def examples(person: Person, gaps: Sequence[Gap], *, most: int, at: datetime) -> dict[int, list[Ticket]]:
    """The most typical tickets of each gap, at most `most`, none that is sealed; two queries."""
    members = list(
        GapMember.objects.filter(
            gap__in=gaps, place__lt=4 * most, ticket__in=Ticket.objects.visible_to(person).values("pk")
        )
        .select_related("ticket")
        .defer("ticket__fields", "ticket__attachments")
        .order_by("gap", "place")
    )
    hidden = blind.sealed([member.ticket for member in members], at=at)
    found: dict[int, list[Ticket]] = {}
    for member in members:
        mine = found.setdefault(member.gap_id, [])
        if member.ticket_id not in hidden and len(mine) < most:
            mine.append(member.ticket)
    return found


def jobs(person: Person) -> dict[int, Job]:
    """The grouping of each of the person's customers, by customer."""
    rows = Job.objects.filter(kind="gaps", customer__in=customers_of(person))
    return {row.customer_id: row for row in rows if row.customer_id}
