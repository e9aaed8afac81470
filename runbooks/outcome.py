"""What a runner hands back after one run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Status = Literal["succeeded", "refused", "failed", "undone", "undo_failed", "unknown"]
Phase = Literal["start", "pre_check", "action", "post_check", "undo", "undo_check"]

OUTPUT_LIMIT = 1024 * 1024


@dataclass(frozen=True)
class PhaseResult:
    """One finished phase: `ok`, a sentence where there is something to say, and its duration in seconds."""

    phase: Phase
    ok: bool
    message: str
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    status:
      succeeded    the post-check found the wanted state
      refused      the pre-check said no; nothing was changed
      failed       nothing was changed, or (a runbook that cannot be undone) the post-check said no
      undone       the post-check said no and the undo's check found the former state
      undo_failed  the post-check said no and the former state was not found again: a person must look
      unknown      the action was allowed to start and no verdict came: nobody knows, a person must look
    phase: the last phase that began. message: one or more plain sentences. output: what the steps wrote
    to stdout and stderr, at most 1 MiB of UTF-8, head and tail kept. remembered: the state before.
    alarm: something that must not happen again did, so the runbook's circuit opens with this one run.
    """

    status: Status
    phase: Phase
    message: str
    phases: tuple[PhaseResult, ...] = ()
    output: str = ""
    remembered: Mapping[str, str | int] = field(default_factory=dict)
    alarm: bool = False

    @property
    def changed_nothing(self) -> bool:
        """True when it is certain that the action never began."""
        return self.status == "refused" or (self.status == "failed" and self.phase in ("start", "pre_check"))
