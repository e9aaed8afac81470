"""How the whole thing stands: releases, workers, jobs, lost runs, and the switches."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet

from triage.models import Budget, Customer, Job, Person, Release, Run, RunbookState, WorkerBeat
from triage.permissions import starts_at, stops_at
from triage.queries.customers import customers_of
from triage.queries.log import Entry, latest

BEAT_MISSING = timedelta(seconds=60)
MOST_CUSTOMERS = 100


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


def releases(person: Person, *, customer: Customer | None) -> QuerySet[Release]:
    """The releases in force, by customer."""
    found: QuerySet[Release] = Release.objects.visible_to(person).filter(status=Release.Status.IN_FORCE)
    if customer is not None:
        found = found.filter(customer=customer)
    return found.select_related("customer").defer("measures").order_by("customer__name")[:MOST_CUSTOMERS]


def customers(person: Person, *, at: datetime) -> list[CustomerCard]:
    """Each customer of the person with its switch."""
    rows = list(customers_of(person)[:MOST_CUSTOMERS])
    budgets = {row.customer_id: row for row in Budget.objects.filter(customer__in=rows, year=at.year)}
    paused: dict[int, list[RunbookState]] = {}
    for state in RunbookState.objects.filter(enabled=False, customer__in=rows):
        paused.setdefault(state.customer_id, []).append(state)
    off = [row.pk for row in rows if not row.automation_enabled]
    stopped = latest(subject="customer", event="automation stopped", rows=off)
    may_stop, may_start = stops_at(person, rows), starts_at(person, rows)
    return [
        CustomerCard(
            row,
            budgets.get(row.pk),
            paused.get(row.pk, []),
            stopped.get(row.pk),
            row.pk in may_stop,
            row.pk in may_start,
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


def lost_runs(person: Person, *, customer: Customer | None) -> int:
    """Runs of which nobody knows whether they happened: each waits for a person."""
    rows = Run.objects.visible_to(person).filter(status=Run.Status.UNKNOWN)
    return (rows.filter(customer=customer) if customer is not None else rows).count()
