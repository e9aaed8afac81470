"""An AWX as a process of its own that loses answers: it takes a launch and drops the connection, answers late or not.

`python -m tests.faults.runbooks.towers LEDGER SEED` prints its address and serves until its input ends. Every launch
that took place is a line of the ledger: that is the effect, whatever anybody was told about it.
"""

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.runbooks.awx_server import Awx, question
from tests.runbooks.job_server import TOKEN, Fault, Request, serving

READ_SECONDS = 1.0
"""How long workers wait for an answer; what comes later is lost."""
FAULTS: tuple[tuple[float, Fault], ...] = (
    (0.12, Fault("", "drop")),
    (0.10, Fault("", "late", status=502)),
    (0.04, Fault("", "refuse", status=503)),
    (0.04, Fault("", "cut")),
    (0.03, Fault("", "slow", seconds=READ_SECONDS + 0.4)),
)
"""Of launches: how often each, `late` being a 502 from a gateway although it was done, `refuse` one that was not."""
KEPT = 400
"""So many of the latest jobs are listed: runners look through no more than five hundred."""


class Tower(Awx):
    """An AWX that forgets whom it answered, and remembers what it did."""

    def __init__(self, ledger: Path, seed: int) -> None:
        super().__init__()
        self._ledger = ledger
        self._rng = random.Random(seed)
        for template in self.templates.values():
            template.survey = [question("triage_run"), question("line", required=True)]
        self.named("action").seconds = 0.1

    def fault(self, request: Request) -> Fault | None:
        """What goes wrong with this request."""
        if request.method != "POST" or not request.path.endswith("/launch/"):
            return None
        with self.lock:
            chance = self._rng.random()
        for share, fault in FAULTS:
            chance -= share
            if chance < 0:
                return fault
        return None

    def launch(self, request: Request, number: str) -> tuple[int, Any]:
        """Launch, and write down what was launched."""
        answer = super().launch(request, number)
        given = json.loads(self.jobs[-1].given["extra_vars"])
        with self._ledger.open("a", encoding="utf-8") as ledger:
            ledger.write(json.dumps([self.jobs[-1].phase_of, given["triage_run"], given["line"]]) + "\n")
        for job in self.jobs[-2 * KEPT : -KEPT]:
            job.began = 0.0
        self.requests.clear()
        return answer


@contextmanager
def running(ledger: Path, *, seed: int) -> Iterator[str]:
    """One in a process of its own; its address."""
    ledger.touch()
    command = [sys.executable, "-m", "tests.faults.runbooks.towers", str(ledger), str(seed)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.communicate()


def settings(url: str) -> dict[str, Any]:
    """A target's settings for it."""
    return {"url": url, "token": TOKEN, "inventory": 7, "insecure": True}


def effects(ledger: Path) -> Counter[str]:
    """How often the action of each line was launched."""
    told = [json.loads(line) for line in ledger.read_text(encoding="utf-8").splitlines()] if ledger.exists() else []
    return Counter(line for phase, _, line in told if phase == "action")


if __name__ == "__main__":
    tower = Tower(Path(sys.argv[1]), int(sys.argv[2]))
    with serving(tower):
        print(tower.url, flush=True)
        sys.stdin.read()
