"""Tickets: what came, what Triage makes of each, and what happened to it. A ticket under a blind check stays sealed."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone
from ninja import Query, Router, Schema

from triage.api.access import person_of
from triage.api.fields import Moment
from triage.api.pages import Page, cut
from triage.api.problems import PROBLEMS
from triage.models import Decision, Prediction, Ticket
from triage.models.ticket import OPEN
from triage.queries import blind, narrowing
from triage.queries import ticket as reads
from triage.queries.candidates import Candidate
from triage.queries.log import Entry

router = Router(tags=["tickets"])
Status = Literal[
    "received",
    "classified",
    "observed",
    "queued",
    "linked",
    "waiting_approval",
    "running",
    "needs_review",
    "answered",
    "resolved",
    "withdrawn",
]
Mode = Literal["observe", "suggest", "approve", "automate"]


class TicketLine(Schema):
    """One ticket of a list. Where it was drawn for a blind answer, `sealed` is true and what we think of it is null."""

    id: UUID
    customer: str | None
    source: str
    external_id: str
    subject: str
    requester: str
    language: str
    status: Status | None
    priority: str
    due_at: datetime | None
    created_at: datetime
    updated_at: datetime
    received_at: datetime
    changed_at: datetime
    sealed: bool
    reason: str | None
    mode: Mode | None
    article: str | None
    probability: float | None


class DecisionOut(Schema):
    """What is to happen, why, and until when that may be acted on. `article` is a label."""

    mode: Mode
    article: str
    runbook: str
    parameters: dict[str, str]
    certificate: UUID | None
    reason: str
    made_at: datetime
    expires_at: datetime | None


class MatchOut(Schema):
    """One ranked article. A new one, which no ticket has taught, has a likeness of texts and no probability."""

    label: str
    key: str | None
    title: str | None
    probability: float | None
    likeness: float | None
    runbook: str | None


class HistoryOut(Schema):
    """One line of the log."""

    at: datetime
    actor: str
    what: str
    reason: str


class TicketOut(TicketLine):
    """One ticket as a whole. `text_hash` names the text that a verdict is about."""

    body: str
    kind: str
    channel: str
    itsm_status: str
    itsm_group: str
    fields: dict[str, str]
    text_hash: str
    decision: DecisionOut | None
    matches: list[MatchOut]
    evidence: dict[str, Any] | None
    release: str | None
    runs: list[UUID]
    history: list[HistoryOut]


class Tickets(Schema):
    """A page of tickets."""

    items: list[TicketLine]
    next: str | None


Short = Annotated[str, Query(max_length=60)]


class Wanted(Page):
    """Which tickets. `article` is the label of the decision in force; every word of `text` must occur."""

    customer: Short = ""
    source: Short = ""
    status: Status | None = None
    article: Short = ""
    updated_since: Moment | None = None
    text: Annotated[str, Query(max_length=200)] = ""


@router.get("/", response={200: Tickets, **PROBLEMS}, operation_id="list_tickets")
def tickets(request: HttpRequest, wanted: Query[Wanted]) -> Tickets:
    """Tickets of the customers that the token's owner belongs to, newest first."""
    person, at = person_of(request, "tickets:read"), timezone.now()
    filters = narrowing.Filters(status="all", customer=wanted.customer, text=wanted.text)
    rows = _narrowed(narrowing.matching(person, filters=filters, at=at), wanted, at=at)
    shown, onward = cut(
        rows.select_related("customer", "source").defer("body", "attachments", "waiting_update"), wanted
    )
    hidden = blind.sealed(shown, at=at)
    keys = [row.pk for row in shown if row.pk not in hidden]
    decisions = {(row.ticket_id, row.text_hash): row for row in Decision.objects.filter(ticket__in=keys, in_force=True)}
    predictions = {
        (row.ticket_id, row.text_hash): row for row in Prediction.objects.filter(ticket_id__in=keys, in_force=True)
    }
    items = [
        TicketLine(
            **_line(row, hidden, decisions.get((row.pk, row.text_hash)), predictions.get((row.pk, row.text_hash)))
        )
        for row in shown
    ]
    return Tickets(items=items, next=onward)


