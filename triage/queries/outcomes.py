"""What became of tickets over time, what that saved, and how long people let tickets wait: from kept counts."""

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import TypeVar

from django.db.models import F, Model, Q, QuerySet, Sum
from django.db.models.functions import TruncDay, TruncHour
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from triage.models import ArticleCount, Customer, HourCount, Person, Ticket

OUTCOMES: dict[str, Promise] = {
    "by_itself": _("Resolved by itself"),
    "on_word": _("Run on a person's word"),
    "by_person": _("Answered by a person"),
    "waiting": _("Waits for a person"),
    "under_way": _("Under way"),
    "observed": _("Observed"),
    "withdrawn": _("Withdrawn"),
}
RANGES: dict[str, tuple[Promise, timedelta]] = {
    "24h": (_("24 hours"), timedelta(hours=24)),
    "7d": (_("7 days"), timedelta(days=7)),
    "30d": (_("30 days"), timedelta(days=30)),
    "90d": (_("90 days"), timedelta(days=90)),
}
Row = TypeVar("Row", bound=Model)
WAITING = (Ticket.Status.NEEDS_REVIEW, Ticket.Status.WAITING_APPROVAL)
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Outcome:
    """How many tickets ended one way. `key` names its colour; shares add up to 1."""

    key: str
    title: Promise
    count: int
    share: float
    start: float


@dataclass(frozen=True)
class Step:
    """One hour or day, in the reader's zone: tickets received then, by outcome in the order of OUTCOMES."""

    begins: datetime
    counts: tuple[int, ...]

    @property
    def by_itself(self) -> float | None:
        """The share that was resolved by itself."""
        return self.counts[0] / sum(self.counts) if sum(self.counts) else None


@dataclass(frozen=True)
class Span:
    """A range of time, by hours or days, with everything that was received in it."""

    steps: tuple[Step, ...]
    hourly: bool
    in_time: int
    too_late: int
    saved_minutes: int

    @property
    def total(self) -> int:
        """All tickets received."""
        return sum(sum(step.counts) for step in self.steps)

    @property
    def outcomes(self) -> list[Outcome]:
        """All of them by outcome."""
        total, found, start = self.total, [], 0.0
        for place, title in enumerate(OUTCOMES.values()):
            count = sum(step.counts[place] for step in self.steps)
            share = count / total if total else 0.0
            found.append(Outcome(f"o{place}", title, count, share, start))
            start += share
        return found

    @property
    def by_itself(self) -> float | None:
        """The automation rate: the share of all received that was resolved without a person's word."""
        return self.outcomes[0].share if self.total else None

    @property
    def saved_hours(self) -> float:
        """Hours of people's time, by each customer's own assumption."""
        return self.saved_minutes / 60

    @property
    def kept(self) -> float | None:
        """Share of decided tickets with a due time that were decided by then."""
        decided = self.in_time + self.too_late
        return self.in_time / decided if decided else None


def span(person: Person, *, customer: Customer | None, key: str, at: datetime) -> Span:
    """The tickets of one of RANGES, each step there even where nothing was received; one query."""
    zone = timezone.get_current_timezone()
    hourly = key == "24h"
    begins = _step(at - RANGES[key][1], zone, hourly=hourly) + (HOUR if hourly else timedelta(days=1))
    trunc = TruncHour if hourly else TruncDay
    rows = (
        _mine(HourCount.objects.visible_to(person), customer)
        .filter(hour__gte=begins - HOUR, hour__lte=at)
        .annotate(step=trunc("hour", tzinfo=zone))
        .filter(step__gte=begins)
        .order_by()
        .values("step")
        .annotate(
            **{f"n_{name}": Sum(name) for name in (*OUTCOMES, "in_time", "too_late")},
            saved=Sum(F("by_itself") * F("customer__minutes_a_ticket")),
        )
    )
    found = {row["step"]: row for row in rows}
    steps = []
    for step in _steps(begins, at, zone, hourly=hourly):
        row = found.get(step)
        steps.append(Step(step, tuple(row[f"n_{name}"] if row else 0 for name in OUTCOMES)))
    values = list(found.values())
    return Span(
        steps=tuple(steps),
        hourly=hourly,
        in_time=sum(row["n_in_time"] for row in values),
        too_late=sum(row["n_too_late"] for row in values),
        saved_minutes=sum(row["saved"] for row in values),
    )


def agreement(person: Person, *, customer: Customer | None) -> tuple[int, int]:
    """Verdicts of the last 30 days, and how many of them named the article that Triage had put first."""
    sums = _mine(ArticleCount.objects.visible_to(person), customer).aggregate(n=Sum("verdicts"), same=Sum("agreed"))
    return sums["n"] or 0, sums["same"] or 0


@dataclass(frozen=True)
class Waiting:
    """Tickets that wait for a person: how many, since when half, a twentieth and the oldest wait, how many overdue.

    Half of them were received before `median`, one in twenty before `p95`.
    """

    count: int
    median: datetime | None
    p95: datetime | None
    oldest: datetime | None
    overdue: int


def waiting(person: Person, *, customer: Customer | None, at: datetime) -> Waiting:
    """The queue's ages. Which hour a rank lies in is read from the counts, so that only that hour's rows are sorted.

    Four queries. Exact up to what changed since the hours were last counted.
    """
    rows = _mine(Ticket.objects.visible_to(person), customer).filter(status__in=WAITING)
    hours = _mine(HourCount.objects.visible_to(person), customer).filter(waiting__gt=0).order_by("hour").values("hour")
    sums = [(row["hour"], row["n"]) for row in hours.annotate(n=Sum("waiting"))]
    count = sum(n for _hour, n in sums)
    ranks = ((count - 1) // 2, (count - 1) // 20, 0)
    median, p95, oldest = (_received(rows, sums, rank=rank) if count else None for rank in ranks)
    return Waiting(count, median, p95, oldest, overdue=rows.filter(due_at__lt=at).count())


def _received(rows: QuerySet[Ticket], sums: list[tuple[datetime, int]], *, rank: int) -> datetime | None:
    """When the ticket of this rank was received, the oldest having rank 0."""
    for hour, count in sums:
        if rank < count:
            there = rows.filter(Q(received_at__gte=hour, received_at__lt=hour + HOUR)).order_by("received_at")
            found = there.values_list("received_at", flat=True)[rank : rank + 1].first()
            return found or hour
        rank -= count
    return None


def _mine(rows: QuerySet[Row], customer: Customer | None) -> QuerySet[Row]:
    return rows.filter(customer=customer) if customer is not None else rows


def _step(moment: datetime, zone: tzinfo, *, hourly: bool) -> datetime:
    local = moment.astimezone(zone).replace(minute=0, second=0, microsecond=0)
    return local if hourly else local.replace(hour=0)


def _steps(begins: datetime, until: datetime, zone: tzinfo, *, hourly: bool) -> list[datetime]:
    """The hours or days from one moment to another; days by the calendar, whatever their length."""
    found, moment = [], begins
    while moment <= until:
        found.append(moment)
        onward = moment + (HOUR if hourly else timedelta(days=1, hours=6))
        moment = _step(onward.astimezone(zone), zone, hourly=hourly)
    return found
