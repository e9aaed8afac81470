"""Sources for their administrators: how each is, whose tickets they are, and nothing of anybody else's."""

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from tests import factories
from tests.web.conftest import client_of
from tests.web.sending import send
from tests.web.test_connecting import text_of
from triage.connecting import refusals
from triage.models import AuditEvent, Delivery, Draw, Refusal, Role, Source, SourceMapping, Ticket

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_memory() -> None:
    refusals.forget()


@pytest.fixture
def provider() -> Client:
    return client_of(factories.person(is_superuser=True))


def test_mapping_a_value_says_what_it_frees_and_frees_it_once(provider: Client) -> None:
    shared = factories.source(customer=None, name="Shared desk")
    customer = factories.customer(slug="acme", name="ACME Ltd", holdout_share=0.5)
    for number in range(3):
        send(shared, key=f"k{number}", external_id=f"INC{number}", fields={"company": "ACME"})
    send(shared, key="none", external_id="INC7")
    page = text_of(provider.get(reverse("sources")))
    assert "4 without a customer" in page
    assert "Map it and free 3" in page
    assert "1 tickets name no company" in page
    form = {"part": "company", "value": "ACME", "customer": "acme", "back": "sources"}
    answer = text_of(provider.post(reverse("source-map", args=[shared.slug]), form, follow=True))
    assert "3 waiting tickets found their customer" in answer
    assert Ticket.objects.filter(customer=customer).count() == 3
    assert Draw.objects.filter(customer=customer).count() == 3
    assert "already" in text_of(provider.post(reverse("source-map", args=[shared.slug]), form, follow=True))
    mapping = SourceMapping.objects.get()
    assert AuditEvent.objects.filter(subject="sourcemapping", event="mapped", customer_id=customer.pk).count() == 1
    provider.post(reverse("source-unmap", args=[shared.slug, mapping.pk]))
    assert not SourceMapping.objects.exists()
    assert Ticket.objects.filter(customer=customer).count() == 3
    assert AuditEvent.objects.filter(event="mapping removed").count() == 1


def test_how_a_source_is_stands_in_words(provider: Client) -> None:
    at = timezone.now()
    good = factories.source(name="Good one")
    send(good)
    factories.source(name="Pull broken", pull_every=60, pull_failure="the token was refused", pull_failing_since=at)
    factories.source(name="Nothing set", secrets="")
    refused = factories.source(name="Refused one")
    send(refused, secret="whsec_" + "B" * 43 + "=")
    factories.source(name="Off one", enabled=False)
    page = text_of(provider.get(reverse("sources")))
    for words in (
        "Works.",
        "Not pulled: the token was refused",
        "it has no secret and is not pulled",
        "compare the secrets on both sides",
        "People were last told of a wrong signature",
        "1 refused today",
        "Switched off",
    ):
        assert words in page, words


def test_the_list_asks_as_often_for_ten_sources_as_for_two(provider: Client) -> None:
    def asked() -> int:
        with CaptureQueriesContext(
            connection,
        ) as found:
            provider.get(reverse("sources"))
        return len(found)

    for number in range(2):
        send(factories.source(), key=f"m{number}")
    few = asked()
    for number in range(8):
        send(factories.source(), key=f"n{number}")
    assert asked() == few


def test_every_change_is_recorded_without_a_secret_in_it(provider: Client) -> None:
    source = factories.source(kind="servicenow")

    def url(name: str) -> str:
        return reverse(name, args=[source.slug])

    provider.post(url("source-change"), {"name": "Renamed", "pull": "300"})
    form = {"api_url": "http://127.0.0.1:9", "own_user": "triage", "tables": "incident, sc_task"}
    form |= {"credentials": "basic", "basic-user": "triage", "basic-password": "hunter-two-three"}
    provider.post(url("source-access"), form)
    provider.post(url("source-assurance"), {"channel": ["portal", "mail", ""], "level": ["none", "mail", "portal"]})
    source.refresh_from_db()
    assert (source.name, source.enabled, source.pull_every) == ("Renamed", False, 300)
    assert source.settings == {"api_url": "http://127.0.0.1:9", "own_user": "triage", "tables": ["incident", "sc_task"]}
    assert json.loads(source.credentials)["password"] == "hunter-two-three"
    assert source.assurance == {"mail": "mail", "monitoring": "monitored"}
    events = list(AuditEvent.objects.filter(subject="source", subject_id=source.pk))
    names = {"changed", "settings changed", "credentials replaced", "assurance changed"}
    assert {event.event for event in events} == names
    assert not [event for event in events if "hunter" in str(vars(event)) or not event.actor.startswith("person:")]
    page = text_of(provider.get(url("source")))
    assert "hunter" not in page
    before = AuditEvent.objects.count()
    provider.post(url("source-change"), {"name": "Renamed", "pull": "300"})
    assert AuditEvent.objects.count() == before, "saving what stands already is no change"
    provider.post(url("source-access"), {"credentials": "none"})
    source.refresh_from_db()
    assert source.credentials == ""


