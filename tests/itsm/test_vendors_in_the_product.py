"""A ticket of each vendor through the door, the pull and the write-back of the product."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from tests import factories
from tests.itsm.contract import BODY, START, SUBJECT
from tests.itsm.fakes.freshservice import Freshservice
from tests.itsm.fakes.server import Desk, serving
from tests.itsm.fakes.servicenow import ServiceNow
from tests.itsm.fakes.zendesk import Zendesk
from triage import pulling, writeback
from triage.models import Customer, Source, Ticket, Writeback

pytestmark = pytest.mark.django_db(transaction=True)
PARTS = {"servicenow": "company", "zendesk": "organisation", "freshservice": "organisation"}


@pytest.fixture(params=[ServiceNow, Zendesk, Freshservice], ids=list(PARTS))
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    with serving(request.param()) as found:
        yield found


@pytest.fixture
def customer() -> Customer:
    return factories.customer(name="ACME Ltd")


@pytest.fixture
def source(desk: Desk, customer: Customer) -> Source:
    kind = type(desk).__name__.lower()
    source = factories.source(
        kind=kind,
        slug=kind,
        customer=None,
        secrets=desk.secret,
        credentials=json.dumps(dict(desk.credentials)),
        settings={**desk.settings(), "own_user": desk.own_user},
        pull_every=60,
    )
    factories.mapping(source=source, customer=customer, part=PARTS[kind], value=desk.owner()[PARTS[kind]])
    return source


def send(desk: Desk, external_id: str) -> list[dict[str, str]]:
    """What the door answered of the ticket's message."""
    headers, body = desk.webhook(external_id)
    told = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    path = f"/webhooks/{type(desk).__name__.lower()}/"
    answer = Client().post(path, body, content_type="application/json", **told)  # type: ignore[arg-type]  # headers
    assert answer.status_code == 202, answer.content
    return list(answer.json()["tickets"])


def pull(source: Source) -> pulling.Pulled:
    done = pulling.pull(source.pk, at=datetime.now(UTC), since=START - timedelta(hours=1), by_hand=True)
    assert done is not None
    assert not done.failure
    assert done.complete
    return done


def test_a_ticket_comes_in_is_pulled_as_the_same_and_is_told_what_became_of_it(
    desk: Desk, source: Source, customer: Customer
) -> None:
    external_id = desk.add(subject=SUBJECT, body=BODY, changed=START, due=START + timedelta(hours=4))
    lost = desk.add(subject="Printer", body="It is out of paper.", changed=START + timedelta(seconds=1))
    assert send(desk, external_id) == [{"external_id": external_id, "result": "created"}]
    before = Ticket.objects.get()
    assert (before.customer, before.subject, before.body) == (customer, SUBJECT, BODY)
    assert pull(source).created == 1  # what a message lost is found

    ticket = Ticket.objects.get(external_id=external_id)
    assert (ticket.text_hash, ticket.itsm_status) == (before.text_hash, before.itsm_status)
    assert (ticket.requester, ticket.due_at) == ("ada@example.org", START + timedelta(hours=4))
    assert Ticket.objects.get(external_id=lost).customer == customer
    assert (pull(source).created, pull(source).updated) == (0, 0)

    Writeback.objects.create(
        customer=customer,
        ticket=ticket,
        key="run-1",
        what="note",
        content={"text": "Looked at it."},
        next_at=START,
        created_at=START,
    )
    assert writeback.deliver(at=datetime.now(UTC)).done == 1
    assert [note.public for note in desk.notes(external_id)] == [False]
    send(desk, external_id)
    pull(source)
    assert Ticket.objects.get(pk=ticket.pk).text_hash == before.text_hash


def test_a_new_text_is_classified_again_and_a_solved_ticket_is_withdrawn(desk: Desk, source: Source) -> None:
    external_id = desk.add(subject=SUBJECT, body=BODY, changed=START)
    send(desk, external_id)
    known = Ticket.objects.get().text_hash
    desk.edit(external_id, changed=START + timedelta(minutes=1), body="It was the keyboard after all.")
    assert pull(source).updated == 1
    assert Ticket.objects.get().text_hash != known
    desk.solve(external_id)
    desk.edit(external_id, changed=START + timedelta(minutes=2))
    assert pull(source).updated == 1
    assert Ticket.objects.get().status == Ticket.Status.WITHDRAWN
