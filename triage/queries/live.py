"""What has changed of a queue somebody looks at: nothing moves, rows change where they stand, new ones are counted."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from triage.models import Person, Review, Ticket
from triage.queries import blind
from triage.queries.log import name_of
from triage.queries.narrowing import Filters, matching
from triage.queries.numbers import whole
from triage.queries.queue import Row, digest, listed, page

LONGEST = 60
"""The most rows that may be asked about at once."""


@dataclass(frozen=True)
class Gone:
    """A row that belongs here no longer. `who` decided it, where a person did; what they said is not told."""

    ticket: Ticket
    who: str
    sealed: bool

    @property
    def version(self) -> str:
        """Changes with what the row shows."""
        return digest(("gone", self.ticket.status, self.who))


@dataclass(frozen=True)
class Changes:
    """Rows whose version is another than the one shown, all rows that still stand, and how many are new.

    `stamp` is equal as long as all of it is, in which the minute counts: rows say how long something is from now.
    """

    rows: list[Row]
    gone: list[Gone]
    standing: list[Row]
    new: int
    total: int
    stamp: str


def shown_in(text: str) -> dict[int, str]:
    """Primary keys and versions, as the page sends them: `17.0a1b2c3d4e5f,18.…`; what is damaged is left out."""
    found = {}
    for part in text.split(",")[:LONGEST]:
        pk, _, version = part.partition(".")
        key = whole(pk, digits=18)
        if key is not None:
            found[key] = version[:12]
    return found


def changes(person: Person, *, filters: Filters, after: str, shown: Mapping[int, str], at: datetime) -> Changes:
    """What has changed since these rows were shown as one page of the queue; raises CursorInvalid."""
    now = page(person, filters=filters, at=at, after=after)
    standing = [row for row in now.rows if row.ticket.pk in shown]
    gone = _gone(person, set(shown) - {row.ticket.pk for row in standing}, filters=filters, at=at)
    new = _new(now.rows, shown, full=bool(now.onward))
    versions = [*(row.version for row in standing), *(one.version for one in gone)]
    return Changes(
        rows=[row for row in standing if shown[row.ticket.pk] != row.version],
        gone=[one for one in gone if shown[one.ticket.pk] != one.version],
        standing=standing,
        new=new,
        total=now.total,
        stamp=digest((versions, new, now.total, int(at.timestamp()) // 60)),
    )


def _new(rows: list[Row], shown: Mapping[int, str], *, full: bool) -> int:
    """Rows that stand before the last one shown; behind it, only where the page has room for them.

    On a full page rows from the next one move up behind the last when others go, and those are not new.
    """
    last = max((place for place, row in enumerate(rows) if row.ticket.pk in shown), default=-1)
    unseen = [place for place, row in enumerate(rows) if row.ticket.pk not in shown]
    return sum(1 for place in unseen if place < last or not full or last < 0)


def _gone(person: Person, keys: set[int], *, filters: Filters, at: datetime) -> list[Gone]:
    """Those that the filters leave no longer. One that only moved to another page stays as it is shown."""
    if not keys:
        return []
    still = set(matching(person, filters=filters, at=at).filter(pk__in=keys).values_list("pk", flat=True))
    tickets = list(listed(Ticket.objects.visible_to(person).filter(pk__in=keys - still)))
    hidden = blind.sealed(tickets, at=at)
    standing = Review.objects.filter(ticket__in=tickets, undone_at__isnull=True).select_related("person").order_by("pk")
    who = {review.ticket_id: name_of(review.person) for review in standing if review.person}
    return [Gone(ticket, who.get(ticket.pk, ""), ticket.pk in hidden) for ticket in tickets]
