"""The overview: what comes of tickets, what may run by itself and why, and the switch that stops it."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_POST

from triage import review, standing
from triage.permissions import can_switch_all
from triage.queries import overview as reads
from triage.queries.customers import customers_of
from triage.web.page import DeskRequest, now, part, refuse, show, signed_in


@require_GET
@signed_in
def overview(request: DeskRequest) -> HttpResponse:
    """Everything on one page; asked for by htmx, the live part only."""
    at = now()
    window = request.GET.get("days", "7")
    days = int(window) if window in reads.WINDOWS else 7
    verdicts, same = reads.agreement(request.user, at=at, days=days)
    outcomes = reads.outcomes(request.user, at=at, days=days)
    context = {
        "days": str(days),
        "windows": reads.WINDOWS,
        "outcomes": outcomes,
        "total": sum(outcome.count for outcome in outcomes),
        "verdicts": verdicts,
        "agreed": same / verdicts if verdicts else None,
        "runs": reads.run_counts(request.user, at=at, days=days),
        "certificates": reads.certificates(request.user, at=at),
        "releases": reads.releases(request.user),
        "standing": standing.now(),
        "may_switch_all": can_switch_all(request.user),
        "customers": reads.customers(request.user, at=at),
        "beats": reads.beats(at=at),
        "jobs": reads.jobs(request.user),
    }
    if request.htmx:
        return part(request, "triage/overview_live.html", context)
    return show(request, "triage/overview.html", context)


@require_POST
@signed_in
def switch_all(request: DeskRequest) -> HttpResponse:
    """Stop or start automation for all customers at once."""
    on = request.POST.get("to") == "on"
    try:
        changed = review.switch_all(on=on, person=request.user, reason=request.POST.get("reason", ""), at=now())
    except review.ReviewRefused as error:
        refuse(request, error)
    else:
        state = "allowed again" if on else "stopped: nothing starts at any customer until somebody allows it again"
        messages.success(request, f"Automation is {state}." if changed else "It stood so already.")
    return redirect("overview")


@require_POST
@signed_in
def switch(request: DeskRequest, slug: str) -> HttpResponse:
    """Stop or start automation for one customer."""
    customer = get_object_or_404(customers_of(request.user), slug=slug)
    on = request.POST.get("to") == "on"
    reason = request.POST.get("reason", "")
    try:
        changed = review.switch_automation(customer, on=on, person=request.user, reason=reason, at=now())
    except review.ReviewRefused as error:
        refuse(request, error)
    else:
        state = "allowed again" if on else "stopped: nothing starts until somebody allows it again"
        messages.success(request, f"{customer.name}: automation is {state}." if changed else "It stood so already.")
    return redirect("overview")
