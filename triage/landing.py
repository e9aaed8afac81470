"""Waiting deliveries go into the lake, packed into objects; labels go into its table.

An object's key is assigned to its deliveries and committed before the put, and the bytes leave the database only after
it. So a process may die at any line: the next pass builds the same object again, finds it there, and goes on.
"""

import base64
import hashlib
import json
import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Min, Sum

from triage.environment import environment
from triage.lake import here, layout
from triage.lake.store import AlreadyThere, LakeError, ObjectStore
from triage.lake.tables import Tables
from triage.models import Customer, Delivery, Label, Source

log = logging.getLogger(__name__)
PACK_LINES = 1000
PACK_BYTES = 16 * 1024 * 1024
LABELS = 1000
METADATA = "lines"


class PackDiffers(LakeError):
    """An object stands under a pack's key and holds something else; nothing was dropped from the database."""


@dataclass(frozen=True)
class Landed:
    """What one pass brought into the lake."""

    objects: int
    deliveries: int
    labels: int


def land(*, at: datetime) -> Landed:
    """One pass: finish packs that were begun, pack what is due, carry new labels over.

    Raises LakeUnavailable where the lake does not answer; everything then waits where it was.
    """
    if not Delivery.objects.filter(landed_at__isnull=True).exists():
        return Landed(0, 0, carry_labels(at=at))
    assign(at=at)
    begun = Delivery.objects.filter(landed_at__isnull=True).exclude(lake_key="")
    sizes = [finish(key, at=at) for key in begun.order_by("lake_key").values_list("lake_key", flat=True).distinct()]
    return Landed(objects=len(sizes), deliveries=sum(sizes), labels=carry_labels(at=at))


def assign(*, at: datetime) -> list[str]:
    """Give the deliveries that are due their object's key; the keys. Due: a pack is full, or the oldest waited long."""
    waiting = Delivery.objects.filter(landed_at__isnull=True, lake_key="")
    groups = waiting.values("source_id", "customer_id").annotate(
        lines=Count("id"), size_sum=Sum("size"), oldest=Min("received_at")
    )
    patience = timedelta(seconds=environment().landing_seconds)
    keys: list[str] = []
    for group in groups.order_by("source_id", "customer_id"):
        lines, size, late = group["lines"], group["size_sum"], group["oldest"] <= at - patience
        while lines > 0 and (late or lines >= PACK_LINES or size >= PACK_BYTES):
            found = _assign_one(source=group["source_id"], customer=group["customer_id"], at=at)
            if found is None:
                break
            key, packed_lines, packed_size = found
            keys.append(key)
            lines, size = lines - packed_lines, size - packed_size
    return keys


def land_source(source: int, *, at: datetime) -> None:
    """Bring all that waits of one source into the lake, due or not. Raises LakeError."""
    waiting = Delivery.objects.filter(source_id=source, landed_at__isnull=True)
    for customer in list(waiting.order_by("customer_id").values_list("customer_id", flat=True).distinct()):
        while _assign_one(source=source, customer=customer, at=at) is not None:
            pass
    for key in list(waiting.exclude(lake_key="").order_by("lake_key").values_list("lake_key", flat=True).distinct()):
        finish(key, at=at)


def _assign_one(*, source: int, customer: int | None, at: datetime) -> tuple[str, int, int] | None:
    """The next pack of one source: its key, lines and raw bytes; None where another process took the rows."""
    pack = layout.time_ordered_id(at)
    owner = str(Customer.objects.get(pk=customer).uuid) if customer is not None else None
    key = layout.raw_key(customer=owner, source=str(Source.objects.get(pk=source).uuid), at=at, pack_id=pack)
    with transaction.atomic(durable=True):
        rows = Delivery.objects.filter(landed_at__isnull=True, lake_key="", source_id=source, customer_id=customer)
        # on PostgreSQL a second process waits here and then sees the rows taken
        first = rows.order_by("id").select_for_update()[:PACK_LINES]
        chosen: list[Delivery] = []
        length = 0
        for row in first:
            length += len(line_of(row))
            if chosen and length > PACK_BYTES:
                break
            chosen.append(row)
        won = rows.filter(pk__in=[row.pk for row in chosen]).update(lake_key=key)
    return (key, won, sum(row.size for row in chosen)) if won else None


def finish(key: str, *, at: datetime) -> int:
    """Put the object under `key` and drop its bytes from the database; how many deliveries landed now.

    Raises PackDiffers where the key holds something else.
    """
    rows = list(Delivery.objects.filter(lake_key=key, landed_at__isnull=True).order_by("id"))
    if not rows:
        return 0  # another process finished it
    _put(here.store(), key, b"".join(line_of(row) for row in rows), lines=len(rows))
    with transaction.atomic(durable=True):
        return Delivery.objects.filter(lake_key=key, landed_at__isnull=True).update(landed_at=at, body=None)


