"""Runs a runbook's Python steps in a child process of their own and says how that ended.

The parent's side: start, hand over, follow, end. The child's side is `child.py` and `runbooks/phases.py`.
"""

import contextlib
import json
import logging
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from runbooks import parameters as values
from runbooks import process
from runbooks.base import Runbook
from runbooks.outcome import Outcome
from runbooks.runners.conversation import Conversation, Live, Output, check_id, cleaner
from runbooks.source import SourceError
from runbooks.targets.sqlite import TargetError
from runbooks.watch import QUIET, Watch

log = logging.getLogger(__name__)

CHILD = Path(__file__).with_name("child.py")
END_GRACE = 6.0
"""Seconds that the guardian has for ending its tree before the parent does it."""

TELL_SECONDS = 1.0
"""Between two pieces of live output, and between two questions whether the run must end."""


_run_as = ""


def use(*, run_as: str) -> None:
    """Have the steps of Python runbooks run as this user, once a process starts; empty: as the worker."""
    global _run_as  # noqa: PLW0603 - one for the process, like the runbooks that it knows
    _run_as = run_as


def execute(
    runbook: Runbook,
    *,
    parameters: Mapping[str, str],
    target: Mapping[str, str],
    run_id: str,
    handed: Mapping[str, str] | None = None,
    watch: Watch = QUIET,
    job: str = "",
    time_limit: float | None = None,
) -> Outcome:
    """Execute the runbook once and return how that ended; never starts anything twice.

    parameters: values by name as `parameters.extract` gave them; checked again here.
    target: settings of the target, credentials included; they reach the child over a pipe only.
    run_id: 1 to 64 letters, digits and hyphens, recorded with every change.
    handed: secrets of this run alone, by name, for the steps' context; masked in everything that is returned.
    watch: what is told while the run goes on. job: must be empty; what runs here cannot be gone on with elsewhere.
    time_limit: seconds for pre-check, action and post-check (default: the runbook's); the undo has its own.
    """
    check_id(run_id)
    if job:
        raise ValueError("job: a run in a child process ends with its worker; it cannot be followed by another")
    if trouble := process.trouble_with_user(_run_as):
        return Outcome("failed", "start", f"the run could not begin: {trouble}: set TRIAGE_RUN_AS; nothing was changed")
    handed = handed or {}
    clean = cleaner({**target, **{f"secret {name}": value for name, value in handed.items()}})
    try:
        request = {**_request(runbook, parameters, target, run_id), "handed": dict(handed)}
    except (values.ParameterError, SourceError, TargetError) as error:
        return Outcome("failed", "start", clean(f"the run could not begin: {error}; nothing was changed"))
    return lead(runbook, request, clean=clean, watch=watch, time_limit=time_limit)


def lead(
    runbook: Runbook,
    request: Mapping[str, Any],
    *,
    clean: Callable[[str], str],
    watch: Watch,
    time_limit: float | None,
    scratch: str = "",
) -> Outcome:
    """Lead a request through `phases.run` in a guarded child process; see `execute` for the rest.

    clean: makes text storable and takes secrets out. scratch: a folder that the guardian removes at the end.
    """
    try:
        child = _Child(request["run_id"], runbook.resources.processes, scratch)
    except OSError as error:
        return Outcome("failed", "start", clean(f"the run could not begin: {error}; nothing was changed"))
    limit = runbook.time_limit if time_limit is None else time_limit
    following = _Following(child, watch, Live(clean), limit, runbook.undo_time_limit)
    try:
        following.follow(request)
    finally:
        child.end()
    return following.talk.outcome(clean, following.output, child.process.returncode, following.over)


def _request(runbook: Runbook, parameters: Mapping[str, str], target: Mapping[str, str], run_id: str) -> dict[str, Any]:
    steps = runbook.steps
    return {
        "run_id": run_id,
        "folder": str(steps.folder),
        "digests": dict(steps.digests),
        "reversible": runbook.reversible,
        "target_kind": runbook.target_kind,
        "target": dict(target),
        "parameters": values.typed(runbook, parameters),
        "handed": {},
        "run_as": _run_as,
        "bounds": runbook.resources.model_dump(exclude={"processes"}),
    }


