"""Predictions, decisions and the tickets' next states, in one transaction and set by set.

A row that changed since it was claimed is skipped: it stays RECEIVED and is classified anew, never decided on old text.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from classifier.articles import Placed
from classifier.estimator import Ranking
from triage import automation, lifecycle, placing, routing, suggesting, telling
from triage.models import Decision, Mode, Prediction, Ticket
from triage.prediction import turns
from triage.prediction.claims import Claim
from triage.prediction.deciding import Outcome

ACTOR = "system:prediction"
LONGEST_REASON = 1000
GROUNDS = ("text_hash", "requester", "channel", "fields", "attachments")
"""What a decision rests on: where one of them changed since the claim, the ticket is not decided."""

KEPT_FOR = {Mode.AUTOMATE.value: routing.AUTOMATE_FOR, Mode.APPROVE.value: routing.APPROVE_FOR}


@dataclass(frozen=True)
class Stored:
    """How many tickets were decided, and the runs that were requested."""

    decided: int
    runs: list[int]


def store(claim: Claim, outcomes: list[Outcome], *, version: str, at: datetime) -> Stored:
    """Store the outcomes of a claim's tickets and move each on; `version` is the model's, empty where none answered."""
    with transaction.atomic():
        same = _unchanged(claim)
        kept = [outcome for outcome in outcomes if outcome.ticket.pk in same]
        decisions = _record(claim, kept, version=version, at=at)
        turns.give(claim.customer, kept)
        _tell(claim, kept, decisions, version=version, at=at)
        _classified(claim, kept, at=at)
        runs = _act(kept, decisions, at=at)
        _place(claim, kept, decisions, at=at)
        suggesting.announce([one.ticket for one in kept if _is_suggested(one)], at=at)
        # what was skipped waits again; that it changed meanwhile was no try
        claim.rows.update(claim=None, claim_until=None, attempts=0)
    return Stored(len(kept), runs)


def _is_suggested(outcome: Outcome) -> bool:
    """Whether an agent may read now what is suggested; of a drawn ticket nobody may."""
    found = outcome.ranking is not None and bool(outcome.ranking.matches)
    return found and outcome.routed.mode == Mode.SUGGEST and not outcome.drawn


def _unchanged(claim: Claim) -> set[int]:
    """The tickets that are still held and still say what was classified; their rows are locked."""
    then = {ticket.pk: tuple(getattr(ticket, name) for name in GROUNDS) for ticket in claim.tickets}
    now = claim.rows.select_for_update().order_by("pk").values_list("pk", *GROUNDS)
    return {pk for pk, *grounds in now if then[pk] == tuple(grounds)}


def _record(claim: Claim, outcomes: list[Outcome], *, version: str, at: datetime) -> dict[int, Decision]:
    """The new predictions and decisions come into force, older ones stay superseded; the decisions by ticket."""
    keys = [outcome.ticket.pk for outcome in outcomes]
    Prediction.objects.filter(ticket_id__in=keys, in_force=True).update(in_force=False)
    Decision.objects.filter(ticket__in=keys, in_force=True).update(in_force=False)
    Prediction.objects.bulk_create(
        [_prediction(claim, outcome, version=version, at=at) for outcome in outcomes], batch_size=500
    )
    made = Decision.objects.bulk_create([_decision(claim, outcome, at=at) for outcome in outcomes], batch_size=500)
    return {decision.ticket_id: decision for decision in made}


def _prediction(claim: Claim, outcome: Outcome, *, version: str, at: datetime) -> Prediction:
    found = outcome.ranking
    return Prediction(
        customer=claim.customer,
        ticket_id=outcome.ticket.pk,
        text_hash=outcome.ticket.text_hash,
        release=version,
        matches=_matches(found) if found else [],
        new_articles=_new_articles(outcome.new_articles),
        probability=found.matches[0].probability if found and found.matches else 0.0,
        score=found.score if found else 0.0,
        evidence=found.evidence.as_dict() if found else {},
        reason=(found.evidence.reason if found else outcome.routed.reason)[:LONGEST_REASON],
        made_at=at,
    )


def _matches(found: Ranking) -> list[dict[str, Any]]:
    return [{"label": match.label, "probability": match.probability, "source": "labels"} for match in found.matches]


def _new_articles(found: Placed) -> list[dict[str, Any]]:
    """Apart from the matches: a likeness is no probability, and nothing that acts on matches may meet one."""
    rows = [(one, True) for one in found.in_front] + [(one, False) for one in found.after]
    return [
        {"label": one.label, "likeness": one.likeness, "in_front": in_front, "source": "text"} for one, in_front in rows
    ]


def _decision(claim: Claim, outcome: Outcome, *, at: datetime) -> Decision:
    routed = outcome.routed
    good_for = KEPT_FOR.get(routed.mode)
    return Decision(
        customer=claim.customer,
        ticket=outcome.ticket,
        text_hash=outcome.ticket.text_hash,
        mode=routed.mode,
        article=routed.article,
        runbook=routed.runbook,
        parameters=dict(routed.parameters),
        certificate_id=routed.certificate,
        reason=routed.reason[:LONGEST_REASON],
        made_at=at,
        expires_at=at + good_for if good_for else None,
    )


def _tell(claim: Claim, outcomes: list[Outcome], decisions: dict[int, Decision], *, version: str, at: datetime) -> None:
    """Other programs hear of the decisions where one asked to; never of a drawn ticket, which is answered blind."""
    endpoints = telling.listeners(claim.customer)
    if not endpoints:
        return
    found = [
        telling.Decided(
            ticket=outcome.ticket,
            key=f"decided-{decisions[outcome.ticket.pk].pk}",
            by="model",
            label=outcome.routed.article,
            reason=outcome.routed.reason,
            probability=outcome.ranking.matches[0].probability if outcome.ranking and outcome.ranking.matches else None,
            said={"decision": outcome.routed.mode, "runbook": outcome.routed.runbook, "who": version},
        )
        for outcome in outcomes
        if not outcome.drawn
    ]
    telling.tell_decided(claim.customer, found, endpoints=endpoints, at=at)


def _place(claim: Claim, outcomes: list[Outcome], decisions: dict[int, Decision], *, at: datetime) -> None:
    """Assignment and category where the customer allows them on the model's word alone; never of a drawn ticket."""
    found = [
        placing.Chosen(outcome.ticket, decisions[outcome.ticket.pk], outcome.ranking.matches[0].probability)
        for outcome in outcomes
        if not outcome.drawn and outcome.routed.article and outcome.ranking and outcome.ranking.matches
    ]
    placing.after_decisions(claim.customer, found, at=at)


