"""One ticket and one runbook, looked at by the very code that would decide and run them."""

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db.models import Q

from runbooks import rehearsal
from runbooks.base import ASSURANCES, Assurance, Runbook, assurance_reaches
from runbooks.parameters import Extraction
from runbooks.rehearsal import Foreseen, Rehearsed
from runbooks.rules import short
from runbooks.targets import TargetError
from runbooks.targets.accounts import Directory
from runbooks.targets.lists import Lists
from triage import automation, lifecycle, links, routing, targets
from triage.models import Customer, Draw, Mode, Run, Target, Ticket
from triage.prediction import answers, deciding
from triage.prediction.claims import Claim
from triage.queries import blind
from triage.rehearsal.found import Found, extracted, found_for

STARTABLE = (
    Ticket.Status.RECEIVED,
    Ticket.Status.CLASSIFIED,
    Ticket.Status.OBSERVED,
    Ticket.Status.NEEDS_REVIEW,
    Ticket.Status.WAITING_APPROVAL,
    Ticket.Status.ANSWERED,
)


class NotRehearsed(Exception):
    """The ticket cannot be looked at in this way; the message says why and what to do instead."""


@dataclass(frozen=True, kw_only=True)
class Decided:
    """What the model and the rules make of the ticket. covered: a certificate covers this very run."""

    covered: bool
    why: str
    mode: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """Everything about one runbook for one ticket now. pre_check: None where it could not be run.

    action: what it would do; None where the pre-check says no, or where nobody can say.
    """

    ticket: Ticket
    runbook: Runbook
    found: tuple[Found, ...]
    complete: bool
    assurance: Assurance
    target: str
    obstacles: tuple[str, ...]
    decided: Decided
    pre_check: Rehearsed | None
    action: Foreseen | None

    @property
    def assured(self) -> bool:
        """Whether the channel shows well enough who is asking."""
        return assurance_reaches(self.assurance, self.runbook.assurance)


def ticket_called(name: str, *, customer: str | None) -> Ticket:
    """The ticket of this external id or UUID, of the named customer; NotRehearsed where it is not one."""
    wanted = Q(external_id=name)
    with suppress(ValueError):
        wanted |= Q(uuid=uuid.UUID(name))
    rows = Ticket.objects.filter(wanted, customer__isnull=False).select_related("customer", "source", "draw")
    if customer is not None:
        if not Customer.objects.filter(slug=customer).exists():
            raise NotRehearsed(f"There is no customer {customer!r}.")
        rows = rows.filter(customer__slug=customer)
    found: list[Ticket] = list(rows.order_by("pk")[:3])
    if not found:
        whose = f"The customer {customer}" if customer else "No customer"
        raise NotRehearsed(f"{whose} has {'no' if customer else 'a'} ticket {short(name)}.")
    if len(found) > 1:
        owners = {row.customer.slug for row in found if row.customer}
        how = "say whose with --customer" if len(owners) > 1 else "give its UUID, which stands in its address"
        raise NotRehearsed(f"Several tickets are called {short(name)}: {how}.")
    return found[0]


def rehearse(*, ticket: Ticket, runbook: Runbook, actor: str, at: datetime) -> Rehearsal:
    """Look at everything that would be looked at, run the pre-check, and see what the action would do.

    NotRehearsed for a ticket that is sealed.
    """
    if ticket.customer is None:
        raise NotRehearsed("This ticket belongs to no customer yet.")
    if blind.sealed([ticket], at=at):
        raise NotRehearsed("This ticket was drawn for a blind answer: say on the desk what is right for it first.")
    lifecycle.record(row=ticket, event="rehearsed", at=at, actor=actor, reason=runbook.key)
    target = targets.target_for(ticket.customer, runbook)
    try:
        with _opened(target) as (client, lists, trouble):
            extraction = extracted(ticket, runbook, client, lists)
            found = tuple(found_for(parameter, extraction, ticket, client, lists) for parameter in runbook.parameters)
    except (TargetError, sqlite3.Error) as error:
        raise NotRehearsed(f"The {runbook.target_kind} cannot be read: {error}") from error
    obstacles = [*([trouble] if trouble else []), *_obstacles(ticket, runbook, target, extraction, at=at)]
    checked, foreseen = None, None
    if extraction.complete and target is not None and not trouble:
        settings = targets.settings_of(target)
        checked = rehearsal.pre_check(runbook, parameters=extraction.values, target=settings)
        if checked.passed:
            foreseen = rehearsal.action(runbook, parameters=extraction.values, target=settings)
    return Rehearsal(
        ticket=ticket,
        runbook=runbook,
        found=found,
        complete=extraction.complete,
        assurance=next(level for level in ASSURANCES if level == ticket.source.assurance_of(ticket.channel)),
        target=_shown(target, extraction, runbook, ticket),
        obstacles=tuple(obstacles),
        decided=_decided(ticket, ticket.customer, runbook, at=at),
        pre_check=checked,
        action=foreseen,
    )


