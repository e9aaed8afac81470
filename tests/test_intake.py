"""A verified message becomes rows once, whatever comes twice, late or out of order."""

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from classifier.text import Document, text_hash
from tests import factories
from triage import intake
from triage.intake import Accepted
from triage.itsm import PayloadTooLarge
from triage.models import AuditEvent, Delivery, DeliveryKey, Draw, Source, Ticket

pytestmark = pytest.mark.django_db
AT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
T = Ticket.Status


def payload(external_id: str = "INC1", **values: Any) -> dict[str, Any]:
    given = {
        "external_id": external_id,
        "subject": "Account locked",
        "body": "I cannot sign in.",
        "requester": "ada@example.org",
        "channel": "portal",
        "status": "new",
        "updated_at": "2026-11-20T09:00:00Z",
    }
    return {**given, **values}


def accept(source: Source, *payloads: dict[str, Any] | str, key: str = "", at: datetime = AT) -> Accepted:
    """One delivery; several payloads are lines of a bulk."""
    lines = [line if isinstance(line, str) else json.dumps(line) for line in payloads]
    body = "\n".join(lines).encode()
    return intake.accept(
        source=source,
        key=key or f"msg_{DeliveryKey.objects.count()}",
        body=body,
        headers={"webhook-id": "x", "authorization": "Basic c2VjcmV0", "cookie": "a=b", "user-agent": "curl"},
        content_type="application/json" if len(lines) == 1 else "application/x-ndjson",
        at=at,
    )


def results(accepted: Accepted) -> list[str]:
    return [told.result.value for told in accepted.tickets]


def test_a_new_ticket_is_stored_with_its_delivery_draw_and_history() -> None:
    source = factories.source(customer=factories.customer(holdout_share=1.0))
    accepted = accept(source, payload(fields={"host": "web01"}, attachments=[{"name": "a.png"}]), key="msg_1")
    assert (accepted.duplicate, accepted.created, accepted.quarantined, accepted.waiting) == (False, 1, 0, True)
    ticket = Ticket.objects.get()
    assert (ticket.external_id, ticket.customer, ticket.status) == ("INC1", source.customer, T.RECEIVED)
    assert ticket.text_hash == text_hash(Document("Account locked", "I cannot sign in."))
    assert ticket.attachments == [{"name": "a.png", "type": ""}]
    assert (ticket.draw.purpose, ticket.draw.probability) == (Draw.Purpose.HOLDOUT, 1.0)
    assert AuditEvent.objects.get(subject="ticket").after == T.RECEIVED
    delivery = Delivery.objects.get(uuid=accepted.delivery)
    assert (delivery.status, delivery.key, delivery.size) == ("applied", "msg_1", len(bytes(delivery.body or b"")))
    assert delivery.headers == {"webhook-id": "x", "user-agent": "curl"}, "credentials are never kept"


def test_a_redelivery_changes_nothing() -> None:
    source = factories.source()
    first = accept(source, payload(), key="msg_1")
    ticket = Ticket.objects.values().get()
    again = accept(source, payload(), key="msg_1", at=AT + timedelta(hours=1))
    assert (again.duplicate, again.delivery, again.created, again.updated) == (True, first.delivery, 0, 0)
    assert Ticket.objects.values().get() == ticket
    assert Delivery.objects.count() == DeliveryKey.objects.count() == 1


def test_the_same_key_with_other_bytes_is_kept_aside_once_and_changes_nothing() -> None:
    source = factories.source()
    accept(source, payload(), key="msg_1")
    found = [accept(source, payload(subject="Printer"), key="msg_1") for _ in range(2)]
    assert [(one.duplicate, one.quarantined) for one in found] == [(False, 1), (True, 1)]
    assert "other bytes" in found[0].problems[0].reason
    assert found[0].delivery == found[1].delivery
    assert Ticket.objects.get().subject == "Account locked"
    assert Delivery.objects.filter(status="quarantined").count() == 1


def test_one_key_at_two_sources_is_two_messages() -> None:
    for _ in range(2):
        assert accept(factories.source(), payload(), key="msg_1").created == 1


@pytest.mark.parametrize(
    "body", ['{"external_id": "1", "external_id": "2"}', "[", '{"external_id": "1"}', '{"a": NaN}']
)
def test_what_cannot_be_read_is_kept_in_quarantine_with_its_reason(body: str) -> None:
    accepted = accept(factories.source(), body)
    assert (accepted.created, accepted.quarantined) == (0, 1)
    delivery = Delivery.objects.get()
    assert (delivery.status, bytes(delivery.body or b"")) == ("quarantined", body.encode())
    assert delivery.reason == accepted.problems[0].reason


def test_bad_lines_of_a_bulk_are_put_aside_by_number_and_the_rest_is_stored() -> None:
    accepted = accept(factories.source(), payload("1"), "{", payload("2"), payload("3", actor="robot"))
    assert results(accepted) == ["created", "created"]
    assert [bad.line for bad in accepted.problems] == [2, 4]
    delivery = Delivery.objects.get()
    assert delivery.status == "quarantined"
    assert "line 2: not JSON" in delivery.reason
    assert "line 4: actor 'robot'" in delivery.reason


