"""The `servicenow` feed keeps the contract of all feeds, and what is its own."""

import json
from datetime import timedelta
from typing import ClassVar

import pytest

from tests import factories
from tests.feeds.contract import HOUR, MINUTE, START, OverHttp, Translated
from tests.feeds.fakes.servicenow import ServiceNow
from triage.models import ArticleFeed

pytestmark = pytest.mark.django_db


class TestServiceNow(OverHttp, Translated):
    """The contract."""

    kind: ClassVar = "servicenow"
    library_kind: ClassVar = ServiceNow

    def test_a_draft_of_a_new_version_retires_nothing_and_the_new_one_replaces_the_old(
        self, library: ServiceNow, feed: ArticleFeed
    ) -> None:
        (key,) = self.several(library, 1)
        self.well(feed)
        library.version(key, title="Not yet", html="", changed=START + HOUR, state="draft", latest="true")
        assert self.well(feed, START + HOUR + MINUTE).counts.seen == 0
        rows = list(library.rows.values())
        rows[0] |= {"workflow_state": "outdated", "latest": "false", "sys_updated_on": "2026-11-20 11:30:00"}
        rows[1] |= {"workflow_state": "published", "short_description": "Now", "sys_updated_on": "2026-11-20 11:30:00"}
        assert self.well(feed, START + 2 * HOUR + MINUTE).counts.changed == 1
        assert (self.article(key).title, self.article(key).retired_at) == ("Now", None)
        rows[0] |= {"workflow_state": "retired", "sys_updated_on": "2026-11-20 12:30:00"}  # an old version is tidied up
        self.well(feed, START + 3 * HOUR + MINUTE)
        assert self.article(key).retired_at is None

    def test_an_article_ends_with_the_day_it_is_valid_to(self, library: ServiceNow, feed: ArticleFeed) -> None:
        key, _ = self.several(library, 2)
        library.rows[max(library.rows)]["valid_to"] = "2026-11-20"
        self.well(feed)
        assert self.article(key).retired_at is None
        assert self.well(feed, START + timedelta(days=1)).counts.retired == 1
        assert self.article(key).retired_at is not None

    def test_a_reader_to_whom_retired_articles_are_hidden_finds_them_missing(
        self, library: ServiceNow, feed: ArticleFeed
    ) -> None:
        library.knows_retired = False
        keys = self.several(library, library.page_size + 4)
        self.well(feed)
        library.retire(keys[0], changed=START + HOUR)
        assert self.well(feed, START + HOUR + MINUTE).counts.retired == 0
        self.full(feed)
        assert self.well(feed, START + 2 * HOUR).counts.retired == 1

    def test_filters_go_to_the_instance_and_cannot_add_conditions(self, library: ServiceNow) -> None:
        feed = self.connected(library, settings={"knowledge_bases": ["a" * 32]})
        self.several(library, 1)
        assert self.well(feed).counts.added == 1
        assert f"kb_knowledge_baseIN{'a' * 32}" in library.asked[-1].query["sysparm_query"]
        feed.settings = {**feed.settings, "knowledge_bases": ["a^NQactive=true"]}
        feed.save(update_fields=["settings"])
        assert "knowledge_bases" in self.sync(feed, START + HOUR).failure

    def test_a_source_lends_address_and_credentials_together(self, library: ServiceNow) -> None:
        credentials = json.dumps(dict(library.credentials))
        source = factories.source(kind="servicenow", credentials=credentials, settings={"api_url": library.url})
        feed = self.connected(library, source=source, credentials="", settings={"api_url": "http://127.0.0.1:9"})
        self.several(library, 1)
        assert self.well(feed).counts.added == 1

    def test_no_cloud_gives_its_machines_credentials_to_a_feed(self, library: ServiceNow) -> None:
        feed = self.connected(library, settings={"api_url": "http://169.254.169.254"})
        done = self.sync(feed)
        assert "where a cloud keeps its machines' credentials" in done.failure
