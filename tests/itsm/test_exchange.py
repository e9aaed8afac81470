"""Reading a ticket and telling the ITSM, against a real HTTP server on loopback."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from standardwebhooks import Webhook

from classifier.text import Document, text_hash
from tests import factories
from triage.itsm import ReadFailed, ReplyFailed, outgoing, standard
from triage.models import Source


@dataclass
class Peer:
    """What the other side answers and what it was asked."""

    url: str = ""
    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    drip_seconds: float = 0.0
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    peer: ClassVar[Peer]

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.peer.asked.append((self.command, self.path, headers, body))
        self.send_response(self.peer.status)
        for name, value in self.peer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        for byte in self.peer.body if self.peer.drip_seconds else ():
            try:
                self.wfile.write(bytes([byte]))
            except OSError:
                return
            time.sleep(self.peer.drip_seconds)
        if not self.peer.drip_seconds:
            self.wfile.write(self.peer.body)

    do_GET = do_POST = _answer  # noqa: N815 - the names that http.server calls

    def log_message(self, *_: object) -> None:
        """Tests keep quiet."""


@pytest.fixture
def peer() -> Iterator[Peer]:
    found = Peer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("H", (Handler,), {"peer": found}))
    server.daemon_threads = True
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def source(**settings: object) -> Source:
    return Source(slug="s", secrets=factories.SECRET, settings=settings)


def reply(source: Source, key: str = "run-1") -> str:
    return standard.reply(source, external_id="INC1", key=key, what="note", content={"text": "für Sie"})


def test_a_reply_is_a_signed_webhook_that_names_the_ticket(peer: Peer) -> None:
    assert reply(source(reply_url=f"{peer.url}/replies")) == "Sent to the ITSM."
    ((method, path, headers, body),) = peer.asked
    assert (method, path, headers["webhook-id"]) == ("POST", "/replies", "run-1")
    Webhook(factories.SECRET).verify(body, headers)
    assert json.loads(body) == {"external_id": "INC1", "what": "note", "content": {"text": "für Sie"}}


def test_a_reply_told_twice_carries_the_same_id_even_where_its_key_cannot_be_one(peer: Peer) -> None:
    told = source(reply_url=peer.url)
    for _ in range(2):
        reply(told, key="note 1.5")
    first, second = (headers["webhook-id"] for _, _, headers, _ in peer.asked)
    assert first == second != "note 1.5"
    assert "." not in first


def test_a_source_without_a_reply_address_is_told_nothing() -> None:
    assert "no reply_url" in reply(source())


@pytest.mark.parametrize(
    ("status", "permanent"),
    [
        (301, True),
        (307, True),
        (400, True),
        (401, True),
        (404, True),
        (410, True),
        (408, False),
        (429, False),
        (500, False),
        (503, False),
    ],
)
def test_a_refusal_says_whether_to_try_again(peer: Peer, status: int, permanent: bool) -> None:
    peer.status = status
    peer.headers = {"Location": f"{peer.url}/elsewhere"}
    with pytest.raises(ReplyFailed, match=str(status)) as caught:
        reply(source(reply_url=peer.url))
    assert caught.value.permanent is permanent
    assert len(peer.asked) == 1, "redirects are not followed and nothing is retried here"


def test_a_server_that_is_gone_may_come_back() -> None:
    with pytest.raises(ReplyFailed) as caught:
        reply(source(reply_url="http://127.0.0.1:1/"))
    assert caught.value.permanent is False


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/", "//127.0.0.1/", "http://[::1", "http://"])
def test_what_is_no_web_address_is_never_asked(url: str) -> None:
    with pytest.raises(ReplyFailed) as caught:
        reply(source(reply_url=url))
    assert caught.value.permanent is True


def test_a_ticket_is_read_as_it_stands_now(peer: Peer) -> None:
    told = {"external_id": "INC/1 a", "subject": "Locked", "body": "<p>out</p>", "status": "Closed"}
    peer.body = json.dumps(told).encode()
    seen = standard.read(source(read_url=f"{peer.url}/tickets/{{external_id}}?full=1"), "INC/1 a")
    assert seen is not None
    assert seen.closed
    assert seen.text_hash == text_hash(Document("Locked", "out"))
    (_, path, headers, _) = peer.asked[0]
    assert path == "/tickets/INC%2F1%20a?full=1"
    Webhook(factories.SECRET).verify("", headers, json_parse=False)


def test_a_ticket_in_another_group_counts_as_closed_to_us(peer: Peer) -> None:
    told = {"external_id": "1", "subject": "a", "status": "open", "fields": {"assignment_group": "Network"}}
    peer.body = json.dumps(told).encode()
    read_url = f"{peer.url}/{{external_id}}"
    for ours, closed in ((["Network"], False), (["Service Desk"], True), (None, False)):
        seen = standard.read(source(read_url=read_url, our_groups=ours), "1")
        assert seen is not None
        assert seen.closed is closed


def test_a_source_that_cannot_be_read_says_so() -> None:
    assert standard.read(source(), "1") is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>", "not JSON"),
        (b'{"external_id": "2", "subject": "a"}', "got '2'"),
        (b'{"external_id": "1", "subject": NaN}', "NaN"),
        (b"x" * (outgoing.ANSWER_BYTES + 1), "more than"),
    ],
)
def test_an_answer_that_is_not_this_ticket_is_a_failed_reading(peer: Peer, body: bytes, said: str) -> None:
    peer.body = body
    with pytest.raises(ReadFailed, match=said):
        standard.read(source(read_url=f"{peer.url}/{{external_id}}"), "1")


@pytest.mark.parametrize(
    "template", ["http://127.0.0.1/tickets", "http://{external_id}/", "http://{external_id}/{external_id}"]
)
def test_the_host_never_comes_from_a_ticket(template: str) -> None:
    with pytest.raises(ReadFailed):
        standard.read(source(read_url=template), "evil.example.org")


def test_an_answer_that_drips_ends_at_the_deadline(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "WHOLE_SECONDS", 0.3)
    peer.body, peer.drip_seconds = b" " * 100_000, 0.02
    before = time.monotonic()
    with pytest.raises(ReadFailed):
        standard.read(source(read_url=f"{peer.url}/{{external_id}}"), "1")
    assert time.monotonic() - before < 5


@pytest.mark.parametrize("told", ["Mon, 01 Jan 2024 00:00:00 +99999999999999999999", "soon", "", "-5", "9" * 400])
def test_a_hostile_retry_after_is_a_bounded_number(told: str) -> None:
    assert 0.0 <= outgoing._wait(told) <= outgoing.LONGEST_WAIT
