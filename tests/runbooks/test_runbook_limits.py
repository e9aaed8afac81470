"""Limits are plain arithmetic: runs an hour, runs at once, and a circuit that only a person closes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from runbooks import limits
from runbooks.base import Limits
from runbooks.limits import Count, Finished, Full
from runbooks.outcome import Status

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
FEW = Limits(circuit_failures=2, circuit_runs=4)


def ago(minutes: float) -> datetime:
    return AT - timedelta(minutes=minutes)


def ended(*statuses: Status) -> list[Finished]:
    """Runs that ended a minute apart, the last one a minute ago."""
    return [Finished(ago(len(statuses) - number), status) for number, status in enumerate(statuses)]


def count(*, starts: list[datetime] | None = None, running: int = 0, **values: int) -> Count:
    given = {"runs_an_hour": 3, "concurrent": 2, **values}
    return Count(what="Unlock", starts=starts or [], running=running, **given)


def test_nothing_stands_in_the_way_of_a_first_run() -> None:
    assert limits.full([count()], at=AT) is None
    assert limits.full([], at=AT) is None


def test_an_hour_holds_only_so_many_starts() -> None:
    starts = [ago(59), ago(30), ago(1)]
    assert limits.full([count(starts=starts[1:])], at=AT) is None
    free = AT + timedelta(minutes=1)
    assert limits.full([count(starts=starts)], at=AT) == Full(
        "3 runs of Unlock started within the hour, which is the limit, until 12:01:00 UTC", free
    )
    assert limits.free_at(3, starts, at=AT) == free
    assert limits.full([count(starts=starts)], at=free) is None


def test_only_so_many_runs_are_live_at_once() -> None:
    assert limits.full([count(running=1)], at=AT) is None
    assert limits.full([count(running=2)], at=AT) == Full(
        "2 runs are live of Unlock and 2 may be at the same moment", None
    )


def test_of_several_limits_the_one_that_stays_full_longest_is_named() -> None:
    soon, late = count(starts=[ago(59)], runs_an_hour=1), count(starts=[ago(20)], runs_an_hour=1)
    found = limits.full([soon, late, count()], at=AT)
    assert found is not None
    assert found.until == AT + timedelta(minutes=40)
    live = limits.full([late, count(running=5)], at=AT)
    assert live is not None
    assert live.until is None


def test_a_limit_of_nothing_lets_nothing_start() -> None:
    found = limits.full([count(runs_an_hour=0)], at=AT)
    assert found is not None
    assert "no run of Unlock may start" in found.reason


def test_the_circuit_opens_on_wrong_runs_and_names_the_one_that_opened_it() -> None:
    runs = ended("succeeded", "failed", "succeeded", "undone", "succeeded", "succeeded", "succeeded")
    state = limits.circuit(FEW, runs)
    assert (state.open, state.wrong, state.of, state.since) == (True, 2, 4, runs[3].at)
    said = limits.open_circuit(state)
    assert said == "its circuit is open: 2 of the last 4 runs went wrong; a person must close it"


def test_wrong_runs_far_apart_do_not_open_the_circuit() -> None:
    runs = ended("failed", "succeeded", "succeeded", "succeeded", "unknown", "succeeded")
    assert limits.circuit(FEW, runs).open is False


def test_refusals_count_neither_way() -> None:
    assert limits.circuit(FEW, ended("refused", "refused", "refused", "failed")).open is False
    assert limits.circuit(FEW, ended("failed", "refused", "refused", "refused", "refused", "undo_failed")).open


def test_one_alarm_opens_the_circuit_even_where_the_run_was_refused() -> None:
    runs = ended("succeeded", "refused", "succeeded")
    assert limits.circuit(FEW, runs).open is False
    runs[1] = replace(runs[1], alarm=True)
    state = limits.circuit(FEW, runs)
    assert (state.open, state.since) == (True, runs[1].at)
    assert limits.circuit(FEW, runs, closed_at=runs[1].at).open is False


def test_closing_the_circuit_forgives_what_was_before() -> None:
    runs = ended("failed", "failed", "succeeded")
    assert limits.circuit(FEW, runs, closed_at=ago(1.5)).open is False
    assert limits.circuit(FEW, runs, closed_at=ago(5)).open is True


@given(
    minutes=st.lists(st.floats(min_value=0, max_value=300, allow_nan=False), max_size=40),
    an_hour=st.integers(min_value=1, max_value=10),
)
def test_starting_whenever_it_is_allowed_never_exceeds_the_hourly_limit(minutes: list[float], an_hour: int) -> None:
    started: list[datetime] = []
    for at in sorted(ago(300 - minute) for minute in minutes):
        free = limits.free_at(an_hour, started, at=at)
        if limits.full([count(starts=started, runs_an_hour=an_hour)], at=at) is None:
            assert free == at
            started.append(at)
        else:
            assert at < free <= at + limits.HOUR
            assert limits.full([count(starts=started, runs_an_hour=an_hour)], at=free) is None
    for start in started:
        assert sum(start - limits.HOUR < other <= start for other in started) <= an_hour


@given(st.lists(st.sampled_from(["succeeded", "failed", "undone", "unknown", "refused"]), max_size=30))
def test_an_open_circuit_stays_open_whatever_ends_afterwards(statuses: list[Status]) -> None:
    runs = ended(*statuses)
    opened = [limits.circuit(FEW, runs[:end]).open for end in range(len(runs) + 1)]
    assert opened == sorted(opened)
    assert limits.circuit(FEW, runs) == limits.circuit(FEW, list(reversed(runs)))
