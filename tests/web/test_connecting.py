"""A source is connected in three steps: made, told what to paste where, and seen to work before anything counts."""

import base64
import hmac
import json
import re
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests import factories, past, trained
from tests.itsm.fakes.standard import running
from tests.web.conftest import client_of
from tests.web.scene import Scene
from tests.web.sending import TOLD, send
from triage import connecting, intake, itsm, pulling, recovery
from triage.connecting import live, refusals
from triage.lake.errors import LakeError
from triage.models import AuditEvent, Delivery, Draw, Refusal, Role, Source, Ticket
from triage.web import webhooks

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_memory() -> Iterator[None]:
    """What the door remembers from message to message ends with the test."""
    refusals.forget()
    webhooks._tell_once.cache_clear()
    yield
    refusals.forget()


@pytest.fixture
def admin(scene: Scene) -> Client:
    return client_of(factories.member(scene.nordwind, Role.ADMIN, username="adam", zone="Asia/Tokyo"))


def made(admin: Client, kind: str = "standard", name: str = "Service desk") -> Source:
    answer = admin.post(reverse("source-new"), {"kind": kind, "name": name, "customer": "nordwind"})
    source = Source.objects.latest("pk")
    assert answer["Location"] == reverse("source-connect", args=[source.slug])
    return source


def text_of(answer: object) -> str:
    content: bytes = answer.content  # type: ignore[attr-defined]  # the client's answers are untyped
    return content.decode()


def test_a_source_begins_in_setup_and_its_secret_is_shown_once(admin: Client, scene: Scene) -> None:
    source = made(admin)
    secret = source.signing_secrets()[0]
    assert (source.in_setup, source.customer, source.slug) == (True, scene.nordwind, "service-desk")
    first = text_of(admin.get(reverse("source-connect", args=[source.slug])))
    assert secret in first
    assert f"http://127.0.0.1:8000/webhooks/{source.slug}/" in first
    for page in ("source-connect", "source", "source-test", "source-connect"):
        assert secret not in text_of(admin.get(reverse(page, args=[source.slug])))
    session = json.dumps(dict(admin.session))
    assert secret not in session
    assert "added" in set(AuditEvent.objects.filter(subject="source").values_list("event", flat=True))


def test_in_setup_a_message_is_kept_and_understood_and_starts_nothing(admin: Client, scene: Scene) -> None:
    source = made(admin)
    before = Ticket.objects.count()
    assert "Waiting for a first message" in text_of(admin.get(reverse("source-test", args=[source.slug])))
    answer = send(source, subject="<script>alert(1)</script>", password="my password is tulip")
    assert (answer.status_code, "kept" in answer.json(), answer.json()["tickets"]) == (202, True, [])
    assert Ticket.objects.count() == before
    assert Delivery.objects.get(source_id=source.pk).status == Delivery.Status.STORED
    page = text_of(admin.get(reverse("source-test", args=[source.slug])))
    assert "its signature is right" in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "tulip" not in page, "what is named like a secret is not shown"
    for word in ("INC7", "ada@nordwind.example", "portal: Unknown sender", "high", "2026-11-20 18:30", "Nordwind AG"):
        assert word in page, word
    assert "Nobody said how sure the channel portal is" in page
    form = {"channel": "portal", "level": "portal", "back": "test"}
    page = text_of(admin.post(reverse("source-assurance", args=[source.slug]), form, follow=True))
    assert "portal: Signed-in portal" in page
    assert pulling.due(at=timezone.now()) == []


def test_a_shared_source_is_mapped_from_its_first_message_before_it_goes_live(scene: Scene) -> None:
    provider = client_of(factories.person(is_superuser=True))
    provider.post(reverse("source-new"), {"kind": "standard", "name": "Shared", "customer": "*"})
    source = Source.objects.get(name="Shared")
    send(source, fields={"company": "ACME"})
    refused = text_of(provider.post(reverse("source-live", args=[source.slug]), follow=True))
    assert "map at least one value" in refused
    assert "No customer answers for company ACME" in refused
    form = {"part": "company", "value": "ACME", "customer": "contoso", "back": "test"}
    page = text_of(provider.post(reverse("source-map", args=[source.slug]), form, follow=True))
    assert "No customer answers" not in page
    provider.post(reverse("source-live", args=[source.slug]))
    assert Ticket.objects.get(source=source).customer == scene.contoso


