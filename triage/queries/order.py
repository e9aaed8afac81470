"""The order of the queue, written down once.

1. Due first, by the ITSM's own clock, what is late before all else; what is never due comes last. Tickets that are due
   within the same quarter of an hour are equally urgent.
2. Among those, what an answer is worth (`turn_of`): a drawn ticket's answer decides what certificates may say; then
   what teaches most: a choice between two known articles, the first ticket of a new article; then what serves many.
3. Then the older one.

The first two are one generated column, `Ticket.place`, so that a page is one walk along an index and a link to the
next page names a place, not a number of rows: rows that come or go meanwhile neither repeat nor hide others. What is no
longer open is not ordered by urgency but shown newest first.
"""

import base64
import binascii
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from triage.models import Ticket

LAST = 999
"""The turn of an answer that is worth nothing beyond itself."""

_DRAWN, _UNDECIDED, _NEW, _MANY = 0.80, 0.45, 0.30, 0.20
_LARGE = 64
"""A group of so many waiting tickets counts as large as any."""

_NEVER = 2**63


class CursorInvalid(ValueError):
    """The address names a place in the queue that cannot be read."""


@dataclass(frozen=True)
class Order:
    """One of the two orders: `urgent` is that of open tickets; otherwise the newest come first."""

    urgent: bool

    def sorted(self, rows: QuerySet[Ticket]) -> QuerySet[Ticket]:
        """The rows in this order."""
        return rows.order_by("place", "pk") if self.urgent else rows.order_by("-pk")

    def after(self, rows: QuerySet[Ticket], cursor: str) -> QuerySet[Ticket]:
        """The rows that come after a place; raises CursorInvalid."""
        place, key = _read(cursor)
        if self.urgent:
            # the first condition says nothing new: it is where the walk along the index starts
            return rows.filter(Q(place__gt=place) | Q(pk__gt=key), place__gte=place)
        return rows.filter(pk__lt=key)

    def behind(self, place: int, key: int, cursor: str) -> bool:
        """Whether a row with this place and primary key comes after the cursor's; raises CursorInvalid."""
        then = _read(cursor)
        return (place, key) > then if self.urgent else key < then[1]


def cursor(ticket: Ticket) -> str:
    """The place right behind a ticket, in either order."""
    return base64.urlsafe_b64encode(f"{ticket.place}~{ticket.pk}".encode()).decode().rstrip("=")


def due_before(moment: datetime) -> Q:
    """Tickets that are due until a moment."""
    quarter = int(moment.timestamp()) // 900
    return Q(due_at__lte=moment, place__lt=(quarter + 1) * 1000)


def turn_of(
    *,
    drawn: bool,
    matches: Sequence[Mapping[str, Any]] = (),
    new_articles: Sequence[Mapping[str, Any]] = (),
    sufficient: bool = False,
    alike: int = 0,
) -> int:
    """0..999, the less the more an answer is worth.

    `matches` and `new_articles` as in a Prediction, best first; `alike` other tickets wait with the same masked text.
    A drawn ticket's turn tells nothing of what the model says.
    """
    many = _MANY * min(1.0, math.log2(1 + max(0, alike)) / math.log2(1 + _LARGE))
    if drawn:
        return _turn(_DRAWN + many)
    best, second = ([float(row["probability"]) for row in matches] + [0.0, 0.0])[:2]
    undecided = _UNDECIDED * second / best if sufficient and best > 0 else 0.0
    new = _NEW if any(row["in_front"] for row in new_articles) else 0.0
    return _turn(min(undecided + new, _DRAWN - _MANY) + many)


def _turn(worth: float) -> int:
    return LAST - round(LAST * min(1.0, max(0.0, worth)))


def _read(text: str) -> tuple[int, int]:
    try:
        place, _, key = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii").partition("~")
        found = int(place), int(key)
    except (ValueError, binascii.Error) as error:
        raise CursorInvalid("this link into the queue is damaged; open the queue again") from error
    if not all(0 <= number < _NEVER for number in found):
        raise CursorInvalid("this link into the queue is damaged; open the queue again")
    return found
