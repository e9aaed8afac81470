"""Runs of runbooks whose phases are jobs elsewhere: in this process, and in workers that are killed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from runbooks import definition
from runbooks.base import Runbook
from runbooks.outcome import Outcome
from runbooks.runners import RUNNERS, remote
from runbooks.watch import Watch

ROOT = Path(__file__).parents[2]
RUN = "0f0e0d0c-0000-4000-8000-000000000001"

HEAD = """
key = "unlock"
title = "Unlock an account"
owner = "tests"
tier = "low"
reversible = true
time_limit = 30
undo_time_limit = 30
assurance = "none"
runner = "{runner}"
target_kind = "{runner}"

[[parameters]]
name = "account"
kind = "text"
title = "the account"
fields = ["account"]
"""


def quicken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same pauses as in earnest, only short."""
    monkeypatch.setattr(remote, "POLL_SECONDS", (0.005, 0.02))
    monkeypatch.setattr(remote, "FIND_SECONDS", (0.01, 0.02))
    monkeypatch.setattr(remote, "LAUNCH_SECONDS", (0.01, 0.02))
    monkeypatch.setattr(remote, "CANCEL_SECONDS", 0.6)
    monkeypatch.setattr(remote, "CANCEL_PAUSE", 0.03)
    monkeypatch.setattr(remote, "AGAIN_SECONDS", 5.0)


def write(folder: Path, runner: str, table: str, *, head: str = HEAD) -> Runbook:
    """Write a runbook's folder as its author does, and read it."""
    where = folder / "unlock"
    where.mkdir(parents=True, exist_ok=True)
    (where / "runbook.toml").write_text(head.format(runner=runner) + table, encoding="utf-8")
    return definition.read(where)


class Told:
    """What a run's caller heard."""

    def __init__(self, *, stop: str = "") -> None:
        self.jobs: list[str] = []
        self.phases: list[str] = []
        self.output: list[str] = []
        self.starts = 0
        self.why = stop

    def watch(self) -> Watch:
        """A watch that writes everything down."""
        return Watch(
            on_start=self._start,
            on_phase=self.phases.append,
            on_output=self.output.append,
            on_job=self.jobs.append,
            stop=lambda: self.why,
        )

    def _start(self) -> None:
        self.starts += 1


def run(runbook: Runbook, target: Mapping[str, str], told: Told | None = None, **options: Any) -> Outcome:
    """Execute the runbook for j.smith."""
    told = told or Told()
    given = {"parameters": {"account": "j.smith"}, "run_id": RUN, **options}
    return RUNNERS[runbook.runner](runbook, target=target, watch=told.watch(), **given)


def on(machine: str) -> dict[str, Any]:
    """What `run` is given for a runbook that is limited to one machine."""
    return {"parameters": {"account": "j.smith", "machine": machine}}


class Workers:
    """A process that forks a worker for each run and lets it be killed; it loads everything once."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from tests.runbooks import remote_runs; remote_runs.serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def killed(self, runbook: Runbook, target: Mapping[str, str], states: Path, *, at: int) -> str:
        """Run in a worker that is killed right after it has stored its `at`-th state; the state.

        at 0: somebody else kills it, and `pid` beside the states says whom.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        states.unlink(missing_ok=True)
        asked = {"folder": str(runbook.folder), "target": dict(target), "states": str(states), "at": at}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        said = self._process.stdout.readline().strip()
        assert said == f"killed by {int(signal.SIGKILL)}", said
        return states.read_text(encoding="utf-8").splitlines()[-1]

    def end(self) -> None:
        """End the process."""
        self._process.communicate(timeout=10)


def serve() -> None:
    """The other side of Workers."""
    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if not pid:
            try:
                _work(Path(asked["folder"]), asked["target"], Path(asked["states"]), asked["at"])
            finally:
                os._exit(0)
        status = os.waitpid(pid, 0)[1]
        how = f"killed by {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"ended with {status}"
        sys.stdout.write(how + "\n")
        sys.stdout.flush()


def _work(folder: Path, target: dict[str, str], states: Path, at: int) -> None:
    remote.POLL_SECONDS = (0.005, 0.02)
    states.with_name("pid").write_text(str(os.getpid()), encoding="utf-8")
    stored: list[str] = []

    def store(text: str) -> None:
        stored.append(text)
        states.write_text("\n".join(stored) + "\n", encoding="utf-8")
        if len(stored) == at:
            os.kill(os.getpid(), signal.SIGKILL)

    runbook = definition.read(folder)
    RUNNERS[runbook.runner](
        runbook, parameters={"account": "j.smith"}, target=target, run_id=RUN, watch=Watch(on_job=store)
    )
