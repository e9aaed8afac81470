"""One run from claim to record. Between any two lines the process may die: each step is safe to have happened.

The order is what makes one effect: claim in the database (with a fencing number), look at the ITSM again, claim in the
lake, commit STARTING, act, record. A run lost after STARTING is UNKNOWN and goes to a person, never to a second try.
"""

import logging
import time
from dataclasses import asdict
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from runbooks.base import Runbook
from runbooks.outcome import Outcome
from runbooks.registry import RUNBOOKS
from runbooks.runners import RUNNERS
from triage import approvals, automation, itsm, lifecycle, links
from triage.environment import environment
from triage.lake import here, layout
from triage.lake.store import AlreadyThere, LakeError
from triage.models import Approval, Certificate, Customer, Draw, Mode, Release, Run, Ticket
from triage.targets import settings_of

log = logging.getLogger(__name__)
ACTOR = "system:automation"
MARGIN = timedelta(seconds=30)
NO_ANSWER = timedelta(seconds=10)
RECORD_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between tries to record an outcome; together shorter than MARGIN, after which the run counts as lost."""

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
    if _held(run_id, at=at):
        return False
    run = _claim(run_id, at=at)
    if run is None:
        return False
    runbook = RUNBOOKS.get(run.runbook)
    if runbook is None or runbook.action_digest != run.action_digest:
        return _void(run, at=at, reason="The runbook has changed since this run was decided.")
    target = settings_of(run.target)  # whatever is wrong with it is found before anything counts as started
    try:
        late = _too_late(run, at=at) or _itsm_says_no(run, runbook)
    except itsm.ReadFailed as error:
        return _put_back(run, until=at + NO_ANSWER, reason=f"The ITSM could not be asked: {error}")
    if late:
        return _void(run, at=at, reason=late)
    if not _claim_in_lake(run, at=at):
        return False
    handed = links.prepare(run, runbook, at=at)
    if not _commit_starting(run, runbook):
        return False
    outcome = RUNNERS[runbook.runner](
        runbook, parameters=run.parameters, target=target, run_id=str(run.uuid), handed=handed
    )
    _record_surely(run, outcome)
    return True


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


def _mine(run: Run, status: str) -> Q:
    """The claim that this process holds: an older claimant's fencing number no longer matches."""
    return Q(pk=run.pk, status=status, fence=run.fence)


def _too_late(run: Run, *, at: datetime) -> str | None:
    """Look again at everything that may have changed since the decision; why the run must not start, or None."""
    ticket, decision = run.ticket, run.decision
    if ticket.status != Ticket.Status.QUEUED:
        return "The ticket has moved on since this run was requested."
    if ticket.text_hash != run.text_hash:
        return "The ticket's text has changed since this run was decided."
    if decision is None or not decision.in_force:
        return "The decision has expired or another one took its place."
    runbook = RUNBOOKS[run.runbook]
    forbidden = automation.forbidden(run, runbook) or links.trouble(runbook)
    if run.ordered_by_id:
        return forbidden or _word_gone(run, at=at)
    if decision.expires_at is None or decision.expires_at < at:
        return "The decision has expired."
    if not Customer.objects.filter(pk=run.customer_id, mode=Mode.AUTOMATE).exists():
        return "The customer no longer allows runs without a person."
    if Draw.objects.filter(ticket=ticket, purpose=Draw.Purpose.HOLDOUT).exists():
        return "The ticket was drawn for a person to answer first."
    return forbidden or _uncertified(decision.certificate, run, at=at)


def _uncertified(certificate: Certificate | None, run: Run, *, at: datetime) -> str | None:
    if certificate is None or certificate.revoked_at or certificate.expires_at < at:
        return "The certificate is no longer valid."
    if run.runbook not in certificate.runbooks:
        return "The certificate does not cover this runbook."
    in_force = Release.objects.filter(pk=certificate.release_id, status=Release.Status.IN_FORCE)
    return None if in_force.exists() else "Another model is in force than the one that the certificate is for."


def _word_gone(run: Run, *, at: datetime) -> str | None:
    """A person's order or approval is good for half an hour, and an approval for exactly what was approved."""
    if automation.good_since(run) + approvals.GRANTED_FOR < at:
        return "The run could not start within half an hour of a person's word."
    asked = Approval.objects.filter(decision=run.decision_id).order_by("-pk").first()
    if asked is None:
        return None  # ordered, and in no need of another person
    if asked.status != Approval.Status.GRANTED:
        return "The approval no longer stands."
    return approvals.still_bound(asked, at=at)


def _itsm_says_no(run: Run, runbook: Runbook) -> str | None:
    """Ask the ITSM itself where it can be asked; without that and a person's word only the low tier runs."""
    ticket = run.ticket
    seen = itsm.SOURCES[ticket.source.kind].read(ticket.source, ticket.external_id)
    if seen is None:
        may = runbook.tier == "low" or run.ordered_by_id
        return None if may else "This source cannot be asked again, so only low-risk runbooks run."
    if seen.closed:
        return "The ticket was closed or taken elsewhere in the ITSM meanwhile."
    if seen.text_hash != ticket.text_hash:
        return "The ticket's text has changed in the ITSM meanwhile."
    now, then = seen.incoming.status.strip(), ticket.itsm_status.strip()
    if now and then and now.casefold() != then.casefold():
        return f"The ticket's status has changed in the ITSM meanwhile, from {then} to {now}."
    return None


def _claim_in_lake(run: Run, *, at: datetime) -> bool:
    """One object for one start, ever: it outlives a database that was restored to an older state."""
    key = layout.claim_key(str(run.ticket.source.uuid), run.ticket.external_id, run.runbook, run.occasion)
    mine = str(run.uuid).encode()
    try:
        store = here.store()
        try:
            store.put(key, mine, if_absent=True)
        except AlreadyThere:
            if store.get(key) != mine:
                return _void(run, at=at, reason="The lake says that this run was started before; a person must look.")
    except LakeError as error:
        return _put_back(run, until=at + NO_ANSWER, reason=f"The lake does not answer: {error}")
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
        if late := _too_late(_loaded(run.pk), at=at):
            return _void(run, at=at, reason=late)
        if held := automation.in_the_way(run, runbook, at=at):
            _put_back(run, until=at, reason=held.reason)
            automation.rest(run, held, at=at)
            return False
        won = lifecycle.advance(
            Run.objects.filter(_mine(run, Run.Status.CLAIMED)),
            to=Run.Status.STARTING,
            at=at,
            actor=ACTOR,
            changes={"started_at": at, "claim_until": at + timedelta(seconds=runbook.longest_seconds) + MARGIN},
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


def _record_surely(run: Run, outcome: Outcome) -> None:
    """Record an outcome that is known: a database that restarts meanwhile must not make it an unknown one."""
    for pause in RECORD_PAUSES:
        try:
            return _record(run, outcome, at=timezone.now())
        except (OperationalError, InterfaceError) as error:
            log.warning("run %s ended as %s and is not recorded yet: %s", run.uuid, outcome.status, error)
            connection.close()
            time.sleep(pause)
    return _record(run, outcome, at=timezone.now())


def _record(run: Run, outcome: Outcome, *, at: datetime) -> None:
    with transaction.atomic():
        automation.lock(run)
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
        automation.lock(run)
        if lifecycle.advance(
            Run.objects.filter(_mine(run, Run.Status.CLAIMED)), to=Run.Status.VOID, at=at, actor=ACTOR, reason=reason
        ):
            run.refresh_from_db()
            automation.settle(run, at=at, actor=ACTOR)
    return False


def _put_back(run: Run, *, until: datetime, reason: str) -> bool:
    """Back to REQUESTED until then; holds by switch, window, limit or somebody who does not answer are no tries."""
    lifecycle.advance(
        Run.objects.filter(_mine(run, Run.Status.CLAIMED)),
        to=Run.Status.REQUESTED,
        at=timezone.now(),
        actor=ACTOR,
        reason=reason,
        changes={"hold_until": until, "attempts": F("attempts") - 1},
    )
    return False
