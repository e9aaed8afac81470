"""`ticket.decided` reaches whoever asked for it by name, in the decision's own transaction, and never before its time."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from standardwebhooks.webhooks import Webhook

from classifier.text import Document
from tests import factories, past, trained
from tests.factories import NOW
from tests.telling.conftest import Receiver
from triage import prediction, review, telling
from triage.models import Customer, EventEndpoint, Mode, Notification, Posting, Ticket

pytestmark = pytest.mark.django_db
AFTER = timedelta(seconds=13)


def endpoint(receiver: Receiver, **values: Any) -> EventEndpoint:
    given = {"name": "chat", "url": receiver.url, "secrets": factories.SECRET, "internal": True}
    return EventEndpoint.objects.create(**{**given, "kinds": ["ticket.decided"], **values})


def sent(receiver: Receiver, *, at: Any = NOW) -> list[dict[str, Any]]:
    """The data of what arrived by now, each verified."""
    telling.deliver(at=at)
    told = [Webhook(factories.SECRET).verify(body, headers) for headers, body in receiver.taken]
    assert all(one["type"] == "ticket.decided" for one in told)
    return [one["data"] for one in told]


def modelled(**values: Any) -> Customer:
    """A customer with a model in force whose articles have no runbook."""
    customer = factories.customer(slug="nordwind", **values)
    for label in past.PROBLEMS:
        factories.article(key=f"{label}-de", translation_group=label, language="de", customer=customer)
        factories.article(key=label, customer=customer)
    trained.release(customer)
    return customer


def waiting(customer: Customer, number: int = 1) -> list[Ticket]:
    source = factories.source(customer=customer)
    texts: list[Document] = [document for document, _ in past.tickets(number + 5, seed=5)][:number]
    return [factories.ticket(source=source, subject=text.subject, body=text.body) for text in texts]


def test_a_decision_of_the_model_is_told_with_article_probability_and_reason(receiver: Receiver) -> None:
    customer = modelled()
    endpoint(receiver)
    (ticket,) = waiting(customer)
    prediction.classify_batch(at=NOW, limit=200)
    (data,) = sent(receiver)
    ticket.refresh_from_db()
    decision = ticket.decisions.get()
    assert data["customer"] == "nordwind"
    assert (data["ticket"], data["ticket_uuid"]) == (ticket.external_id, str(ticket.uuid))
    assert (data["by"], data["decision"], data["article"]) == ("model", decision.mode, decision.article)
    assert 0 < data["probability"] <= 1
    assert data["reason"] == decision.reason
    assert data["link"].endswith(f"/tickets/{ticket.uuid}/")
    assert ticket.subject not in str(data)


def test_it_costs_a_batch_three_queries_and_nothing_where_nobody_asked(receiver: Receiver) -> None:
    customer = modelled()
    counts = []
    for make in (lambda: None, lambda: endpoint(receiver)):
        make()
        waiting(customer, 20)
        with CaptureQueriesContext(connection) as asked:
            prediction.classify_batch(at=NOW, limit=200)
        counts.append(len(asked))
    assert Notification.objects.count() == Posting.objects.count() == 20
    assert counts[1] - counts[0] <= 3, counts


def test_who_ticked_nothing_hears_of_occasions_only(receiver: Receiver) -> None:
    customer = factories.customer()
    endpoint(receiver, kinds=[])
    assert telling.listeners(customer) == []
    named = endpoint(receiver, customer=customer)
    endpoint(receiver, customer=factories.customer())
    endpoint(receiver, enabled=False)
    assert telling.listeners(customer) == [named.pk]


def test_of_an_observed_customer_nothing_is_told(receiver: Receiver) -> None:
    customer = modelled(mode=Mode.OBSERVE)
    endpoint(receiver)
    (ticket,) = waiting(customer)
    prediction.classify_batch(at=NOW, limit=200)
    assert ticket.decisions.exists()
    assert sent(receiver) == []


def test_of_a_drawn_ticket_nothing_is_told_before_its_verdict_stands(receiver: Receiver) -> None:
    customer = modelled()
    endpoint(receiver)
    (ticket,) = waiting(customer)
    factories.draw(ticket, "holdout", 0.5)
    prediction.classify_batch(at=NOW, limit=200)
    assert sent(receiver) == []
    ticket.refresh_from_db()
    agent = factories.member(customer, first_name="Bea", last_name="Meyer")
    label = next(iter(past.PROBLEMS))
    review.decide(ticket=ticket, person=agent, verdict="article", article=label, at=NOW)
    assert sent(receiver, at=NOW + timedelta(seconds=10)) == []
    (data,) = sent(receiver, at=NOW + AFTER)
    assert (data["by"], data["who"], data["verdict"], data["article"]) == ("person", "Bea Meyer", "article", label)
    assert data["where"] == "desk"
    assert 0 < data["model_probability"] <= 1
    assert data["model_label"] in past.PROBLEMS


def test_an_undone_verdict_is_told_nobody(receiver: Receiver) -> None:
    endpoint(receiver)
    ticket = factories.ticket(status="needs_review")
    assert ticket.customer
    agent = factories.member(ticket.customer)
    said = review.decide(ticket=ticket, person=agent, verdict="not_ours", at=NOW)
    review.undo(said, person=agent, at=NOW + timedelta(seconds=5))
    assert sent(receiver, at=NOW + timedelta(days=1)) == []
    assert Posting.objects.get().reason == "undone"


def test_what_was_not_taken_is_tried_again_alone(receiver: Receiver) -> None:
    endpoint(receiver)
    receiver.status = 503
    ticket = factories.ticket(status="needs_review")
    assert ticket.customer
    review.decide(ticket=ticket, person=factories.member(ticket.customer), verdict="not_ours", at=NOW)
    assert telling.deliver(at=NOW + AFTER).failed == 1
    receiver.status = 204
    receiver.taken.clear()
    (data,) = sent(receiver, at=NOW + timedelta(minutes=1))
    assert (data["verdict"], data["article"], data["label"]) == ("not_ours", None, None)
