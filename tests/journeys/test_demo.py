"""`triage demo --once` as a stranger runs it, embedded and on real PostgreSQL and Redis-protocol servers."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import servers
from triage.embedded.servers import binary
from triage.ports import free_ports

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


ROOT = Path(__file__).parent.parent.parent
QUICKLY_TRAINED = ("-c", "from tests import quick; quick.install(); from triage import cli; cli.main()")


def demo(*arguments: str, program: tuple[str, ...] = ("-m", "triage"), **variables: str) -> dict[str, Any]:
    """The demo's figures from a process with nothing in its environment but a path and a home."""
    with tempfile.TemporaryDirectory(prefix="tri-demo-", ignore_cleanup_errors=True) as folder:
        ended = subprocess.run(
            [sys.executable, *program, "demo", "--once", "--json", "-", *arguments],
            env={"PATH": os.defpath, "HOME": folder, **variables}, cwd=ROOT, capture_output=True, text=True, check=False,
            timeout=540,
        )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-4000:]
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


@contextmanager
def broker() -> Iterator[str]:
    """A Redis-protocol server on a TCP port, as production has it."""
    folder, port = Path(tempfile.mkdtemp(prefix="tri-")), free_ports(1)[0]
    argv = [binary("redis-server", "valkey-server"), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    server = subprocess.Popen([*argv, "--appendonly", "yes"], stdout=subprocess.DEVNULL)
    try:
        yield f"redis://127.0.0.1:{port}/3"
    finally:
        server.terminate()
        server.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def check(found: dict[str, Any], tickets: int) -> None:
    assert (found["received"], found["lost"]) == (tickets, 0), found
    assert found["automated"] + found["approved"] + found["suggested"] + found["observed"] == tickets
    assert found["resolved"] + found["needs_review"] == tickets
    assert found["automated"] > 0, found
    assert found["resolved"] > 0, found
    assert found["certificates"] == 1
    assert not found["broken_promise"]


def test_the_demo_takes_every_ticket_from_webhook_to_outcome() -> None:
    found = demo("--tickets", "60")
    check(found, 60)
    assert found["near_duplicate_share"] <= 0.2


@pytest.mark.skipif(servers.postgres_install() is None, reason="no PostgreSQL: neither the wheel nor Debian's is there")
def test_the_same_journey_on_postgresql_and_a_redis_protocol_server() -> None:
    with servers.postgres() as database, broker() as url:
        where = {"TRIAGE_DATABASE_URL": database, "TRIAGE_BROKER_URL": url}
        check(demo("--tickets", "60", program=QUICKLY_TRAINED, **where), 60)
