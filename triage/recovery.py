"""What is stuck, and what to ring for it. The database row is the truth; this finds what messages lost.

`sweep()` hands over what must not be tried again and returns the bells; the reconciler command rings them, since the
broker is the very thing that it distrusts.
"""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from axes.models import AccessAttempt, AccessLog
from django.contrib.sessions.models import Session
from django.db import IntegrityError, InterfaceError, OperationalError, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from triage import (
    approvals,
    automation,
    connecting,
    counting,
    failover,
    intake,
    lifecycle,
    pulling,
    standing,
    telling,
    versions,
    waiting,
)
from triage.celery import POOLS
from triage.feeds import passes
from triage.lake import here
from triage.lake.errors import LakeError
from triage.models import (
    Approval,
    ArticleFeed,
    Certificate,
    Customer,
    Delivery,
    DeliveryKey,
    Gap,
    Job,
    Label,
    Notification,
    Release,
    Review,
    Run,
    Source,
    Ticket,
    WorkerBeat,
    Writeback,
)
from triage.models.job import LEARNING
from triage.stuck import Sweep, expired_requests, lost_runs, returned_claims

log = logging.getLogger(__name__)
ACTOR = "system:recovery"
KEYS_KEPT = timedelta(days=30)
KEYS_AT_ONCE = 1000
ATTEMPTS_AT_ONCE = 100  # the oldest, looked at in each sweep
RUNS_AT_ONCE = 200
LEASE = timedelta(seconds=30)
SILENCE = timedelta(seconds=60)
SETTLING = timedelta(seconds=60)
RENEWAL = timedelta(days=14)
TICK = timedelta(seconds=5)
LAKE_AWAY = 60.0
_tick_again = [0.0]
_gaps_again = [0.0]
GAPS_LOOKED_AT = 600.0
"""Seconds between two looks at whether a day has passed since what no article answers was grouped."""

DAY = timedelta(hours=24)
RECONCILER = "reconciler"


def hold_lease(holder: UUID, *, at: datetime) -> bool:
    """Take or keep the reconciler's lease; one process at a time sweeps."""
    try:
        Job.objects.get_or_create(name=RECONCILER, defaults={"kind": "lease", "changed_at": at})
    except IntegrityError:
        return False
    free = Q(holder=holder) | Q(holder__isnull=True) | Q(leased_until__lt=at)
    return bool(Job.objects.filter(free, name=RECONCILER).update(holder=holder, leased_until=at + LEASE, changed_at=at))


def sweep(*, at: datetime) -> Sweep:
    """One pass over everything that can be stuck; raises OperationalError where the database does not answer."""
    found = Sweep()
    for step in STEPS:
        try:
            step(found, at=at)
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # one row that cannot be handled must not keep all others waiting for ever
            log.exception("%s failed; the other steps go on", step.__name__)
    return found


def _opened_windows(found: Sweep, *, at: datetime) -> None:
    """What waited for a maintenance window or the end of a freeze is decided again as it opens."""
    found.returned += waiting.go_on(at=at)


def _unanswered(found: Sweep, *, at: datetime) -> None:
    found.handed_over += approvals.expire(at=at)


def _orphans(found: Sweep, *, at: datetime) -> None:
    """Tickets whose status promises something that no row will keep."""
    live = Exists(Run.objects.filter(ticket=OuterRef("pk"), status__in=[s.value for s in Run.LIVE]))
    asked = Exists(Approval.objects.filter(ticket=OuterRef("pk"), status=Approval.Status.ASKED))
    T, stuck = Ticket.Status, Ticket.objects.filter(changed_at__lt=at - SETTLING)
    for rows, reason in (
        (stuck.filter(~live, status__in=[T.QUEUED, T.RUNNING]), "Its run is gone."),
        (stuck.filter(status=T.LINKED, linked_run__isnull=True), "The run that it was linked to is gone."),
        (stuck.filter(~asked, status=T.WAITING_APPROVAL), "It was approved, but its run could not be requested."),
        (stuck.filter(status=T.CLASSIFIED), "It was classified but never decided."),
    ):
        moved = lifecycle.advance(rows, to=T.NEEDS_REVIEW, at=at, actor=ACTOR, reason=reason)
        found.handed_over += len(moved)


