"""A ticket system that others wrote: Roundup (MIT, from PyPI), set up from its own template and served on loopback.

Served through its WSGI entry in a process of its own, since its own server refuses to run as root.
"""

import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from triage.ports import free_ports

DETECTOR = Path(__file__).parent.parent / "docs" / "roundup" / "triage_detector.py"
MISSING = "Roundup is not installed; it comes with the test extra: pip install -c constraints.txt -e '.[test]'"
PASSWORD = "a password for tests"
_SERVE = """
import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from roundup.cgi.wsgi_handler import RequestDispatcher
class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass
app = RequestDispatcher(sys.argv[1])
make_server("127.0.0.1", int(sys.argv[2]), app, server_class=Server, handler_class=Quiet).serve_forever()
"""


def is_installed() -> bool:
    """Whether Roundup can be started here."""
    return importlib.util.find_spec("roundup") is not None


@dataclass
class Tracker:
    """A running tracker with the people `ada` (asks), `triage` (our user) and `admin`."""

    url: str

    def call(self, method: str, path: str, told: dict[str, Any] | None = None, *, user: str = "admin") -> Any:
        """What the REST API answers under `data`."""
        pair = b64encode(f"{user}:{PASSWORD}".encode()).decode()
        origin = self.url.rstrip("/")
        headers = {"authorization": f"Basic {pair}", "x-requested-with": "tests", "origin": origin}
        body = json.dumps(told).encode() if told is not None else None
        headers |= {"content-type": "application/json"} if told is not None else {}
        if method == "PATCH":
            headers["if-match"] = self.call("GET", path, user=user)["@etag"]
        asked = urllib.request.Request(  # noqa: S310 - the address is our own
            f"{self.url}rest/data/{path}", data=body, headers=headers, method=method
        )
        with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310 - the address is our own
            return json.load(answer)["data"]

    def file(self, title: str, text: str, *, user: str = "ada") -> str:
        """A new issue as its asker files it; its designator."""
        message = self.call("POST", "msg", {"content": text, "author": user, "date": "."}, user=user)
        issue = self.call("POST", "issue", {"title": title, "messages": [message["id"]]}, user=user)
        return f"issue{issue['id']}"

    def status(self, designator: str) -> str:
        """The name of the issue's status."""
        found = self.call("GET", f"{designator.replace('issue', 'issue/')}?@verbose=2")["attributes"]["status"]
        return str(found["name"])

    def messages(self, designator: str) -> list[str]:
        """What was written to the issue, its first text included."""
        listed = self.call("GET", designator.replace("issue", "issue/"))["attributes"]["messages"]
        return [self.call("GET", f"msg/{item['id']}/content")["data"] for item in listed]


@cache
def _template() -> "tempfile.TemporaryDirectory[str]":
    """A tracker with its people, made once; each test takes a copy."""
    folder = tempfile.TemporaryDirectory(prefix="tri-roundup-", ignore_cleanup_errors=True)
    home = Path(folder.name) / "tracker"
    admin = [sys.executable, "-c", "from roundup.scripts.roundup_admin import run; run()", "-i", str(home)]
    _run([*admin, "install", "classic", "sqlite"])
    # each request proves its password anew, which is slow on purpose
    usual = {"main_password_pbkdf2_default_rounds": "1000", "tracker_web": "http://127.0.0.1/"}
    _configure(home / "config.ini", {**usual, "mail_domain": "example.org", "mail_host": "localhost"})
    _run([*admin, "initialise", PASSWORD])
    for name in ("ada", "triage"):
        told = [f"username={name}", f"password={PASSWORD}", f"address={name}@example.org", "roles=User"]
        _run([*admin, "create", "user", *told])
    return folder


@contextmanager
def roundup(folder: Path, *, webhook: str = "", secret: str = "") -> Iterator[Tracker]:
    """A new tracker in `folder`; with `webhook`, our detector posts there."""
    home, port = folder / "tracker", free_ports(1)[0]
    shutil.copytree(Path(_template().name) / "tracker", home)
    # mail goes into a file
    settings = {"tracker_web": f"http://127.0.0.1:{port}/", "mail_debug": str(folder / "mail")}
    _configure(home / "config.ini", settings)
    if webhook:
        shutil.copy(DETECTOR, home / "detectors")
        with (home / "detectors" / "config.ini").open("a") as file:
            file.write(f"\n[triage]\nurl = {webhook}\nsecret = {secret}\n")
    server = subprocess.Popen([sys.executable, "-c", _SERVE, str(home), str(port)], stderr=subprocess.DEVNULL)
    try:
        tracker = Tracker(f"http://127.0.0.1:{port}/")
        _await(tracker, server)
        yield tracker
    finally:
        server.terminate()
        server.wait(10)


def _configure(file: Path, settings: dict[str, str]) -> None:
    """Write values into the tracker's own configuration, each into its section."""
    values = dict(settings)
    lines, section = [], ""
    for line in file.read_text(encoding="utf-8").splitlines():
        section = line.strip("[] ") if line.startswith("[") else section
        name = line.lstrip("#").partition("=")[0].strip()
        told = values.pop(f"{section}_{name}", None) if "=" in line and not line.startswith("# ") else None
        lines.append(line if told is None else f"{name} = {told}")
    assert not values, f"the template has no {sorted(values)}"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _run(argv: list[str]) -> None:
    ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def _await(tracker: Tracker, server: "subprocess.Popen[bytes]") -> None:
    for _ in range(200):
        assert server.poll() is None, "Roundup ended while starting"
        try:
            tracker.call("GET", "status")
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("Roundup did not answer within 20 s")
