"""A person's word before a run: asked for, granted or refused, and bound to exactly what would happen."""

import hashlib
import hmac
import json
import logging
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from runbooks.base import Runbook
from runbooks.registry import RUNBOOKS
from runbooks.targets import TargetError
from triage import consent, keys, lifecycle, storms, targets, versions
from triage.models import Approval, Customer, Decision, Person, Review, Target, Ticket
from triage.permissions import is_requester
from triage.targets import target_for
from triage.telling import tell

log = logging.getLogger(__name__)

ASKED_FOR = timedelta(hours=24)
GRANTED_FOR = timedelta(minutes=30)


class ApprovalRefused(Exception):
    """This person may not answer this request now; the message says why."""


def binding(runbook: Runbook, *, customer: Customer, parameters: dict[str, str], target: Target | None) -> str:
    """A keyed SHA-256 of what an approval is good for: runbook version, parameters, and the target as it is reached.

    Keyed, since a target's settings hold credentials, and a plain hash of those could be searched.
    """
    bound = {
        "runbook": runbook.key,
        "selection": runbook.selection_digest,
        "action": versions.digest(customer, runbook),
        "parameters": parameters,
        "target": [target.pk, target.kind, target.settings] if target else None,
    }
    return hmac.new(keys.derive("approvals"), json.dumps(bound, sort_keys=True).encode(), hashlib.sha256).hexdigest()


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
        if not storms.asking_the_same(approval).exists():  # of a storm people hear once
            _tell_approvers(approval, at=at)
    return approval


def _tell_approvers(approval: Approval, *, at: datetime) -> None:
    """Whoever may answer and has not; of a second yes that is needed they hear apart from the first."""
    second = bool(approval.first_person_id)
    runbook = RUNBOOKS.get(approval.runbook)
    title = runbook.title if runbook else approval.runbook
    ordered = Review.objects.filter(ticket=approval.ticket_id, follow="run", undone_at__isnull=True)
    tell(
        kind="approval_waiting",
        customer=approval.customer,
        key=f"approval-{approval.uuid}{'-second' if second else ''}",
        text=f"{title} for {approval.ticket.external_id} waits for {'a second person' if second else 'approval'}.",
        link=f"/approvals/{approval.uuid}/",
        runbook=approval.runbook,
        ticket=approval.ticket,
        data={"approval": str(approval.uuid), "expires_at": approval.expires_at.isoformat()},
        but={*ordered.values_list("person", flat=True), approval.first_person_id} - {None},
        at=at,
    )


def lock(approval: Approval) -> None:
    """Lock the tickets that an answer moves before their approvals: intake locks in the same order."""
    alike = storms.asking_the_same(approval).values("ticket")
    mine = Ticket.objects.filter(Q(pk=approval.ticket_id) | Q(pk__in=alike))
    list(mine.order_by("pk").select_for_update().values_list("pk"))


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
        approval.refresh_from_db()
        _tell_approvers(approval, at=at)
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
    check_not_own(approval, person=person)
    _check(approval, person=person, at=at)
    with transaction.atomic():
        lock(approval)
        alike = list(storms.asking_the_same(approval).values_list("pk", flat=True))
        won = lifecycle.advance(
            Approval.objects.filter(pk__in=[approval.pk, *alike], status=Approval.Status.ASKED),
            to=Approval.Status.REFUSED,
            at=at,
            actor=f"person:{person.pk}",
            reason=reason,
            changes={"answered_at": at, "refusal": reason[:500]},
        )
        if approval.pk not in won:
            raise ApprovalRefused("This request was answered meanwhile. Reload the page.")
        lifecycle.advance(
            Ticket.objects.filter(approvals__in=won, status=Ticket.Status.WAITING_APPROVAL),
            to=Ticket.Status.NEEDS_REVIEW,
            at=at,
            actor=f"person:{person.pk}",
            reason=f"The run was refused: {reason[:300]}",
        )


def check_not_own(approval: Approval, *, person: Person) -> None:
    """Raise ApprovalRefused where one account of the customer's directory is both the requester's and the person's.

    It reads the directory, so it is called before any row is locked. A directory that does not answer is no reason to
    refuse: what a runbook mends may be that directory. Mail and user name are compared in any case.
    """
    asker, mine = approval.ticket.requester.strip(), {person.email.strip(), person.get_username()} - {""}
    if not asker:
        return
    for target in Target.objects.of(approval.customer).filter(kind="directory"):
        try:
            client = targets.directory(target)
            if client is None:
                continue
            with closing(client):
                found = client.find([asker, *mine])
        except (TargetError, LookupError, ValueError, OSError, sqlite3.Error) as error:
            log.warning("whose account a requester has could not be looked up in %s: %s", target.key, error)
            continue
        accounts = {account.uid for name in mine for account in found.get(name, ())}
        if accounts & {account.uid for account in found.get(asker, ())}:
            raise ApprovalRefused("Nobody approves a run for their own ticket, and its requester's account is yours.")


def check_owner_agrees(approval: Approval, *, person: Person) -> None:
    """Raise ApprovalRefused where this yes would be the last one, and the owner of what it is about has not said it.

    It reads the directory, so it is called before any row is locked.
    """
    runbook = RUNBOOKS.get(approval.runbook)
    if runbook is None or (approval.people_needed == 2 and approval.first_person_id is None):
        return
    target = target_for(approval.customer, runbook)
    people = [*consent.said_yes(approval), person]
    try:
        lacking = consent.lacking(runbook, approval.parameters, target=target, people=people)
    except TargetError as error:
        raise ApprovalRefused(f"Whose yes this needs is not known now: {error}. Try again later.") from error
    if lacking:
        raise ApprovalRefused(lacking)


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
    if is_requester(person, approval.ticket):
        raise ApprovalRefused("Nobody approves a run for their own ticket.")
    if approval.first_person_id == person.pk:
        raise ApprovalRefused("A second person must answer: you were the first.")
