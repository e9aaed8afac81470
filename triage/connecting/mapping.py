"""Whose the tickets of a shared source are: values that wait for a customer; mapping one frees its tickets."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from triage import intake, lifecycle
from triage.connecting.making import ConnectRefused
from triage.intake.owners import owner_parts
from triage.models import Customer, Person, Source, SourceMapping, Ticket
from triage.models.source import SourceMappingPart
from triage.permissions import check_can_keep_source

LOOKED_AT = 5000
SHOWN = 50


@dataclass(frozen=True)
class Waiting:
    """A value of the ITSM that no customer answers for, and how many waiting tickets name it."""

    part: str
    value: str
    count: int

    @property
    def title(self) -> str:
        """What the ITSM calls it."""
        return str(SourceMappingPart(self.part).label)


@dataclass(frozen=True)
class Unmapped:
    """Tickets of a source that wait for their customer. `nameless`: those that name no owner at all."""

    total: int
    nameless: int
    values: tuple[Waiting, ...]


def unmapped(source: Source) -> Unmapped:
    """What waits for a mapping, most first; of very many tickets the newest are looked at."""
    if source.customer_id is not None:
        return Unmapped(0, 0, ())
    rows = Ticket.objects.filter(source=source, customer__isnull=True)
    total = rows.count()
    counts: Counter[tuple[str, str]] = Counter()
    nameless = 0
    for fields in rows.order_by("-pk").values_list("fields", flat=True)[:LOOKED_AT]:
        named = owner_parts(fields)
        nameless += not named
        counts.update(named.items())
    known = set(SourceMapping.objects.filter(source=source).values_list("part", "value"))
    listed = [
        Waiting(part, value, count) for (part, value), count in counts.most_common() if (part, value) not in known
    ]
    return Unmapped(total, nameless, tuple(listed[:SHOWN]))


def map_value(source: Source, *, part: str, value: str, customer: Customer, person: Person, at: datetime) -> int:
    """Let a value mean a customer; how many waiting tickets found theirs. Raises ConnectRefused.

    A ticket keeps the customer that it has: what was mapped otherwise before stays where it is.
    """
    check_can_keep_source(person, source.customer)
    value = value.strip()
    if source.customer_id is not None:
        raise ConnectRefused(_("All tickets of this source belong to %(name)s.") % {"name": source.customer})
    if part not in SourceMappingPart.values or not 0 < len(value) <= 200 or not value.isprintable():
        raise ConnectRefused(_("Say what the value is, and give it in one line of at most 200 characters."))
    try:
        with transaction.atomic():
            row = SourceMapping.objects.create(source=source, part=part, value=value, customer=customer)
            said = f"{source.slug}: {part} {value} is {customer.slug}"
            lifecycle.record(row=row, event="mapped", at=at, actor=f"person:{person.pk}", reason=said)
    except IntegrityError:
        raise ConnectRefused(_("This value means a customer already; remove that mapping first.")) from None
    return intake.map_waiting(source=source, at=at)


def unmap(source: Source, *, pk: int, person: Person, at: datetime) -> None:
    """Take a mapping back: new tickets that name the value wait for a customer. Raises ConnectRefused."""
    check_can_keep_source(person, source.customer)
    with transaction.atomic():
        row = SourceMapping.objects.select_for_update().filter(source=source, pk=pk).first()
        if row is None:
            raise ConnectRefused(_("This mapping is gone already."))
        said = f"{source.slug}: {row.part} {row.value}"
        lifecycle.record(row=row, event="mapping removed", at=at, actor=f"person:{person.pk}", reason=said)
        row.delete()
