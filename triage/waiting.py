"""Runs that wait for a maintenance window or the end of a freeze: looked at again as it opens, or as it is moved."""

from datetime import datetime

from django.db import transaction

from runbooks.registry import RUNBOOKS
from triage import automation, lifecycle, obstacles
from triage.intake import plans
from triage.models import Run, Ticket
from triage.obstacles import Obstacle

ACTOR = "system:recovery"


def go_on(*, at: datetime) -> int:
    """Look at every run that waits for a window; how many of their tickets are decided again.

    A window that was moved, or a freeze that was lifted, counts at once. Nothing runs on a decision from before the
    wait: the ticket is decided again. What a person ordered stays ordered.
    """
    rows = Run.objects.filter(status=Run.Status.REQUESTED, window_at__isnull=False).order_by("pk")
    seen: dict[tuple[int, str, int], Obstacle | None] = {}
    again = 0
    for run in rows.select_related("customer", "target", "ticket"):
        runbook = RUNBOOKS.get(run.runbook)
        if runbook is None:
            continue
        key = (run.customer_id, run.runbook, run.target_id)
        if key not in seen:
            seen[key] = obstacles.closed(customer=run.customer, runbook=runbook, at=at, target=run.target)
        held = seen[key]
        if held is None:
            again += _opened(run, at=at)
        elif held.until is None:
            again += decide_again(run, at=at, reason=held.reason)
        elif held.until != run.window_at:
            automation.rest(run, held, at=at)
    return again


def _opened(run: Run, *, at: datetime) -> bool:
    if run.ordered_by_id is None:
        return decide_again(run, at=at, reason="Its maintenance window has opened: the ticket is decided again.")
    if run.window_at and run.window_at > at:  # it opens earlier than was said
        Run.objects.filter(pk=run.pk, status=Run.Status.REQUESTED).update(window_at=at, hold_until=at)
    return False


def decide_again(run: Run, *, at: datetime, reason: str) -> bool:
    """Call off a run that has not started and send its ticket, and those linked to it, back to the model."""
    with transaction.atomic():
        automation.lock(run)
        if not Run.objects.filter(pk=run.pk, status=Run.Status.REQUESTED, fence=run.fence).exists():
            return False
        ticket = Ticket.objects.get(pk=run.ticket_id)
        plans.void_plans(ticket, at=at, reason=reason)
        plans.supersede([ticket.pk])
        lifecycle.advance(
            Ticket.objects.filter(pk=ticket.pk, status=Ticket.Status.QUEUED),
            to=Ticket.Status.RECEIVED,
            at=at,
            actor=ACTOR,
            reason=reason,
            # the voided run has used its occasion up
            changes={"occasion": ticket.occasion + 1, "claim": None, "claim_until": None, "attempts": 0},
        )
    return True
