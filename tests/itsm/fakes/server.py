"""What every fake ITSM shares: an HTTP server on loopback that can be told to refuse, to fail or to lose an answer."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, TypeVar
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Asked:
    """One request as it came. `path` is still percent-encoded; header names are lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body's value."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Told:
    """One answer: JSON of `value`, or `text` as it is."""

    status: int = 200
    value: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str | None = None


@dataclass(frozen=True)
class Note:
    """Something that was written to a ticket besides its description."""

    text: str
    public: bool


class Desk:
    """A fake ITSM. A vendor's fake fills in `answer` and what the contract asks of it."""

    secret: ClassVar[str] = ""
    credentials: ClassVar[Mapping[str, str]] = {}
    own_user: ClassVar[str] = "triage@example.org"
    page_size: ClassVar[int] = 100

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[Asked] = []
        self.trouble: list[Told] = []
        self.lose_answers = 0

    # what a vendor's fake must have

    def answer(self, asked: Asked) -> Told:
        """The answer to one request, authentication included."""
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """The settings of a source that is connected to this desk."""
        raise NotImplementedError

    def add(self, *, subject: str, body: str, changed: datetime, due: datetime | None = None) -> str:
        """A new open ticket by ada@example.org, of the owner `owner()`; its external id."""
        raise NotImplementedError

    def owner(self) -> dict[str, str]:
        """What `IncomingTicket.owner` names for the tickets that `add` makes."""
        raise NotImplementedError

    def edit(self, external_id: str, *, changed: datetime, body: str | None = None, by: str = "bob") -> None:
        """Somebody changes the ticket's description, or nothing but the moment of its last change."""
        raise NotImplementedError

    def take(self, external_id: str) -> None:
        """A person assigns the ticket to themselves and sets its category."""
        raise NotImplementedError

    def taken(self, external_id: str) -> Any:
        """Whatever `take` sets, as it stands now."""
        raise NotImplementedError

    def solve(self, external_id: str) -> None:
        """A person solves the ticket, in words of their own."""
        raise NotImplementedError

    def solution(self, external_id: str) -> Any:
        """Whatever `solve` sets, as it stands now."""
        raise NotImplementedError

    def notes(self, external_id: str) -> list[Note]:
        """What was written to the ticket since it was made, oldest first."""
        raise NotImplementedError

    # what may be placed: the second set must differ from the first in every plain value

    places: ClassVar[Mapping[str, str | list[str]]] = {}
    places_later: ClassVar[Mapping[str, str | list[str]]] = {}

    def resolved(self, wanted: Mapping[str, str | list[str]]) -> dict[str, str | list[str]]:
        """What is wanted, with the vendor's ids in the place of names."""
        return dict(wanted)

    def placed(self, external_id: str) -> dict[str, str | list[str]]:
        """What stands in the fields that `places` names; of a list only what it names."""
        raise NotImplementedError

    def person_places(self, external_id: str) -> None:
        """A person sets every plain field that `places` names to something else."""
        raise NotImplementedError

    # articles

    article: ClassVar[str] = ""
    tells_who_attached: ClassVar[bool] = True

    def article_settings(self) -> dict[str, Any]:
        """What a source needs for its attached articles to be read."""
        return {}

    def attach(self, external_id: str, article: str, *, by: str) -> None:
        """Somebody attaches the article to the ticket, in the vendor's own way."""
        raise NotImplementedError

    def webhook(self, external_id: str, *, secret: str | None = None) -> tuple[dict[str, str], bytes]:
        """Headers (lower case) and body of the message of the ticket as it stands, signed just now."""
        raise NotImplementedError

    # what the contract uses to make trouble

    def refuse(self, status: int, *, times: int = 1, **headers: str) -> None:
        """Answer the next requests so, without doing anything."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        self.trouble += [Told(status, {"error": "told to fail"}, names)] * times

    def babble(self) -> None:
        """Answer the next request with a page of HTML and status 200."""
        self.trouble.append(Told(200, text="<html><body>Please wait</body></html>"))

    def writes(self) -> list[Asked]:
        """The requests that may have changed something."""
        return [asked for asked in self.asked if asked.method not in {"GET", "HEAD"}]


D = TypeVar("D", bound=Desk)


class Handler(BaseHTTPRequestHandler):
    """Hands each request to the desk."""

    desk: ClassVar[Desk]

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        asked = Asked(
            self.command,
            parts.path,
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(int(self.headers.get("content-length") or 0)),
        )
        self.desk.asked.append(asked)
        told = self.desk.trouble.pop(0) if self.desk.trouble else self.desk.answer(asked)
        if self.desk.lose_answers and asked.method not in {"GET", "HEAD"}:
            self.desk.lose_answers -= 1
            self.close_connection = True
            return
        raw = (json.dumps(told.value) if told.text is None else told.text).encode()
        self.send_response(told.status)
        for name, value in {"content-type": "application/json", **told.headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - the names that http.server calls

    def log_message(self, *_: object) -> None:
        """Tests keep quiet."""


@contextmanager
def serving(desk: D) -> Iterator[D]:
    """The desk behind a port of its own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("H", (Handler,), {"desk": desk}))
    server.daemon_threads = True
    desk.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield desk
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
