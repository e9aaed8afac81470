"""Tell the ITSM what came of a ticket. Retried alone: an ITSM that fails never re-runs a runbook."""

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q, QuerySet

from triage import itsm, placing, suggesting
from triage.models import Draw, Mode, Review, Ticket, Writeback
from triage.telling import tell

log = logging.getLogger(__name__)
TRIES = 80  # with the pauses below about three days: a weekend without the ITSM loses nothing
CLAIM = timedelta(seconds=60)
PASS_SECONDS = 15.0  # and one reply may take 25: a claim never runs out while its reply is under way
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=10), timedelta(hours=1)
LOOK_AGAIN = timedelta(minutes=5)
UNAUTHORISED = 401
PATIENCE = timedelta(hours=72)  # a verdict that did not come by then counts as wrong; the requester still has to hear


@dataclass(frozen=True)
class Told:
    """What one pass did; `more`: others are due."""

    done: int
    failed: int
    more: bool = False


def deliver(*, at: datetime, limit: int = 100) -> Told:
    """Send what is due. Each row is claimed first, so that two workers never send the same note at one moment."""
    done = failed = 0
    begun = time.monotonic()
    free = Q(claim_until__isnull=True) | Q(claim_until__lt=at)
    due = Writeback.objects.filter(free, status=Writeback.Status.WAITING, next_at__lte=at)
    for row in due.select_related("ticket__source", "customer").order_by("next_at", "pk")[:limit]:
        if time.monotonic() - begun > PASS_SECONDS:
            break
        if untold := _not_to_be_told(row):
            # not kept for later: told weeks after, it would speak of a ticket that has long moved on
            due.filter(pk=row.pk).update(status=Writeback.Status.GIVEN_UP, reason=untold, done_at=at)
            continue
        if _sealed(row, at=at):
            due.filter(pk=row.pk).update(next_at=at + LOOK_AGAIN, reason="waits for the blind verdict")
        elif due.filter(pk=row.pk).update(claim_until=at + CLAIM, attempts=F("attempts") + 1):
            told = _send(row, at=at)
            done, failed = done + told, failed + (not told)
    return Told(done, failed, due.exists())


def _not_to_be_told(row: Writeback) -> str:
    """Why the ITSM of this customer is told nothing, as a sentence; empty where it is."""
    if row.customer.mode == Mode.OBSERVE:
        return "This customer is in observe mode: nothing is written to the ITSM."
    return "" if row.customer.write_back else "Writing back to the ITSM is off for this customer."


def _send(row: Writeback, *, at: datetime) -> bool:
    """Whether the ITSM has it now, or needs it no more."""
    current = Ticket.objects.get(pk=row.ticket_id)
    if row.what == "resolve" and current.status != Ticket.Status.RESOLVED:
        # told late, it would close a ticket that was reopened meanwhile
        _mine(row, at=at).update(
            status=Writeback.Status.GIVEN_UP, reason="The ticket is no longer resolved here.", claim_until=None
        )
        return True
    if outdated := suggesting.outdated(row, current, at=at) or placing.outdated(row, current):
        _mine(row, at=at).update(status=Writeback.Status.GIVEN_UP, reason=outdated, claim_until=None)
        return True
    if row.attempts >= TRIES:  # the last ones did not even come back
        lost = itsm.ReplyFailed(row.reason or "Each try was lost with its worker.", permanent=True)
        _failed(row, at=at, error=lost)
        return False
    try:
        answer = _placed(row) if row.what == placing.WHAT else _replied(row, current)
    except itsm.ReplyFailed as error:
        log.warning("writeback %s failed: %s", row.key, error)
        _failed(row, at=at, error=error)
        return False
    _mine(row, at=at).update(status=Writeback.Status.DONE, done_at=at, reason=answer[:500], claim_until=None)
    return True


def _replied(row: Writeback, current: Ticket) -> str:
    source, content = row.ticket.source, suggesting.content(row, current)
    connector = itsm.SOURCES[source.kind]
    return connector.reply(source, external_id=row.ticket.external_id, key=row.key, what=row.what, content=content)


def _placed(row: Writeback) -> str:
    """Ask for what is allowed now; what was set and what was left stands in the row."""
    source = row.ticket.source
    order, left = placing.order(row)
    placed = itsm.Placed()
    if order.wanted:
        placed = itsm.SOURCES[source.kind].place(source, external_id=row.ticket.external_id, order=order)
    with transaction.atomic():
        return placing.done(row, placed, left).sentence


def _mine(row: Writeback, *, at: datetime) -> "QuerySet[Writeback]":
    """The row while this pass still holds it: a slower one never overwrites what a later one wrote."""
    return Writeback.objects.filter(pk=row.pk, status=Writeback.Status.WAITING, claim_until=at + CLAIM)


def _sealed(row: Writeback, *, at: datetime) -> bool:
    """No note before the verdict on a ticket that was drawn: it would tell the reviewer the answer.

    One verdict opens the whole cluster.
    """
    if at - row.created_at > PATIENCE:
        return False
    draw = Draw.objects.filter(ticket=row.ticket).exclude(purpose=Draw.Purpose.NONE).first()
    if draw is None:
        return False
    same = Review.objects.filter(ticket__draw__cluster=draw.cluster, customer=row.customer_id)
    return not same.filter(undone_at__isnull=True).exists()


def _failed(row: Writeback, *, at: datetime, error: "itsm.ReplyFailed") -> None:
    tries = row.attempts + 1
    refused = error.status == UNAUTHORISED  # until somebody enters the new credentials: nothing is lost meanwhile
    if refused:
        _tell_refused(row, at=at)
    if (refused or not error.permanent) and tries < TRIES:
        pause = min(FIRST_PAUSE * 2 ** min(tries, 10), LONGEST_PAUSE)
        pause = max(pause, timedelta(seconds=error.retry_after))
        _mine(row, at=at).update(next_at=at + pause, reason=str(error)[:500], claim_until=None)
        return
    won = _mine(row, at=at).update(status=Writeback.Status.GIVEN_UP, reason=str(error)[:500], claim_until=None)
    if won:
        tell(
            kind="writeback_given_up",
            customer=row.customer,
            key=f"writeback-{row.pk}",
            text=f"The ITSM was not told of {row.ticket.external_id}; tell it by hand.",
            link=f"/tickets/{row.ticket.uuid}/",
            ticket=row.ticket,
            at=at,
        )


def _tell_refused(row: Writeback, *, at: datetime) -> None:
    """The administrators hear once a day that a source does not know our credentials."""
    source = row.ticket.source
    tell(
        kind="credentials_refused",
        customer=source.customer,
        key=f"credentials-{source.pk}-{at.date().isoformat()}",
        text=f"{source.name} refuses our credentials (401): enter the new ones. What waits is told then.",
        link="/overview/",
        data={"source": source.slug},
        at=at,
    )
