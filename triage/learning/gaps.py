"""Which tickets no article answered, grouped by likeness: each group is a gap that an article may be written for.

Grouping the same tickets again changes nothing; a gap is known again by its tickets, so that what people said of it
stands. Nothing of one customer is ever looked at together with another's.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Substr

from classifier import grouping
from classifier.text import Document, TextPipeline
from triage.models import Customer, Draw, Gap, GapMember, Prediction, Review, Ticket
from triage.queries import blind
from triage.queries.candidates import NONE_FIRST

LOOKED_BACK = timedelta(days=180)
MOST_TICKETS = 20_000
READ = 4_000
"""Characters of a body that are compared: what a text says of itself, it says early."""

WEEK = timedelta(days=7)
WEEKS = 12
NOTES = 5
LONGEST_WORDS = 120
SAME = 0.5
"""A group is a gap that was known before where it has this share of the smaller one's tickets."""


@dataclass(frozen=True, kw_only=True)
class Regrouped:
    """What came of grouping a customer's tickets: how many there were, how many are in groups, and in how many."""

    tickets: int
    grouped: int
    gaps: int


@dataclass(frozen=True)
class _Found:
    """A group as the tables will hold it."""

    tickets: tuple[int, ...]
    terms: tuple[str, ...]


def regroup(*, customer: Customer, at: datetime, progress: Callable[[str], object] = lambda _: None) -> Regrouped:
    """Group the customer's unanswered tickets of the last 180 days anew, the newest 20,000 of them.

    Written in one transaction at the end; a second call, or one after a killed one, makes the same rows.
    """
    rows = list(
        unanswered(customer, at=at)
        .order_by("-received_at", "-pk")
        .values_list("pk", "subject", Substr("body", 1, READ), "received_at")[:MOST_TICKETS]
    )
    progress(f"grouping {len(rows)} tickets that no article answered")
    lines = TextPipeline().lines(Document(subject, body) for _pk, subject, body, _at in rows)
    found = [_Found(tuple(rows[place][0] for place in group.members), group.terms) for group in grouping.groups(lines)]
    _write(customer, found, {pk: received for pk, _subject, _body, received in rows}, at=at)
    return Regrouped(tickets=len(rows), grouped=sum(len(one.tickets) for one in found), gaps=len(found))


def unanswered(customer: Customer, *, at: datetime) -> QuerySet[Ticket]:
    """Tickets that people answered with "none of these", and those that ended in the ITSM where the model knew none.

    Sealed ones are not among them, nor those of a gap that an article was written for, as long as it is live.
    """
    rows = Ticket.objects.of(customer).filter(received_at__gt=at - LOOKED_BACK)
    said = Review.objects.filter(ticket=OuterRef("pk"), text_hash=OuterRef("text_hash"), undone_at__isnull=True)
    unsure = Q(evidence__sufficient=False) | Q(evidence__in_scope__lt=NONE_FIRST)
    unknown = Prediction.objects.filter(
        unsure, ticket_id=OuterRef("pk"), text_hash=OuterRef("text_hash"), in_force=True
    )
    by_hand = Q(status=Ticket.Status.WITHDRAWN, draw__purpose=Draw.Purpose.NONE) & ~Exists(said) & Exists(unknown)
    rows = rows.filter(Exists(said.filter(verdict=Review.Verdict.NONE)) | by_hand)
    written = GapMember.objects.filter(
        ticket=OuterRef("pk"), gap__article__isnull=False, gap__article__retired_at__isnull=True
    )
    sealed = blind.sealed_among(Ticket.objects.of(customer), at=at)
    return rows.exclude(Exists(written)).exclude(pk__in=sealed.values("pk"))


def _write(customer: Customer, found: Sequence[_Found], received: Mapping[int, datetime], *, at: datetime) -> None:
    notes = _notes([pk for one in found for pk in one.tickets])
    with transaction.atomic():
        written = Q(article__isnull=False, article__retired_at__isnull=True)
        open_ = list(Gap.objects.of(customer).exclude(written).select_for_update().order_by("pk"))
        before: dict[int, set[int]] = {gap.pk: set() for gap in open_}
        for gap, ticket in GapMember.objects.filter(gap__in=open_).values_list("gap_id", "ticket_id"):
            before[gap].add(ticket)
        same = _same(found, before)
        GapMember.objects.filter(gap__in=open_).delete()
        gone = [gap.pk for gap in open_ if gap.pk not in same.values()]
        Gap.objects.filter(pk__in=gone).delete()
        members: list[GapMember] = []
        for number, one in enumerate(found):
            values = _values(one, notes, received, at=at)
            if number in same:
                Gap.objects.filter(pk=same[number]).update(**values, article=None)
                key = same[number]
            else:
                key = Gap.objects.create(customer=customer, made_at=at, **values).pk
            members += [GapMember(gap_id=key, ticket_id=pk, place=place) for place, pk in enumerate(one.tickets)]
        GapMember.objects.bulk_create(members, batch_size=500)


def _same(found: Sequence[_Found], before: Mapping[int, set[int]]) -> dict[int, int]:
    """For groups that were there before, the gap that each is: most tickets in common first, one gap for one group."""
    home = {ticket: gap for gap, tickets in before.items() for ticket in tickets}
    shared: Counter[tuple[int, int]] = Counter()
    for number, one in enumerate(found):
        shared.update((number, home[ticket]) for ticket in one.tickets if ticket in home)
    same: dict[int, int] = {}
    for (number, gap), count in sorted(shared.items(), key=lambda pair: (-pair[1], pair[0])):
        smaller = min(len(found[number].tickets), len(before[gap]))
        if number not in same and gap not in same.values() and count >= SAME * smaller:
            same[number] = gap
    return same


def _notes(tickets: Sequence[int]) -> dict[int, str]:
    """What the last person said a ticket was about, by ticket."""
    found: dict[int, str] = {}
    for start in range(0, len(tickets), 500):
        rows = Review.objects.filter(
            ticket__in=tickets[start : start + 500], verdict=Review.Verdict.NONE, undone_at__isnull=True
        )
        for ticket, note in rows.exclude(note="").order_by("pk").values_list("ticket_id", "note"):
            found[ticket] = " ".join(note.split())
    return found


def _values(
    one: _Found, notes: Mapping[int, str], received: Mapping[int, datetime], *, at: datetime
) -> dict[str, object]:
    said: defaultdict[str, list[str]] = defaultdict(list)
    for ticket in one.tickets:
        if ticket in notes:
            said[notes[ticket].casefold()].append(notes[ticket])
    # a tie goes to the more typical ticket's, which comes first
    often = [told[0] for told in sorted(said.values(), key=len, reverse=True)]
    moments = sorted(received[ticket] for ticket in one.tickets)
    weeks = [0] * WEEKS
    for moment in moments:
        back = (at - moment) // WEEK
        if 0 <= back < WEEKS:
            weeks[WEEKS - 1 - back] += 1
    words = often[0] if often else ", ".join(one.terms[:4])
    return {
        "words": words[:LONGEST_WORDS],
        "terms": list(one.terms),
        "notes": [note[:LONGEST_WORDS] for note in often[:NOTES]],
        "size": len(one.tickets),
        "weeks": weeks,
        "first_at": moments[0],
        "last_at": moments[-1],
        "grouped_at": at,
    }
