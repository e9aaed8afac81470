"""Runs: what was done, and lost ones for a person to settle."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from runbooks.registry import RUNBOOKS
from triage import bell, review, watching
from triage.models import Run
from triage.permissions import can_settle, check_can_settle
from triage.queries import blind
from triage.queries.numbers import whole
from triage.web.page import DeskRequest, now, refuse, show, signed_in

PAGE = 50
WAITING = frozenset({Run.Status.REQUESTED, Run.Status.CLAIMED})
LIVE = 4  # pieces of live output shown at once, 64 Ki characters at most


@require_GET
@signed_in
def runs(request: DeskRequest) -> HttpResponse:
    """The newest runs; lost ones first, since each of them waits for a person."""
    rows = Run.objects.visible_to(request.user).select_related("ticket", "customer", "target", "ordered_by")
    status, before = request.GET.get("status", ""), whole(request.GET.get("before", ""))
    lost = list(rows.filter(status=Run.Status.UNKNOWN).order_by("pk")[:PAGE])
    if status in Run.Status.values:
        rows = rows.filter(status=status)
    if before is not None:
        rows = rows.filter(pk__lt=before)
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
        "under_way": row.status == Run.Status.STARTING,
        "waiting_to_start": row.status in WAITING,
        "pieces": _pieces(row),
        "may_settle": can_settle(request.user, row),
        "sealed": blind.sealed_for(row.ticket, person=request.user, at=now()),
    }
    return show(request, "triage/run.html", context)


@require_GET
@signed_in
def live(request: DeskRequest, uuid: UUID) -> HttpResponse:
    """What a run under way has written so far; when it has started or ended, its page is to be loaded again."""
    row = _found(request, uuid)
    seen = WAITING if "waiting" in request.GET else {Run.Status.STARTING}
    if row.status not in seen:
        return HttpResponse(headers={"HX-Refresh": "true"})
    if row.status in WAITING:
        return HttpResponse(status=204)
    sealed = blind.sealed_for(row.ticket, person=request.user, at=now())
    return show(request, "triage/run_live.html", {"run": row, "pieces": _pieces(row), "sealed": sealed})


@require_POST
@signed_in
def stop(request: DeskRequest, uuid: UUID) -> HttpResponse:
    """Ask that a run under way end: its process tree here, or its job elsewhere."""
    row = _found(request, uuid)
    check_can_settle(request.user, row)
    try:
        watching.ask_to_stop(row, person=request.user, at=now())
    except watching.NotStopped as error:
        refuse(request, error)
    else:
        messages.success(request, _("The run is being ended. What it did until then is for you to find out."))
    return redirect("run", row.uuid)


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
        messages.success(request, _("Settled. The ticket and its storm follow what you found."))
    return redirect("run", row.uuid)


def _pieces(row: Run) -> list[str]:
    """The last pieces of what a run under way has written, oldest first."""
    if row.status != Run.Status.STARTING:
        return []
    return list(row.pieces.order_by("-pk").values_list("text", flat=True)[:LIVE])[::-1]


def _found(request: DeskRequest, uuid: UUID) -> Run:
    rows = Run.objects.visible_to(request.user).select_related("ticket", "customer", "target", "ordered_by", "decision")
    row: Run = get_object_or_404(rows, uuid=uuid)
    return row


def _line(row: Run, hidden: set[int]) -> dict[str, object]:
    return {"row": row, "runbook": RUNBOOKS.get(row.runbook), "sealed": row.ticket_id in hidden}
