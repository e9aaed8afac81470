"""A running product that a fault run strikes: `triage up` as a process, and the ticket system beside it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from triage import installation
from triage.ports import free_ports

if TYPE_CHECKING:
    from triage.demo.peer import Peer

SETTINGS = {
    "TRIAGE_CLAIM_SECONDS": "10",
    "TRIAGE_RECONCILE_SECONDS": "1",
    "TRIAGE_LANDING_SECONDS": "2",
    "TRIAGE_LOG_LEVEL": "WARNING",
}


@dataclass
class Product:
    """`triage up` as a process of its own, started again by this harness where it is the one that is killed."""

    home: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        with (self.home / "up.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "triage", "up", "--port", str(self.port)], stdout=log, stderr=log
            )

    def kill(self) -> None:
        assert self.process is not None
        children = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        self.process.wait()
        _, alive = psutil.wait_procs(children, timeout=10)
        assert alive == [], f"these outlived the supervisor: {alive}"

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(120)

    def part(self, name: str) -> psutil.Process:
        """A server that the supervisor keeps."""
        return psutil.Process(json.loads((self.home / "run" / f"{name}.pid").read_text())["pid"])

    def workers(self, queue: str) -> list[psutil.Process]:
        """The worker of a queue and its pool children."""
        assert self.process is not None
        return [
            process
            for process in psutil.Process(self.process.pid).children(recursive=True)
            if "celery" in (line := _command(process)) and f"{queue}@localhost" in line
        ]


@contextmanager
def at_home(home: Path) -> "Iterator[tuple[int, Peer, str]]":
    """An installation's settings in this process, and a ticket system: the product's port, the system, its address."""
    installation.use_home(home)
    os.environ.update(SETTINGS)
    port = free_ports(1)[0]
    os.environ["TRIAGE_BASE_URL"] = f"http://127.0.0.1:{port}"
    installation.start_django()
    from triage.demo.peer import Peer
    from triage.itsm.standard import new_secret

    peer = Peer(secret=new_secret())
    address = peer.start()
    try:
        yield port, peer, address
    finally:
        peer.stop()


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