def test_a_bulk_that_is_too_long_leaves_nothing_behind() -> None:
    with pytest.raises(PayloadTooLarge):
        accept(factories.source(), *[payload(str(number)) for number in range(1001)])
    assert not Delivery.objects.exists()
    assert not DeliveryKey.objects.exists()


def test_a_thousand_lines_are_one_delivery() -> None:
    source = factories.source()
    lines = [payload(f"INC{number}", subject=f"Problem {number}") for number in range(1000)]
    assert accept(source, *lines).created == 1000
    assert (Ticket.objects.count(), Draw.objects.count(), Delivery.objects.count()) == (1000, 1000, 1)
    again = accept(source, *[{**line, "priority": "1"} for line in lines])
    assert (again.created, again.updated) == (0, 1000)


def test_one_ticket_told_twice_in_a_bulk_is_one_ticket_as_told_last() -> None:
    accepted = accept(
        factories.source(), payload(priority="1"), payload(priority="2", updated_at="2026-11-20T09:01:00Z")
    )
    assert results(accepted) == ["created", "updated"]
    assert Ticket.objects.get().priority == "2"


@pytest.mark.parametrize(
    ("second", "wins"),
    [
        ({"updated_at": "2026-11-20T08:59:59Z"}, False),
        ({"updated_at": "2026-11-20T09:00:00Z"}, True),
        ({"updated_at": "2026-11-20T09:00:01Z", "sequence": 6}, False),
        ({"updated_at": "2026-11-20T08:00:00Z", "sequence": 8}, True),
        ({"updated_at": "2026-11-20T08:00:00Z", "sequence": 7}, False),
        ({"updated_at": "2026-11-20T08:00:00Z"}, False),
    ],
)
def test_an_older_message_never_overwrites(second: dict[str, Any], wins: bool) -> None:
    source = factories.source()
    first: dict[str, Any] = {"sequence": 7} if "sequence" in second else {}
    accept(source, payload(priority="first", **first))
    accepted = accept(source, payload(priority="second", **second))
    assert results(accepted) == (["updated"] if wins else ["older"])
    assert Ticket.objects.get().priority == ("second" if wins else "first")


def test_a_partial_message_leaves_alone_what_it_does_not_tell() -> None:
    source = factories.source()
    accept(source, payload(fields={"host": "web01", "account": "ada"}))
    accept(source, {"external_id": "INC1", "status": "open", "fields": {"account": "bob"}})
    ticket = Ticket.objects.get()
    assert (ticket.body, ticket.itsm_status) == ("I cannot sign in.", "open")
    assert ticket.fields == {"host": "web01", "account": "bob"}


def test_a_repeated_state_under_a_new_key_changes_only_when_it_was_told() -> None:
    source = factories.source()
    accept(source, payload())
    accepted = accept(source, payload(updated_at="2026-11-20T09:05:00Z"))
    assert results(accepted) == ["unchanged"]
    assert Ticket.objects.get().updated_at == datetime(2026, 11, 20, 9, 5, tzinfo=UTC)


def test_a_ticket_that_is_finished_when_it_first_comes_is_withdrawn() -> None:
    accepted = accept(factories.source(), payload(status="Closed"))
    assert not accepted.waiting
    assert Ticket.objects.get().status == T.WITHDRAWN


def test_a_comment_on_an_unknown_ticket_is_put_aside() -> None:
    accepted = accept(factories.source(), payload(kind="comment"))
    assert "not known" in accepted.problems[0].reason
    assert not Ticket.objects.exists()


def test_a_ticket_without_an_owner_waits_until_a_mapping_names_one() -> None:
    source = factories.source(customer=None)
    accept(source, payload("1", fields={"company": "ACME"}))
    accept(source, payload("2", fields={"company": "Initech"}))
    waiting = Ticket.objects.get(external_id="1")
    assert (waiting.customer, waiting.status) == (None, T.RECEIVED)
    assert not Draw.objects.exists()
    assert intake.map_waiting(source=source, at=AT) == 0
    acme = factories.customer(verify_share=1.0)
    factories.mapping(source=source, customer=acme)
    assert intake.map_waiting(source=source, at=AT + timedelta(days=3)) == 1
    waiting.refresh_from_db()
    assert waiting.customer == acme
    assert (waiting.draw.purpose, waiting.draw.drawn_at) == ("verify", AT)
    assert Ticket.objects.get(external_id="2").customer is None
    assert accept(source, payload("3", fields={"company": "ACME"})).created == 1
    assert Ticket.objects.get(external_id="3").customer == acme


def test_a_ticket_that_two_customers_could_own_has_no_owner() -> None:
    source = factories.source(customer=None)
    factories.mapping(source=source, customer=factories.customer(), value="ACME")
    factories.mapping(source=source, customer=factories.customer(), part="project", value="Moon")
    accept(source, payload(fields={"company": "ACME", "project": "Moon"}))
    assert Ticket.objects.get().customer is None


