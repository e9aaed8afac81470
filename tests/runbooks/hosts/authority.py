"""A certificate authority of a temporary folder, made with openssl, and a TLS server that presents what it issued."""

import contextlib
import hashlib
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SERVER = """
import signal, socket, ssl, sys
certificate, key, port = sys.argv[1:4]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
load = lambda *_: context.load_cert_chain(certificate, key)
load()
signal.signal(signal.SIGHUP, load)
with socket.create_server(("127.0.0.1", int(port))) as listening:
    while True:
        plain, _ = listening.accept()
        try:
            context.wrap_socket(plain, server_side=True).close()
        except OSError:
            plain.close()
"""

ISSUE = """
set -e
cd "{folder}"
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.new -subj "/CN=$1" -out request
printf 'subjectAltName=DNS:%s,IP:127.0.0.1\\n' "$1" > names
openssl x509 -req -in request -CA ca.pem -CAkey ca.key -CAcreateserial -days "$2" -extfile names -out cert.new
mv key.new key.pem
mv cert.new cert.pem
"""


@dataclass
class Authority:
    """Its folder holds ca.pem, and key.pem and cert.pem of the service that `port` belongs to."""

    folder: Path
    port: int
    pid: int = 0

    def issue(self, name: str = "web.corp.example", days: int = 90) -> None:
        """A new key and certificate for the service."""
        subprocess.run(self.command(name, days), check=True, capture_output=True)

    def command(self, name: str = "web.corp.example", days: int = 90) -> list[str]:
        """What a host does to get one."""
        return ["/bin/sh", str(self.folder / "issue.sh"), name, str(days)]

    def settings(self, **changes: Any) -> dict[str, Any]:
        """The certificate in a target's settings."""
        given: dict[str, Any] = {
            "certificate": str(self.folder / "cert.pem"),
            "key": str(self.folder / "key.pem"),
            "renew": self.command(),
            "reload": ["/bin/sh", "-c", f"kill -HUP {self.pid}"],
            "address": f"127.0.0.1:{self.port}",
            "server_name": "web.corp.example",
            "reload_seconds": 3,
        }
        return {"certificates": {"web": given | changes}}

    def served(self) -> str:
        """The sha256 of the certificate that the server presents now."""
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname="web.corp.example") as wrapped,
        ):
            return hashlib.sha256(wrapped.getpeercert(binary_form=True) or b"").hexdigest()

    def files(self) -> dict[str, tuple[bytes, int]]:
        """Content and rights of certificate and key."""
        both = (self.folder / "cert.pem", self.folder / "key.pem")
        return {path.name: (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) for path in both}

    def copies(self) -> list[Path]:
        """What runs have kept."""
        return sorted(self.folder.glob("*.triage-*"))


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Authority]:
    """An authority, and a server with a certificate that ends in five days."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    made = Authority(folder, port)
    root = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    root += ["-days", "9", "-subj", "/CN=Test authority"]
    keys = ["-keyout", str(folder / "ca.key"), "-out", str(folder / "ca.pem")]
    subprocess.run([*root, *keys], check=True, capture_output=True)
    (folder / "issue.sh").write_text(ISSUE.format(folder=folder), encoding="utf-8")
    made.issue(days=5)
    (folder / "key.pem").chmod(0o600)
    arguments = [str(folder / "cert.pem"), str(folder / "key.pem"), str(port)]
    with subprocess.Popen([sys.executable, "-c", SERVER, *arguments]) as server:
        made.pid = server.pid
        try:
            _wait(made)
            yield made
        finally:
            os.kill(server.pid, signal.SIGKILL)


def _wait(made: Authority) -> None:
    give_up = time.monotonic() + 10
    while time.monotonic() < give_up:
        with contextlib.suppress(OSError):
            made.served()
            return
        time.sleep(0.05)
    raise RuntimeError("the TLS server did not start")
