"""Requests for a person's word: what exactly would happen to what, yes or no."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from runbooks import rehearsal
from runbooks.registry import RUNBOOKS
from triage import automation, bell, lifecycle, storms
from triage.approvals import ApprovalRefused, still_bound
from triage.approvals import refuse as refuse_approval
from triage.models import Approval, Review
from triage.permissions import can_review, check_can_answer
from triage.queries import asked, blind
from triage.queries.log import name_of
from triage.targets import settings_of, target_for
from triage.web.page import DeskRequest, now, part, refuse, show, signed_in

SHOWN = 100


@require_safe
@signed_in
def approvals(request: DeskRequest) -> HttpResponse:
    """What waits for a word, first what expires first, and what was answered lately."""
    rows = Approval.objects.visible_to(request.user).select_related("ticket", "customer", "first_person", "decision")
    open_ones = asked.leading(rows.filter(status=Approval.Status.ASKED))
    waiting = list(open_ones.order_by("expires_at", "pk")[:SHOWN])
    answered = list(rows.exclude(status=Approval.Status.ASKED).order_by("-pk")[:20])
    hidden = blind.sealed([row.ticket for row in (*waiting, *answered)], at=now())
    context = {
        "asked": [_line(row, hidden) for row in waiting],
        "answered": [_line(row, hidden) for row in answered],
    }
    return show(request, "triage/approvals.html", context)


@require_safe
@signed_in
def approval(request: DeskRequest, uuid: UUID) -> HttpResponse:
    """One request, bound to exactly what it shows. The link in a mail leads here; nothing changes by looking."""
    row = _found(request, uuid)
    return show(request, "triage/approval.html", _context(request, row))


@require_POST
@signed_in
def rehearse(request: DeskRequest, uuid: UUID) -> HttpResponse:
    """What the pre-check says now and what the action would do, changing nothing: on demand, for who may answer."""
    row = _found(request, uuid)
    check_can_answer(request.user, row)
    try:
        _check_has_read(request, row)
        rehearsed, foreseen = _rehearsed(request, row)
    except ApprovalRefused as error:
        rehearsed, foreseen = rehearsal.Rehearsed(passed=False, message=str(error)), None
    context = {**_context(request, row), "rehearsed": rehearsed, "foreseen": foreseen}
    if request.htmx:
        return part(request, "triage/approval_rehearsed.html", context)
    return show(request, "triage/approval.html", context)


def _rehearsed(request: DeskRequest, row: Approval) -> tuple[rehearsal.Rehearsed, rehearsal.Foreseen | None]:
    runbook, at = RUNBOOKS.get(row.runbook), now()
    stale = still_bound(row, at=at)
    if row.status != Approval.Status.ASKED or stale or runbook is None:
        raise ApprovalRefused(stale or "This request was answered already.")
    target = target_for(row.customer, runbook)
    if target is None:
        raise ApprovalRefused("No target is set up for it.")
    lifecycle.record(row=row, event="rehearsed", at=at, actor=f"person:{request.user.pk}", reason=row.runbook)
    settings = settings_of(target)
    checked = rehearsal.pre_check(runbook, parameters=row.parameters, target=settings)
    if not checked.passed:
        return checked, None
    return checked, rehearsal.action(runbook, parameters=row.parameters, target=settings)


def _context(request: DeskRequest, row: Approval) -> dict[str, object]:
    at, runbook = now(), RUNBOOKS.get(row.runbook)
    open_ = row.status == Approval.Status.ASKED and row.expires_at > at
    return {
        "approval": row,
        "ticket": row.ticket,
        "runbook": runbook,
        "target": target_for(row.customer, runbook) if runbook else None,
        "parameters": _named(row),
        "asked_by": _asked_by(row),
        "not_allowed": _not_allowed(request, row),
        "stale": still_bound(row, at=at) if open_ else None,
        "open": open_,
        "alike": storms.asking_the_same(row).count() if open_ else 0,
        "sealed": blind.sealed_for(row.ticket, person=request.user, at=at),
        "may_answer_blind": can_review(request.user, row.ticket),
    }


@require_POST
@signed_in
def answer(request: DeskRequest, uuid: UUID) -> HttpResponse:
    """Say yes or no."""
    row = _found(request, uuid)
    check_can_answer(request.user, row)
    try:
        _check_has_read(request, row)
        if request.POST.get("answer") == "grant":
            _grant(request, row)
        else:
            _refuse(request, row)
    except ApprovalRefused as error:
        refuse(request, error)
        return redirect("approval", row.uuid)
    return redirect("approvals")


def _check_has_read(request: DeskRequest, row: Approval) -> None:
    if blind.sealed_for(row.ticket, person=request.user, at=now()):
        raise ApprovalRefused("Open the request and read it first.")


def _grant(request: DeskRequest, row: Approval) -> None:
    run = automation.grant(row, person=request.user, at=now())
    if run:
        bell.ring("execute_run", run.pk)
    bell.ring("tell_people")
    row.refresh_from_db()
    messages.success(request, _thanks(row))


def _refuse(request: DeskRequest, row: Approval) -> None:
    reason = request.POST.get("reason", "").strip()
    if not reason:
        raise ApprovalRefused("Say why not in a few words: the agents and the model's stewards learn from it.")
    refuse_approval(row, person=request.user, reason=reason[:500], at=now())
    messages.success(request, _("Refused. %(ticket)s goes to an agent.") % {"ticket": row.ticket.external_id})


def _found(request: DeskRequest, uuid: UUID) -> Approval:
    rows = Approval.objects.visible_to(request.user)
    rows = rows.select_related("ticket", "ticket__customer", "ticket__source", "customer", "decision", "first_person")
    row: Approval = get_object_or_404(rows, uuid=uuid)
    return row


def _asked_by(row: Approval) -> str:
    """The person who ordered the run; empty where the model's decision asks."""
    orders = Review.objects.filter(ticket=row.ticket_id, text_hash=row.ticket.text_hash, follow="run")
    review = orders.filter(undone_at__isnull=True).select_related("person").order_by("-pk").first()
    return name_of(review.person) if review else ""


def _line(row: Approval, hidden: set[int]) -> dict[str, object]:
    return {"row": row, "runbook": RUNBOOKS.get(row.runbook), "sealed": row.ticket_id in hidden}


def _named(row: Approval) -> list[tuple[str, str]]:
    runbook = RUNBOOKS.get(row.runbook)
    titles = {parameter.name: parameter.title for parameter in runbook.parameters} if runbook else {}
    return [(titles.get(name, name), str(value)) for name, value in row.parameters.items()]


def _not_allowed(request: DeskRequest, row: Approval) -> str:
    try:
        check_can_answer(request.user, row)
    except PermissionDenied as refused:
        return str(refused)
    return ""


def _thanks(row: Approval) -> str:
    if row.status == Approval.Status.ASKED:
        said = _("Your yes is recorded. A second person has to approve %(ticket)s too.")
    else:
        said = _("Approved. %(ticket)s is on its way.")
    return said % {"ticket": row.ticket.external_id}
