"""Reviews: verdicts, given by the desk's rules. Nobody sees another's verdict on a ticket under a blind check."""

from collections.abc import Collection
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from ninja import Field, Path, Query, Router, Schema, Status

from triage import bell
from triage import review as domain
from triage.api.access import person_of
from triage.api.fields import Text
from triage.api.pages import Page, cut
from triage.api.problems import PROBLEMS
from triage.models import Person, Review, Ticket
from triage.queries import blind
from triage.queries.log import name_of

router = Router(tags=["reviews"])
Verdict = Literal["article", "none", "duplicate", "two_problems", "not_ours", "wrong_parameters"]
Label = Annotated[Text, Field(max_length=60)]
Number = Annotated[int, Path(ge=1, lt=2**63)]


class ReviewOut(Schema):
    """One verdict. Where the ticket waits for a blind answer and the verdict is another's, what it says is null."""

    id: int
    customer: str
    ticket: str
    ticket_id: UUID
    person: str | None
    sealed: bool
    verdict: Verdict | None
    article: str | None
    also: list[str] | None
    parameters: dict[str, str] | None
    note: str | None
    follow: str | None
    duplicate_of: str | None
    blind: bool
    provenance: str
    decided_at: datetime
    undone_at: datetime | None


class Reviews(Schema):
    """A page of verdicts."""

    items: list[ReviewOut]
    next: str | None


class VerdictIn(Schema):
    """What a person says of a ticket.

    `text_hash` is the ticket's as it was read: a verdict on another text is refused. `article` and `also` are labels.
    `follow`: what happens next; empty with an article resolves the ticket, `keep` leaves it to the agent. Some verdicts
    need a `note`.
    `duplicate_of`: the other ticket's number. `reply`: what the requester is sent, in the place of the article's text.
    """

    ticket: UUID
    text_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    verdict: Verdict
    article: Label = ""
    also: Annotated[list[Label], Field(max_length=20)] = []
    note: Annotated[Text, Field(max_length=1000)] = ""
    follow: Literal["", "keep", "reply", "assign", "ask", "run"] = ""
    parameters: Annotated[dict[Text, Annotated[Text, Field(max_length=1000)]], Field(max_length=50)] = {}
    duplicate_of: Annotated[Text, Field(max_length=200)] = ""
    reply: Annotated[Text, Field(max_length=20_000)] = ""


class Wanted(Page):
    """Which verdicts: at one customer, on one ticket."""

    customer: Annotated[str, Query(max_length=60)] = ""
    ticket: UUID | None = None


@router.get("/", response={200: Reviews, **PROBLEMS}, operation_id="list_reviews")
def reviews(request: HttpRequest, wanted: Query[Wanted]) -> Reviews:
    """Verdicts at the customers that the token's owner belongs to, newest first."""
    person = person_of(request, "reviews:read")
    rows = Review.objects.visible_to(person).select_related("ticket", "customer", "person", "duplicate_of")
    if wanted.customer:
        rows = rows.filter(customer__slug=wanted.customer)
    if wanted.ticket:
        rows = rows.filter(ticket__uuid=wanted.ticket)
    shown, onward = cut(rows, wanted)
    hidden = blind.sealed([row.ticket for row in shown], at=timezone.now())
    return Reviews(items=[_shown(row, person, hidden) for row in shown], next=onward)


@router.get("/{number}", response={200: ReviewOut, **PROBLEMS}, operation_id="read_review")
def review(request: HttpRequest, number: Number) -> ReviewOut:
    """One verdict."""
    return _one(*_found(request, number, "reviews:read"))


@router.post("/", response={201: ReviewOut, **PROBLEMS}, operation_id="create_review")
def create(request: HttpRequest, response: HttpResponse, said: VerdictIn) -> Status[ReviewOut]:
    """Give a verdict and start what follows from it. 409 with the reason where the desk would refuse it too."""
    person = person_of(request, "reviews:write")
    if said.follow == "run":
        person_of(request, "runs:order")  # a verdict is a word about a ticket, a run is an act
    rows = Ticket.objects.visible_to(person).select_related("customer", "source", "held_by")
    row: Ticket = get_object_or_404(rows, uuid=said.ticket)
    row.text_hash = said.text_hash  # what the person read, not what is stored by now
    made = domain.decide(
        ticket=row,
        person=person,
        verdict=said.verdict,
        article=said.article,
        also=said.also,
        note=said.note,
        follow=said.follow,
        parameters={name: value.strip() for name, value in said.parameters.items() if value.strip()},
        duplicate_of=said.duplicate_of,
        reply=said.reply,
        at=timezone.now(),
    )
    if said.follow == "run":
        for run in row.runs.filter(requested_at=made.decided_at):
            bell.ring("execute_run", run.pk)
    response["Location"] = f"/api/reviews/{made.pk}"
    return Status(201, _one(made, person))


@router.post("/{number}/undo", response={200: ReviewOut, **PROBLEMS}, operation_id="undo_review")
def undo(request: HttpRequest, number: Number) -> ReviewOut:
    """Take one's own verdict back, within ten seconds and before anything came of it."""
    made, person = _found(request, number, "reviews:write")
    domain.undo(made, person=person, at=timezone.now())
    made.refresh_from_db()
    return _one(made, person)


def _found(request: HttpRequest, number: int, scope: str) -> tuple[Review, Person]:
    person = person_of(request, scope)
    rows = Review.objects.visible_to(person).select_related("ticket", "customer", "person", "duplicate_of")
    return get_object_or_404(rows, pk=number), person


def _one(row: Review, person: Person) -> ReviewOut:
    return _shown(row, person, blind.sealed([row.ticket], at=timezone.now()))


def _shown(row: Review, person: Person, hidden: Collection[int]) -> ReviewOut:
    sealed = row.ticket_id in hidden and row.person_id != person.pk
    return ReviewOut(
        id=row.pk,
        customer=row.customer.slug,
        ticket=row.ticket.external_id,
        ticket_id=row.ticket.uuid,
        person=name_of(row.person) if row.person else None,
        sealed=sealed,
        verdict=None if sealed else row.verdict,  # type: ignore[arg-type]  # one of them by a constraint
        article=None if sealed else row.article,
        also=None if sealed else [str(label) for label in row.also_acceptable],
        parameters=None if sealed else {name: str(value) for name, value in row.parameters.items()},
        note=None if sealed else row.note,
        follow=None if sealed else row.follow,
        duplicate_of=row.duplicate_of.external_id if row.duplicate_of and not sealed else None,
        blind=row.blind,
        provenance=row.provenance,
        decided_at=row.decided_at,
        undone_at=row.undone_at,
    )
