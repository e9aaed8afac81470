"""The `confluence_dc` feed keeps the contract of all feeds, and what is its own."""

from datetime import datetime
from typing import Any, ClassVar

import pytest

from tests.feeds.contract import HOUR, START, OverHttp
from tests.feeds.fakes.confluence import DataCenter
from triage.feeds import passes
from triage.models import Article, ArticleFeed

pytestmark = pytest.mark.django_db


class TestDataCenter(OverHttp):
    """The contract."""

    kind: ClassVar = "confluence_dc"
    library_kind: ClassVar = DataCenter
    seen_of_one_change: ClassVar = 3  # a day is added, whatever the zone of our user

    def test_a_page_removed_while_the_others_are_listed_retires_none_of_them(
        self, library: DataCenter, feed: ArticleFeed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keys = self.several(library, 12)
        self.well(feed)
        self.full(feed)
        real = passes._page  # between two pages somebody deletes one of the first

        def removing(feed: ArticleFeed, *, at: datetime) -> Any:
            page = real(feed, at=at)
            library.pages.pop(keys[3], None)
            return page

        monkeypatch.setattr(passes, "_page", removing)
        assert "begins anew" in self.sync(feed, START + HOUR).failure
        assert self.well(feed, START + 2 * HOUR).counts.retired == 1
        assert [row.key for row in Article.objects.filter(retired_at__isnull=False)] == [keys[3]]

    def test_a_server_that_gives_fewer_than_asked_for_is_read_to_its_end(
        self, library: DataCenter, feed: ArticleFeed
    ) -> None:
        library.most = 3
        keys = self.several(library, 11)
        assert self.well(feed).counts.added == len(keys)
