"""Where tickets will stand in the desk's queue: what reads alike, in which language, and what an answer is worth."""

import hashlib

from django.db.models import Count

from classifier.text import Document, masked
from triage.models import Customer, Ticket
from triage.prediction.deciding import Outcome
from triage.queries import order

LONGEST_TEXT = 4000
"""Characters of subject and body that are compared: what a classifier reads at most."""


def give(customer: Customer, outcomes: list[Outcome]) -> None:
    """Note it on the tickets of these outcomes, whose rows the caller has locked.

    The turn counts those that wait with the same masked text at this moment: a group that grows moves up with its
    newest ticket.
    """
    for outcome in outcomes:
        outcome.ticket.alike = alike_key(outcome.ticket)
    waiting = _waiting(customer, {outcome.ticket.alike for outcome in outcomes})
    for outcome in outcomes:
        ticket, found = outcome.ticket, outcome.ranking
        language = found.evidence.language if found else ""
        ticket.spoken = "" if language == "und" else language[:16]
        ticket.turn = order.turn_of(
            drawn=outcome.drawn,
            matches=[{"probability": match.probability} for match in found.matches] if found else [],
            new_articles=[{"in_front": True} for _ in outcome.new_articles.in_front],
            sufficient=bool(found and found.evidence.sufficient),
            alike=waiting.get(ticket.alike, 0),
        )
    Ticket.objects.bulk_update([one.ticket for one in outcomes], ["alike", "spoken", "turn"], batch_size=100)


def alike_key(ticket: Ticket) -> str:
    """SHA-256 (hex) of the masked text. Unlike a storm key it leaves out who and what the ticket is about."""
    document = Document(ticket.subject[:LONGEST_TEXT], ticket.body[:LONGEST_TEXT])
    return hashlib.sha256(masked(document).encode()).hexdigest()


def _waiting(customer: Customer, keys: set[str]) -> dict[str, int]:
    rows = Ticket.objects.of(customer).filter(status=Ticket.Status.NEEDS_REVIEW, alike__in=keys)
    return dict(rows.order_by().values_list("alike").annotate(Count("pk")))
