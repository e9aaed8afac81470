"""Signed deliveries a second through gunicorn (1 process, 8 threads) into SQLite, each in its own durable transaction.

    python -m tests.benchmarks.webhooks [SECONDS] [SENDERS]

Prints one JSON object: requests a second, response times in milliseconds, tickets stored.
"""

import http.client
import json
import os
import sqlite3
import sys
import tempfile
import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import django

_HOME = tempfile.TemporaryDirectory(prefix="triage-benchmark-", ignore_cleanup_errors=True)
os.environ |= {
    "TRIAGE_HOME": _HOME.name,
    "TRIAGE_SOURCE_RATE": "1000000",
    "TRIAGE_LOG_LEVEL": "ERROR",
    "DJANGO_SETTINGS_MODULE": "triage.settings",
}
django.setup()

from tests import factories  # noqa: E402 - models load after the set-up
from tests.test_webhooks import serving  # noqa: E402
from triage.itsm import standard  # noqa: E402


def stream(url: str, sender: int, *, until: float, took: list[float], refused: list[int]) -> None:
    """Send one ticket after another over one connection until the time is up."""
    parts = urlsplit(url)
    with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)) as link:
        number = 0
        while time.monotonic() < until:
            number += 1
            told = {"external_id": f"INC{sender}.{number}", "subject": f"Disk {number} full", "body": "no space " * 20}
            body = json.dumps(told).encode()
            headers = standard.signed_headers(
                factories.SECRET, key=f"msg_{sender}_{number}", body=body, at=datetime.now(UTC)
            )
            before = time.perf_counter()
            link.request("POST", parts.path, body, {"content-type": "application/json", **headers})
            answer = link.getresponse()
            answer.read()
            took.append((time.perf_counter() - before) * 1000)
            if answer.status != 202:
                refused.append(answer.status)


def main(seconds: float = 5.0, senders: int = 8) -> None:
    """Run it and print the figures."""
    took: list[float] = []
    refused: list[int] = []
    with tempfile.TemporaryDirectory(prefix="tri-") as home, serving(Path(home)) as (url, _):
        until = time.monotonic() + seconds
        threads = [
            threading.Thread(
                target=stream, args=(url, sender), kwargs={"until": until, "took": took, "refused": refused}
            )
            for sender in range(senders)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with closing(sqlite3.connect(Path(home) / "triage.sqlite3")) as rows:
            (stored,) = rows.execute("SELECT count(*) FROM triage_ticket").fetchone()
    took.sort()
    figures = {
        "requests_per_second": round(len(took) / seconds, 1),
        "p50_ms": round(took[len(took) // 2], 1),
        "p99_ms": round(took[len(took) * 99 // 100], 1),
        "refused": len(refused),
        "stored": stored,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(float(sys.argv[1]) if sys.argv[1:] else 5.0, int(sys.argv[2]) if sys.argv[2:] else 8)
