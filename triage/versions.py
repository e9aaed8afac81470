"""What another system would run for a runbook, as far as it can be known: part of the action's version.

Where an action lies in a job system, somebody can change it there. The version that was read last belongs to the
action's digest: after a change nothing that was decided or approved before still stands, and a person confirms the
next runs, as after a change of any action.
"""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from runbooks.base import Runbook
from runbooks.registry import RUNBOOKS
from runbooks.runners import VERSIONS
from runbooks.targets import TargetError
from triage import lifecycle
from triage.models import Customer, RunbookState, Target
from triage.targets import settings_of, target_for

log = logging.getLogger(__name__)
ASKED_EVERY = timedelta(minutes=10)


def digest(customer: Customer, runbook: Runbook) -> str:
    """SHA-256 (hex) of the action at this customer: the runbook's own, and what lies elsewhere as it was last read."""
    if runbook.runner not in VERSIONS:
        return runbook.action_digest
    told = json.dumps([runbook.action_digest, _known(customer, runbook)])
    return hashlib.sha256(told.encode()).hexdigest()


def unread(customer: Customer, runbook: Runbook) -> str | None:
    """Why the version of an action elsewhere is not known yet, as a sentence; None where it is, or needs not be."""
    if runbook.runner not in VERSIONS or _known(customer, runbook):
        return None
    return f"What {runbook.runner} would run for {runbook.title} has not been read yet."


def changed(customer: Customer, runbook: Runbook, *, target: Mapping[str, str], at: datetime) -> str | None:
    """Ask the other system, keep what it says, and say in a sentence when that is not what it said before.

    Raises TargetError where it does not answer.
    """
    if runbook.runner not in VERSIONS:
        return None
    now, before = VERSIONS[runbook.runner](runbook, target=target), _known(customer, runbook)
    state, _ = RunbookState.objects.get_or_create(customer=customer, runbook=runbook.key)
    RunbookState.objects.filter(pk=state.pk).update(action_version=now, action_version_at=at)
    if now == before:
        return None
    lifecycle.record(row=state, event="action changed elsewhere", at=at, actor="system:versions", after=now[:16])
    return f"What {runbook.runner} would run has changed since this run was decided: a person confirms the next runs."


def due(*, at: datetime) -> bool:
    """Whether any job system has not been asked lately."""
    return next(_unasked(at), None) is not None


def refresh(*, at: datetime) -> int:
    """Ask every job system that was not asked lately what it would run; how many were asked."""
    asked = 0
    for customer, runbook, target in _unasked(at):
        asked += 1
        try:
            changed(customer, runbook, target=settings_of(target), at=at)
        except (TargetError, ValueError) as error:
            log.warning("%s cannot say what it would run for %s: %s", target, runbook.key, error)
            state, _ = RunbookState.objects.get_or_create(customer=customer, runbook=runbook.key)
            RunbookState.objects.filter(pk=state.pk).update(action_version_at=at)
    return asked


def _unasked(at: datetime) -> Iterator[tuple[Customer, Runbook, Target]]:
    elsewhere = [runbook for runbook in RUNBOOKS.values() if runbook.runner in VERSIONS]
    for runbook in elsewhere:
        lately = RunbookState.objects.filter(runbook=runbook.key, action_version_at__gt=at - ASKED_EVERY)
        targets = Target.objects.filter(kind=runbook.target_kind).exclude(customer__in=lately.values("customer"))
        for target in targets.select_related("customer"):
            if target_for(target.customer, runbook) == target:
                yield target.customer, runbook, target


def _known(customer: Customer, runbook: Runbook) -> str:
    found = RunbookState.objects.of(customer).filter(runbook=runbook.key)
    return found.values_list("action_version", flat=True).first() or ""
