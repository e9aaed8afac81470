"""Tell the ITSM what came of a ticket. Retried alone: an ITSM that fails never re-runs a runbook."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F, Q

from triage import itsm
from triage.models import Draw, Review, Writeback

log = logging.getLogger(__name__)
TRIES = 8
CLAIM = timedelta(seconds=60)
FIRST_PAUSE = timedelta(seconds=10)


@dataclass(frozen=True)
class Told:
    """What one pass did."""

    done: int
    failed: int


def deliver(*, at: datetime, limit: int = 100) -> Told:
    """Send what is due. Each row is claimed first, so that two workers never send the same note at one moment."""
    done = failed = 0
    free = Q(claim_until__isnull=True) | Q(claim_until__lt=at)
    due = Writeback.objects.filter(free, status=Writeback.Status.WAITING, next_at__lte=at)
    for row in due.select_related("ticket__source").order_by("next_at")[:limit]:
        if not due.filter(pk=row.pk).update(claim_until=at + CLAIM, attempts=F("attempts") + 1):
            continue
        if _sealed(row):
            _later(row, at=at, pause=timedelta(minutes=5), reason="waits for the blind verdict", tries=0)
            continue
        try:
            answer = itsm.SOURCES[row.ticket.source.kind].reply(
                row.ticket.source, external_id=row.ticket.external_id, key=row.key, what=row.what, content=row.content
            )
        except itsm.ReplyFailed as error:
            failed += 1
            log.warning("writeback %s failed: %s", row.key, error)
            _failed(row, at=at, error=error)
        else:
            done += 1
            Writeback.objects.filter(pk=row.pk).update(
                status=Writeback.Status.DONE, done_at=at, reason=answer[:500], claim_until=None
            )
    return Told(done, failed)


def _sealed(row: Writeback) -> bool:
    """No note before the verdict on a ticket that was drawn: it would tell the reviewer the answer."""
    drawn = Draw.objects.filter(ticket=row.ticket, purpose=Draw.Purpose.HOLDOUT).exists()
    return drawn and not Review.objects.filter(ticket=row.ticket, undone_at__isnull=True).exists()


def _failed(row: Writeback, *, at: datetime, error: "itsm.ReplyFailed") -> None:
    tries = row.attempts + 1
    if error.permanent or tries >= TRIES:
        Writeback.objects.filter(pk=row.pk).update(
            status=Writeback.Status.GIVEN_UP, reason=str(error)[:500], claim_until=None
        )
    else:
        _later(row, at=at, pause=FIRST_PAUSE * 2**tries, reason=str(error), tries=tries)


def _later(row: Writeback, *, at: datetime, pause: timedelta, reason: str, tries: int) -> None:
    Writeback.objects.filter(pk=row.pk).update(
        next_at=at + pause, reason=reason[:500], claim_until=None, attempts=tries
    )
