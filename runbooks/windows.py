"""When runs may start: maintenance windows that come again, and change freezes. Plain arithmetic; nothing is kept here.

A window's days are an RFC 5545 recurrence rule (section 3.3.10), its hours are wall-clock time in an IANA time zone. A
local time that the clocks skip or show twice is read as RFC 5545 reads it (section 3.3.5): with the offset from before
the gap, and as the first of two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from dateutil.rrule import rrule, rrulestr

HORIZON = timedelta(days=366)
"""How far ahead a next opening is looked for."""

STEPS = 1000
"""How often windows and freezes may take turns in being closed before the search for an opening is given up."""

_PARTS = frozenset({"FREQ", "INTERVAL", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS", "WKST"})
_FREQUENCIES = frozenset({"DAILY", "WEEKLY", "MONTHLY", "YEARLY"})
_DAY = timedelta(days=1)


class WindowInvalid(ValueError):
    """The window can never be read; the message says what is wrong and what to write."""


@dataclass(frozen=True)
class Window:
    """`days`: a recurrence rule, as in FREQ=WEEKLY;BYDAY=SA,SU or FREQ=MONTHLY;BYDAY=2TU, counted from `first_day`.

    `begins` and `ends`: local times; an end that is not after the beginning is on the next day.
    """

    days: str
    begins: time
    ends: time
    zone: str = "UTC"
    first_day: date = date(2024, 1, 1)


@dataclass(frozen=True)
class Freeze:
    """From `begins` until before `ends` (with time zones) nothing starts, for the reason given."""

    begins: datetime
    ends: datetime
    reason: str


@dataclass(frozen=True)
class Closed:
    """Why nothing may start now, and when the next start is possible; None: not within `HORIZON`."""

    reason: str
    until: datetime | None


Group = Sequence[Window]
"""Windows that add up: one of them must be open. Where there are several groups, one of each must."""


def trouble_with(window: Window) -> str:
    """What is wrong with a window, as a sentence; empty where nothing is."""
    try:
        rule = _rule(window.days, window.first_day)
    except WindowInvalid as error:
        return str(error)
    if window.zone not in available_timezones():
        return f"There is no time zone {window.zone[:64]!r}: write one such as Europe/Berlin or UTC."
    after = datetime.combine(window.first_day, time())
    return "" if rule.after(after, inc=True) else "These days never come: change the rule."


def open_at(groups: Sequence[Group], freezes: Sequence[Freeze], at: datetime) -> bool:
    """Say whether a run may start at this moment."""
    return not any(_frozen(freeze, at) for freeze in freezes) and all(_until(group, at) == at for group in groups)


def next_open(groups: Sequence[Group], freezes: Sequence[Freeze], at: datetime) -> datetime | None:
    """The first moment from `at` on at which a run may start; None where there is none within `HORIZON`."""
    moment, last = at, at + HORIZON
    for _ in range(STEPS):
        later = max([freeze.ends for freeze in freezes if _frozen(freeze, moment)], default=moment)
        for group in groups:
            opens = _until(group, later)
            if opens is None:
                return None
            later = max(later, opens)
        if later == moment:
            return moment.astimezone(UTC)
        if later > last:
            return None
        moment = later
    return None


def closed(groups: Sequence[Group], freezes: Sequence[Freeze], at: datetime) -> Closed | None:
    """Why nothing may start at this moment and until when; None where it may."""
    if open_at(groups, freezes, at):
        return None
    frozen = next((freeze for freeze in freezes if _frozen(freeze, at)), None)
    reason = f"a change freeze: {frozen.reason}" if frozen else "outside its maintenance window"
    return Closed(reason, next_open(groups, freezes, at))


def _frozen(freeze: Freeze, at: datetime) -> bool:
    return freeze.begins <= at < freeze.ends


def _until(group: Group, at: datetime) -> datetime | None:
    """When one of the windows is open: `at` itself, or the next beginning; None where none comes within `HORIZON`."""
    found = [opens for window in group if (opens := _opens(window, at)) is not None]
    return min(found, default=None)


def _opens(window: Window, at: datetime) -> datetime | None:
    rule, zone = _rule(window.days, window.first_day), ZoneInfo(window.zone)
    # a window that began the day before may still be open; a day more for one that the clocks moved
    day = datetime.combine(at.astimezone(zone).date(), time()) - 2 * _DAY
    last = day + HORIZON + 2 * _DAY
    for begun in rule.xafter(day, inc=True):
        if begun > last:
            return None
        begins, ends = _span(window, begun.date(), zone)
        if at < ends:
            return max(at, begins)
    return None


def _span(window: Window, day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Both ends in UTC: local times of one zone are compared by the clock on the wall, not by what passes."""
    until = day if window.ends > window.begins else day + _DAY
    begins = datetime.combine(day, window.begins, zone).astimezone(UTC)
    return begins, datetime.combine(until, window.ends, zone).astimezone(UTC)


@lru_cache(maxsize=256)
def _rule(days: str, first_day: date) -> rrule:
    parts = dict(part.partition("=")[::2] for part in days.upper().replace(" ", "").split(";") if part)
    odd = sorted(set(parts) - _PARTS)
    if odd or parts.get("FREQ") not in _FREQUENCIES:
        raise WindowInvalid(
            "Write the days as a rule such as FREQ=WEEKLY;BYDAY=SA,SU or FREQ=MONTHLY;BYDAY=2TU"
            + (f": {', '.join(odd)[:100]} cannot be used here." if odd else ", with FREQ as its first word.")
        )
    try:
        rule = rrulestr(
            ";".join(f"{name}={value}" for name, value in parts.items()), dtstart=_midnight(first_day), cache=True
        )
    except (ValueError, TypeError, KeyError) as error:
        raise WindowInvalid(f"These days cannot be read: {str(error)[:100]}.") from error
    if not isinstance(rule, rrule):
        raise WindowInvalid("Give one rule, not a set of them.")
    return rule


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time())
