"""Leads a run whose phases are jobs of another system: launches each once, follows it, and lets another worker go on.

Before a job is launched, and again when its number is known, the caller is told where the run stands (`watch.on_job`).
Whoever is given that text later goes on from there. A check whose launch was lost is launched again; an action whose
launch was lost is looked for under the run's identity, and is unknown where it is not found: it may have happened.
"""

import contextlib
import logging
import time
from collections.abc import Callable
from typing import cast, get_args

from runbooks.base import Runbook
from runbooks.outcome import Outcome, Phase, PhaseResult, Status
from runbooks.runners.conversation import Live, Output
from runbooks.runners.jobs import (
    CHANGING,
    Jobs,
    LaunchLost,
    LaunchRefused,
    RemoteError,
    Seen,
    State,
    StateError,
)
from runbooks.verdict import verdict
from runbooks.watch import Left, Watch

__all__ = ["Jobs", "LaunchLost", "LaunchRefused", "RemoteError", "Seen", "State", "lead", "not_led"]

log = logging.getLogger(__name__)

POLL_SECONDS: tuple[float, ...] = (0.2, 0.5, 1.0, 2.0)
"""Pauses between looks at a job: short at first, since most jobs are short, the last one again and again."""
FIND_SECONDS = (0.5, 1.0, 2.0, 5.0)
CANCEL_SECONDS = 30.0
CANCEL_PAUSE = 1.0
AGAIN_SECONDS = 60.0
"""What is left at least for a run that a worker goes on with: its job may have ended well while nobody looked."""
LAUNCH_SECONDS = (1.0, 2.0, 5.0, 10.0)
"""Pauses between tries to launch, where the other system said or showed that it started nothing."""
MESSAGE_LIMIT = 2000


class _Unknown(Exception):
    """Nobody can say what was done."""


class _NotStarted(Exception):
    """The action was not launched, for certain."""


class _Unreached(LaunchRefused):
    """Nothing was started, since the other system could not be reached in time."""


def lead(
    runbook: Runbook,
    jobs: Jobs,
    *,
    job: str,
    clean: Callable[[str], str],
    watch: Watch,
    time_limit: float | None = None,
) -> Outcome:
    """Lead the run through its phases, from where `job` says that it stands, and return how it ended.

    A phase's job that ended well is a phase that said yes; a pre-check's that failed has refused.
    """
    try:
        run = _Run(runbook, jobs, State.of(job), clean, watch, time_limit)
    except StateError as error:
        return not_led(job, f"{error}; nobody knows what was done: look at the target first", clean)
    try:
        status, message = verdict(run.phase, ready=run.ready, reversible=runbook.reversible)
    except _Unknown as error:
        status, message = "unknown", f"{error}; nobody knows what was done: look at the target first"
    except _NotStarted as error:
        run.state.phase = "pre_check"
        status, message = "failed", f"the action was not started: {error}; nothing was changed"
    return run.outcome(status, message)


def not_led(job: str, why: str, clean: Callable[[str], str]) -> Outcome:
    """The outcome of a run that cannot be led, or led on from where `job` says that it stands."""
    try:
        phase = State.of(job).phase
    except StateError:
        phase = "action"
    begun = phase not in {"", "pre_check"}
    said = why if begun else f"the run could not begin: {why}; nothing was changed"
    return Outcome("unknown" if begun else "failed", _phase(phase), clean(said))


