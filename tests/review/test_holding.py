"""Holds: while one has a ticket open, nobody else decides it."""

from datetime import timedelta

import pytest

from tests import factories
from tests.factories import NOW
from tests.review.conftest import customer_of, verdict_of
from triage import review
from triage.models import (
    Person,
    Ticket,
)
from triage.review import ReviewRefused

pytestmark = pytest.mark.django_db


def test_while_one_holds_a_ticket_nobody_else_decides_it(ticket: Ticket, agent: Person) -> None:
    other = factories.member(customer_of(ticket))
    assert review.hold(ticket, person=agent, at=NOW)
    assert review.hold(ticket, person=agent, at=NOW)
    assert not review.hold(ticket, person=other, at=NOW + timedelta(minutes=4))
    assert ticket.held_by == agent
    with pytest.raises(ReviewRefused, match="Bea Meyer has this ticket open"):
        verdict_of(ticket, other, at=NOW + timedelta(minutes=4))
    review.release(ticket, person=other)
    assert not review.hold(ticket, person=other, at=NOW + timedelta(minutes=4))
    assert review.hold(ticket, person=other, at=NOW + timedelta(minutes=6))


def test_a_hold_ends_with_the_verdict_and_with_release(ticket: Ticket, agent: Person) -> None:
    review.hold(ticket, person=agent, at=NOW)
    review.release(ticket, person=agent)
    ticket.refresh_from_db()
    assert ticket.held_by is None
    review.hold(ticket, person=agent, at=NOW)
    verdict_of(ticket, agent)
    ticket.refresh_from_db()
    assert ticket.held_by is None
