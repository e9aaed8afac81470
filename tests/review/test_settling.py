"""What only a person can say: lost runs and the kill switch."""

import pytest
from django.core.exceptions import PermissionDenied

from tests import factories
from tests.factories import NOW
from tests.review.conftest import customer_of, status_of
from triage import review
from triage.models import (
    AuditEvent,
    Label,
    Person,
    Run,
    Ticket,
    Writeback,
)
from triage.review import ReviewRefused

pytestmark = pytest.mark.django_db


@pytest.fixture
def lost(ticket: Ticket) -> Run:
    """A run whose worker was lost; its ticket came to the desk."""
    return factories.run(ticket, factories.target(customer_of(ticket)), status="unknown")


def test_it_happened(lost: Run, ticket: Ticket, agent: Person) -> None:
    linked = factories.ticket(source=ticket.source, status="linked", linked_run=lost)
    review.settle_unknown(lost, person=agent, succeeded=True, note="account is open", at=NOW)
    lost.refresh_from_db()
    assert (lost.status, lost.finished_at) == ("succeeded", NOW)
    assert "Bea Meyer looked: it happened. account is open" in lost.reason
    assert (status_of(ticket), status_of(linked)) == ("resolved", "resolved")
    assert Writeback.objects.filter(what="resolve").count() == 2
    assert not Label.objects.exists()


def test_it_did_not_happen(lost: Run, ticket: Ticket, agent: Person) -> None:
    review.settle_unknown(lost, person=agent, succeeded=False, note="still locked", at=NOW)
    lost.refresh_from_db()
    assert lost.status == "failed"
    assert status_of(ticket) == "needs_review"


def test_it_is_settled_once_and_with_a_reason(lost: Run, agent: Person) -> None:
    with pytest.raises(ReviewRefused, match="how you know"):
        review.settle_unknown(lost, person=agent, succeeded=True, note="  ", at=NOW)
    with pytest.raises(ReviewRefused, match="happened or not"):
        review.settle_unknown(lost, person=agent, succeeded=None, note="looked", at=NOW)
    review.settle_unknown(lost, person=agent, succeeded=False, note="looked", at=NOW)
    with pytest.raises(ReviewRefused, match="settled already"):
        review.settle_unknown(lost, person=agent, succeeded=True, note="looked", at=NOW)


def test_the_switch_is_recorded_and_only_an_administrator_turns_it_back(ticket: Ticket, agent: Person) -> None:
    customer = ticket.customer
    assert customer
    assert review.switch_automation(customer, on=False, person=agent, reason="", at=NOW)
    assert not review.switch_automation(customer, on=False, person=agent, reason="", at=NOW)
    with pytest.raises(PermissionDenied):
        review.switch_automation(customer, on=True, person=agent, reason="fixed", at=NOW)
    admin = factories.member(customer, "admin")
    with pytest.raises(ReviewRefused, match="why it may start"):
        review.switch_automation(customer, on=True, person=admin, reason=" ", at=NOW)
    assert review.switch_automation(customer, on=True, person=admin, reason="fixed", at=NOW)
    events = AuditEvent.objects.filter(subject="customer").values_list("event", flat=True)
    assert list(events.order_by("id")) == ["automation stopped", "automation started"]
