"""Customers for administrators: how far Triage may go for each, what is checked, and what was spent on certificates."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from triage import customers as domain
from triage.models import Membership, Mode
from triage.permissions import check_can_administer_some, is_provider
from triage.queries import people as reads
from triage.web.page import DeskRequest, now, refuse, show, signed_in

MODES = (
    (
        Mode.OBSERVE,
        gettext_lazy("Observe"),
        gettext_lazy("Tickets are read and recorded. Nothing is shown, nothing is done, the ITSM is told nothing."),
    ),
    (
        Mode.SUGGEST,
        gettext_lazy("Suggest"),
        gettext_lazy("Agents see which articles fit. Runbooks run only when a person orders one."),
    ),
    (
        Mode.APPROVE,
        gettext_lazy("Approve"),
        gettext_lazy("Where a runbook fits, an approver is asked first; nothing runs without a person's yes."),
    ),
    (
        Mode.AUTOMATE,
        gettext_lazy("Automate"),
        gettext_lazy(
            "Runbooks run by themselves where a valid certificate covers them; everything else as under Approve."
        ),
    ),
)


@require_GET
@signed_in
def customers(request: DeskRequest) -> HttpResponse:
    """The customers that the reader administers."""
    check_can_administer_some(request.user)
    rows = reads.customer_rows(request.user)
    return show(request, "triage/customers.html", {"rows": rows, "provider": is_provider(request.user)})


@require_POST
@signed_in
def add(request: DeskRequest) -> HttpResponse:
    """A new customer."""
    given = request.POST
    try:
        customer = domain.add(by=request.user, slug=given.get("slug", "").strip(), name=given.get("name", ""), at=now())
    except domain.CustomerRefused as error:
        refuse(request, error)
        return redirect("customers")
    messages.success(request, _("%(name)s is here, and begins with observing.") % {"name": customer.name})
    return redirect("customer-settings", customer.slug)


@require_http_methods(["GET", "POST"])
@signed_in
def settings(request: DeskRequest, slug: str) -> HttpResponse:
    """One customer's settings."""
    check_can_administer_some(request.user)
    customer = get_object_or_404(reads.customers_administered(request.user), slug=slug)
    given = request.POST
    problem = ""
    if request.method == "POST":
        try:
            changed = domain.change(customer, given.dict(), by=request.user, at=now())
        except domain.CustomerRefused as error:
            problem = str(error)
        else:
            messages.success(request, _("Saved.") if changed else _("It stood so already."))
            return redirect("customer-settings", customer.slug)
    context = {
        "customer": customer,
        "problem": problem,
        "modes": MODES,
        "mode": given.get("mode", customer.mode),
        "name": given.get("name", customer.name),
        "holdout": given.get("holdout_share", f"{customer.holdout_share * 100:g}"),
        "verify": given.get("verify_share", f"{customer.verify_share * 100:g}"),
        "minutes": given.get("minutes_a_ticket", str(customer.minutes_a_ticket)),
        "writes": bool(given.get("write_back")) if problem else customer.write_back,
        "budgets": reads.budgets(customer),
        "people_count": Membership.objects.filter(customer=customer).values("person").distinct().count(),
    }
    return show(request, "triage/customer_settings.html", context, status=422 if problem else 200)
