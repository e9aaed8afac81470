"""What a runner whose phases are jobs of another system is told and asked: the words of `runbooks.runners.remote`."""

import json
from dataclasses import asdict, dataclass, field
from typing import Literal, Protocol

CHANGING = ("action", "undo")
"""The phases that are never launched twice."""


class RemoteError(Exception):
    """The other system could not be asked, and may be asked again; the message says what it was.

    From a launch it says besides that nothing was started, for certain.
    """


class LaunchRefused(Exception):
    """The job was not started, for certain. `alarm`: the runbook's circuit must open at once.

    `unsure`: it was started as nobody wanted it, and may have done something before it was ended. `status`: of HTTP,
    where the other system refused.
    """

    def __init__(self, message: str, *, alarm: bool = False, unsure: bool = False, status: int = 0) -> None:
        super().__init__(message)
        self.alarm = alarm
        self.unsure = unsure
        self.status = status


class LaunchLost(Exception):
    """No answer came to a launch: the job may run."""


@dataclass(frozen=True)
class Seen:
    """A job as it stands. output: what it wrote since the last look, as text. message: why it ended as it did."""

    state: Literal["running", "succeeded", "failed", "canceled"]
    message: str = ""
    output: str = ""


class Jobs(Protocol):
    """One run's client of a job system. Each method asks once, bounded in time; RemoteError when it cannot."""

    def launch(self, phase: str) -> str:
        """Start the phase's job, marked with the run's identity; its number. LaunchRefused or LaunchLost."""

    def find(self, phase: str) -> list[str]:
        """The numbers of all jobs of this phase that carry the run's identity.

        LaunchRefused, with `alarm`, where one of them runs as nobody wanted it.
        """

    def look(self, job: str) -> Seen:
        """How the job stands; LaunchRefused, with `alarm`, where it turns out that it works elsewhere."""

    def cancel(self, job: str) -> None:
        """Ask that the job end; it may take a while."""


class StateError(ValueError):
    """A text says nothing of where a run stands."""


@dataclass
class State:
    """Where a run stands, as text in `watch.on_job`: the phase, its job ("" while it is launched), what was before.

    ends_at: seconds since the epoch by which the phases up to the post-check, or the undo, must have ended.
    """

    phase: str = ""
    job: str = ""
    started: bool = False
    ends_at: float = 0.0
    ended: dict[str, tuple[str, str, float]] = field(default_factory=dict)

    def text(self) -> str:
        """The state as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> "State":
        """The state that `text` wrote; a new one from an empty text. StateError where it wrote something else."""
        try:
            return cls(**json.loads(text)) if text else cls()
        except (ValueError, TypeError) as error:
            raise StateError("where the run stands cannot be read") from error
