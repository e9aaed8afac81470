"""The `zendesk` feed keeps the contract of all feeds, and what is its own."""

from typing import ClassVar

import pytest

from tests.feeds.contract import HOUR, MINUTE, START, OverHttp, Translated
from tests.feeds.fakes.zendesk import Zendesk
from triage.models import Article, ArticleFeed

pytestmark = pytest.mark.django_db


class TestZendesk(OverHttp, Translated):
    """The contract."""

    kind: ClassVar = "zendesk"
    library_kind: ClassVar = Zendesk
    language: ClassVar = "en-US"

    def test_a_source_that_is_a_draft_leaves_its_published_translation_live(
        self, library: Zendesk, feed: ArticleFeed
    ) -> None:
        key = library.write(title="Locked", html="x", changed=START - HOUR)
        german = library.write(title="Gesperrt", html="x", changed=START - HOUR, language="de", of=key)
        library.retire(key, changed=START - HOUR)
        self.well(feed)
        assert {row.key: row.translation_group for row in Article.objects.all()} == {german: key}
        library.publish(key, changed=START + HOUR)
        self.well(feed, START + HOUR + MINUTE)
        assert self.article(key).translation_group == key

    def test_what_a_segment_restricts_is_left_out_unless_it_is_wanted(self, library: Zendesk) -> None:
        key = library.write(title="For agents", html="x", changed=START - HOUR)
        library.articles[key]["user_segment_id"] = 42
        assert self.well(self.connected(library)).counts.added == 0
        wanted = self.connected(library, slug="all", settings={"public_only": False})
        assert self.well(wanted).counts.added == 1

    def test_sections_and_locales_choose(self, library: Zendesk) -> None:
        key = library.write(title="Here", html="x", changed=START - HOUR)
        library.write(title="Hier", html="x", changed=START - HOUR, language="de", of=key)
        elsewhere = library.write(title="Elsewhere", html="x", changed=START - HOUR)
        library.articles[elsewhere]["section_id"] = 6
        self.well(self.connected(library, settings={"sections": [5], "locales": ["DE"]}))
        assert [row.title for row in Article.objects.all()] == ["Hier"]