@contextmanager
def _opened(target: Target | None) -> Iterator[tuple[Directory | None, Lists | None, str]]:
    """The target's directory where it is one, its lists, and what is wrong with the target."""
    try:
        lists = targets.lists_of(target) if target else None
        client = targets.directory(target) if target else None
    except (TargetError, LookupError, ValueError) as error:
        yield None, None, f"The target cannot be used: {error}."
        return
    if client is None:
        yield None, lists, ""
        return
    with closing(client):
        yield client, lists, ""


def _obstacles(
    ticket: Ticket, runbook: Runbook, target: Target | None, extraction: Extraction, *, at: datetime
) -> Iterator[str]:
    """What would keep a run from starting now, a sentence each."""
    assert ticket.customer is not None  # noqa: S101 - `rehearse` takes no ticket without one
    if ticket.status not in STARTABLE:
        yield f"The ticket is {ticket.get_status_display().lower()}."
    if target is None:
        yield f"Not exactly one {runbook.target_kind} is set up for this customer."
    held = automation.obstacle(customer=ticket.customer, runbook=runbook, at=at)
    if held:
        yield held
    if trouble := links.trouble(runbook):
        yield trouble
    live = Run.objects.of(ticket.customer).filter(status__in=Run.LIVE)
    if live.filter(ticket=ticket).exists():
        yield "A run for this ticket is under way."
    on = targets.object_of(runbook, parameters=extraction.values, ticket=ticket)
    if live.filter(runbook=runbook.key, target=target, target_object=on).exclude(ticket=ticket).exists():
        yield f"Another run on {short(on)} is under way."


def _shown(target: Target | None, extraction: Extraction, runbook: Runbook, ticket: Ticket) -> str:
    if target is None:
        return ""
    return f"{target.kind} {target.key}, {targets.object_of(runbook, parameters=extraction.values, ticket=ticket)}"


def _decided(ticket: Ticket, customer: Customer, runbook: Runbook, *, at: datetime) -> Decided:
    """By the very code that decides tickets, with no claim on the ticket."""
    claim = Claim(id=uuid.uuid4(), customer=customer, tickets=[ticket], apart=ticket.attempts > 0)
    try:
        said = answers.ask(claim, at=at)
    except (answers.TryAgain, answers.Hold) as error:
        return Decided(covered=False, why=f"The model cannot be asked now: {error}", mode="", reason="")
    if said.serving is None:
        return Decided(covered=False, why=said.why, mode="", reason="")
    situation = deciding.situations(claim, said.serving, said.rankings, at=at)[0]
    routed = routing.decide(situation)
    pick = situation.pick
    if pick.runbook is None or pick.runbook.key != runbook.key:
        chosen = f"the runbook {pick.runbook.key}" if pick.runbook else "no runbook"
        why = f"The model finds article {pick.article or 'none'}, which leads to {chosen}."
        return Decided(covered=False, why=why, mode=routed.mode, reason=routed.reason)
    # Whether the run is covered is asked apart from switches, limits and the customer's mode.
    free = replace(situation, mode=Mode.AUTOMATE, obstacle=None, drawn=Draw.Purpose.NONE)
    alone = routing.decide(free)
    return Decided(covered=alone.mode == Mode.AUTOMATE, why=alone.reason, mode=routed.mode, reason=routed.reason)


def as_dict(done: Rehearsal) -> dict[str, Any]:
    """For JSON."""
    limits = done.runbook.limits
    return {
        "ticket": done.ticket.external_id,
        "customer": done.ticket.customer.slug if done.ticket.customer else None,
        "runbook": done.runbook.key,
        "parameters": [vars(each) for each in done.found],
        "complete": done.complete,
        "assurance": {"has": done.assurance, "needs": done.runbook.assurance, "enough": done.assured},
        "target": done.target or None,
        "limits": limits.model_dump(),
        "obstacles": list(done.obstacles),
        "certificate": {"covers": done.decided.covered, "reason": done.decided.why},
        "decision": {"mode": done.decided.mode or None, "reason": done.decided.reason},
        "pre_check": None if done.pre_check is None else vars(done.pre_check),
        "action": None if done.action is None else vars(done.action),
    }
