"""Which article stands for a label."""

import pytest

from tests import factories
from tests.factories import NOW
from triage.models import Article, Customer
from triage.queries import articles

pytestmark = pytest.mark.django_db


@pytest.fixture
def customer() -> Customer:
    """A customer."""
    return factories.customer()


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
