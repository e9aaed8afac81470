"""What may run at a customer: each runbook's switch and circuit, and the limits, windows and rules in force."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.http import require_GET, require_POST

from runbooks import environments
from runbooks.base import Runbook
from runbooks.limits import Circuit
from runbooks.registry import RUNBOOKS
from triage import obstacles, review
from triage.models import Customer, Freeze, RunbookState, Window
from triage.obstacles import Obstacle
from triage.permissions import can_close_circuit, can_start, can_stop
from triage.queries.customers import customers_of
from triage.queries.log import Entry, latest
from triage.targets import target_for
from triage.web.page import DeskRequest, now, refuse, show, signed_in


@dataclass(frozen=True)
class Card:
    """One runbook at a customer and everything that decides whether it may start now.

    `stopped`: who switched it off, when and why. `in_force`: limits and rules, each in a sentence.
    """

    runbook: Runbook
    enabled: bool
    stopped: Entry | None
    circuit: Circuit
    held: Obstacle | None
    in_force: list[str]


@require_GET
@signed_in
def runbooks(request: DeskRequest, slug: str) -> HttpResponse:
    """All runbooks at one customer."""
    return _page(request, _customer(request, slug), list(RUNBOOKS.values()))


@require_GET
@signed_in
def runbook(request: DeskRequest, slug: str, key: str) -> HttpResponse:
    """One runbook: where a notification of its circuit leads."""
    return _page(request, _customer(request, slug), [_runbook(key)])


@require_POST
@signed_in
def switch(request: DeskRequest, slug: str, key: str) -> HttpResponse:
    """Stop or start one runbook at a customer."""
    customer, found = _customer(request, slug), _runbook(key)
    on, reason = request.POST.get("to") == "on", request.POST.get("reason", "")
    try:
        changed = review.switch_runbook(customer, found, on=on, person=request.user, reason=reason, at=now())
    except review.ReviewRefused as error:
        refuse(request, error)
    else:
        said = _("%(runbook)s may start again.") if on else _("%(runbook)s is stopped until somebody allows it again.")
        messages.success(request, said % {"runbook": found.title} if changed else _("It stood so already."))
    return redirect("runbook", slug, key)


@require_POST
@signed_in
def close_circuit(request: DeskRequest, slug: str, key: str) -> HttpResponse:
    """Close the error circuit of one runbook at a customer."""
    customer, found = _customer(request, slug), _runbook(key)
    try:
        review.close_circuit(customer, found, person=request.user, reason=request.POST.get("reason", ""), at=now())
    except review.ReviewRefused as error:
        refuse(request, error)
    else:
        messages.success(request, _("The circuit is closed: %(runbook)s may start again.") % {"runbook": found.title})
    return redirect("runbook", slug, key)


def _page(request: DeskRequest, customer: Customer, found: list[Runbook]) -> HttpResponse:
    at = now()
    states = {state.runbook: state for state in RunbookState.objects.of(customer)}
    off = latest(subject="runbookstate", event="runbook stopped", rows=[state.pk for state in states.values()])
    context = {
        "customer": customer,
        "cards": [_card(customer, one, states.get(one.key), off, at=at) for one in found],
        "one": found[0] if len(found) == 1 else None,
        "freezes": [
            _("%(begins)s to %(ends)s UTC: %(why)s")
            % {"begins": _day(freeze.begins), "ends": _day(freeze.ends), "why": freeze.reason}
            for freeze in Freeze.objects.filter(ends__gt=at).order_by("begins")[:20]
            if freeze.customer_id in (None, customer.pk)
        ],
        "may_stop": can_stop(request.user, customer),
        "may_start": can_start(request.user, customer),
        "may_close": can_close_circuit(request.user, customer),
    }
    return show(request, "triage/runbooks.html", context)


def _card(
    customer: Customer, found: Runbook, state: RunbookState | None, off: dict[int, Entry], *, at: datetime
) -> Card:
    target = target_for(customer, found)
    enabled = state is None or state.enabled
    return Card(
        runbook=found,
        enabled=enabled,
        stopped=off.get(state.pk) if state and not enabled else None,
        circuit=obstacles.circuit_of(customer, found),
        held=obstacles.find(customer=customer, runbook=found, at=at, target=target),
        in_force=[
            *obstacles.limits_of(customer, found, target=target),
            *_windows(customer, found),
            *_rules(customer, found),
        ],
    )


def _windows(customer: Customer, found: Runbook) -> Iterator[str]:
    """Each window that concerns the runbook, in words."""
    for row in Window.objects.of(customer).filter(runbook__in=["", found.key]).select_related("target").order_by("pk"):
        if row.target:
            yield _("Only inside the window %(window)s on %(target)s.") % {"window": row, "target": row.target.key}
        else:
            yield _("Only inside the window %(window)s.") % {"window": row}


def _day(at: datetime) -> str:
    return formats.date_format(at, pgettext("date and time", "d F Y H:i"))


def _rules(customer: Customer, found: Runbook) -> Iterator[str]:
    """What the runbook may do in each environment where that is not everything."""
    rules = obstacles.rules_for(customer, found)
    said = {
        "approve": _("In the environment %(environment)s a person must approve each run."),
        "never": _("In the environment %(environment)s it never runs."),
    }
    for environment in environments.ENVIRONMENTS:
        rule = environments.strictest(environment, *rules)
        if rule in said:
            yield said[rule] % {"environment": environment}


def _customer(request: DeskRequest, slug: str) -> Customer:
    return get_object_or_404(customers_of(request.user), slug=slug)


def _runbook(key: str) -> Runbook:
    if key not in RUNBOOKS:
        raise Http404
    return RUNBOOKS[key]
