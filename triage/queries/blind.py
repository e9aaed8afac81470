"""Blind answers: a drawn ticket shows nobody what we think until somebody has said what they think.

A verdict given after a look at the suggestion measures the suggestion's charm, not its correctness.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import Exists, F, OuterRef, QuerySet

from triage.models import AuditEvent, Draw, Person, Review, Ticket

UNDO = timedelta(seconds=10)
GRACE = timedelta(seconds=3)  # a click in the last moment has to travel
REVEALED = "revealed"
DRAWN = (Draw.Purpose.HOLDOUT, Draw.Purpose.VERIFY, Draw.Purpose.REOPENED)
T = Ticket.Status
ELSEWHERE = (T.WAITING_APPROVAL, T.QUEUED, T.LINKED, T.RUNNING, T.ANSWERED, T.RESOLVED)


def sealed(tickets: Iterable[Ticket], *, at: datetime) -> set[int]:
    """Those of the tickets whose suggestion nobody may see yet; a verdict that can be undone does not open them."""
    keys = [ticket.pk for ticket in tickets]
    if not keys:
        return set()
    return set(sealed_among(Ticket.objects.filter(pk__in=keys), at=at).values_list("pk", flat=True))


def sealed_for(ticket: Ticket, *, person: Person, at: datetime) -> bool:
    """Whether this person may not see the suggestion yet: it is sealed and they have not broken the seal."""
    return bool(sealed([ticket], at=at)) and not has_looked(person, ticket)


def sealed_among(tickets: QuerySet[Ticket], *, at: datetime) -> QuerySet[Ticket]:
    """The drawn tickets without a standing verdict on their present text."""
    answered = Review.objects.filter(
        ticket=OuterRef("pk"),
        text_hash=OuterRef("text_hash"),
        undone_at__isnull=True,
        decided_at__lte=at - UNDO - GRACE,
    )
    return tickets.filter(draw__purpose__in=DRAWN).exclude(Exists(answered))


def to_verify(tickets: QuerySet[Ticket]) -> QuerySet[Ticket]:
    """Drawn tickets that went their way without a verdict, and whose cluster nobody has answered for."""
    mine = Review.objects.filter(ticket=OuterRef("pk"), text_hash=OuterRef("text_hash"), undone_at__isnull=True)
    cluster = Review.objects.filter(
        ticket__draw__cluster=OuterRef("draw__cluster"), ticket__customer=OuterRef("customer"), undone_at__isnull=True
    )
    drawn = tickets.filter(status__in=ELSEWHERE, draw__purpose__in=DRAWN)
    return drawn.exclude(Exists(mine)).exclude(Exists(cluster))


def awaits_verdict(ticket: Ticket) -> bool:
    """Whether the ticket was drawn and nobody has given a standing verdict on its present text."""
    standing = Review.objects.filter(ticket=ticket, text_hash=F("ticket__text_hash"), undone_at__isnull=True)
    return Draw.objects.filter(ticket=ticket, purpose__in=DRAWN).exists() and not standing.exists()


def has_looked(person: Person, ticket: Ticket) -> bool:
    """Whether the person had themselves shown what we think of this ticket, or of another one of its cluster."""
    looks = AuditEvent.objects.filter(event=REVEALED, subject="ticket", actor=f"person:{person.pk}")
    # one list of keys: the log's index answers that, while for this or those keys all of the log would be read
    own = Ticket.objects.filter(pk=ticket.pk).values("pk")
    return looks.filter(subject_id__in=own.union(_cluster(ticket).values("ticket"), all=True)).exists()


def is_opened(ticket: Ticket, *, at: datetime) -> bool:
    """Whether a verdict on another ticket of its cluster stands: what we think can be read there by then."""
    others = _cluster(ticket).exclude(ticket=ticket.pk).values("ticket")
    stands = Review.objects.filter(undone_at__isnull=True, decided_at__lte=at - UNDO - GRACE)
    return stands.filter(ticket__in=others).exists()


def _cluster(ticket: Ticket) -> QuerySet[Draw]:
    """The drawn tickets of the ticket's cluster: they are one observation."""
    mine = Draw.objects.filter(ticket=ticket.pk).values("cluster")
    return Draw.objects.filter(customer=ticket.customer_id, cluster__in=mine, purpose__in=DRAWN)
