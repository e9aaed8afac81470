"""A run while it goes on: what it writes and where its jobs elsewhere stand, as rows; and whether it is to end.

Each method is one short transaction of its own, called from the loop that follows the run.
"""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection
from django.db.models import F, Q
from django.utils import timezone

from runbooks.watch import Left, Watch
from triage import lifecycle
from triage.environment import environment
from triage.models import Person, Run, RunPiece

Done = TypeVar("Done")
LAUNCH = timedelta(minutes=4)
STOPPED = "it was ended by {person}"


class NotStopped(Exception):
    """The run cannot be asked to end; the message says why."""


def mine(run: Run, status: str) -> Q:
    """The claim that this process holds: an older claimant's fencing number no longer matches."""
    return Q(pk=run.pk, status=status, fence=run.fence)


def watch(run: Run, *, on_start: Callable[[], None], renewed: bool) -> Watch:
    """What the run's runner is to tell and to ask.

    renewed: the claim is short and kept alive while the run is followed, since another worker may go on with it.
    """
    claim = Q(mine(run, Run.Status.STARTING))
    most = length()
    renew_at = timezone.now() + most / 3

    def on_phase(phase: str) -> None:
        surely(lambda: Run.objects.filter(claim).update(phase=phase))

    def on_output(text: str) -> None:
        surely(lambda: RunPiece.objects.create(run=run, at=timezone.now(), text=text))

    def on_job(job: str) -> None:
        if not surely(lambda: Run.objects.filter(claim).update(job=job, **(_until(most) if renewed else {}))):
            raise Left(f"another worker goes on with run {run.uuid}")

    def stop() -> str:
        nonlocal renew_at
        if renewed and timezone.now() > renew_at:
            renew_at = timezone.now() + most / 3
            if not surely(lambda: Run.objects.filter(claim).update(**_until(most))):
                raise Left(f"another worker goes on with run {run.uuid}")
        stopped = Run.objects.filter(claim, stop_asked_at__isnull=False).select_related("stop_asked_by")
        asked = surely(stopped.first)
        return STOPPED.format(person=asked.stop_asked_by) if asked else ""

    return Watch(on_start=on_start, on_phase=on_phase, on_output=on_output, on_job=on_job, stop=stop)


def written(run: Run) -> str:
    """All that a run has written so far, for the row of one that ends without an output of its own."""
    return "".join(run.pieces.order_by("pk").values_list("text", flat=True))


def surely(act: Callable[[], Done]) -> Done:
    """Do it, and once more on a fresh connection where the database had gone away: it may have been restarted."""
    try:
        return act()
    except (OperationalError, InterfaceError):
        connection.close()
        return act()


def ask_to_stop(run: Run, *, person: Person, at: datetime) -> None:
    """Ask that a run under way end. Raises NotStopped where it is not under way or somebody has asked already."""
    asked = Run.objects.filter(pk=run.pk, status=Run.Status.STARTING, stop_asked_at__isnull=True)
    if not asked.update(stop_asked_at=at, stop_asked_by=person):
        raise NotStopped("The run has ended, or somebody has asked already. Reload the page.")
    lifecycle.record(row=run, event="asked to end", at=at, actor=f"person:{person.pk}")


def take_over(run_id: int, *, runbooks: Collection[str], at: datetime) -> Run | None:
    """Claim a started run of these runbooks whose worker was lost, to go on with its jobs elsewhere.

    None where somebody follows it, or where its jobs are not elsewhere and end with their worker.
    """
    lost = Run.objects.filter(pk=run_id, status=Run.Status.STARTING, claim_until__lt=at, runbook__in=runbooks)
    if not lost.update(fence=F("fence") + 1, **_until(length(), at=at)):
        return None
    found: Run | None = Run.objects.filter(pk=run_id, status=Run.Status.STARTING, claim_until=at + length()).first()
    return found


def length() -> timedelta:
    """How long a run with jobs elsewhere is its worker's without a sign of life.

    Longer than a launch may take, with all that is asked before it: nobody must take a run for lost meanwhile.
    """
    return max(timedelta(seconds=environment().claim_seconds), LAUNCH)


def _until(length: timedelta, at: datetime | None = None) -> dict[str, datetime]:
    return {"claim_until": (at or timezone.now()) + length}
