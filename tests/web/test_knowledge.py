"""The library: what its list and pages say, who may write, that nobody overwrites, and what it costs certificates."""

import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from tests import factories
from tests.web.conftest import client_of
from tests.web.scene import Scene
from triage import counting, knowledge
from triage.models import Article, ArticleCount, ArticleFeed, AuditEvent, FeedArticle, Person, Role, Tuning
from triage.queries import consequences, library

pytestmark = pytest.mark.django_db


@pytest.fixture
def steward(scene: Scene) -> Person:
    return factories.member(scene.nordwind, Role.STEWARD, username="stew")


@pytest.fixture
def own(scene: Scene) -> Article:
    return factories.article(customer=scene.nordwind, key="NW1", title="Scanner", translation_group="NW1", body="Scan.")


def form(row: Article, **values: str) -> dict[str, str]:
    given = {
        "title": row.title,
        "symptoms": row.symptoms,
        "body": row.body,
        "aliases": "",
        "language": row.language,
        "label": "",
        "runbook": row.runbook,
        "seen": knowledge.stamp(row),
    }
    return given | values


def text(client: Client, path: str) -> str:
    return " ".join(client.get(path).content.decode().split())


class TestTheList:
    """Every article with its figures, in any order, at the price of a few queries."""

    def test_it_shows_use_accuracy_certificate_and_source(self, scene: Scene) -> None:
        count = {
            "tickets": 12,
            "tickets_90": 40,
            "confirmed": 9,
            "confirmed_90": 31,
            "verdicts_90": 20,
            "agreed_90": 18,
        }
        ArticleCount.objects.create(customer=scene.nordwind, article="KB0001", **count)
        ArticleCount.objects.create(customer=scene.contoso, article="KB0001", tickets=700)
        release = factories.release(scene.nordwind, status="in_force")
        at = timezone.now()
        factories.certificate(release, issued_at=at, expires_at=at + timedelta(days=9))
        page = text(client_of(scene.agent), reverse("articles"))
        for words in ("12 / 40", "9 / 31", "90 %", "20 verdicts", "certified", "written here", "Unlock"):
            assert words in page, words
        assert "712" not in page

    def test_volume_sorts_and_pages_go_on_without_a_gap(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        for number in range(9):
            factories.article(key=f"V{number}", translation_group=f"V{number}")
            ArticleCount.objects.create(customer=scene.nordwind, article=f"V{number}", tickets_90=number // 3)
        monkeypatch.setattr(library, "PAGE", 4)
        client = client_of(scene.agent)
        for sort in ("volume", "title", "updated", "key"):
            path, seen = f"{reverse('articles')}?sort={sort}", []
            while path:
                answer = client.get(path)
                seen += [row.article.pk for row in answer.context["rows"]]
                onward = answer.context["onward"]
                path = f"{reverse('articles')}?" + urlencode({"sort": sort, "after": onward}) if onward else ""
            assert len(seen) == len(set(seen)) == Article.objects.count(), sort
        first = client.get(f"{reverse('articles')}?sort=volume").context["rows"][0]
        assert first.article.key in ("V6", "V7", "V8")

    def test_filters_find_what_is_unused_retired_without_runbook_or_in_a_language(self, scene: Scene) -> None:
        ArticleCount.objects.create(customer=scene.nordwind, article="KB0002", confirmed_90=1)
        Article.objects.filter(key="KB0003").update(retired_at=timezone.now())
        Article.objects.filter(key="KB0004").update(language="de")
        client = client_of(scene.agent)

        def keys(query: str) -> set[str]:
            return {row.article.key for row in client.get(f"{reverse('articles')}?{query}").context["rows"]}

        assert keys("show=unused") == {"KB0001", "KB0004", "KB0005", "KB0006", "KB0007"}
        assert keys("show=retired") == {"KB0003"}
        assert keys("show=no-runbook") == {"KB0002", "KB0004", "KB0005", "KB0007"}
        assert keys("language=de") == {"KB0004"}
        assert keys("text=mailbox full&show=retired") == {"KB0003"}
        assert keys("after=nonsense~1&sort=updated") | keys("sort=x&after=x&show=x")

    def test_the_number_of_queries_is_the_same_for_any_number_of_articles(self, scene: Scene) -> None:
        client = client_of(scene.agent)
        counts = []
        for size in (1, 60):
            for number in range(size):
                row = factories.article(customer=scene.nordwind, key=f"Q{size}-{number}")
                feed, _ = ArticleFeed.objects.get_or_create(slug="f", kind="zendesk", name="F", customer=scene.nordwind)
                FeedArticle.objects.create(feed=feed, external_id=row.key, article=row)
            with CaptureQueriesContext(
                connection,
            ) as caught:
                client.get(f"{reverse('articles')}?sort=volume&customer=nordwind")
            counts.append(len(caught))
        assert counts[0] == counts[1] <= 16


class TestOneArticle:
    """What its page tells."""

    def test_use_by_week_and_what_it_is_confused_with(self, scene: Scene) -> None:
        release = factories.release(scene.nordwind, status="in_force")
        Tuning.objects.create(release=release, report={"confused": [["KB0004", "KB0001", 7], ["KB0002", "KB0003", 9]]})
        factories.review(scene.tickets[0], scene.agent, decided_at=timezone.now() - timedelta(minutes=1))
        counting.all_anew(at=timezone.now())
        client = client_of(scene.agent)
        page = text(client, reverse("article", args=[Article.objects.get(key="KB0001").pk]))
        for words in (
            "Password forgotten",
            "taken for this one",
            '<td class="number">7</td>',
            'class="drawing"',
            "1 verdict",
        ):
            assert words in page, words
        assert "Mailbox" not in page
        assert scene.tickets[0].external_id in page
        other = text(client_of(scene.stranger), reverse("article", args=[Article.objects.get(key="KB0001").pk]))
        assert "Password forgotten" not in other
        assert 'class="drawing"' not in other

    def test_a_verdict_on_a_ticket_that_is_sealed_again_is_not_listed(self, scene: Scene) -> None:
        factories.review(scene.blind, scene.agent, article="KB0005", decided_at=timezone.now())
        page = text(client_of(scene.agent), reverse("article", args=[Article.objects.get(key="KB0005").pk]))
        assert scene.blind.external_id not in page
        assert "0 verdicts" in page


class TestWriting:
    """Stewards write; two of them never overwrite each other; feeds keep what is theirs."""

    def test_stewards_change_their_own_and_agents_only_read(self, scene: Scene, steward: Person, own: Article) -> None:
        path = reverse("article-edit", args=[own.pk])
        assert client_of(scene.agent).post(path, form(own, title="Mine")).status_code == 403
        shared = Article.objects.get(key="KB0002")
        assert client_of(steward).get(reverse("article-edit", args=[shared.pk])).status_code == 403
        assert "Change" not in text(client_of(scene.agent), reverse("article", args=[own.pk]))
        answer = client_of(steward).post(path, form(own, title="Scanner jams", aliases="MFP\r\ncopier", body="a\r\nb"))
        assert answer.status_code == 302
        own.refresh_from_db()
        assert (own.title, own.aliases, own.body) == ("Scanner jams", ["MFP", "copier"], "a\nb")
        event = AuditEvent.objects.get(subject="article", subject_id=own.pk)
        assert (event.event, event.actor, event.reason) == ("changed", f"person:{steward.pk}", "title, body, aliases")

    def test_who_saves_second_is_shown_what_the_first_wrote_and_loses_nothing(
        self, steward: Person, own: Article
    ) -> None:
        client, path = client_of(steward), reverse("article-edit", args=[own.pk])
        stale = form(own, body="Second editor's text.")
        Article.objects.filter(pk=own.pk).update(body="First editor's text.")
        answer = client.post(path, stale)
        page = answer.content.decode()
        assert answer.status_code == 409
        assert "First editor&#x27;s text." in page
        assert "Second editor&#x27;s text." in page
        own.refresh_from_db()
        assert own.body == "First editor's text."
        assert client.post(path, stale | {"seen": answer.context["form"].seen}).status_code == 302
        own.refresh_from_db()
        assert own.body == "Second editor's text."

    def test_what_a_feed_brings_stays_as_it_is_there(self, scene: Scene, steward: Person, own: Article) -> None:
        feed = ArticleFeed.objects.create(slug="f", kind="zendesk", name="Help Center", customer=scene.nordwind)
        FeedArticle.objects.create(feed=feed, external_id="1", article=own)
        client, path = client_of(steward), reverse("article-edit", args=[own.pk])
        assert "come from Help Center and are changed there" in text(client, path)
        client.post(path, form(own, title="Hijacked", body="Hijacked", symptoms="no scan", runbook="unlock_account"))
        own.refresh_from_db()
        assert (own.title, own.body, own.symptoms, own.runbook) == ("Scanner", "Scan.", "no scan", "unlock_account")

    def test_a_refusal_names_what_is_wrong_and_keeps_what_was_typed(self, scene: Scene, steward: Person) -> None:
        client, path = client_of(steward), reverse("article-new")
        given = {"customer": "nordwind", "key": "a b", "title": "Typed title", "language": "en", "body": "Typed body"}
        page = client.post(path, given).content.decode()
        assert "key: letters, digits" in page
        assert "Typed body" in page
        assert client.post(path, given | {"key": "AB", "customer": "contoso"}).status_code == 200
        assert not Article.objects.filter(title="Typed title").exists()
        assert client.post(path, given | {"key": "AB"}).status_code == 302
        assert "already" in client.post(path, given | {"key": "AB", "title": "Other"}).content.decode()
        assert Article.objects.get(key="AB", customer=scene.nordwind).title == "Typed title"
        assert client_of(scene.agent).get(path).status_code == 403


class TestCertificates:
    """A gate is made of labels that lead to runbooks: what changes that is said before it is done."""

    @pytest.fixture
    def certified(self, scene: Scene) -> Article:
        at = timezone.now()
        release = factories.release(scene.nordwind, status="in_force")
        Tuning.objects.create(release=release, labels={"NW2": 30})
        factories.certificate(release, issued_at=at, expires_at=at + timedelta(days=9))
        return factories.article(customer=scene.nordwind, key="NW2", translation_group="NW2", runbook="unlock_account")

    def test_another_runbook_voids_and_needs_a_second_word(self, steward: Person, certified: Article) -> None:
        client, path = client_of(steward), reverse("article-edit", args=[certified.pk])
        page = client.post(path, form(certified, runbook="")).content.decode()
        assert "1 certificate holds no longer" in page
        certified.refresh_from_db()
        assert certified.runbook == "unlock_account"
        assert client.post(path, form(certified, runbook="", understood="yes")).status_code == 302
        certified.refresh_from_db()
        assert certified.runbook == ""

    def test_words_may_change_and_void_nothing(self, steward: Person, certified: Article) -> None:
        path = reverse("article-edit", args=[certified.pk])
        assert client_of(steward).post(path, form(certified, body="Better words.")).status_code == 302

    def test_retiring_says_that_the_certificate_stays_and_bringing_back_is_audited(
        self, steward: Person, certified: Article
    ) -> None:
        client, path = client_of(steward), reverse("article-retire", args=[certified.pk])
        page = text(client, path)
        assert "“Unlock an account that failed sign-ins have locked” runs no more" in page
        assert "The certificate stays" in page
        stale = {"seen": "0" * 32}
        client.post(path, stale)
        certified.refresh_from_db()
        assert certified.retired_at is None
        client.post(path, {"seen": knowledge.stamp(certified)})
        certified.refresh_from_db()
        assert certified.retired_at is not None
        client.post(path, {"seen": knowledge.stamp(certified)})
        certified.refresh_from_db()
        assert certified.retired_at is None
        events = AuditEvent.objects.filter(subject="article", subject_id=certified.pk).order_by("pk")
        assert list(events.values_list("event", flat=True)) == ["retired", "back"]

    @pytest.mark.usefixtures("certified")
    def test_a_label_that_the_model_was_never_taught_is_no_part_of_its_gate(self, scene: Scene) -> None:
        given: dict[str, Any] = {
            "customer": scene.nordwind,
            "runbook": "unlock_account",
            "retired": False,
            "at": timezone.now(),
        }
        assert consequences.of_change(None, label="fresh", **given) == []
        (found,) = consequences.of_change(None, label="NW2", **given | {"runbook": "add_to_group"})
        assert [row.runbooks for row in found.voided] == [["unlock_account"]]
        assert json.dumps(found.stopped) == '["unlock_account"]'
