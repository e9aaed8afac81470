"""Which target a runbook works on at a customer, and how to reach it."""

import json
from collections.abc import Mapping
from pathlib import Path

from runbooks.base import Runbook
from runbooks.targets.directory import SqliteDirectory
from triage.models import Customer, Target, Ticket


def target_for(customer: Customer, runbook: Runbook) -> Target | None:
    """The customer's one target of the kind that the runbook works on; None where none or several are set up."""
    found = list(Target.objects.of(customer).filter(kind=runbook.target_kind)[:2])
    return found[0] if len(found) == 1 else None


def settings_of(target: Target) -> Mapping[str, str]:
    """Connection and credentials in plain, for handing to a runner's child process only."""
    return {str(name): str(value) for name, value in json.loads(target.settings or "{}").items()}


def directory(target: Target) -> SqliteDirectory | None:
    """A client for looking up accounts, where the target is a directory; the caller closes it."""
    return SqliteDirectory(Path(settings_of(target)["path"])) if target.kind == "directory" else None


def object_of(runbook: Runbook, *, parameters: Mapping[str, str], ticket: Ticket) -> str:
    """What on the target the run would work on: two runs on one object never live at the same moment.

    A runbook that takes no account works on nothing shared, so its object is the ticket itself, or the storm: equal
    alerts never run side by side.
    """
    for parameter in runbook.parameters:
        if parameter.kind == "account" and parameters.get(parameter.name):
            return parameters[parameter.name]
    return f"alert {ticket.storm_key[:16]}" if ticket.actor == Ticket.Actor.MACHINE else f"ticket {ticket.pk}"
