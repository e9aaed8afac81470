"""What nobody labelled takes part in training as text only: the customer's own, never drawn, never held out."""

from datetime import timedelta

import pytest

from classifier.estimator import ArticleClassifier
from classifier.profiles import PROFILES
from classifier.text import READ, Document, text_hash
from tests import factories, past
from tests.classifier.test_pretraining import Desk
from tests.factories import NOW
from triage import learning, serving
from triage.learning import labelled, seen, unlabelled
from triage.models import Customer, Draw, Ticket

pytestmark = pytest.mark.django_db


def sent(customer: Customer, documents: list[Document]) -> list[Ticket]:
    source = factories.source(customer=customer)
    return [
        factories.ticket(source=source, subject=one.subject, body=one.body, received_at=NOW + timedelta(minutes=i))
        for i, one in enumerate(documents)
    ]


def free(count: int, *, seed: int = 3) -> list[Document]:
    """Texts that no hash holds out."""
    made = (document for document, _ in past.tickets(count * 2, seed=seed))
    return [document for document in made if not labelled.is_held_out(document)][:count]


def arrived(customer: Customer, documents: list[Document]) -> None:
    """The same in bulk, for many."""
    source = factories.source(customer=customer)
    values = {"source": source, "customer": customer, "created_at": NOW, "updated_at": NOW}
    values |= {"received_at": NOW, "changed_at": NOW, "storm_key": "0" * 64}
    Ticket.objects.bulk_create(
        Ticket(external_id=f"T{i}", subject=one.subject, body=one.body, text_hash=text_hash(one), **values)
        for i, one in enumerate(documents)
    )


def test_only_the_customers_own_tickets_and_the_articles_offered_to_it() -> None:
    customer, other = factories.customer(), factories.customer()
    mine, theirs = free(5), free(5, seed=8)
    sent(customer, mine)
    sent(other, theirs)
    shared = factories.article(title="Printers", symptoms="no paper", body="fill it", aliases=["toner"])
    factories.article(customer=other, title="theirs")
    factories.article(title="old", retired_at=NOW)
    found = unlabelled.unlabelled_of(customer)
    assert found.tickets == mine[::-1]
    assert found.articles == [Document("Printers", "toner\nno paper\nfill it")]
    assert found.documents == [*found.articles, *found.tickets]
    assert shared.key


def test_drawn_and_held_out_texts_are_left_alone() -> None:
    customer = factories.customer()
    tickets = sent(customer, free(8))
    for ticket, purpose in zip(tickets, (*Draw.Purpose, *Draw.Purpose), strict=True):
        factories.draw(ticket, purpose=purpose)
    undrawn = {ticket.body for ticket in tickets if ticket.draw.purpose == Draw.Purpose.NONE}
    sent(customer, [text for text, _ in past.tickets(60, seed=3) if labelled.is_held_out(text)])
    assert len(undrawn) == 2
    assert {document.body for document in unlabelled.unlabelled_of(customer).tickets} == undrawn


def test_the_newest_texts_each_once_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    customer = factories.customer()
    alerts = [Document("disk", f"disk full on srv{i}.example.org, {i} %") for i in range(30)]
    texts = [document for document in free(12) if document.body]
    sent(customer, [*texts, *alerts, Document("", ""), Document("log", "x" * READ)])
    masked_once = [] if labelled.is_held_out(alerts[0]) else [alerts[-1]]
    assert unlabelled.unlabelled_of(customer).tickets == [*masked_once, *texts[::-1]]
    monkeypatch.setattr(unlabelled, "MOST_TICKETS", 4)
    assert len(unlabelled.unlabelled_of(customer).tickets) == 4
    monkeypatch.setattr(unlabelled, "MOST_CHARACTERS", 0)
    assert unlabelled.unlabelled_of(customer).tickets == []


@pytest.mark.usefixtures("lake")
def test_training_learns_words_from_the_customers_unlabelled_tickets_and_says_so() -> None:
    desk, customer, other = Desk(), factories.customer(), factories.customer()
    arrived(customer, desk.unlabelled)
    rows = list(zip(desk.labelled, desk.labels, strict=True))
    with_tickets, without = (learning.train(customer=one, at=NOW, rows=rows) for one in (customer, other))
    told = with_tickets.measures["unlabelled"]
    used = {document for document in desk.unlabelled if not labelled.is_held_out(document)}
    assert told == {"tickets": len(used), "articles": 0, "beyond_labelled": len(used), "pretrained": True}
    assert without.measures["unlabelled"] == {"tickets": 0, "articles": 0, "beyond_labelled": 0, "pretrained": False}
    assert desk.accuracy(serving.load(with_tickets).classifier) > desk.accuracy(serving.load(without).classifier) + 0.3
    assert {labelled.key_of(document) for document in used} <= seen.read(with_tickets)
    assert {labelled.key_of(document) for document in used}.isdisjoint(seen.read(without))


@pytest.mark.usefixtures("lake")
def test_a_named_profile_is_trained_on_labels_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    desk, customer = Desk(), factories.customer()
    arrived(customer, desk.unlabelled)
    monkeypatch.setitem(PROFILES, "small", lambda: ArticleClassifier(folds=2))
    rows = list(zip(desk.labelled, desk.labels, strict=True))
    release = learning.train(customer=customer, at=NOW, rows=rows, profile="small")
    assert release.measures["unlabelled"]["beyond_labelled"] == 0
