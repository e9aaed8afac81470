"""Keeps the product's processes running on one machine: starts, restarts what died or hangs, stops all in order."""

import logging
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from triage import processes
from triage.embedded import Embedded

log = logging.getLogger(__name__)
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 15.0
SETTLED = 30.0  # seconds after which a start counts as good again


@dataclass
class Child:
    """One process to keep: its command, and how to end it without losing work."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    stop_signal: int = signal.SIGTERM
    grace: float = 10.0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    started: float = 0.0
    pause: float = FIRST_PAUSE
    next_start: float = 0.0
    starts: int = 0


class Supervisor:
    """Runs children until told to stop. `stale` names those that live but no longer prove that they work."""

    def __init__(
        self,
        children: Sequence[Child],
        *,
        logs: Path,
        parts: Embedded | None = None,
        stale: Callable[[], set[str]] = set,
    ) -> None:
        self.children = list(children)
        self.logs = logs
        self.parts = parts
        self.stale = stale
        self.stopping = False
        self._next_look = 0.0

    def start(self) -> None:
        """Start every child."""
        for child in self.children:
            self._start(child)

    def tick(self) -> None:
        """Look once at everything: restart dead parts, dead children and children that hang."""
        if self.parts:
            for name in self.parts.restart_dead():
                log.warning("%s had died and was started again", name)
        now = time.monotonic()
        for child in self.children:
            self._mind(child, now=now)
        if now >= self._next_look:
            self._next_look = now + 10
            self._end_hanging(now=now)

    def run(self, *, until: Callable[[], bool] = lambda: False, pause: float = 0.2) -> None:
        """Tick until SIGTERM, SIGINT or `until()`; then stop everything."""
        before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            while not self.stopping and not until():
                self.tick()
                time.sleep(pause)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self.stop()

    def stop(self) -> None:
        """End the children, last started first: all are asked at once, each has its own grace."""
        self.stopping = True
        running = [child for child in reversed(self.children) if child.process]
        for child in running:
            if child.process and child.process.poll() is None:
                child.process.send_signal(child.stop_signal)
        for child in running:
            if child.process:
                self._await_end(child, child.process)
                child.process = None

    def _await_end(self, child: Child, process: subprocess.Popen[bytes]) -> None:
        try:
            process.wait(child.grace)
        except subprocess.TimeoutExpired:
            log.warning("%s did not stop within %s s and was ended", child.name, child.grace)
        processes.kill_group(process)
        process.wait()

    def _on_signal(self, *_: object) -> None:
        self.stopping = True

    def _start(self, child: Child) -> None:
        child.process = processes.start(child.argv, env=child.env, log=self.logs / f"{child.name}.log")
        child.started = time.monotonic()
        child.starts += 1

    def _mind(self, child: Child, *, now: float) -> None:
        if child.process is None:
            if now >= child.next_start:
                self._start(child)
        elif (code := child.process.poll()) is not None:
            processes.kill_group(child.process)
            child.process = None
            settled = now - child.started > SETTLED
            child.pause = FIRST_PAUSE if settled else min(child.pause * 2, LONGEST_PAUSE)
            child.next_start = now + child.pause
            log.warning("%s ended with code %s; starting again in %.1f s", child.name, code, child.pause)

    def _end_hanging(self, *, now: float) -> None:
        names = self.stale()
        for child in self.children:
            if child.name in names and child.process and now - child.started > 60:
                log.warning("%s no longer proves that it works and is started again", child.name)
                processes.kill_group(child.process)
