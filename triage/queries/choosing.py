"""What a person decides on outside the desk: the suggestion with its reasons, or who decided already, what and when."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.translation import gettext_lazy as _

from triage.models import Decision, Mode, Person, Prediction, Review, Run, Ticket
from triage.permissions import can_review
from triage.queries import articles, blind
from triage.queries.candidates import Candidate, NoneFits, listed
from triage.queries.ticket import prediction_of

WHERE = {
    "desk": _("on the desk"),
    "note": _("by a link of the note"),
    "panel": _("in the ITSM's panel"),
    "itsm": _("by attaching the article in the ITSM"),
}


@dataclass(frozen=True, kw_only=True)
class Said:
    """The standing verdict on the ticket's present text. `what` is None where this person may not know it yet."""

    review: Review
    what: str | None
    where: str
    undo_for: timedelta

    @property
    def undo_ms(self) -> int:
        """For how many milliseconds the person may still take it back."""
        return max(0, int(self.undo_for.total_seconds() * 1000))


@dataclass(frozen=True, kw_only=True)
class Choosing:
    """One ticket as a person may see it. Where it is sealed, nothing here tells what we think of it."""

    ticket: Ticket
    sealed: bool
    open: bool
    may: bool
    held_by: Person | None
    prediction: Prediction | None
    decision: Decision | None
    candidates: list[Candidate]
    none_fits: NoneFits | None
    said: Said | None
    run: Run | None

    @property
    def why(self) -> str:
        """What the suggestion rests on, in one sentence."""
        if self.prediction is None:
            return ""
        return str(self.prediction.evidence.get("reason") or self.prediction.reason)

    @property
    def sufficient(self) -> bool:
        """Whether the percentages may be trusted."""
        return self.prediction is None or bool(self.prediction.evidence.get("sufficient", True))

    def candidate(self, label: str) -> Candidate | None:
        """The suggestion of this label, where it is one."""
        return next((one for one in self.candidates if one.label == label), None)


def choosing(ticket: Ticket, *, person: Person, at: datetime) -> Choosing:
    """What the person sees of a ticket that they may see, loaded with its customer and whoever holds it."""
    sealed = blind.sealed_for(ticket, person=person, at=at)
    # in observe mode nothing is shown to those who work in the ITSM, and this is what they see
    quiet = sealed or bool(ticket.customer and ticket.customer.mode == Mode.OBSERVE)
    found = None if quiet else prediction_of(ticket)
    ranked = listed(ticket, found)
    awaited = ticket.status in blind.ELSEWHERE and blind.awaits_verdict(ticket)
    held = ticket.is_held(at=at) and ticket.held_by_id != person.pk
    decisions = Decision.objects.filter(ticket=ticket, text_hash=ticket.text_hash, in_force=True)
    return Choosing(
        ticket=ticket,
        sealed=sealed,
        open=ticket.status == Ticket.Status.NEEDS_REVIEW or awaited,
        may=can_review(person, ticket),
        held_by=ticket.held_by if held else None,
        prediction=found,
        decision=None if quiet else decisions.first(),
        candidates=ranked.candidates,
        none_fits=ranked.none,
        said=_said(ticket, person=person, sealed=sealed, at=at),
        run=None if sealed else ticket.runs.order_by("-pk").first(),
    )


def _said(ticket: Ticket, *, person: Person, sealed: bool, at: datetime) -> Said | None:
    """The newest verdict that stands on the present text."""
    rows = Review.objects.filter(ticket=ticket, text_hash=ticket.text_hash, undone_at__isnull=True)
    review = rows.select_related("person").order_by("-pk").first()
    if review is None:
        return None
    mine = review.person_id == person.pk
    return Said(
        review=review,
        what=_words(review, ticket) if mine or not sealed else None,
        where=str(WHERE.get(review.provenance, "")),
        undo_for=review.decided_at + blind.UNDO - at if mine else timedelta(0),
    )


def _words(review: Review, ticket: Ticket) -> str:
    if not review.article:
        return review.get_verdict_display()
    shown = articles.by_label([(ticket.customer_id, review.article)]).get((ticket.customer_id, review.article))
    return f"{shown.article.key} {shown.article.title}" if shown else review.article
