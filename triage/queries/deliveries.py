"""The delivery log of a source: what came, what became of it, and what was refused."""

import uuid
from contextlib import suppress
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from triage.models import AuditEvent, Delivery, Person, Refusal, Source, Ticket

PAGE = 50
MOMENTS = 200
S = Delivery.Status
STATUSES = (S.APPLIED, S.QUARANTINED, S.STORED)


@dataclass(frozen=True)
class DeliveryFilters:
    """What the reader narrowed the log to; unknown values narrow nothing."""

    status: str = ""
    text: str = ""

    @property
    def active(self) -> dict[str, str]:
        """The narrowing ones, for links."""
        return {name: value for name, value in vars(self).items() if value}


def deliveries_of(person: Person, source: Source) -> QuerySet[Delivery]:
    """Those of the source that belong to the customer for whom the person keeps it."""
    rows = Delivery.objects.filter(source_id=source.pk)
    # from a time when the source served others as well, theirs are not for this customer's eyes
    return rows if person.is_superuser else rows.filter(customer_id=source.customer_id)


def page(
    person: Person, source: Source, *, filters: DeliveryFilters, before: int | None = None
) -> tuple[list[Delivery], int | None]:
    """One page, newest first, and where the next one begins."""
    rows = narrowed(person, source, filters)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows.order_by("-pk").defer("body")[: PAGE + 1])
    return found[:PAGE], found[PAGE - 1].pk if len(found) > PAGE else None


def narrowed(person: Person, source: Source, filters: DeliveryFilters) -> QuerySet[Delivery]:
    """The deliveries that the filters leave."""
    rows = deliveries_of(person, source)
    if filters.status in STATUSES:
        rows = rows.filter(status=filters.status)
    return rows.filter(_about(source, filters.text)) if filters.text else rows


def _about(source: Source, text: str) -> Q:
    """By the message's key or own id, or by the ticket that it told of."""
    found = Q(key=text) | Q(external_id=text)
    with suppress(ValueError):
        found |= Q(uuid=uuid.UUID(text))
    ticket = Ticket.objects.filter(source=source, external_id=text).first()
    if ticket is None:
        return found
    # one that told of many tickets names none: what it did to this one happened at the moment when it came
    events = AuditEvent.objects.filter(subject="ticket", subject_id=ticket.pk, actor="system:intake")
    moments = {ticket.received_at, *events.order_by("-id").values_list("at", flat=True)[:MOMENTS]}
    return found | Q(external_id="", received_at__in=moments)


def refusals_of(source: Source, *, limit: int = PAGE) -> list[Refusal]:
    """What was refused lately, newest first."""
    return list(Refusal.objects.filter(source=source).order_by("-pk")[:limit])
