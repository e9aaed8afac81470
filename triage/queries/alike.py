"""Tickets that read alike but for numbers, names and times: decided at once, each seen with what is its own."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Q

from triage.models import Person, Ticket
from triage.queries import blind
from triage.queries.order import Order
from triage.queries.queue import light

MOST = 100
"""The most tickets that are listed, and so decided, at once."""

HEAVY_HERE = ("body", "attachments", "waiting_update")
_WORDS, _LENGTH = 8, 60


@dataclass(frozen=True)
class Member:
    """One of several tickets. `own`: words and field values that not all of them share; `holder`: who has it open."""

    ticket: Ticket
    sealed: bool
    holder: Person | None
    own: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Several:
    """Tickets to be decided at once. `more`: how many others read like them and are not listed."""

    members: list[Member]
    more: int

    @property
    def sealed(self) -> bool:
        """Whether one of them is under a blind check: then nothing that we think of them is shown."""
        return any(member.sealed for member in self.members)

    @property
    def of_one_kind(self) -> bool:
        """Whether all of them read alike."""
        return len({(one.ticket.customer_id, one.ticket.alike or one.ticket.pk) for one in self.members}) == 1


def listed(person: Person, keys: Iterable[int], *, at: datetime) -> Several:
    """The tickets of these primary keys that wait for a verdict, and all that read like one of them."""
    waiting = Ticket.objects.visible_to(person).filter(status=Ticket.Status.NEEDS_REVIEW)
    chosen = list(waiting.filter(pk__in=list(keys)[:MOST]).values_list("pk", "customer", "alike"))
    wanted = Q(pk__in=[pk for pk, _, _ in chosen])
    for customer in {customer for _, customer, _ in chosen}:
        texts = {alike for _, owner, alike in chosen if owner == customer and alike}
        wanted |= Q(customer=customer, alike__in=texts)
    rows = waiting.filter(wanted)
    tickets = list(light(Order(urgent=True).sorted(rows), without=HEAVY_HERE)[: MOST + 1])
    more = rows.count() - MOST if len(tickets) > MOST else 0
    tickets = tickets[:MOST]
    hidden = blind.sealed(tickets, at=at)
    own = _own(tickets)
    members = [
        Member(
            ticket=ticket,
            sealed=ticket.pk in hidden,
            holder=ticket.held_by if ticket.is_held(at=at) and ticket.held_by_id != person.pk else None,
            own=own[ticket.pk],
        )
        for ticket in tickets
    ]
    return Several(members, more)


def _own(tickets: Sequence[Ticket]) -> dict[int, list[str]]:
    """What of each ticket's text and fields not all of them share, in the order in which it stands there."""
    if len(tickets) < 2:
        return {ticket.pk: [] for ticket in tickets}
    said = {ticket.pk: _parts(ticket) for ticket in tickets}
    shared = set.intersection(*(set(parts) for parts in said.values()))
    return {pk: [part for part in parts if part not in shared][:_WORDS] for pk, parts in said.items()}


def _parts(ticket: Ticket) -> list[str]:
    words = f"{ticket.subject[:300]} {getattr(ticket, 'snippet', '')}".split()
    values = [f"{name}: {value}" for name, value in sorted(ticket.fields.items()) if value]
    return list(dict.fromkeys(part[:_LENGTH] for part in [*words[:80], *values[:20]]))
