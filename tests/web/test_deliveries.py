"""The delivery log: what came, what was understood, and applying it again, which counts once."""

from datetime import datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests import factories
from tests.web.conftest import client_of
from tests.web.sending import send
from tests.web.test_connecting import text_of
from triage import landing
from triage.connecting import refusals
from triage.environment import environment
from triage.models import AuditEvent, Customer, Delivery, Role, Source, Ticket
from triage.queries import deliveries as reads

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_memory() -> None:
    refusals.forget()


@pytest.fixture
def customer() -> Customer:
    return factories.customer(slug="nordwind", name="Nordwind AG")


@pytest.fixture
def source(customer: Customer) -> Source:
    return factories.source(customer=customer, slug="snow", name="Snow")


@pytest.fixture
def admin(customer: Customer) -> Client:
    return client_of(factories.member(customer, Role.ADMIN))


def odd(source: Source, key: str = "odd") -> Delivery:
    """A message that names a comment on a ticket that nobody knows: put aside until the ticket is there."""
    answer = send(
        source, key=key, external_id="INC9", kind="comment", body="Any news?", updated_at="2026-11-20T09:00:00Z"
    )
    assert answer.json()["quarantined"]
    return Delivery.objects.get(key=key)


def test_the_log_is_narrowed_by_what_became_of_it_and_by_ticket_and_key(admin: Client, source: Source) -> None:
    send(source, key="first")
    send(source, key="second", external_id="INC8")
    odd(source)
    path = reverse("deliveries", args=[source.slug])
    for query, inside, outside in (
        ({}, ("first", "second", "odd"), ()),
        ({"status": "quarantined"}, ("odd", "which is not known"), ("first", "second")),
        ({"text": "INC8"}, ("second",), ("first", "odd")),
        ({"text": "first"}, ("first",), ("second", "odd")),
        ({"text": str(Delivery.objects.get(key="odd").uuid)}, ("odd",), ("first", "second")),
        ({"text": "nothing like it"}, ("None is like that",), ("first",)),
    ):
        page = text_of(admin.get(path, query))
        assert all(word in page for word in inside), query
        assert not [word for word in outside if f">{word}<" in page], query


def test_a_ticket_of_a_bulk_delivery_is_found(admin: Client, source: Source) -> None:
    lines = (
        b'{"external_id": "A1", "subject": "One", "body": "x"}\n{"external_id": "A2", "subject": "Two", "body": "y"}'
    )
    from triage.itsm import standard

    headers = standard.signed_headers(source.signing_secrets()[0], key="bulk", body=lines, at=timezone.now())
    Client().post(f"/webhooks/{source.slug}/", lines, content_type="application/x-ndjson", headers=headers)
    send(source, key="single")
    page = text_of(admin.get(reverse("deliveries", args=[source.slug]), {"text": "A2"}))
    assert ">bulk<" in page
    assert ">single<" not in page


def test_older_pages_are_reached_and_show_each_message_once(
    admin: Client, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "PAGE", 2)
    for number in range(5):
        send(source, key=f"key-{number}", external_id=f"INC{number}")
    path = reverse("deliveries", args=[source.slug])
    seen: list[int] = []
    query: dict[str, str] = {}
    while True:
        page = text_of(admin.get(path, query))
        seen += [number for number in range(5) if f">key-{number}<" in page]
        if "before=" not in page:
            break
        query = {"before": page.split("before=")[1].split('"')[0]}
    assert sorted(seen) == [0, 1, 2, 3, 4]
    assert len(seen) == 5


def test_a_quarantined_message_is_applied_again_once_its_cause_is_mended(admin: Client, source: Source) -> None:
    row = odd(source)
    page = reverse("delivery", args=[source.slug, row.uuid])
    assert "which is not known" in text_of(admin.get(page))
    replay = reverse("delivery-replay", args=[source.slug, row.uuid])
    assert "still cannot be used" in text_of(admin.post(replay, follow=True))
    row.refresh_from_db()
    assert row.status == Delivery.Status.QUARANTINED
    send(source, key="ticket", external_id="INC9")
    assert "Applied again: 1" in text_of(admin.post(replay, follow=True))
    row.refresh_from_db()
    assert (row.status, row.reason) == (Delivery.Status.APPLIED, "")
    assert AuditEvent.objects.filter(subject="delivery", subject_id=row.pk, event="applied again").count() == 2
    assert Ticket.objects.get(external_id="INC9").body == "I cannot sign in since this morning."


