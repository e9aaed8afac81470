"""New tickets, with their draw and the first line of their history."""

from datetime import datetime

from triage import lifecycle
from triage.intake import attached
from triage.intake.owners import ACTOR, Owners, drawn
from triage.itsm.base import IncomingTicket, is_elsewhere, is_own_user, is_settled
from triage.models import AuditEvent, Draw, Source, Ticket

BATCH = 500


def create(
    found: list[tuple[IncomingTicket, tuple[str, str]]], *, source: Source, owners: Owners, at: datetime
) -> list[Ticket]:
    """Store tickets that nobody has heard of, each with its text hash and storm key; inside the caller's transaction.

    One that is finished, or with another group, when it first comes is withdrawn at once.
    """
    if not found:
        return []
    tickets = [_row(incoming, names, source=source, owners=owners, at=at) for incoming, names in found]
    Ticket.objects.bulk_create(tickets, batch_size=BATCH)
    AuditEvent.objects.bulk_create(
        [
            AuditEvent(
                at=at,
                customer_id=ticket.customer_id,
                subject="ticket",
                subject_id=ticket.pk,
                event="status",
                after=ticket.status,
                actor=ACTOR,
                reason=f"received from {source.slug}",
            )
            for ticket in tickets
        ],
        batch_size=BATCH,
    )
    Draw.objects.bulk_create([drawn(ticket) for ticket in tickets if ticket.customer_id], batch_size=BATCH)
    _withdraw(tickets, source=source, at=at)
    for ticket, (incoming, _) in zip(tickets, found, strict=True):
        told = incoming.without_content() if is_own_user(source, incoming.author) else incoming
        attached.learn(ticket, told, source=source, at=at)
    return tickets


def _row(incoming: IncomingTicket, names: tuple[str, str], *, source: Source, owners: Owners, at: datetime) -> Ticket:
    text_hash, storm_key = names
    return Ticket(
        customer=owners.of(incoming.owner),
        source=source,
        external_id=incoming.external_id,
        subject=incoming.subject,
        body=incoming.body,
        requester=incoming.requester,
        channel=incoming.channel,
        actor=incoming.actor,
        language=incoming.language,
        kind=incoming.kind,
        itsm_status=incoming.status,
        itsm_group=incoming.group,
        priority=incoming.priority,
        due_at=incoming.due_at,
        fields=dict(incoming.fields),
        attachments=[dict(item) for item in incoming.attachments],
        created_at=incoming.created_at,
        updated_at=incoming.updated_at,
        sequence=incoming.sequence,
        received_at=at,
        text_hash=text_hash,
        storm_key=storm_key,
        changed_at=at,
    )


def _withdraw(tickets: list[Ticket], *, source: Source, at: datetime) -> None:
    gone = {
        ticket.pk
        for ticket in tickets
        if is_settled(source, ticket.itsm_status) or is_elsewhere(source, ticket.itsm_group)
    }
    if not gone:
        return
    reason = "It was finished, or with another group, when it first came."
    lifecycle.advance(Ticket.objects.filter(pk__in=gone), to=Ticket.Status.WITHDRAWN, at=at, actor=ACTOR, reason=reason)
    for ticket in tickets:
        if ticket.pk in gone:
            ticket.status = Ticket.Status.WITHDRAWN
