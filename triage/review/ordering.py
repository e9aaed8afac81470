"""A runbook that a person orders for a ticket: by one word for low and medium risk, with approval above."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.db.models import F

from runbooks.base import Runbook
from runbooks.environments import strictest
from runbooks.parameters import Extraction, validate
from runbooks.targets import OpenDirectory, TargetError
from triage import approvals, automation, consent, obstacles
from triage.models import Customer, Decision, Mode, Person, Run, Target, Ticket
from triage.obstacles import Obstacle
from triage.queries.log import name_of
from triage.review.refused import ReviewRefused
from triage.targets import directory, lists_of, object_of, target_for

PEOPLE_NEEDED = {"low": 0, "medium": 0, "high": 1, "irreversible": 2}
"""How many others must approve what one person has ordered, by risk tier."""


def obstacle(*, ticket: Ticket, runbook: Runbook, at: datetime) -> str | None:
    """Why the runbook cannot be ordered for this ticket now, as a sentence."""
    customer = ticket.customer
    if customer is None:
        return "This ticket belongs to no customer yet."
    if target_for(customer, runbook) is None:
        return f"No single {runbook.target_kind} is set up for {runbook.title}."
    held = waits_for(ticket=ticket, runbook=runbook, at=at)
    if held and (held.until is None or held.until > at + automation.ORDERS_KEPT):
        return f"{held.reason} Order it nearer the time."
    return automation.obstacle(customer=customer, runbook=runbook, at=at)


def waits_for(*, ticket: Ticket, runbook: Runbook, at: datetime) -> Obstacle | None:
    """The maintenance window or freeze that an ordered run would wait for."""
    target = _target(ticket, runbook)
    if ticket.customer is None or target is None:
        return None
    return obstacles.closed(customer=ticket.customer, runbook=runbook, at=at, target=target)


def order(
    *, ticket: Ticket, person: Person, label: str, runbook: Runbook, parameters: dict[str, str], at: datetime
) -> None:
    """Write the decision for what was ordered and request its run, or the approval that it needs.

    Raises ReviewRefused with what is in the way; the caller's transaction then leaves nothing behind.
    """
    customer = ticket.customer
    in_the_way = obstacle(ticket=ticket, runbook=runbook, at=at)
    if in_the_way or customer is None:
        raise ReviewRefused(in_the_way or "This ticket belongs to no customer yet.")
    target = _target(ticket, runbook)
    _check_fits(ticket, customer, runbook, parameters, target)
    if Run.objects.filter(ticket=ticket, runbook=runbook.key, occasion=ticket.occasion).exists():
        Ticket.objects.filter(pk=ticket.pk).update(occasion=F("occasion") + 1)
        ticket.refresh_from_db(fields=["occasion"])
    Decision.objects.filter(ticket=ticket, text_hash=ticket.text_hash, in_force=True).update(in_force=False)
    decision = Decision.objects.create(
        customer=customer,
        ticket=ticket,
        text_hash=ticket.text_hash,
        mode=Mode.APPROVE,
        article=label,
        runbook=runbook.key,
        parameters=parameters,
        reason=f"{name_of(person)} ordered: {runbook.title}"[:1000],
        made_at=at,
    )
    people = PEOPLE_NEEDED[runbook.tier] or (1 if _owner_lacks(runbook, parameters, target, person) else 0)
    if people:
        asked = approvals.ask(ticket=ticket, decision=decision, people_needed=people, at=at)
        if asked is None:
            raise ReviewRefused("The ticket has moved on meanwhile. Open it again.")
        return
    run = automation.request(ticket=ticket, decision=decision, at=at, actor=f"person:{person.pk}", ordered_by=person)
    if run is None:
        on = object_of(runbook, parameters=parameters, ticket=ticket)
        raise ReviewRefused(
            f"Another run on {on} is under way, or an equal ticket's run answers for this one too. Look at the runs."
        )


def _check_fits(
    ticket: Ticket, customer: Customer, runbook: Runbook, parameters: dict[str, str], target: Target | None
) -> None:
    """ReviewRefused where these values do not do, or the runbook never runs where they lead."""
    problems = problems_with(runbook, parameters, target=target)
    if problems:
        raise ReviewRefused(f"{runbook.title} cannot work with this: {'; '.join(problems)}.")
    environment = obstacles.environment_of(target, object_of(runbook, parameters=parameters, ticket=ticket))
    if strictest(environment, *obstacles.rules_for(customer, runbook)) == "never":
        raise ReviewRefused(f"{runbook.title} never runs in the environment {environment}, whoever orders it.")


def _owner_lacks(runbook: Runbook, parameters: dict[str, str], target: Target | None, person: Person) -> str:
    try:
        return consent.lacking(runbook, parameters, target=target, people=[person])
    except TargetError as error:
        raise ReviewRefused(f"The target cannot be reached: {error}. Look at its settings.") from error


def problems_with(runbook: Runbook, parameters: dict[str, str], *, target: Target | None) -> tuple[str, ...]:
    """What speaks against these values, at the target too; whose account it may be is for the person to judge."""
    with opened(target) as client:
        return validate(
            runbook,
            Extraction(parameters),
            directory=client,
            lists=lists_of(target) if target else None,
            requester="",
            machine=True,
        )


@contextmanager
def opened(target: Target | None) -> Iterator[OpenDirectory | None]:
    """A client of the target where it is a directory; raises ReviewRefused where it cannot be reached."""
    client = None
    try:
        client = directory(target) if target else None
        yield client
    except (TargetError, KeyError, sqlite3.Error) as error:
        raise ReviewRefused(f"The target cannot be reached: {error}. Look at its settings.") from error
    finally:
        if client:
            client.close()


def _target(ticket: Ticket, runbook: Runbook) -> Target | None:
    return target_for(ticket.customer, runbook) if ticket.customer else None
