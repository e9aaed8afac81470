"""Raw deliveries of sources that serve several customers: what of them is one customer's, and its removal.

A message of the ITSM with tickets of several customers is kept as it was signed. A page that was pulled is the
product's own record, and loses the customer's tickets alone; the ITSM's whole answer beside them goes where it tells of
any of the customer's tickets, and is in no export, since it tells of others' too.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from triage import landing
from triage.intake.pages import parsed_again
from triage.itsm import IncomingTicket
from triage.lake import layout
from triage.lake.store import ObjectStore
from triage.models import Delivery, DeliveryKey, Source, SourceMapping, Ticket
from triage.offboarding.container import Tick, never

_WORD = re.compile(r"[\w.-]+")
MIXED = "messages of shared sources with tickets of other customers in them stay in the lake as they were signed"


@dataclass
class Lines:
    """The lines of one pack. `mine` leave it, of `parted` a part does, `left` is what it then holds.

    `mixed`: how many stay whole although tickets of the customer's are in them.
    """

    key: str
    mine: list[bytes] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    parted: dict[str, tuple[str, int]] = field(default_factory=dict)
    left: list[bytes] = field(default_factory=list)
    mixed: int = 0

    @property
    def changes(self) -> bool:
        """Whether there is anything to take out."""
        return bool(self.ids or self.parted)


class Shared:
    """One source that serves several customers, as one of them sees it.

    `own`: it is the customer's now, so that tickets which nobody knows are the customer's too.
    """

    def __init__(self, source: Source, *, customer: int, own: bool, mapped: Sequence[tuple[str, str]]) -> None:
        self.source = source
        self._own = own
        self._mapped = set(mapped)
        named = Ticket.objects.filter(source=source).values_list("external_id", "customer_id")
        self._owners: dict[str, bool] = {external: owner == customer for external, owner in named}

    def packs(self, store: ObjectStore, *, tick: Tick = never) -> Iterator[Lines]:
        """The packs that hold anything of the customer's."""
        for key in list(store.list(layout.raw_prefix(customer=None, source=str(self.source.uuid)))):
            tick()
            found = Lines(key)
            packed = store.get(key)
            texts = [text for text in packed.split(b"\n") if text]
            for text, one in zip(texts, landing.packed_in(packed), strict=True):
                self._sort(found, text, one)
            if found.changes or found.mixed:
                yield found

    def waiting(self) -> Iterator[Delivery]:
        """Deliveries of the customer's alone whose bytes have not landed yet."""
        rows = Delivery.objects.filter(source_id=self.source.pk, customer_id__isnull=True, landed_at__isnull=True)
        for row in list(rows.order_by("pk")):
            tickets, _ = self._read(bytes(row.body or b""), row.headers, row.received_at)
            if {self._mine(one) for one in tickets} == {True}:
                yield row

    def _sort(self, found: Lines, text: bytes, one: landing.Packed) -> None:
        tickets, pulled = self._read(one.raw, one.headers, one.received_at)
        told = {self._mine(ticket) for ticket in tickets}
        if pulled and (True in told or self._answers(one.raw)):
            mine, others = self._split(one.raw)
            found.mine += [_line(text, mine)] if True in told else []
            if told == {True}:
                found.ids.append(str(one.id))
            else:
                found.left.append(_line(text, others))
                found.parted[str(one.id)] = hashlib.sha256(others).hexdigest(), len(others)
        elif told == {True}:
            found.mine.append(text + b"\n")
            found.ids.append(str(one.id))
        else:
            found.mixed += True in told
            found.left.append(text + b"\n")

    def _answers(self, raw: bytes) -> bool:
        """Whether the ITSM's answer, kept beside the tickets that were news, tells of one of the customer's."""
        page = json.loads(raw)
        text = str(page.get("answer", "")) or base64.b64decode(page.get("answer_b64", "")).decode("utf-8", "replace")
        return any(self._owners.get(word) for word in _WORD.findall(text))

    def _read(self, raw: bytes, headers: Mapping[str, str], at: datetime) -> tuple[list[IncomingTicket], bool]:
        parsed, pulled = parsed_again(self.source, body=raw, headers=headers, received_at=at)
        return [ticket for _, ticket in parsed.tickets], pulled

    def _split(self, raw: bytes) -> tuple[bytes, bytes]:
        """A pulled page as two: the customer's tickets, and the others'."""
        page = json.loads(raw)
        whose = [self._mine(IncomingTicket.from_json(json.dumps(item).encode())) for item in page["tickets"]]
        rest = {name: value for name, value in page.items() if name not in ("answer", "answer_b64")}
        parts = [
            {**rest, "tickets": [item for item, own in zip(page["tickets"], whose, strict=True) if own is wanted]}
            for wanted in (True, False)
        ]
        mine, others = (json.dumps(part, ensure_ascii=False).encode() for part in parts)
        return mine, others

    def _mine(self, ticket: IncomingTicket) -> bool:
        owner = self._owners.get(ticket.external_id)
        if owner is not None:
            return owner
        return self._own or any(pair in self._mapped for pair in ticket.owner.items())


def of(*, customer: int, own: Sequence[int], mapped: Sequence[Sequence[Any]]) -> list[Shared]:
    """The sources whose messages may lie among others': with tickets or mappings of the customer, and its own.

    A source that is the customer's own now may have been shared, or nobody's, before.
    """
    ids = set(Ticket.objects.filter(customer=customer).values_list("source", flat=True).distinct())
    ids |= {source for source, _, _ in mapped} | set(own)
    return [
        Shared(
            source,
            customer=customer,
            own=source.pk in own,
            mapped=[(part, value) for pk, part, value in mapped if pk == source.pk],
        )
        for source in Source.objects.filter(pk__in=ids).order_by("pk")
    ]


def mappings_of(customer: int) -> list[tuple[int, str, str]]:
    """Source, part and value of each of the customer's mappings."""
    return list(SourceMapping.objects.filter(customer=customer).values_list("source", "part", "value"))


def forget(source: Shared, store: ObjectStore, *, tick: Tick = never) -> int:
    """Take the customer's lines out of the source's packs; how many. Safe to do again from any line.

    The rows go first: once a line has left its object, nothing says any more which row it was.
    """
    count = 0
    for pack in source.packs(store, tick=tick):
        if not pack.changes:
            continue
        _drop(pack.ids)
        for name, (digest, size) in pack.parted.items():
            Delivery.objects.filter(uuid=name).update(sha256=digest, size=size)
            DeliveryKey.objects.filter(delivery=name).update(sha256=digest)
        if pack.left:
            store.put(pack.key, b"".join(pack.left), metadata={landing.METADATA: str(len(pack.left))})
        else:
            store.delete([pack.key])
        count += len(pack.mine)
    for row in source.waiting():
        count += _drop([str(row.uuid)])
    return count


def _drop(ids: Sequence[str]) -> int:
    done = 0
    for start in range(0, len(ids), 500):
        part = ids[start : start + 500]
        with transaction.atomic():
            DeliveryKey.objects.filter(delivery__in=part).delete()
            done += Delivery.objects.filter(uuid__in=part).delete()[0]
    return done


def _line(text: bytes, raw: bytes) -> bytes:
    """A line of a pack with another body, its digest beside it."""
    line = {name: value for name, value in json.loads(text).items() if name not in ("body", "body_b64")}
    line |= {"sha256": hashlib.sha256(raw).hexdigest(), "body": raw.decode()}
    return json.dumps(line, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() + b"\n"
