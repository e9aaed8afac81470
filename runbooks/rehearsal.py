"""Runs a runbook's pre-check on its real target, and says what its action would do there, without doing it."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from runbooks.base import Runbook
from runbooks.runners import PLANS, RUNNERS, ansible
from runbooks.runners.conversation import cleaner
from runbooks.targets import TargetError
from runbooks.watch import Watch

SHOWN = 20_000
"""Characters of what an action would do that are shown."""
PASSED = "The pre-check found nothing against it."


class _Enough(Exception):
    """Raised where the action would start, which by every runner's contract it then never does."""


@dataclass(frozen=True)
class Rehearsed:
    """passed: the action would start now. message: what the pre-check said."""

    passed: bool
    message: str


def pre_check(runbook: Runbook, *, parameters: Mapping[str, str], target: Mapping[str, str]) -> Rehearsed:
    """Run the pre-check in a child process as a run would, on a target that refuses every change."""

    def enough() -> None:
        raise _Enough

    run_id = f"rehearsal-{uuid.uuid4()}"
    try:
        outcome = RUNNERS[runbook.runner](
            runbook, parameters=parameters, target=target, run_id=run_id, watch=Watch(on_start=enough)
        )
    except _Enough:
        return Rehearsed(True, PASSED)
    return Rehearsed(False, outcome.message)


@dataclass(frozen=True)
class Foreseen:
    """known: it can be said what the action would do. message: that, or why not. output: what, secrets masked."""

    known: bool
    message: str
    output: str = ""


def action(runbook: Runbook, *, parameters: Mapping[str, str], target: Mapping[str, str]) -> Foreseen | None:
    """Say what the action would do now, and do nothing of it; None for steps in Python, which nobody can try.

    Ansible plays its tasks with `--check --diff` on the real host. Of jobs elsewhere: what would be sent to launch one.
    """
    run_id = f"rehearsal-{uuid.uuid4()}"
    if runbook.runner == "ansible":
        outcome = ansible.dry_run(runbook, parameters=parameters, target=target, run_id=run_id)
        return Foreseen(outcome.status == "succeeded", outcome.message, _bounded(outcome.output))
    if runbook.runner not in PLANS:
        return None
    clean = cleaner(target)
    try:
        sent = PLANS[runbook.runner](runbook, parameters=parameters, target=target, run_id=run_id)
    except TargetError as error:
        return Foreseen(False, clean(str(error)))
    told = json.dumps(sent, indent=2, ensure_ascii=False)
    return Foreseen(
        True, f"Nothing was launched; the action would be a job of {runbook.runner}.", _bounded(clean(told))
    )


def _bounded(text: str) -> str:
    more = len(text) - SHOWN
    return text if more <= 0 else f"{text[:SHOWN]}\n[... {more} more characters ...]\n"
