"""The control room: what comes of tickets, what may run by itself and how right it is, and the switch that stops it."""

from datetime import datetime

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.http import require_GET, require_POST

from triage import counting, review, standing
from triage.models import Customer
from triage.permissions import can_switch_all
from triage.queries import certificates, outcomes, storms
from triage.queries import overview as reads
from triage.queries.certificates import CertificateCard
from triage.queries.customers import customers_of
from triage.queries.outcomes import OUTCOMES, RANGES, Span
from triage.web import charts
from triage.web.charts import Chart, Interval, Stack
from triage.web.page import DeskRequest, now, part, refuse, show, signed_in


@require_GET
@signed_in
def overview(request: DeskRequest) -> HttpResponse:
    """Everything on one page; asked for by htmx, the live part only."""
    at = now()
    wanted = request.GET.get("range", "")
    key = wanted if wanted in RANGES else "7d"
    customers = list(customers_of(request.user)[: reads.MOST_CUSTOMERS])
    customer = chosen(customers, request.GET.get("customer", ""))
    span = outcomes.span(request.user, customer=customer, key=key, at=at)
    verdicts, same = outcomes.agreement(request.user, customer=customer)
    cards = certificates.cards(request.user, customer=customer, at=at)
    context = {
        "range": key,
        "ranges": {name: words for name, (words, _length) in RANGES.items()},
        "customer": customer,
        "choices": customers,
        "span": span,
        "shown": _charts(span, cards),
        "ages": outcomes.waiting(request.user, customer=customer, at=at),
        "counted_at": counting.counted_at(),
        "minutes": sorted({one.minutes_a_ticket for one in ([customer] if customer else customers)}),
        "verdicts": verdicts,
        "agreed": same / verdicts if verdicts else None,
        "certificates": cards,
        "storms": storms.going_on(request.user, customer=customer, at=at),
        "releases": reads.releases(request.user, customer=customer),
        "beats": reads.beats(at=at),
        "jobs": reads.jobs(request.user),
        "lost_runs": reads.lost_runs(request.user, customer=customer),
    }
    if request.htmx:
        return part(request, "triage/overview_live.html", context)
    switches = {
        "standing": standing.now(),
        "may_switch_all": can_switch_all(request.user),
        "customers": reads.customers(request.user, at=at),
    }
    return show(request, "triage/overview.html", {**context, **switches})


def chosen(customers: list[Customer], slug: str) -> Customer | None:
    """The customer that a page is narrowed to; None for all of the person's, also where it is none of them."""
    return next((one for one in customers if one.slug == slug), None)


def _charts(span: Span, cards: list[CertificateCard]) -> list[Chart]:
    labels = tuple(_label(step.begins, hourly=span.hourly) for step in span.steps)
    found = []
    if span.total:
        series = tuple(
            Stack(str(words), f"o{place}", tuple(float(step.counts[place]) for step in span.steps))
            for place, words in enumerate(OUTCOMES.values())
        )
        found.append(
            charts.stacked(
                key="outcomes", title=_("Tickets received, by outcome"), unit=_("Tickets"), labels=labels, series=series
            )
        )
        found.append(
            charts.shares(
                key="automation",
                title=_("Resolved by itself"),
                unit=_("% of those received"),
                labels=labels,
                values=tuple(step.by_itself for step in span.steps),
            )
        )
    verified = [card for card in cards if card.valid and card.count.verified][:6]
    if verified:
        found.append(
            charts.intervals(
                key="wrong",
                title=_("Wrong runs, by blind verdicts, against what was promised"),
                unit=_("Wrong, % of verified runs"),
                limit=_("Promised, at most"),
                found=tuple(_interval(card) for card in verified),
            )
        )
    return found


def _interval(card: CertificateCard) -> Interval:
    low, high = card.interval
    name = f"{', '.join(card.titles)} · {card.row.customer.name}"
    return Interval(
        name=name if len(name) <= 60 else f"{name[:57]}...",
        share=card.wrong or 0.0,
        low=low,
        high=high,
        limit=card.row.alpha,
        note=f"{card.count.wrong}/{card.count.verified}",
    )


def _label(moment: datetime, *, hourly: bool) -> str:
    local = timezone.localtime(moment)
    return f"{local:%H:%M}" if hourly else date_format(local, pgettext("day and month on a chart", "j M"))


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
        done = (
            _("Automation is allowed again.")
            if on
            else _("Automation is stopped: nothing starts at any customer until somebody allows it again.")
        )
        messages.success(request, done if changed else _("It stood so already."))
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
        name = {"customer": customer.name}
        done = (
            _("%(customer)s: automation is allowed again.") % name
            if on
            else _("%(customer)s: automation is stopped: nothing starts until somebody allows it again.") % name
        )
        messages.success(request, done if changed else _("It stood so already."))
    return redirect("overview")
