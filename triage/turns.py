"""Turns at what is gone over again and again, a source's tickets or a feed's articles: one worker at a time holds it.

A turn that fails makes the next one wait longer, or as long as the other side asks.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from django.db.models import Q, QuerySet

from triage.itsm.base import PullFailed

log = logging.getLogger(__name__)
OVERLAP = timedelta(minutes=5)
"""So far before the last mark a pass begins: what was stored late there, or by another clock, is asked for again."""

SECONDS = 15.0
CLAIM = timedelta(minutes=3)  # longer than one page can take: a few requests, a token among them, and the rows
SHORTEST_WAIT = 30.0
LONGEST_WAIT = 900.0
TELL_AFTER = timedelta(hours=1)
LONGEST_REASON = 500


class Paged(Protocol):
    """A page; an empty `cursor` says that it is the last."""

    @property
    def cursor(self) -> str:
        """What to ask for next."""


Page = TypeVar("Page", bound=Paged)


class Lost(Exception):
    """Another worker has it by now."""


@dataclass
class Hold:
    """One worker's claim: each write asks whether it is still ours, since a slow worker may have lost it.

    row: the one row as a query; claim: its column that holds until when it is claimed.
    """

    row: QuerySet[Any]
    claim: str
    at: datetime
    until: datetime
    began: float = field(default_factory=time.monotonic)

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.began

    @property
    def now(self) -> datetime:
        """The caller's clock, gone on since."""
        return self.at + timedelta(seconds=self.elapsed)

    def write(self, *, end: bool = False, **columns: object) -> None:
        """Write the columns and hold on, or let go with `end`; raises Lost."""
        until = None if end else self.now + CLAIM
        if not self.row.filter(**{self.claim: self.until}).update(**{self.claim: until}, **columns):
            raise Lost
        self.until = until or self.until


def free(claim: str, *, at: datetime) -> Q:
    """Rows that no worker holds now."""
    return Q(**{f"{claim}__isnull": True}) | Q(**{f"{claim}__lt": at})


def hold(row: QuerySet[Any], ripe: Q, *, claim: str, at: datetime) -> Hold | None:
    """Claim the one row of the query where it is free and `ripe`; None where it is not."""
    until = at + CLAIM
    won = row.filter(free(claim, at=at), ripe).update(**{claim: until})
    return Hold(row, claim, at, until) if won else None


def page(name: str, ask: Callable[[], Page], *, cursor: str) -> Page:
    """The page that `ask` gets for this cursor; raises PullFailed, whatever was wrong with it. name: for the log."""
    try:
        found = ask()
    except PullFailed:
        raise
    except Exception as error:  # who stumbles over an answer must not do so at every sweep, unseen
        log.exception("%s: a page could not be read", name)
        raise PullFailed(f"a page could not be read ({type(error).__name__}); see the log", permanent=True) from error
    if found.cursor and found.cursor == cursor:
        raise PullFailed("the same next page is named twice; nothing would ever end this", permanent=True)
    return found


def pause_after(error: PullFailed, *, failures: int) -> float:
    """Seconds until the next try after so many failures in a row."""
    backoff = LONGEST_WAIT if error.permanent else min(SHORTEST_WAIT * 2 ** min(failures - 1, 10), LONGEST_WAIT)
    return error.retry_after or backoff
