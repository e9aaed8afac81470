"""A date is one that can be read in one way only; for any other a person is asked, with the days that it could be."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from runbooks import dates, parameters
from runbooks.base import Parameter
from runbooks.parameters import Extraction
from runbooks.registry import RUNBOOKS

UNTIL = RUNBOOKS["record_only"].model_copy(
    update={"parameters": (Parameter(name="until", kind="date", title="the last day", fields=("until", "due")),)}
)
WRITTEN = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)


def read(body: str = "", *, written_at: datetime | None = WRITTEN, **fields: object) -> Extraction:
    return parameters.extract(
        UNTIL, subject="", body=body, requester="", fields=fields, written_at=written_at
    )  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        "access until 2026-04-30, please",
        "until 30 April 2026",
        "keep web17 until 30 April 2026, thanks",
        "until April 30, 2026.",
        "until the 30th of April 2026",
        "until Apr. 30th 2026",
        "until 30-Apr-2026",
        "until 4/30/2026 (I have 2 monitors, version 5.4, 24/7, 10.1.20.3)",
        "bis zum 30. April 2026",
        "bis 30.04.2026",
        "bis 30. 4. 2026 um 10 Uhr",
        "jusqu'au 30 avril 2026",
        "30/04/2026",
        "2026年4月30日まで",
        "令和8年4月30日まで",
        "２０２６年４月３０日",
        "2026/04/30, again 30.4.2026",
    ],
)
def test_a_date_is_found_in_the_forms_of_four_languages(body: str) -> None:
    assert read(body).values == {"until": "2026-04-30"}


@pytest.mark.parametrize(
    ("body", "day"),
    [
        ("1er mai 2026", "2026-05-01"),
        ("1. März 2026", "2026-03-01"),
        ("le 3 août 2026", "2026-08-03"),
        ("3 déc. 2026", "2026-12-03"),
        ("31 Okt 2026", "2026-10-31"),
        ("February 29, 2028", "2028-02-29"),
        ("令和元年5月1日 2026年5月1日", ""),
        ("03/03/2026", "2026-03-03"),
    ],
)
def test_months_of_other_languages(body: str, day: str) -> None:
    assert read(body).values.get("until", "") == day


@pytest.mark.parametrize(
    ("body", "days"),
    [
        ("until 03/04/2026", ("2026-03-04", "2026-04-03")),
        ("until 03-04-2026", ("2026-03-04", "2026-04-03")),
        ("bis 3.4.26", ("2026-04-03",)),
        ("until 30 April", ("2026-04-30", "2027-04-30")),
        ("bis 30.4. bitte", ("2026-04-30", "2027-04-30")),
        ("4月30日まで", ("2026-04-30", "2027-04-30")),
        ("from 1 May 2026 to 30 June 2026", ("2026-05-01", "2026-06-30")),
        ("3.-5. April 2026", ("2026-04-05",)),
        ("3 bis 5. April 2026", ("2026-04-05",)),
        ("April 3-5, 2026", ("2026-04-03", "2027-04-03")),
        ("31.02.2026", ()),
        ("30. Februar 2026 und 1. März 2026", ("2026-03-01",)),
        ("2026-04-30T10:00:00Z ERROR", ("2026-04-30",)),
        ("tomorrow", ("2026-11-23", "2026-11-24")),
        ("bis morgen", ("2026-11-23", "2026-11-24")),
        ("jusqu'à après-demain", ("2026-11-24", "2026-11-25")),
        ("明日まで", ("2026-11-23", "2026-11-24")),
        ("from tomorrow, 2026-12-31 at the latest", ("2026-11-23", "2026-11-24", "2026-12-31")),
        ("next Friday, or 2026-12-31", ("2026-12-31",)),
        ("kommenden Montag, sonst 31.12.2026", ("2026-12-31",)),
    ],
)
def test_a_date_that_is_not_sure_is_asked_for_with_the_days_that_it_could_be(body: str, days: tuple[str, ...]) -> None:
    found = read(body)
    assert found.values == {}
    assert found.candidates == {"until": days}
    assert all(day in found.problems[0] for day in days)


def test_what_tomorrow_could_be_is_said_only_where_it_is_known_when_that_was_written() -> None:
    assert read("tomorrow", written_at=None).candidates == {"until": ()}
    tokyo = datetime(2026, 11, 23, 8, 30, tzinfo=timezone(timedelta(hours=9)))
    assert read("tomorrow", written_at=tokyo).candidates == read("tomorrow").candidates


@pytest.mark.parametrize(
    "body", ["version 2026.1", "10.1.20.3", "5.4", "24/7", "1024/2048", "you may 500", "12:30", "v1.2.3"]
)
def test_other_numbers_are_no_dates(body: str) -> None:
    assert "neither in a field nor in the text" in read(body).problems[0]


@pytest.mark.parametrize(
    ("given", "day"),
    [
        ("2026-04-30", "2026-04-30"),
        ("30. April 2026", "2026-04-30"),
        ("2026-04-30 00:00:00", "2026-04-30"),
        ("2026-04-30T00:00:00+02:00", "2026-04-30"),
        ("2026-04-30 23:30:00", None),
        ("03/04/2026", None),
        ("2026-04-30 or later", None),
        ("2026-04-30, 2026-05-01", None),
        ("tomorrow", None),
        (20260430, None),
        ("1926-04-30", None),
        ("2026-02-30", None),
    ],
)
def test_a_field_holds_one_date_and_nothing_else(given: object, day: str | None) -> None:
    assert read("2026-12-31", until=given).values.get("until") == day


def test_a_typed_date_is_a_day_of_the_calendar_in_one_form() -> None:
    for value, fits in (("2026-04-30", True), ("2026-02-30", False), ("30.04.2026", False), ("2026-4-30", False)):
        problems = parameters.validate(UNTIL, Extraction({"until": value}), directory=None, requester="")
        assert (problems == ()) == fits


def test_every_day_is_read_as_it_is_written() -> None:
    day = datetime(2026, 1, 1, tzinfo=UTC)
    for _ in range(365):
        for form in ("%Y-%m-%d", "%d.%m.%Y", "%d %B %Y", "%B %d, %Y", "%Y年%m月%d日"):
            assert dates.in_text(f"x {day.strftime(form)} y", written_at=None) == f"{day:%Y-%m-%d}"
        day += timedelta(days=1)