def test_the_page_is_asked_again_only_for_news(admin: Client) -> None:
    source = made(admin)
    path = reverse("source-test", args=[source.slug])
    mark = re.search(r"seen=([^\"]+)", text_of(admin.get(path)))
    assert mark
    headers = {"HX-Request": "true"}
    assert admin.get(path, {"seen": mark[1]}, headers=headers).status_code == 204
    send(source)
    part = admin.get(path, {"seen": mark[1]}, headers=headers)
    assert "INC7" in text_of(part)
    assert "<html" not in text_of(part)


def test_going_live_makes_tickets_of_what_was_kept_once(admin: Client, scene: Scene) -> None:
    source = made(admin)
    send(source)
    send(source, key="msg_2", status="in progress", updated_at="2026-11-20T09:40:00Z")
    kept = Delivery.objects.filter(source_id=source.pk).order_by("pk").first()
    assert kept
    for _ in range(2):
        assert admin.post(reverse("source-live", args=[source.slug]))["Location"] == reverse(
            "source", args=[source.slug]
        )
    ticket = Ticket.objects.get(source=source)
    assert (ticket.external_id, ticket.itsm_status, ticket.received_at) == ("INC7", "in progress", kept.received_at)
    assert Draw.objects.filter(ticket=ticket).count() == 1
    assert set(Delivery.objects.filter(source_id=source.pk).values_list("status", flat=True)) == {"applied"}
    assert AuditEvent.objects.filter(subject="source", subject_id=source.pk, event="went live").count() == 1
    assert send(source, key="msg_3", external_id="INC8").json()["tickets"] == [
        {"external_id": "INC8", "result": "created"}
    ]


def test_what_a_dying_process_left_kept_is_applied_by_recovery(admin: Client) -> None:
    source = made(admin)
    send(source)
    Source.objects.filter(pk=source.pk).update(in_setup=False)
    recovery.sweep(at=timezone.now())
    assert Ticket.objects.get(source=source).external_id == "INC7"
    assert connecting.apply_left(at=timezone.now()) == 0


@pytest.mark.parametrize(("silent", "applied"), [(False, 1), (True, 0)])
def test_recovery_reads_on_past_damaged_packs_and_asks_a_silent_lake_no_further(
    admin: Client, monkeypatch: pytest.MonkeyPatch, silent: bool, applied: int
) -> None:
    source = made(admin)
    for number in range(5):
        send(source, key=f"k{number}", external_id=f"INC{number}")
    first = Delivery.objects.filter(source_id=source.pk).order_by("pk").values_list("pk", flat=True)[:4]
    Delivery.objects.filter(pk__in=list(first)).update(body=None, lake_key="gone", landed_at=timezone.now())
    Source.objects.filter(pk=source.pk).update(in_setup=False)

    class Store:
        def get(self, key: str) -> bytes:
            if silent:
                raise LakeError(key)
            return b"no pack"

    monkeypatch.setattr("triage.lake.here.store", Store)
    monkeypatch.setattr(live, "AT_ONCE", 2)
    assert connecting.apply_left(at=timezone.now()) == applied
    assert Delivery.objects.filter(source_id=source.pk, status=Delivery.Status.STORED).count() == 5 - applied


