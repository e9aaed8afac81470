"""Equal alerts: which run answers a storm, which alerts of a batch are one storm on one thing, and one word for all."""

from collections.abc import Iterable
from datetime import timedelta

from django.db.models import Q, QuerySet

from runbooks.registry import RUNBOOKS
from triage.models import Approval, Decision, Run, Ticket
from triage.targets import object_of

WINDOW = timedelta(minutes=10)
"""How long an ended run answers alerts that were raised before it ended, and how long a failed one stops others."""

GONE_WRONG = (Run.Status.FAILED, Run.Status.UNDONE, Run.Status.UNDO_FAILED, Run.Status.UNKNOWN)


def answering(run: Run, *, ticket: Ticket) -> Run | None:
    """The run that already answers this ticket's storm: same cause, same runbook and target, not ended before it.

    A run that ended before the alert was raised does not answer it: the trouble is back.
    """
    if ticket.actor != Ticket.Actor.MACHINE:
        return None
    ahead = Q(status__in=[Run.Status.REQUESTED, Run.Status.CLAIMED, Run.Status.STARTING])
    fresh = max(ticket.created_at, run.requested_at - WINDOW)
    done = Q(status=Run.Status.SUCCEEDED, finished_at__gte=fresh)
    return _alike(run, ticket=ticket).filter(ahead | done).order_by("-requested_at").first()


def gone_wrong(run: Run, *, ticket: Ticket) -> Run | None:
    """The storm's latest run where that went wrong a moment ago: the next one would only do the same again."""
    if ticket.actor != Ticket.Actor.MACHINE:
        return None
    ended = _alike(run, ticket=ticket).filter(finished_at__gt=run.requested_at - WINDOW)
    latest = ended.exclude(status=Run.Status.VOID).order_by("-finished_at").first()
    return latest if latest and latest.status in GONE_WRONG else None


def of_one_cause(plans: Iterable[tuple[Ticket, Decision]]) -> list[list[tuple[Ticket, Decision]]]:
    """The plans in groups that one run answers, each group and the groups in the order of their first tickets.

    What a person wrote is a group by itself.
    """
    groups: dict[tuple[object, ...], list[tuple[Ticket, Decision]]] = {}
    for ticket, decision in plans:
        key: tuple[object, ...] = (ticket.pk,)
        if ticket.actor == Ticket.Actor.MACHINE:
            runbook = RUNBOOKS[decision.runbook]
            works_on = object_of(runbook, parameters=decision.parameters, ticket=ticket)
            key = (ticket.storm_key, runbook.key, works_on)
        groups.setdefault(key, []).append((ticket, decision))
    return list(groups.values())


def asking_the_same(approval: Approval) -> QuerySet[Approval]:
    """Open requests of other alerts of the same storm, for exactly the same: one person's answer serves all."""
    rows = Approval.objects.of(approval.customer).filter(status=Approval.Status.ASKED, binding=approval.binding)
    if approval.ticket.actor != Ticket.Actor.MACHINE:
        return rows.none()
    return rows.filter(ticket__storm_key=approval.ticket.storm_key, ticket__actor=Ticket.Actor.MACHINE).exclude(
        pk=approval.pk
    )


def _alike(run: Run, *, ticket: Ticket) -> QuerySet[Run]:
    return (
        Run.objects.of(run.customer)
        .filter(
            ticket__storm_key=ticket.storm_key,
            runbook=run.runbook,
            target=run.target,
            target_object=run.target_object,
        )
        .exclude(ticket=ticket)
        .select_related("ticket")
    )