class _Run:
    """One run: its state, its clock and what it wrote."""

    def __init__(
        self,
        runbook: Runbook,
        jobs: Jobs,
        state: State,
        clean: Callable[[str], str],
        watch: Watch,
        time_limit: float | None,
    ) -> None:
        self.runbook = runbook
        self.jobs = jobs
        self.state = state
        self.clean = clean
        self.watch = watch
        self.limit = runbook.time_limit if time_limit is None else time_limit
        self.output = Output()
        self.live = Live(clean)
        self.alarm = False
        self.resumed = bool(state.phase)
        state.ends_at = max(state.ends_at, time.time() + AGAIN_SECONDS) if state.phase else time.time() + self.limit

    def phase(self, name: str) -> tuple[str, str]:
        """Run one phase, or go on with it; how it went and the sentence for it."""
        if name in self.state.ended:
            kind, message, _ = self.state.ended[name]
            return kind, message
        self._told("on_phase", self.watch.on_phase, name)
        began = time.monotonic()
        try:
            kind, message = self._followed(name, self._taken_up(name) or self._launched(name))
        except LaunchRefused as error:
            self.alarm = self.alarm or error.alarm
            if error.unsure:
                raise _Unknown(str(error)) from error
            if name == "action":
                raise _NotStarted(str(error)) from error
            says_no = name == "pre_check" and not isinstance(error, _Unreached)
            kind, message = ("refused" if says_no else "error"), str(error)
        self.state.ended[name] = (kind, self.clean(message)[:MESSAGE_LIMIT], round(time.monotonic() - began, 4))
        return kind, self.state.ended[name][1]

    def _taken_up(self, name: str) -> str:
        """The job with which another worker was; empty where it is to be launched."""
        if self.state.phase == name:
            return self.state.job or self._lost(name)
        if name == "undo":
            self.state.ends_at = time.time() + self.runbook.undo_time_limit
        # What a worker is told may be older than what another did: a change is looked for before it is launched.
        found = self._found(name, pauses=(0.0,)) if self.resumed and name in CHANGING else []
        if len(found) > 1:
            raise _Unknown(f"{len(found)} jobs are found for the {_words(name)} of this run")
        self._intend(name)
        return self._known(found[0]) if found else ""

    def ready(self) -> bool:
        """Ask the caller once whether the action may start; a worker that goes on afterwards does not ask again."""
        if not self.state.started:
            self.watch.on_start()
            self.state.started = True
        return True

    def outcome(self, status: str, message: str) -> Outcome:
        """How the run ended."""
        for piece in self.live.rest():
            self._told("on_output", self.watch.on_output, piece)
        return Outcome(
            status=cast("Status", status),
            phase=_phase(self.state.phase),
            message=self.clean(message),
            phases=tuple(
                PhaseResult(_phase(name), kind == "ok", said, seconds)
                for name, (kind, said, seconds) in self.state.ended.items()
            ),
            output=self.clean(self.output.text()),
            alarm=self.alarm,
        )

    def _intend(self, name: str) -> None:
        self.state.phase, self.state.job = name, ""
        self.watch.on_job(self.state.text())

    def _known(self, job: str) -> str:
        self.state.job = job
        self.watch.on_job(self.state.text())
        return job

    def _lost(self, name: str, why: str = "its launch was lost") -> str:
        """The job of a launch whose answer was lost; empty where it may be launched (again)."""
        found = self._found(name)
        if len(found) > 1 or (name in CHANGING and not found):
            raise _Unknown(f"{len(found)} jobs are found for the {_words(name)} of this run: {why}")
        return self._known(found[0]) if found else ""

    def _launched(self, name: str) -> str:
        """Launch the phase's job: again while nothing was started, a check even where that cannot be known."""
        for pause in (*LAUNCH_SECONDS, None):
            try:
                return self._known(self.jobs.launch(name))
            except RemoteError as error:
                self._wait(name, pause, f"the job could not be launched: {error}")
            except LaunchLost as error:
                if found := self._lost(name, f"no answer came to its launch ({error})"):
                    return found
                self._wait(name, pause, f"no answer came to the launch of the {_words(name)} ({error})")
        raise AssertionError  # the last pause raises

    def _wait(self, name: str, pause: float | None, why: str) -> None:
        over = self._over()
        if pause is not None and not over:
            time.sleep(pause)
            return
        why += f"; {over}" if over else ""
        if name in ("post_check", "undo", "undo_check"):
            raise _Unknown(f"during the {_words(name)}, {why}")
        raise _Unreached(why)

    def _found(self, name: str, *, pauses: tuple[float, ...] | None = None) -> list[str]:
        """A job may appear in the other system's list a moment after its launch."""
        found: list[str] = []
        for pause in FIND_SECONDS if pauses is None else pauses:
            try:
                found = self.jobs.find(name)
            except RemoteError as error:
                log.warning("the jobs of the %s cannot be looked up: %s", _words(name), error)
            if found:
                return found
            time.sleep(pause)
        return found

    def _followed(self, name: str, job: str) -> tuple[str, str]:
        """Follow the job to its end, or end it where the time is up or the caller says so."""
        pauses = iter(POLL_SECONDS)
        pause, silent = 0.0, ""
        while True:
            time.sleep(pause)
            pause = next(pauses, POLL_SECONDS[-1])
            why = self._over()
            try:
                seen = self.jobs.look(job)
            except RemoteError as error:
                silent = f"; it does not answer: {error}"
            else:
                self._take(seen.output)
                if seen.state != "running":
                    return self._ended(name, seen)
            if why:
                return self._given_up(name, job, f"{why}{silent}")

    def _ended(self, name: str, seen: Seen) -> tuple[str, str]:
        if seen.state == "succeeded":
            return "ok", ""
        said = seen.message or f"its job {seen.state}"
        return ("refused" if name == "pre_check" else "not_done" if name not in CHANGING else "error"), said

    def _over(self) -> str:
        if time.time() > self.state.ends_at:
            undoing = self.state.phase in {"undo", "undo_check"}
            return f"the time limit of {self.runbook.undo_time_limit if undoing else self.limit:g} s was reached"
        return self._told("stop", self.watch.stop)

    def _given_up(self, name: str, job: str, why: str) -> tuple[str, str]:
        """End the job; only a job that has ended without doing anything leaves nothing unknown."""
        give_up = time.monotonic() + CANCEL_SECONDS
        while time.monotonic() < give_up:
            with contextlib.suppress(RemoteError):
                self.jobs.cancel(job)
                seen = self.jobs.look(job)
                self._take(seen.output)
                if seen.state != "running":
                    break
            time.sleep(CANCEL_PAUSE)
        else:
            why += f"; job {job} could not be ended and may go on"
        if name == "pre_check":
            return "error", why
        raise _Unknown(f"{why} during the {_words(name)}")

    def _take(self, text: str) -> None:
        if text:
            data = text.encode("utf-8", "replace")
            self.output.add(data)
            self.live.add(data)
            for piece in self.live.pieces():
                self._told("on_output", self.watch.on_output, piece)

    def _told(self, name: str, told: Callable[..., str | None], *given: str) -> str:
        try:
            return told(*given) or ""
        except Left:
            raise
        except Exception:  # what only tells must not end an action half-way
            log.exception("%s failed", name)
            return ""


def _words(name: str) -> str:
    return name.replace("_", "-")


def _phase(name: str) -> Phase:
    return cast("Phase", name) if name in get_args(Phase) else "start"
