"""Everything that the ticket page shows: text, ranked articles with their evidence, runs, approvals and history."""

from dataclasses import dataclass, field
from datetime import datetime

from triage.models import Approval, Decision, Draw, Person, Prediction, Review, Run, Ticket, Writeback
from triage.queries import blind, log
from triage.queries.candidates import Candidate, NoneFits, listed
from triage.queries.queue import HEAVY, language_of

SIMILAR = 5


@dataclass(frozen=True)
class Similar:
    """An earlier ticket of the same customer with the same text but for numbers and names."""

    ticket: Ticket
    review: Review | None


@dataclass(frozen=True)
class Detail:
    """One ticket with what belongs to it. Where it is sealed, nothing here tells what we think of it."""

    ticket: Ticket
    sealed: bool
    drawn: Draw | None
    language: str
    prediction: Prediction | None
    decision: Decision | None
    candidates: list[Candidate]
    none_fits: NoneFits | None
    runs: list[Run]
    approval: Approval | None
    reviews: list[Review]
    similar: list[Similar]
    equal_open: int
    history: list[log.Entry] = field(default_factory=list)
    told: list[Writeback] = field(default_factory=list)

    @property
    def parameters(self) -> dict[str, str]:
        """What was found for the chosen runbook."""
        return dict(self.decision.parameters) if self.decision else {}

    @property
    def taught(self) -> Candidate | None:
        """The best of the articles that tickets taught: the one that the decision was made on."""
        return next((one for one in self.candidates if not one.is_new), None)

    @property
    def reason(self) -> str:
        """Why this was not done by itself, in one sentence."""
        if self.sealed:
            return "This ticket was drawn for a blind check: say what you would do before you see what Triage thinks."
        if self.ticket.reason:
            return self.ticket.reason
        return self.decision.reason if self.decision else ""


def detail(ticket: Ticket, *, person: Person, at: datetime) -> Detail:
    """The ticket's page for a person who may see it. `ticket` comes with customer, source and held_by loaded."""
    sealed = blind.sealed_for(ticket, person=person, at=at)
    found = prediction_of(ticket)
    language = language_of(ticket, found)
    decision = _decision_of(ticket)
    runs = [] if sealed else list(ticket.runs.select_related("target", "ordered_by").order_by("-pk")[:10])
    asked = ticket.approvals.filter(status=Approval.Status.ASKED).first()
    similar, equal_open = _similar(ticket)
    ranked = listed(ticket, None if sealed else found)
    return Detail(
        ticket=ticket,
        sealed=sealed,
        drawn=Draw.objects.filter(ticket=ticket).first(),
        language=language,
        prediction=None if sealed else found,
        decision=None if sealed else decision,
        candidates=ranked.candidates,
        none_fits=ranked.none,
        runs=runs,
        approval=asked,
        reviews=_reviews(ticket, person=person, sealed=sealed),
        similar=[] if sealed else similar,
        equal_open=equal_open,
        history=log.of_ticket(ticket, sealed=sealed),
        told=[] if sealed else list(ticket.writebacks.order_by("-pk")[:10]),
    )


def _reviews(ticket: Ticket, *, person: Person, sealed: bool) -> list[Review]:
    """The newest verdicts. Of a sealed ticket only the person's own: what another can take back must lead nobody."""
    rows = ticket.reviews.filter(person=person) if sealed else ticket.reviews.all()
    return list(rows.select_related("person", "duplicate_of").order_by("-pk")[:10])


def prediction_of(ticket: Ticket) -> Prediction | None:
    """The prediction in force of the ticket's present text, whoever may see it."""
    rows = Prediction.objects.filter(ticket_id=ticket.pk, text_hash=ticket.text_hash, in_force=True)
    return rows.select_related("customer").first()


def parameters_of(ticket: Ticket) -> dict[str, str]:
    """What was found in the ticket's present text for its runbook."""
    decision = _decision_of(ticket)
    return dict(decision.parameters) if decision else {}


def _decision_of(ticket: Ticket) -> Decision | None:
    rows = Decision.objects.filter(ticket=ticket, text_hash=ticket.text_hash, in_force=True)
    return rows.select_related("certificate").first()


def _similar(ticket: Ticket) -> tuple[list[Similar], int]:
    """Earlier tickets with equal masked text and what people said of them, and how many such are open."""
    if not ticket.storm_key or ticket.customer_id is None:
        return [], 0
    equal = Ticket.objects.filter(customer=ticket.customer_id, storm_key=ticket.storm_key).exclude(pk=ticket.pk)
    waiting = equal.filter(status=Ticket.Status.NEEDS_REVIEW).count()
    rows = list(equal.filter(pk__lt=ticket.pk).defer(*HEAVY).order_by("-pk")[:SIMILAR])
    reviews = {
        review.ticket_id: review
        for review in Review.objects.filter(ticket__in=rows, undone_at__isnull=True).order_by("pk")
    }
    return [Similar(row, reviews.get(row.pk)) for row in rows], waiting