def test_stored_credentials_follow_no_address_to_another_host(provider: Client) -> None:
    source = factories.source(kind="servicenow")
    path = reverse("source-access", args=[source.slug])
    basic = {"credentials": "basic", "basic-user": "triage", "basic-password": "hunter-two-three"}
    provider.post(path, {"api_url": "https://127.0.0.1/", **basic})
    for same in ("https://127.0.0.1:443", "https://127.0.0.1/now", "https://127.0.0.1"):
        page = text_of(provider.post(path, {"api_url": same, "credentials": "keep"}, follow=True))
        source.refresh_from_db()
        assert "hunter" in source.credentials, same
        assert "were removed" not in page
    for other in ("https://127.0.0.2", "https://127.0.0.1:8443", "http://127.0.0.1"):
        page = text_of(provider.post(path, {"api_url": other, "credentials": "keep"}, follow=True))
        source.refresh_from_db()
        assert (source.settings["api_url"], source.credentials) == (other, "")
        assert "stored credentials were removed" in page
        page = text_of(provider.post(path, {"api_url": "https://127.0.0.1", **basic}, follow=True))
        assert "were removed" not in page, "new ones came with the same save"
        source.refresh_from_db()
        assert "hunter" in source.credentials
    provider.post(path, {"api_url": ""})
    provider.post(path, {"api_url": "https://127.0.0.3"})
    source.refresh_from_db()
    assert source.credentials == "", "nor in two steps"
    assert AuditEvent.objects.filter(subject="source", event="credentials removed").count() >= 4


def test_the_last_secret_of_a_live_source_that_is_not_pulled_stays(provider: Client) -> None:
    from triage.connecting import making

    source = factories.source()
    form = {"name": making.name_of(source.signing_secrets()[0])}
    assert "only secret" in text_of(provider.post(reverse("source-retire", args=[source.slug]), form, follow=True))
    Source.objects.filter(pk=source.pk).update(pull_every=60)
    provider.post(reverse("source-retire", args=[source.slug]), form)
    source.refresh_from_db()
    assert source.signing_secrets() == []


@pytest.mark.parametrize("role", [Role.AGENT, Role.APPROVER, Role.STEWARD, Role.AUDITOR])
def test_sources_are_for_administrators(role: str) -> None:
    customer = factories.customer()
    source = factories.source(customer=customer)
    client = client_of(factories.member(customer, role))
    assert client.get(reverse("sources")).status_code == 403
    assert client.get(reverse("source-new")).status_code == 403
    assert client.get(reverse("source", args=[source.slug])).status_code == 404
    assert (
        client.post(reverse("source-new"), {"kind": "jira", "name": "x", "customer": customer.slug}).status_code == 403
    )
    assert "Sources</a>" not in text_of(client.get(reverse("queue")))


def test_an_administrator_sees_and_touches_only_their_own_customers_sources() -> None:
    mine, theirs = factories.customer(slug="mine"), factories.customer(slug="theirs", name="Their Name")
    own = factories.source(customer=mine, name="My own")
    other = factories.source(customer=theirs, name="Their source")
    shared = factories.source(customer=None, name="Shared source")
    for row in (own, other, shared):
        send(row, key=f"key-{row.pk}", external_id=f"EXT{row.pk}")
        Refusal.objects.create(source=row, at=timezone.now() - timedelta(minutes=1), status=401, reason="x", size=0)
    client = client_of(factories.member(mine, Role.ADMIN))
    page = text_of(client.get(reverse("sources"))) + text_of(client.get(reverse("source-new")))
    assert "My own" in page
    for word in ("Their", "Shared source", "Many customers", f"EXT{other.pk}"):
        assert word not in page, word
    before = list(Source.objects.order_by("pk").values()), Ticket.objects.count(), AuditEvent.objects.count()
    delivery = {row.pk: Delivery.objects.get(source_id=row.pk).uuid for row in (own, other, shared)}
    for row in (other, shared):
        for name in ("source", "source-connect", "source-test", "deliveries"):
            assert client.get(reverse(name, args=[row.slug])).status_code == 404, name
        for name in ("live", "change", "access", "assurance", "secret", "retire", "map"):
            assert client.post(reverse(f"source-{name}", args=[row.slug]), {"name": "x"}).status_code == 404, name
        assert client.post(reverse("source-unmap", args=[row.slug, 1])).status_code == 404
        assert client.post(reverse("deliveries-replay", args=[row.slug])).status_code == 404
        for place in (row.slug, own.slug):
            assert client.get(reverse("delivery", args=[place, delivery[row.pk]])).status_code == 404
            assert client.post(reverse("delivery-replay", args=[place, delivery[row.pk]])).status_code == 404
    for customer in ("theirs", "*"):
        form = {"kind": "jira", "name": "Sneaky", "customer": customer}
        assert client.post(reverse("source-new"), form).status_code in {403, 422}
    assert (list(Source.objects.order_by("pk").values()), Ticket.objects.count(), AuditEvent.objects.count()) == before
