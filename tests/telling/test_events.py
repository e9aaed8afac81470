"""Events reach their endpoints signed, again after a failure, and nowhere that an administrator did not mean."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests import factories
from tests.telling.conftest import Receiver
from triage import telling
from triage.itsm import addresses
from triage.models import Customer, EventEndpoint, Notification, Posting
from triage.telling import outbox

pytestmark = pytest.mark.django_db
OLD = "whsec_" + "b2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xk"


def endpoint(receiver: Receiver, **values: Any) -> EventEndpoint:
    given = {"name": "chat", "url": receiver.url, "secrets": factories.SECRET, "internal": True}
    return EventEndpoint.objects.create(**{**given, **values})


def ended(customer: Customer, key: str = "k", **values: Any) -> Notification | None:
    about = factories.ticket(customer=customer, subject="SECRET SUBJECT")
    given: dict[str, Any] = {
        "kind": "run_succeeded", "customer": customer, "key": key, "text": f"Unlock for {about.external_id}: succeeded.",
        "link": "/runs/1/", "runbook": "unlock_account", "ticket": about, "data": {"run": "r1", "status": "succeeded"},
        "at": timezone.now(),
    }  # fmt: skip
    return telling.tell(**{**given, **values})


def test_a_finished_run_is_a_signed_event_and_no_notice_on_the_desk(receiver: Receiver) -> None:
    customer = factories.customer(slug="nordwind")
    assert ended(customer) is None, "where nobody listens nothing is written"
    endpoint(receiver, secrets=f"{factories.SECRET}\n{OLD}")
    row = ended(customer)
    assert row is not None
    assert row.desk is False
    assert telling.deliver(at=timezone.now()).events == 1
    ((headers, body),) = receiver.taken
    for secret in (factories.SECRET, OLD):  # both, while one is being rotated
        told = Webhook(secret).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "eHh4" * 8).verify(body, headers)
    assert headers["host"] == f"127.0.0.1:{receiver.port}"
    assert (told["type"], told["data"]["customer"], told["data"]["runbook"]) == (
        "run.finished", "nordwind", "unlock_account",
    )  # fmt: skip
    assert told["data"]["link"] == "http://127.0.0.1:8000/runs/1/"
    assert b"SECRET" not in body


def test_each_endpoint_hears_of_its_customer_and_its_kinds_only(receiver: Receiver) -> None:
    mine, other = factories.customer(), factories.customer()
    wanted = endpoint(receiver, customer=mine, kinds=["run.finished"])
    endpoint(receiver, customer=other)
    endpoint(receiver, customer=mine, kinds=["run.unknown"])
    endpoint(receiver, customer=mine, enabled=False)
    for_all = endpoint(receiver)
    ended(mine)
    assert set(Posting.objects.values_list("endpoint", flat=True)) == {wanted.pk, for_all.pk}


def test_an_event_about_a_sealed_ticket_tells_no_runbook(receiver: Receiver) -> None:
    customer = factories.customer()
    endpoint(receiver)
    about = factories.ticket(customer=customer)
    factories.draw(about, "verify", 0.05)
    ended(customer, ticket=about, text="Unlock for X")
    telling.deliver(at=timezone.now())
    ((_, body),) = receiver.taken
    assert json.loads(body)["data"]["sealed"] == "yes"
    assert b"nlock" not in body


def test_a_failing_endpoint_is_tried_for_days_with_the_same_id_and_then_switched_off_in_sight(
    receiver: Receiver,
) -> None:
    customer = factories.customer()
    dead = endpoint(receiver, customer=customer)
    receiver.status = 500
    at, tries = timezone.now(), 0
    ended(customer, key="0", at=at)
    while Posting.objects.filter(status="waiting").exists():
        at, tries = Posting.objects.get(status="waiting").next_at, tries + 1
        telling.deliver(at=at)
    assert tries == len(outbox.STEPS) + 1
    assert len({headers["webhook-id"] for headers, _ in receiver.taken}) == 1
    assert at - timezone.now() > timedelta(days=3)
    dead.refresh_from_db()
    assert dead.enabled, "one message that nobody takes is no dead endpoint"
    ended(customer, key="1", at=at)
    telling.deliver(at=at + timedelta(days=2))
    dead.refresh_from_db()
    assert not dead.enabled
    assert "500" in dead.disabled_because
    assert Notification.objects.get(kind="endpoint_disabled").customer == customer
    assert not Posting.objects.filter(status="waiting").exists()


def test_an_endpoint_that_comes_back_is_forgiven_and_one_that_is_gone_is_switched_off(receiver: Receiver) -> None:
    customer = factories.customer()
    row = endpoint(receiver)
    receiver.status = 503
    ended(customer, key="0")
    ended(customer, key="1")
    at = timezone.now()
    assert telling.deliver(at=at).failed == 1, "a second message does not wait on a dead endpoint in the same pass"
    receiver.status = 200
    telling.deliver(at=at + timedelta(minutes=1))
    row.refresh_from_db()
    assert row.failing_since is None
    assert Posting.objects.filter(status="done").count() == 2
    receiver.status = 410
    ended(customer, key="2")
    telling.deliver(at=timezone.now())
    row.refresh_from_db()
    assert not row.enabled


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    endpoint(receiver)
    receiver.status = 307
    ended(factories.customer())
    telling.deliver(at=timezone.now())
    assert len(receiver.taken) == 1
    assert "redirects" in Posting.objects.get().reason


def test_our_own_network_is_called_only_where_an_administrator_said_so(receiver: Receiver) -> None:
    endpoint(receiver, internal=False)
    ended(factories.customer())
    assert telling.deliver(at=timezone.now()).failed == 1
    assert not receiver.taken
    assert "internal" in Posting.objects.get().reason


def test_the_connection_goes_to_the_address_that_was_looked_at(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that means another host at the second look gains nothing: there is no second look."""
    monkeypatch.setattr(addresses, "allowed", lambda url, *, internal: ["127.0.0.1"])
    endpoint(receiver, url=f"http://hooks.invalid:{receiver.port}/hook")
    ended(factories.customer())
    assert telling.deliver(at=timezone.now()).events == 1
    assert receiver.taken[0][0]["host"] == f"hooks.invalid:{receiver.port}"


