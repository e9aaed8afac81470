"""An ITSM that lists its tickets as `pull_url` of the standard source expects, behind a bearer token, page by page."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

CLIENT, CLIENT_SECRET = "triage", "s3cret of the client"


@dataclass
class Itsm:
    """What it holds, how it is set up, and what it was asked."""

    url: str = ""
    page: int = 100
    expires_in: int = 3600
    refuse: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    tickets: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokens: list[str] = field(default_factory=list)
    valid: set[str] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def pull_url(self) -> str:
        return f"{self.url}/tickets?since={{since}}&cursor={{cursor}}"

    def credentials(self) -> str:
        """Of the client that may fetch tokens here."""
        told = {"kind": "oauth2_client", "token_url": f"{self.url}/token", "client_id": CLIENT}
        return json.dumps(told | {"client_secret": CLIENT_SECRET, "scope": "tickets"})

    def put(self, external_id: str, *, at: datetime, **values: Any) -> dict[str, Any]:
        """A ticket as it stands from now on."""
        given = {"subject": f"Account locked {external_id}", "body": "My account is locked.", "channel": "portal"}
        with self.lock:
            known = self.tickets.get(external_id, {"created_at": at.isoformat(), **given})
            told = {**known, **values, "external_id": external_id, "updated_at": at.isoformat()}
            self.tickets[external_id] = told
        return told

    def listed(self, since: datetime, cursor: str) -> dict[str, Any]:
        """One page, oldest change first."""
        with self.lock:
            rows = [row for row in self.tickets.values() if datetime.fromisoformat(row["updated_at"]) >= since]
        rows.sort(key=lambda row: (datetime.fromisoformat(row["updated_at"]), row["external_id"]))
        start = int(cursor or 0)
        more = start + self.page < len(rows)
        return {"tickets": rows[start : start + self.page], "next": str(start + self.page) if more else ""}


class _Handler(BaseHTTPRequestHandler):
    itsm: Itsm

    def do_POST(self) -> None:
        told = parse_qs(self.rfile.read(int(self.headers.get("content-length") or 0)).decode())
        self.itsm.asked.append(("POST", self.path))
        wanted = {"grant_type": ["client_credentials"], "client_id": [CLIENT], "client_secret": [CLIENT_SECRET]}
        if self.path != "/token" or any(told.get(name) != value for name, value in wanted.items()):
            self._answer(401, {"error": "invalid_client"})
            return
        token = f"token-{len(self.itsm.tokens) + 1}"
        self.itsm.tokens.append(token)
        self.itsm.valid.add(token)
        self._answer(200, {"access_token": token, "token_type": "Bearer", "expires_in": self.itsm.expires_in})

    def do_GET(self) -> None:
        self.itsm.asked.append(("GET", self.path))
        if self.itsm.refuse:
            status, headers = self.itsm.refuse.pop(0)
            self._answer(status, {"error": "not now"}, headers)
        elif self.headers.get("authorization", "").removeprefix("Bearer ") not in self.itsm.valid:
            self._answer(401, {"error": "invalid_token"})
        else:
            query = parse_qs(urlsplit(self.path).query)
            since = datetime.fromisoformat(query["since"][0]).astimezone(UTC)
            self._answer(200, self.itsm.listed(since, query.get("cursor", [""])[0]))

    def _answer(self, status: int, value: object, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, told in {"content-length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, told)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests keep quiet."""


@contextmanager
def running() -> Iterator[Itsm]:
    """An empty one, until the block ends."""
    itsm = Itsm()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"itsm": itsm}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    itsm.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield itsm
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
