"""What a person may narrow the queue to, and the tickets that are left."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from triage.models import Customer, Decision, Draw, Mode, Person, Ticket
from triage.models.ticket import OPEN
from triage.permissions import member_of
from triage.queries import blind
from triage.queries.order import Order, due_before

LONGEST = 200
STATUSES = {
    "": _("Open"),
    "needs_review": _("Needs a verdict"),
    "waiting_approval": _("Waiting for approval"),
    "verify": _("Blind checks"),
    "all": _("Every status"),
}
DUE = {
    "late": (_("Late"), timedelta(0)),
    "1h": (_("Within 1 hour"), timedelta(hours=1)),
    "4h": (_("Within 4 hours"), timedelta(hours=4)),
    "24h": (_("Within 24 hours"), timedelta(hours=24)),
}
DRAWN = {"yes": _("Only drawn ones"), "no": _("No drawn ones")}


@dataclass(frozen=True)
class Filters:
    """What the person narrowed the queue to; empty and unknown values narrow nothing.

    `customer` and `source` are slugs, `language` a code, `mode` what was decided, `group` the assignment group in the
    ITSM, `drawn` and `due` as in DRAWN and DUE. Every word of `text` and `reason` must occur.
    """

    status: str = ""
    customer: str = ""
    text: str = ""
    source: str = ""
    language: str = ""
    reason: str = ""
    mode: str = ""
    group: str = ""
    drawn: str = ""
    due: str = ""

    @classmethod
    def of(cls, given: Mapping[str, str]) -> "Filters":
        """From the values of an address or a form."""
        return cls(**{one.name: str(given.get(one.name, "")).strip()[:LONGEST] for one in fields(cls)})

    @property
    def active(self) -> dict[str, str]:
        """The narrowing ones, for links."""
        return {name: value for name, value in vars(self).items() if value}

    @property
    def finer(self) -> bool:
        """Whether one of the less common ones narrows."""
        return any((self.source, self.language, self.reason, self.mode, self.group, self.drawn, self.due))

    @property
    def searches(self) -> bool:
        """Whether the database has to look at each ticket: no index leads to what is asked for."""
        return bool(self.text or self.finer or self.status == "verify")

    @property
    def order(self) -> Order:
        """Open tickets by urgency, all others newest first."""
        return Order(urgent=self.status not in ("all", "verify"))


def matching(person: Person, *, filters: Filters, at: datetime) -> QuerySet[Ticket]:
    """The tickets that the person may see and asked for."""
    rows: QuerySet[Ticket] = Ticket.objects.visible_to(person)
    if filters.status == "verify" and not person.is_superuser:
        # says nothing new: drawn tickets have an index of their own that starts with the customer
        rows = rows.filter(draw__customer_id__in=member_of(person))
    return narrowed(rows, filters=filters, at=at)


def narrowed(rows: QuerySet[Ticket], *, filters: Filters, at: datetime) -> QuerySet[Ticket]:
    """Those of the tickets that the filters leave."""
    rows = _by_status(rows, filters.status)
    if filters.customer:
        rows = rows.filter(
            customer_id__in=list(Customer.objects.filter(slug=filters.customer).values_list("pk", flat=True))
        )
    if filters.source:
        rows = rows.filter(source__slug=filters.source)
    if filters.language:
        rows = rows.filter(Q(spoken=filters.language) | Q(spoken="", language=filters.language))
    if filters.group:
        rows = rows.filter(itsm_group__iexact=filters.group)
    if filters.due in DUE:
        rows = rows.filter(due_before(at + DUE[filters.due][1]))
    if filters.drawn in DRAWN:
        drawn = Draw.objects.filter(ticket=OuterRef("pk"), purpose__in=blind.DRAWN)
        rows = rows.filter(Exists(drawn)) if filters.drawn == "yes" else rows.exclude(Exists(drawn))
    for word in filters.text.split()[:6]:
        rows = rows.filter(_mentions(word))
    return _by_thought(rows, filters, at=at)


def _by_status(rows: QuerySet[Ticket], status: str) -> QuerySet[Ticket]:
    if status == "verify":
        return blind.to_verify(rows)
    if status in OPEN:
        return rows.filter(status=status)
    return rows if status == "all" else rows.filter(status__in=OPEN)


def _mentions(word: str) -> Q:
    return (
        Q(subject__icontains=word)
        | Q(external_id__icontains=word)
        | Q(requester__icontains=word)
        | Q(body__icontains=word)
    )


def _by_thought(rows: QuerySet[Ticket], filters: Filters, *, at: datetime) -> QuerySet[Ticket]:
    """By what we think of a ticket; one under a blind check is never found by that."""
    words = filters.reason.split()[:6]
    if not words and filters.mode not in Mode.values:
        return rows
    for word in words:
        rows = rows.filter(reason__icontains=word)
    if filters.mode in Mode.values:
        decided = Decision.objects.filter(
            ticket=OuterRef("pk"), text_hash=OuterRef("text_hash"), in_force=True, mode=filters.mode
        )
        rows = rows.filter(Exists(decided))
    return rows.exclude(Exists(blind.sealed_among(Ticket.objects.filter(pk=OuterRef("pk")), at=at)))
