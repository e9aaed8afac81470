"""The overview's figures."""

from datetime import timedelta

import pytest

from tests import factories
from tests.factories import NOW
from triage.models import Article, Customer, Person
from triage.queries import articles, overview

pytestmark = pytest.mark.django_db


@pytest.fixture
def customer() -> Customer:
    """A customer with a target."""
    return factories.customer()


@pytest.fixture
def person(customer: Customer) -> Person:
    """An agent there."""
    return factories.member(customer)


def test_outcomes_say_how_each_ticket_came_where_it_stands(customer: Customer, person: Person) -> None:
    target = factories.target(customer)
    source = factories.source(customer=customer)
    alone, ordered, said = (factories.ticket(source=source, status="resolved") for _ in range(3))
    leading = factories.run(alone, target, status="succeeded")
    factories.run(ordered, target, status="succeeded", ordered_by=person)
    factories.review(said, person)
    factories.ticket(source=source, status="resolved", linked_run=leading)
    for status in ("needs_review", "waiting_approval", "running", "observed", "withdrawn"):
        factories.ticket(source=source, status=status)
    factories.ticket(status="resolved")
    factories.ticket(source=source, received_at=NOW - timedelta(days=8))
    found = overview.outcomes(person, at=NOW + timedelta(minutes=1), days=7)
    assert {outcome.title: outcome.count for outcome in found} == {
        "Resolved by itself": 2,
        "Run on a person's word": 1,
        "Answered by a person": 1,
        "Waits for a person": 2,
        "Under way": 1,
        "Observed": 1,
        "Withdrawn": 1,
    }
    assert sum(outcome.share for outcome in found) == pytest.approx(1)


def test_agreement_counts_standing_verdicts_that_name_the_first_article(customer: Customer, person: Person) -> None:
    source = factories.source(customer=customer)
    for said, undone in (("KB0001", None), ("KB0002", None), ("KB0001", NOW)):
        ticket = factories.ticket(source=source)
        factories.decision(ticket, article="KB0001")
        factories.review(ticket, person, article=said, undone_at=undone)
    assert overview.agreement(person, at=NOW + timedelta(minutes=1), days=7) == (2, 1)


@pytest.mark.parametrize(
    ("values", "state", "valid"),
    [
        ({}, "valid", True),
        ({"expires_at": NOW + timedelta(days=10)}, "expires soon", True),
        ({"issued_at": NOW - timedelta(days=9), "expires_at": NOW}, "expired", False),
        ({"revoked_at": NOW}, "revoked", False),
    ],
)
def test_a_certificate_says_how_it_stands(
    customer: Customer, person: Person, values: dict[str, object], state: str, valid: bool
) -> None:
    factories.certificate(factories.release(customer, status="in_force"), **values)
    card = overview.certificates(person, at=NOW)[0]
    assert (card.state, card.valid) == (state, valid)


def test_a_certificate_of_a_retired_release_is_not_valid(customer: Customer, person: Person) -> None:
    factories.certificate(factories.release(customer, status="retired"))
    assert not overview.certificates(person, at=NOW)[0].valid


class TestArticles:
    """Which article stands for a label."""

    def _article(self, key: str, **values: object) -> Article:
        return factories.article(key=key, translation_group="VPN", title=key, **values)

    def test_a_customers_own_replaces_the_shared_one(self, customer: Customer) -> None:
        self._article("shared", runbook="unlock_account")
        own = self._article("own", customer=customer)
        other = factories.customer()
        shown = articles.best(customer, "VPN")
        assert shown
        assert (shown.article, shown.runbook) == (own, None)
        theirs = articles.best(other, "VPN")
        assert theirs
        assert theirs.article.key == "shared"
        assert theirs.runbook
        assert articles.by_label([(customer.pk, "VPN"), (other.pk, "VPN")])[customer.pk, "VPN"].article == own

    def test_the_wanted_language_goes_before_english(self, customer: Customer) -> None:
        self._article("vpn-en", language="en", runbook="unlock_account")
        self._article("vpn-ja", language="ja")
        shown = articles.best(customer, "VPN", "ja-JP")
        assert shown
        assert (shown.article.key, shown.languages) == ("vpn-ja", ("en", "ja"))
        assert shown.runbook
        english = articles.best(customer, "VPN", "fr")
        assert english
        assert english.article.key == "vpn-en"

    def test_versions_that_name_different_runbooks_lead_to_none(self, customer: Customer) -> None:
        self._article("vpn-en", runbook="unlock_account")
        self._article("vpn-de", language="de", runbook="add_to_group")
        shown = articles.best(customer, "VPN")
        assert shown
        assert shown.runbook is None

    def test_a_retired_article_is_shown_for_old_decisions_and_offered_no_more(self, customer: Customer) -> None:
        self._article("gone", retired_at=NOW)
        assert articles.best(customer, "VPN") is None
        assert articles.search(customer, "gone") == []
        assert articles.by_label([(customer.pk, "VPN")])[customer.pk, "VPN"].article.key == "gone"
