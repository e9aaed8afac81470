"""What every runner whose jobs run in another system does alike: before its jobs are led, and to read their output."""

import time
from collections.abc import Callable, Mapping

from runbooks.base import Runbook
from runbooks.outcome import OUTPUT_LIMIT, Outcome
from runbooks.runners import remote
from runbooks.runners.conversation import check_id, cleaner
from runbooks.runners.exchange import Denied
from runbooks.runners.jobs import Jobs, RemoteError
from runbooks.targets.sqlite import TargetError
from runbooks.watch import Watch

OUTPUT_SECONDS = 15.0
"""How long the rest of an output is read once its job has ended."""


def carried_out(
    system: str,
    runbook: Runbook,
    client: Callable[[], Jobs],
    *,
    target: Mapping[str, str],
    run_id: str,
    handed: Mapping[str, str] | None,
    watch: Watch,
    job: str,
    time_limit: float | None,
) -> Outcome:
    """Make the run's client and lead its jobs, or lead them on; the arguments are a runner's.

    system: what people call it. client: made once, here; what it raises as TargetError or ValueError (a value that
    does not fit) ends the run before anything was launched.
    """
    if handed:
        raise ValueError(f"handed: {system} keeps and shows what a job is given, so it is given no secret")
    check_id(run_id)
    clean = cleaner(target)
    try:
        jobs = client()
    except (TargetError, ValueError) as error:
        return remote.not_led(job, str(error), clean)
    return remote.lead(runbook, jobs, job=job, clean=clean, watch=watch, time_limit=time_limit)


class Reading:
    """How far a job's output was read. at: where to go on, as the system counts; room: characters that may follow."""

    def __init__(self, system: str) -> None:
        self.at = 0
        self.room = OUTPUT_LIMIT
        self._system = system

    def fitting(self, text: str) -> str:
        """What of the text may still be kept, and where the rest is when it is cut."""
        shown = text[: self.room]
        self.room -= len(shown)
        return shown if self.room > 0 else f"{shown}\n[the rest stands in {self._system}]\n"

    def onward(self, lines: Callable[[], str], *, whole: bool) -> str:
        """What was written since the last look; what cannot be read now is read at the next one.

        lines: the next piece, empty where there is none as yet. whole: read on to the end, since the job has ended.
        """
        pieces: list[str] = []
        give_up = time.monotonic() + OUTPUT_SECONDS
        try:
            while self.room > 0 and (piece := lines()):
                pieces.append(piece)
                if not whole or time.monotonic() >= give_up:
                    break
        except (RemoteError, Denied) as error:
            pieces += [f"\n[the rest cannot be read: {error}]\n"] if whole else []
        return "".join(pieces)
