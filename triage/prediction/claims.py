"""Who classifies which waiting tickets: short claims that expire, so that a killed worker holds nothing for long.

Rows that lost their worker once are read in a child, one after the other; rows that were tried twice, each by itself:
the text that killed a worker takes no other along, and a killed worker's whole batch is soon done.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import F, Q

from triage.environment import environment
from triage.models import Customer, Ticket
from triage.models.customer import CustomerQuerySet

TOGETHER = 100
"""How many tickets that were tried once share a child: its start costs as much as some thousand answers."""

TRIES = 3
"""How often a ticket is tried before a person gets it."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Tickets of one customer that this process may classify until the claim expires. `apart`: tried before."""

    id: uuid.UUID
    customer: Customer
    tickets: list[Ticket]
    apart: bool

    @property
    def rows(self) -> CustomerQuerySet:
        """The tickets that this claim still holds."""
        held = [ticket.pk for ticket in self.tickets]
        return Ticket.objects.filter(pk__in=held, claim=self.id, status=Ticket.Status.RECEIVED)


def waiting(*, at: datetime) -> CustomerQuerySet:
    """Tickets that wait for a model and that nobody holds. A ticket whose customer is unknown waits for a mapping."""
    free = Q(claim_until__isnull=True) | Q(claim_until__lt=at)
    return Ticket.objects.filter(free, status=Ticket.Status.RECEIVED, customer__isnull=False)


def take(*, at: datetime, limit: int, tried: bool) -> Claim | None:
    """Claim the longest waiting ticket and others of its customer, at most `limit`; with `tried` such as were tried.

    Commits at once: no transaction is open while the model runs. None where nothing waits.
    """
    rows = waiting(at=at).filter(**({"attempts__gte": 1} if tried else {"attempts": 0})).order_by("attempts", "pk")
    if connection.features.has_select_for_update_skip_locked:
        rows = rows.select_for_update(skip_locked=True, of=("self",))
    until = at + timedelta(seconds=environment().claim_seconds)
    claim = uuid.uuid4()
    with transaction.atomic():  # on SQLite the IMMEDIATE transaction keeps other claimers out until the commit
        first = rows.values_list("customer_id", "attempts").first()
        if first is None:
            return None
        customer, attempts = first
        most = (limit, min(limit, TOGETHER), 1)[min(attempts, 2)]
        keys = list(rows.filter(customer=customer, attempts=attempts).values_list("pk", flat=True)[:most])
        Ticket.objects.filter(pk__in=keys).update(claim=claim, claim_until=until, attempts=F("attempts") + 1)
    tickets = list(
        Ticket.objects.filter(pk__in=keys, claim=claim).select_related("source", "customer", "draw").order_by("pk")
    )
    return Claim(id=claim, customer=tickets[0].customer, tickets=tickets, apart=tried) if tickets else None


def give_back(claim: Claim) -> None:
    """Let go of what is still held; the try counts."""
    claim.rows.update(claim=None, claim_until=None)


def spare(claim: Claim) -> None:
    """Let go of what is still held, which had no try of its own."""
    claim.rows.update(claim=None, claim_until=None, attempts=F("attempts") - 1)


def postpone(claim: Claim, *, until: datetime) -> None:
    """Let go of what is still held until a later moment; the try does not count."""
    claim.rows.update(claim=None, claim_until=until, attempts=F("attempts") - 1)
