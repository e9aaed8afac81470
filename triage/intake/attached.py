"""The article that an agent attached to a ticket in the ITSM: a label, once the ticket is finished there."""

from datetime import datetime

from triage import review
from triage.itsm.base import IncomingTicket, is_own_user, is_settled
from triage.models import Source, Ticket

FIELD = "attached_article"


def learn(ticket: Ticket, incoming: IncomingTicket, *, source: Source, at: datetime) -> None:
    """What an agent attached in the ITSM counts once the ticket is finished there; never what our own user attached."""
    if FIELD in incoming.stated and incoming.attached_article and is_settled(source, ticket.itsm_status):
        review.take_over(ticket, key=incoming.attached_article, at=at)


def is_news(incoming: IncomingTicket, ticket: Ticket) -> bool:
    """Whether a state names an attached article that the ticket is not known to carry: webhooks tell none."""
    return FIELD in incoming.stated and incoming.attached_article not in ("", ticket.fields.get(FIELD))


def take_alone(ticket: Ticket, incoming: IncomingTicket, *, source: Source, at: datetime) -> bool:
    """Take the article alone from a pulled state that a webhook told before; whether there was one to take."""
    running = ticket.status == Ticket.Status.RUNNING
    if is_own_user(source, incoming.author) or not is_news(incoming, ticket) or running:
        return False
    ticket.fields = {**ticket.fields, FIELD: incoming.attached_article}
    Ticket.objects.filter(pk=ticket.pk).update(fields=ticket.fields)
    learn(ticket, incoming, source=source, at=at)
    return True
