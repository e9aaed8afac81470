"""Labels that are probably wrong: keep, change or drop each, by key, with the way back."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from triage.learning import suspected
from triage.models import Suspect
from triage.permissions import publishes_at
from triage.queries import suspects as reads
from triage.queries.customers import customers_of
from triage.queries.numbers import place
from triage.web.knowledge import MOST_CUSTOMERS
from triage.web.overview import chosen
from triage.web.page import DeskRequest, now, refuse, show, signed_in


@require_GET
@signed_in
def labels(request: DeskRequest) -> HttpResponse:
    """Those that wait for an answer, the most suspicious first."""
    customers = list(customers_of(request.user)[:MOST_CUSTOMERS])
    customer = chosen(customers, request.GET.get("customer", ""))
    after = place(request.GET.get("after", ""))
    found, onward = reads.page(request.user, customer=customer, after=after, at=now())
    context = {
        "found": found,
        "onward": onward,
        "doubtful": reads.waiting(request.user, customer=customer, at=now()).count(),
        "answered": reads.answered(request.user, customer=customer),
        "customer": customer,
        "choices": customers,
        "mine": publishes_at(request.user, customers),
    }
    return show(request, "triage/labels.html", context)


@require_POST
@signed_in
def decide(request: DeskRequest, pk: int) -> HttpResponse:
    """Keep it, change it to another article, or say that it is no label."""
    row = _suspect(request, pk)
    said, article = request.POST.get("answer", ""), request.POST.get("article", "") or row.likely
    try:
        suspected.answer(row, person=request.user, said=said, article=article, at=now())
    except suspected.SuspectRefused as error:
        refuse(request, error)
    else:
        done = {"keep": _("Kept."), "change": _("Changed to %(label)s.") % {"label": article}, "drop": _("Dropped.")}
        messages.success(request, done[said])
    return redirect(_back(request))


@require_POST
@signed_in
def undo(request: DeskRequest, pk: int) -> HttpResponse:
    """Take an answer back."""
    row = _suspect(request, pk)
    try:
        suspected.undo(row, person=request.user, at=now())
    except suspected.SuspectRefused as error:
        refuse(request, error)
    else:
        messages.success(request, _("Taken back: the label is as it was."))
    return redirect(_back(request))


def _suspect(request: DeskRequest, pk: int) -> Suspect:
    row: Suspect = get_object_or_404(Suspect.objects.visible_to(request.user).select_related("customer"), pk=pk)
    return row


def _back(request: DeskRequest) -> str:
    customer = request.POST.get("customer", "")
    mine = customers_of(request.user).filter(slug=customer) if customer else None
    return reverse("labels") + (f"?customer={customer}" if mine is not None and mine.exists() else "")
