"""The ranked list: known articles by probability, new ones by likeness, and none of them at its end or its head."""

from typing import Any

import pytest
from django.utils import timezone

from tests import factories
from triage.models import Article, Ticket
from triage.queries.candidates import Listed, listed

pytestmark = pytest.mark.django_db

KNOWN = [
    {"label": f"KB{number}", "probability": p, "source": "labels"} for number, p in ((1, 0.6), (2, 0.3), (3, 0.0001))
]


def new(label: str, likeness: float, *, in_front: bool) -> dict[str, Any]:
    return {"label": label, "likeness": likeness, "in_front": in_front, "source": "text"}


@pytest.fixture
def ticket() -> Ticket:
    for key in ("KB1", "KB2", "KB3", "NEW1", "NEW2"):
        factories.article(key=key)
    return factories.ticket()


def shown(ticket: Ticket, *new_articles: dict[str, Any], in_scope: float = 0.9, **evidence: Any) -> Listed:
    given = {"sufficient": True, "in_scope": in_scope, **evidence}
    made = factories.prediction(ticket, matches=KNOWN, new_articles=list(new_articles), evidence=given)
    return listed(ticket, made)


def test_new_articles_stand_where_the_prediction_put_them(ticket: Ticket) -> None:
    found = shown(ticket, new("NEW1", 0.5, in_front=True), new("NEW2", 0.2, in_front=False)).candidates
    assert [one.label for one in found] == ["NEW1", "KB1", "KB2", "NEW2"]
    assert [one.number for one in found] == [1, 2, 3, 4]
    assert [one.is_new for one in found] == [True, False, False, True]
    assert [one.is_strong for one in found] == [True, False, False, False]
    assert [one.probability for one in found] == [None, 0.6, 0.3, None]


def test_a_new_article_that_was_retired_since_is_suggested_no_longer(ticket: Ticket) -> None:
    Article.objects.filter(key="NEW1").update(retired_at=timezone.now())
    found = shown(ticket, new("NEW1", 0.5, in_front=True), new("gone", 0.4, in_front=True), in_scope=0.1)
    assert [one.label for one in found.candidates] == ["KB1", "KB2"]
    assert found.none is not None
    assert found.none.first


@pytest.mark.parametrize(
    ("in_scope", "words", "first"), [(0.05, "likely", True), (0.3, "possible", False), (0.8, "unlikely", False)]
)
def test_none_of_these_is_said_in_words_and_leads_where_the_ticket_looks_like_no_articles(
    ticket: Ticket, in_scope: float, words: str, first: bool
) -> None:
    none = shown(ticket, new("NEW2", 0.2, in_front=False), in_scope=in_scope).none
    assert none is not None
    assert (none.words, none.first, none.in_scope) == (words, first, in_scope)


def test_a_new_article_in_front_explains_why_the_ticket_looks_like_no_known_one(ticket: Ticket) -> None:
    none = shown(ticket, new("NEW1", 0.5, in_front=True), in_scope=0.05).none
    assert none is not None
    assert not none.first


def test_with_little_evidence_it_is_hard_to_tell(ticket: Ticket) -> None:
    none = shown(ticket, in_scope=0.0, sufficient=False).none
    assert none is not None
    assert (none.words, none.first) == ("hard to tell", True)


def test_without_a_models_answer_there_is_no_list(ticket: Ticket) -> None:
    assert listed(ticket, None) == Listed([], None)
    unread = factories.prediction(ticket, matches=[], evidence={})
    assert listed(ticket, unread) == Listed([], None)
