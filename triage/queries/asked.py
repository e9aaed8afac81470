"""Open requests for a person's word as people see them: of a storm's only the first, since one answer serves all."""

from django.db.models import Exists, OuterRef, Q, QuerySet

from triage.models import Approval, Ticket


def leading(rows: QuerySet[Approval]) -> QuerySet[Approval]:
    """Of the open requests of one storm only the first; all others as they are."""
    asked = Approval.objects.filter(
        status=Approval.Status.ASKED,
        customer=OuterRef("customer"),
        binding=OuterRef("binding"),
        ticket__storm_key=OuterRef("ticket__storm_key"),
        ticket__actor=Ticket.Actor.MACHINE,
        pk__lt=OuterRef("pk"),
    )
    machines = Q(status=Approval.Status.ASKED, ticket__actor=Ticket.Actor.MACHINE)
    return rows.exclude(machines & Exists(asked))
