"""How a runbook's steps are executed: one file a runner, one line here."""

from collections.abc import Callable, Mapping
from typing import Protocol

from pydantic import BaseModel

from runbooks.base import Runbook
from runbooks.outcome import Outcome
from runbooks.runners import ansible, awx, python, rundeck, ssm
from runbooks.runners.ansible_sources import AnsibleSettings
from runbooks.runners.job_settings import AwxSettings, RundeckSettings
from runbooks.runners.ssm_sources import DocumentPhases
from runbooks.watch import QUIET, Watch

__all__ = [
    "LOOKS",
    "PLANS",
    "RESUMABLE",
    "RUNNERS",
    "SETTINGS",
    "TARGET_KINDS",
    "VERSIONS",
    "Outcome",
    "Runner",
    "Version",
]


class Runner(Protocol):
    """What every runner takes and gives; see `runbooks.runners.python.execute` and `runbooks.watch.Watch`.

    Every runner calls `watch.on_start` once, between pre-check and action. When that raises, the action never starts
    and the exception goes on to the caller: a rehearsal relies on it.
    job: for a runner of RESUMABLE what it last told `watch.on_job`, to go on with a run whose worker was lost; empty
    at the beginning, and always for the others.
    """

    def __call__(
        self,
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
        """Execute the runbook once."""


RUNNERS: Mapping[str, Runner] = {
    "ansible": ansible.execute,
    "awx": awx.execute,
    "python": python.execute,
    "rundeck": rundeck.execute,
    "ssm": ssm.execute,
}

SETTINGS: Mapping[str, type[BaseModel]] = {
    "ansible": AnsibleSettings,
    "awx": AwxSettings,
    "rundeck": RundeckSettings,
    "ssm": DocumentPhases,
}
"""What the table `[<runner>]` of a runbook.toml may hold, for a runner that needs one.

Checked with the context {"folder": Path}; the result is `Runbook.settings`, in which lists are lists.
"""

TARGET_KINDS: Mapping[str, str] = {"ansible": "host", "awx": "awx", "rundeck": "rundeck", "ssm": "ssm"}
"""The one kind of target that a runner works on; the others take any."""

RESUMABLE: frozenset[str] = frozenset({"awx", "rundeck", "ssm"})
"""Runners whose jobs run elsewhere and go on when a worker is lost: any worker follows them to their end."""


class Version(Protocol):
    """What a runner whose action lies elsewhere says about it."""

    def __call__(self, runbook: Runbook, *, target: Mapping[str, str]) -> str:
        """Return a sha256 (hex) over all that the other system would run now; TargetError where it does not say."""


VERSIONS: Mapping[str, Version] = {"awx": awx.version, "rundeck": rundeck.version, "ssm": ssm.version}
"""By runner: the version of an action that this installation does not hold. A change of it is a changed action."""


class Plan(Protocol):
    """What a runner whose action lies elsewhere says of one run before it is one."""

    def __call__(
        self, runbook: Runbook, *, parameters: Mapping[str, str], target: Mapping[str, str], run_id: str
    ) -> dict[str, object]:
        """Return what would be sent to launch the action; nothing is launched. TargetError where it would not be."""


PLANS: Mapping[str, Plan] = {"awx": awx.plan, "rundeck": rundeck.plan, "ssm": ssm.plan}
"""By runner: what launching the action would send, field by field."""

LOOKS: Mapping[str, Callable[[Mapping[str, str]], str]] = {
    "awx": awx.look,
    "rundeck": rundeck.look,
    "ssm": ssm.look,
}
"""By the kind of a target that only a runner reaches: reach it, change nothing, say in words what there is.

TargetError where it cannot be reached.
"""
