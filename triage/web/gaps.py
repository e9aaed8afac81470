"""Gaps: tickets that no article answered, in groups; from each an article can be begun."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from triage import learning
from triage.learning import gap_work
from triage.models import Gap
from triage.permissions import can_write_article, check_can_write_article, publishes_at
from triage.queries import gaps as reads
from triage.queries.customers import customers_of
from triage.queries.numbers import place
from triage.web import jobs
from triage.web.knowledge import MOST_CUSTOMERS
from triage.web.overview import chosen
from triage.web.page import DeskRequest, now, refuse, show, signed_in


@require_GET
@signed_in
def gaps(request: DeskRequest) -> HttpResponse:
    """Open gaps, largest first; or those that were dismissed, or written for."""
    customers = list(customers_of(request.user)[:MOST_CUSTOMERS])
    customer = chosen(customers, request.GET.get("customer", ""))
    asked = request.GET.get("show", "")
    which = asked if asked in reads.SHOW else "open"
    after = place(request.GET.get("after", ""))
    found, onward = reads.page(request.user, customer=customer, show=which, after=after, at=now())
    mine = publishes_at(request.user, customers)
    under_way = reads.jobs(request.user)
    scope = [customer] if customer else customers
    context = {
        "found": found,
        "onward": onward,
        "show": which,
        "customer": customer,
        "choices": customers,
        "mine": mine,
        "groupable": [(one, under_way.get(one.pk)) for one in scope if one.pk in mine][:20],
    }
    return show(request, "triage/gaps.html", context)


@require_GET
@signed_in
def gap(request: DeskRequest, pk: int) -> HttpResponse:
    """One gap with its tickets."""
    row = _gap(request, pk)
    tickets = reads.examples(request.user, [row], most=reads.MEMBERS, at=now())
    context = {
        "one": reads.Shown(row, tickets.get(row.pk, [])),
        "hidden": reads.is_hidden(row),
        "may_write": can_write_article(request.user, row.customer),
    }
    return show(request, "triage/gap.html", context)


@require_POST
@signed_in
def dismiss(request: DeskRequest, pk: int) -> HttpResponse:
    """No article for it, with a reason; or show it again."""
    row = _gap(request, pk)
    try:
        if request.POST.get("to") == "open":
            gap_work.bring_back(row, person=request.user, at=now())
            messages.success(request, _("The gap is shown again."))
        else:
            gap_work.dismiss(row, person=request.user, because=request.POST.get("because", ""), at=now())
            messages.success(request, _("Dismissed. It is shown again when it grows."))
    except gap_work.GapRefused as error:
        refuse(request, error)
        return redirect("gap", row.pk)
    return redirect("gaps")


@require_POST
@signed_in
def group(request: DeskRequest, slug: str) -> HttpResponse:
    """Group a customer's tickets anew, in the background."""
    customer = get_object_or_404(customers_of(request.user), slug=slug)
    check_can_write_article(request.user, customer)
    jobs.ask(
        request,
        lambda: learning.ask_grouping(customer=customer, person=request.user, at=now()),
        said=_("The tickets are grouped anew. Reload the page in a moment."),
    )
    return redirect("gaps")


def _gap(request: DeskRequest, pk: int) -> Gap:
    row: Gap = get_object_or_404(Gap.objects.visible_to(request.user).select_related("customer", "article"), pk=pk)
    return row