def test_a_ticket_never_moves_to_another_customer() -> None:
    source = factories.source(customer=None)
    first = factories.customer()
    factories.mapping(source=source, customer=first, value="ACME")
    factories.mapping(source=source, customer=factories.customer(), value="Initech")
    accept(source, payload(fields={"company": "ACME"}))
    Ticket.objects.update(status=T.QUEUED)
    accepted = accept(source, payload(subject="Secret of Initech", fields={"company": "Initech"}))
    assert "another customer" in accepted.problems[0].reason
    ticket = Ticket.objects.get()
    assert (ticket.customer, ticket.subject, ticket.status) == (first, "Account locked", T.NEEDS_REVIEW)
    assert "another customer" in ticket.reason


class TestStormKeys:
    """Equal text on different targets is never one storm; numbers and times in it do not matter."""

    def key(self, subject: str = "Disk full at 91 % on 10:15", actor: str = "machine", **values: Any) -> str:
        given = {"body": "", "requester": "monitor@example.org", "fields": {}}
        source = values.pop("source", Source(slug="s", uuid="12345678-1234-1234-1234-123456789012"))
        return intake.storm_key(source=source, subject=subject, actor=actor, **{**given, **values})

    def test_alerts_of_one_cause_share_a_key(self) -> None:
        assert self.key() == self.key("Disk full at 97 % on 11:20")
        assert self.key("Event 4711823 on web01.example.org") == self.key("Event 4711999 on web01.example.org")
        assert self.key(fields={"event_id": "1"}) == self.key(fields={"event_id": "2"})

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({"fields": {"host": "web01"}}, {"fields": {"host": "web02"}}),
            ({"fields": {"Account": "ada"}}, {"fields": {"account": "bob"}}),
            ({"subject": "Disk full on web01"}, {"subject": "Disk full on web02"}),
            ({"subject": "Ping lost: 10.0.0.1!"}, {"subject": "Ping lost: 10.0.0.2!"}),
            ({"subject": "Down (https://a.example.org/x)"}, {"subject": "Down (https://b.example.org/x)"}),
            ({"subject": "Mailbox of ada@example.org full"}, {"subject": "Mailbox of bob@example.org full"}),
            ({"actor": "person", "requester": "ada@x.org"}, {"actor": "person", "requester": "bob@x.org"}),
            ({"source": Source(slug="a")}, {"source": Source(slug="b")}),
            ({"subject": "Disk full"}, {"subject": "Disk broken"}),
        ],
    )
    def test_different_targets_never_do(self, one: dict[str, Any], other: dict[str, Any]) -> None:
        assert self.key(**one) != self.key(**other)

    def test_a_source_names_more_fields_that_are_targets(self) -> None:
        own = Source(slug="a", settings={"target_fields": ["Pump"]})
        assert self.key(source=own, fields={"pump": "1"}) != self.key(source=own, fields={"pump": "2"})


@pytest.mark.django_db(transaction=True)
def test_equal_messages_at_the_same_moment_are_one() -> None:
    source = factories.source()
    start = threading.Barrier(8)
    found: list[Accepted] = []

    def send(number: int) -> None:
        start.wait()
        # every second one is the same state under a key of its own
        found.append(accept(source, payload(), key="msg_same" if number % 2 else f"msg_{number}"))
        connections.close_all()

    threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert sum(one.created for one in found) == Ticket.objects.count() == Draw.objects.count() == 1
    assert sum(one.duplicate for one in found) == 3
    assert Delivery.objects.count() == 5


def test_an_administrator_who_maps_an_owner_frees_its_tickets() -> None:
    source = factories.source(customer=None)
    accept(source, payload(fields={"company": "ACME"}))
    acme = factories.customer()
    client = Client()
    client.force_login(factories.person(is_staff=True, is_superuser=True))
    page = f"/admin/triage/source/{source.pk}/change/"
    form = {
        "slug": source.slug, "kind": "standard", "name": "ITSM", "customer": "", "settings": "{}", "assurance": "{}",
        "enabled": "on", "new_secret": "",
        "mappings-TOTAL_FORMS": "1", "mappings-INITIAL_FORMS": "0", "mappings-MIN_NUM_FORMS": "0",
        "mappings-MAX_NUM_FORMS": "1000", "mappings-0-source": str(source.pk), "mappings-0-part": "company",
        "mappings-0-value": "ACME", "mappings-0-customer": str(acme.pk),
        "panel-TOTAL_FORMS": "0", "panel-INITIAL_FORMS": "0", "panel-MIN_NUM_FORMS": "0", "panel-MAX_NUM_FORMS": "1",
    }  # fmt: skip
    answer = client.post(page, form, follow=True)
    assert "1 waiting tickets have found their customer" in answer.content.decode()
    assert Ticket.objects.get().customer == acme