@pytest.mark.parametrize(
    "number",
    [
        "169.254.169.254", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "0.0.0.0",  # noqa: S104 - refused here
        "::", "224.0.0.1", "ff02::1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::",
    ],
)  # fmt: skip
def test_link_local_and_metadata_addresses_are_refused_always(number: str) -> None:
    assert addresses.trouble(number, internal=True)
    assert addresses.trouble(number, internal=False)


@pytest.mark.parametrize(
    "number", ["127.0.0.1", "::1", "10.1.2.3", "192.168.0.1", "fc00::1", "::ffff:10.0.0.1", "100.64.0.1"]
)
def test_private_addresses_are_refused_unless_meant(number: str) -> None:
    assert "internal" in addresses.trouble(number, internal=False)
    assert not addresses.trouble(number, internal=True)


@pytest.mark.parametrize("number", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34"])
def test_public_addresses_may_be_called(number: str) -> None:
    assert not addresses.trouble(number, internal=False)


@pytest.mark.parametrize(
    "url",
    ["ftp://example.org/", "http://", "http://a b/", "https://user:pw@example.org/", "http://[::1", "http://x:0/"],
)
def test_what_is_no_web_address_of_one_host_is_refused(url: str) -> None:
    with pytest.raises(addresses.AddressRefused):
        addresses.check(url)


def test_what_was_told_a_month_ago_is_forgotten_but_for_what_the_desk_shows(receiver: Receiver) -> None:
    customer = factories.customer()
    endpoint(receiver)
    ended(customer, key="0")
    ended(customer, key="1", kind="run_failed")
    telling.deliver(at=timezone.now())
    telling.deliver(at=timezone.now() + timedelta(days=31))
    assert not Posting.objects.exists()
    assert [row.key for row in Notification.objects.all()] == ["1"]
