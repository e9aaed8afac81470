"""A server on loopback in whose place a test puts faults: the part that AWX's and Rundeck's stand-ins share."""

import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

TOKEN = "tok-Secret-42-abcdef"


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]


class Refused(Exception):
    """The server answers with this status and body."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


@dataclass
class Fault:
    """What goes wrong with requests whose "METHOD path" matches, `times` times.

    how: drop (done, and no answer), refuse (answered with `status`, not done), cut (half of the answer), garbage
    (no JSON), huge, drip (a byte now and then), slow (`seconds` before the answer), redirect, late (`status` although it was done).
    """

    where: str
    how: str
    times: int = 1
    status: int = 0
    seconds: float = 0.0


@dataclass
class Job:
    """One job as the server has it: when it began, how long it takes, how it ends, what it writes meanwhile."""

    number: int
    phase_of: str
    seconds: float
    ends_as: str
    lines: list[str]
    given: dict[str, Any]
    cancel_seconds: float = 0.0
    began: float = field(default_factory=time.time)
    cancelled: float | None = None

    def ended(self) -> bool:
        """Whether it has come to its end, or was ended."""
        now = time.time()
        return now >= self.began + self.seconds or (self.cancelled is not None and now >= self.cancelled)

    def was_cancelled(self) -> bool:
        return self.cancelled is not None and self.cancelled < self.began + self.seconds


class JobServer:
    """Answers as `routes` say. requests: all that came. faults: what goes wrong next."""

    routes: tuple[tuple[str, str, str], ...] = ()
    header = ""
    expected = ""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.jobs: list[Job] = []
        self.before_answer: Callable[[Request], None] = lambda request: None
        self.lock = threading.RLock()

    def launched(self, phase_of: str) -> list[Job]:
        """The jobs of one template or definition."""
        return [job for job in self.jobs if job.phase_of == phase_of]

    def asked(self, where: str) -> list[Request]:
        """The requests whose "METHOD path" matches."""
        return [each for each in self.requests if re.search(where, f"{each.method} {each.path}")]

    def fault(self, request: Request) -> Fault | None:
        for each in self.faults:
            if each.times > 0 and re.search(each.where, f"{request.method} {request.path}"):
                each.times -= 1
                return each
        return None

    def answer(self, request: Request) -> tuple[int, Any]:
        for method, pattern, name in self.routes:
            match = re.fullmatch(pattern, request.path)
            if match and method == request.method:
                answer: tuple[int, Any]
                try:
                    with self.lock:
                        answer = getattr(self, name)(request, *match.groups())
                except Refused as error:
                    return error.status, error.body
                return answer
        return 404, {"detail": "Not found."}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    system: JobServer

    def log_message(self, *_: object) -> None:
        """Tests keep quiet."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = json.loads(raw) if raw else None
        request = Request(self.command, parts.path, dict(parse_qsl(parts.query)), body, headers)
        self.system.requests.append(request)
        if headers.get(self.system.header) != self.system.expected:
            return self._send(401, {"detail": f"no such token: {headers.get(self.system.header)}"})
        fault = self.system.fault(request)
        how = fault.how if fault else ""
        if fault and how == "redirect":
            return self._send(302, {}, location=f"{self.system.url}/elsewhere")
        if fault and how == "refuse":
            return self._send(fault.status, {"detail": f"refused {TOKEN}"})
        status, answer = self.system.answer(request)
        self.system.before_answer(request)
        if fault and how == "slow":
            time.sleep(fault.seconds)
        if how == "drop":
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return None
        if fault and how == "late":
            return self._send(fault.status, {"detail": "gateway"})
        return self._send(status, answer, how=how)

    def _send(self, status: int, answer: Any, *, location: str = "", how: str = "") -> None:
        data = b"<html>" if how == "garbage" else json.dumps(answer).encode()
        data += b" " * (5 << 20) if how == "huge" else b""
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        if location:
            self.send_header("location", location)
        self.end_headers()
        try:
            for byte in data if how == "drip" else b"":
                self.wfile.write(bytes([byte]))
                time.sleep(0.05)
            self.wfile.write(b"" if how == "drip" else data[: len(data) // 2] if how == "cut" else data)
        except OSError:
            self.close_connection = True
        if how == "cut":
            self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that go away, or are killed, are what the tests are about."""


@contextmanager
def serving(system: JobServer, *, certificate: Path | None = None) -> Iterator[None]:
    """Serve on a free port of loopback, in threads; with a file of certificate and key by TLS."""
    handler = type("Handler", (_Handler,), {"system": system})
    server = _Server(("127.0.0.1", 0), handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    system.url = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