def _put(store: ObjectStore, key: str, body: bytes, *, lines: int) -> None:
    try:
        store.put(key, body, if_absent=True, metadata={METADATA: str(lines)})
    except AlreadyThere:
        # ours, from before a crash or a lost answer; compared by what it holds, not by what its header claims
        found = hashlib.sha256(store.get(key)).hexdigest()
        if found != hashlib.sha256(body).hexdigest():
            raise PackDiffers(
                f"{key} holds something else than its deliveries; move that object away and land again"
            ) from None


def line_of(row: Delivery) -> bytes:
    """One delivery as a line, the same bytes whenever it is built."""
    raw = bytes(row.body or b"")
    line = {
        "id": str(row.uuid),
        "received_at": row.received_at.isoformat(),
        "headers": row.headers,
        "sha256": row.sha256,
        **_body(raw),
    }
    return json.dumps(line, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _body(raw: bytes) -> dict[str, str]:
    """The text itself where it is text and escaping it does not take more room than base64 does."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = None
    if text is not None and len(json.dumps(text, ensure_ascii=False)) - len(text) <= len(raw) // 3 + 2:
        return {"body": text}
    return {"body_b64": base64.b64encode(raw).decode()}


@dataclass(frozen=True)
class Packed:
    """One delivery of a pack, as it came."""

    id: UUID
    received_at: datetime
    headers: Mapping[str, str]
    raw: bytes


def deliveries_in(packed: bytes) -> Iterator[tuple[str, bytes]]:
    """Each delivery of a pack: its id and its raw bytes; raises ValueError as `packed_in` does."""
    return ((str(one.id), one.raw) for one in packed_in(packed))


def packed_in(packed: bytes) -> Iterator[Packed]:
    """The deliveries of a pack, each checked against the digest beside it.

    Raises ValueError naming the line that does not match.
    """
    for number, text in enumerate(packed.split(b"\n"), start=1):
        if not text:
            continue
        line = json.loads(text)
        raw = line["body"].encode() if "body" in line else base64.b64decode(line["body_b64"])
        if hashlib.sha256(raw).hexdigest() != line["sha256"]:
            raise ValueError(f"line {number} of the pack does not match its SHA-256; restore the object")
        yield Packed(UUID(line["id"]), datetime.fromisoformat(line["received_at"]), line["headers"], raw)


def carry_labels(*, at: datetime) -> int:
    """Append labels that the lake does not have yet, or not as they are now; how many.

    The append may happen twice when a process dies before it marked them: a row is named by its label's uuid, and
    readers take one row for each, the one written last.
    """
    waiting = list(
        Label.objects.filter(landed_at__isnull=True).select_related("customer", "ticket").order_by("id")[:LABELS]
    )
    by_customer: dict[Customer, list[Label]] = defaultdict(list)
    for label in waiting:
        by_customer[label.customer].append(label)
    for customer, labels in by_customer.items():
        _carry(here.tables(), customer=customer, labels=labels, at=at)
    return len(waiting)


def _carry(tables: Tables, *, customer: Customer, labels: Sequence[Label], at: datetime) -> None:
    rows = {label.pk: _label_row(label) for label in labels}
    withdrawn_at = {label.pk: label.withdrawn_at for label in labels}
    tables.append("labels", customer=str(customer.uuid), rows=list(rows.values()), at=at)
    # a label that was withdrawn meanwhile is not the one that was carried, and waits for the next pass
    for moment in set(withdrawn_at.values()):
        same = [pk for pk, found in withdrawn_at.items() if found == moment]
        carried = Label.objects.filter(pk__in=same, landed_at__isnull=True)
        carried.filter(**_exactly("withdrawn_at", moment)).update(landed_at=at)


def _exactly(column: str, moment: datetime | None) -> dict[str, object]:
    return {f"{column}__isnull": True} if moment is None else {column: moment}


def _label_row(label: Label) -> dict[str, object]:
    return {
        "uuid": label.uuid,
        "ticket": label.ticket.uuid if label.ticket else None,
        "subject": label.subject,
        "body": label.body,
        "language": label.language,
        "article": label.article,
        "provenance": label.provenance,
        "draw_purpose": label.draw_purpose,
        "draw_probability": label.draw_probability,
        "made_at": label.made_at,
        "withdrawn_at": label.withdrawn_at,
    }
