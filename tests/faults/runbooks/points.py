"""Named points at which a worker is killed, each by its own signal, in the product's own code as it runs.

Armed in a forked child only: the functions of the product are wrapped there, and nowhere else.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import Any

from runbooks.runners import awx
from runbooks.runners.jobs import Seen, State
from triage import automation, execution, grounds, lifecycle, watching
from triage.lake import claims


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _after(module: ModuleType, name: str) -> None:
    original = getattr(module, name)

    def wrapped(*given: Any, **named: Any) -> Any:
        original(*given, **named)
        _die()

    setattr(module, name, wrapped)


def _before(module: ModuleType, name: str) -> None:
    def wrapped(*_: Any, **__: Any) -> None:
        _die()

    setattr(module, name, wrapped)


def _status(to: str) -> None:
    """Inside the transaction that moves a row there, before it is committed."""
    original = lifecycle.advance

    def wrapped(*given: Any, **named: Any) -> Any:
        moved = original(*given, **named)
        if named["to"] == to and moved:
            _die()
        return moved

    lifecycle.advance = wrapped


def _phase(name: str) -> None:
    original = watching.watch

    def wrapped(*given: Any, **named: Any) -> Any:
        return replace(original(*given, **named), on_phase=lambda phase: _die() if phase == name else None)

    watching.watch = wrapped


def _job(*, kept: bool, before: bool = False) -> None:
    """When it is written down that the action's job is to be launched, or which one it is."""
    original = watching.watch

    def wrapped(*given: Any, **named: Any) -> Any:
        watch = original(*given, **named)

        def on_job(text: str) -> None:
            state = State.of(text)
            here = state.phase == "action" and bool(state.job) == kept
            if here and before:
                _die()
            watch.on_job(text)
            if here:
                _die()

        return replace(watch, on_job=on_job)

    watching.watch = wrapped


def _following() -> None:
    """At the second look at the action's job, whose end nobody has seen yet."""
    looks: Counter[str] = Counter()
    original = awx.AwxJobs.look

    def look(self: awx.AwxJobs, job: str) -> Seen:
        looks[job] += 1
        if looks[job] == 2:
            _die()
        return original(self, job)

    awx.AwxJobs.look = look  # type: ignore[method-assign]  # in this forked child only


POINTS: Mapping[str, Callable[[], None]] = {
    "claim not committed": partial(_status, "claimed"),
    "claimed": partial(_after, execution, "_claim"),
    "grounds looked at": partial(_after, grounds, "gone"),
    "before the lake's claim": partial(_before, claims, "take"),
    "lake's claim put": partial(_after, claims, "take"),
    "claimed in both": partial(_after, execution, "_claim_in_lake"),
    "start not committed": partial(_status, "starting"),
    "start committed": partial(_after, execution, "_commit_starting"),
    "pre-check begins": partial(_phase, "pre_check"),
    "before the lake's start": partial(_before, claims, "start"),
    "lake's start put": partial(_after, claims, "start"),
    "action begins": partial(_phase, "action"),
    "action has ended": partial(_phase, "post_check"),
    "outcome known": partial(_before, execution, "record_surely"),
    "outcome not committed": partial(_status, "succeeded"),
    "before the ticket follows": partial(_before, automation, "settle"),
    "recorded": partial(_after, execution, "record_surely"),
}
JOB_POINTS: Mapping[str, Callable[[], None]] = {
    "job intended": partial(_job, kept=False),
    "launched and number not kept": partial(_job, kept=True, before=True),
    "number kept": partial(_job, kept=True),
    "while following": _following,
}
"""For runs whose phases are jobs elsewhere, each while the action is launched or followed."""
FOLLOWED = ("number kept", "while following")
"""After these the job is known, so that any other worker can follow it to its end."""
SWEEPS: Mapping[str, Callable[[], None]] = {
    "sweep: unknown not committed": partial(_status, "unknown"),
    "sweep: claim not returned": partial(_status, "requested"),
    "sweep: before the ticket follows": partial(_before, automation, "settle"),
}


def arm(name: str) -> None:
    """Make this process die there."""
    {**POINTS, **JOB_POINTS, **SWEEPS}[name]()
