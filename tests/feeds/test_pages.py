"""The page of articles tells where they come from, to those who may know it, and lets stewards act."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.urls import reverse
from django.utils import timezone

from tests import factories
from tests.web.conftest import client_of
from triage.feeds import passes
from triage.models import Article, ArticleFeed, AuditEvent, Customer, FeedArticle, Role

pytestmark = pytest.mark.django_db
CREDENTIALS = '{"kind": "basic", "user": "reader", "password": "s3cret-of-the-feed"}'


def feed_of(customer: Customer | None, **values: Any) -> ArticleFeed:
    given: dict[str, Any] = {"slug": "kb", "kind": "zendesk", "name": "Help Center", "credentials": CREDENTIALS}
    given |= {"settings": {"api_url": "https://acme.example.org"}, "customer": customer, "done_at": timezone.now()}
    return ArticleFeed.objects.create(**{**given, **values})


def listed(feed: ArticleFeed, **values: Any) -> FeedArticle:
    article = values.pop("article", None) or factories.article(customer=feed.customer)
    given = {"external_id": f"{article.key}:en", "url": "https://acme.example.org/hc/1", "key": article.key}
    return FeedArticle.objects.create(feed=feed, article=article, **{**given, **values})


def test_a_steward_sees_why_a_feed_fails_and_others_only_that_it_is_there() -> None:
    customer = factories.customer()
    feed = feed_of(customer, failure="acme.example.org answered 401", failures=3, failing_since=timezone.now())
    row = listed(feed)
    FeedArticle.objects.create(feed=feed, external_id="7:de", title="<b>x", problem="KB7 is in use: an article")
    shown = client_of(factories.member(customer, Role.STEWARD)).get(reverse("articles")).content.decode()
    for told in ("Help Center", "Zendesk Help Center", "answered 401", "1 live article", "KB7 is in use", "&lt;b&gt;x"):
        assert told in shown
    assert "s3cret" not in shown
    agent = client_of(factories.member(customer, Role.AGENT)).get(reverse("articles")).content.decode()
    assert "Help Center" in agent
    for hidden in ("answered 401", "KB7 is in use", "Sync now"):
        assert hidden not in agent
    page = client_of(factories.member(customer)).get(reverse("article", args=[row.article_id])).content.decode()
    assert '<a href="https://acme.example.org/hc/1" rel="noopener noreferrer external">' in page
    stranger = client_of(factories.member(factories.customer(), Role.ADMIN)).get(reverse("articles")).content.decode()
    assert "Help Center" not in stranger


def test_sync_now_is_for_those_who_write_articles_and_lists_everything() -> None:
    customer = factories.customer()
    now = timezone.now()
    feed = feed_of(customer, every=None, full_at=now, listed_until=now)
    path = reverse("feed-sync", args=[feed.pk])
    assert client_of(factories.member(customer, Role.AGENT)).post(path).status_code == 403
    assert client_of(factories.member(factories.customer(), Role.ADMIN)).post(path).status_code == 404
    assert passes.due(at=timezone.now()) == []
    steward = factories.member(customer, Role.STEWARD)
    assert client_of(steward).get(path).status_code == 405
    assert client_of(steward).post(path).status_code == 302
    feed.refresh_from_db()
    assert feed.full_at is None
    assert passes.due(at=timezone.now()) == [feed.pk]
    event = AuditEvent.objects.get(subject="articlefeed")
    assert (event.event, event.actor, event.customer_id) == ("sync ordered", f"person:{steward.pk}", customer.pk)
    ArticleFeed.objects.filter(pk=feed.pk).update(enabled=False)
    assert "switched off" in client_of(steward).post(path, follow=True).content.decode()


def test_a_shared_feed_is_the_providers_to_sync() -> None:
    feed = feed_of(None)
    path = reverse("feed-sync", args=[feed.pk])
    assert client_of(factories.member(factories.customer(), Role.ADMIN)).post(path).status_code == 403
    assert client_of(factories.person(is_superuser=True)).post(path).status_code == 302


def test_only_as_many_as_a_person_saw_missing_may_be_retired() -> None:
    customer = factories.customer()
    feed = feed_of(customer, held_back=8)
    client = client_of(factories.member(customer, Role.ADMIN))
    assert "Retire 8 missing articles" in client.get(reverse("articles")).content.decode()
    path = reverse("feed-retire", args=[feed.pk])
    for wrong in ("7", "", "-8", "8e3", "٨"):
        assert "Another number" in client.post(path, {"many": wrong}, follow=True).content.decode()
    feed.refresh_from_db()
    assert feed.may_retire == 0
    client.post(path, {"many": "8"})
    feed.refresh_from_db()
    assert (feed.may_retire, feed.full_at) == (8, None)
    assert AuditEvent.objects.filter(event="retirement allowed", reason="8 articles").exists()
    agent = client_of(factories.member(customer, Role.AGENT))
    assert agent.post(path, {"many": "8"}).status_code == 403


def form(**values: Any) -> dict[str, Any]:
    given = {"slug": "kb", "name": "KB", "kind": "zendesk", "settings": '{"api_url": "https://a.example.org"}'}
    return {**given, "every": 900, "full_every": 21600, "most_gone": "0.2", "enabled": "on", "new_secret": "", **values}


def test_the_settings_page_checks_a_feed_and_never_shows_its_credentials() -> None:
    client = client_of(factories.person(is_superuser=True, is_staff=True, password=make_password(None)))
    add = reverse("admin:triage_articlefeed_add")
    lent = factories.source(kind="zendesk", customer=factories.customer())
    for wrong, said in (
        ({"settings": '{"api_url": "ftp://x"}'}, "api_url"),
        ({"settings": "{}"}, "api_url is missing"),
        ({"settings": '{"api_url": "https://a.example.org", "labls": []}'}, "labls"),
        ({"new_secret": '{"kind": "basic", "user": "u"}'}, "password"),
        ({"source": lent.pk, "settings": "{}"}, "another customer"),
        ({"source": lent.pk, "kind": "folder", "settings": '{"path": "/srv"}'}, "cannot lend"),
        ({"kind": "folder", "settings": '{"path": "srv"}'}, "path"),
    ):
        page = client.post(add, form(**wrong))
        assert page.status_code == 200, wrong
        assert said in page.content.decode(), wrong
    assert not ArticleFeed.objects.exists()
    assert client.post(add, form(new_secret=CREDENTIALS)).status_code == 302
    feed = ArticleFeed.objects.get()
    assert feed.credentials == CREDENTIALS
    now = timezone.now()
    ArticleFeed.objects.filter(pk=feed.pk).update(full_at=now, due_at=now + timedelta(hours=1))
    change = reverse("admin:triage_articlefeed_change", args=[feed.pk])
    assert "s3cret" not in client.get(change).content.decode()
    assert client.post(change, form(name="Renamed")).status_code == 302
    feed.refresh_from_db()
    assert (feed.name, feed.credentials, feed.full_at, feed.due_at) == ("Renamed", CREDENTIALS, None, None)
    events = AuditEvent.objects.filter(subject="articlefeed")
    assert events.count() == 2
    assert not [event for event in events if "s3cret" in event.reason]


def test_a_feeds_credentials_follow_no_address_to_another_host() -> None:
    client = client_of(factories.person(is_superuser=True, is_staff=True, password=make_password(None)))
    client.post(reverse("admin:triage_articlefeed_add"), form(new_secret=CREDENTIALS))
    feed = ArticleFeed.objects.get()
    change = reverse("admin:triage_articlefeed_change", args=[feed.pk])
    moved = form(settings=json.dumps({**feed.settings, "api_url": "https://elsewhere.example.org"}))
    assert "stored credentials were removed" in client.post(change, moved, follow=True).content.decode()
    feed.refresh_from_db()
    assert feed.credentials == ""
    again = form(settings=json.dumps({**feed.settings, "api_url": "https://third.example.org"}), new_secret=CREDENTIALS)
    client.post(change, again)
    feed.refresh_from_db()
    assert feed.credentials == CREDENTIALS


def test_an_article_outlives_its_feed() -> None:
    feed = feed_of(factories.customer())
    article = listed(feed).article
    feed.delete()
    assert article is not None
    assert Article.objects.filter(pk=article.pk, retired_at__isnull=True).exists()
