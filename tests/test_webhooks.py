"""The door: who is let in, what is answered, and that nothing acknowledged is lost."""

import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from tests import factories
from triage import intake
from triage.environment import environment
from triage.itsm import standard
from triage.models import Delivery, Notification, Source, Ticket
from triage.ports import free_ports
from triage.rate import Buckets
from triage.web import webhooks

pytestmark = pytest.mark.django_db
ONE = json.dumps({"external_id": "INC1", "subject": "Locked", "body": "out"}).encode()


@pytest.fixture(autouse=True)
def fresh_counters(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Counts and memories of the process end with the test."""
    _forget()
    yield
    monkeypatch.undo()
    _forget()


def _forget() -> None:
    for cached in (webhooks._buckets, webhooks._tell_once, environment):
        cached.cache_clear()


def rate(monkeypatch: pytest.MonkeyPatch, per_minute: int) -> None:
    """Let each source send this many deliveries a minute."""
    monkeypatch.setenv("TRIAGE_SOURCE_RATE", str(per_minute))
    _forget()


def signed(body: bytes, key: str = "msg_1", secret: str = factories.SECRET, **moved: float) -> dict[str, str]:
    at = datetime.now(UTC) + timedelta(**moved)
    return standard.signed_headers(secret, key=key, body=body.decode("utf-8", "replace").encode(), at=at)


def post(
    source: Source, body: bytes = ONE, *, content_type: str = "application/json", headers: dict[str, str] | None = None
) -> Any:
    given = signed(body) if headers is None else headers
    return Client().post(f"/webhooks/{source.slug}/", data=body, content_type=content_type, headers=given)


def test_a_signed_ticket_is_accepted_and_named_in_the_answer() -> None:
    answer = post(factories.source())
    assert answer.status_code == 202
    assert answer.json() == {
        "delivery": str(Delivery.objects.get().uuid),
        "duplicate": False,
        "tickets": [{"external_id": "INC1", "result": "created"}],
        "quarantined": [],
    }
    assert Ticket.objects.get().external_id == "INC1"


def test_a_redelivery_is_accepted_and_changes_nothing() -> None:
    source = factories.source()
    first, again = post(source).json(), post(source).json()
    assert (again["delivery"], again["duplicate"], again["tickets"]) == (first["delivery"], True, [])
    assert Ticket.objects.count() == 1


def test_a_bulk_is_one_delivery_with_bad_lines_named() -> None:
    body = ONE + b"\n{\n" + ONE.replace(b"INC1", b"INC2")
    answer = post(factories.source(), body, content_type="application/x-ndjson; charset=utf-8")
    assert answer.status_code == 202
    told = answer.json()
    assert [(one["line"], one["external_id"]) for one in told["tickets"]] == [(1, "INC1"), (3, "INC2")]
    assert [bad["line"] for bad in told["quarantined"]] == [2]
    assert Delivery.objects.count() == 1


def test_what_is_signed_rightly_but_odd_is_accepted_into_quarantine() -> None:
    answer = post(factories.source(), b'{"external_id": "1", "subject": "\\ud800"}')
    assert answer.status_code == 202
    assert "surrogate" in answer.json()["quarantined"][0]["reason"]
    assert Delivery.objects.get().status == "quarantined"


def test_any_of_the_sources_secrets_lets_in() -> None:
    old = standard.new_secret()
    source = factories.source(secrets=f"{factories.SECRET}\n{old}")
    assert post(source, headers=signed(ONE, secret=old)).status_code == 202


@pytest.mark.parametrize(
    "headers",
    [
        lambda: {"x": "nothing signed"},
        lambda: signed(ONE, secret=standard.new_secret()),
        lambda: signed(ONE + b" "),
        lambda: signed(ONE, minutes=-6),
        lambda: signed(ONE, minutes=6),
        lambda: {**signed(ONE), "webhook-signature": "v1,broken"},
        lambda: {**signed(ONE), "webhook-id": "msg_2"},
    ],
    ids=["unsigned", "other secret", "other bytes", "too old", "too new", "malformed", "other id"],
)
def test_what_is_not_signed_just_so_leaves_nothing_behind(headers: Callable[[], dict[str, str]]) -> None:
    answer = post(factories.source(), headers=headers())
    assert answer.status_code == 401
    assert answer.json()["error"]
    assert not Delivery.objects.exists()


def test_bytes_that_are_no_text_cannot_be_signed() -> None:
    assert post(factories.source(), b"\xff\xfe", headers=signed(b"\xff\xfe")).status_code == 401


def test_people_are_told_once_a_day_that_a_signature_was_wrong() -> None:
    source = factories.source()
    for _ in range(3):
        post(source, headers={"x": "y"})
    webhooks._tell_once.cache_clear()  # as in another process
    post(source, headers={"x": "y"})
    found = Notification.objects.get()
    assert (found.kind, found.customer) == ("signature", source.customer)


@pytest.mark.parametrize("change", [{"enabled": False}, {"slug": "other"}, {"kind": "unheard-of"}])
def test_an_unknown_or_disabled_source_is_not_there(change: dict[str, Any]) -> None:
    source = factories.source()
    Source.objects.filter(pk=source.pk).update(**change)
    answer = post(source)
    assert answer.status_code == 404
    assert "error" in answer.json()


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_only_posting_is_understood(method: str) -> None:
    answer = Client().generic(method, f"/webhooks/{factories.source().slug}/")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_an_address_without_the_last_slash_is_answered_and_not_redirected() -> None:
    source = factories.source()
    answer = Client().post(f"/webhooks/{source.slug}", ONE, content_type="application/json", headers=signed(ONE))
    assert answer.status_code == 202


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
    ],
)
def test_other_content_types_are_refused(content_type: str) -> None:
    assert post(factories.source(), content_type=content_type).status_code == 415


@pytest.mark.parametrize(
    ("content_type", "limit"), [("application/json", 1024 * 1024), ("application/x-ndjson", 8 * 1024 * 1024)]
)
def test_a_body_may_be_as_large_as_its_limit_and_no_larger(content_type: str, limit: int) -> None:
    source = factories.source()
    line = json.dumps({"external_id": "1", "body": "x" * 1000}).encode() + b"\n"
    body = (line * (limit // len(line))).ljust(limit)[:limit] if limit > 2**20 else b'{"external_id": "1", "body": "'
    body = body if limit > 2**20 else body.ljust(limit - 2, b"x") + b'"}'
    found = post(source, body, content_type=content_type)
    assert found.status_code == (202 if limit == 1024 * 1024 else 413), "8 MiB of short lines are too many lines"
    assert post(source, body + b" ", content_type=content_type).status_code == 413


def test_too_many_lines_are_refused_and_nothing_is_kept() -> None:
    answer = post(factories.source(), (ONE + b"\n") * 1001, content_type="application/x-ndjson")
    assert answer.status_code == 413
    assert "1001 lines" in answer.json()["error"]
    assert not Delivery.objects.exists()


def test_a_source_that_sends_too_much_is_asked_to_slow_down(monkeypatch: pytest.MonkeyPatch) -> None:
    rate(monkeypatch, 2)
    busy, quiet = factories.source(), factories.source()
    codes = [post(busy, headers=signed(ONE, key=f"msg_{number}")).status_code for number in range(3)]
    assert codes == [202, 202, 429]
    last = post(busy, headers=signed(ONE, key="msg_9"))
    assert 1 <= int(last.headers["Retry-After"]) <= 31
    assert post(quiet).status_code == 202
    assert Delivery.objects.count() == 3


def test_strangers_cannot_use_up_a_sources_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    rate(monkeypatch, 1)
    source = factories.source()
    assert {post(source, headers={"x": "y"}).status_code for _ in range(5)} == {401}
    assert post(source).status_code == 202


def test_a_bucket_fills_again_with_time() -> None:
    buckets = Buckets(per_minute=1200)
    assert sum(buckets.take(1) == 0.0 for _ in range(1300)) == pytest.approx(1200, abs=5)
    time.sleep(0.2)
    assert buckets.take(1) == 0.0


def test_a_database_that_does_not_answer_asks_the_sender_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM a_table_on_a_lost_disk")

    monkeypatch.setattr(intake, "accept", full)
    answer = post(factories.source())
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")


@contextmanager
def serving(home: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """gunicorn as in production: one process, eight threads, a database of its own on disk."""
    port = free_ports(1)[0]
    env = {**os.environ, "TRIAGE_HOME": str(home), "PYTHONPATH": str(settings.BASE_DIR)}
    prepare = "\n".join(
        (
            "import django; django.setup()",
            "from django.core.management import call_command",
            "call_command('migrate', verbosity=0)",
            "from triage.models import Customer, Source",
            "customer = Customer.objects.create(slug='default', name='Default')",
            f"Source.objects.create(slug='shop', name='Shop', customer=customer, secrets={factories.SECRET!r})",
        )
    )
    subprocess.run([sys.executable, "-c", prepare], env=env, check=True, timeout=60)
    child = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "triage.wsgi:application", "--bind", f"127.0.0.1:{port}",
         "--workers", "1", "--threads", "8", "--no-control-socket", "--log-level", "error"],
        env=env, cwd=settings.BASE_DIR, start_new_session=True,
    )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}/webhooks/shop/"
        answering(url)
        yield url, child
    finally:
        child.terminate()
        child.wait(20)


def answering(url: str) -> None:
    for _ in range(150):
        try:
            send(url, b"", {})
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("gunicorn did not answer within 15 s")


def send(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    parts = urlsplit(url)
    link = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    try:
        link.request("POST", parts.path, body, {"content-type": "application/json", **headers})
        answer = link.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        link.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("server")) as (url, _):
        yield url


def test_what_was_acknowledged_is_there_after_every_process_was_killed(tmp_path: Path) -> None:
    acknowledged: set[str] = set()

    def stream(url: str, sender: int) -> None:
        for number in range(1000):
            key = f"msg_{sender}_{number}"
            body = ONE.replace(b"INC1", key.encode())
            try:
                status, _ = send(url, body, signed(body, key=key))
            except (OSError, http.client.HTTPException):
                return
            assert status == 202
            acknowledged.add(key)

    with serving(tmp_path) as (url, child):
        senders = [threading.Thread(target=stream, args=(url, sender)) for sender in range(4)]
        for sender in senders:
            sender.start()
        while len(acknowledged) < 50:
            time.sleep(0.01)
        os.killpg(child.pid, signal.SIGKILL)
        for sender in senders:
            sender.join()
    with closing(sqlite3.connect(tmp_path / "triage.sqlite3")) as rows:
        tickets = {key for (key,) in rows.execute("SELECT external_id FROM triage_ticket")}
        deliveries = {key for (key,) in rows.execute("SELECT key FROM triage_delivery WHERE body IS NOT NULL")}
    assert acknowledged <= tickets
    assert tickets == deliveries, "a ticket and its delivery are stored together or not at all"


def test_a_body_far_too_large_gets_its_answer_and_not_a_broken_connection(server: str) -> None:
    status, answer = send(server, b"x" * 4_000_000, {})
    assert status == 413
    assert "send at most 1048576" in answer["error"]


def test_a_length_that_is_only_claimed_is_refused(server: str) -> None:
    parts = urlsplit(server)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as link:
        head = f"POST {parts.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        link.sendall(f"{head}Content-Length: 100\r\n\r\nshort".encode())
        link.shutdown(socket.SHUT_WR)
        assert b" 400 " in link.recv(4096).split(b"\r\n")[0]


def test_a_chunked_body_is_refused_in_words(server: str) -> None:
    parts = urlsplit(server)
    with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)) as link:
        link.request("POST", parts.path, iter([ONE]), {"content-type": "application/json"}, encode_chunked=True)
        answer = link.getresponse()
        assert answer.status == 400
        assert b"Content-Length" in answer.read()
