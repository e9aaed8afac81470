"""Storms that are going on: many equal alerts within minutes, and the run that answers them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Max, Min

from triage.models import Customer, Person, Run, Ticket
from triage.queries import blind

WINDOW = timedelta(minutes=10)
FEWEST = 10
"""So many equal alerts within the window are a storm."""


@dataclass(frozen=True)
class GoingOn:
    """One storm: its first ticket, how many alerts came within the window, how many of them a run answers for.

    `run` is None where none answers, or where nobody may know of it yet.
    """

    first: Ticket
    alerts: int
    linked: int
    run: Run | None


def going_on(person: Person, *, customer: Customer | None, at: datetime) -> list[GoingOn]:
    """The biggest storms of the last minutes, at most five; four queries."""
    rows = Ticket.objects.visible_to(person).filter(received_at__gt=at - WINDOW, actor=Ticket.Actor.MACHINE)
    if customer is not None:
        rows = rows.filter(customer=customer)
    found = list(
        rows.order_by()
        .values("customer", "storm_key")
        .annotate(n=Count("pk"), run=Max("linked_run"), linked=Count("linked_run"), first=Min("pk"))
        .filter(n__gte=FEWEST)
        .order_by("-n")[:5]
    )
    firsts = Ticket.objects.select_related("customer").in_bulk([row["first"] for row in found])
    runs = Run.objects.select_related("ticket").in_bulk([row["run"] for row in found if row["run"]])
    hidden = blind.sealed([*firsts.values(), *(run.ticket for run in runs.values())], at=at)
    storms = []
    for row in found:
        run, first = runs.get(row["run"]), firsts[row["first"]]
        secret = first.pk in hidden or (run is not None and run.ticket_id in hidden)
        storms.append(GoingOn(first, row["n"], 0 if secret else row["linked"], None if secret else run))
    return storms
