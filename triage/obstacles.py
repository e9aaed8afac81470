"""What stands in the way of a run now: switches, the error circuit, maintenance windows and freezes, limits."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet

from runbooks import limits, windows
from runbooks.base import Runbook
from runbooks.environments import UNSAID
from runbooks.outcome import Status as RunnerStatus
from triage import standing, versions
from triage.models import Customer, Freeze, Limit, Run, RunbookState, Target, Window

CIRCUIT_LOOKBACK = 200  # ended runs that are looked at: more than any circuit's window
HOLD = timedelta(seconds=5)
LONGEST_HOLD = timedelta(seconds=60)
"""A run that waits for a limit is looked at again after this at the latest: the limit may be changed meanwhile."""

LIVE = (Run.Status.STARTING, Run.Status.UNKNOWN)
ENDED: Mapping[str, RunnerStatus] = {
    Run.Status.SUCCEEDED: "succeeded",
    Run.Status.FAILED: "failed",
    Run.Status.UNDONE: "undone",
    Run.Status.UNDO_FAILED: "undo_failed",
    Run.Status.UNKNOWN: "unknown",
}

_environments: dict[int, tuple[str, dict[str, str]]] = {}
"""The environments that hosts say of themselves: target -> digest of its settings, environment by host."""


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """Why no run may start now, as a sentence, and until when where that is known.

    window: a maintenance window or a freeze is in the way; where it opens the run's ticket is decided again.
    """

    reason: str
    until: datetime | None = None
    window: bool = False

    def changes(self, *, at: datetime) -> dict[str, Any]:
        """The columns of the run that waits: until when it rests, and the window that it waits for."""
        if self.window:
            return {"hold_until": self.until or at + windows.HORIZON, "window_at": self.until}
        rest = min(max(self.until - at, HOLD), LONGEST_HOLD) if self.until else HOLD
        return {"hold_until": at + rest}


def find(
    *, customer: Customer, runbook: Runbook, at: datetime, target: Target | None, target_object: str = ""
) -> Obstacle | None:
    """Whatever is in the way of a run of this runbook on this object of the target; None where nothing is."""
    return (
        switched_off(customer, runbook)
        or _unread(customer, runbook)
        or _circuit(customer, runbook)
        or closed(customer=customer, runbook=runbook, at=at, target=target)
        or _full(customer, runbook, at=at, target=target, target_object=target_object)
    )


def but_windows(*, customer: Customer, runbook: Runbook, at: datetime, target: Target | None) -> Obstacle | None:
    """The same without maintenance windows and freezes, which a run waits for, and limits of single objects."""
    return (
        switched_off(customer, runbook)
        or _unread(customer, runbook)
        or _circuit(customer, runbook)
        or _full(customer, runbook, at=at, target=target)
    )


def switched_off(customer: Customer, runbook: Runbook) -> Obstacle | None:
    """The switch that is off: for all, for the customer or for the runbook there."""
    for_all = standing.stopped()
    if for_all:
        return Obstacle(reason=for_all)
    if not Customer.objects.filter(pk=customer.pk, automation_enabled=True).exists():
        return Obstacle(reason="Automation is switched off for this customer.")
    if RunbookState.objects.of(customer).filter(runbook=runbook.key, enabled=False).exists():
        return Obstacle(reason="This runbook is switched off.")
    return None


def _unread(customer: Customer, runbook: Runbook) -> Obstacle | None:
    reason = versions.unread(customer, runbook)
    return Obstacle(reason=reason) if reason else None


def circuit_of(customer: Customer, runbook: Runbook) -> limits.Circuit:
    """The error circuit of a runbook at a customer as it stands."""
    state = RunbookState.objects.of(customer).filter(runbook=runbook.key).first()
    closed_at = state.circuit_closed_at if state else None
    return limits.circuit(runbook.limits, _finished(customer, runbook), closed_at=closed_at)


def closed(*, customer: Customer, runbook: Runbook, at: datetime, target: Target | None) -> Obstacle | None:
    """The maintenance window that is closed or the freeze that holds, with the moment of the next possible start."""
    groups: dict[tuple[str, int | None], list[windows.Window]] = {}
    for row in _concerning(Window.objects.of(customer), runbook, target):
        groups.setdefault((row.runbook, row.target_id), []).append(arithmetic(row))
    coming = Freeze.objects.filter(Q(customer=customer) | Q(customer=None), ends__gt=at).order_by("begins", "pk")
    freezes = [windows.Freeze(row.begins, row.ends, row.reason) for row in coming]
    found = windows.closed(list(groups.values()), freezes, at)
    if found is None:
        return None
    when = f"it goes on from {found.until:%A %d %B %Y %H:%M} UTC" if found.until else "and no opening is in sight"
    return Obstacle(reason=f"{runbook.title} waits, {found.reason}: {when}.", until=found.until, window=True)


def arithmetic(row: Window) -> windows.Window:
    """A stored window as the arithmetic takes it."""
    return windows.Window(row.days, row.begins, row.ends, row.zone, row.first_day)


def rules_for(customer: Customer, runbook: Runbook) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """What the runbook's author and the customer say of each environment; the strictest counts."""
    state = RunbookState.objects.of(customer).filter(runbook=runbook.key).first()
    own = {str(environment): str(rule) for environment, rule in runbook.environments.items()}
    return own, dict(state.environments) if state else {}