def _left_linked(found: Sweep, *, at: datetime) -> None:
    """Tickets that were linked while their storm's run was just ending."""
    under_way = [Run.Status.REQUESTED, Run.Status.CLAIMED, Run.Status.STARTING]
    left = Ticket.objects.filter(status=Ticket.Status.LINKED).exclude(linked_run__status__in=under_way)
    for run in Run.objects.filter(pk__in=left.values("linked_run")):
        with transaction.atomic():
            automation.lock(run)
            automation.settle(run, at=at, actor=ACTOR)
            found.handed_over += 1


def _left_updates(found: Sweep, *, at: datetime) -> None:
    """Changes that came while a runbook ran whose worker died before it applied them."""
    found.handed_over += intake.apply_left_waiting(at=at)


def _left_kept(_: Sweep, *, at: datetime) -> None:
    """Messages kept while their source was set up, and not yet applied by whoever let it go live."""
    connecting.apply_left(at=at)


def _ending_certificates(_: Sweep, *, at: datetime) -> None:
    """People hear once of a certificate that was revoked or will soon expire: without it nothing runs by itself."""
    ending = Q(expires_at__lt=at + RENEWAL) | Q(revoked_at__isnull=False)
    rows = Certificate.objects.filter(ending, expires_at__gt=at, release__status=Release.Status.IN_FORCE)
    by_key = {f"certificate-{row.uuid}-{'revoked' if row.revoked_at else 'expires'}": row for row in rows}
    for key in by_key.keys() - set(Notification.objects.filter(key__in=by_key).values_list("key", flat=True)):
        row = by_key[key]
        how = f"was revoked: {row.revoked_because}" if row.revoked_at else f"expires on {row.expires_at:%Y-%m-%d}."
        telling.tell(
            kind="certificate_revoked" if row.revoked_at else "certificate_expires",
            customer=row.customer,
            key=key,
            text=f"The certificate for {', '.join(row.runbooks)} {how}",
            link="/overview/",
            data={"certificate": str(row.uuid), "runbooks": ", ".join(row.runbooks)},
            at=at,
        )


def _bells(found: Sweep, *, at: datetime) -> None:
    unclaimed = Q(claim_until__isnull=True) | Q(claim_until__lt=at)
    if Ticket.objects.filter(unclaimed, status=Ticket.Status.RECEIVED, customer__isnull=False).exists():
        found.bells.append(("classify_waiting", ()))
    free = Q(hold_until__isnull=True) | Q(hold_until__lte=at)
    due = Run.objects.filter(free, status=Run.Status.REQUESTED)
    # what was never held comes first: held runs must not keep others from being rung for
    order = due.order_by(F("hold_until").asc(nulls_first=True), "pk")
    found.bells += [("execute_run", (run,)) for run in order.values_list("pk", flat=True)[:RUNS_AT_ONCE]]
    if any(table.objects.filter(landed_at__isnull=True).exists() for table in (Delivery, Label)):
        found.bells.append(("land_waiting", ()))
    if Writeback.objects.filter(unclaimed, status=Writeback.Status.WAITING, next_at__lte=at).exists():
        found.bells.append(("write_back", ()))
    if versions.due(at=at):
        found.bells.append(("look_elsewhere", ()))
    if telling.due(at=at):
        found.bells.append(("tell_people", ()))
    found.bells += [("pull_sources", (source,)) for source in pulling.due(at=at)]
    found.bells += [("sync_articles", (feed,)) for feed in passes.due(at=at)]
    left = Q(status=Job.Status.WAITING) | Q(status=Job.Status.LEASED, leased_until__lt=at)
    jobs = Job.objects.filter(left, kind__in=LEARNING, customer__isnull=False).order_by("pk")
    found.bells += [("learn", (job,)) for job in jobs.values_list("pk", flat=True)]


def _tick(_: Sweep, *, at: datetime) -> None:
    """Leave word in the lake how far this database is, and look whether the lake knows of more."""
    last = standing.now().ticked_at
    if time.monotonic() < _tick_again[0] or (last is not None and at - TICK < last <= at):
        return
    try:
        failover.tick(here.store(), at=at)
    except LakeError as error:
        log.warning("the lake does not take the database's tick: %s", error)
        _tick_again[0] = time.monotonic() + LAKE_AWAY  # a lake that hangs must not slow every sweep down


