"""Whether one more run of a runbook may start now: runs an hour, runs at the same moment, error circuit.

Plain arithmetic on what the caller looked up, for as many limits as hold for the run; nothing is kept here.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from runbooks.base import Limits
from runbooks.outcome import Status

HOUR = timedelta(hours=1)
WRONG: frozenset[Status] = frozenset({"failed", "undone", "undo_failed", "unknown"})
"""The outcomes that the circuit counts against a runbook. A refusal counts neither way."""


@dataclass(frozen=True)
class Finished:
    """One finished run: when it ended (with time zone) and how. alarm: it opens the circuit alone."""

    at: datetime
    status: Status
    alarm: bool = False


@dataclass(frozen=True, kw_only=True)
class Count:
    """One limit and what counts against it.

    what: what is counted, for the sentence, as in "Unlock an account" or "web-7". A limit of None does not hold.
    starts: when its runs started, the last hour at least. running: how many are live now, UNKNOWN ones included.
    """

    what: str
    runs_an_hour: int | None = None
    concurrent: int | None = None
    starts: Sequence[datetime] = ()
    running: int = 0


@dataclass(frozen=True)
class Full:
    """A limit that is reached: which, in one sentence, and when it lets the next run start; None: when one ends."""

    reason: str
    until: datetime | None


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
    whatever ends afterwards; one run with an alarm is enough. `closed_at`: when a person last closed it; older runs
    are forgiven.
    """
    counted = sorted(
        (
            run
            for run in finished
            if (run.status != "refused" or run.alarm) and (closed_at is None or run.at > closed_at)
        ),
        key=lambda run: run.at,
    )
    wrong, of = 0, 0
    for end in range(1, len(counted) + 1):
        window = counted[max(0, end - limits.circuit_runs) : end]
        wrong, of = sum(run.status in WRONG for run in window), len(window)
        if wrong >= limits.circuit_failures or counted[end - 1].alarm:
            return Circuit(True, wrong, of, counted[end - 1].at)
    return Circuit(False, wrong, of, None)


def free_at(runs_an_hour: int, starts: Sequence[datetime], *, at: datetime) -> datetime:
    """Return when an hourly limit (at least 1) lets the next run start: `at`, or later when the hour is full."""
    recent = sorted(start for start in starts if start > at - HOUR)
    if len(recent) < runs_an_hour:
        return at
    return recent[-runs_an_hour] + HOUR


def full(counts: Iterable[Count], *, at: datetime) -> Full | None:
    """Return the limit that stays full longest, or None where one more run may start under all of them.

    A limit of 0 runs is full for good: its `until` is None.
    """
    found = [one for count in counts for one in _full(count, at=at)]
    never = [one for one in found if one.until is None]
    return never[0] if never else max(found, key=lambda one: one.until or at, default=None)


def _full(count: Count, *, at: datetime) -> Iterator[Full]:
    most, hourly = count.concurrent, count.runs_an_hour
    if most is not None and count.running >= most:
        are = "1 run is" if count.running == 1 else f"{count.running} runs are"
        yield Full(f"{are} live of {count.what} and {most} may be at the same moment", None)
    if hourly == 0:
        yield Full(f"no run of {count.what} may start: its limit is 0 an hour", None)
    elif hourly is not None and (free := free_at(hourly, count.starts, at=at)) > at:
        runs = "1 run" if hourly == 1 else f"{hourly} runs"
        yield Full(
            f"{runs} of {count.what} started within the hour, which is the limit, until {free:%H:%M:%S} UTC", free
        )


def open_circuit(state: Circuit) -> str:
    """Return the sentence that says why nothing starts while this circuit is open."""
    return f"its circuit is open: {state.wrong} of the last {state.of} runs went wrong; a person must close it"
