"""Whether one more run of a runbook may start now: runs an hour, runs at the same moment, error circuit.

Plain arithmetic on what the caller looked up; nothing is kept here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from runbooks.base import Limits
from runbooks.outcome import Status

HOUR = timedelta(hours=1)
WRONG: frozenset[Status] = frozenset({"failed", "undone", "undo_failed", "unknown"})
"""The outcomes that the circuit counts against a runbook. A refusal counts neither way."""


@dataclass(frozen=True)
class Finished:
    """One finished run: when it ended (with time zone) and how."""

    at: datetime
    status: Status


@dataclass(frozen=True)
class Circuit:
    """Open: nothing more starts by itself until a person closes it. `since`: the run that opened it."""

    open: bool
    wrong: int
    of: int
    since: datetime | None


def circuit(limits: Limits, finished: Sequence[Finished], *, closed_at: datetime | None = None) -> Circuit:
    """Return the circuit after these runs, in any order.

    It opens with the run that made `circuit_failures` of the last `circuit_runs` wrong, and stays open
    whatever ends afterwards. `closed_at`: when a person last closed it; older runs are forgiven.
    """
    counted = sorted(
        (run for run in finished if run.status != "refused" and (closed_at is None or run.at > closed_at)),
        key=lambda run: run.at,
    )
    wrong, of = 0, 0
    for end in range(1, len(counted) + 1):
        window = counted[max(0, end - limits.circuit_runs) : end]
        wrong, of = sum(run.status in WRONG for run in window), len(window)
        if wrong >= limits.circuit_failures:
            return Circuit(True, wrong, of, counted[end - 1].at)
    return Circuit(False, wrong, of, None)


def free_at(limits: Limits, starts: Sequence[datetime], *, at: datetime) -> datetime:
    """Return when the hourly limit lets the next run start: `at`, or later when the hour is full."""
    recent = sorted(start for start in starts if start > at - HOUR)
    if len(recent) < limits.runs_an_hour:
        return at
    return recent[-limits.runs_an_hour] + HOUR


def check(
    limits: Limits,
    *,
    starts: Sequence[datetime],
    running: int,
    finished: Sequence[Finished],
    at: datetime,
    closed_at: datetime | None = None,
) -> str | None:
    """Return why one more run may not start now, in one sentence, or None when it may.

    starts: when runs of this runbook at this customer started, the last hour at least.
    running: how many are live now, UNKNOWN ones included. finished: those that ended lately.
    """
    state = circuit(limits, finished, closed_at=closed_at)
    if state.open:
        return f"its circuit is open: {state.wrong} of the last {state.of} runs went wrong; a person must close it"
    if running >= limits.concurrent:
        return f"{running} runs are live and {limits.concurrent} may be at the same moment"
    if free_at(limits, starts, at=at) > at:
        return f"{limits.runs_an_hour} runs started within the hour, which is its limit"
    return None
