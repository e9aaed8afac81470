"""One run from claim to record. Between any two lines the process may die: each step is safe to have happened.

The order is what makes one effect: claim in the database (with a fencing number), look at the ITSM again, claim in the
lake, commit STARTING, pre-check, say in the lake that the action starts, act, record. A run lost after STARTING is
UNKNOWN and goes to a person, never to a second try; only one whose jobs are elsewhere is gone on with.
"""

import logging
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Literal

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, Q
from django.utils import timezone

from runbooks.base import Runbook
from runbooks.outcome import Outcome, PhaseResult
from runbooks.registry import RUNBOOKS
from runbooks.runners import RESUMABLE, RUNNERS
from runbooks.targets import TargetError
from runbooks.watch import Left
from triage import automation, consent, failover, grounds, itsm, lifecycle, links, obstacles, versions, watching
from triage.environment import environment
from triage.lake import claims, here
from triage.lake.errors import LakeError
from triage.models import Customer, Run, Ticket
from triage.recording import record_surely
from triage.targets import settings_of, still_fit
from triage.watching import mine, take_over

log = logging.getLogger(__name__)
ACTOR = "system:automation"
MARGIN = timedelta(seconds=30)
NO_ANSWER = timedelta(seconds=10)
STARTED_BEFORE = "The lake says that this run's action was started before: look at the target, then say if it happened."


class _NotBegun(Exception):
    """The action was stopped at its door: a switch went off, or the lake knows of a start that this database does not.

    The circuit counts what was refused neither way.
    """

    def __init__(self, status: Literal["refused", "unknown"], message: str) -> None:
        super().__init__(message)
        self.outcome = Outcome(status, "pre_check", message, phases=(PhaseResult("pre_check", False, message, 0.0),))


def execute(run_id: int, *, at: datetime) -> bool:
    """Execute the run unless somebody else has it or something forbids it now; True where it was started here.

    A started run whose jobs are elsewhere and whose worker was lost is gone on with.
    """
    elsewhere = [runbook.key for runbook in RUNBOOKS.values() if runbook.runner in RESUMABLE]
    if (lost := take_over(run_id, runbooks=elsewhere, at=at)) is not None:
        return _go_on(_loaded(lost.pk))
    run = None if _held(run_id, at=at) else _claim(run_id, at=at)
    return run is not None and _started(run, at=at)


def _started(run: Run, *, at: datetime) -> bool:
    """Start a claimed run and see it through; False where something forbids it, and the run went another way."""
    runbook = RUNBOOKS.get(run.runbook)
    if runbook is None or versions.digest(run.customer, runbook) != run.action_digest:
        return _void(run, at=at, reason="The runbook has changed since this run was decided.")
    target = settings_of(run.target)  # whatever is wrong with it is found before anything counts as started
    try:
        late = grounds.gone(run, at=at) or grounds.itsm_says_no(run, runbook)
        late = late or versions.changed(run.customer, runbook, target=target, at=at) or still_fit(run, runbook)
        late = late or consent.lacking_for(run, runbook)
    except (itsm.ReadFailed, TargetError) as error:
        return _put_back(run, until=at + NO_ANSWER, reason=f"What the run depends on could not be asked: {error}")
    if late:
        return _void(run, at=at, reason=late)
    if not _claim_in_lake(run, at=at) or not _commit_starting(run, runbook):
        return False
    _carry_out(run, runbook, target)
    return True


def _go_on(run: Run) -> bool:
    runbook = RUNBOOKS.get(run.runbook)
    if runbook is None or runbook.runner not in RESUMABLE:
        return False  # it stays as it is until it counts as lost
    with suppress(LakeError):  # a lake that is away keeps nobody from following a job
        if failover.noticed(here.store(), at=timezone.now()):
            return False
    log.warning("going on with run %s, whose worker was lost", run.uuid)
    _carry_out(run, runbook, settings_of(run.target), resumed=True)
    return True


def _carry_out(run: Run, runbook: Runbook, target: Mapping[str, str], *, resumed: bool = False) -> None:
    """Hand the run to its runner and record how it ended; nothing where another worker goes on with it."""

    def begin() -> None:
        if resumed and _too_old(run, runbook):
            raise _NotBegun("refused", "Its worker was lost, and what allowed it is too old; nothing was changed.")
        try:  # the pre-check may have taken a while
            off = watching.surely(lambda: obstacles.switched_off(run.customer, runbook))
        except (OperationalError, InterfaceError) as error:
            raise _NotBegun("refused", f"The database does not answer: {error}; nothing was changed.") from error
        if off:
            raise _NotBegun("refused", f"{off.reason} Nothing was changed.")
        try:
            first = claims.start(here.store(), _lake_claim(run))
        except LakeError as error:
            raise _NotBegun("refused", f"The lake does not answer: {error}; nothing was changed.") from error
        if not first:
            raise _NotBegun("unknown", STARTED_BEFORE)

    try:
        handed = {} if resumed else links.prepare(run, runbook, at=timezone.now())
        outcome = RUNNERS[runbook.runner](
            runbook,
            parameters=run.parameters,
            target=target,
            run_id=str(run.uuid),
            handed=handed,
            watch=watching.watch(run, on_start=begin, renewed=runbook.runner in RESUMABLE),
            job=run.job,
        )
    except Left:
        return
    except _NotBegun as stopped:
        outcome = stopped.outcome
    record_surely(run, outcome)


