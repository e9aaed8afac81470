"""Tickets that only the lake knows: raw deliveries are applied again, after a database was restored to an older state.

What the database knows is left alone, so replaying twice changes nothing. Times are those of the first receipt: each
ticket gets the draw that it had.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import islice

from triage import intake
from triage.intake.accepting import Accepted, Landed
from triage.itsm.base import ItsmError
from triage.lake import layout
from triage.lake.store import ObjectStore
from triage.landing import Packed, packed_in
from triage.models import Delivery, Source

DAY = timedelta(days=1)  # a pack is named by the day on which it was landed, which may be the next one
AT_ONCE = 500


@dataclass
class Replayed:
    """Counts of one replay: objects read, deliveries in them, those applied now, and what they made."""

    source: str
    objects: int = 0
    deliveries: int = 0
    known: int = 0
    applied: int = 0
    created: int = 0
    updated: int = 0
    quarantined: int = 0
    unusable: int = 0

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def replay(*, source: Source, store: ObjectStore, since: datetime) -> Replayed:
    """Apply what the lake holds of the source's deliveries since then and the database lacks, in their order.

    Raises LakeError where the lake does not answer and ValueError where a pack is damaged; what was applied stays.
    """
    done = Replayed(source.slug)
    for key in _keys(source, store, since=since):
        done.objects += 1
        packed = (one for one in packed_in(store.get(key)) if one.received_at >= since)
        while some := list(islice(packed, AT_ONCE)):
            known = set(Delivery.objects.filter(uuid__in=[one.id for one in some]).values_list("uuid", flat=True))
            done.deliveries += len(some)
            done.known += len(known)
            for one in some:
                if one.id not in known:
                    _apply(source, one, Landed(one.id, key), done)
    return done


def _keys(source: Source, store: ObjectStore, *, since: datetime) -> Iterator[str]:
    """The source's packs in the order of their making: those of its customer, and of the time when it had none."""
    owners = [None] if source.customer is None else [str(source.customer.uuid), None]
    first = (since - DAY).date().isoformat()
    found: list[str] = []
    for owner in owners:
        prefix = layout.raw_prefix(customer=owner, source=str(source.uuid))
        found += [key for key in store.list(prefix) if key.removeprefix(prefix).removeprefix("date=")[:10] >= first]
    # a pack's name begins with its time
    yield from sorted(found, key=lambda key: key.rpartition("/")[2])


def _apply(source: Source, packed: Packed, landed: Landed, done: Replayed) -> None:
    try:
        accepted: Accepted = intake.apply_again(
            source=source, body=packed.raw, headers=packed.headers, landed=landed, received_at=packed.received_at
        )
    except ItsmError:
        done.unusable += 1  # it was put aside when it came, and is not better now
        return
    done.applied += 1
    done.created += accepted.created
    done.updated += accepted.updated
    done.quarantined += accepted.quarantined
