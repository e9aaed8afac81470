"""Whose a ticket is: the source's customer, or the one that its mappings name. Until then it waits, unclassified."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from triage import lifecycle, sampling
from triage.models import Customer, Draw, Source, SourceMapping, Ticket
from triage.models.source import SourceMappingPart

ACTOR = "system:intake"
BATCH = 500


class Owners:
    """Answers for one delivery: the mappings that it can need are read once."""

    def __init__(self, source: Source, owners: Iterable[Mapping[str, str]]) -> None:
        self._source = source
        self._found: dict[tuple[str, str], Customer] = {}
        values = sorted({value for owner in owners for value in owner.values()}) if source.customer_id is None else []
        for start in range(0, len(values), BATCH):
            rows = SourceMapping.objects.filter(source=source, value__in=values[start : start + BATCH])
            self._found |= {(row.part, row.value): row.customer for row in rows.select_related("customer")}

    def of(self, owner: Mapping[str, str]) -> Customer | None:
        """The customer, None where no mapping or more than one customer answers."""
        if self._source.customer is not None:
            return self._source.customer
        named = {found for part, value in owner.items() if (found := self._found.get((part, value))) is not None}
        return named.pop() if len(named) == 1 else None


def owner_parts(fields: Mapping[str, str]) -> dict[str, str]:
    """What a stored ticket's fields say of its owner."""
    named = {part: fields.get(part, "").strip() for part in SourceMappingPart.values}
    named["organisation"] = named["organisation"] or fields.get("organization", "").strip()
    return {part: value for part, value in named.items() if value}


def map_waiting(*, source: Source, at: datetime) -> int:
    """Give the source's unowned tickets to the customers that now answer for them; how many found theirs.

    Call it after a mapping or the source's customer was set. Each ticket gets its draw, of the day it came.
    """
    source = Source.objects.select_related("customer").get(pk=source.pk)
    done, last = 0, 0
    while True:
        with transaction.atomic():
            rows = list(
                Ticket.objects.filter(source=source, customer__isnull=True, pk__gt=last)
                .order_by("pk")
                .select_for_update()[:BATCH]
            )
            owners = Owners(source, [owner_parts(row.fields) for row in rows])
            done += sum(give(row, customer=owners.of(owner_parts(row.fields)), at=at) for row in rows)
        if len(rows) < BATCH:
            return done
        last = rows[-1].pk


def give(ticket: Ticket, *, customer: Customer | None, at: datetime) -> bool:
    """Make the customer the ticket's owner, once and for good; inside the caller's transaction."""
    if customer is None or not Ticket.objects.filter(Q(customer__isnull=True), pk=ticket.pk).update(customer=customer):
        return False
    ticket.customer = customer
    Draw.objects.bulk_create([drawn(ticket)], ignore_conflicts=True)
    lifecycle.record(row=ticket, event="mapped", at=at, actor=ACTOR, after=customer.slug)
    return True


def drawn(ticket: Ticket) -> Draw:
    """The draw of the ticket's cluster: the one of its first text, on the day it was received."""
    assert ticket.customer is not None  # noqa: S101 - a ticket without an owner has no draw
    found = sampling.draw(customer=ticket.customer, storm_key=ticket.storm_key, at=ticket.received_at)
    return Draw(
        ticket=ticket,
        customer=ticket.customer,
        cluster=found.cluster,
        purpose=found.purpose,
        probability=found.probability,
        drawn_at=ticket.received_at,
    )