def _too_old(run: Run, runbook: Runbook) -> bool:
    """Whether a resumed run's action would begin on a decision, a pre-check or a runbook that no longer holds."""
    age = timezone.now() - (run.started_at or run.requested_at)
    return age > timedelta(seconds=runbook.time_limit) or versions.digest(run.customer, runbook) != run.action_digest


def _held(run_id: int, *, at: datetime) -> bool:
    """Whether a switch, window or limit is in the way. The run then rests a little: no try, and no line in the log."""
    run = Run.objects.filter(pk=run_id, status=Run.Status.REQUESTED).select_related("customer", "target").first()
    runbook = RUNBOOKS.get(run.runbook) if run else None
    if run is None or runbook is None:
        return False
    held = automation.in_the_way(run, runbook, at=at)
    if held:
        automation.rest(run, held, at=at)
    elif run.window_at and run.ordered_by_id is None:
        return True  # its window is open now: recovery has the ticket decided again
    return held is not None


@transaction.atomic
def _claim(run_id: int, *, at: datetime) -> Run | None:
    """Claim the run; read in the same transaction, so that the fencing number is this claim's own."""
    free = Q(hold_until__isnull=True) | Q(hold_until__lte=at)
    won = lifecycle.advance(
        Run.objects.filter(free, pk=run_id, status=Run.Status.REQUESTED),
        to=Run.Status.CLAIMED,
        at=at,
        actor=ACTOR,
        changes={
            "fence": F("fence") + 1,
            "attempts": F("attempts") + 1,
            "claim_until": at + timedelta(seconds=environment().claim_seconds),
            "hold_until": None,
        },
    )
    return _loaded(run_id) if won else None


def _loaded(run_id: int) -> Run:
    related = ("customer", "ticket__source", "target", "decision__certificate")
    run: Run = Run.objects.select_related(*related).get(pk=run_id)
    return run


def _lake_claim(run: Run) -> claims.Claim:
    return claims.Claim(
        run=str(run.uuid),
        source=str(run.ticket.source.uuid),
        external_id=run.ticket.external_id,
        runbook=run.runbook,
        occasion=run.occasion,
        target=run.target.key,
        target_object=run.target_object,
    )


def _claim_in_lake(run: Run, *, at: datetime) -> bool:
    """One object for one run, ever: it outlives a database that was restored to an older state."""
    try:
        store = here.store()
        if failover.noticed(store, at=at):
            return _put_back(run, until=timezone.now() + NO_ANSWER, reason=failover.RESTORED)
        claim = _lake_claim(run)
        if not claims.take(store, claim):
            return _void(run, at=at, reason="The lake says that this run was started before; a person must look.")
        if claims.started(store, claim):  # in a life of the database that this one does not know of
            failover.settled(claim, run, at=at)
            return False
    except LakeError as error:
        return _put_back(run, until=timezone.now() + NO_ANSWER, reason=f"The lake does not answer: {error}")
    return True


def _commit_starting(run: Run, runbook: Runbook) -> bool:
    """STARTING is committed before anything is touched, with the ticket's RUNNING in the same transaction.

    The customer's starts come one by one: under its lock the grounds, switch and limits are looked at once more, so
    that two workers never start the last run that a limit allows, and nothing starts once a switch is off.
    """
    at = timezone.now()
    with transaction.atomic():
        automation.lock(run)
        Customer.objects.select_for_update(no_key=True).get(pk=run.customer_id)
        if late := grounds.gone(_loaded(run.pk), at=at):
            return _void(run, at=at, reason=late)
        if held := automation.in_the_way(run, runbook, at=at):
            _put_back(run, until=at, reason=held.reason)
            automation.rest(run, held, at=at)
            return False
        won = lifecycle.advance(
            Run.objects.filter(mine(run, Run.Status.CLAIMED)),
            to=Run.Status.STARTING,
            at=at,
            actor=ACTOR,
            changes={"started_at": at, "claim_until": at + _claimed_for(runbook)},
        )
        if won:
            lifecycle.advance(
                Ticket.objects.filter(pk=run.ticket_id, status=Ticket.Status.QUEUED),
                to=Ticket.Status.RUNNING,
                at=at,
                actor=ACTOR,
                reason=f"{runbook.title} is running.",
            )
    return bool(won)


def _claimed_for(runbook: Runbook) -> timedelta:
    """How long a started run is its worker's: a short claim is renewed while its jobs elsewhere are followed."""
    if runbook.runner in RESUMABLE:
        return watching.length()
    return timedelta(seconds=runbook.longest_seconds) + MARGIN


def _void(run: Run, *, at: datetime, reason: str) -> bool:
    with transaction.atomic():
        automation.lock(run)
        if lifecycle.advance(
            Run.objects.filter(mine(run, Run.Status.CLAIMED)), to=Run.Status.VOID, at=at, actor=ACTOR, reason=reason
        ):
            run.refresh_from_db()
            automation.settle(run, at=at, actor=ACTOR)
    return False


def _put_back(run: Run, *, until: datetime, reason: str) -> bool:
    """Back to REQUESTED until then; holds by switch, window, limit or somebody who does not answer are no tries."""
    lifecycle.advance(
        Run.objects.filter(mine(run, Run.Status.CLAIMED)),
        to=Run.Status.REQUESTED,
        at=timezone.now(),
        actor=ACTOR,
        reason=reason,
        changes={"hold_until": until, "attempts": F("attempts") - 1},
    )
    return False
