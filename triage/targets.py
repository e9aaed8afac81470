"""Which target a runbook works on at a customer, and how to reach it."""

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing

from runbooks.base import Runbook
from runbooks.parameters import Extraction, validate
from runbooks.runners import LOOKS
from runbooks.targets import OpenDirectory, TargetError, lists, open_directory
from runbooks.targets.ldap_names import NameBook
from runbooks.targets.lists import Lists
from triage.models import Customer, Run, Target, Ticket

_books: dict[int, tuple[str, NameBook]] = {}
"""The names of each large directory, kept for all lookups of this process: target -> digest of its settings, names."""


_lists: dict[int, tuple[str, Lists]] = {}
"""What targets let tickets name, kept since there may be thousands of hosts: target -> digest of settings, lists."""


def target_for(customer: Customer, runbook: Runbook) -> Target | None:
    """The customer's one target of the kind that the runbook works on; None where none or several are set up."""
    found = list(Target.objects.of(customer).filter(kind=runbook.target_kind)[:2])
    return found[0] if len(found) == 1 else None


def settings_of(target: Target) -> Mapping[str, str]:
    """Connection and credentials in plain, for handing to a runner's child process only; lists and such as JSON."""
    return _plain(json.loads(target.settings or "{}"))


def directory(target: Target) -> OpenDirectory | None:
    """A client for looking up accounts, where the target is a directory of either make; the caller closes it.

    Raises TargetError where it cannot be reached or its settings do not fit.
    """
    if target.kind != "directory":
        return None
    digest = hashlib.sha256((target.settings or "").encode()).hexdigest()
    if _books.get(target.pk, ("",))[0] != digest:
        _books[target.pk] = digest, NameBook()
    return open_directory(settings_of(target), names=_books[target.pk][1])


def lists_of(target: Target) -> Lists:
    """What the target's settings let tickets name; TargetError where they do not fit."""
    digest = hashlib.sha256((target.settings or "").encode()).hexdigest()
    if _lists.get(target.pk, ("",))[0] != digest:
        _lists[target.pk] = digest, lists.read(target.kind, settings_of(target))
    return _lists[target.pk][1]


def still_fit(run: Run, runbook: Runbook) -> str:
    """Why the run's values no longer fit the runbook or its target, as a sentence; empty where they do.

    For asking just before the start: an account may be gone or privileged meanwhile, a host taken from the list.
    Whose account it may be is judged by whoever ordered or approved the run, and by the requester where nobody did.
    Raises TargetError where the target cannot be asked, which says nothing about the values.
    """
    try:
        client = directory(run.target)
        try:
            problems = validate(
                runbook,
                Extraction({name: str(value) for name, value in run.parameters.items()}),
                directory=client,
                lists=lists_of(run.target),
                requester=run.ticket.requester,
                machine=run.ordered_by_id is not None,
            )
        finally:
            if client is not None:
                client.close()
    except (LookupError, ValueError, sqlite3.Error) as error:
        raise TargetError(f"the {run.target.kind} cannot be asked: {error}") from error
    return f"What the run was decided with does not fit any more: {'; '.join(problems)}." if problems else ""


def trouble_with(kind: str, settings: str) -> str:
    """What is wrong with a target's settings as they are to be stored, as a sentence; empty where nothing is.

    Only what can be known without reaching it; no value of the settings is repeated.
    """
    try:
        given = json.loads(settings)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        return 'The settings must be one JSON object, such as {"url": "ldaps://directory.example.org"}.'
    try:
        lists.software(_plain(given))
        _check(kind, _plain(given))
    except TargetError as error:
        return f"{error}."
    return ""


def _check(kind: str, given: Mapping[str, str]) -> None:
    """TargetError with what is wrong with the settings of a target of this kind."""
    if kind == "directory" and "url" in given:
        from runbooks.targets import ldap_settings

        ldap_settings.read(given)
    elif kind == "host":
        from runbooks.targets import host

        host.parse(given)
    elif kind == "ssm":
        from runbooks.targets import ssm

        ssm.parse(given)
    elif kind in ("awx", "rundeck"):
        from runbooks.targets import job_systems

        job_systems.parse(kind, given)


def look(target: Target) -> str:
    """Reach the target as a run would, where it can be reached without doing anything, and say what was found."""
    if target.kind in LOOKS:
        return f"{target.key}: {LOOKS[target.kind](settings_of(target))}"
    client = directory(target)
    if client is None:
        return f"{target.key}: {target.kind}"
    with closing(client):
        return f"{target.key}: {client.look()}"


def object_of(runbook: Runbook, *, parameters: Mapping[str, str], ticket: Ticket) -> str:
    """What on the target the run would work on: two runs on one object never live at the same moment.

    A runbook that takes no account, mailbox or host works on nothing shared, so its object is the ticket itself, or
    the storm: equal alerts never run side by side.
    """
    limits = {runbook.settings.get("limit"), runbook.settings.get("node")}
    for parameter in runbook.parameters:
        # Two runs on one host could each take the other's changes for its own.
        on_host = parameter.kind == "host" or parameter.name in limits
        on_host = on_host or (runbook.target_kind == "host" and parameter.name == "host")
        if (parameter.kind in ("account", "mailbox") or on_host) and parameters.get(parameter.name):
            return parameters[parameter.name]
    return f"alert {ticket.storm_key[:16]}" if ticket.actor == Ticket.Actor.MACHINE else f"ticket {ticket.pk}"


def _plain(given: Mapping[str, object]) -> dict[str, str]:
    return {str(name): value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