def test_a_message_that_cannot_be_applied_waits_in_quarantine_and_holds_up_no_other(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = made(admin)
    send(source, key="poison")
    send(source, key="good", external_id="INC8")
    real = intake.apply_stored

    def stumbling(**given: Any) -> Any:
        if given["stored"].row.key == "poison":
            raise RecursionError
        return real(**given)

    monkeypatch.setattr(live, "apply_stored", stumbling)
    Source.objects.filter(pk=source.pk).update(in_setup=False)
    assert connecting.apply_left(at=timezone.now()) == 1
    assert [row.external_id for row in Ticket.objects.filter(source=source)] == ["INC8"]
    row = Delivery.objects.get(key="poison")
    assert (row.status, "RecursionError" in row.reason) == ("quarantined", True)
    monkeypatch.undo()
    admin.post(reverse("delivery-replay", args=[source.slug, row.uuid]))
    assert Ticket.objects.filter(source=source, external_id="INC7").exists()


def test_a_message_that_came_in_while_it_went_live_becomes_a_ticket(admin: Client) -> None:
    source = made(admin)
    stale = Source.objects.get(pk=source.pk)
    Source.objects.filter(pk=source.pk).update(in_setup=False)
    body = json.dumps(TOLD).encode()
    done = intake.accept(
        source=stale, key="m", body=body, headers={}, content_type="application/json", at=timezone.now()
    )
    assert (done.kept, done.created) == (False, 1)


def test_refused_messages_say_why_to_the_administrator_and_nothing_to_strangers(admin: Client) -> None:
    source = made(admin)
    right = source.signing_secrets()[0]
    late = send(source, minutes=40)
    other = send(source, secret=factories.SECRET)
    body = json.dumps(TOLD).encode()
    stamp = str(int(time.time()))
    mac = base64.b64encode(hmac.digest(right.encode(), f"m1.{stamp}.".encode() + body, "sha256")).decode()
    headers = {
        "webhook-id": "m1",
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{mac}",
        "authorization": "Basic eDp5",
    }
    as_text = Client().post(f"/webhooks/{source.slug}/", body, content_type="application/json", headers=headers)
    form = Client().post(f"/webhooks/{source.slug}/", {"a": "b"})
    assert [answer.status_code for answer in (late, other, as_text, form)] == [401, 401, 401, 415]
    assert other.json() == as_text.json(), "a stranger learns nothing of how near it was"
    page = text_of(admin.get(reverse("deliveries", args=[source.slug]), {"status": "refused"}))
    for words in (
        "the time is 40 minutes old",
        "Signed with another secret",
        "Signed with the text of the secret",
        "415",
    ):
        assert words in page, words
    assert right not in page
    assert "eDp5" not in page, "a header that could open something is named, and its value is not kept"
    assert "authorization" in page
    latest = text_of(admin.get(reverse("source-test", args=[source.slug])))
    assert "was refused" in latest


def test_a_flood_of_refused_messages_keeps_few(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    source = made(admin)
    for _ in range(20):
        Client().post(f"/webhooks/{source.slug}/", b"{}", content_type="application/json")
    assert Refusal.objects.count() == refusals.A_MINUTE
    monkeypatch.setattr(refusals, "KEPT", 3)
    refusals.forget()
    Client().post(f"/webhooks/{source.slug}/", b"{}", content_type="application/json")
    assert Refusal.objects.count() == 3
    Refusal.objects.update(at=timezone.now() - timedelta(days=8))
    Client().post(f"/webhooks/{source.slug}/", b"{}", content_type="application/json")
    assert Refusal.objects.count() == 1


def test_a_strangers_flood_pushes_no_hint_out_that_a_holder_of_the_secret_caused(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "KEPT", 3)
    source = made(admin)
    for _ in range(10):
        Client().post(f"/webhooks/{source.slug}/", b"{}", content_type="application/json")
    assert send(source, minutes=40).status_code == 401
    refusals.forget()
    for _ in range(10):
        Client().post(f"/webhooks/{source.slug}/", b"{}", content_type="application/json")
        send(source, secret=factories.SECRET)
    assert Refusal.objects.filter(proved=False).count() == 3
    assert "the time is 40 minutes old" in Refusal.objects.get(proved=True).hint
    for _ in range(10):
        send(source, minutes=40)
    assert Refusal.objects.filter(proved=True).count() == 3, "theirs have an end, too"


def test_a_secret_is_changed_without_losing_a_message(admin: Client) -> None:
    source = made(admin)
    old = source.signing_secrets()[0]
    answer = admin.post(reverse("source-secret", args=[source.slug]), {"back": "source"}, follow=True)
    source.refresh_from_db()
    new = source.signing_secrets()[0]
    assert new in text_of(answer)
    assert old not in text_of(answer)
    assert [send(source, key=key, secret=one).status_code for key, one in (("a", old), ("b", new))] == [202, 202]
    name = re.findall(r'name="name" value="([0-9a-f]{8})"', text_of(answer))[-1]
    admin.post(reverse("source-retire", args=[source.slug]), {"name": name})
    assert send(source, key="c", secret=old).status_code == 401
    assert send(source, key="d", secret=new).status_code == 202
    events = AuditEvent.objects.filter(subject="source", subject_id=source.pk)
    assert {"secret added", "secret retired"} <= set(events.values_list("event", flat=True))
    assert not [event for event in events if old in str(vars(event)) or new in str(vars(event))]


def test_the_vendors_own_secret_is_entered_and_never_shown(admin: Client) -> None:
    source = made(admin, kind="zendesk", name="Zendesk")
    assert source.secrets == ""
    path = reverse("source-secret", args=[source.slug])
    assert "at least" not in text_of(admin.post(path, {"secret": "short"}, follow=True))
    source.refresh_from_db()
    assert source.secrets == ""
    page = text_of(admin.post(path, {"secret": "a secret that zendesk made", "back": "connect"}, follow=True))
    source.refresh_from_db()
    assert source.signing_secrets() == ["a secret that zendesk made"]
    assert "a secret that zendesk made" not in page


def test_a_connection_is_tried_with_one_reading_request(scene: Scene) -> None:
    provider = client_of(factories.person(is_superuser=True))
    source = made(provider, name="Pulled")
    with running() as fake:
        fake.put("INC42", at=timezone.now(), subject="Printer")
        form = {
            "pull_url": fake.pull_url,
            "credentials": "oauth2_client",
            "back": "connect",
            "try": "yes",
            "pull": "300",
        }
        told = json.loads(fake.credentials())
        form |= {f"oauth2_client-{name}": value for name, value in told.items() if name != "kind"}
        page = text_of(provider.post(reverse("source-access", args=[source.slug]), form))
        assert "one ticket on the first page" in page
        assert "INC42" in page
        assert told["client_secret"] not in page
        wrong = {**form, "oauth2_client-client_secret": "wrong"}
        assert "was not read" in text_of(provider.post(reverse("source-access", args=[source.slug]), wrong))
    assert not Ticket.objects.filter(source=source).exists()
    source.refresh_from_db()
    assert source.pull_every == 300
    assert told["client_secret"] not in text_of(provider.get(reverse("source", args=[source.slug])))


def test_a_customers_administrator_cannot_make_us_call_our_own_network(admin: Client) -> None:
    source = made(admin, kind="servicenow", name="Snow")
    for url in ("http://127.0.0.1:8000", "http://169.254.169.254/latest", "https://user:pw@example.org", "file:///etc"):
        page = text_of(admin.post(reverse("source-access", args=[source.slug]), {"api_url": url}, follow=True))
        source.refresh_from_db()
        assert "api_url" not in source.settings, url
        assert "message error" in page


def test_the_prediction_of_a_drawn_text_is_not_told(admin: Client, scene: Scene) -> None:
    source = made(admin)
    scene.nordwind.holdout_share = 1.0
    scene.nordwind.save()
    send(source)
    page = text_of(admin.get(reverse("source-test", args=[source.slug])))
    assert "blind check" in page
    scene.nordwind.holdout_share = 0.0
    scene.nordwind.save()
    page = text_of(admin.get(reverse("source-test", args=[source.slug])))
    assert "blind check" not in page
    assert "What it would get" in page


def test_a_first_message_shows_what_it_would_get_but_never_of_a_text_that_is_answered_blind() -> None:
    customer = factories.customer(slug="trained")
    for label in past.PROBLEMS:
        factories.article(key=label, title=f"How to {label}")
    trained.release(customer)
    source = factories.source(customer=customer, in_setup=True)
    text = {
        "subject": "unlock office",
        "body": "hello, my account is locked after too many failed sign-ins in the office regards",
    }
    send(source, subject=text["subject"], body=text["body"])
    admin = client_of(factories.member(customer, Role.ADMIN))
    path = reverse("source-test", args=[source.slug])
    page = text_of(admin.get(path))
    assert "How to unlock-account" in page
    assert "likely" in page
    assert not Ticket.objects.exists()
    drawn = factories.ticket(customer=customer, **text)
    factories.draw(drawn, "holdout", 0.5)
    page = text_of(admin.get(path))
    assert "blind check" in page
    assert "How to" not in page, "the same text through another door would open the seal"


def test_every_kind_of_source_says_what_it_needs() -> None:
    assert set(connecting.VENDORS) == set(itsm.SOURCES)
    for kind, vendor in connecting.VENDORS.items():
        assert vendor.sentence, kind
        assert vendor.steps, kind
        assert any("{url}" in text for _, text in vendor.pastes), kind
        assert vendor.theirs or any("{secret}" in text for _, text in vendor.pastes) or kind == "standard"
        names = {setting.name for setting in vendor.settings}
        assert "own_user" in names, kind


def test_each_kind_has_its_pages(admin: Client) -> None:
    for kind in sorted(itsm.SOURCES):
        source = made(admin, kind=kind, name=f"My {kind}")
        pages = {
            page: admin.get(reverse(page, args=[source.slug])) for page in ("source-connect", "source-test", "source")
        }
        assert {answer.status_code for answer in pages.values()} == {200}, kind
        shown = text_of(pages["source-connect"])
        assert ("executeRule" in shown, "class Detector" in shown or "def init(db)" in shown) == (
            kind == "servicenow",
            kind == "roundup",
        )


def test_what_is_missing_in_step_one_is_said_and_nothing_is_made(admin: Client) -> None:
    before = Source.objects.count()
    forms: list[dict[str, str]] = [{}, {"kind": "x"}, {"kind": "jira", "name": " "}, {"kind": "jira", "name": "J"}]
    for form in forms:
        answer = admin.post(reverse("source-new"), form)
        assert answer.status_code == 422
        assert "message error" in text_of(answer)
    assert Source.objects.count() == before
