"""Drawn tickets: nobody sees what we think before somebody has said what they think."""

from typing import Any

import pytest

from tests import factories
from tests.factories import NOW
from tests.review.conftest import LATER, TOO_LATE, customer_of, status_of, verdict_of
from triage import review
from triage.models import (
    Decision,
    EventEndpoint,
    Label,
    Notification,
    Person,
    Posting,
    Ticket,
    Writeback,
)
from triage.queries import blind
from triage.review import ReviewRefused

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def drawn(ticket: Ticket) -> None:
    """The ticket was drawn into the holdout."""
    ticket.draw.purpose, ticket.draw.probability = "holdout", 0.25
    ticket.draw.save()


def test_the_first_verdict_is_blind_and_carries_the_draw(ticket: Ticket, agent: Person) -> None:
    assert blind.sealed_for(ticket, person=agent, at=NOW)
    assert verdict_of(ticket, agent).blind
    label = Label.objects.get()
    assert (label.draw_purpose, label.draw_probability, label.provenance) == ("holdout", 0.25, "desk-blind")


def test_an_undrawn_ticket_is_never_blind(ticket: Ticket, agent: Person) -> None:
    ticket.draw.purpose = "none"
    ticket.draw.save()
    assert not verdict_of(ticket, agent).blind
    assert Label.objects.get().draw_purpose == "none"


def test_who_looked_first_is_not_blind(ticket: Ticket, agent: Person) -> None:
    review.reveal(ticket, person=agent, at=NOW)
    assert not blind.sealed_for(ticket, person=agent, at=NOW)
    assert blind.sealed_for(ticket, person=factories.member(customer_of(ticket)), at=NOW)
    assert not verdict_of(ticket, agent).blind


def test_the_seal_opens_when_the_verdict_stands(ticket: Ticket, agent: Person) -> None:
    verdict_of(ticket, agent)
    assert blind.sealed([ticket], at=LATER)
    assert not blind.sealed([ticket], at=TOO_LATE)


def test_an_undone_verdict_leaves_it_sealed(ticket: Ticket, agent: Person) -> None:
    review.undo(verdict_of(ticket, agent), person=agent, at=LATER)
    assert blind.sealed([ticket], at=TOO_LATE)
    ticket.refresh_from_db()
    assert verdict_of(ticket, agent, at=TOO_LATE).blind


def _resolve(ticket: Ticket, **values: Any) -> None:
    decision = Decision.objects.get()
    factories.run(ticket, factories.target(customer_of(ticket)), status="succeeded", decision=decision, **values)
    Ticket.objects.update(status="resolved")
    ticket.refresh_from_db()


def test_a_ticket_that_was_run_is_answered_for_and_stays_resolved(ticket: Ticket, agent: Person) -> None:
    _resolve(ticket, parameters={"account": "ada"})
    assert ticket in blind.to_verify(Ticket.objects.all())
    said = verdict_of(ticket, agent, parameters={"account": "ada"})
    assert said.blind
    assert status_of(ticket) == "resolved"
    assert not Writeback.objects.exists()
    assert not blind.to_verify(Ticket.objects.all()).exists()


@pytest.mark.parametrize(
    "values",
    [{"article": "KB0777"}, {"parameters": {"account": "eve"}}, {"verdict": "none", "note": "a joke"}],
)
def test_a_contradiction_brings_the_ticket_back(ticket: Ticket, agent: Person, values: dict[str, Any]) -> None:
    _resolve(ticket, parameters={"account": "ada"})
    verdict_of(ticket, agent, **values)
    assert status_of(ticket) == "needs_review"
    assert "contradicts what was run (KB0001)" in ticket.reason
    assert Notification.objects.get().kind == "verification_contradicts"


def test_a_contradiction_that_is_taken_back_is_sent_to_nobody_and_is_no_news(ticket: Ticket, agent: Person) -> None:
    EventEndpoint.objects.create(customer=customer_of(ticket), name="chat", url="https://hooks.example.org/")
    _resolve(ticket, parameters={"account": "ada"})
    said = verdict_of(ticket, agent, article="KB0777")
    posting = Posting.objects.get(notification__kind="verification_contradicts")
    assert posting.next_at > said.decided_at + blind.UNDO, "it is not sent while it can be taken back"
    review.undo(said, person=agent, at=LATER)
    posting.refresh_from_db()
    assert (posting.status, posting.notification.seen_by) == ("given_up", agent)
    assert status_of(ticket) == "resolved"


def test_an_acceptable_second_article_is_no_contradiction(ticket: Ticket, agent: Person) -> None:
    _resolve(ticket)
    verdict_of(ticket, agent, article="KB0777", also=["KB0001"])
    assert status_of(ticket) == "resolved"


def test_who_has_seen_the_run_does_not_verify_it(ticket: Ticket, agent: Person) -> None:
    _resolve(ticket)
    review.reveal(ticket, person=agent, at=NOW)
    with pytest.raises(ReviewRefused, match="somebody else has to answer blind"):
        verdict_of(ticket, agent)


def test_a_cluster_is_answered_once(ticket: Ticket, agent: Person) -> None:
    _resolve(ticket)
    twin = factories.ticket(source=ticket.source, status="resolved")
    factories.draw(twin, "verify", cluster=ticket.draw.cluster)
    assert blind.to_verify(Ticket.objects.all()).count() == 2
    verdict_of(ticket, agent)
    assert not blind.to_verify(Ticket.objects.all()).exists()


def test_a_look_at_one_ticket_of_a_cluster_was_a_look_at_all(ticket: Ticket, agent: Person) -> None:
    twin = factories.ticket(source=ticket.source, status="resolved")
    factories.draw(twin, "holdout", cluster=ticket.draw.cluster)
    elsewhere = factories.ticket(source=ticket.source, status="resolved")
    factories.draw(elsewhere, "holdout", cluster="e" * 64)
    review.reveal(twin, person=agent, at=NOW)
    assert blind.has_looked(agent, ticket)
    assert not blind.has_looked(agent, elsewhere)
    assert not verdict_of(ticket, agent).blind


def test_a_verdict_on_one_ticket_opens_its_cluster(ticket: Ticket, agent: Person) -> None:
    twin = factories.ticket(source=ticket.source, status="resolved")
    factories.draw(twin, "holdout", cluster=ticket.draw.cluster)
    factories.review(twin, factories.member(customer_of(ticket)), blind=True, decided_at=NOW)
    assert not verdict_of(ticket, agent, at=TOO_LATE).blind


def test_who_was_told_of_a_contradiction_does_not_answer_blind_again(ticket: Ticket, agent: Person) -> None:
    _resolve(ticket)
    review.undo(verdict_of(ticket, agent, article="KB0777"), person=agent, at=LATER)
    ticket.refresh_from_db()
    with pytest.raises(ReviewRefused, match="somebody else has to answer blind"):
        verdict_of(ticket, agent, at=TOO_LATE)