def test_applying_again_changes_nothing_that_is_known(admin: Client, source: Source) -> None:
    send(source, key="old")
    send(source, key="new", subject="Changed", updated_at="2026-11-20T10:00:00Z")
    before = Ticket.objects.values().get()
    for _ in range(2):
        for row in Delivery.objects.all():
            admin.post(reverse("delivery-replay", args=[source.slug, row.uuid]))
    assert Ticket.objects.values().get() == before
    assert Delivery.objects.count() == 2


def test_all_in_quarantine_are_applied_again_together(admin: Client, source: Source) -> None:
    rows = [odd(source, key=f"odd-{number}") for number in range(3)]
    send(source, key="ticket", external_id="INC9")
    page = text_of(admin.post(reverse("deliveries-replay", args=[source.slug]), {"text": "odd-1"}, follow=True))
    assert "Applied again: 1" in page
    page = text_of(admin.post(reverse("deliveries-replay", args=[source.slug]), follow=True))
    assert "Applied again: 2" in page
    assert {Delivery.objects.get(pk=row.pk).status for row in rows} == {"applied"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("lake")
def test_a_landed_message_is_read_from_the_lake_and_one_whose_lake_is_away_says_so(
    admin: Client, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = odd(source)
    landing.land(at=datetime.now(row.received_at.tzinfo) + timedelta(hours=1))
    row.refresh_from_db()
    assert row.body is None
    page = reverse("delivery", args=[source.slug, row.uuid])
    assert "Any news?" in text_of(admin.get(page))
    send(source, key="ticket", external_id="INC9")
    assert "Applied again: 1" in text_of(admin.post(f"{page}replay/", follow=True))
    for name in ("ENDPOINT", "ACCESS_KEY", "SECRET_KEY"):
        monkeypatch.delenv(f"TRIAGE_LAKE_{name}")
    environment.cache_clear()
    assert "the lake, which does not answer" in text_of(admin.get(page))
    environment.cache_clear()


def test_what_came_before_a_source_had_its_customer_is_not_for_the_customers_eyes(
    admin: Client, customer: Customer
) -> None:
    shared = factories.source(customer=None, slug="shared")
    send(shared, key="theirs", external_id="SECRET1", company="Other")
    assert admin.get(reverse("deliveries", args=["shared"])).status_code == 404
    Source.objects.filter(pk=shared.pk).update(customer=customer)
    send(shared, key="ours", external_id="OWN1")
    page = text_of(admin.get(reverse("deliveries", args=["shared"])))
    assert "OWN1" in page
    assert "SECRET1" not in page
    theirs = Delivery.objects.get(key="theirs")
    assert admin.get(reverse("delivery", args=["shared", theirs.uuid])).status_code == 404
    assert admin.post(reverse("delivery-replay", args=["shared", theirs.uuid])).status_code == 404


def test_whatever_bytes_came_the_pages_show_them_and_harm_nobody(admin: Client, customer: Customer) -> None:
    secret = "a secret of a workflow, long enough"
    source = factories.source(customer=customer, kind="freshservice", secrets=secret, slug="fresh")
    hostile = (
        b" ",
        b"\xff\xfe\x00<script>alert(1)</script>",
        b"[" * 5000,
        b'{"ticket": {"id": 1, "subject": "\\ud800"}}',
        b'{"ticket": {"id": 2, "subject": "<img src=x onerror=alert(1)>", "description": "{{ source.secrets }}"}}',
        f'{{"ticket": {{"id": 3, "subject": "x", "note": "{secret}", "api_key": "tulip-tulip"}}}}'.encode(),
        b'{"ticket": {"id": 4, "subject": "' + b"x" * 200_000 + b'"}}',
    )
    for body in hostile:
        headers = {"X-Triage-Secret": secret}
        answer = Client().post("/webhooks/fresh/", body, content_type="application/json", headers=headers)
        assert answer.status_code == 202, body[:40]
    assert Delivery.objects.filter(source_id=source.pk).count() == len(hostile)
    for row in Delivery.objects.filter(source_id=source.pk):
        answer = admin.get(reverse("delivery", args=["fresh", row.uuid]))
        page = text_of(answer)
        assert answer.status_code == 200
        assert len(page) < 150_000
        for word in ("<script>alert", "<img src=x", "a secret of a workflow", "tulip"):
            assert word not in page, (row.size, word)