def environment_of(target: Target | None, target_object: str) -> str:
    """The environment of what a run works on: a host's own, else its target's; production where neither says one."""
    if target is None:
        return UNSAID
    if target.kind == "host":
        found = _hosts(target).get(target_object)
        if found is not None:
            return found
    return target.environment or UNSAID


def _hosts(target: Target) -> Mapping[str, str]:
    """The environment of each host of a target that has hosts; kept, since there may be thousands."""
    digest = hashlib.sha256((target.settings or "").encode()).hexdigest()
    if _environments.get(target.pk, ("",))[0] != digest:
        hosts = json.loads(target.settings or "{}").get("hosts")
        told = hosts.items() if isinstance(hosts, dict) else ()
        own = {name: host.get("environment") for name, host in told if isinstance(host, dict)}
        _environments[target.pk] = digest, {name: str(said) for name, said in own.items() if said}
    return _environments[target.pk][1]


def limits_of(customer: Customer, runbook: Runbook, *, target: Target | None) -> Iterator[str]:
    """The limits that hold for a runbook's runs, each in a sentence."""
    for what, hourly, most, _ in _limits(customer, runbook, target=target, target_object="each host or account"):
        said = [f"{hourly} in an hour"] if hourly is not None else []
        said += [f"{most} at the same moment"] if most is not None else []
        yield f"Runs of {what}: at most {' and '.join(said)}."


def _circuit(customer: Customer, runbook: Runbook) -> Obstacle | None:
    found = circuit_of(customer, runbook)
    return Obstacle(reason=f"{runbook.title} must wait: {limits.open_circuit(found)}.") if found.open else None


def _full(
    customer: Customer, runbook: Runbook, *, at: datetime, target: Target | None, target_object: str = ""
) -> Obstacle | None:
    counts = [
        limits.Count(
            what=what,
            runs_an_hour=hourly,
            concurrent=most,
            starts=[start for start in _starts(runs, since=at - limits.HOUR) if start],
            running=runs.filter(status__in=LIVE).count(),
        )
        for what, hourly, most, runs in _limits(customer, runbook, target=target, target_object=target_object)
    ]
    found = limits.full(counts, at=at)
    return Obstacle(reason=f"{runbook.title} must wait: {found.reason}.", until=found.until) if found else None


def _limits(
    customer: Customer, runbook: Runbook, *, target: Target | None, target_object: str = ""
) -> Iterator[tuple[str, int | None, int | None, QuerySet[Run]]]:
    """Each limit that holds: what it counts, runs an hour, runs at the same moment, and the runs that count."""
    runs = Run.objects.of(customer)
    state = RunbookState.objects.of(customer).filter(runbook=runbook.key).first()
    own = runbook.limits
    hourly = own.runs_an_hour if state is None or state.runs_an_hour is None else state.runs_an_hour
    most = own.concurrent if state is None or state.concurrent is None else state.concurrent
    yield runbook.title, hourly, most, runs.filter(runbook=runbook.key)
    for row in _concerning(Limit.objects.of(customer), runbook, target):
        if row.each and not target_object:
            continue
        counted, what = runs, [runbook.title if row.runbook else "all runbooks"]
        if row.runbook:
            counted = counted.filter(runbook=row.runbook)
        if row.target_id:
            counted = counted.filter(target=row.target_id)
        if row.each:
            counted = counted.filter(target=target, target_object=target_object)
        if row.each or row.target_id:
            what.append(f"on {target_object if row.each or target is None else target.key}")
        elif not row.runbook:
            what.append(f"at {customer.name}")
        yield " ".join(what), row.runs_an_hour, row.concurrent, counted


def _starts(runs: QuerySet[Run], *, since: datetime) -> "QuerySet[Run, datetime | None]":
    return runs.filter(started_at__gt=since).values_list("started_at", flat=True)


def _concerning(rows: QuerySet[Any], runbook: Runbook, target: Target | None) -> QuerySet[Any]:
    """Rows that name this runbook or none, and this target or none."""
    where = Q(target=None) | Q(target=target) if target else Q(target=None)
    return rows.filter(where, runbook__in=["", runbook.key]).order_by("pk")


def _finished(customer: Customer, runbook: Runbook) -> list[limits.Finished]:
    """The runbook's latest ended runs at the customer, for its circuit."""
    ended = Run.objects.of(customer).filter(runbook=runbook.key, finished_at__isnull=False).order_by("-finished_at")
    # an output may have a megabyte
    rows = ended.only("status", "phases", "finished_at", "alarm")[:CIRCUIT_LOOKBACK]
    return [limits.Finished(run.finished_at, _status_of(run), run.alarm) for run in rows if run.finished_at]


def _status_of(run: Run) -> RunnerStatus:
    """The run's end in the runner's words: a pre-check that said no counts neither way."""
    if run.status == Run.Status.FAILED and run.phases and run.phases[-1]["phase"] == "pre_check":
        return "refused"
    return ENDED[run.status]
