"""Approvals: read what waits for a word, and say it. The rules are the desk's, the requester's own included."""

from collections.abc import Collection
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone
from ninja import Field, Query, Router, Schema

from triage import approvals as domain
from triage import automation, bell
from triage.api.access import person_of
from triage.api.fields import Text
from triage.api.pages import Page, cut
from triage.api.problems import PROBLEMS
from triage.models import Approval, Person
from triage.permissions import check_can_answer
from triage.queries import blind

router = Router(tags=["approvals"])


class ApprovalOut(Schema):
    """One request. Where the ticket was drawn for a blind answer, `sealed` is true and what would be run is null."""

    id: UUID
    customer: str
    ticket: str
    ticket_id: UUID
    sealed: bool
    runbook: str | None
    parameters: dict[str, str] | None
    reason: str | None
    status: Literal["asked", "granted", "refused", "expired", "void"]
    people_needed: int
    people_said_yes: int
    binding: str | None
    asked_at: datetime
    expires_at: datetime
    answered_at: datetime | None
    refusal: str


class Approvals(Schema):
    """A page of requests."""

    items: list[ApprovalOut]
    next: str | None


class Granted(Schema):
    """What the yes did. `run` is null while a second person is needed, or where the ticket went another way."""

    approval: ApprovalOut
    run: UUID | None


class Refusal(Schema):
    """Why not."""

    reason: Annotated[Text, Field(min_length=3, max_length=500)]


class Wanted(Page):
    """Which requests."""

    status: Literal["asked", "granted", "refused", "expired", "void"] | None = None


@router.get("/", response={200: Approvals, **PROBLEMS}, operation_id="list_approvals")
def approvals(request: HttpRequest, wanted: Query[Wanted]) -> Approvals:
    """Requests of the customers that the token's owner belongs to, newest first."""
    person = person_of(request, "approvals:read")
    rows = Approval.objects.visible_to(person).select_related("ticket", "customer", "decision")
    if wanted.status:
        rows = rows.filter(status=wanted.status)
    shown, onward = cut(rows, wanted)
    hidden = blind.sealed([row.ticket for row in shown], at=timezone.now())
    return Approvals(items=[_shown(row, hidden) for row in shown], next=onward)


@router.get("/{uuid}", response={200: ApprovalOut, **PROBLEMS}, operation_id="read_approval")
def approval(request: HttpRequest, uuid: UUID) -> ApprovalOut:
    """One request."""
    person = person_of(request, "approvals:read")
    return _one(_found(person, uuid), person)


@router.post("/{uuid}/grant", response={200: Granted, **PROBLEMS}, operation_id="grant_approval")
def grant(request: HttpRequest, uuid: UUID) -> Granted:
    """Say yes, once. 409 where it was answered, has expired, or what it is bound to has changed."""
    person = person_of(request, "approvals:answer")
    row = _open_to(person, uuid)
    run = automation.grant(row, person=person, at=timezone.now())
    if run:
        bell.ring("execute_run", run.pk)
    bell.ring("tell_people")
    row.refresh_from_db()
    return Granted(approval=_one(row, person), run=run.uuid if run else None)


@router.post("/{uuid}/refuse", response={200: ApprovalOut, **PROBLEMS}, operation_id="refuse_approval")
def refuse(request: HttpRequest, uuid: UUID, said: Refusal) -> ApprovalOut:
    """Say no, with the reason; the ticket goes to an agent."""
    person = person_of(request, "approvals:answer")
    row = _open_to(person, uuid)
    if not said.reason.strip():
        raise domain.ApprovalRefused("Say why not in a few words.")
    domain.refuse(row, person=person, reason=said.reason.strip(), at=timezone.now())
    row.refresh_from_db()
    return _one(row, person)


def _found(person: Person, uuid: UUID) -> Approval:
    rows = Approval.objects.visible_to(person)
    rows = rows.select_related("ticket", "ticket__customer", "ticket__source", "customer", "decision", "first_person")
    row: Approval = get_object_or_404(rows, uuid=uuid)
    return row


def _open_to(person: Person, uuid: UUID) -> Approval:
    """The request, where this person may answer it and has been able to read it."""
    row = _found(person, uuid)
    if row.status == Approval.Status.ASKED:
        check_can_answer(person, row)
    if blind.sealed_for(row.ticket, person=person, at=timezone.now()):
        raise domain.ApprovalRefused("It was drawn for a blind check: open the request on the desk and read it first.")
    return row


def _one(row: Approval, person: Person) -> ApprovalOut:
    sealed = blind.sealed_for(row.ticket, person=person, at=timezone.now())
    return _shown(row, {row.ticket_id} if sealed else set())


def _shown(row: Approval, hidden: Collection[int]) -> ApprovalOut:
    sealed = row.ticket_id in hidden
    return ApprovalOut(
        id=row.uuid,
        customer=row.customer.slug,
        ticket=row.ticket.external_id,
        ticket_id=row.ticket.uuid,
        sealed=sealed,
        runbook=None if sealed else row.runbook,
        parameters=None if sealed else {name: str(value) for name, value in row.parameters.items()},
        reason=None if sealed else row.decision.reason,
        status=row.status,  # type: ignore[arg-type]  # one of them by a constraint
        people_needed=row.people_needed,
        people_said_yes=sum(person is not None for person in (row.first_person_id, row.second_person_id)),
        binding=None if sealed else row.binding,
        asked_at=row.asked_at,
        expires_at=row.expires_at,
        answered_at=row.answered_at,
        refusal="" if sealed else row.refusal,
    )
