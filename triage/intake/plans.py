"""Taking back what was planned for a ticket: its decision, its request for approval, its run that has not started."""

from collections.abc import Sequence
from datetime import datetime

from triage import lifecycle
from triage.intake.owners import ACTOR
from triage.models import Approval, Decision, Prediction, Run, Ticket


def supersede(tickets: Sequence[int]) -> None:
    """Put the predictions and decisions of these tickets out of force; they stay readable and are never acted on."""
    Prediction.objects.filter(ticket_id__in=tickets, in_force=True).update(in_force=False)
    Decision.objects.filter(ticket__in=tickets, in_force=True).update(in_force=False)


def void_plans(ticket: Ticket, *, at: datetime, reason: str) -> bool:
    """Void the ticket's run that has not started and its approvals; whether there was such a run.

    Tickets that were linked to the run are decided again: it answers for them no more.
    """
    Run_, Asked = Run.Status, Approval.Status
    runs = Run.objects.filter(ticket=ticket, status__in=[Run_.REQUESTED, Run_.CLAIMED])
    voided = lifecycle.advance(runs, to=Run_.VOID, at=at, actor=ACTOR, reason=reason)
    approvals = Approval.objects.filter(ticket=ticket, status__in=[Asked.ASKED, Asked.GRANTED])
    lifecycle.advance(approvals, to=Asked.VOID, at=at, actor=ACTOR, reason=reason)
    if voided:
        linked = Ticket.objects.filter(linked_run__in=voided, status=Ticket.Status.LINKED)
        again = lifecycle.advance(
            linked,
            to=Ticket.Status.RECEIVED,
            at=at,
            actor=ACTOR,
            reason="The run that would have answered for it was called off.",
            changes={"linked_run": None, "claim": None, "claim_until": None, "attempts": 0},
        )
        supersede(again)
    return bool(voided)
