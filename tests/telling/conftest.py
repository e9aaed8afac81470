"""A real mail server and a real receiver of events, both on loopback, shared by a file's tests."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests import mailbox
from triage.environment import environment


@dataclass
class Receiver:
    """Takes webhooks and answers `status`."""

    port: int = 0
    status: int = 204
    taken: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"


class Handler(BaseHTTPRequestHandler):
    """Notes headers and body."""

    receiver: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.receiver.taken.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(self.receiver.status)
        self.send_header("Location", self.receiver.url)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Tests keep quiet."""


@pytest.fixture(scope="module")
def mail_server() -> Iterator[mailbox.Mailbox]:
    with mailbox.running() as found:
        yield found


@pytest.fixture
def post(mail_server: mailbox.Mailbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[mailbox.Mailbox]:
    """The installation's mail goes to this server, at most three an hour and person."""
    mail_server.clear()
    monkeypatch.setenv("TRIAGE_MAIL_URL", mail_server.url)
    monkeypatch.setenv("TRIAGE_MAIL_FROM", "Triage <triage@example.org>")
    monkeypatch.setenv("TRIAGE_MAIL_HOURLY", "3")
    environment.cache_clear()
    yield mail_server
    environment.cache_clear()


@pytest.fixture(scope="module")
def hooks() -> Iterator[Receiver]:
    found = Receiver()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("H", (Handler,), {"receiver": found}))
    server.daemon_threads = True
    found.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def receiver(hooks: Receiver) -> Receiver:
    """The receiver, with nothing in it, that takes what comes."""
    hooks.taken.clear()
    hooks.status = 204
    return hooks
