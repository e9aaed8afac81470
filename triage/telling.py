"""What is written down to be told after a run: the ITSM of what was resolved, people of what went wrong."""

from datetime import datetime

from runbooks.registry import RUNBOOKS
from triage import obstacles
from triage.models import Customer, Notification, Run, Writeback


def title(run: Run) -> str:
    """The runbook's title; its key where a later version of the product no longer has it."""
    return RUNBOOKS[run.runbook].title if run.runbook in RUNBOOKS else run.runbook


def tell_itsm(run: Run, tickets: list[int], *, at: datetime) -> None:
    """The ITSM is to resolve these tickets."""
    what = title(run)
    Writeback.objects.bulk_create(
        [
            Writeback(
                customer=run.customer,
                ticket_id=ticket,
                key=f"run-{run.uuid}-{ticket}",
                what="resolve",
                content={"text": f"{what}: done and checked. {run.reason}", "run": str(run.uuid)},
                next_at=at,
                created_at=at,
            )
            for ticket in tickets
        ],
        ignore_conflicts=True,
    )


def tell_people(run: Run, *, at: datetime) -> None:
    """Somebody is to look at a run that went wrong."""
    Notification.objects.get_or_create(
        key=f"run-{run.uuid}-{run.status}",
        defaults={
            "customer": run.customer,
            "kind": f"run_{run.status}",
            "text": f"{title(run)}: {run.get_status_display().lower()}. {run.reason}"[:1000],
            "link": f"/tickets/{run.ticket.uuid}/",
            "created_at": at,
        },
    )


def tell_of_circuit(run: Run, *, at: datetime) -> None:
    """Where this run opened its runbook's circuit somebody must close it, and so must hear of it."""
    runbook = RUNBOOKS.get(run.runbook)
    if runbook is None:
        return
    # the last failures may be recorded by several workers at one moment: each must see the others'
    Customer.objects.select_for_update(no_key=True).get(pk=run.customer_id)
    found = obstacles.circuit_of(run.customer, runbook)
    if found.open and found.since:
        Notification.objects.get_or_create(
            key=f"circuit-{run.customer_id}-{run.runbook}-{found.since.isoformat()}",
            defaults={
                "customer": run.customer,
                "kind": "circuit_open",
                "text": f"{runbook.title} no longer starts: {found.wrong} of its last {found.of} runs went wrong. "
                "Look at them, then close the circuit.",
                "link": f"/customers/{run.customer.slug}/runbooks/{run.runbook}/",
                "created_at": at,
            },
        )
