"""The private note with the suggestion: for whom it is made, what it says, and when it is no longer written."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings

from tests import factories
from tests.factories import NOW
from tests.test_writeback import Itsm, itsm
from triage import review, suggesting, writeback
from triage.models import Ticket, Writeback

__all__ = ["itsm"]
pytestmark = pytest.mark.django_db(transaction=True)
RANKED = [{"label": "printer", "probability": 0.83}, {"label": "vpn", "probability": 0.12}]


def suggested(itsm: Itsm, *, asked: object = True, **values: Any) -> Ticket:
    """A ticket about a printer that the model has decided, and its note where the source asks for one."""
    given = {"reply_url": itsm.url, **({"suggestion_notes": asked} if asked else {})}
    ticket = factories.ticket(source=factories.source(settings=given), status=Ticket.Status.NEEDS_REVIEW)
    for label, title in (("printer", "Printer does not print"), ("vpn", "VPN does not connect")):
        factories.article(key=label, title=title, customer=ticket.customer)
    factories.prediction(ticket, **{"matches": RANKED, "score": 0.83, **values})
    suggesting.announce([ticket], at=NOW)
    return ticket


def test_the_note_tells_article_probability_in_words_reason_and_a_link_for_each_choice(itsm: Itsm) -> None:
    ticket = suggested(itsm)
    writeback.deliver(at=NOW)
    [(key, told)] = itsm.told
    said = f"{settings.BASE_URL}/choose/{ticket.uuid}/{ticket.text_hash[:16]}"
    assert (told["what"], told["content"]["public"]) == ("note", False)
    assert told["content"]["text"].splitlines() == [
        "Triage suggests printer Printer does not print: likely (83\u00a0%).",
        "Also possible: vpn VPN does not connect: very unlikely (12\u00a0%).",
        "Why: enough known words",
        "",
        f"Use this article: {said}/accept/?article=printer",
        f"Another one: {said}/other/",
        f"None of these: {said}/none/",
    ]
    assert ticket.text_hash[:16] in key
    suggesting.announce([ticket], at=NOW)
    assert writeback.deliver(at=NOW + timedelta(hours=1)) == writeback.Told(done=0, failed=0)


def test_that_probably_nothing_fits_and_that_an_article_is_new_are_said(itsm: Itsm) -> None:
    new = [{"label": "vpn", "likeness": 0.9, "in_front": False, "source": "text"}]
    suggested(itsm, evidence={"in_scope": 0.05, "sufficient": True}, matches=RANKED[:1], new_articles=new)
    writeback.deliver(at=NOW)
    lines = itsm.told[0][1]["content"]["text"].splitlines()
    assert lines[0] == "Triage: probably none of the articles fits (in-scope score 0.05)."
    assert lines[2].startswith("Also possible: vpn VPN does not connect: new article, ")
    assert lines[2].endswith("likeness of the texts (0.90).")


@pytest.mark.parametrize("asked", [None, "yes", 1])
def test_a_source_that_did_not_ask_gets_none(itsm: Itsm, asked: object) -> None:
    suggested(itsm, asked=asked)
    assert not Writeback.objects.exists()


@pytest.mark.parametrize("purpose", ["holdout", "verify", "reopened"])
def test_of_a_drawn_ticket_nothing_is_written_even_after_the_patience_for_its_verdict(itsm: Itsm, purpose: str) -> None:
    factories.draw(suggested(itsm), purpose)
    for later in (timedelta(0), timedelta(hours=1), writeback.PATIENCE + timedelta(hours=1)):
        writeback.deliver(at=NOW + later)
    row = Writeback.objects.get()
    assert itsm.told == []
    assert (row.status, "drawn" in row.reason) == ("given_up", True)


def test_a_suggestion_for_another_text_or_a_decided_ticket_is_not_written(itsm: Itsm) -> None:
    stale, late = suggested(itsm), suggested(itsm)
    Ticket.objects.filter(pk=stale.pk).update(text_hash="f" * 64)
    agent = factories.member(late.source.customer)  # type: ignore[arg-type]  # the factory gives it one
    review.decide(ticket=late, person=agent, verdict="article", article="printer", follow="keep", at=NOW)
    writeback.deliver(at=NOW)
    assert itsm.told == []
    reasons = Writeback.objects.filter(key__startswith="suggestion").order_by("pk").values_list("reason", flat=True)
    assert [said.split(" before")[0] for said in reasons] == ["The ticket's text changed", "The ticket was decided"]
