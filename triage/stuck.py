"""Runs that are stuck: lost after their start, lost before it, or waiting for longer than their grounds hold."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from runbooks import process
from runbooks.registry import RUNBOOKS
from runbooks.runners import RESUMABLE
from triage import approvals, automation, lifecycle, watching
from triage.models import Run

ACTOR = "system:recovery"
TRIES = 3
FOLLOWED = timedelta(hours=1)
"""So much longer than its time limit a run elsewhere is tried to be followed, before nobody can know its end."""


@dataclass
class Sweep:
    """Bells to ring as (task, arguments), and how many rows were handed over."""

    bells: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    unknown: int = 0
    returned: int = 0
    handed_over: int = 0


def lost_runs(found: Sweep, *, at: datetime) -> None:
    """Started and never recorded: nobody knows whether it happened, so a person settles it."""
    for run in Run.objects.filter(status=Run.Status.STARTING, claim_until__lt=at):
        if _goes_on(run, at=at):
            found.bells.append(("execute_run", (run.pk,)))
            continue
        with transaction.atomic():
            automation.lock(run)
            won = lifecycle.advance(
                Run.objects.filter(pk=run.pk, status=Run.Status.STARTING, claim_until__lt=at),
                to=Run.Status.UNKNOWN,
                at=at,
                actor=ACTOR,
                reason="The worker was lost after the start. Look at the target, then say whether it happened.",
                changes={"finished_at": at},  # from now on it counts for the circuit
            )
            if won:
                # who has to say what happened needs it
                Run.objects.filter(pk=run.pk).update(output=watching.written(run))
                run.pieces.all().delete()
                run.refresh_from_db()
                automation.settle(run, at=at, actor=ACTOR)
                found.unknown += 1
        if won:  # a process that outlived its worker on this host must not go on acting
            process.end_marked(str(run.uuid))


def _goes_on(run: Run, *, at: datetime) -> bool:
    """Whether the run's jobs are elsewhere, where they go on without its worker: any worker can follow them."""
    runbook = RUNBOOKS.get(run.runbook)
    if runbook is None or runbook.runner not in RESUMABLE or run.started_at is None:
        return False
    return at < run.started_at + timedelta(seconds=runbook.longest_seconds) + FOLLOWED


def returned_claims(found: Sweep, *, at: datetime) -> None:
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


def expired_requests(found: Sweep, *, at: datetime) -> None:
    """A decision or a person's word is good for a while only; a run that could not start in time goes to a person."""
    decided = Q(ordered_by__isnull=True, window_at__isnull=True, decision__expires_at__lt=at)
    ordered = Q(ordered_by__isnull=False, requested_at__lt=at - approvals.GRANTED_FOR)
    for run in Run.objects.filter(decided | ordered, status=Run.Status.REQUESTED):
        if run.ordered_by_id and automation.good_since(run) >= at - approvals.GRANTED_FOR:
            continue  # it waits for a window, and the word is good from there
        _void(run, found, at=at, reason=f"What was decided expired before the run could start. {run.reason}")


def _void(run: Run, found: Sweep, *, at: datetime, reason: str) -> None:
    with transaction.atomic():
        automation.lock(run)
        won = lifecycle.advance(
            Run.objects.filter(pk=run.pk, status=run.status, fence=run.fence),
            to=Run.Status.VOID,
            at=at,
            actor=ACTOR,
            reason=reason,
        )
        if won:
            run.refresh_from_db()
            automation.settle(run, at=at, actor=ACTOR)
            found.handed_over += 1
