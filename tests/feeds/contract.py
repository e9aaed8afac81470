"""What every kind of article feed keeps to, against a fake of the vendor's shape over real HTTP.

A kind's test module makes a subclass whose name begins with `Test`, gives it `kind` and `library_kind`, and inherits
every test of this file.
"""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests import factories
from tests.feeds.fakes.library import Library
from tests.itsm.fakes.server import serving
from triage import turns
from triage.feeds import KINDS, passes
from triage.feeds.passes import Synced
from triage.models import Article, ArticleFeed, AuditEvent, FeedArticle, Notification

START = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
HTML = "<h2>Cause</h2><p>The account is <b>locked</b>.</p><script>alert(1)</script><ul><li>Unlock it.</li></ul>"


class Contract:
    """The promises of `triage.feeds`, one test each."""

    kind: ClassVar[str]
    library_kind: ClassVar[type[Library]]
    language: ClassVar[str] = "en"

    @pytest.fixture(scope="class")
    @classmethod
    def running(cls) -> Iterator[Library]:
        """One server for all tests of the class."""
        with serving(cls.library_kind()) as library:
            yield library

    @pytest.fixture
    def library(self, running: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
        """The knowledge base, empty; few articles make several pages."""
        monkeypatch.setattr(sys.modules[KINDS[self.kind].listed.__module__], "PAGE", running.page_size)
        url = running.url
        running.__init__()  # type: ignore[misc]  # the same server, as if it were new
        running.url = url
        running.folder = tmp_path / "articles"
        running.folder.mkdir()
        return running

    @pytest.fixture
    def feed(self, library: Library) -> ArticleFeed:
        """A feed of one customer that is connected to the library."""
        return self.connected(library)

    # small words of the tests

    def connected(self, library: Library, **values: Any) -> ArticleFeed:
        settings = {**library.settings(), **values.pop("settings", {})}
        given: dict[str, Any] = {"slug": "kb", "kind": self.kind, "name": "Knowledge", "settings": settings}
        given["credentials"] = json.dumps(dict(library.credentials)) if library.has_credentials else ""
        if "customer" not in values:
            values["customer"] = factories.customer()
        return ArticleFeed.objects.create(**{**given, **values})

    def sync(self, feed: ArticleFeed, at: datetime = START) -> Synced:
        done = passes.sync(feed.pk, at=at, by_hand=True)
        assert done is not None
        return done

    def well(self, feed: ArticleFeed, at: datetime = START) -> Synced:
        done = self.sync(feed, at)
        assert (done.failure, done.complete) == ("", True)
        return done

    def article(self, key: str) -> Article:
        return Article.objects.get(key=key)

    def several(self, library: Library, count: int) -> list[str]:
        return [
            library.write(
                title=f"Article {n}", html=f"<p>Text {n}</p>", changed=START - HOUR + n * timedelta(seconds=1)
            )
            for n in range(count)
        ]

    def full(self, feed: ArticleFeed) -> None:
        """The next pass lists everything."""
        ArticleFeed.objects.filter(pk=feed.pk).update(full_at=None)

    # what an article becomes

    def test_an_article_is_taken_over_with_its_key_text_and_place(self, library: Library, feed: ArticleFeed) -> None:
        key = library.write(title="Account <locked> & lost", html=HTML, changed=START - HOUR)
        done = self.well(feed)
        assert (done.counts.seen, done.counts.added) == (1, 1)
        found = self.article(key)
        assert (found.customer, found.title, found.language) == (
            feed.customer,
            "Account <locked> & lost",
            self.language,
        )
        assert (found.translation_group, found.runbook, found.retired_at) == (key, "", None)
        self.check_text(found.body)
        row = found.fed
        assert (row.feed, row.problem, row.changed_at) == (feed, "", START - HOUR)
        assert row.url.startswith(library.url) or self.kind == "folder"
        assert AuditEvent.objects.filter(subject="article", subject_id=found.pk, event="added").count() == 1

    def check_text(self, body: str) -> None:
        """The HTML as a reader sees it."""
        assert body == "Cause\n\nThe account is locked.\n\n- Unlock it."

    def test_all_pages_are_read_and_a_second_time_changes_nothing(self, library: Library, feed: ArticleFeed) -> None:
        keys = self.several(library, library.page_size * 2 + 3)
        done = self.well(feed)
        assert (done.pages, done.counts.seen, done.counts.added) == (3, len(keys), len(keys))
        assert set(Article.objects.values_list("key", flat=True)) == set(keys)
        before = list(Article.objects.order_by("pk").values())
        self.full(feed)
        again = self.well(feed, START + MINUTE)
        assert again.full
        assert (again.counts.seen, again.counts.added, again.counts.changed) == (len(keys), 0, 0)
        assert list(Article.objects.order_by("pk").values()) == before
        assert AuditEvent.objects.filter(subject="article").count() == len(keys)

    def test_a_change_is_followed_and_what_people_say_here_stays(self, library: Library, feed: ArticleFeed) -> None:
        first, second = self.several(library, 2)
        self.well(feed)
        ours = {"aliases": ["badge"], "symptoms": "Red light.", "runbook": "unlock_account", "translation_group": "X1"}
        Article.objects.filter(key=first).update(**ours, title="Our words")
        self.full(feed)
        assert self.well(feed, START + MINUTE).counts.changed == 0
        assert self.article(first).title == "Our words"
        library.change(first, changed=START + HOUR, title="New title", html="<p>New text</p>")
        done = self.well(feed, START + HOUR + MINUTE)
        assert (done.full, done.counts.changed) == (not library.lists_changes, 1)
        found = self.article(first)
        assert found.title == "New title"
        assert "New text" in found.body
        assert {name: getattr(found, name) for name in ours} == ours
        assert self.article(second).title == "Article 1"

    def test_only_changes_are_asked_for_between_full_listings(self, library: Library, feed: ArticleFeed) -> None:
        keys = self.several(library, 3)
        self.well(feed)
        library.change(keys[1], changed=START + HOUR, title="Changed")
        done = self.well(feed, START + HOUR + MINUTE)
        assert done.counts.changed == 1
        assert done.counts.seen == (self.seen_of_one_change if library.lists_changes else 3)
        assert not Article.objects.filter(retired_at__isnull=False).exists()
        later = self.well(feed, START + timedelta(hours=7))
        assert (later.full, later.counts.seen, later.counts.retired) == (True, 3, 0)

    seen_of_one_change: ClassVar[int] = 1

    # retirement

    def test_retired_there_is_retired_here_and_back_again_is_live_again(
        self, library: Library, feed: ArticleFeed
    ) -> None:
        key, _ = self.several(library, 2)
        self.well(feed)
        library.retire(key, changed=START + HOUR)
        if not library.tells_retired:
            self.full(feed)
        assert self.well(feed, START + HOUR + MINUTE).counts.retired == 1
        assert self.article(key).retired_at == pytest.approx(START + HOUR + MINUTE, abs=MINUTE)
        assert FeedArticle.objects.get(article__key=key).gone_at == self.article(key).retired_at
        library.publish(key, changed=START + 2 * HOUR)
        assert self.well(feed, START + 2 * HOUR + MINUTE).counts.back == 1
        assert self.article(key).retired_at is None
        events = AuditEvent.objects.filter(subject="article", subject_id=self.article(key).pk).order_by("pk")
        assert [event.event for event in events] == ["added", "retired", "back"]

    def test_what_is_gone_without_a_word_is_retired_by_a_full_listing(
        self, library: Library, feed: ArticleFeed
    ) -> None:
        keys = self.several(library, 3)
        self.well(feed)
        library.remove(keys[0])
        self.full(feed)
        assert self.well(feed, START + HOUR).counts.retired == 1
        assert self.article(keys[0]).retired_at is not None
        assert Article.objects.filter(retired_at__isnull=True).count() == 2

    def test_what_a_person_retired_here_stays_retired(self, library: Library, feed: ArticleFeed) -> None:
        (key, *_) = self.several(library, 3)
        self.well(feed)
        Article.objects.filter(key=key).update(retired_at=START)
        library.change(key, changed=START + HOUR, title="Changed there")
        self.well(feed, START + HOUR + MINUTE)
        library.retire(key, changed=START + 2 * HOUR)
        self.full(feed)
        self.well(feed, START + 2 * HOUR + MINUTE)
        library.publish(key, changed=START + 3 * HOUR)
        self.full(feed)
        self.well(feed, START + 3 * HOUR + MINUTE)
        assert (self.article(key).retired_at, self.article(key).title) == (START, "Changed there")

    def test_an_empty_or_shrunk_listing_retires_nothing_until_a_person_says_so(
        self, library: Library, feed: ArticleFeed
    ) -> None:
        keys = self.several(library, 12)
        self.well(feed)
        for key in keys[:8]:
            library.remove(key)
        self.full(feed)
        done = self.well(feed, START + HOUR)
        assert (done.held_back, done.counts.retired) == (8, 0)
        assert not Article.objects.filter(retired_at__isnull=False).exists()
        told = Notification.objects.get(kind="articles_held_back")
        assert "8 articles of the feed kb" in told.text
        self.full(feed)
        self.well(feed, START + 2 * HOUR)
        assert Notification.objects.filter(kind="articles_held_back").count() == 1
        ArticleFeed.objects.filter(pk=feed.pk).update(may_retire=8, full_at=None)
        library.remove(keys[8])  # one more than the person saw
        assert self.well(feed, START + 3 * HOUR).held_back == 9
        ArticleFeed.objects.filter(pk=feed.pk).update(may_retire=9, full_at=None)
        assert self.well(feed, START + 4 * HOUR).counts.retired == 9
        feed.refresh_from_db()
        assert (feed.held_back, feed.may_retire) == (0, 0)

    def test_the_last_article_never_goes_because_nothing_is_listed(self, library: Library, feed: ArticleFeed) -> None:
        (key,) = self.several(library, 1)
        self.well(feed)
        library.remove(key)
        self.full(feed)
        assert self.well(feed, START + HOUR).held_back == 1
        assert self.article(key).retired_at is None

    # trouble

    def test_settings_that_cannot_work_are_named(self, library: Library) -> None:
        feed = self.connected(library, settings={"nonsense": 1})
        assert "nonsense" in self.sync(feed).failure

    def test_a_worker_that_dies_between_pages_costs_nothing(
        self, library: Library, feed: ArticleFeed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keys = self.several(library, library.page_size + 2)
        real, pages = passes._page, []  # where the worker is when it dies

        def dies(feed: ArticleFeed, *, at: datetime) -> Any:
            pages.append(1)
            if len(pages) == 2:
                raise SystemExit
            return real(feed, at=at)

        monkeypatch.setattr(passes, "_page", dies)
        with pytest.raises(SystemExit):
            passes.sync(feed.pk, at=START)
        assert Article.objects.count() == library.page_size
        assert passes.sync(feed.pk, at=START + MINUTE) is None  # its claim still stands
        done = self.well(feed, START + turns.CLAIM + MINUTE)
        assert (done.pages, done.counts.added, done.counts.retired) == (1, len(keys), 0)
        assert Article.objects.count() == len(keys)
        assert Article.objects.filter(retired_at__isnull=True).count() == len(keys)

    def test_a_worker_that_lost_its_claim_writes_nothing_more(
        self, library: Library, feed: ArticleFeed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.several(library, 2)
        real = passes._page  # while the page is on its way another worker takes the feed

        def slow(feed: ArticleFeed, *, at: datetime) -> Any:
            ArticleFeed.objects.filter(pk=feed.pk).update(claim_until=START + HOUR)
            return real(feed, at=at)

        monkeypatch.setattr(passes, "_page", slow)
        done = self.sync(feed)
        assert not done.complete
        assert not Article.objects.exists()

    def test_a_record_that_cannot_be_used_hides_no_other_and_retires_nothing(
        self, library: Library, feed: ArticleFeed
    ) -> None:
        first, second, third = self.several(library, 3)
        self.well(feed)
        library.spoil(second, changed=START + HOUR)
        library.change(third, changed=START + HOUR, title="Third")
        self.full(feed)
        done = self.well(feed, START + HOUR + MINUTE)
        assert (done.counts.refused, done.counts.changed, done.counts.retired) == (1, 1, 0)
        assert not Article.objects.filter(retired_at__isnull=False).exists()
        assert FeedArticle.objects.exclude(problem="").count() == 1
        library.change(first, changed=START + 2 * HOUR, title="First")
        self.well(feed, START + 2 * HOUR + MINUTE)
        assert self.article(first).title == "First"

    def test_hostile_text_stays_text_of_a_bounded_size(self, library: Library, feed: ArticleFeed) -> None:
        title = "Ti\u202etle \x07 " + "x" * 400
        key = library.write(title=title, html="<p>" + "y" * 300_000 + "</p>\x00" * 0, changed=START - HOUR)
        self.well(feed)
        found = self.article(key)
        assert (len(found.title), found.title[-1]) == (300, "…")
        assert not {"\u202e", "\x07"} & set(found.title)
        assert len(found.body) == 200_000

    # keys, owners, translations

    def test_a_key_that_is_taken_is_a_shown_problem_and_loses_nothing(
        self, library: Library, feed: ArticleFeed
    ) -> None:
        key, other = self.several(library, 2)
        ours = factories.article(customer=feed.customer, key=key, title="Written here", translation_group=key)
        done = self.well(feed)
        assert (done.counts.added, done.counts.refused) == (1, 1)
        ours.refresh_from_db()
        assert (ours.title, ours.body) == ("Written here", "Do this.")
        row = FeedArticle.objects.get(article__isnull=True)
        assert f"{key} is in use" in row.problem
        assert "Written here" in row.problem
        Article.objects.filter(pk=ours.pk).update(key="OURS-1", translation_group="OURS-1")
        self.full(feed)
        assert self.well(feed, START + HOUR).counts.added == 1
        assert not FeedArticle.objects.exclude(problem="").exists()
        assert {*Article.objects.values_list("key", flat=True)} == {"OURS-1", key, other}

    def test_a_label_that_all_share_is_not_taken_from_them_by_one_customers_feed(
        self, library: Library, feed: ArticleFeed
    ) -> None:
        (key,) = self.several(library, 1)
        factories.article(key="SHARED", translation_group=key, runbook="unlock_account")
        assert self.well(feed).counts.refused == 1
        assert not Article.objects.filter(customer=feed.customer).exists()

    def test_articles_that_are_here_already_are_taken_over_where_that_is_wanted(self, library: Library) -> None:
        feed = self.connected(library, adopt=True)
        (key,) = self.several(library, 1)
        ours = factories.article(customer=feed.customer, key=key, runbook="unlock_account", translation_group="LABEL")
        done = self.well(feed)
        assert (done.counts.added, done.counts.changed, done.counts.refused) == (0, 1, 0)
        ours.refresh_from_db()
        assert (ours.title, ours.runbook, ours.translation_group) == ("Article 0", "unlock_account", "LABEL")
        library.retire(key, changed=START + HOUR)
        ArticleFeed.objects.filter(pk=feed.pk).update(may_retire=1, full_at=None)
        self.well(feed, START + HOUR + MINUTE)
        assert self.article(key).retired_at is not None

    def test_a_prefix_keeps_keys_apart(self, library: Library) -> None:
        feed = self.connected(library, settings={"key_prefix": "wiki-"})
        (key,) = self.several(library, 1)
        self.well(feed)
        found = self.article(f"wiki-{key}")
        assert found.translation_group == f"wiki-{key}"

    def test_two_customers_feeds_do_not_touch_each_other(self, library: Library, feed: ArticleFeed) -> None:
        (key, *_) = self.several(library, 4)
        other = self.connected(library, slug="other")
        self.well(feed)
        self.well(other)
        assert Article.objects.filter(key=key).count() == 2
        library.remove(key)
        self.full(feed)
        self.well(feed, START + HOUR)
        assert Article.objects.get(customer=feed.customer, key=key).retired_at is not None
        assert Article.objects.get(customer=other.customer, key=key).retired_at is None


class OverHttp(Contract):
    """What is asked over HTTP besides."""

    def test_an_answer_of_something_else_retires_nothing_and_is_tried_again(
        self, library: Library, feed: ArticleFeed
    ) -> None:
        self.several(library, 2)
        self.well(feed)
        self.full(feed)
        for trouble in (library.babble, library.partly):
            trouble()
            done = self.sync(feed, START + HOUR)
            assert done.failure
            assert not done.complete
        assert not Article.objects.filter(retired_at__isnull=False).exists()
        feed.refresh_from_db()
        assert (feed.failures, bool(feed.failure), feed.due_at is not None) == (2, True, True)
        assert self.well(feed, START + 2 * HOUR).counts.seen == 2
        feed.refresh_from_db()
        assert (feed.failures, feed.failure, feed.failing_since) == (0, "", None)

    def test_a_busy_server_is_left_alone_as_long_as_it_asks(self, library: Library, feed: ArticleFeed) -> None:
        self.several(library, 1)
        library.refuse(429, retry_after="77")
        done = self.sync(feed)
        assert done.wait == 77
        feed.refresh_from_db()
        assert feed.due_at is not None
        assert timedelta(seconds=77) <= feed.due_at - START < timedelta(seconds=80)
        assert passes.sync(feed.pk, at=START + MINUTE) is None
        assert passes.due(at=START + MINUTE) == []
        assert passes.due(at=START + 2 * MINUTE) == [feed.pk]
        self.well(feed, START + 2 * MINUTE)

    def test_wrong_credentials_are_said_in_words_and_told_after_an_hour(self, library: Library) -> None:
        wrong = '{"kind": "basic", "user": "nobody", "password": "s3cret"}'
        feed = self.connected(library, credentials=wrong)
        self.several(library, 1)
        done = self.sync(feed)
        assert "401" in done.failure
        assert "s3cret" not in done.failure
        assert not Notification.objects.exists()
        self.sync(feed, START + HOUR)
        self.sync(feed, START + 2 * HOUR)
        told = Notification.objects.get()
        assert (told.kind, told.customer) == ("articles_failing", feed.customer)


class Translated(Contract):
    """Where the knowledge base knows which article translates which."""

    def test_translations_are_one_label(self, library: Library, feed: ArticleFeed) -> None:
        key = library.write(title="Locked", html="<p>Text</p>", changed=START - HOUR)
        german = library.write(title="Gesperrt", html="<p>Text</p>", changed=START - HOUR, language="de", of=key)
        self.well(feed)
        assert {row.key: (row.language[:2], row.translation_group) for row in Article.objects.all()} == {
            key: ("en", key),
            german: ("de", key),
        }
        Article.objects.filter(key=key).update(translation_group="LABEL")
        french = library.write(title="Bloqué", html="<p>Texte</p>", changed=START + HOUR, language="fr", of=key)
        self.well(feed, START + HOUR + MINUTE)
        assert self.article(french).translation_group == "LABEL"
