"""One storm of equal alerts on a running product: how many runs it makes, and when the last ticket is resolved.

`python -m tests.faults.storm --tickets 1000 --json FILE`. Ten alerts with the same text on ten other hosts come in the
middle of it: each is its own.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.faults import alerts, figures

OVER_SECONDS = 50.0
OTHERS = 10


def measure(*, home: Path, tickets: int, seed: int) -> dict[str, Any]:
    """The figures; `seconds` from the first alert sent until the last one is resolved."""
    with alerts.running(home, seed=seed) as scene:
        from triage.models import Run, Ticket

        mine = Ticket.objects.filter(external_id__startswith="STORM")
        others = Ticket.objects.filter(external_id__startswith="OTHER")
        began = time.monotonic()
        per_second = tickets / OVER_SECONDS
        storm = scene.send([f"STORM{n:05}" for n in range(tickets)], host=lambda _: "web-1", per_second=per_second)
        time.sleep(OVER_SECONDS / 3)
        scene.send([f"OTHER{n}" for n in range(OTHERS)], host=lambda number: f"web-{number + 2}", per_second=20).join()
        storm.join()
        sent = time.monotonic() - began
        alerts.wait_until(lambda: mine.filter(status="resolved").count() == tickets)
        alerts.wait_until(lambda: others.filter(status="resolved").count() == OTHERS)
        seconds = time.monotonic() - began
        names = set(mine.values_list("external_id", flat=True))
        # the ITSM is told one by one, which is none of the storm's time
        alerts.wait_until(lambda: _told(scene, names) == tickets)
        return {
            "tickets": mine.count(),
            "runs": Run.objects.filter(ticket__in=mine).count(),
            "linked": mine.filter(linked_run__isnull=False).count(),
            "resolved": mine.filter(status="resolved").count(),
            "seconds": round(seconds, 1),
            "sent_in_seconds": round(sent, 1),
            "told_itsm": _told(scene, names),
            "told_itsm_in_seconds": round(time.monotonic() - began, 1),
            "other_hosts": others.count(),
            "runs_of_other_hosts": Run.objects.filter(ticket__in=others).count(),
        }


def _told(scene: alerts.Alerts, names: set[str]) -> int:
    with scene.peer.lock:
        return len({str(reply.get("external_id")) for reply in scene.peer.replies.values()} & names)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickets", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tri-storm-", ignore_cleanup_errors=True) as folder:
        result = measure(home=Path(folder), tickets=options.tickets, seed=options.seed)
    figures.tell(result, file=options.json)
    one = result["runs"] == 1 and result["linked"] == options.tickets - 1
    good = (
        one and result["resolved"] == result["tickets"] == options.tickets and result["runs_of_other_hosts"] == OTHERS
    )
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
