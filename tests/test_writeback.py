"""The ITSM is told once, however often it fails, never against the ticket's state, and never before a blind verdict."""

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.db import connection

from tests import factories
from triage import writeback
from triage.models import Draw, Notification, Ticket, Writeback

pytestmark = pytest.mark.django_db(transaction=True)
AT = factories.NOW
S = Writeback.Status


class Itsm:
    """A real HTTP server that answers with `status` and keeps what it was told."""

    def __init__(self) -> None:
        self.status = 200
        self.told: list[tuple[str, dict[str, Any]]] = []
        itsm = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                itsm.told.append((self.headers["webhook-id"], json.loads(body)))
                self.send_response(itsm.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Tests keep quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/replies"


@pytest.fixture
def itsm() -> Iterator[Itsm]:
    found = Itsm()
    thread = threading.Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


def row(itsm: Itsm, what: str = "resolve", **values: Any) -> Writeback:
    source = factories.source(settings={"reply_url": itsm.url})
    ticket = factories.ticket(source=source, status=Ticket.Status.RESOLVED)
    given = {"key": f"run-{ticket.uuid}", "what": what, "content": {"text": "Done."}, "next_at": AT, "created_at": AT}
    return Writeback.objects.create(ticket=ticket, **{"customer": source.customer, **given, **values})


def test_the_itsm_is_told_once(itsm: Itsm) -> None:
    due = row(itsm)
    assert writeback.deliver(at=AT) == writeback.Told(done=1, failed=0)
    assert writeback.deliver(at=AT + timedelta(hours=1)) == writeback.Told(done=0, failed=0)
    due.refresh_from_db()
    assert (due.status, due.done_at, due.attempts) == (S.DONE, AT, 1)
    [(key, told)] = itsm.told
    assert key == due.key
    assert (told["external_id"], told["what"]) == (due.ticket.external_id, "resolve")


def test_many_workers_at_once_tell_each_thing_once(itsm: Itsm) -> None:
    due = [row(itsm) for _ in range(6)]

    def work() -> None:
        writeback.deliver(at=AT)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(key for key, _ in itsm.told) == sorted(one.key for one in due)


def test_a_worker_lost_after_the_claim_is_followed_by_one_that_uses_the_same_key(itsm: Itsm) -> None:
    due = row(itsm, claim_until=AT + writeback.CLAIM, attempts=1)
    writeback.deliver(at=AT + timedelta(seconds=59))
    assert itsm.told == []
    writeback.deliver(at=AT + timedelta(seconds=61))
    assert [key for key, _ in itsm.told] == [due.key]


def test_an_itsm_that_is_away_for_a_weekend_hears_afterwards(itsm: Itsm) -> None:
    due, at = row(itsm), AT
    itsm.status = 503
    while at < AT + timedelta(hours=60):
        writeback.deliver(at=at)
        due.refresh_from_db()
        assert due.status == S.WAITING
        assert timedelta(seconds=10) <= due.next_at - at <= timedelta(hours=1)
        at = due.next_at
    assert len(itsm.told) < writeback.TRIES
    itsm.status = 200
    writeback.deliver(at=at)
    due.refresh_from_db()
    assert due.status == S.DONE


def test_what_is_given_up_is_told_to_people(itsm: Itsm) -> None:
    itsm.status = 400
    refused, lost = row(itsm), row(itsm, attempts=writeback.TRIES)
    assert writeback.deliver(at=AT).failed == 2
    assert len(itsm.told) == 1, "what was tried often enough is not sent again"
    for due in (refused, lost):
        due.refresh_from_db()
        assert due.status == S.GIVEN_UP
        told = Notification.objects.get(key=f"writeback-{due.pk}")
        assert due.ticket.external_id in told.text


def test_a_ticket_that_was_reopened_meanwhile_is_not_closed(itsm: Itsm) -> None:
    due, note = row(itsm), row(itsm, "note")
    Ticket.objects.update(status=Ticket.Status.NEEDS_REVIEW)
    writeback.deliver(at=AT)
    due.refresh_from_db()
    assert (due.status, due.reason) == (S.GIVEN_UP, "The ticket is no longer resolved here.")
    assert [key for key, _ in itsm.told] == [note.key]


@pytest.mark.parametrize("purpose", [Draw.Purpose.HOLDOUT, Draw.Purpose.VERIFY])
def test_a_drawn_ticket_waits_for_a_verdict_on_its_cluster_and_that_is_no_try(itsm: Itsm, purpose: str) -> None:
    due = row(itsm)
    factories.draw(due.ticket, purpose, cluster="c" * 64)
    writeback.deliver(at=AT)
    due.refresh_from_db()
    assert (due.status, due.attempts, due.claim_until, itsm.told) == (S.WAITING, 0, None, [])
    assert due.next_at == AT + writeback.LOOK_AGAIN
    equal = factories.ticket(customer=due.customer)
    factories.draw(equal, purpose, cluster="c" * 64)
    factories.review(equal, factories.person())
    writeback.deliver(at=due.next_at)
    due.refresh_from_db()
    assert due.status == S.DONE


def test_a_verdict_that_never_comes_or_was_undone_keeps_nobody_waiting_for_ever(itsm: Itsm) -> None:
    due = row(itsm)
    factories.draw(due.ticket, Draw.Purpose.VERIFY)
    factories.review(due.ticket, factories.person(), undone_at=AT)
    writeback.deliver(at=AT + timedelta(hours=71))
    assert itsm.told == []
    writeback.deliver(at=AT + timedelta(hours=73))
    assert [key for key, _ in itsm.told] == [due.key]


def test_an_undrawn_ticket_does_not_wait(itsm: Itsm) -> None:
    factories.draw(row(itsm).ticket, Draw.Purpose.NONE)
    assert writeback.deliver(at=AT).done == 1


def test_a_pass_ends_in_time_and_says_that_more_is_due(itsm: Itsm, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        row(itsm)
    monkeypatch.setattr(writeback, "PASS_SECONDS", -1.0)
    assert writeback.deliver(at=AT) == writeback.Told(done=0, failed=0, more=True)
    monkeypatch.undo()
    assert writeback.deliver(at=AT, limit=2) == writeback.Told(done=2, failed=0, more=True)
    assert writeback.deliver(at=AT) == writeback.Told(done=1, failed=0)


@pytest.mark.parametrize("values", [{"mode": "observe"}, {"write_back": False}])
def test_a_customer_in_observe_mode_or_without_write_back_is_told_nothing(itsm: Itsm, values: dict[str, Any]) -> None:
    waiting, other = row(itsm), row(itsm)
    type(waiting.customer).objects.filter(pk=waiting.customer_id).update(**values)
    assert writeback.deliver(at=AT) == writeback.Told(done=1, failed=0)
    waiting.refresh_from_db()
    other.refresh_from_db()
    assert (waiting.status, other.status) == (S.GIVEN_UP, S.DONE)
    assert "observe mode" in waiting.reason or "is off for this customer" in waiting.reason
    assert len(itsm.told) == 1
    assert not Notification.objects.exists()
