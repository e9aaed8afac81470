"""Certificates: what may run by itself and by what proof, what others lack, and what a stricter promise would mean.

Nothing here issues, renews or registers anything: these pages only read.
"""

import math
from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from runbooks.registry import RUNBOOKS
from triage.models import Budget, Customer
from triage.queries import certificates as reads
from triage.queries import risk
from triage.queries.customers import customers_of
from triage.web import charts
from triage.web.charts import Chart
from triage.web.overview import chosen
from triage.web.page import DeskRequest, now, part, show, signed_in

LOWEST, HIGHEST = 0.5, 20.0
"""The slider's ends, in percent."""

COST_OF_WRONG, COST_OF_TICKET = 200.0, 15.0
MOST_COST = 1e9


@require_GET
@signed_in
def certificates(request: DeskRequest) -> HttpResponse:
    """Every certificate, and the runbooks without one."""
    customers = list(customers_of(request.user)[: reads.MOST])
    customer = chosen(customers, request.GET.get("customer", ""))
    shown = [customer] if customer else customers
    budgets = {row.customer_id: row for row in Budget.objects.filter(customer__in=shown, year=now().year)}
    context = {
        "choices": customers,
        "customer": customer,
        "cards": reads.cards(request.user, customer=customer, at=now()),
        "lacking": reads.lacking(request.user, customer=customer, at=now()),
        "refused": reads.refused(request.user, customer=customer),
        "budgets": [_Budget(one, budgets.get(one.pk)) for one in shown],
    }
    return show(request, "triage/certificates.html", context)


class _Budget:
    """A customer's error budget of this year, also where nothing was spent yet."""

    def __init__(self, customer: Customer, row: Budget | None) -> None:
        self.customer = customer
        self.limit = row.limit if row else customer.yearly_delta
        self.spent = row.spent if row else 0.0
        self.left = max(0.0, self.limit - self.spent)


@require_GET
@signed_in
def certificate(request: DeskRequest, uuid: UUID) -> HttpResponse:
    """One certificate with everything that is printed on it."""
    row = get_object_or_404(reads.visible(request.user), uuid=uuid)
    budget = Budget.objects.filter(customer=row.customer, year=now().year).first()
    parts = row.registration.gate_parts
    context = {
        "card": reads.card(row, at=now()),
        "confidence": 1.0 - row.delta,
        "watches": reads.watches(row.alpha),
        "budget": _Budget(row.customer, budget),
        "parts": [(name, value) for name, value in parts.items() if name != "runbooks"],
        "selections": list(dict(parts.get("runbooks") or {}).items()),
        "books": [(key, reads.title(key)) for key in row.runbooks],
    }
    return show(request, "triage/certificate.html", context)


@require_GET
@signed_in
def curve(request: DeskRequest, slug: str, key: str) -> HttpResponse:
    """What a promise of alpha would bring, by rows the model was tuned on; asked for by htmx, the result only."""
    customer = get_object_or_404(customers_of(request.user), slug=slug)
    if key not in RUNBOOKS:
        raise Http404("no such runbook")
    percent = _number(request, "alpha", default=100 * reads.alpha_for(customer, RUNBOOKS[key]), most=HIGHEST)
    percent = max(LOWEST, percent)
    wrong = _number(request, "wrong", default=COST_OF_WRONG, most=MOST_COST)
    ticket = _number(request, "ticket", default=COST_OF_TICKET, most=MOST_COST)
    found = risk.curve(customer, key)
    chosen_point = (
        risk.choice(found, alpha=percent / 100, cost_of_wrong=wrong, cost_of_ticket=ticket) if found else None
    )
    context = {
        "customer": customer,
        "runbook": RUNBOOKS[key],
        "alpha": percent / 100,
        "percent": f"{percent:g}",
        "lowest": LOWEST,
        "highest": HIGHEST,
        "wrong": f"{wrong:g}",
        "ticket": f"{ticket:g}",
        "curve": found,
        "choice": chosen_point,
        "chart": _risk(customer, key, found, chosen_point, alpha=percent / 100) if found and found.points else None,
    }
    if request.htmx:
        return part(request, "triage/certificate_curve_live.html", context)
    return show(request, "triage/certificate_curve.html", context)


def _risk(customer: Customer, key: str, found: risk.Curve, point: risk.Choice | None, *, alpha: float) -> Chart:
    return charts.risk(
        key=f"risk-{customer.pk}-{key}",
        title=_("Wrong share by how much would run, on rows the model was tuned on"),
        points=tuple(one[:3] for one in found.points),
        alpha=alpha,
        chosen=(point.coverage, point.wrong) if point else (0.0, 0.0),
    )


def _number(request: DeskRequest, name: str, *, default: float, most: float) -> float:
    """A number of the address, within bounds; what is none counts as not given."""
    try:
        value = float(request.GET.get(name, ""))
    except ValueError:
        return default
    return min(max(value, 0.0), most) if math.isfinite(value) else default
