"""The verdict that no article fits, from the desk to the next training: a ticket outside every article."""

import pytest

from tests import factories, past
from tests.factories import NOW
from triage import learning, review
from triage.landing import carry_labels
from triage.learning import labelled
from triage.models import Ticket

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("lake")]


def test_none_of_these_teaches_the_next_model_what_no_article_covers() -> None:
    customer = factories.customer()
    source = factories.source(customer=customer)
    agent = factories.member(customer)
    for label in past.PROBLEMS:
        factories.article(key=label)
    for document, label in past.tickets(60, seed=1):
        factories.label(customer, subject=document.subject, body=document.body, article=label)
    outside = past.outside()[:4]
    for document in outside:
        row = factories.ticket(
            source=source, subject=document.subject, body=document.body, status=Ticket.Status.NEEDS_REVIEW
        )
        factories.prediction(row, "vpn", 0.4)
        review.decide(ticket=row, person=agent, verdict="none", note="office life", at=NOW)
    carry_labels(at=NOW)
    found = labelled.labels_of(customer, at=NOW)
    assert set(found.out_of_scope) == set(outside)
    assert len(found.rows) == 60
    assert learning.train(customer=customer, at=NOW).measures["out_of_scope"] == len(outside)


def test_a_verdict_that_was_taken_back_teaches_nothing() -> None:
    customer = factories.customer()
    agent = factories.member(customer)
    row = factories.ticket(customer=customer, status=Ticket.Status.NEEDS_REVIEW)
    said = review.decide(ticket=row, person=agent, verdict="none", note="office life", at=NOW)
    review.undo(said, person=agent, at=NOW)
    carry_labels(at=NOW)
    assert labelled.labels_of(customer, at=NOW).out_of_scope == []
