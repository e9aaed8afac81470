"""Runs: what was done, and lost ones for a person to settle."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_POST

from runbooks.registry import RUNBOOKS
from triage import bell, review
from triage.models import Run
from triage.permissions import can_settle
from triage.queries import blind
from triage.web.page import DeskRequest, now, refuse, show, signed_in

PAGE = 50


@require_GET
@signed_in
def runs(request: DeskRequest) -> HttpResponse:
    """The newest runs; lost ones first, since each of them waits for a person."""
    rows = Run.objects.visible_to(request.user).select_related("ticket", "customer", "target", "ordered_by")
    status, before = request.GET.get("status", ""), request.GET.get("before", "")
    lost = list(rows.filter(status=Run.Status.UNKNOWN).order_by("pk")[:PAGE])
    if status in Run.Status.values:
        rows = rows.filter(status=status)
    if before.isdigit() and len(before) < 18:
        rows = rows.filter(pk__lt=int(before))
    shown = list(rows.order_by("-pk")[: PAGE + 1])
    hidden = blind.sealed([row.ticket for row in (*lost, *shown)], at=now())
    context = {
        "lost": [_line(row, hidden) for row in lost],
        "runs": [_line(row, hidden) for row in shown[:PAGE]],
        "onward": shown[PAGE - 1].pk if len(shown) > PAGE else None,
        "status": status,
        "statuses": Run.Status.choices,
    }
    return show(request, "triage/runs.html", context)


@require_GET
@signed_in
def run(request: DeskRequest, uuid: UUID) -> HttpResponse:
    """One run with its phases and output."""
    row = _found(request, uuid)
    context = {
        "run": row,
        "ticket": row.ticket,
        "runbook": RUNBOOKS.get(row.runbook),
        "lost": row.status == Run.Status.UNKNOWN,
        "may_settle": can_settle(request.user, row),
        "sealed": blind.sealed_for(row.ticket, person=request.user, at=now()),
    }
    return show(request, "triage/run.html", context)


@require_POST
@signed_in
def settle(request: DeskRequest, uuid: UUID) -> HttpResponse:
    """Say whether a lost run happened."""
    row = _found(request, uuid)
    found = {"happened": True, "did-not-happen": False}.get(request.POST.get("found", ""))
    try:
        review.settle_unknown(row, person=request.user, succeeded=found, note=request.POST.get("note", ""), at=now())
    except review.ReviewRefused as error:
        refuse(request, error)
    else:
        bell.ring("write_back")
        messages.success(request, "Settled. The ticket and its storm follow what you found.")
    return redirect("run", row.uuid)


def _found(request: DeskRequest, uuid: UUID) -> Run:
    rows = Run.objects.visible_to(request.user).select_related("ticket", "customer", "target", "ordered_by", "decision")
    row: Run = get_object_or_404(rows, uuid=uuid)
    return row


def _line(row: Run, hidden: set[int]) -> dict[str, object]:
    return {"row": row, "runbook": RUNBOOKS.get(row.runbook), "sealed": row.ticket_id in hidden}