class _Child:
    """The guardian process and the parent's ends of its four pipes."""

    def __init__(self, run_id: str, most_processes: int, scratch: str) -> None:
        self.run_id = run_id
        control, self.control = os.pipe()
        self.report, report = os.pipe()
        life, self.life = os.pipe()
        theirs = (control, report, life)
        self._ours = {self.control, self.report, self.life}
        arguments = [
            str(CHILD),
            str(os.getpid()),
            *map(str, theirs),
            str(most_processes),
            *([scratch] if scratch else []),
        ]
        try:
            self.process = subprocess.Popen(
                # Isolated: neither PYTHON* variables nor the working directory change what is loaded.
                [sys.executable, "-I", "-B", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=theirs,
                start_new_session=True,
                cwd="/",
                umask=0o077,
                env={
                    "PATH": "/usr/local/bin:/usr/bin:/bin",
                    "HOME": "/",
                    "LANG": "C.UTF-8",
                    "TZ": "UTC",
                    process.MARK: run_id,
                },
            )
        except BaseException:
            self._close(*self._ours)
            raise
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        self.output = self.process.stdout.fileno() if self.process.stdout else -1

    def _close(self, *descriptors: int) -> None:
        for descriptor in self._ours.intersection(descriptors):
            self._ours.discard(descriptor)
            os.close(descriptor)

    def send(self, line: bytes) -> bool:
        """Write to the steps; False when nobody reads any more."""
        try:
            while line:
                line = line[os.write(self.control, line) :]
        except BrokenPipeError:
            return False
        return True

    def give_up(self) -> None:
        """Tell the guardian to end the whole tree."""
        self._close(self.life)

    def end(self) -> None:
        """Make sure that nothing of the run lives on; used on every way out."""
        self._close(*self._ours)
        if self.process.stdout is not None:
            self.process.stdout.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(END_GRACE)
        if self.process.returncode != 0:
            # The guardian could not do its work: end what hangs below it, then whatever carries the mark.
            process.end([*process.descendants(self.process.pid), *self._itself()])
            process.end_marked(self.run_id)
            self.process.wait()

    def _itself(self) -> list[int]:
        return [] if self.process.poll() is not None else [self.process.pid]


class _Following:
    """Follows one child: reads what it says, lets the action start, keeps the time, asks whether it must end."""

    def __init__(self, child: _Child, watch: Watch, live: Live, limit: float, undo_limit: float) -> None:
        self.child = child
        self.watch = watch
        self.live = live
        self.limit = limit
        self.undo_limit = undo_limit
        self.deadline = time.monotonic() + limit
        self.over = ""
        self.talk = Conversation()
        self.output = Output()
        self._announced = 0
        self._asked = False
        self._undoing = False
        self._tell_at = time.monotonic() + TELL_SECONDS

    def follow(self, request: Mapping[str, Any]) -> None:
        """Return when all of the run has ended, or cannot be ended in time."""
        self.child.send(json.dumps(request).encode() + b"\n")
        with selectors.DefaultSelector() as selector:
            for descriptor in (self.child.output, self.child.report):
                os.set_blocking(descriptor, False)
                selector.register(descriptor, selectors.EVENT_READ)
            while selector.get_map():
                ended = self.child.process.poll() is not None
                wait = 0.0 if ended else max(0.0, min(0.5, self.deadline - time.monotonic()))
                ready = selector.select(wait)
                for key, _ in ready:
                    self._take(key.fd, selector)
                self._announce()
                self._keep_time()
                if (ended and not ready) or (self.over and time.monotonic() > self.deadline):
                    break
        self._tell(self.live.rest())

    def _take(self, descriptor: int, selector: selectors.BaseSelector) -> None:
        data = os.read(descriptor, 65536)
        if not data:
            selector.unregister(descriptor)
        elif descriptor == self.child.output:
            self.output.add(data)
            self.live.add(data)
        else:
            self.talk.feed(data)

    def _announce(self) -> None:
        while self._announced < len(self.talk.begun):
            phase = self.talk.begun[self._announced]
            self._announced += 1
            self._guarded("on_phase", self.watch.on_phase, phase)
        if self.talk.ready and not self._asked and not self.over:
            self._asked = True
            self.watch.on_start()
            if time.monotonic() <= self.deadline:
                # Said before it is sent: from here on nobody may claim that nothing was changed.
                self.talk.allowed = True
                self.talk.allowed = self.child.send(b"go\n")

    def _keep_time(self) -> None:
        now = time.monotonic()
        if not self._undoing and self.talk.phase == "undo":
            self._undoing = True
            self.limit = self.undo_limit
            self.deadline = now + self.undo_limit
        if now >= self._tell_at:
            self._tell_at = now + TELL_SECONDS
            self._tell(self.live.pieces())
            if not self.over and (why := self._guarded("stop", self.watch.stop)):
                self._give_up(why, now)
        if self.talk.broken and not self.over:
            self._give_up("it reported what can't be read", now)
        if now > self.deadline and not self.over:
            self._give_up(f"the time limit of {self.limit:g} s was reached", now)

    def _tell(self, pieces: list[str]) -> None:
        for piece in pieces:
            self._guarded("on_output", self.watch.on_output, piece)

    def _guarded(self, name: str, told: Callable[..., str | None], *given: str) -> str:
        try:
            return told(*given) or ""
        except Exception:  # what only tells must not end an action half-way
            log.exception("%s failed for run %s, phase %s", name, self.child.run_id, self.talk.phase)
            return ""

    def _give_up(self, why: str, now: float) -> None:
        self.over = why
        self.deadline = now + END_GRACE
        self.child.give_up()
