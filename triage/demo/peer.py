"""The other side of the demo: a small ticket system that sends signed webhooks, can be read, and takes replies.

It stands in for no test: the product talks to it over real HTTP, as to any system that speaks Standard Webhooks.
"""

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import urllib3
from standardwebhooks import Webhook, WebhookVerificationError

TRIES = 60


@dataclass
class Peer:
    """The ticket system's memory: what it sent, what was answered, what it was told."""

    secret: str
    tickets: dict[str, dict[str, Any]] = field(default_factory=dict)
    replies: dict[str, dict[str, Any]] = field(default_factory=dict)
    sent: int = 0
    refused: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> str:
        """Listen on a free loopback port; the address."""
        handler = type("Handler", (_Handler,), {"peer": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True, name="peer").start()
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def stop(self) -> None:
        """Stop listening."""
        self.server.shutdown()
        self.server.server_close()

    def stream(self, payloads: Sequence[dict[str, Any]], *, to: str, per_second: float, stop: threading.Event) -> None:
        """Send each payload as a signed webhook at a steady pace; what is refused for good is kept in `refused`."""
        pool = urllib3.PoolManager(timeout=urllib3.Timeout(connect=3, read=15), retries=False)
        began = time.monotonic()
        for number, payload in enumerate(payloads):
            wait = began + number / per_second - time.monotonic()
            if stop.wait(max(0.0, wait)):
                return
            self.tickets[payload["external_id"]] = payload
            self._send(pool, payload, to=to, stop=stop)

    def _send(self, pool: urllib3.PoolManager, payload: dict[str, Any], *, to: str, stop: threading.Event) -> None:
        """As senders do: again after no answer or 5xx, with the same id, so that a doubled delivery changes nothing."""
        body = json.dumps(payload, ensure_ascii=False)
        key = f"msg_{payload['external_id']}"
        problem = ""
        for attempt in range(TRIES):
            at = datetime.now(UTC)
            headers = {
                "content-type": "application/json",
                "webhook-id": key,
                "webhook-timestamp": str(int(at.timestamp())),
                "webhook-signature": Webhook(self.secret).sign(key, at, body),
            }
            try:
                answer = pool.request("POST", to, body=body.encode(), headers=headers)
            except urllib3.exceptions.HTTPError as error:
                problem = f"{key}: {error}"
            else:
                if answer.status == 202:
                    self.sent += 1
                    return
                problem = f"{key}: {answer.status} {answer.data[:200].decode('utf-8', 'replace')}"
                if answer.status < 500 and answer.status != 429:
                    break
            if stop.wait(min(2.0, 0.1 * 2**attempt)):
                return
        self.refused.append(problem)


class _Handler(BaseHTTPRequestHandler):
    """GET /tickets/<external id>; POST /replies, signed."""

    peer: ClassVar[Peer]
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        ticket = self.peer.tickets.get(self.path.removeprefix("/tickets/"))
        self._answer(200 if ticket else 404, ticket or {"error": "no such ticket"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        try:
            Webhook(self.peer.secret).verify(body, {name.lower(): value for name, value in self.headers.items()})
        except (WebhookVerificationError, ValueError) as error:
            self._answer(401, {"error": str(error)})
            return
        with self.peer.lock:
            self.peer.replies.setdefault(self.headers["webhook-id"], json.loads(body))
        self._answer(202, {})

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: the demo prints its own progress."""
