"""What an agent attached to a ticket in the ITSM becomes a verdict and a label, where an answer need not be blind."""

import json
from datetime import timedelta
from typing import Any

import pytest

from tests import factories
from tests.factories import NOW
from triage import intake
from triage.itsm.base import IncomingTicket, Page
from triage.models import Article, ArticleFeed, Draw, FeedArticle, Label, Review, Source, Ticket
from triage.queries import blind

pytestmark = pytest.mark.django_db(transaction=True)
OWN = "triage@example.org"


@pytest.fixture
def source() -> Source:
    """A source whose customer is offered two articles."""
    factories.article(key="KB0001", title="Account locked", translation_group="locked")
    factories.article(key="KB0002", title="Printer")
    return factories.source(settings={"own_user": OWN})


def tell(source: Source, number: int = 0, **values: Any) -> Ticket:
    """A message of the ITSM, the `number`th of its ticket."""
    moment = (NOW + timedelta(minutes=number)).isoformat()
    told = {"external_id": "INC1", "subject": "Locked", "body": "I cannot sign in.", "status": "new"}
    told |= {"created_at": NOW.isoformat(), "updated_at": moment, **values}
    body = json.dumps(told).encode()
    at = NOW + timedelta(minutes=number)
    key = f"msg_{told['external_id']}_{number}"
    intake.accept(source=source, key=key, body=body, headers={}, content_type="application/json", at=at)
    return Ticket.objects.get(external_id=told["external_id"])


def test_an_article_attached_to_a_finished_ticket_is_a_verdict_with_its_provenance(source: Source) -> None:
    tell(source)
    ticket = tell(source, 1, status="resolved", attached_article="kb0001")
    made, label = Review.objects.get(), Label.objects.get()
    assert (made.ticket, made.person, made.verdict, made.article) == (ticket, None, "article", "locked")
    assert (made.provenance, made.blind, made.text_hash) == ("itsm", False, ticket.text_hash)
    assert (label.article, label.provenance, label.subject, label.draw_purpose) == ("locked", "itsm", "Locked", "none")


def test_a_ticket_that_is_finished_when_it_first_comes_counts_too(source: Source) -> None:
    tell(source, status="resolved", attached_article="KB0002")
    assert Label.objects.get().article == "KB0002"


def test_nothing_is_learnt_before_the_ticket_is_finished_nor_from_an_unknown_article(source: Source) -> None:
    tell(source, attached_article="KB0001")
    tell(source, 1, status="resolved", attached_article="KB9999")
    assert not Review.objects.exists()


def test_an_article_that_another_customer_owns_is_unknown(source: Source) -> None:
    factories.article(key="KB0300", customer=factories.customer())
    tell(source, status="resolved", attached_article="KB0300")
    assert not Review.objects.exists()


def test_the_same_article_is_recorded_once_and_another_one_withdraws_it(source: Source) -> None:
    for number in range(3):
        tell(source, number, status="resolved", attached_article="KB0001")
    assert Review.objects.count() == 1
    tell(source, 3, status="closed", attached_article="KB0002")
    assert [label.article for label in Label.objects.filter(withdrawn_at__isnull=True)] == ["KB0002"]
    assert [row.article for row in Review.objects.filter(undone_at__isnull=False)] == ["locked"]


def test_what_our_own_user_attached_teaches_nothing(source: Source) -> None:
    tell(source)
    tell(source, 1, status="resolved", attached_article="KB0001", fields={"updated_by": OWN})
    tell(source, 2, external_id="INC2", status="resolved", attached_article="KB0001", fields={"updated_by": OWN})
    assert not Review.objects.exists()


@pytest.mark.parametrize("purpose", ["holdout", "verify", "reopened"])
def test_a_drawn_ticket_stays_sealed(source: Source, purpose: str) -> None:
    ticket = tell(source)
    Draw.objects.filter(ticket=ticket).update(purpose=purpose, probability=0.5)
    tell(source, 1, status="resolved", attached_article="KB0001")
    assert not Review.objects.exists()
    assert blind.sealed([ticket], at=NOW + timedelta(days=1)) == {ticket.pk}


def test_what_a_run_of_ours_ended_teaches_nothing(source: Source) -> None:
    ticket = tell(source)
    assert ticket.customer
    factories.run(ticket, factories.target(customer=ticket.customer), status="succeeded")
    tell(source, 1, status="resolved", attached_article="KB0001")
    assert not Review.objects.exists()


def test_a_verdict_that_a_person_gave_here_stands(source: Source) -> None:
    ticket = tell(source)
    assert ticket.customer
    Review.objects.create(
        customer=ticket.customer,
        ticket=ticket,
        person=factories.member(ticket.customer),
        verdict="article",
        article="KB0002",
        text_hash=ticket.text_hash,
        decided_at=NOW,
    )
    tell(source, 1, status="resolved", attached_article="KB0001")
    assert [row.article for row in Review.objects.all()] == ["KB0002"]


def test_an_article_is_found_by_the_id_or_address_that_its_feed_has_for_it(source: Source) -> None:
    own = ArticleFeed.objects.create(slug="help", kind="zendesk", name="Help Center", source=source)
    other = ArticleFeed.objects.create(slug="wiki", kind="confluence", name="Wiki")
    address = "https://wiki.example.org/x"
    for feed, key, url in ((own, "KB0001", ""), (other, "KB0002", address)):
        article = Article.objects.get(key=key)
        FeedArticle.objects.create(feed=feed, external_id="360001", article=article, url=url)
    tell(source, status="resolved", attached_article="360001")
    assert Review.objects.get().article == "locked", "its own ITSM comes first"
    tell(source, status="resolved", attached_article=address, external_id="INC2")
    assert Review.objects.latest("pk").article == "KB0002"


def test_an_id_that_means_several_articles_means_none(source: Source) -> None:
    for number, key in enumerate(("KB0001", "KB0002")):
        feed = ArticleFeed.objects.create(slug=f"f{number}", kind="confluence", name="Wiki")
        FeedArticle.objects.create(feed=feed, external_id="77", article=Article.objects.get(key=key))
    tell(source, status="resolved", attached_article="77")
    assert not Review.objects.exists()


def test_an_article_that_only_a_pull_tells_is_learnt_though_the_webhook_told_the_rest(source: Source) -> None:
    ticket = tell(source, 1, status="resolved")
    said = frozenset({"external_id", "subject", "status", "attached_article"})
    told = IncomingTicket(
        external_id="INC1", subject="Other words", status="resolved", created_at=NOW, updated_at=ticket.updated_at,
        attached_article="KB0001", stated=said,
    )  # fmt: skip
    for _ in range(2):
        intake.accept_page(source=source, page=Page(tickets=(told,)), at=NOW)
    ticket.refresh_from_db()
    assert (Review.objects.get().article, ticket.subject) == ("locked", "Locked")
    assert ticket.fields["attached_article"] == "KB0001"
