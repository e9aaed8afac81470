"""Requests for runs: what may be requested, which run answers a storm, and what an ended run means for its tickets."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import F, Q

from runbooks.base import Runbook
from runbooks.environments import strictest
from runbooks.registry import RUNBOOKS
from triage import approvals, ended, lifecycle, obstacles, storms, versions
from triage.models import (
    Approval,
    Customer,
    Decision,
    Person,
    Run,
    Ticket,
)
from triage.obstacles import Obstacle
from triage.targets import directory, object_of, target_for

__all__ = [
    "ask",
    "directory",
    "forbidden",
    "good_since",
    "grant",
    "in_the_way",
    "lock",
    "obstacle",
    "request",
    "request_all",
    "rest",
    "settle",
    "target_for",
]

ORDERS_KEPT = timedelta(days=7)
"""A person's order that waits for a maintenance window is good no longer than this."""


def obstacle(*, customer: Customer, runbook: Runbook, at: datetime) -> str | None:
    """Why no run of this runbook may be requested now, as a sentence; None where nothing stands in the way.

    A closed maintenance window is none: the run is requested and waits for it.
    """
    found = obstacles.but_windows(customer=customer, runbook=runbook, at=at, target=target_for(customer, runbook))
    return found.reason if found else None


def in_the_way(run: Run, runbook: Runbook, *, at: datetime) -> Obstacle | None:
    """What keeps this run from starting now, windows and the limits of its target included."""
    return obstacles.find(
        customer=run.customer, runbook=runbook, at=at, target=run.target, target_object=run.target_object
    )


def forbidden(run: Run, runbook: Runbook) -> str | None:
    """Why the run may not start where it would work, as its environment's rule says; None where it may."""
    environment = obstacles.environment_of(run.target, run.target_object)
    rule = strictest(environment, *obstacles.rules_for(run.customer, runbook))
    if rule == "never":
        return f"{runbook.title} never runs in the environment {environment}."
    if rule == "approve" and run.ordered_by_id is None:
        return f"In the environment {environment} a person must approve {runbook.title}."
    return None


def rest(run: Run, held: Obstacle, *, at: datetime) -> None:
    """Let a requested run rest until what is in its way may be gone; who looks at its ticket reads why, and until when.

    That is no try, and no line in the log.
    """
    waiting = Run.objects.filter(pk=run.pk, status=Run.Status.REQUESTED, fence=run.fence)
    waiting.update(reason=held.reason[:1000], **held.changes(at=at))
    if held.window:
        Ticket.objects.filter(pk=run.ticket_id, status=Ticket.Status.QUEUED).update(reason=held.reason[:1000])


def good_since(run: Run) -> datetime:
    """From when the time counts in which a person's word must be acted on: from the window on that it waits for."""
    waited = min(run.window_at, run.requested_at + ORDERS_KEPT) if run.window_at else run.requested_at
    return max(run.requested_at, waited)


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
    held = obstacles.closed(customer=decision.customer, runbook=runbook, at=at, target=target)
    if held and held.until is None:
        _to_person(ticket, decision, at=at, actor=actor, reason=held.reason)
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
        action_digest=versions.digest(decision.customer, runbook),
        ordered_by=ordered_by,
        requested_at=at,
        reason=held.reason[:1000] if held else "",
        **(held.changes(at=at) if held else {}),
    )
    return run if _queue_or_link(run, at=at, actor=actor) else None


def request_all(plans: Sequence[tuple[Ticket, Decision]], *, at: datetime, actor: str) -> list[Run]:
    """The same for a batch whose tickets the caller has locked; equal alerts follow the first of them in one step."""
    runs = []
    for (ticket, decision), *others in storms.of_one_cause(plans):
        run = request(ticket=ticket, decision=decision, at=at, actor=actor)
        runs += [run] if run else []
        if others:
            runs += _follow(ticket, others, at=at, actor=actor)
    return runs


def _follow(first: Ticket, others: Sequence[tuple[Ticket, Decision]], *, at: datetime, actor: str) -> list[Run]:
    """Where the first of equal alerts went, the others go; each by itself where that does not hold for it."""
    first.refresh_from_db(fields=["status", "reason", "linked_run"])
    answer = first.linked_run or Run.objects.filter(ticket=first, status__in=Run.LIVE).first()
    tried = set(Run.objects.filter(ticket__in=[ticket for ticket, _ in others]).values_list("ticket", flat=True))
    alike = [ticket for ticket, _ in others if ticket.pk not in tried]
    if answer:
        alike = [each for each in alike if answer.finished_at is None or each.created_at <= answer.finished_at]
        _link([ticket.pk for ticket in alike], answer, at=at, actor=actor)
    elif first.status == Ticket.Status.NEEDS_REVIEW:
        rows = Ticket.objects.filter(pk__in=[ticket.pk for ticket in alike], status=Ticket.Status.CLASSIFIED)
        lifecycle.advance(rows, to=Ticket.Status.NEEDS_REVIEW, at=at, actor=actor, reason=first.reason)
    else:
        alike = []
    gone = {ticket.pk for ticket in alike}
    left = [request(ticket=one, decision=plan, at=at, actor=actor) for one, plan in others if one.pk not in gone]
    return [run for run in left if run]


