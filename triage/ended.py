"""What is written down to be told after a run: the ITSM of what was resolved, people and programs of how it ended."""

from datetime import datetime

from runbooks.registry import RUNBOOKS
from triage import obstacles, placing
from triage.models import Customer, Run, Writeback
from triage.models.fields import english
from triage.telling import tell


def title(run: Run) -> str:
    """The runbook's title; its key where a later version of the product no longer has it."""
    return RUNBOOKS[run.runbook].title if run.runbook in RUNBOOKS else run.runbook


def tell_itsm(run: Run, tickets: list[int], *, at: datetime) -> None:
    """The ITSM is to place these tickets where the customer allows it, and to resolve them."""
    placing.after_run(run, tickets, at=at)
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
    """Somebody is to look at a run that went wrong; of one that went well only other programs hear.

    Why it ended so is not told: it may repeat the ticket's words.
    """
    lost = run.status == Run.Status.UNKNOWN
    how = "nobody knows whether it happened" if lost else english(run.Status(run.status).label).lower()
    tell(
        kind=f"run_{run.status}",
        customer=run.customer,
        key=f"run-{run.uuid}-{run.status}",
        text=f"{title(run)} for {run.ticket.external_id}: {how}.",
        link=f"/runs/{run.uuid}/" if lost else f"/tickets/{run.ticket.uuid}/",
        runbook=run.runbook,
        ticket=run.ticket,
        data={"run": str(run.uuid), "status": run.status},
        at=at,
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
        tell(
            kind="circuit_open",
            customer=run.customer,
            key=f"circuit-{run.customer_id}-{run.runbook}-{found.since.isoformat()}",
            text=f"{runbook.title} no longer starts: {found.wrong} of its last {found.of} runs went wrong. "
            "Look at them, then close the circuit.",
            link=f"/customers/{run.customer.slug}/runbooks/{run.runbook}/",
            runbook=run.runbook,
            at=at,
        )