def _old_keys(_: Sweep, *, at: datetime) -> None:
    """Some at a time: one statement over millions would run into the database's time limit."""
    old = DeliveryKey.objects.filter(seen_at__lt=at - KEYS_KEPT).order_by("seen_at").values_list("pk", flat=True)
    DeliveryKey.objects.filter(pk__in=list(old[:KEYS_AT_ONCE])).delete()


def _old_sign_ins(_: Sweep, *, at: datetime) -> None:
    """Sessions that have ended, and what the lock counted long ago: strangers can make a row with each request."""
    ended = Session.objects.filter(expire_date__lt=at).order_by("expire_date").values_list("pk", flat=True)
    if keys := list(ended[:KEYS_AT_ONCE]):
        Session.objects.filter(pk__in=keys).delete()
    for counted in (AccessAttempt, AccessLog):
        oldest = list(counted.objects.order_by("pk").values_list("pk", "attempt_time")[:ATTEMPTS_AT_ONCE])
        if old := [pk for pk, tried_at in oldest if tried_at < at - KEYS_KEPT]:
            counted.objects.filter(pk__in=old).delete()


def _counts(_: Sweep, *, at: datetime) -> None:
    """What pages read instead of counting themselves."""
    counting.keep(at=at)


def _gaps(_: Sweep, *, at: datetime) -> None:
    """Once a day what no article answers is grouped anew: a job in line, for which `_bells` rings."""
    if time.monotonic() < _gaps_again[0]:
        return
    _gaps_again[0] = time.monotonic() + GAPS_LOOKED_AT
    said = Review.objects.filter(customer=OuterRef("pk"), article="", verdict=Review.Verdict.NONE)
    some = Q(Exists(said)) | Q(Exists(Gap.objects.filter(customer=OuterRef("pk"))))
    for customer in Customer.objects.filter(some).order_by("pk"):
        Job.objects.put_in_line(f"gaps-{customer.pk}", at=at, over_since=at - DAY, kind="gaps", customer=customer)


STEPS: tuple[Callable[..., None], ...] = (
    _tick,
    lost_runs,
    returned_claims,
    _opened_windows,
    expired_requests,
    _unanswered,
    _orphans,
    _left_linked,
    _left_updates,
    _left_kept,
    _ending_certificates,
    _gaps,
    _bells,
    _old_keys,
    _old_sign_ins,
    _counts,
)


def silent_queues(*, at: datetime) -> set[str]:
    """Queues whose workers have not proved themselves for a minute and have no work in hand that explains it.

    Only the reconciler, where it is the one that fell silent: nobody asks the workers for proof then.
    """
    lease = Job.objects.filter(name=RECONCILER).first()
    if lease is None:
        return set()  # nobody was ever asked
    if lease.leased_until is None or lease.leased_until < at - SILENCE:
        return {RECONCILER}
    proved = set(WorkerBeat.objects.filter(at__gte=at - SILENCE).values_list("name", flat=True))
    # a claim; on one machine the same pool lands
    notes = Writeback.objects.filter(status=Writeback.Status.WAITING, claim_until__gt=at)
    pulls = Source.objects.filter(pull_claim_until__gt=at)
    feeds = ArticleFeed.objects.filter(claim_until__gt=at)
    busy: dict[str, tuple[QuerySet[Any], ...]] = {
        "writeback": (notes, pulls, feeds),
        "landing": (notes, pulls, feeds),
        "runbooks": (Run.objects.filter(status=Run.Status.STARTING, claim_until__gt=at),),
        "classify": (Ticket.objects.filter(status=Ticket.Status.RECEIVED, claim_until__gt=at),),
        "learning": (Job.objects.filter(status=Job.Status.LEASED, leased_until__gt=at).exclude(name=RECONCILER),),
    }
    at_work = {queue for queue, claims in busy.items() if any(rows.exists() for rows in claims)}
    return set(POOLS) - proved - at_work
