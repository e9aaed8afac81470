"""Runs a runbook's pre-check on its real target, and nothing else of it: what a run would be told before it starts."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from runbooks.base import Runbook
from runbooks.runners import RUNNERS
from runbooks.watch import Watch

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
