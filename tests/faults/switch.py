"""The kill switch on a running product: seconds from the POST on its page until the last start.

`python -m tests.faults.switch --json FILE`. Alerts keep coming, each for a host and so a run of its own.
"""

import argparse
import http.cookiejar
import re
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.faults import alerts, figures

RUNS_BEFORE, WATCHED_SECONDS, PER_SECOND, ALERTS = 10, 10.0, 8.0, 400
MOST_SECONDS = 2.0


class Browser:
    """Somebody at the desk: keeps cookies and sends the token of the page's own form."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def get(self, path: str) -> str:
        """A page."""
        with self._opener.open(f"{self._base}{path}", timeout=15) as answer:
            return str(answer.read().decode())

    def post(self, path: str, form: dict[str, str], *, page: str) -> str:
        """Send a form of that page; the page that follows."""
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.get(page))
        assert token is not None, f"{page} has no form"
        data = urllib.parse.urlencode({**form, "csrfmiddlewaretoken": token[1]}).encode()
        request = urllib.request.Request(f"{self._base}{path}", data, {"referer": f"{self._base}{page}"})  # noqa: S310 - ours
        with self._opener.open(request, timeout=15) as answer:
            return str(answer.read().decode())


def measure(*, home: Path, seed: int) -> dict[str, Any]:
    """The figures; `seconds` is 0 where no run started after the POST was sent."""
    with alerts.running(home, seed=seed) as scene:
        from triage.models import Run

        desk = Browser(scene.base)
        desk.post("/sign-in/", {"username": alerts.CHIEF, "password": alerts.PASSWORD}, page="/sign-in/")
        runs = Run.objects.filter(ticket__external_id__startswith="STREAM")
        scene.send([f"STREAM{n:05}" for n in range(ALERTS)], host=lambda number: f"app-{number}", per_second=PER_SECOND)
        assert alerts.wait_until(lambda: runs.filter(started_at__isnull=False).count() >= RUNS_BEFORE), "nothing runs"
        pressed = datetime.now(UTC)
        page = desk.post("/automation/", {"to": "off", "reason": "a drill"}, page="/overview/")
        answered = datetime.now(UTC)
        assert "Automation is stopped" in page
        before = runs.filter(started_at__isnull=False).count()
        time.sleep(WATCHED_SECONDS)
        last = runs.order_by("-started_at").filter(started_at__isnull=False)[0].started_at
        assert last is not None
        return {
            "seconds": round(max(0.0, (last - pressed).total_seconds()), 3),
            "answered_after_seconds": round((answered - pressed).total_seconds(), 3),
            "started": runs.filter(started_at__isnull=False).count(),
            "started_after_the_answer": runs.filter(started_at__isnull=False).count() - before,
            "held": runs.filter(status="requested").count(),
            "watched_seconds": WATCHED_SECONDS,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tri-switch-", ignore_cleanup_errors=True) as folder:
        result = measure(home=Path(folder), seed=options.seed)
    figures.tell(result, file=options.json)
    sys.exit(0 if result["seconds"] <= MOST_SECONDS and result["held"] > 0 else 1)


if __name__ == "__main__":
    main()
