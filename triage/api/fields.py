"""Kinds of values that several nouns take."""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator

_WRITTEN = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d")


EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


def _without_nul(value: str) -> str:
    """PostgreSQL stores no text with a NUL character, and none means anything."""
    return value.replace("\x00", "")


def _written(value: object) -> object:
    """A bare number is no moment: whether seconds or milliseconds were meant, nobody knows."""
    if isinstance(value, str) and not _WRITTEN.match(value):
        raise ValueError("as in 2026-11-20T09:30:00Z")
    return value


def _within(value: datetime) -> datetime:
    """Databases and time zones end near the first and the last year; nothing of ours is that old or that far."""
    if value.year < EARLIEST.year:
        return EARLIEST
    return min(value, LATEST) if value.year < 9999 else LATEST


Text = Annotated[str, AfterValidator(_without_nul)]
Moment = Annotated[AwareDatetime, BeforeValidator(_written), AfterValidator(_within)]
