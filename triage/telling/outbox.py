"""Sending what waits: claimed by conditional UPDATE, tried again with growing pauses, given up after days in sight."""

import logging
import random
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.mail.backends.smtp import EmailBackend
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from triage.environment import environment
from triage.models import EventEndpoint, Notification, Posting
from triage.telling import events, mail
from triage.telling.rows import tell

log = logging.getLogger(__name__)
S = Posting.Status
CLAIM = timedelta(seconds=120)
PASS_SECONDS = 15.0  # and what is under way then may take 40: a claim never runs out before it is written down
AT_ONCE = 100
DIGEST = 50  # lines of one mail
HOUR = timedelta(hours=1)
MAIL_PATIENCE = timedelta(days=3)
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)
STEPS = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds between tries of an event, as Standard Webhooks proposes: about three days in all."""
ENDPOINT_PATIENCE = timedelta(days=5)
KEPT = timedelta(days=30)


@dataclass
class Sent:
    """What one pass did; `more`: others are due now."""

    mails: int = 0
    events: int = 0
    failed: int = 0
    more: bool = False


def due(*, at: datetime) -> bool:
    """Whether anything waits that may be sent now."""
    return _due(at).exists()


def deliver(*, at: datetime) -> Sent:
    """Send what is due, each row by one worker only. What fails waits for its next try; nothing else waits for it."""
    found, begun = Sent(), time.monotonic()
    addresses = list(_due(at).exclude(address="").order_by("address").values_list("address", flat=True).distinct())
    for address in addresses[:AT_ONCE]:
        if time.monotonic() - begun > PASS_SECONDS:
            break
        _mail(address, found, at=at, until=begun + PASS_SECONDS)
    for row in _due(at).filter(endpoint__isnull=False).order_by("next_at")[:AT_ONCE]:
        if time.monotonic() - begun > PASS_SECONDS:
            break
        _event(row, found, at=at)
    _forget(at=at)
    # where nothing moved, what is due is in another worker's hands
    found.more = bool(found.mails or found.events or found.failed) and due(at=at)
    return found


def _due(at: datetime) -> "QuerySet[Posting]":
    free = Q(claim_until__isnull=True) | Q(claim_until__lt=at)
    rows: QuerySet[Posting] = Posting.objects.filter(free, status=S.WAITING, next_at__lte=at)
    return rows.exclude(endpoint__enabled=False)


def _claimed(rows: "QuerySet[Posting]", *, at: datetime) -> list[Posting]:
    """Those of the rows that are this pass's now."""
    keys = list(rows.order_by("pk").values_list("pk", flat=True))
    # the claim's time tells this pass's rows apart from those that another worker took at the same moment
    until = at + CLAIM + timedelta(microseconds=random.randrange(1_000_000))  # noqa: S311 - no secret
    free = Q(claim_until__isnull=True) | Q(claim_until__lt=at)
    Posting.objects.filter(free, pk__in=keys, status=S.WAITING).update(claim_until=until, attempts=F("attempts") + 1)
    mine = Posting.objects.filter(pk__in=keys, status=S.WAITING, claim_until=until).order_by("pk")
    return list(mine.select_related("notification__customer", "endpoint"))


def _mine(row: Posting) -> "QuerySet[Posting]":
    """The row while this pass still holds it."""
    return Posting.objects.filter(pk=row.pk, status=S.WAITING, claim_until=row.claim_until)


def _mail(address: str, found: Sent, *, at: datetime, until: float) -> None:
    """What waits for one address: single mails while the hour's number allows it, the rest in one digest."""
    busy = Posting.objects.filter(address=address, status=S.WAITING, claim_until__gte=at)
    waiting = _due(at).filter(address=address)
    if busy.exists():  # another worker writes to this person just now and counts their mails
        return
    if not environment().mail_url.get_secret_value():
        waiting.update(status=S.GIVEN_UP, reason="Mail is switched off: TRIAGE_MAIL_URL is empty.")
        return
    sent = Posting.objects.filter(address=address, status=S.DONE, done_at__gt=at - HOUR)
    left = environment().mail_hourly - sent.values("sent_in").distinct().count()
    if left <= 0:
        first = sent.order_by("done_at").values_list("done_at", flat=True).first()
        waiting.update(next_at=(first or at) + HOUR, reason="Enough mails for this hour.")
        return
    rows = _claimed(waiting, at=at)
    connection, unsent = mail.backend(), _batches(rows, left)
    while unsent and time.monotonic() < until and _send_mail(unsent[0], found, connection=connection, at=at):
        unsent = unsent[1:]
    for row in rows:  # what was not even tried: whatever was has lost its claim
        _mine(row).update(claim_until=None, attempts=F("attempts") - 1)


def _batches(rows: Sequence[Posting], left: int) -> list[Sequence[Posting]]:
    """One mail each while that many are left to send; else all but the last one alone, and a digest of the rest."""
    alone = len(rows) if len(rows) <= left else left - 1
    rest = rows[alone : alone + DIGEST]
    return [*([row] for row in rows[:alone]), *([rest] if rest else [])]


