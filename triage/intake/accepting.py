"""The way of a verified message into the database: one durable transaction, after which nothing of it can be lost."""

import hashlib
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime

from django.db import IntegrityError, connection, transaction

from classifier.text import Document, text_hash
from triage import itsm
from triage.intake.changes import Result, change
from triage.intake.creating import create
from triage.intake.owners import Owners
from triage.intake.storms import storm_key
from triage.itsm.base import BadLine, IncomingTicket, Parsed, PayloadInvalid
from triage.lake import layout
from triage.models import Delivery, DeliveryKey, Source, Ticket

TRIES = 3
BATCH = 500
LONGEST_REASON = 500
KEPT_HEADERS = ("webhook-", "x-hub-", "x-zendesk-", "x-atlassian-", "x-github-", "content-type", "user-agent")
_turn = threading.Lock()


@dataclass(frozen=True)
class Told:
    """What the sender learns of one ticket; `line` is 0 where the delivery was one ticket."""

    line: int
    external_id: str
    result: Result


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """What became of a message. Counts are of tickets; `waiting`: some of them wait for the model now.

    `kept`: its source is being set up, so that nothing came of it yet.
    """

    delivery: uuid.UUID
    duplicate: bool = False
    kept: bool = False
    created: int = 0
    updated: int = 0
    quarantined: int = 0
    waiting: bool = False
    tickets: tuple[Told, ...] = ()
    problems: tuple[BadLine, ...] = ()


@dataclass(frozen=True)
class Landed:
    """Where a message lies in the lake already: it is applied anew, and keeps its name."""

    delivery: uuid.UUID
    lake_key: str


@dataclass(frozen=True, kw_only=True)
class Message:
    """A message as it came, with what could be read of it. `pulled`: it tells states, of which equal ones are one."""

    source: Source
    key: str
    body: bytes
    sha256: str
    headers: Mapping[str, str]
    parsed: Parsed
    at: datetime
    pulled: bool = False
    landed: Landed | None = None


@dataclass
class Tally:
    """What became of the lines of a message so far."""

    tickets: list[Told] = field(default_factory=list)
    problems: list[BadLine] = field(default_factory=list)
    waiting: bool = False


def accept(
    *, source: Source, key: str, body: bytes, headers: Mapping[str, str], content_type: str, at: datetime
) -> Accepted:
    """Store a verified message and what it says of tickets; `key` is the sender's own name for the message.

    A redelivery changes nothing. What cannot be read is stored too, in quarantine with the reason. Raises
    PayloadTooLarge, and OperationalError where the database does not answer: then nothing is stored.
    """
    return store(
        Message(
            source=source,
            key=key,
            body=body,
            sha256=hashlib.sha256(body).hexdigest(),
            headers={name: value[:500] for name, value in headers.items() if name.startswith(KEPT_HEADERS)},
            parsed=parsed_by(source, body=body, content_type=content_type, at=at),
            at=at,
        )
    )


def parsed_by(source: Source, *, body: bytes, content_type: str, at: datetime) -> Parsed:
    """What the source's connector reads in a message; one that says nothing usable is a problem of line 0."""
    try:
        return itsm.SOURCES[source.kind].parse(body=body, content_type=content_type, at=at)
    except PayloadInvalid as error:
        return Parsed(problems=(BadLine(0, str(error)),))


def store(message: Message) -> Accepted:
    """Store a message and what it says of tickets, in one transaction: the one path of all tickets."""
    return _again_after_conflicts(message, names_of(message))


def names_of(message: Message) -> list[tuple[str, str]]:
    """Text hash and storm key of each ticket, made before the transaction: masking a long text takes a while."""
    return [
        (
            text_hash(Document(found.subject, found.body)),
            storm_key(
                source=message.source,
                subject=found.subject,
                body=found.body,
                requester=found.requester,
                actor=found.actor,
                fields=found.fields,
            ),
        )
        for _, found in message.parsed.tickets
    ]


def _again_after_conflicts(message: Message, names: list[tuple[str, str]]) -> Accepted:
    """Most keys are new, so the first try does not look; what conflicts is looked up the next time.

    A conflict is a redelivery, or a key or ticket that another process brings at the same moment.
    """
    for attempt in range(TRIES):
        try:
            with writer():
                return _store(message, names, look=attempt > 0)
        except IntegrityError:
            continue
    with writer():
        return _store(message, names, look=True)


def writer() -> AbstractContextManager[object]:
    """SQLite has one writer: this process's threads queue here, since its own waiting is by sleeping and unfair."""
    return _turn if connection.vendor == "sqlite" else nullcontext()


