"""One verdict for several tickets that a person has seen listed: each gets its own, carried out by itself.

What cannot be decided is left out with the reason; the others stand. All carry one moment, by which they are taken back
together, and the ITSM hears of none before that is over.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from triage.models import Draw, Person, Review, Ticket
from triage.queries import blind
from triage.queries.alike import MOST
from triage.review.refused import ReviewRefused
from triage.review.undoing import undo
from triage.review.verdict import decide

GROUP, BULK = "desk-group", "desk-bulk"
"""Provenance of the verdicts: on tickets that read alike, and on chosen ones."""

LONGEST = timedelta(seconds=3)
"""So long may deciding take, or little would be left of the time for taking it back."""


@dataclass(frozen=True)
class Answer:
    """What a person says of all of them."""

    verdict: str
    article: str = ""
    also: tuple[str, ...] = ()
    note: str = ""
    follow: str = ""


@dataclass(frozen=True)
class Left:
    """A ticket that was left out, and why."""

    uuid: UUID
    external_id: str
    why: str


@dataclass(frozen=True)
class Given:
    """The verdicts that stand, and the tickets that were left out."""

    done: list[Review]
    left: list[Left]


def decide_together(
    *,
    tickets: Sequence[Ticket],
    person: Person,
    answer: Answer,
    at: datetime,
    clock: Callable[[], float] = time.monotonic,
) -> Given:
    """Give one verdict on each ticket, as far as it may be given; `tickets` carry the text hashes that were shown.

    Of tickets under a blind check only those of one cluster are answered, and only among tickets that read alike:
    one look is one observation. Raises ReviewRefused where the answer is none that can be given to several.
    """
    if not tickets:
        raise ReviewRefused(_("Choose at least one ticket."))
    if len(tickets) > MOST:
        raise ReviewRefused(_("At most %(most)d tickets are decided at once.") % {"most": MOST})
    if answer.follow == "run":
        raise ReviewRefused(_("Runbooks are ordered one ticket at a time."))
    alike = len({(ticket.customer_id, ticket.alike or ticket.pk) for ticket in tickets}) == 1
    barred = _barred(tickets, alike=alike)
    ends = clock() + LONGEST.total_seconds()
    done: list[Review] = []
    left: list[Left] = []
    for ticket in tickets:
        why = barred.get(ticket.pk, "") or (
            _("There was no time left for it. Decide it again.") if clock() > ends else ""
        )
        if not why:
            try:
                review = decide(
                    ticket=ticket, person=person, at=at, provenance=GROUP if alike else BULK, **asdict(answer)
                )
                done.append(review)
            except (ReviewRefused, PermissionDenied) as error:
                why = str(error)
        if why:
            left.append(Left(ticket.uuid, ticket.external_id, why))
    return Given(done, left)


def given_together(person: Person, *, at: datetime) -> QuerySet[Review]:
    """The verdicts that the person gave on several tickets at one moment."""
    rows = Review.objects.visible_to(person).filter(person=person, decided_at=at, provenance__in=(GROUP, BULK))
    return rows.select_related("ticket").order_by("pk")


def undo_together(reviews: Sequence[Review], *, person: Person, at: datetime) -> Given:
    """Take each of these verdicts back, as far as that is possible; those that stand are left with the reason."""
    done: list[Review] = []
    left: list[Left] = []
    for review in reviews:
        try:
            undo(review, person=person, at=at)
            done.append(review)
        except ReviewRefused as error:
            left.append(Left(review.ticket.uuid, review.ticket.external_id, str(error)))
    return Given(done, left)


def _barred(tickets: Sequence[Ticket], *, alike: bool) -> dict[int, str]:
    """Why a ticket must be answered by itself: it is under a blind check that this answer cannot be."""
    keys = [ticket.pk for ticket in tickets]
    drawn = Draw.objects.filter(ticket__in=keys, purpose__in=blind.DRAWN).values_list("ticket_id", "cluster")
    standing = Review.objects.filter(ticket__in=keys, undone_at__isnull=True).values_list("ticket_id", "text_hash")
    answered = set(standing)
    waiting = {ticket.pk for ticket in tickets if (ticket.pk, ticket.text_hash) not in answered}
    clusters = {pk: cluster for pk, cluster in drawn if pk in waiting}
    first = next((clusters[pk] for pk in keys if pk in clusters), "")
    if not alike:
        why = _("It was drawn for a blind check. Open it and answer it by itself.")
        return dict.fromkeys(clusters, why)
    why = _("It was drawn for a blind check of its own. Open it and answer it by itself.")
    return {pk: why for pk, cluster in clusters.items() if cluster != first}