def _send_mail(batch: Sequence[Posting], found: Sent, *, connection: EmailBackend, at: datetime) -> bool:
    """Whether the next one is worth trying now."""
    carrier = uuid.uuid5(batch[0].uuid, str(len(batch)))  # sent twice after a crash, it has the same Message-ID
    try:
        mail.send(batch, mail=carrier, connection=connection)
    except mail.MailFailed as error:
        log.warning("a mail was not sent: %s", error)
        found.failed += 1
        for row in batch:
            _mail_failed(row, error, at=at)
        return error.permanent
    found.mails += 1
    for row in batch:
        _mine(row).update(status=S.DONE, done_at=at, sent_in=carrier, reason="", claim_until=None)
    return True


def _mail_failed(row: Posting, error: mail.MailFailed, *, at: datetime) -> None:
    if not error.permanent and at - row.created_at < MAIL_PATIENCE:
        pause = min(FIRST_PAUSE * 2 ** min(row.attempts - 1, 10), LONGEST_PAUSE)
        _mine(row).update(next_at=at + _jittered(pause), reason=str(error)[:500], claim_until=None)
        return
    if _mine(row).update(status=S.GIVEN_UP, reason=str(error)[:500], claim_until=None):
        tell(
            kind="mail_given_up",
            customer=row.notification.customer,
            key=f"mail-{row.address[:100]}-{at.date().isoformat()}",
            text=f"Mail to {row.address} does not arrive: {error}.",
            at=at,
        )


def _event(row: Posting, found: Sent, *, at: datetime) -> None:
    """One event. An endpoint that fails is not asked again in this pass: others must not wait for it."""
    claimed = _claimed(_due(at).filter(pk=row.pk), at=at)
    if not claimed:
        return
    (row,) = claimed
    try:
        events.send(row)
    except events.EventFailed as error:
        log.warning("event %s to endpoint %s failed: %s", row.uuid, row.endpoint_id, error)
        found.failed += 1
        _event_failed(row, error, at=at)
        return
    except Exception as error:  # whatever one endpoint does must not keep the others waiting for ever
        log.exception("event %s to endpoint %s", row.uuid, row.endpoint_id)
        found.failed += 1
        _event_failed(row, events.EventFailed(type(error).__name__, permanent=False), at=at)
        return
    _mine(row).update(status=S.DONE, done_at=at, reason="", claim_until=None)
    _endpoint(row).filter(failing_since__isnull=False).update(failing_since=None)
    found.events += 1


def _event_failed(row: Posting, error: events.EventFailed, *, at: datetime) -> None:
    reason = str(error)[:500]
    if row.attempts > len(STEPS):
        _mine(row).update(status=S.GIVEN_UP, reason=reason, claim_until=None)
    else:
        pause = timedelta(seconds=STEPS[row.attempts - 1])
        _mine(row).update(next_at=at + _jittered(pause), reason=reason, claim_until=None)
    others = _due(at).filter(endpoint=row.endpoint_id)
    others.update(next_at=at + _jittered(timedelta(seconds=STEPS[0])))
    _endpoint(row).filter(failing_since__isnull=True).update(failing_since=at)
    endpoint = _endpoint(row).filter(enabled=True).first()
    too_long = endpoint and endpoint.failing_since and at - endpoint.failing_since >= ENDPOINT_PATIENCE
    if endpoint and (error.gone or too_long):
        why = "It answered that it is gone (410)." if error.gone else f"It failed for days: {reason}"
        _disable(endpoint, why, at=at)


def _endpoint(row: Posting) -> "QuerySet[EventEndpoint]":
    return EventEndpoint.objects.filter(postings=row)


def _disable(endpoint: EventEndpoint, reason: str, *, at: datetime) -> None:
    """Switch a dead endpoint off; what waited for it is given up."""
    if EventEndpoint.objects.filter(pk=endpoint.pk, enabled=True).update(enabled=False, disabled_because=reason[:500]):
        waiting = Posting.objects.filter(endpoint=endpoint, status=S.WAITING)
        waiting.update(status=S.GIVEN_UP, reason="The endpoint was switched off.")
        tell(
            kind="endpoint_disabled",
            customer=endpoint.customer,
            key=f"endpoint-{endpoint.pk}-{at.isoformat()}",
            text=f"The event endpoint {endpoint.name} was switched off. {reason}",
            at=at,
        )


def _jittered(pause: timedelta) -> timedelta:
    """Up to a fifth longer, so that what failed together is not tried together."""
    return pause * random.uniform(1.0, 1.2)  # noqa: S311 - no secret


def _forget(*, at: datetime) -> None:
    """What was sent a month ago, some at a time; and the notifications that only other programs were told."""
    old = Posting.objects.filter(status__in=[S.DONE, S.GIVEN_UP], next_at__lt=at - KEPT).order_by("next_at")
    keys = list(old.values_list("pk", flat=True)[:AT_ONCE])
    if keys:
        told = list(Posting.objects.filter(pk__in=keys).values_list("notification_id", flat=True))
        Posting.objects.filter(pk__in=keys).delete()
        left = Exists(Posting.objects.filter(notification=OuterRef("pk")))
        Notification.objects.filter(~left, pk__in=told, desk=False).delete()
