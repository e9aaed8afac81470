"""From a document to a plan, and from a plan that a person has seen to rows: all of them or none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import F

from triage import intake, lifecycle, people
from triage.applying import connections, customers
from triage.applying.customers import Building
from triage.applying.plan import MADE, Change, Plan
from triage.applying.reading import Read
from triage.applying.standing_rows import Standing
from triage.itsm import standard
from triage.models import Customer, EventEndpoint, Membership, Mode, Person, Role, Source

Made = Sequence[tuple[str, str]]


class PlanChanged(Exception):
    """The installation is no longer as it was when the plan was shown; nothing was written."""


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What was written. `made`: signing secrets by what they sign for, told once and readable nowhere afterwards.

    `people`: new accounts, which need a sign-in link. `mapped`: tickets that waited and have found their customer.
    """

    plan: Plan
    made: Made = ()
    people: Sequence[Person] = ()
    mapped: int = 0


def plan(read: Read, *, prune: bool = False) -> Plan:
    """What would change; DocumentInvalid with every problem where the document does not fit this installation."""
    building = Building(Standing(), prune)
    said = read.document
    customers.people(building, said.people)
    rows: list[Customer] = []
    for number, one in enumerate(said.customers):
        rows.append(customers.customer(building, one, ("customers", number)))
    for number, (one, row) in enumerate(zip(said.customers, rows, strict=True)):
        path = ("customers", number)
        connections.touched(building, one, row, path)
        customers.below(building, one, row, path)
        connections.endpoints(building, one.events, row, path)
    customers.freezes(building, said.freezes, None, told="freezes" in said.model_fields_set)
    connections.endpoints(building, said.events, None, ())
    for number, connection in enumerate(said.sources):
        connections.source(building, connection, ("sources", number))
    if prune:
        _prune(building, read)
    read.refuse(building.problems)
    building.plan.warn_of_removals()
    return building.plan


def _untold(_: Made) -> None:
    """Nobody wants to know."""


def carry_out(
    read: Read, *, shown: Plan, prune: bool, actor: str, at: datetime, tell_made: Callable[[Made], None] = _untold
) -> Applied:
    """Write what was shown, in one transaction; PlanChanged where the same document would now do something else.

    `tell_made` gets the secrets that were made, last in the transaction: what it cannot tell is not written. A process
    that dies in between has told secrets of nothing, and never lost those of something.
    """
    with transaction.atomic():
        current = plan(read, prune=prune)
        if current.as_dict() != shown.as_dict():
            raise PlanChanged(
                "somebody changed the installation meanwhile: nothing was written; look at the plan again"
            )
        made = [secret for change in current.changes for secret in _write(change, file=read.file, actor=actor, at=at)]
        _settle(current, at=at)
        tell_made(made)
    return Applied(
        plan=current,
        made=made,
        people=[one.row for one in current.changes if one.verb == "create" and isinstance(one.row, Person)],
        mapped=_find_owners(read, at=at),
    )


def _settle(done: Plan, *, at: datetime) -> None:
    """What goes with a new standing, as where a person gives it on the desk.

    Who was switched off or on has no session left; nor has who became an administrator and lacks the second factor
    that is demanded. PersonRefused where nobody would be left to administer the installation.
    """
    for change in done.changes:
        row = change.row
        if isinstance(row, Person) and "is_active" in change.columns:
            Person.objects.filter(pk=row.pk).update(sessions_era=F("sessions_era") + 1)
        if isinstance(row, Person) and "is_superuser" in change.columns and row.is_superuser:
            people.end_unproved(row, at=at)
        if isinstance(row, Membership) and change.verb == "create" and row.role == Role.ADMIN:
            people.end_unproved(row.person, at=at)
    if any(_took_an_administrator(one) for one in done.changes):
        people.keep_an_administrator()


def _took_an_administrator(change: Change) -> bool:
    row, columns = change.row, change.columns
    if not isinstance(row, Person):
        return False
    return ("is_superuser" in columns and not row.is_superuser) or (
        "is_active" in columns and not row.is_active and row.is_superuser
    )


def _write(change: Change, *, file: str, actor: str, at: datetime) -> list[tuple[str, str]]:
    """Save one row with its line in the log; the secret that was made for it, if one was."""
    row, made = change.row, []
    if any(one.new == MADE for one in change.differences) and isinstance(row, Source | EventEndpoint):
        row.secrets = standard.new_secret()
        made = [(f"{change.what} {change.name}", row.secrets)]
    reason = f"{file}: {change.what} {change.name}; {', '.join(one.words() for one in change.differences)}"
    events = {"create": "added", "change": "changed", "switch off": "switched off", "remove": "removed"}
    if change.verb == "create":
        row.save(force_insert=True)
    elif change.verb != "remove":
        again = ("pull_due_at",) if isinstance(row, Source) else ()  # what was mended is tried at once
        for column in again:
            setattr(row, column, None)
        row.save(update_fields=[*change.columns, *again])
    lifecycle.record(row=row, event=change.event or events[change.verb], at=at, actor=actor, reason=reason)
    if change.verb == "remove":
        row.delete()
    return made


def _prune(building: Building, read: Read) -> None:
    """Take out of use what the file does not name: sources off, customers back to observing, roles removed."""
    named = {one.slug for one in read.document.sources}
    for slug, row in list(building.standing.sources.items()):
        if slug not in named:
            building.plan.want(row, Source, what="source", name=slug, values={"enabled": False}, verb="switch off")
    kept = {one.slug for one in read.document.customers}
    for slug, customer in list(building.standing.customers.items()):
        if slug in kept:
            continue
        values = {"mode": Mode.OBSERVE, "write_back": False}
        building.plan.want(customer, Customer, what="customer", name=slug, values=values, verb="switch off")
        for left in building.standing.of(building.standing.memberships, customer):
            building.plan.remove(left, what="role", name=f"{left.person.username} {left.role} at {slug}")


def _find_owners(read: Read, *, at: datetime) -> int:
    """Tickets that waited for an owner go to the customers that the sources name now; safe to do again."""
    slugs = [one.slug for one in read.document.sources]
    waiting = Source.objects.filter(slug__in=slugs, ticket__customer__isnull=True, ticket__isnull=False).distinct()
    return sum(intake.map_waiting(source=source, at=at) for source in waiting)
