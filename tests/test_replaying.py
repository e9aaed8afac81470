"""After a restore to an older state the lake's raw deliveries bring back what the database lacks, once."""

import json
from datetime import timedelta

import pytest

from tests import factories
from tests.factories import NOW
from triage import intake, landing, replaying
from triage.itsm.base import IncomingTicket, Page
from triage.lake import here
from triage.models import AuditEvent, Delivery, DeliveryKey, Draw, Source, Ticket

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("lake")]
LATER = NOW + timedelta(minutes=10)


def deliver(source: Source, *told: dict[str, object], number: int = 0) -> None:
    lines = b"\n".join(json.dumps({"body": "Please help.", **one}).encode() for one in told)
    bulk = len(told) > 1
    content_type = "application/x-ndjson" if bulk else "application/json"
    headers = {"content-type": content_type}
    at = NOW + timedelta(minutes=number)
    intake.accept(source=source, key=f"msg_{number}", body=lines, headers=headers, content_type=content_type, at=at)


def ticket(external_id: str, subject: str, *, minute: int) -> dict[str, object]:
    return {"external_id": external_id, "subject": subject, "updated_at": (NOW + timedelta(minutes=minute)).isoformat()}


def pulled(source: Source, external_id: str, *, minute: int) -> None:
    moment = NOW + timedelta(minutes=minute)
    found = IncomingTicket(
        external_id=external_id,
        subject="Pulled",
        created_at=moment,
        updated_at=moment,
        stated=frozenset({"subject", "updated_at"}),
    )
    intake.accept_page(source=source, page=Page(tickets=(found,), raw=b'{"tickets": []}'), at=moment)


def restore_to_before() -> None:
    """The database of an hour ago: none of today's tickets."""
    for table in (Draw, AuditEvent, Ticket, Delivery, DeliveryKey):
        table.objects.all().delete()


def state() -> list[tuple[object, ...]]:
    names = ("external_id", "subject", "received_at", "updated_at", "text_hash", "status")
    return sorted(Ticket.objects.values_list(*names))


def test_what_only_the_lake_knows_comes_back_as_it_was_and_a_second_replay_changes_nothing() -> None:
    source = factories.source(customer=factories.customer(holdout_share=0.5))
    deliver(source, ticket("A", "First", minute=0), ticket("B", "Second", minute=0))
    deliver(source, ticket("A", "Changed", minute=1), number=1)
    pulled(source, "C", minute=2)
    landing.land(at=LATER)
    before, drawn = state(), sorted(Draw.objects.values_list("ticket__external_id", "purpose", "cluster"))
    restore_to_before()

    done = replaying.replay(source=source, store=here.store(), since=NOW - timedelta(hours=1))
    assert (done.deliveries, done.known, done.applied, done.created, done.updated) == (3, 0, 3, 3, 1)
    assert state() == before
    assert sorted(Draw.objects.values_list("ticket__external_id", "purpose", "cluster")) == drawn
    assert not Delivery.objects.filter(landed_at__isnull=True).exists(), "its bytes are in the lake already"

    again = replaying.replay(source=source, store=here.store(), since=NOW - timedelta(hours=1))
    assert (again.deliveries, again.known, again.applied) == (3, 3, 0)
    assert state() == before


def test_a_newer_state_that_came_after_the_restore_is_not_overwritten() -> None:
    source = factories.source()
    deliver(source, ticket("A", "First", minute=0))
    landing.land(at=LATER)
    restore_to_before()
    deliver(source, ticket("A", "Newest", minute=5), number=5)
    done = replaying.replay(source=source, store=here.store(), since=NOW - timedelta(hours=1))
    assert (done.applied, done.created, done.updated) == (1, 0, 0)
    assert Ticket.objects.get().subject == "Newest"


def test_only_what_came_since_then_is_applied() -> None:
    source = factories.source()
    deliver(source, ticket("A", "First", minute=0))
    deliver(source, ticket("B", "Second", minute=3), number=3)
    landing.land(at=LATER)
    restore_to_before()
    replaying.replay(source=source, store=here.store(), since=NOW + timedelta(minutes=2))
    assert list(Ticket.objects.values_list("external_id", flat=True)) == ["B"]


def test_the_packs_of_another_source_stay_where_they_are() -> None:
    source, other = factories.source(), factories.source()
    deliver(other, ticket("A", "Theirs", minute=0))
    landing.land(at=LATER)
    restore_to_before()
    done = replaying.replay(source=source, store=here.store(), since=NOW - timedelta(hours=1))
    assert (done.objects, Ticket.objects.count()) == (0, 0)
