"""The broker and the lake of one home folder: started once, awaited, started again where they died, ended."""

import errno
import fcntl
import json
import logging
import os
import secrets
import shutil
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from triage import processes
from triage.embedded import servers
from triage.embedded.servers import EmbeddedError, Endpoints, Part
from triage.ports import free_ports

log = logging.getLogger(__name__)
READY_SECONDS = 30.0
LOW_DISK, NO_DISK = 5 * 2**30, 1 * 2**30


class Embedded:
    """The broker and the lake of one home folder. `start()`, then `restart_dead()` now and then, then `stop()`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.parts: list[Part] = []
        self._lock: int | None = None
        self._sockets: Path | None = None

    def start(self) -> Endpoints:
        """Start both parts and wait until they answer; raises EmbeddedError."""
        self._prepare_home()
        self._take_lock()
        try:
            for name in ("broker", "lake"):
                processes.end_left_over(self._pid_file(name))
            endpoints = self._plan()
            for part in self.parts:
                self._launch(part)
            for part in self.parts:
                self._await(part)
            self._publish(endpoints)
        except BaseException:
            self.stop()
            raise
        return endpoints

    def stop(self) -> None:
        """End both parts, wait for them, and release the folder."""
        for part in reversed(self.parts):
            if part.process:
                processes.stop(part.process)
                self._pid_file(part.name).unlink(missing_ok=True)
        self.parts = []
        (self.home / "endpoints.json").unlink(missing_ok=True)
        if self._sockets:
            shutil.rmtree(self._sockets, ignore_errors=True)
            (self.home / "run" / "sockets").unlink(missing_ok=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def restart_dead(self) -> list[str]:
        """Start again, where it listened before, what has died; the names of what was started."""
        dead = [part for part in self.parts if part.process and part.process.poll() is not None]
        for part in dead:
            self._launch(part)
        return [part.name for part in dead]

    @staticmethod
    def running(home: Path) -> Endpoints | None:
        """Where a live instance of this folder listens, or None."""
        try:
            with (home / "lock").open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        except OSError:
            return None
        else:
            return None
        try:
            return Endpoints(**json.loads((home / "endpoints.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def _prepare_home(self) -> None:
        try:
            self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
            (self.home / "run").mkdir(exist_ok=True)
        except OSError as error:
            raise EmbeddedError(f"{self.home} cannot be written: {error.strerror}. Set TRIAGE_HOME.") from None
        free = shutil.disk_usage(self.home).free
        if free < NO_DISK:
            raise EmbeddedError(f"{self.home} has {free / 2**30:.1f} GB free; 1 GB is needed. Free some space.")
        if free < LOW_DISK:
            log.warning("only %.1f GB free at %s", free / 2**30, self.home)

    def _take_lock(self) -> None:
        file = self.home / "lock"
        lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(lock, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(lock)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            raise EmbeddedError(
                f"{self.home} is in use by process {holder}. Stop it first, or set TRIAGE_HOME to another folder."
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        self._lock = lock

    def _plan(self) -> Endpoints:
        credentials = self._credentials()
        self._sockets = self._socket_folder()
        broker_socket = self._sockets / "v.sock"
        ports = free_ports(8)
        endpoints = Endpoints(
            broker_url=f"redis+socket://{broker_socket}",
            s3_endpoint=f"http://127.0.0.1:{ports[0]}",
            s3_access_key=credentials["access_key"],
            s3_secret_key=credentials["secret_key"],
        )
        self.parts = [
            servers.broker(self.home, socket=broker_socket),
            servers.lake(self.home, endpoints=endpoints, ports=ports),
        ]
        return endpoints

    def _socket_folder(self) -> Path:
        """A short path: a unix socket's may have 107 bytes. Linked from home so that people find it."""
        link = self.home / "run" / "sockets"
        if link.is_symlink():
            shutil.rmtree(link.resolve(), ignore_errors=True)
            link.unlink()
        folder = Path(tempfile.mkdtemp(prefix="triage-", dir="/tmp"))
        link.symlink_to(folder)
        return folder

    def _credentials(self) -> dict[str, str]:
        file = self.home / "lake-credentials.json"
        if not file.exists():
            made = {"access_key": secrets.token_hex(10), "secret_key": secrets.token_urlsafe(30)}
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
                json.dump(made, out)
        found: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
        return found

    def _launch(self, part: Part) -> None:
        part.process = processes.start(part.argv, env=part.env, log=self._log(part.name))
        processes.remember(self._pid_file(part.name), part.process)

    def _await(self, part: Part) -> None:
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until:
            if part.process and part.process.poll() is not None:
                break
            if part.answers():
                return
            time.sleep(0.05)
        raise EmbeddedError(
            f"the embedded {part.name} did not start ({part.argv[0]}). Its log, {self._log(part.name)}, ends:\n"
            f"{processes.tail(self._log(part.name))}"
        )

    def _publish(self, endpoints: Endpoints) -> None:
        draft = self.home / ".endpoints.json"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            json.dump(asdict(endpoints), out)
        draft.replace(self.home / "endpoints.json")

    def _pid_file(self, part: str) -> Path:
        return self.home / "run" / f"{part}.pid"

    def _log(self, part: str) -> Path:
        return self.home / "log" / f"{part}.log"
