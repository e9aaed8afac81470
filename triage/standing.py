"""The switches that stop every start: for all customers, for one customer, for one runbook at a customer.

A start is committed under its customer's lock and looks at the switches there. Whoever switches takes the same locks
first, so that once a switch is committed no run reaches STARTING any more.
"""

from datetime import datetime

from django.db import transaction

from triage import lifecycle
from triage.models import Customer, Person, Standing
from triage.telling import tell

ONLY = 1


def now() -> Standing:
    """The installation's row as it stands; made with everything on where there is none yet."""
    return Standing.objects.get_or_create(pk=ONLY)[0]


def stopped() -> str | None:
    """Why nothing may start at any customer, as a sentence; None where the switch for all is on."""
    off = Standing.objects.filter(pk=ONLY, automation_enabled=False).values_list("off_because", flat=True).first()
    return None if off is None else f"Automation is switched off for all customers: {off}"


def switch(*, on: bool, because: str, at: datetime, person: Person | None = None, actor: str = "") -> bool:
    """Switch all starts on or off; whether that changed anything. Switching off twice keeps the first reason.

    `person`: who did it, None where the product itself did; then `actor` names its part, as in `system:recovery`.
    """
    with transaction.atomic():
        list(Customer.objects.order_by("pk").select_for_update(no_key=True).values_list("pk"))  # starts under way end
        now()
        changes = {"off_because": because.strip()[:500], "off_since": at, "off_by": person}
        if on:
            changes = {"off_because": "", "off_since": None, "off_by": None}
        won = Standing.objects.filter(pk=ONLY, automation_enabled=not on).update(automation_enabled=on, **changes)
        if won:
            lifecycle.record(
                row=now(),
                event="kill switch for all",
                at=at,
                actor=f"person:{person.pk}" if person else actor or "system:standing",
                after="on" if on else "off",
                reason=because.strip(),
            )
        if won and not on:
            tell(
                kind="automation_off",
                customer=None,
                key=f"automation-off-all-{at.isoformat()}",
                text=f"Automation is switched off for all customers: {because.strip()[:500]}",
                link="/overview/",
                at=at,
            )
    return bool(won)
