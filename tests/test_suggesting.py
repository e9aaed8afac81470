"""The private note with the suggestion: for whom it is made, what it says, and when it is no longer written."""

from datetime import timedelta

import pytest
from django.conf import settings

from tests import factories, trained
from tests.factories import NOW
from tests.test_writeback import Itsm, itsm
from triage import prediction, review, writeback
from triage.models import Customer, Mode, Ticket, Writeback

__all__ = ["itsm"]
pytestmark = pytest.mark.django_db(transaction=True)
PRINTER = {
    "subject": "printer office",
    "body": "hello, the printer on our floor shows a paper jam in the office thank you",
}


@pytest.fixture
def customer() -> Customer:
    found = factories.customer(mode=Mode.SUGGEST)
    factories.article(key="printer", title="Printer does not print")
    trained.release(found)
    return found


def decided(customer: Customer, itsm: Itsm, *, drawn: str = "none", asked: bool = True) -> Ticket:
    """A ticket about a printer, decided by the model."""
    given = {"reply_url": itsm.url, **({"suggestion_notes": True} if asked else {})}
    ticket = factories.ticket(source=factories.source(customer=customer, settings=given), **PRINTER)
    factories.draw(ticket, drawn)
    prediction.classify_batch(at=NOW, limit=10)
    ticket.refresh_from_db()
    assert ticket.status == Ticket.Status.NEEDS_REVIEW
    return ticket


def test_the_note_tells_article_probability_in_words_reason_and_a_link_for_each_choice(
    customer: Customer, itsm: Itsm
) -> None:
    ticket = decided(customer, itsm)
    writeback.deliver(at=NOW)
    [(key, told)] = itsm.told
    text, said = told["content"]["text"], f"{settings.BASE_URL}/choose/{ticket.uuid}/{ticket.text_hash[:16]}"
    assert (told["what"], told["content"]["public"]) == ("note", False)
    assert text.startswith("Triage suggests printer Printer does not print: ")
    assert "likely (" in text.splitlines()[0]
    assert text.splitlines()[0].endswith("%).")
    assert "\nWhy: " in text
    assert f"Use this article: {said}/accept/?article=printer\n" in text
    assert f"Another one: {said}/other/\n" in text
    assert text.endswith(f"None of these: {said}/none/")
    assert ticket.text_hash[:16] in key
    assert writeback.deliver(at=NOW + timedelta(hours=1)) == writeback.Told(done=0, failed=0)


def test_a_source_that_did_not_ask_gets_none(customer: Customer, itsm: Itsm) -> None:
    decided(customer, itsm, asked=False)
    assert not Writeback.objects.exists()


@pytest.mark.parametrize("purpose", ["holdout", "verify", "reopened"])
def test_of_a_drawn_ticket_nothing_is_written_before_nor_after_the_patience_for_its_verdict(
    customer: Customer, itsm: Itsm, purpose: str
) -> None:
    ticket = decided(customer, itsm, drawn=purpose)
    assert not Writeback.objects.exists()
    # a row that was there before the ticket was drawn is held, then dropped
    row = Writeback.objects.create(
        customer=customer,
        ticket=ticket,
        key="s",
        what="note",
        content={"suggests": ticket.text_hash},
        next_at=NOW,
        created_at=NOW,
    )
    for later in (timedelta(0), timedelta(hours=1), writeback.PATIENCE + timedelta(hours=1)):
        writeback.deliver(at=NOW + later)
    row.refresh_from_db()
    assert itsm.told == []
    assert (row.status, "drawn" in row.reason) == ("given_up", True)


def test_a_suggestion_for_another_text_or_a_decided_ticket_is_not_written(customer: Customer, itsm: Itsm) -> None:
    stale, late = decided(customer, itsm), decided(customer, itsm)
    Ticket.objects.filter(pk=stale.pk).update(text_hash="f" * 64)
    agent = factories.member(customer)
    review.decide(ticket=late, person=agent, verdict="article", article="printer", follow="keep", at=NOW)
    writeback.deliver(at=NOW)
    assert itsm.told == []
    reasons = Writeback.objects.filter(key__startswith="suggestion").order_by("pk").values_list("reason", flat=True)
    assert [said.split(" before")[0] for said in reasons] == ["The ticket's text changed", "The ticket was decided"]