def _queue_or_link(run: Run, *, at: datetime, actor: str) -> bool:
    """Whether the run is queued; else its ticket went with its storm's run, to a person, or had moved on."""
    ticket, decision = run.ticket, run.decision
    assert decision is not None  # noqa: S101 - `request` makes every run from a decision
    for _ in range(2):  # another worker may queue an equal alert's run between the look and the insert
        storm = None if run.ordered_by_id else storms.answering(run, ticket=ticket)
        if storm:
            _link([ticket.pk], storm, at=at, actor=actor)
            return False
        wrong = None if run.ordered_by_id else storms.gone_wrong(run, ticket=ticket)
        if wrong:
            same = f"The run for the same alert, ticket {wrong.ticket.external_id}, went wrong: look there first."
            _to_person(ticket, decision, at=at, actor=actor, reason=same)
            return False
        try:
            with transaction.atomic():
                run.save(force_insert=True)
                queued = lifecycle.advance(
                    Ticket.objects.filter(pk=ticket.pk, text_hash=decision.text_hash),
                    to=Ticket.Status.QUEUED,
                    at=at,
                    actor=actor,
                    reason=run.reason or decision.reason,
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
    approvals.check_not_own(approval, person=person)
    approvals.check_owner_agrees(approval, person=person)
    with transaction.atomic():
        approvals.lock(approval)
        if not approvals.grant(approval, person=person, at=at):
            return None
        approval.refresh_from_db()
        stale = approvals.still_bound(approval, at=at)
        if stale:
            raise approvals.ApprovalRefused(stale)
        run = request(
            ticket=approval.ticket,
            decision=approval.decision,
            at=at,
            actor=f"person:{person.pk}",
            ordered_by=person,
        )
        if run and run.window_at:  # the yes is good from when the run may start
            Approval.objects.filter(pk=approval.pk).update(expires_at=good_since(run) + approvals.GRANTED_FOR)
        if run:
            _answer_alike(approval, run, at=at, actor=f"person:{person.pk}")
        return run


def _answer_alike(approval: Approval, run: Run, *, at: datetime, actor: str) -> None:
    """One word for a storm: its other alerts that wait for the same are linked to the run that was approved."""
    answered = lifecycle.advance(
        storms.asking_the_same(approval),
        to=Approval.Status.VOID,
        at=at,
        actor=actor,
        reason=f"answered with ticket {approval.ticket.external_id}, the same alert",
        changes={"answered_at": at},
    )
    tickets = Ticket.objects.filter(approvals__in=answered, status=Ticket.Status.WAITING_APPROVAL)
    _link(list(tickets.values_list("pk", flat=True)), run, at=at, actor=actor)


def ask(*, ticket: Ticket, decision: Decision, people_needed: int, at: datetime, actor: str) -> Approval | None:
    """Ask for a person's word; an alert whose storm has been approved for follows that run instead."""
    runbook = RUNBOOKS[decision.runbook]
    target = target_for(decision.customer, runbook)
    if target is not None:
        works_on = object_of(runbook, parameters=decision.parameters, ticket=ticket)[:200]
        wanted = Run(
            customer=decision.customer, runbook=runbook.key, target=target, target_object=works_on, requested_at=at
        )
        answer = storms.answering(wanted, ticket=ticket)
        if answer:
            _link([ticket.pk], answer, at=at, actor=actor)
            return None
    return approvals.ask(ticket=ticket, decision=decision, people_needed=people_needed, at=at)


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
        ended.tell_itsm(run, moved, at=at)
        ended.tell_people(run, at=at)
    elif run.status != Run.Status.VOID:
        ended.tell_people(run, at=at)
        ended.tell_of_circuit(run, at=at)


@transaction.atomic
def _link(tickets: list[int], run: Run, *, at: datetime, actor: str) -> None:
    moved = lifecycle.advance(
        Ticket.objects.filter(pk__in=tickets),
        to=Ticket.Status.LINKED,
        at=at,
        actor=actor,
        reason=f"The same alert as ticket {run.ticket.external_id}, whose run answers for both. {run.reason}".strip(),
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
