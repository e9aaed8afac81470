"""Within ten seconds a verdict leaves nothing behind but its trace."""

from datetime import timedelta

import pytest

from tests import factories
from tests.review.conftest import LATER, TOO_LATE, customer_of, status_of, verdict_of
from triage import lifecycle, review
from triage.models import (
    Label,
    Person,
    Ticket,
    Writeback,
)
from triage.review import ReviewRefused

pytestmark = pytest.mark.django_db


def test_it_puts_everything_back(ticket: Ticket, agent: Person) -> None:
    said = verdict_of(ticket, agent)
    review.undo(said, person=agent, at=LATER)
    said.refresh_from_db()
    assert said.undone_at == LATER
    assert (status_of(ticket), ticket.reason) == ("needs_review", "too unsure")
    assert Label.objects.get().withdrawn_at == LATER
    assert Writeback.objects.get().status == "given_up"
    verdict_of(ticket, agent, article="KB0777", at=LATER)
    assert status_of(ticket) == "resolved"


def test_it_is_for_the_person_who_said_it_and_once(ticket: Ticket, agent: Person) -> None:
    said = verdict_of(ticket, agent)
    with pytest.raises(ReviewRefused, match="Only the person"):
        review.undo(said, person=factories.member(customer_of(ticket), "admin"), at=LATER)
    review.undo(said, person=agent, at=LATER)
    with pytest.raises(ReviewRefused, match="undone already"):
        review.undo(said, person=agent, at=LATER)


def test_it_ends_after_ten_seconds(ticket: Ticket, agent: Person) -> None:
    said = verdict_of(ticket, agent)
    with pytest.raises(ReviewRefused, match="10 seconds"):
        review.undo(said, person=agent, at=TOO_LATE)
    assert status_of(ticket) == "resolved"


def test_it_ends_when_the_itsm_is_being_told(ticket: Ticket, agent: Person) -> None:
    said = verdict_of(ticket, agent)
    Writeback.objects.update(claim_until=LATER + timedelta(seconds=60))
    with pytest.raises(ReviewRefused, match="ITSM has been told"):
        review.undo(said, person=agent, at=LATER)
    assert status_of(ticket) == "resolved"
    assert Label.objects.get().withdrawn_at is None


def test_it_ends_when_the_ticket_has_moved_on(ticket: Ticket, agent: Person) -> None:
    said = verdict_of(ticket, agent)
    lifecycle.advance(
        Ticket.objects.filter(pk=ticket.pk), to="needs_review", at=LATER, actor="system:intake", reason="reopened"
    )
    with pytest.raises(ReviewRefused, match="moved on"):
        review.undo(said, person=agent, at=LATER)
    assert (status_of(ticket), ticket.reason) == ("needs_review", "reopened")
