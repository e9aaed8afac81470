"""Taking a verdict back, within ten seconds and before anybody was told or anything was started."""

from datetime import datetime

from django.db import transaction

from triage import lifecycle, placing
from triage.models import Approval, AuditEvent, Decision, Label, Person, Review, Run, Ticket, Writeback
from triage.queries.blind import GRACE, UNDO
from triage.review.answering import key_of
from triage.review.refused import ReviewRefused
from triage.review.verdict import contradiction_key
from triage.telling import verdict_key, withdraw

T = Ticket.Status


def undo(review: Review, *, person: Person, at: datetime) -> Ticket:
    """Withdraw the person's own verdict with its label; the ticket is back where it was. Raises ReviewRefused."""
    with transaction.atomic():
        current = Review.objects.select_for_update().get(pk=review.pk)
        _check(current, person=person, at=at)
        Review.objects.filter(pk=current.pk).update(undone_at=at)
        Label.objects.filter(review=current).update(withdrawn_at=at, landed_at=None)
        _untell(current, at=at)
        for key in (verdict_key(current), contradiction_key(current)):
            withdraw(key, person=person, at=at)
        placing.withdraw(current, at=at)
        _unorder(current, person=person, at=at)
        ticket: Ticket = current.ticket
        _put_back(current, ticket, person=person, at=at)
        lifecycle.record(row=ticket, event="verdict undone", at=at, actor=f"person:{person.pk}", after=current.verdict)
    ticket.refresh_from_db()
    return ticket


def _check(review: Review, *, person: Person, at: datetime) -> None:
    if review.person_id != person.pk:
        raise ReviewRefused("Only the person who gave a verdict can undo it.")
    if review.undone_at:
        raise ReviewRefused("This verdict is undone already.")
    if at > review.decided_at + UNDO + GRACE:
        raise ReviewRefused(f"A verdict can be undone for {UNDO.seconds} seconds. Open the ticket and decide again.")


def _untell(review: Review, *, at: datetime) -> None:
    """Keep from telling the ITSM; refuse where it is being told."""
    mine = Writeback.objects.filter(key=key_of(review))
    waiting = mine.filter(status=Writeback.Status.WAITING, claim_until__isnull=True, attempts=0)
    if waiting.update(status=Writeback.Status.GIVEN_UP, reason="undone", done_at=at) != mine.count():
        raise ReviewRefused("The ITSM has been told already. Open the ticket there.")


def _unorder(review: Review, *, person: Person, at: datetime) -> None:
    """Void the run or the approval that the verdict ordered; refuse where the run has started."""
    if review.follow != "run":
        return
    actor = f"person:{person.pk}"
    runs = Run.objects.filter(ticket=review.ticket_id, ordered_by=person, requested_at=review.decided_at)
    voided = lifecycle.advance(
        runs.filter(status=Run.Status.REQUESTED), to=Run.Status.VOID, at=at, actor=actor, reason="undone"
    )
    if runs.count() != len(voided):
        raise ReviewRefused("The runbook has started already. Look at its run.")
    asked = Approval.objects.filter(ticket=review.ticket_id, asked_at=review.decided_at)
    lifecycle.advance(
        asked.filter(status=Approval.Status.ASKED), to=Approval.Status.VOID, at=at, actor=actor, reason="undone"
    )
    ordered = [*runs.values_list("decision", flat=True), *asked.values_list("decision", flat=True)]
    Decision.objects.filter(pk__in=ordered).update(in_force=False)
    decisions = Decision.objects.filter(ticket=review.ticket_id, text_hash=review.text_hash)
    former = decisions.exclude(pk__in=ordered).order_by("-pk").first()
    if former:
        Decision.objects.filter(pk=former.pk).update(in_force=True)


def _put_back(review: Review, ticket: Ticket, *, person: Person, at: datetime) -> None:
    """Return the ticket to where the verdict found it, unless something else has moved it since."""
    untouched = Ticket.objects.filter(pk=ticket.pk, changed_at=review.decided_at, text_hash=review.text_hash)
    moved = AuditEvent.objects.filter(subject="ticket", subject_id=ticket.pk, event="status", at=review.decided_at)
    step = moved.order_by("-id").first()
    if step is None:
        return  # a blind answer that moved nothing
    earlier = AuditEvent.objects.filter(
        subject="ticket", subject_id=ticket.pk, event="status", after=step.before, id__lt=step.pk
    )
    reason = earlier.order_by("-id").values_list("reason", flat=True).first() or ""
    if not lifecycle.advance(untouched, to=step.before, at=at, actor=f"person:{person.pk}", reason=reason):
        raise ReviewRefused("The ticket has moved on since your verdict. Open it again.")
