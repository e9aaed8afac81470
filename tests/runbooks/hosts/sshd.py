"""A real OpenSSH server on loopback, with a host key and a user key of its own."""

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Sshd:
    """A running server."""

    port: int
    host_key: str
    private_key: str
    user: str

    def host(self, **changes: Any) -> dict[str, Any]:
        """The server as a host in a target's settings."""
        reached = {"address": "127.0.0.1", "port": self.port, "user": self.user, "host_key": self.host_key}
        return {**reached, "environment": "test", **changes}


def binary() -> str | None:
    """Where sshd is, or None; it must be called by its whole path."""
    return shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")


def _key(path: Path) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return " ".join(path.with_suffix(".pub").read_text(encoding="ascii").split()[:2])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Sshd]:
    """Start a server that lets its one key in as this user; end it and all its sessions afterwards."""
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    host_key = _key(folder / "host")
    (folder / "authorized").write_text(_key(folder / "user") + "\n", encoding="ascii")
    port = _free_port()
    settings = {
        "ListenAddress": f"127.0.0.1:{port}",
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "authorized",
        "PidFile": "none",
        "StrictModes": "no",
        "PermitRootLogin": "prohibit-password",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "UsePAM": "no",
        "MaxStartups": "100",
    }
    (folder / "config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()), encoding="ascii")
    command = [str(binary()), "-D", "-e", "-f", str(folder / "config")]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stderr=log, start_new_session=True) as server:
        try:
            _wait(port, server)
            key = (folder / "user").read_text(encoding="ascii")
            yield Sshd(port, host_key, key, getpass.getuser())
        finally:
            server.kill()


def _wait(port: int, server: "subprocess.Popen[bytes]") -> None:
    give_up = time.monotonic() + 10
    while time.monotonic() < give_up and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            if connection.recv(4) == b"SSH-":
                return
        time.sleep(0.02)
    raise RuntimeError("sshd did not start")
