"""A ticket that needs a person, an agent, and short words for what most tests do."""

from datetime import timedelta
from typing import Any

import pytest

from tests import factories
from tests.factories import NOW
from triage import lifecycle, review
from triage.models import (
    Customer,
    Person,
    Review,
    Ticket,
)

LATER = NOW + timedelta(seconds=8)
TOO_LATE = NOW + timedelta(seconds=20)


@pytest.fixture
def ticket() -> Ticket:
    """A ticket that needs a person, with a suggestion."""
    factories.article(key="KB0001", runbook="unlock_account", title="Account locked", body="1. Unlock it.")
    factories.article(key="KB0777", title="Password forgotten")
    row = factories.ticket(status="received")
    lifecycle.advance(
        Ticket.objects.filter(pk=row.pk), to="needs_review", at=NOW, actor="system:prediction", reason="too unsure"
    )
    row.refresh_from_db()
    factories.draw(row)
    factories.prediction(row, evidence={"language": "de"})
    factories.decision(row)
    return row


@pytest.fixture
def agent(ticket: Ticket) -> Person:
    """An agent of the ticket's customer."""
    return factories.member(customer_of(ticket), username="bea", first_name="Bea", last_name="Meyer")


def verdict_of(ticket: Ticket, person: Person, **values: Any) -> Review:
    given: dict[str, Any] = {"verdict": "article", "article": "KB0001", "at": NOW}
    return review.decide(ticket=ticket, person=person, **{**given, **values})


def customer_of(ticket: Ticket) -> Customer:
    assert ticket.customer
    return ticket.customer


def status_of(ticket: Ticket) -> str:
    ticket.refresh_from_db()
    return ticket.status
