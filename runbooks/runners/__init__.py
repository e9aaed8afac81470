"""How a runbook's steps are executed: one file a runner, one line here."""

from collections.abc import Callable, Mapping
from typing import Protocol

from pydantic import BaseModel

from runbooks.base import Runbook
from runbooks.outcome import Outcome
from runbooks.runners import ansible, python
from runbooks.runners.ansible_sources import AnsibleSettings

__all__ = ["RUNNERS", "SETTINGS", "Outcome", "Runner"]


class Runner(Protocol):
    """What every runner takes and gives; see `runbooks.runners.python.execute`.

    Every runner calls `on_start` once, between pre-check and action. When that raises, the action never starts and
    the exception goes on to the caller: a rehearsal relies on it.
    """

    def __call__(
        self,
        runbook: Runbook,
        *,
        parameters: Mapping[str, str],
        target: Mapping[str, str],
        run_id: str,
        on_start: Callable[[], None] | None = None,
        on_phase: Callable[[str], None] | None = None,
        time_limit: float | None = None,
    ) -> Outcome:
        """Execute the runbook once."""


RUNNERS: Mapping[str, Runner] = {
    "ansible": ansible.execute,
    "python": python.execute,
}

SETTINGS: Mapping[str, type[BaseModel]] = {"ansible": AnsibleSettings}
"""What the table `[<runner>]` of a runbook.toml may hold, for a runner that needs one.

Checked with the context {"folder": Path}; the result is `Runbook.settings`, in which lists are lists.
"""
