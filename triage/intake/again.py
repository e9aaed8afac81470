"""Deliveries that are applied later than they came: kept while their source was set up, or put aside and mended."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction

from triage import lifecycle
from triage.intake.accepting import TRIES, Accepted, Message, Tally, apply_tickets, in_words, names_of, writer
from triage.intake.changes import Result
from triage.intake.owners import ACTOR
from triage.intake.pages import parsed_again
from triage.itsm.base import BadLine, Parsed, PayloadTooLarge
from triage.models import Delivery, Source

S = Delivery.Status
Hook = Callable[[Delivery], None]


@dataclass(frozen=True)
class Stored:
    """A delivery with its raw bytes, wherever they lay."""

    row: Delivery
    body: bytes


def apply_stored(
    *, source: Source, stored: Stored, at: datetime, actor: str = ACTOR, note: Hook | None = None
) -> Accepted:
    """Apply a delivery, as of the time when it came; however often that is done, it counts once.

    What is known already, or is known in a later state, stays as it is. A delivery that can be used now becomes
    APPLIED; one that cannot is (or stays) QUARANTINED with its reason. `note` is called in the same transaction.
    """
    message = _message(source, stored)
    names = names_of(message)
    for _ in range(TRIES - 1):
        try:
            return _applied(message, names, stored.row, at=at, actor=actor, note=note)
        except IntegrityError:  # another process brought one of its tickets at the same moment: now it is known
            continue
    return _applied(message, names, stored.row, at=at, actor=actor, note=note)


def _applied(
    message: Message, names: list[tuple[str, str]], stored: Delivery, *, at: datetime, actor: str, note: Hook | None
) -> Accepted:
    with writer(), transaction.atomic(durable=True):
        row = Delivery.objects.select_for_update().get(pk=stored.pk)
        tally = Tally(problems=list(message.parsed.problems))
        apply_tickets(message, names, tally)
        _conclude(row, tally.problems, at=at, actor=actor)
        if note is not None:
            note(row)
    results = [told.result for told in tally.tickets]
    return Accepted(
        delivery=row.uuid,
        created=results.count(Result.CREATED),
        updated=results.count(Result.UPDATED) + results.count(Result.KEPT),
        quarantined=len(tally.problems),
        waiting=tally.waiting,
        tickets=tuple(tally.tickets),
        problems=tuple(tally.problems),
    )


def _message(source: Source, stored: Stored) -> Message:
    row = stored.row
    try:
        parsed, pulled = parsed_again(source, body=stored.body, headers=row.headers, received_at=row.received_at)
    except PayloadTooLarge as error:
        parsed, pulled = Parsed(problems=(BadLine(0, str(error)),)), False
    return Message(
        source=source,
        key=row.key,
        body=stored.body,
        sha256=row.sha256,
        headers=row.headers,
        parsed=parsed,
        at=row.received_at,
        pulled=pulled,
    )


def _conclude(row: Delivery, problems: list[BadLine], *, at: datetime, actor: str) -> None:
    rows = Delivery.objects.filter(pk=row.pk)
    if not problems:
        lifecycle.advance(rows, to=S.APPLIED, at=at, actor=actor)
        rows.filter(status=S.APPLIED).update(reason="")
    elif not lifecycle.advance(rows, to=S.QUARANTINED, at=at, actor=actor, reason=in_words(problems)):
        rows.filter(status=S.QUARANTINED).update(reason=in_words(problems))
