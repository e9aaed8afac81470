"""The state of the whole thing: outcomes, certificates, releases, workers and switches."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from runbooks.registry import RUNBOOKS
from triage.models import (
    Budget,
    Certificate,
    Customer,
    Decision,
    Job,
    Person,
    Release,
    Review,
    Run,
    RunbookState,
    Ticket,
    WorkerBeat,
)
from triage.permissions import can_start, can_stop
from triage.queries.customers import customers_of
from triage.queries.log import Entry, latest

T = Ticket.Status
BEAT_MISSING = timedelta(seconds=60)
EXPIRES_SOON = timedelta(days=14)
WINDOWS = {"1": "24 hours", "7": "7 days", "30": "30 days"}
WAITING, BY_ITSELF, APPROVED, BY_PERSON, UNDER_WAY, OBSERVED, WITHDRAWN = (
    "Waits for a person",
    "Resolved by itself",
    "Run on a person's word",
    "Answered by a person",
    "Under way",
    "Observed",
    "Withdrawn",
)


@dataclass(frozen=True)
class Outcome:
    """How many tickets ended one way. `key` names its colour."""

    key: str
    title: str
    count: int
    share: float
    start: float


@dataclass(frozen=True)
class CertificateCard:
    """A certificate and how it stands today."""

    row: Certificate
    state: str
    titles: list[str]

    @property
    def valid(self) -> bool:
        """Whether anything may run under it now."""
        return self.state in ("valid", "expires soon")


@dataclass(frozen=True)
class CustomerCard:
    """A customer's switch, budget and paused runbooks, and what the reader may do about them.

    `stopped`: who switched it off, when and why, where it is off.
    """

    customer: Customer
    budget: Budget | None
    paused: list[RunbookState]
    stopped: Entry | None
    can_stop: bool
    can_start: bool


@dataclass(frozen=True)
class Beat:
    """A worker pool and whether it has proved itself within the last minute."""

    row: WorkerBeat
    alive: bool


def outcomes(person: Person, *, at: datetime, days: int) -> list[Outcome]:
    """Where the tickets of the last days stand, by how they came there; shares add up to 1."""
    good = Run.objects.filter(ticket=OuterRef("pk"), status=Run.Status.SUCCEEDED)
    rows = (
        Ticket.objects.visible_to(person)
        .filter(received_at__gt=at - timedelta(days=days))
        .annotate(alone=Exists(good.filter(ordered_by__isnull=True)), ordered=Exists(good.exclude(ordered_by=None)))
        .values("status", "linked_run", "alone", "ordered")
        .annotate(count=Count("pk"))
    )
    sums: dict[str, int] = {}
    for row in rows:
        title = _outcome(row["status"], alone=row["alone"] or row["linked_run"] is not None, ordered=row["ordered"])
        sums[title] = sums.get(title, 0) + row["count"]
    total = sum(sums.values())
    found, start = [], 0.0
    for key, title in enumerate((BY_ITSELF, APPROVED, BY_PERSON, WAITING, UNDER_WAY, OBSERVED, WITHDRAWN)):
        share = sums.get(title, 0) / total if total else 0.0
        found.append(Outcome(f"o{key}", title, sums.get(title, 0), share, start))
        start += share
    return found


def agreement(person: Person, *, at: datetime, days: int) -> tuple[int, int]:
    """Verdicts of the last days, and how many of them named the article that Triage had put first."""
    same = Decision.objects.filter(
        ticket=OuterRef("ticket"), text_hash=OuterRef("text_hash"), article=OuterRef("article")
    )
    rows = Review.objects.visible_to(person).filter(undone_at__isnull=True, decided_at__gt=at - timedelta(days=days))
    return rows.count(), rows.filter(~Q(article=""), Exists(same)).count()


def certificates(person: Person, *, at: datetime) -> list[CertificateCard]:
    """Newest first; those that hold before those that no longer do."""
    rows = Certificate.objects.visible_to(person).select_related("customer", "release").order_by("-issued_at")[:50]
    cards = [CertificateCard(row, _state(row, at=at), [_title(key) for key in row.runbooks]) for row in rows]
    return sorted(cards, key=lambda card: not card.valid)


def releases(person: Person) -> QuerySet[Release]:
    """The newest model versions."""
    found: QuerySet[Release] = Release.objects.visible_to(person).select_related("customer").order_by("-created_at")
    return found[:20]


def customers(person: Person, *, at: datetime) -> list[CustomerCard]:
    """Each customer of the person with its switch."""
    rows = list(customers_of(person)[:100])
    budgets = {row.customer_id: row for row in Budget.objects.filter(customer__in=rows, year=at.year)}
    paused: dict[int, list[RunbookState]] = {}
    for state in RunbookState.objects.filter(enabled=False, customer__in=rows):
        paused.setdefault(state.customer_id, []).append(state)
    off = [row.pk for row in rows if not row.automation_enabled]
    stopped = latest(subject="customer", event="automation stopped", rows=off)
    return [
        CustomerCard(
            row,
            budgets.get(row.pk),
            paused.get(row.pk, []),
            stopped.get(row.pk),
            can_stop(person, row),
            can_start(person, row),
        )
        for row in rows
    ]


def beats(*, at: datetime) -> list[Beat]:
    """Every worker pool that has ever proved itself."""
    return [Beat(row, row.at > at - BEAT_MISSING) for row in WorkerBeat.objects.order_by("name")]


def jobs(person: Person) -> QuerySet[Job]:
    """Long work of the person's customers that is waiting or under way."""
    rows = Job.objects.filter(status__in=[Job.Status.WAITING, Job.Status.LEASED], customer__in=customers_of(person))
    return rows.select_related("customer").order_by("-changed_at")[:20]


def run_counts(person: Person, *, at: datetime, days: int) -> Mapping[str, int]:
    """Runs of the last days by status."""
    rows = Run.objects.visible_to(person).filter(requested_at__gt=at - timedelta(days=days)).order_by()
    return {row["status"]: row["count"] for row in rows.values("status").annotate(count=Count("pk"))}


def _outcome(status: str, *, alone: bool, ordered: bool) -> str:
    if status in (T.NEEDS_REVIEW, T.WAITING_APPROVAL):
        return WAITING
    if status in (T.RESOLVED, T.ANSWERED):
        return APPROVED if ordered else BY_ITSELF if alone else BY_PERSON
    return {T.OBSERVED.value: OBSERVED, T.WITHDRAWN.value: WITHDRAWN}.get(status, UNDER_WAY)


def _state(row: Certificate, *, at: datetime) -> str:
    if row.revoked_at:
        return "revoked"
    if row.expires_at <= at:
        return "expired"
    if row.release.status != Release.Status.IN_FORCE:
        return "its release is not in force"
    return "expires soon" if row.expires_at < at + EXPIRES_SOON else "valid"


def _title(key: str) -> str:
    return RUNBOOKS[key].title if key in RUNBOOKS else key