@router.get("/{uuid}", response={200: TicketOut, **PROBLEMS}, operation_id="read_ticket")
def ticket(request: HttpRequest, uuid: UUID) -> TicketOut:
    """One ticket, with the decision in force, the ranked articles and its history."""
    person = person_of(request, "tickets:read")
    rows = Ticket.objects.visible_to(person).select_related("customer", "source", "held_by")
    row: Ticket = get_object_or_404(rows, uuid=uuid)
    seen = reads.detail(row, person=person, at=timezone.now())
    hidden = {row.pk} if seen.sealed else set()
    return TicketOut(
        **_line(row, hidden, seen.decision, seen.prediction),
        body=row.body,
        kind=row.kind,
        channel=row.channel,
        itsm_status=row.itsm_status,
        itsm_group=row.itsm_group,
        fields={name: str(value) for name, value in row.fields.items()},
        text_hash=row.text_hash,
        decision=_decision(seen.decision),
        matches=[_match(one) for one in seen.candidates],
        evidence=seen.prediction.evidence if seen.prediction else None,
        release=seen.prediction.release if seen.prediction else None,
        runs=[run.uuid for run in seen.runs],
        history=[_entry(one) for one in seen.history],
    )


def _narrowed(rows: QuerySet[Ticket], wanted: Wanted, *, at: datetime) -> QuerySet[Ticket]:
    if wanted.source:
        rows = rows.filter(source__slug=wanted.source)
    if wanted.status:
        rows = rows.filter(status=wanted.status)
        if wanted.status not in OPEN:
            # where a sealed ticket went would tell what was thought of it
            rows = rows.exclude(pk__in=blind.sealed_among(Ticket.objects.all(), at=at).values("pk"))
    if wanted.updated_since:
        rows = rows.filter(changed_at__gte=wanted.updated_since)
    if wanted.article:
        decided = Decision.objects.filter(
            ticket=OuterRef("pk"), text_hash=OuterRef("text_hash"), in_force=True, article=wanted.article
        )
        # a sealed ticket found by its article would tell the article
        rows = rows.filter(Exists(decided)).exclude(pk__in=blind.sealed_among(Ticket.objects.all(), at=at).values("pk"))
    return rows


def _line(
    row: Ticket, hidden: Collection[int], decision: Decision | None, prediction: Prediction | None
) -> Mapping[str, Any]:
    sealed = row.pk in hidden
    if sealed:
        decision = prediction = None
    return {
        "id": row.uuid,
        "customer": row.customer.slug if row.customer else None,
        "source": row.source.slug,
        "external_id": row.external_id,
        "subject": row.subject,
        "requester": row.requester,
        "language": row.language,
        "status": None if sealed and row.status not in OPEN else row.status,
        "priority": row.priority,
        "due_at": row.due_at,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "received_at": row.received_at,
        "changed_at": row.changed_at,
        "sealed": sealed,
        "reason": None if sealed else row.reason or (decision.reason if decision else ""),
        "mode": decision.mode if decision else None,
        "article": decision.article if decision else None,
        "probability": prediction.probability if prediction else None,
    }


def _decision(row: Decision | None) -> DecisionOut | None:
    if row is None:
        return None
    return DecisionOut(
        mode=row.mode,  # type: ignore[arg-type]  # one of them by a constraint
        article=row.article,
        runbook=row.runbook,
        parameters={name: str(value) for name, value in row.parameters.items()},
        certificate=row.certificate.uuid if row.certificate else None,
        reason=row.reason,
        made_at=row.made_at,
        expires_at=row.expires_at,
    )


def _match(one: Candidate) -> MatchOut:
    return MatchOut(
        label=one.label,
        key=one.article.key if one.article else None,
        title=one.article.title if one.article else None,
        probability=one.probability,
        likeness=one.likeness,
        runbook=one.runbook.key if one.runbook else None,
    )


def _entry(one: Entry) -> HistoryOut:
    return HistoryOut(at=one.event.at, actor=one.actor, what=one.title, reason=one.reason)
