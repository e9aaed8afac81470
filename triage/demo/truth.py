"""What the demo's stream came to, held against the truth that only the demo knows."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.db.models import Count
from scipy.stats import binom

from triage.demo.world import Sent
from triage.models import Certificate, Customer, Decision, Mode, Prediction, Run, Ticket

UNDER_WAY = frozenset(
    {
        Ticket.Status.RECEIVED,
        Ticket.Status.CLASSIFIED,
        Ticket.Status.QUEUED,
        Ticket.Status.LINKED,
        Ticket.Status.RUNNING,
    }
)
WAITS = frozenset({Ticket.Status.NEEDS_REVIEW, Ticket.Status.WAITING_APPROVAL})
NAMES = {Mode.AUTOMATE: "automated", Mode.APPROVE: "approved", Mode.SUGGEST: "suggested", Mode.OBSERVE: "observed"}


def under_way(customer: Customer) -> int:
    """How many tickets are not settled and wait for no person."""
    return Ticket.objects.of(customer).filter(status__in=UNDER_WAY).count()


def measure(customer: Customer, sent: Sequence[Sent], *, alpha: float) -> dict[str, Any]:
    """Counts by decision and outcome, tickets lost, wrong runs, and accuracy on tickets that some article fits."""
    truth = {one.payload["external_id"]: one for one in sent}
    tickets = {ticket.pk: ticket for ticket in Ticket.objects.of(customer)}
    decisions = {row.ticket_id: row for row in Decision.objects.of(customer).filter(in_force=True)}
    modes = Counter(row.mode for row in decisions.values())
    settled = [ticket for ticket in tickets.values() if ticket.pk in decisions and ticket.status not in UNDER_WAY]
    wrong = [row.ticket_id for row in decisions.values() if row.mode == Mode.AUTOMATE and _wrong(row, truth, tickets)]
    automated = modes[Mode.AUTOMATE]
    luck = float(binom.sf(len(wrong) - 1, automated, alpha)) if wrong else 1.0
    return {
        "received": len(decisions),
        **{name: modes[mode] for mode, name in NAMES.items()},
        "resolved": sum(ticket.status == Ticket.Status.RESOLVED for ticket in settled),
        "needs_review": sum(ticket.status in WAITS for ticket in settled),
        "lost": len(sent) - len(settled) + _doubled(customer),
        "wrong_runs": len(wrong),
        "alpha": alpha,
        "chance_of_as_many": round(luck, 6),
        "broken_promise": luck < 0.01,
        "accuracy": _accuracy(customer, truth, tickets),
        "certificates": Certificate.objects.of(customer).filter(revoked_at__isnull=True).count(),
        "runs": dict(Counter(Run.objects.of(customer).values_list("status", flat=True))),
    }


def _wrong(decision: Decision, truth: dict[str, Sent], tickets: dict[int, Ticket]) -> bool:
    """Somebody who knows the truth would not have run this runbook with these parameters on this ticket."""
    one = truth[tickets[decision.ticket_id].external_id]
    if decision.article != one.article:
        return True
    return one.parameters is not None and dict(decision.parameters) != one.parameters


def _doubled(customer: Customer) -> int:
    """Tickets with more than one decision in force: the database forbids it, so this counts what must be zero."""
    several = (
        Decision.objects.of(customer).filter(in_force=True).values("ticket").annotate(n=Count("id")).filter(n__gt=1)
    )
    return int(several.count())


def _accuracy(customer: Customer, truth: dict[str, Sent], tickets: dict[int, Ticket]) -> float:
    hits = [
        bool(row.matches) and row.matches[0]["label"] == article
        for row in Prediction.objects.of(customer).filter(in_force=True)
        if (article := truth[tickets[row.ticket_id].external_id].article)
    ]
    return round(sum(hits) / len(hits), 4) if hits else 0.0
