"""Leads one run through its phases and reports each over a pipe; runs in the child process.

Pre-check, action, post-check; a failing post-check runs the undo and its check. The checks decide,
never the absence of an exception. Standard library only.
"""

import contextlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from runbooks import files, process, targets
from runbooks.context import Context, NotDone, Refused
from runbooks.verdict import verdict

MESSAGE_LIMIT = 2000
STEPS = "steps.py"
MODULE = "runbook_steps"
"""What the steps are called while they run: no name of a folder ever becomes the name of a module."""


def report(pipe: int, line: dict[str, Any]) -> None:
    """Write one JSON line; a pipe without reader means that the run was given up, and raises."""
    data = json.dumps(line).encode() + b"\n"
    while data:
        data = data[os.write(pipe, data) :]


def load(path: Path, data: bytes) -> ModuleType:
    """Load the steps from exactly the bytes that were decided on; nothing is looked for in the folder afterwards."""
    module = ModuleType(MODULE)
    module.__file__ = str(path)
    # Dataclasses and typing look a class's module up by name.
    sys.modules[MODULE] = module
    exec(compile(data, path, "exec"), module.__dict__)  # noqa: S102 - the bytes are those that the digest covers
    return module


class Run:
    """One run in the child: its steps, its context and the pipe to the parent."""

    def __init__(self, steps: ModuleType, context: Context[Any], *, pipe: int, reversible: bool) -> None:
        self.steps = steps
        self.context = context
        self.pipe = pipe
        self.reversible = reversible

    def phase(self, name: str) -> tuple[str, str]:
        """Run one phase; return how it went (ok, refused, not_done, error) and the sentence for it."""
        self.context.target.allow_changes(name in ("action", "undo"))
        report(self.pipe, {"type": "begin", "phase": name})
        began = time.monotonic()
        kind, message = "ok", ""
        try:
            getattr(self.steps, name)(self.context)
        except Refused as error:
            kind, message = "refused", str(error)
        except NotDone as error:
            kind, message = "not_done", str(error)
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 - the checks judge, whatever it was
            sys.stdout.flush()
            traceback.print_exc()
            kind, message = "error", f"{type(error).__name__}: {error}"
        sys.stdout.flush()
        message = message[:MESSAGE_LIMIT]
        report(
            self.pipe,
            {
                "type": "end",
                "phase": name,
                "ok": kind == "ok",
                "message": message,
                "seconds": round(time.monotonic() - began, 4),
            },
        )
        return kind, message

    def lead(self, may_start: Callable[[], bool]) -> None:
        """Run all phases and report the verdict."""
        status, message = self.judge(may_start)
        report(self.pipe, {"type": "verdict", "status": status, "message": message})

    def judge(self, may_start: Callable[[], bool]) -> tuple[str, str]:
        """Run all phases; return the status and the sentences for it."""

        def ready() -> bool:
            report(self.pipe, {"type": "ready"})
            return may_start()

        return verdict(self.phase, ready=ready, reversible=self.reversible)


def run(request: dict[str, Any], *, pipe: int, may_start: Callable[[], bool]) -> None:
    """Load the steps, open the target and lead the run through; every way out is a verdict or a death."""
    try:
        folder = Path(request["folder"])
        data = files.verified(folder, request["digests"])[STEPS]
        target = targets.connect(request["target_kind"], request["target"])
        if request["run_as"] and os.geteuid() == 0:
            # From here on what operators wrote runs, with the rights of nobody who matters.
            guardian = os.getppid()
            process.become(request["run_as"])
            process.die_with_parent(signal.SIGKILL, guardian)
        steps = load(folder / STEPS, data)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a file of steps may raise anything
        traceback.print_exc()
        message = f"the run could not begin ({type(error).__name__}: {error}); nothing was changed"
        report(pipe, {"type": "verdict", "status": "failed", "message": message[:MESSAGE_LIMIT]})
        return
    context: Context[Any] = Context(
        target=target,
        parameters=request["parameters"],
        run_id=request["run_id"],
        handed=request["handed"],
        on_remember=lambda name, value: report(pipe, {"type": "remember", "name": name, "value": value}),
    )
    with contextlib.closing(target):
        Run(steps, context, pipe=pipe, reversible=request["reversible"]).lead(may_start)
