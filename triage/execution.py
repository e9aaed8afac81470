"""One run from claim to record. Between any two lines the process may die: each step is safe to have happened.

The order is what makes one effect: claim in the database (with a fencing number), look at the ITSM again, claim in the
lake, commit STARTING, act, record. A run lost after STARTING is UNKNOWN and goes to a person, never to a second try.
"""

import logging
from dataclasses import asdict
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from runbooks.base import Runbook
from runbooks.outcome import Outcome
from runbooks.registry import RUNBOOKS
from runbooks.runners import RUNNERS
from triage import approvals, automation, itsm, lifecycle
from triage.environment import environment
from triage.lake import here, layout
from triage.lake.store import AlreadyThere, LakeError
from triage.models import Approval, Customer, Mode, Run, Ticket
from triage.targets import settings_of

log = logging.getLogger(__name__)
ACTOR = "system:automation"
MARGIN = timedelta(seconds=30)
TRIES = 3
FINAL = {
    "succeeded": Run.Status.SUCCEEDED,
    "refused": Run.Status.FAILED,
    "failed": Run.Status.FAILED,
    "undone": Run.Status.UNDONE,
    "undo_failed": Run.Status.UNDO_FAILED,
    "unknown": Run.Status.UNKNOWN,
}


def execute(run_id: int, *, at: datetime) -> bool:
    """Execute the run unless somebody else has it or something forbids it now; True where it was started here."""
    run = _claim(run_id, at=at)
    if run is None:
        return False
    runbook = RUNBOOKS.get(run.runbook)
    if runbook is None or runbook.action_digest != run.action_digest:
        return _void(run, at=at, reason="The runbook has changed since this run was decided.")
    try:
        late = _too_late(run, runbook, at=at)
    except itsm.ReadFailed as error:
        return _put_back(run, at=at, seconds=10, reason=f"The ITSM could not be asked: {error}", counts=False)
    if late:
        return _void(run, at=at, reason=late)
    if held := automation.obstacle(customer=run.customer, runbook=runbook, at=at):
        return _put_back(run, at=at, seconds=5, reason=held, counts=False)
    if not _claim_in_lake(run, at=at) or not _commit_starting(run, runbook):
        return False
    outcome = RUNNERS[runbook.runner](
        runbook,
        parameters=run.parameters,
        target=settings_of(run.target),
        run_id=str(run.uuid),
    )
    _record(run, outcome, at=timezone.now())
    return True


def _claim(run_id: int, *, at: datetime) -> Run | None:
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
    return Run.objects.select_related("customer", "ticket", "target", "decision").get(pk=run_id) if won else None


def _mine(run: Run, status: str) -> Q:
    """The claim that this process holds: an older claimant's fencing number no longer matches."""
    return Q(pk=run.pk, status=status, fence=run.fence)


def _too_late(run: Run, runbook: Runbook, *, at: datetime) -> str | None:
    """Look again at everything that may have changed since the decision; why the run must not start, or None."""
    ticket, decision = run.ticket, run.decision
    if ticket.status != Ticket.Status.QUEUED:
        return "The ticket has moved on since this run was requested."
    if ticket.text_hash != run.text_hash:
        return "The ticket's text has changed since this run was decided."
    if decision is None or run.ordered_by_id:
        return _approval_gone(run, at=at)
    if not decision.in_force or (decision.expires_at and decision.expires_at < at):
        return "The decision has expired."
    certificate = decision.certificate
    if certificate is None or certificate.revoked_at or certificate.expires_at < at:
        return "The certificate is no longer valid."
    if not Customer.objects.filter(pk=run.customer_id, mode=Mode.AUTOMATE).exists():
        return "The customer no longer allows runs without a person."
    return _itsm_says_no(ticket, runbook)


def _approval_gone(run: Run, *, at: datetime) -> str | None:
    if run.decision_id is None:
        return None
    granted = (
        Approval.objects.filter(ticket=run.ticket, decision=run.decision, status=Approval.Status.GRANTED)
        .order_by("-answered_at")
        .first()
    )
    return approvals.still_bound(granted, at=at) if granted else None