def _store(message: Message, names: list[tuple[str, str]], *, look: bool) -> Accepted:
    with transaction.atomic(durable=True):
        if look and (seen := DeliveryKey.objects.filter(source_id=message.source.pk, key=message.key).first()):
            return _seen_before(message, seen)
        delivery = message.landed.delivery if message.landed else uuid.UUID(layout.time_ordered_id(message.at))
        _remember(message, key=message.key, delivery=delivery)
        tally = Tally(problems=list(message.parsed.problems))
        if kept := _is_in_setup(message.source):
            _write(message, delivery, problems=tally.problems, status=Delivery.Status.STORED)
            return Accepted(delivery=delivery, kept=kept, problems=tuple(tally.problems))
        apply_tickets(message, names, tally)
        _write(message, delivery, problems=tally.problems)
    results = [told.result for told in tally.tickets]
    return Accepted(
        delivery=delivery,
        created=results.count(Result.CREATED),
        updated=results.count(Result.UPDATED) + results.count(Result.KEPT),
        quarantined=len(tally.problems),
        waiting=tally.waiting,
        tickets=tuple(tally.tickets),
        problems=tuple(tally.problems),
    )


def _is_in_setup(source: Source) -> bool:
    """Asked again under the row's lock: who goes live waits for this message, or this message becomes tickets."""
    return source.in_setup and Source.objects.select_for_update().filter(pk=source.pk, in_setup=True).exists()


def _seen_before(message: Message, seen: DeliveryKey) -> Accepted:
    """A redelivery; or another message under a key that is taken, which is kept aside, once."""
    if seen.sha256 == message.sha256:
        return Accepted(delivery=seen.delivery, duplicate=True)
    reason = f"the key {message.key} came before with other bytes; give each new message an id of its own"
    # no sender's key begins with an exclamation mark
    other = f"!{hashlib.sha256(f'{message.key} {message.sha256}'.encode()).hexdigest()}"
    known = DeliveryKey.objects.filter(source_id=message.source.pk, key=other).first()
    problem = BadLine(0, reason)
    if known is not None:
        return Accepted(delivery=known.delivery, duplicate=True, quarantined=1, problems=(problem,))
    delivery = uuid.UUID(layout.time_ordered_id(message.at))
    _remember(message, key=other, delivery=delivery)
    _write(message, delivery, problems=[problem])
    return Accepted(delivery=delivery, quarantined=1, problems=(problem,))


def _remember(message: Message, *, key: str, delivery: uuid.UUID) -> None:
    DeliveryKey.objects.create(
        source_id=message.source.pk, key=key, delivery=delivery, sha256=message.sha256, seen_at=message.at
    )


def in_words(problems: list[BadLine]) -> str:
    """What could not be used of a message, as one text for a column."""
    told = "; ".join(f"line {bad.line}: {bad.reason}" if bad.line else bad.reason for bad in problems)
    return told[:LONGEST_REASON]


def _write(message: Message, delivery: uuid.UUID, *, problems: list[BadLine], status: str = "") -> None:
    about = {found.external_id for _, found in message.parsed.tickets}
    Delivery.objects.create(
        uuid=delivery,
        source_id=message.source.pk,
        customer_id=message.source.customer_id,
        key=message.key,
        external_id=about.pop() if len(about) == 1 else "",
        received_at=message.at,
        status=status or (Delivery.Status.QUARANTINED if problems else Delivery.Status.APPLIED),
        reason=in_words(problems),
        headers=message.headers,
        sha256=message.sha256,
        size=len(message.body),
        body=None if message.landed else message.body,
        lake_key=message.landed.lake_key if message.landed else "",
        landed_at=message.at if message.landed else None,
    )


def apply_tickets(message: Message, names: list[tuple[str, str]], tally: Tally) -> None:
    """Create the unknown tickets at once, then apply the rest in the order of their lines."""
    source, parsed = message.source, message.parsed
    owners = Owners(source, [found.owner for _, found in parsed.tickets])
    known = dict(_known(source, sorted({found.external_id for _, found in parsed.tickets})))
    fresh: dict[str, tuple[IncomingTicket, tuple[str, str]]] = {}
    later: list[tuple[int, IncomingTicket]] = []
    for (line, found), name in zip(parsed.tickets, names, strict=True):
        if found.external_id in known or found.external_id in fresh:
            later.append((line, found))
        elif found.comment:
            tally.problems.append(BadLine(line, f"a comment on ticket {found.external_id}, which is not known"))
        else:
            fresh[found.external_id] = (found, name)
            tally.tickets.append(Told(line, found.external_id, Result.CREATED))
    made = create(list(fresh.values()), source=source, owners=owners, at=message.at)
    known |= {ticket.external_id: ticket for ticket in made}
    for line, found in later:
        ticket = known[found.external_id]
        customer = owners.of(found.owner)
        result = change(ticket, found, source=source, customer=customer, at=message.at, pulled=message.pulled)
        if result == Result.MISPLACED:
            tally.problems.append(BadLine(line, f"ticket {found.external_id} belongs to another customer"))
        tally.tickets.append(Told(line, found.external_id, result))
    tally.waiting = any(ticket.status == Ticket.Status.RECEIVED for ticket in known.values())


def _known(source: Source, external_ids: list[str]) -> Iterator[tuple[str, Ticket]]:
    for start in range(0, len(external_ids), BATCH):
        rows = Ticket.objects.filter(source=source, external_id__in=external_ids[start : start + BATCH])
        yield from ((row.external_id, row) for row in rows.order_by("pk").select_for_update())
