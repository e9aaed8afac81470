"""Dates in a ticket's text, as English, German, French and Japanese write them, and every doubt about them.

dateparser and dateutil read more, and guess: they take 03/04/2026 for March, May for the 22nd and 5.4 for a day in
April. Here a date is one that can be read in one way only; whatever else looks like one is left to a person, with
the days that it could be. Which fields of a number date stand where: Unicode CLDR (dots: day first; slashes: by
country).
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone
from typing import NamedTuple

from runbooks.rules import Unfit, listed, short

_MONTHS = (
    ("january", "jan", "januar", "jänner", "janvier", "janv"),
    ("february", "feb", "februar", "février", "fevrier", "févr", "fevr"),
    ("march", "mar", "märz", "maerz", "mär", "mars"),
    ("april", "apr", "avril", "avr"),
    ("may", "mai"),
    ("june", "jun", "juni", "juin"),
    ("july", "jul", "juli", "juillet", "juil"),
    ("august", "aug", "août", "aout"),
    ("september", "sep", "sept", "septembre"),
    ("october", "oct", "oktober", "okt", "octobre"),
    ("november", "nov", "novembre"),
    ("december", "dec", "dezember", "dez", "décembre", "decembre", "déc"),
)
_NUMBER = {name: number for number, names in enumerate(_MONTHS, 1) for name in names}
_MONTH = f"(?:{'|'.join(sorted(_NUMBER, key=len, reverse=True))})"
_RELATIVE = {
    "today": 0, "tomorrow": 1, "heute": 0, "morgen": 1, "übermorgen": 2, "uebermorgen": 2, "aujourd'hui": 0,
    "demain": 1, "après-demain": 2, "本日": 0, "今日": 0, "明日": 1, "明後日": 2,
}  # fmt: skip
_WEEKDAY = (
    "week|month|year|(?:mon|tues|wednes|thurs|fri|satur|sun)day|woche|monat|jahr|(?:mon|diens|donners|frei|sams|sonn)tag"
    "|mittwoch|semaine|mois|lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche"
)
_REIWA = 2018
_DATE = re.compile(
    r"(?<![0-9A-Za-z])(?:"
    r"(?P<y1>[0-9]{4})(?P<s1>[-/.]) ?(?P<m1>[0-9]{1,2})(?P=s1) ?(?P<d1>[0-9]{1,2})(?![0-9])"
    r"|(?P<a2>[0-9]{1,2})(?P<s2>[-/.]) ?(?P<b2>[0-9]{1,2})(?P=s2) ?(?P<y2>[0-9]{4}|[0-9]{2})(?![0-9])"
    r"|(?:(?P<y3>[0-9]{4})|令和 ?(?P<era>[0-9]{1,2}|元)) ?年 ?(?P<m3>[0-9]{1,2}) ?月 ?(?P<d3>[0-9]{1,2}) ?日"
    r"|(?P<m4>[0-9]{1,2}) ?月 ?(?P<d4>[0-9]{1,2}) ?日"
    rf"|(?P<d5>[0-9]{{1,2}})(?:st|nd|rd|th|er|\.)?[ -]?(?:of |de )?(?P<n5>{_MONTH})(?![^\W\d_])\.?"
    r"(?:,? ?-?(?P<y5>[0-9]{4}))?(?![0-9])"
    rf"|(?P<n6>{_MONTH})\.?[ -](?P<d6>[0-9]{{1,2}})(?:st|nd|rd|th)?(?![0-9A-Za-z])(?:,? (?P<y6>[0-9]{{4}})(?![0-9]))?"
    r"|(?P<a7>[0-9]{1,2})\. ?(?P<b7>[0-9]{1,2})\.(?! ?[0-9])"
    r"|(?P<a8>[0-9]{1,2})/(?P<b8>[0-9]{1,2})(?![0-9./])"
    r")"
    r"|(?P<word>aujourd'hui|après-demain|(?<!\w)(?:today|tomorrow|heute|(?:über|ueber)?morgen|demain)(?!\w)"
    r"|本日|今日|明日|明後日)"
    rf"|(?P<next>(?<!\w)(?:next|nächste[mnrs]?|kommende[mnrs]?) (?:{_WEEKDAY})|(?:{_WEEKDAY}) prochaine?(?!\w)"
    r"|来週|来月|来年)",
    re.IGNORECASE,
)
_RANGE_BEFORE = re.compile(
    r"(?<![\w.])[0-9]{1,2}(?:st|nd|rd|th|er|\.)? ?(?:-|\u2013|to|bis|au|und|and|et|until|or|oder|ou|~|/|から) ?$"
)
_RANGE_BEHIND = re.compile(r" ?[-/\u2013~] ?[0-9]| ?(?:から|bis |to |until |au |jusqu)")
_MIDNIGHT = re.compile(r"[T ]00:00(?::00(?:\.0+)?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?$")
_WEST, _EAST = timezone(-timedelta(hours=12)), timezone(timedelta(hours=14))


class Read(NamedTuple):
    """One mention. days: what it could be, ISO 8601; sure: it can only be that one. shown: as it is written."""

    days: tuple[str, ...]
    sure: bool
    shown: str


def in_text(text: str, *, written_at: datetime | None) -> str:
    """Return the one date that a cleaned text has, ISO 8601, or an empty text; Unfit where it is not surely the one.

    written_at: when the ticket was, for saying what `tomorrow` or a date without a year could be. It never decides:
    nobody knows on which side of midnight the writer was.
    """
    found = list(read(text, written_at=written_at))
    days = tuple(dict.fromkeys(day for one in found for day in one.days))
    unclear = next((one for one in found if not one.sure), None)
    if unclear:
        raise Unfit(_doubt(unclear), days)
    if len(days) > 1:
        raise Unfit(f"the text names {listed(days)}, and one is wanted", days)
    return days[0] if days else ""


def in_field(text: str, *, written_at: datetime | None) -> str:
    """Return the date that a whole field holds; a time besides midnight may be another day elsewhere. Unfit."""
    text = _MIDNIGHT.sub("", text)
    found = list(read(text, written_at=written_at))
    if len(found) == 1 and found[0].sure and found[0].shown == text:
        return found[0].days[0]
    days = tuple(dict.fromkeys(day for one in found for day in one.days))
    if len(found) == 1 and found[0].shown == text:
        raise Unfit(_doubt(found[0]), days)
    raise Unfit(f"{short(text)} is no single date such as 2026-04-30", days)


def read(text: str, *, written_at: datetime | None) -> Iterator[Read]:
    """Yield the dates of a cleaned text in order, the doubtful ones too."""
    for match in _DATE.finditer(text):
        before, behind = text[max(0, match.start() - 20) : match.start()], text[match.end() : match.end() + 8]
        days, sure = _days(match, before, behind, written_at)
        if days is not None:
            yield Read(tuple(dict.fromkeys(days)), sure and len(set(days)) == 1, match[0].strip())


def _days(match: re.Match[str], before: str, behind: str, written_at: datetime | None) -> tuple[list[str] | None, bool]:
    """What a match could be, and whether it is whole; None where it is no date at all."""
    if match["word"] or match["next"]:
        return _from_now(match["word"], written_at), False
    part = _RANGE_BEFORE.search(before) is not None or _RANGE_BEHIND.match(behind) is not None
    if match["y1"]:
        stamp = re.match(r"[Tt][0-9]", behind) is not None
        return _readings([(match["y1"], match["m1"], match["d1"])]), not (part or stamp)
    if match["a2"]:
        return _numeric(match, before, behind, part=part)
    if match["a7"] or match["a8"]:
        return _without_year(match, before, written_at), False
    day = match["d3"] or match["d4"] or match["d5"] or match["d6"]
    month = match["m3"] or match["m4"] or str(_NUMBER[(match["n5"] or match["n6"]).casefold()])
    era = match["era"] and str(_REIWA + (1 if match["era"] == "元" else int(match["era"])))
    if year := match["y3"] or era or match["y5"] or match["y6"]:
        return _readings([(year, month, day)]), not part
    return _readings([(year, month, day) for year in _years(written_at)]), False


def _numeric(match: re.Match[str], before: str, behind: str, *, part: bool) -> tuple[list[str] | None, bool]:
    first, sign, second, year = match["a2"], match["s2"], match["b2"], match["y2"]
    if len(year) == 2 and (re.search(r"[0-9][./-]$", before) or re.match(r"[./-][0-9]", behind)):
        return None, False  # an address or a version
    whole = year if len(year) == 4 else f"20{year}"
    readings = [(whole, second, first)] if sign == "." else [(whole, first, second), (whole, second, first)]
    return _readings(readings), len(year) == 4 and not part


def _without_year(match: re.Match[str], before: str, written_at: datetime | None) -> list[str] | None:
    """`5.6.` or `5/6`: a day and a month, perhaps."""
    first, second = match["a7"] or match["a8"], match["b7"] or match["b8"]
    if re.search(r"[0-9][./-]$", before) or (first, second) == ("24", "7"):
        return None
    readings = [(year, second, first) for year in _years(written_at)]
    if match["a8"]:
        readings += [(year, first, second) for year in _years(written_at)]
    return _readings(readings) if readings else [] if _likely(first, second) else None


def _from_now(word: str | None, written_at: datetime | None) -> list[str]:
    """The days that a word such as tomorrow can mean, wherever on earth it was written."""
    if not word or written_at is None:
        return []
    moment = written_at if written_at.tzinfo else written_at.replace(tzinfo=UTC)
    ahead = timedelta(days=_RELATIVE[word.casefold()])
    return [(moment.astimezone(zone).date() + ahead).isoformat() for zone in (_WEST, _EAST)]


def _years(written_at: datetime | None) -> tuple[str, ...]:
    return (str(written_at.year), str(written_at.year + 1)) if written_at else ()


def _readings(readings: list[tuple[str, str, str]]) -> list[str] | None:
    """Those of the days (year, month, day) that there are, ISO 8601.

    Empty where there is none but the numbers look like a day, such as 31.02., and None where they do not.
    """
    found = []
    for year, month, day in readings:
        with suppress(ValueError):
            found.append(date(int(year), int(month), int(day)).isoformat())
    return found or ([] if not readings or any(_likely(month, day) for _, month, day in readings) else None)


def _likely(first: str, second: str) -> bool:
    """Whether two numbers look like a day and a month, even of a day that there is not, such as 31.02."""
    low, high = sorted((int(first), int(second)))
    return 1 <= low <= 12 and high <= 31


def _doubt(one: Read) -> str:
    if one.days:
        return f"{short(one.shown)} in the ticket may be {listed(one.days)}: the day is wanted for certain"
    return f"{short(one.shown)} in the ticket says no certain day, such as 2026-04-30"
