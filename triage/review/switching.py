"""Stopping and allowing starts, for all customers, one customer or one runbook there; and closing an error circuit."""

from datetime import datetime

from django.db import transaction

from runbooks.base import Runbook
from triage import lifecycle, obstacles, standing
from triage.models import Customer, Person, RunbookState
from triage.permissions import check_can_close_circuit, check_can_start, check_can_stop, check_can_switch_all
from triage.queries.log import name_of
from triage.review.refused import ReviewRefused
from triage.telling import tell

WHY_AGAIN = "Say in a few words why it may start again."


def switch_all(*, on: bool, person: Person, reason: str, at: datetime) -> bool:
    """Stop every start at every customer, or allow starts again; False where it stood so already."""
    check_can_switch_all(person)
    if not reason.strip():
        raise ReviewRefused(WHY_AGAIN if on else "Say in a few words why everything has to stop: all will read it.")
    return standing.switch(on=on, because=reason, at=at, person=person)


def switch_automation(customer: Customer, *, on: bool, person: Person, reason: str, at: datetime) -> bool:
    """Stop every start for a customer, or allow starts again; False where it stood so already."""
    _check(customer, on=on, person=person, reason=reason)
    with transaction.atomic():
        won = Customer.objects.filter(pk=customer.pk, automation_enabled=not on).update(automation_enabled=on)
        if won:
            event = "automation started" if on else "automation stopped"
            lifecycle.record(row=customer, event=event, at=at, actor=f"person:{person.pk}", reason=reason.strip())
        if won and not on:
            tell(
                kind="automation_off",
                customer=customer,
                key=f"automation-off-{customer.pk}-{at.isoformat()}",
                text=f"{name_of(person)} stopped automation: nothing starts until somebody allows it again.",
                link="/overview/",
                at=at,
            )
    return bool(won)


def switch_runbook(
    customer: Customer, runbook: Runbook, *, on: bool, person: Person, reason: str, at: datetime
) -> bool:
    """Stop every start of one runbook at a customer, or allow starts again; False where it stood so already."""
    _check(customer, on=on, person=person, reason=reason)
    with transaction.atomic():
        state = _locked(customer, runbook)
        if state.enabled == on:
            return False
        RunbookState.objects.filter(pk=state.pk).update(enabled=on)
        event = "runbook started" if on else "runbook stopped"
        lifecycle.record(row=state, event=event, at=at, actor=f"person:{person.pk}", reason=reason.strip())
    return True


def close_circuit(customer: Customer, runbook: Runbook, *, person: Person, reason: str, at: datetime) -> None:
    """Let a runbook start again whose runs went wrong too often: what ended before is forgiven."""
    check_can_close_circuit(person, customer)
    if not reason.strip():
        raise ReviewRefused("Say in a few words what was wrong with these runs and what was done about it.")
    with transaction.atomic():
        state = _locked(customer, runbook)
        if not obstacles.circuit_of(customer, runbook).open:
            raise ReviewRefused("The circuit is closed already. Reload the page.")
        RunbookState.objects.filter(pk=state.pk).update(circuit_closed_at=at)
        lifecycle.record(row=state, event="circuit closed", at=at, actor=f"person:{person.pk}", reason=reason.strip())


def _check(customer: Customer, *, on: bool, person: Person, reason: str) -> None:
    if on:
        check_can_start(person, customer)
        if not reason.strip():
            raise ReviewRefused(WHY_AGAIN)
    else:
        check_can_stop(person, customer)


def _locked(customer: Customer, runbook: Runbook) -> RunbookState:
    """The runbook's row, after any start that is being committed at the customer: starts hold the customer's lock."""
    Customer.objects.select_for_update(no_key=True).get(pk=customer.pk)
    return RunbookState.objects.get_or_create(customer=customer, runbook=runbook.key)[0]