def _classified(claim: Claim, outcomes: list[Outcome], *, at: datetime) -> None:
    """From RECEIVED to CLASSIFIED, and on where nothing is to be run; without a model straight to a person."""
    onward: dict[str, dict[int, str]] = {}
    unread: dict[int, str] = {}
    for outcome in outcomes:
        said = outcome.routed.reason[:LONGEST_REASON]
        observed = outcome.routed.mode == Mode.OBSERVE and not outcome.drawn
        if observed:
            onward.setdefault(Ticket.Status.OBSERVED, {})[outcome.ticket.pk] = said
        elif outcome.ranking is None:
            unread[outcome.ticket.pk] = said
        elif outcome.routed.mode in (Mode.SUGGEST, Mode.OBSERVE):
            onward.setdefault(Ticket.Status.NEEDS_REVIEW, {})[outcome.ticket.pk] = said
    free = {"claim": None, "claim_until": None, "attempts": 0}
    if unread:
        lifecycle.advance(
            claim.rows.filter(pk__in=unread),
            to=Ticket.Status.NEEDS_REVIEW,
            at=at,
            actor=ACTOR,
            reason=unread,
            changes=free,
        )
    read = [outcome.ticket.pk for outcome in outcomes if outcome.ticket.pk not in unread]
    if read:
        lifecycle.advance(claim.rows.filter(pk__in=read), to=Ticket.Status.CLASSIFIED, at=at, actor=ACTOR, changes=free)
    for status, reasons in onward.items():
        lifecycle.advance(Ticket.objects.filter(pk__in=reasons), to=status, at=at, actor=ACTOR, reason=reasons)


def _act(outcomes: list[Outcome], decisions: dict[int, Decision], *, at: datetime) -> list[int]:
    """Request runs and ask for approvals; the runs that were requested."""
    plans, left = [], []
    for outcome in outcomes:
        decision = decisions[outcome.ticket.pk]
        if outcome.routed.mode == Mode.AUTOMATE:
            plans.append((outcome.ticket, decision))
        elif outcome.routed.mode == Mode.APPROVE:
            people = outcome.routed.people_needed
            automation.ask(ticket=outcome.ticket, decision=decision, people_needed=people, at=at, actor=ACTOR)
        else:
            continue
        left.append(outcome.ticket.pk)
    runs = automation.request_all(plans, at=at, actor=ACTOR)
    if left:
        lifecycle.advance(
            Ticket.objects.filter(pk__in=left, status=Ticket.Status.CLASSIFIED),
            to=Ticket.Status.NEEDS_REVIEW,
            at=at,
            actor=ACTOR,
            reason="This runbook was already tried for this ticket.",
        )
    return [run.pk for run in runs if run.window_at is None]
