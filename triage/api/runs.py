"""Runs: what was done, or is under way."""

from collections.abc import Collection
from datetime import datetime
from typing import Literal
from uuid import UUID

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone
from ninja import Query, Router, Schema

from triage.api.access import person_of
from triage.api.pages import Page, cut
from triage.api.problems import PROBLEMS
from triage.models import Run, Ticket
from triage.queries import blind

router = Router(tags=["runs"])
Status = Literal["requested", "claimed", "starting", "succeeded", "failed", "undone", "undo_failed", "unknown", "void"]


class RunOut(Schema):
    """One run. Where the ticket was drawn for a blind answer, `sealed` is true and what was run is null."""

    id: UUID
    customer: str
    ticket: str
    ticket_id: UUID
    sealed: bool
    runbook: str | None
    target: str | None
    target_object: str | None
    parameters: dict[str, str] | None
    reason: str | None
    status: Status | None
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class Runs(Schema):
    """A page of runs."""

    items: list[RunOut]
    next: str | None


class Wanted(Page):
    """Which runs."""

    status: Status | None = None


@router.get("/", response={200: Runs, **PROBLEMS}, operation_id="list_runs")
def runs(request: HttpRequest, wanted: Query[Wanted]) -> Runs:
    """Runs at the customers that the token's owner belongs to, newest first."""
    rows = Run.objects.visible_to(person_of(request, "runs:read")).select_related("ticket", "customer", "target")
    if wanted.status:
        # how a sealed ticket's run went would tell what was thought of it
        sealed = blind.sealed_among(Ticket.objects.all(), at=timezone.now())
        rows = rows.filter(status=wanted.status).exclude(ticket__in=sealed.values("pk"))
    shown, onward = cut(rows.defer("output", "phases"), wanted)
    hidden = blind.sealed([row.ticket for row in shown], at=timezone.now())
    return Runs(items=[_shown(row, hidden) for row in shown], next=onward)


@router.get("/{uuid}", response={200: RunOut, **PROBLEMS}, operation_id="read_run")
def run(request: HttpRequest, uuid: UUID) -> RunOut:
    """One run."""
    person = person_of(request, "runs:read")
    rows = Run.objects.visible_to(person).select_related("ticket", "customer", "target")
    row: Run = get_object_or_404(rows, uuid=uuid)
    sealed = blind.sealed_for(row.ticket, person=person, at=timezone.now())
    return _shown(row, {row.ticket_id} if sealed else set())


def _shown(row: Run, hidden: Collection[int]) -> RunOut:
    sealed = row.ticket_id in hidden
    return RunOut(
        id=row.uuid,
        customer=row.customer.slug,
        ticket=row.ticket.external_id,
        ticket_id=row.ticket.uuid,
        sealed=sealed,
        runbook=None if sealed else row.runbook,
        target=None if sealed else row.target.key,
        target_object=None if sealed else row.target_object,
        parameters=None if sealed else {name: str(value) for name, value in row.parameters.items()},
        reason=None if sealed else row.reason,
        status=None if sealed else row.status,  # type: ignore[arg-type]  # one of them by a constraint
        requested_at=row.requested_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )
