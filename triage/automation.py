"""Requests for runs: what stands in the way, which run answers a storm, and what an ended run means for its tickets."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import F, Q

from runbooks import limits
from runbooks.base import Runbook
from runbooks.outcome import Status as RunnerStatus
from runbooks.registry import RUNBOOKS
from triage import approvals, lifecycle
from triage.models import (
    Approval,
    Customer,
    Decision,
    Notification,
    Person,
    Run,
    RunbookState,
    Ticket,
    Writeback,
)
from triage.targets import directory, object_of, target_for

__all__ = ["directory", "grant", "lock", "obstacle", "request", "settle", "target_for"]

STORM_WINDOW = timedelta(minutes=10)
CIRCUIT_LOOKBACK = 200  # ended runs that are looked at: more than any circuit's window
ENDED: Mapping[str, RunnerStatus] = {
    Run.Status.SUCCEEDED: "succeeded",
    Run.Status.FAILED: "failed",
    Run.Status.UNDONE: "undone",
    Run.Status.UNDO_FAILED: "undo_failed",
    Run.Status.UNKNOWN: "unknown",
}


def obstacle(*, customer: Customer, runbook: Runbook, at: datetime) -> str | None:
    """Why no run of this runbook may start now, as a sentence; None where nothing stands in the way."""
    if not Customer.objects.filter(pk=customer.pk, automation_enabled=True).exists():
        return "Automation is switched off for this customer."
    state = RunbookState.objects.of(customer).filter(runbook=runbook.key).first()
    if state and not state.enabled:
        return "This runbook is switched off."
    runs = Run.objects.of(customer).filter(runbook=runbook.key)
    allowed = runbook.limits
    if state and state.runs_an_hour is not None:
        allowed = allowed.model_copy(update={"runs_an_hour": state.runs_an_hour})
    held = limits.check(
        allowed,
        starts=list(runs.filter(started_at__gt=at - limits.HOUR).values_list("started_at", flat=True)),
        running=runs.filter(status__in=[Run.Status.STARTING, Run.Status.UNKNOWN]).count(),
        finished=_finished(customer, runbook),
        closed_at=state.circuit_closed_at if state else None,
        at=at,
    )
    return f"{runbook.title} must wait: {held}." if held else None


def request(
    *, ticket: Ticket, decision: Decision, at: datetime, actor: str, ordered_by: Person | None = None
) -> Run | None:
    """Write the Run and queue the ticket; or link the ticket to its storm's run, or hand it to a person.

    Returns the run that was requested, None where the ticket went another way. Doing it again changes nothing.
    """
    runbook = RUNBOOKS[decision.runbook]
    if Run.objects.filter(ticket=ticket, runbook=runbook.key, occasion=ticket.occasion).exists():
        if ordered_by is None:
            return None
        Ticket.objects.filter(pk=ticket.pk).update(occasion=F("occasion") + 1)  # a person's word is a new occasion
        ticket.refresh_from_db(fields=["occasion"])
    target = target_for(decision.customer, runbook)
    if target is None:
        missing = f"No single {runbook.target_kind} is set up for {runbook.title}."
        _to_person(ticket, decision, at=at, actor=actor, reason=missing)
        return None
    run = Run(
        customer=decision.customer,
        ticket=ticket,
        runbook=runbook.key,
        occasion=ticket.occasion,
        target=target,
        target_object=object_of(runbook, parameters=decision.parameters, ticket=ticket)[:200],
        parameters=decision.parameters,
        decision=decision,
        text_hash=decision.text_hash,
        action_digest=runbook.action_digest,
        ordered_by=ordered_by,
        requested_at=at,
    )
    return run if _queue_or_link(run, at=at, actor=actor) else None


def _queue_or_link(run: Run, *, at: datetime, actor: str) -> bool:
    """Whether the run is queued; else its ticket went with its storm's run, to a person, or had moved on."""
    ticket, decision = run.ticket, run.decision
    assert decision is not None  # noqa: S101 - `request` makes every run from a decision
    for _ in range(2):  # another worker may queue an equal alert's run between the look and the insert
        storm = None if run.ordered_by_id else _storm_run(run, ticket=ticket)
        if storm:
            _link(ticket, storm, at=at, actor=actor)
            return False
        try:
            with transaction.atomic():
                run.save(force_insert=True)
                queued = lifecycle.advance(
                    Ticket.objects.filter(pk=ticket.pk, text_hash=decision.text_hash),
                    to=Ticket.Status.QUEUED,
                    at=at,
                    actor=actor,
                    reason=decision.reason,
                )
                if not queued:  # the ticket left the state that the decision was made in
                    transaction.set_rollback(True)
                return bool(queued)
        except IntegrityError:
            run.pk = None
    busy = f"Another run on {run.target_object} is under way; look at its outcome first."
    _to_person(ticket, decision, at=at, actor=actor, reason=busy)
    return False


def grant(approval: Approval, *, person: Person, at: datetime) -> Run | None:
    """One person's yes; after the last one needed the run is requested. Raises ApprovalRefused with the reason."""
    with transaction.atomic():
        approvals.lock(approval)
        if not approvals.grant(approval, person=person, at=at):
            return None
        approval.refresh_from_db()
        stale = approvals.still_bound(approval, at=at)
        if stale:
            raise approvals.ApprovalRefused(stale)
        return request(
            ticket=approval.ticket,
            decision=approval.decision,
            at=at,
            actor=f"person:{person.pk}",
            ordered_by=person,
        )


def lock(run: Run) -> None:
    """Lock the tickets that this run's fate moves, before the run itself: intake locks in the same order."""
    mine = Ticket.objects.filter(Q(pk=run.ticket_id) | Q(linked_run=run))
    list(mine.order_by("pk").select_for_update().values_list("pk"))


def settle(run: Run, *, at: datetime, actor: str) -> None:
    """Carry an ended run's outcome to its ticket and the tickets linked to it; inside the caller's transaction."""
    good = run.status == Run.Status.SUCCEEDED
    to = Ticket.Status.RESOLVED if good else Ticket.Status.NEEDS_REVIEW
    mine = Q(pk=run.ticket_id, status=Ticket.Status.RUNNING)
    if run.status == Run.Status.VOID:
        mine = Q(pk=run.ticket_id, status=Ticket.Status.QUEUED)
    linked = Q(linked_run=run, status=Ticket.Status.LINKED)
    moved = lifecycle.advance(Ticket.objects.filter(mine | linked), to=to, at=at, actor=actor, reason=run.reason)
    if good:
        _tell_itsm(run, moved, at=at)
    elif run.status != Run.Status.VOID:
        _tell_people(run, at=at)
        _tell_of_circuit(run, at=at)


def _finished(customer: Customer, runbook: Runbook) -> list[limits.Finished]:
    """The runbook's latest ended runs at the customer, for its circuit."""
    ended = Run.objects.of(customer).filter(runbook=runbook.key, finished_at__isnull=False).order_by("-finished_at")
    # an output may have a megabyte
    rows = ended.only("status", "phases", "finished_at")[:CIRCUIT_LOOKBACK]
    return [limits.Finished(at=run.finished_at, status=_status_of(run)) for run in rows if run.finished_at]


def _status_of(run: Run) -> RunnerStatus:
    """The run's end in the runner's words: a pre-check that said no counts neither way."""
    if run.status == Run.Status.FAILED and run.phases and run.phases[-1]["phase"] == "pre_check":
        return "refused"
    return ENDED[run.status]


def _storm_run(run: Run, *, ticket: Ticket) -> Run | None:
    """The run that already answers this ticket's storm: same cause, same runbook and target, still fresh.

    A run that ended before the alert was raised does not answer it: the trouble is back.
    """
    if ticket.actor != Ticket.Actor.MACHINE:
        return None
    ahead = Q(status__in=[Run.Status.REQUESTED, Run.Status.CLAIMED, Run.Status.STARTING])
    done = Q(status=Run.Status.SUCCEEDED, finished_at__gte=ticket.created_at)
    return (
        Run.objects.of(run.customer)
        .filter(
            ahead | done,
            ticket__storm_key=ticket.storm_key,
            runbook=run.runbook,
            target=run.target,
            target_object=run.target_object,
            requested_at__gt=run.requested_at - STORM_WINDOW,
        )
        .exclude(ticket=ticket)
        .order_by("-requested_at")
        .first()
    )


@transaction.atomic
def _link(ticket: Ticket, run: Run, *, at: datetime, actor: str) -> None:
    moved = lifecycle.advance(
        Ticket.objects.filter(pk=ticket.pk),
        to=Ticket.Status.LINKED,
        at=at,
        actor=actor,
        reason=f"The same alert as ticket {run.ticket.external_id}, whose run answers for both.",
        changes={"linked_run": run},
    )
    run.refresh_from_db()
    if moved and run.status not in Run.LIVE:
        settle(run, at=at, actor=actor)


def _to_person(ticket: Ticket, decision: Decision, *, at: datetime, actor: str, reason: str) -> None:
    """Only from where the decision was made: a ticket with a new text waits for the model again."""
    lifecycle.advance(
        Ticket.objects.filter(
            pk=ticket.pk,
            text_hash=decision.text_hash,
            status__in=[Ticket.Status.CLASSIFIED, Ticket.Status.WAITING_APPROVAL],
        ),
        to=Ticket.Status.NEEDS_REVIEW,
        at=at,
        actor=actor,
        reason=reason,
    )


def _title(run: Run) -> str:
    """The runbook's title; its key where a later version of the product no longer has it."""
    return RUNBOOKS[run.runbook].title if run.runbook in RUNBOOKS else run.runbook


def _tell_itsm(run: Run, tickets: list[int], *, at: datetime) -> None:
    title = _title(run)
    Writeback.objects.bulk_create(
        [
            Writeback(
                customer=run.customer,
                ticket_id=ticket,
                key=f"run-{run.uuid}-{ticket}",
                what="resolve",
                content={"text": f"{title}: done and checked. {run.reason}", "run": str(run.uuid)},
                next_at=at,
                created_at=at,
            )
            for ticket in tickets
        ],
        ignore_conflicts=True,
    )


def _tell_people(run: Run, *, at: datetime) -> None:
    Notification.objects.get_or_create(
        key=f"run-{run.uuid}-{run.status}",
        defaults={
            "customer": run.customer,
            "kind": f"run_{run.status}",
            "text": f"{_title(run)}: {run.get_status_display().lower()}. {run.reason}"[:1000],
            "link": f"/tickets/{run.ticket.uuid}/",
            "created_at": at,
        },
    )


def _tell_of_circuit(run: Run, *, at: datetime) -> None:
    """Where this run opened its runbook's circuit somebody must close it, and so must hear of it."""
    runbook = RUNBOOKS.get(run.runbook)
    if runbook is None:
        return
    # the last failures may be recorded by several workers at one moment: each must see the others'
    Customer.objects.select_for_update(no_key=True).get(pk=run.customer_id)
    state = RunbookState.objects.of(run.customer).filter(runbook=run.runbook).first()
    found = limits.circuit(
        runbook.limits, _finished(run.customer, runbook), closed_at=state.circuit_closed_at if state else None
    )
    if found.open and found.since:
        Notification.objects.get_or_create(
            key=f"circuit-{run.customer_id}-{run.runbook}-{found.since.isoformat()}",
            defaults={
                "customer": run.customer,
                "kind": "circuit_open",
                "text": f"{runbook.title} no longer starts: {found.wrong} of its last {found.of} runs went wrong. "
                "Look at them, then close the circuit.",
                "link": f"/tickets/{run.ticket.uuid}/",
                "created_at": at,
            },
        )
