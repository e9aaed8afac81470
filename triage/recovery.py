"""What is stuck, and what to ring for it. The database row is the truth; this finds what messages lost.

`sweep()` hands over what must not be tried again and returns the bells; the reconciler command rings them, since the
broker is the very thing that it distrusts.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q

from runbooks.runners import python
from triage import approvals, automation, intake, lifecycle
from triage.models import Delivery, DeliveryKey, Job, Label, Run, Ticket, WorkerBeat, Writeback

ACTOR = "system:recovery"
TRIES = 3
KEYS_KEPT = timedelta(days=30)
LEASE = timedelta(seconds=30)
SILENCE = timedelta(seconds=60)
RECONCILER = "reconciler"


@dataclass
class Sweep:
    """Bells to ring as (task, arguments), and how many rows were handed over."""

    bells: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    unknown: int = 0
    returned: int = 0
    handed_over: int = 0


def hold_lease(holder: UUID, *, at: datetime) -> bool:
    """Take or keep the reconciler's lease; one process at a time sweeps."""
    try:
        Job.objects.get_or_create(name=RECONCILER, defaults={"kind": "lease", "changed_at": at})
    except IntegrityError:
        return False
    free = Q(holder=holder) | Q(holder__isnull=True) | Q(leased_until__lt=at)
    return bool(Job.objects.filter(free, name=RECONCILER).update(holder=holder, leased_until=at + LEASE, changed_at=at))


def sweep(*, at: datetime) -> Sweep:
    """One pass over everything that can be stuck."""
    found = Sweep()
    _lost_runs(found, at=at)
    _returned_claims(found, at=at)
    _expired_requests(found, at=at)
    _orphans(found, at=at)
    found.returned += intake.apply_left_waiting(at=at)
    found.handed_over += approvals.expire(at=at)
    _bells(found, at=at)
    DeliveryKey.objects.filter(seen_at__lt=at - KEYS_KEPT).delete()
    return found


def _lost_runs(found: Sweep, *, at: datetime) -> None:
    """Started and never recorded: nobody knows whether it happened, so a person settles it."""
    for run in Run.objects.filter(status=Run.Status.STARTING, claim_until__lt=at):
        with transaction.atomic():
            won = lifecycle.advance(
                Run.objects.filter(pk=run.pk, status=Run.Status.STARTING, claim_until__lt=at),
                to=Run.Status.UNKNOWN,
                at=at,
                actor=ACTOR,
                reason="The worker was lost after the start. Look at the target, then say whether it happened.",
            )
            if won:
                run.refresh_from_db()
                automation.settle(run, at=at, actor=ACTOR)
                found.unknown += 1
        if won:  # a process that outlived its worker on this host must not go on acting
            python.end_leftovers(str(run.uuid))


def _returned_claims(found: Sweep, *, at: datetime) -> None:
    """Claimed and lost before STARTING: nothing was touched, so it may be tried again, three times."""
    lost = Run.objects.filter(status=Run.Status.CLAIMED, claim_until__lt=at)
    found.returned += len(
        lifecycle.advance(
            lost.filter(attempts__lt=TRIES),
            to=Run.Status.REQUESTED,
            at=at,
            actor=ACTOR,
            reason="The worker was lost before the start.",
            changes={"claim_until": None},
        )
    )
    for run in lost.filter(attempts__gte=TRIES):
        _void(run, found, at=at, reason=f"Lost before the start {TRIES} times.")


def _expired_requests(found: Sweep, *, at: datetime) -> None:
    """A decision is good for a while only; a run that could not start in time is decided by a person."""
    expired = Run.objects.filter(status=Run.Status.REQUESTED, ordered_by__isnull=True, decision__expires_at__lt=at)
    for run in expired:
        _void(run, found, at=at, reason=f"The decision expired before the run could start. {run.reason}")


def _void(run: Run, found: Sweep, *, at: datetime, reason: str) -> None:
    with transaction.atomic():
        won = lifecycle.advance(
            Run.objects.filter(pk=run.pk, status=run.status, fence=run.fence),
            to=Run.Status.VOID,
            at=at,
            actor=ACTOR,
            reason=reason[:1000],
        )
        if won:
            run.refresh_from_db()
            automation.settle(run, at=at, actor=ACTOR)
            found.handed_over += 1


def _orphans(found: Sweep, *, at: datetime) -> None:
    """Tickets whose status promises something that no row will keep."""
    live = Exists(Run.objects.filter(ticket=OuterRef("pk"), status__in=[s.value for s in Run.LIVE]))
    stuck = Ticket.objects.filter(changed_at__lt=at - timedelta(seconds=60))
    for rows, reason in (
        (stuck.filter(~live, status__in=[Ticket.Status.QUEUED, Ticket.Status.RUNNING]), "Its run is gone."),
        (stuck.filter(status=Ticket.Status.CLASSIFIED), "It was classified but never decided."),
    ):
        moved = lifecycle.advance(rows, to=Ticket.Status.NEEDS_REVIEW, at=at, actor=ACTOR, reason=reason)
        found.handed_over += len(moved)
    for run in (
        Run.objects.filter(linked_tickets__status=Ticket.Status.LINKED)
        .exclude(status__in=[Run.Status.REQUESTED, Run.Status.CLAIMED, Run.Status.STARTING])
        .distinct()
    ):
        with transaction.atomic():
            automation.settle(run, at=at, actor=ACTOR)


def _bells(found: Sweep, *, at: datetime) -> None:
    unclaimed = Q(claim_until__isnull=True) | Q(claim_until__lt=at)
    if Ticket.objects.filter(unclaimed, status=Ticket.Status.RECEIVED, customer__isnull=False).exists():
        found.bells.append(("classify_waiting", ()))
    free = Q(hold_until__isnull=True) | Q(hold_until__lte=at)
    due = Run.objects.filter(free, status=Run.Status.REQUESTED).order_by("pk").values_list("pk", flat=True)
    found.bells += [("execute_run", (run,)) for run in due[:200]]
    if any(table.objects.filter(landed_at__isnull=True).exists() for table in (Delivery, Label)):
        found.bells.append(("land_waiting", ()))
    waiting = Writeback.objects.filter(unclaimed, status=Writeback.Status.WAITING, next_at__lte=at)
    if waiting.exists():
        found.bells.append(("write_back", ()))


def silent_queues(*, at: datetime) -> set[str]:
    """Queues whose workers have not proved themselves for a minute and have no work in hand that explains it."""
    silent = set(WorkerBeat.objects.filter(at__lt=at - SILENCE).values_list("name", flat=True))
    busy = {
        "runbooks": Run.objects.filter(status=Run.Status.STARTING, claim_until__gt=at),
        "classify": Ticket.objects.filter(status=Ticket.Status.RECEIVED, claim_until__gt=at),
        "learning": Job.objects.filter(status=Job.Status.LEASED, leased_until__gt=at).exclude(name=RECONCILER),
    }
    return {queue for queue in silent if queue not in busy or not busy[queue].exists()}
