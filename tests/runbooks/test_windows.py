"""Windows open and close by the clock on the wall, whatever it does at night; freezes close everything."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbooks import windows
from runbooks.windows import Freeze, Window

BERLIN = ZoneInfo("Europe/Berlin")
WEEKEND = Window("FREQ=WEEKLY;BYDAY=SA,SU", time(22), time(6), "Europe/Berlin")


def berlin(*parts: int, fold: int = 0) -> datetime:
    return datetime(*parts, tzinfo=BERLIN, fold=fold)  # type: ignore[arg-type,misc]  # year, month, day, hour ...


def opens(*group: Window, at: datetime, freezes: tuple[Freeze, ...] = ()) -> datetime | None:
    return windows.next_open([group], freezes, at)


@pytest.mark.parametrize(
    ("at", "is_open"),
    [
        (berlin(2026, 11, 21, 21, 59, 59), False),
        (berlin(2026, 11, 21, 22), True),  # a Saturday
        (berlin(2026, 11, 22, 5, 59, 59), True),
        (berlin(2026, 11, 22, 6), False),
        (berlin(2026, 11, 23, 5), True),  # Sunday's lasts into Monday
        (berlin(2026, 11, 24, 5), False),
    ],
)
def test_a_window_over_midnight_is_open_from_its_beginning_until_before_its_end(at: datetime, is_open: bool) -> None:
    assert windows.open_at([[WEEKEND]], [], at) is is_open
    assert windows.open_at([[WEEKEND]], [], at.astimezone(UTC)) is is_open


def test_the_next_opening_is_the_moment_itself_or_the_next_beginning() -> None:
    assert opens(WEEKEND, at=berlin(2026, 11, 22, 1)) == berlin(2026, 11, 22, 1)
    assert opens(WEEKEND, at=berlin(2026, 11, 23, 6)) == berlin(2026, 11, 28, 22)
    assert windows.next_open([], [], berlin(2026, 1, 1)) == berlin(2026, 1, 1)


def test_a_window_keeps_its_hours_on_the_wall_when_the_clocks_change() -> None:
    night = Window("FREQ=DAILY", time(22), time(6), "Europe/Berlin")
    for day in (date(2026, 3, 28), date(2026, 10, 24), date(2026, 11, 21)):
        begins, ends = berlin(day.year, day.month, day.day, 22), berlin(day.year, day.month, day.day + 1, 6)
        assert windows.open_at([[night]], [], begins.astimezone(UTC))
        assert not windows.open_at([[night]], [], begins.astimezone(UTC) - timedelta(seconds=1))
        assert windows.open_at([[night]], [], ends.astimezone(UTC) - timedelta(seconds=1))
        assert not windows.open_at([[night]], [], ends.astimezone(UTC))


def test_a_beginning_that_the_clocks_skip_is_read_with_the_offset_before_the_gap() -> None:
    gap = Window("FREQ=DAILY", time(2, 30), time(5), "Europe/Berlin")
    assert opens(gap, at=datetime(2026, 3, 29, 0, 0, tzinfo=UTC)) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


def test_an_end_that_the_clocks_show_twice_is_the_first_of_the_two() -> None:
    twice = Window("FREQ=DAILY", time(1), time(2, 30), "Europe/Berlin")
    assert windows.open_at([[twice]], [], berlin(2026, 10, 25, 2, 29))
    assert not windows.open_at([[twice]], [], berlin(2026, 10, 25, 2, 29, fold=1))


def test_rules_of_the_month_and_of_every_second_week_are_understood() -> None:
    patch_day = Window("FREQ=MONTHLY;BYDAY=2TU", time(20), time(23))
    assert opens(patch_day, at=datetime(2026, 11, 11, tzinfo=UTC)) == datetime(2026, 12, 8, 20, tzinfo=UTC)
    second = Window("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO", time(1), time(2), first_day=date(2026, 11, 16))
    assert opens(second, at=datetime(2026, 11, 17, tzinfo=UTC)) == datetime(2026, 11, 30, 1, tzinfo=UTC)


def test_windows_of_a_group_add_up_and_groups_narrow_each_other() -> None:
    monday, tuesday = (Window(f"FREQ=WEEKLY;BYDAY={day}", time(10), time(12)) for day in ("MO", "TU"))
    at = datetime(2026, 11, 23, 13, tzinfo=UTC)  # Monday after noon
    assert opens(monday, tuesday, at=at) == datetime(2026, 11, 24, 10, tzinfo=UTC)
    late = Window("FREQ=DAILY", time(11), time(15))
    assert windows.next_open([[monday, tuesday], [late]], [], at) == datetime(2026, 11, 24, 11, tzinfo=UTC)
    assert windows.next_open([[monday], [tuesday]], [], at) is None
    found = windows.closed([[monday], [tuesday]], [], at)
    assert found is not None
    assert found.until is None


def test_nothing_starts_in_a_freeze_and_what_ends_it_is_named() -> None:
    at = berlin(2026, 11, 22, 1)
    freeze = Freeze(berlin(2026, 11, 20), berlin(2026, 11, 29), "year-end closing")
    touching = Freeze(berlin(2026, 11, 29), berlin(2026, 11, 29, 2), "its second part")
    found = windows.closed([[WEEKEND]], [freeze, touching], at)
    assert found == windows.Closed("a change freeze: year-end closing", berlin(2026, 11, 29, 2).astimezone(UTC))
    assert windows.closed([[WEEKEND]], [], at) is None
    assert windows.open_at([], [freeze], freeze.ends)
    assert not windows.open_at([], [freeze], freeze.begins)


@pytest.mark.parametrize(
    ("window", "said"),
    [
        (Window("every Saturday", time(1), time(2)), "Write the days as a rule"),
        (Window("FREQ=HOURLY", time(1), time(2)), "FREQ"),
        (Window("FREQ=DAILY;COUNT=3", time(1), time(2)), "COUNT cannot be used"),
        (Window("FREQ=DAILY;BYHOUR=3", time(1), time(2)), "BYHOUR cannot be used"),
        (Window("FREQ=WEEKLY;BYDAY=XX", time(1), time(2)), "cannot be read"),
        (Window("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", time(1), time(2)), "never come"),
        (Window("FREQ=DAILY", time(1), time(2), "Mars/Olympus"), "no time zone"),
    ],
)
def test_a_window_that_could_not_work_is_refused_with_what_to_write(window: Window, said: str) -> None:
    assert said in windows.trouble_with(window)


def test_a_window_that_works_has_no_trouble() -> None:
    assert windows.trouble_with(WEEKEND) == ""


@settings(max_examples=60, deadline=None)
@given(
    at=st.datetimes(
        datetime(2026, 1, 1),  # noqa: DTZ001 - the strategy adds the zone itself
        datetime(2026, 12, 31),  # noqa: DTZ001 - as above
        timezones=st.just(UTC),
    ),
    begins=st.times().map(lambda found: found.replace(second=0, microsecond=0)),
    ends=st.times().map(lambda found: found.replace(second=0, microsecond=0)),
    days=st.sets(st.sampled_from(["MO", "TU", "WE", "TH", "FR", "SA", "SU"]), min_size=1),
    zone=st.sampled_from(
        ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia", "Australia/Lord_Howe"]
    ),
)
def test_the_next_opening_is_open_and_nothing_before_it_is(
    at: datetime, begins: time, ends: time, days: set[str], zone: str
) -> None:
    window = Window(f"FREQ=WEEKLY;BYDAY={','.join(sorted(days))}", begins, ends, zone)
    found = opens(window, at=at)
    assert found is not None
    assert windows.open_at([[window]], [], found)
    step = (found - at) / 7
    assert not any(windows.open_at([[window]], [], at + number * step) for number in range(7) if step)
