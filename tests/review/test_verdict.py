"""Verdicts: what they write and what they refuse."""

import threading
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection

from tests import factories
from tests.factories import NOW
from tests.review.conftest import customer_of, status_of, verdict_of
from triage.models import (
    AuditEvent,
    Label,
    Person,
    Review,
    Ticket,
    Writeback,
)
from triage.queries import blind
from triage.review import ReviewRefused

pytestmark = pytest.mark.django_db


def test_accepting_writes_review_label_status_and_what_the_itsm_is_told(ticket: Ticket, agent: Person) -> None:
    said = verdict_of(ticket, agent, also=["KB0777", "KB0001"], note="called back")
    assert (said.verdict, said.article, said.also_acceptable) == ("article", "KB0001", ["KB0777"])
    assert status_of(ticket) == "resolved"
    assert ticket.reason == "Bea Meyer: KB0001 Account locked (called back)"
    label = Label.objects.get()
    assert (label.article, label.subject, label.body) == ("KB0001", ticket.subject, ticket.body)
    assert (label.language, label.provenance, label.review) == ("de", "desk", said)
    told = Writeback.objects.get()
    assert (told.what, told.content["article"]) == ("resolve", "KB0001")
    assert told.next_at > NOW + blind.UNDO
    assert AuditEvent.objects.filter(event="verdict", actor=f"person:{agent.pk}").exists()


@pytest.mark.parametrize(
    ("verdict", "label", "status"),
    [
        ("none", "", "answered"),
        ("not_ours", "", "answered"),
        ("duplicate", None, "resolved"),
        ("two_problems", None, "answered"),
        ("wrong_parameters", "KB0001", "resolved"),
    ],
)
def test_only_verdicts_that_say_what_a_text_is_make_labels(
    ticket: Ticket, agent: Person, verdict: str, label: str | None, status: str
) -> None:
    verdict_of(ticket, agent, verdict=verdict, note="holiday calendar")
    assert list(Label.objects.values_list("article", flat=True)) == ([] if label is None else [label])
    assert status_of(ticket) == status


@pytest.mark.parametrize(
    ("follow", "text", "public"),
    [
        ("reply", "Dear Ada\n\nAccount locked\n\n1. Unlock it.", True),
        ("assign", "To be assigned to: Dear Ada (KB0001 Account locked)", False),
        ("ask", "Dear Ada", True),
    ],
)
def test_what_follows_is_told_and_leaves_the_ticket_answered(
    ticket: Ticket, agent: Person, follow: str, text: str, public: bool
) -> None:
    verdict_of(ticket, agent, follow=follow, note="Dear Ada")
    assert status_of(ticket) == "answered"
    told = Writeback.objects.get()
    assert (told.what, told.content["text"], told.content["public"]) == ("note", text, public)


def test_a_reply_is_what_the_person_made_of_the_article(ticket: Ticket, agent: Person) -> None:
    verdict_of(ticket, agent, follow="reply", note="rang twice", reply="Dear Ada,\n\nplease unlock it. ")
    assert Writeback.objects.get().content["text"] == "Dear Ada,\n\nplease unlock it."


def test_a_duplicate_names_its_ticket_among_the_customers_own(ticket: Ticket, agent: Person) -> None:
    other = factories.ticket(customer=ticket.customer, source=ticket.source, external_id="INC7")
    factories.ticket(customer=factories.customer(), external_id="INC8")
    for number, message in (("INC8", "has no ticket INC8"), (ticket.external_id, "no duplicate of itself")):
        with pytest.raises(ReviewRefused, match=message):
            verdict_of(ticket, agent, verdict="duplicate", duplicate_of=number)
    assert not Review.objects.exists()
    said = verdict_of(ticket, agent, verdict="duplicate", duplicate_of=" #inc7 ")
    assert said.duplicate_of == other
    assert Writeback.objects.get().content["text"] == "Duplicate of INC7."
    ticket.refresh_from_db()
    assert ticket.reason == "Bea Meyer: Duplicate of INC7"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"follow": "reply", "reply": "x" * 20_001}, "at most 20,000 characters"),
        ({"verdict": "perhaps"}, "no verdict 'perhaps'"),
        ({"article": ""}, "Say which article fits"),
        ({"article": "KB9999"}, "no article 'KB9999'"),
        ({"also": ["KB9999"]}, "no article 'KB9999'"),
        ({"verdict": "none", "note": " x "}, "in a word or two"),
        ({"follow": "ask"}, "Write the question"),
        ({"follow": "assign"}, "to whom"),
        ({"follow": "shout"}, "no next step"),
        ({"verdict": "none", "note": "no idea", "follow": "run"}, "Only an article"),
        ({"article": "KB0777", "follow": "run"}, "no runbook"),
    ],
)
def test_a_verdict_that_does_not_hold_together_is_refused_and_writes_nothing(
    ticket: Ticket, agent: Person, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ReviewRefused, match=message):
        verdict_of(ticket, agent, **values)
    assert status_of(ticket) == "needs_review"
    assert not Review.objects.exists()
    assert not Label.objects.exists()


def test_another_customers_article_is_no_article_here(ticket: Ticket, agent: Person) -> None:
    factories.article(key="OTHER", translation_group="OTHER", customer=factories.customer())
    with pytest.raises(ReviewRefused, match="no article 'OTHER'"):
        verdict_of(ticket, agent, article="OTHER")


def test_an_auditor_decides_nothing(ticket: Ticket) -> None:
    with pytest.raises(PermissionDenied):
        verdict_of(ticket, factories.member(customer_of(ticket), "auditor"))
    assert not Review.objects.exists()


def test_the_second_agent_learns_who_was_first(ticket: Ticket, agent: Person) -> None:
    verdict_of(ticket, agent)
    with pytest.raises(ReviewRefused, match="Bea Meyer has decided this ticket already, at 09:30 UTC"):
        verdict_of(ticket, factories.member(customer_of(ticket)), article="KB0777")
    assert Review.objects.count() == 1


def test_a_text_that_changed_while_it_was_read_is_not_labelled(ticket: Ticket, agent: Person) -> None:
    Ticket.objects.filter(pk=ticket.pk).update(text_hash="f" * 64)
    with pytest.raises(ReviewRefused, match="text has changed"):
        verdict_of(ticket, agent)
    assert not Label.objects.exists()


@pytest.mark.parametrize("status", ["running", "queued", "withdrawn", "observed", "received"])
def test_a_ticket_that_needs_no_verdict_takes_none(ticket: Ticket, agent: Person, status: str) -> None:
    Ticket.objects.filter(pk=ticket.pk).update(status=status)
    with pytest.raises(ReviewRefused, match="needs no verdict now"):
        verdict_of(ticket, agent)


@pytest.mark.django_db(transaction=True)
def test_of_two_agents_at_one_moment_one_wins(ticket: Ticket, agent: Person) -> None:
    people = [agent, factories.member(customer_of(ticket))]
    start, outcomes = threading.Barrier(2), []

    def decide(person: Person) -> None:
        start.wait()
        try:
            verdict_of(Ticket.objects.select_related("customer").get(pk=ticket.pk), person)
            outcomes.append("won")
        except ReviewRefused:
            outcomes.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=decide, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused", "won"]
    assert Review.objects.count() == Label.objects.count() == Writeback.objects.count() == 1
