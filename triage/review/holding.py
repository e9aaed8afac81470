"""Holds: while one person has a ticket open, nobody else decides it. A hold runs out by itself."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from triage import lifecycle
from triage.models import Person, Ticket
from triage.permissions import check_can_review
from triage.queries.blind import awaits_verdict
from triage.queries.log import name_of
from triage.review.refused import ReviewRefused

HOLD = timedelta(minutes=5)


def hold(ticket: Ticket, *, person: Person, at: datetime) -> bool:
    """Take or renew the person's hold; False where somebody else has it. `ticket` then tells who and until when."""
    check_can_review(person, ticket)
    free = Q(held_by__isnull=True) | Q(held_until__isnull=True) | Q(held_until__lte=at) | Q(held_by=person)
    won = Ticket.objects.filter(free, pk=ticket.pk).update(held_by=person, held_until=at + HOLD)
    ticket.refresh_from_db(fields=["held_by", "held_until"])
    return bool(won)


def release(ticket: Ticket, *, person: Person) -> None:
    """Give the person's own hold back."""
    Ticket.objects.filter(pk=ticket.pk, held_by=person).update(held_by=None, held_until=None)


def take_hold(ticket: Ticket, *, person: Person, at: datetime) -> None:
    """Take the hold, whoever has it. The other's page says so, and a verdict from there is refused."""
    check_can_review(person, ticket)
    with transaction.atomic():
        current = Ticket.objects.select_for_update().get(pk=ticket.pk)
        Ticket.objects.filter(pk=ticket.pk).update(held_by=person, held_until=at + HOLD)
        if current.is_held(at=at) and current.held_by_id != person.pk:
            lifecycle.record(
                row=ticket,
                event="taken over",
                at=at,
                actor=f"person:{person.pk}",
                reason=f"{name_of(current.held_by)} had it open",
            )
    ticket.refresh_from_db(fields=["held_by", "held_until"])


def check_not_held(ticket: Ticket, *, person: Person, at: datetime) -> None:
    """Raise ReviewRefused where somebody else holds the ticket."""
    if ticket.is_held(at=at) and ticket.held_by_id != person.pk:
        raise ReviewRefused(f"{name_of(ticket.held_by)} has this ticket open. Take another one.")


def worth_holding(ticket: Ticket) -> bool:
    """Whether there is anything to decide about the ticket."""
    return ticket.status == Ticket.Status.NEEDS_REVIEW or awaits_verdict(ticket)