def _itsm_says_no(ticket: Ticket, runbook: Runbook) -> str | None:
    """Ask the ITSM itself where it can be asked; a source that cannot be read may automate the low tier only."""
    seen = itsm.SOURCES[ticket.source.kind].read(ticket.source, ticket.external_id)
    if seen is None:
        return None if runbook.tier == "low" else "This source cannot be asked again, so only low-risk runbooks run."
    if seen.closed:
        return "The ticket was closed or taken elsewhere in the ITSM meanwhile."
    return "The ticket's text has changed in the ITSM meanwhile." if seen.text_hash != ticket.text_hash else None


def _claim_in_lake(run: Run, *, at: datetime) -> bool:
    """One object for one start, ever: it outlives a database that was restored to an older state."""
    key = layout.claim_key(str(run.ticket.source.uuid), run.ticket.external_id, run.runbook, run.occasion)
    store = here.store()
    mine = str(run.uuid).encode()
    try:
        store.put(key, mine, if_absent=True)
    except AlreadyThere:
        if store.get(key) != mine:
            return _void(run, at=at, reason="The lake says that this run was started before; a person must look.")
    except LakeError as error:
        return _put_back(run, at=at, seconds=10, reason=f"The lake does not answer: {error}", counts=False)
    return True


def _commit_starting(run: Run, runbook: Runbook) -> bool:
    """STARTING is committed before anything is touched, with the ticket's RUNNING in the same transaction."""
    at = timezone.now()
    with transaction.atomic():
        won = lifecycle.advance(
            Run.objects.filter(_mine(run, Run.Status.CLAIMED)),
            to=Run.Status.STARTING,
            at=at,
            actor=ACTOR,
            changes={"started_at": at, "claim_until": at + timedelta(seconds=runbook.longest_seconds) + MARGIN},
        )
        if won and not lifecycle.advance(
            Ticket.objects.filter(pk=run.ticket_id, status=Ticket.Status.QUEUED, text_hash=run.text_hash),
            to=Ticket.Status.RUNNING,
            at=at,
            actor=ACTOR,
            reason=f"{runbook.title} is running.",
        ):
            transaction.set_rollback(True)
            won = []
    return bool(won)


def _record(run: Run, outcome: Outcome, *, at: datetime) -> None:
    with transaction.atomic():
        won = lifecycle.advance(
            Run.objects.filter(_mine(run, Run.Status.STARTING)),
            to=FINAL[outcome.status],
            at=at,
            actor=ACTOR,
            reason=outcome.message[:1000],
            changes={
                "finished_at": at,
                "phases": [asdict(phase) for phase in outcome.phases],
                "output": outcome.output,
            },
        )
        if not won:
            log.error("run %s ended as %s, but its row had moved on", run.uuid, outcome.status)
            return
        run.refresh_from_db()
        automation.settle(run, at=at, actor=ACTOR)


def _void(run: Run, *, at: datetime, reason: str) -> bool:
    with transaction.atomic():
        if lifecycle.advance(
            Run.objects.filter(_mine(run, Run.Status.CLAIMED)), to=Run.Status.VOID, at=at, actor=ACTOR, reason=reason
        ):
            run.refresh_from_db()
            automation.settle(run, at=at, actor=ACTOR)
    return False


def _put_back(run: Run, *, at: datetime, seconds: int, reason: str, counts: bool) -> bool:
    """Back to REQUESTED for a while; holds by switch, window or limit are no tries."""
    lifecycle.advance(
        Run.objects.filter(_mine(run, Run.Status.CLAIMED)),
        to=Run.Status.REQUESTED,
        at=at,
        actor=ACTOR,
        reason=reason,
        changes={"hold_until": at + timedelta(seconds=seconds), "attempts": F("attempts") - (0 if counts else 1)},
    )
    return False
