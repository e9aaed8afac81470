"""A person's word before a run: asked for, granted or refused, and bound to exactly what would happen."""

import hashlib
import json
from datetime import datetime, timedelta

from django.db import transaction

from runbooks.base import Runbook
from runbooks.registry import RUNBOOKS
from triage import lifecycle, versions
from triage.models import Approval, Customer, Decision, Notification, Person, Target, Ticket
from triage.targets import target_for

ASKED_FOR = timedelta(hours=24)
GRANTED_FOR = timedelta(minutes=30)


class ApprovalRefused(Exception):
    """This person may not answer this request now; the message says why."""


def binding(runbook: Runbook, *, customer: Customer, parameters: dict[str, str], target: Target | None) -> str:
    """SHA-256 of what an approval is good for: runbook version, parameters and target."""
    bound = {
        "runbook": runbook.key,
        "selection": runbook.selection_digest,
        "action": versions.digest(customer, runbook),
        "parameters": parameters,
        "target": target.pk if target else None,
    }
    return hashlib.sha256(json.dumps(bound, sort_keys=True).encode()).hexdigest()


def ask(*, ticket: Ticket, decision: Decision, people_needed: int, at: datetime) -> Approval | None:
    """Ask for a person's word and move the ticket to WAITING_APPROVAL; None where the ticket has moved on."""
    runbook = RUNBOOKS[decision.runbook]
    with transaction.atomic():
        moved = lifecycle.advance(
            Ticket.objects.filter(pk=ticket.pk, text_hash=decision.text_hash),
            to=Ticket.Status.WAITING_APPROVAL,
            at=at,
            actor="system:approvals",
            reason=decision.reason,
        )
        if not moved:
            return None
        approval = Approval.objects.create(
            customer_id=decision.customer_id,
            ticket=ticket,
            decision=decision,
            runbook=decision.runbook,
            parameters=decision.parameters,
            binding=binding(
                runbook,
                customer=decision.customer,
                parameters=decision.parameters,
                target=target_for(decision.customer, runbook),
            ),
            people_needed=people_needed,
            asked_at=at,
            expires_at=at + ASKED_FOR,
        )
        Notification.objects.get_or_create(
            key=f"approval-{approval.uuid}",
            defaults={
                "customer_id": decision.customer_id,
                "kind": "approval_waiting",
                "text": f"{runbook.title} waits for approval",
                "link": f"/approvals/{approval.uuid}/",
                "created_at": at,
            },
        )
    return approval


def lock(approval: Approval) -> None:
    """Lock the ticket before its approval: intake locks in the same order."""
    Ticket.objects.select_for_update().get(pk=approval.ticket_id)


def grant(approval: Approval, *, person: Person, at: datetime) -> bool:
    """Record one person's yes; True when that was the last one needed. Raises ApprovalRefused with the reason."""
    _check(approval, person=person, at=at)
    if approval.people_needed == 2 and approval.first_person_id is None:
        won = Approval.objects.filter(pk=approval.pk, status=Approval.Status.ASKED, first_person__isnull=True).update(
            first_person=person
        )
        if not won:
            raise ApprovalRefused("Somebody else answered at the same moment. Reload the page.")
        lifecycle.record(row=approval, event="first yes", at=at, actor=f"person:{person.pk}")
        return False
    second = {"second_person": person} if approval.people_needed == 2 else {"first_person": person}
    won_keys = lifecycle.advance(
        Approval.objects.filter(pk=approval.pk, status=Approval.Status.ASKED),
        to=Approval.Status.GRANTED,
        at=at,
        actor=f"person:{person.pk}",
        changes={"answered_at": at, "expires_at": at + GRANTED_FOR, **second},
    )
    if not won_keys:
        raise ApprovalRefused("This request was answered meanwhile. Reload the page.")
    return True


def refuse(approval: Approval, *, person: Person, reason: str, at: datetime) -> None:
    """Record a no; the ticket goes to a person. Raises ApprovalRefused with the reason."""
    _check(approval, person=person, at=at)
    with transaction.atomic():
        lock(approval)
        won = lifecycle.advance(
            Approval.objects.filter(pk=approval.pk, status=Approval.Status.ASKED),
            to=Approval.Status.REFUSED,
            at=at,
            actor=f"person:{person.pk}",
            reason=reason,
            changes={"answered_at": at, "refusal": reason[:500]},
        )
        if not won:
            raise ApprovalRefused("This request was answered meanwhile. Reload the page.")
        lifecycle.advance(
            Ticket.objects.filter(pk=approval.ticket_id, status=Ticket.Status.WAITING_APPROVAL),
            to=Ticket.Status.NEEDS_REVIEW,
            at=at,
            actor=f"person:{person.pk}",
            reason=f"The run was refused: {reason[:300]}",
        )


def still_bound(approval: Approval, *, at: datetime) -> str | None:
    """Why a granted approval no longer stands, or None."""
    runbook = RUNBOOKS.get(approval.runbook)
    if runbook is None:
        return "The runbook is no longer there."
    if approval.expires_at < at:
        return "The approval has expired."
    if not approval.decision.in_force:
        return "The ticket has changed since the approval was asked for."
    target = target_for(approval.customer, runbook)
    now = binding(runbook, customer=approval.customer, parameters=approval.parameters, target=target)
    if now != approval.binding:
        return "The runbook or its target has changed since the approval was asked for."
    return None


def expire(*, at: datetime) -> int:
    """Requests that nobody answered in time go to a person; how many."""
    due = Approval.objects.filter(status=Approval.Status.ASKED, expires_at__lt=at)
    return sum(_expire(approval, at=at) for approval in due)


def _expire(approval: Approval, *, at: datetime) -> int:
    with transaction.atomic():
        lock(approval)
        won = lifecycle.advance(
            Approval.objects.filter(pk=approval.pk, status=Approval.Status.ASKED),
            to=Approval.Status.EXPIRED,
            at=at,
            actor="system:recovery",
        )
        if won:
            lifecycle.advance(
                Ticket.objects.filter(pk=approval.ticket_id, status=Ticket.Status.WAITING_APPROVAL),
                to=Ticket.Status.NEEDS_REVIEW,
                at=at,
                actor="system:recovery",
                reason="Nobody answered the request for approval within 24 hours.",
            )
    return len(won)


def _check(approval: Approval, *, person: Person, at: datetime) -> None:
    if approval.status != Approval.Status.ASKED:
        raise ApprovalRefused("This request was answered already.")
    if approval.expires_at < at:
        raise ApprovalRefused("This request has expired.")
    asker = approval.ticket.requester.strip().casefold()
    if asker and asker in (person.email.casefold(), person.get_username().casefold()):
        raise ApprovalRefused("Nobody approves a run for their own ticket.")
    if approval.first_person_id == person.pk:
        raise ApprovalRefused("A second person must answer: you were the first.")
