"""Connecting a source in three steps: which system, what to paste where, and what was understood of a first message."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from triage import bell, connecting
from triage.connecting import VENDORS, ConnectRefused, making, vendor_of
from triage.models import Customer, Delivery, Refusal
from triage.models.source import Assurance
from triage.permissions import administered, check_can_see_sources
from triage.queries.customers import customers_of
from triage.queries.deliveries import deliveries_of, refusals_of
from triage.web.page import DeskRequest, now, part, refuse, show, signed_in
from triage.web.source_parts import message_context, remember, setup, source_or_404, url_of

REFUSALS = 3
NO_CHANGE = 204


@require_http_methods(["GET", "POST"])
@signed_in
def new(request: DeskRequest) -> HttpResponse:
    """Step 1: which system, and whose tickets."""
    check_can_see_sources(request.user)
    given = request.POST
    if request.method == "POST":
        try:
            source = making.create(
                person=request.user,
                kind=given.get("kind", ""),
                name=given.get("name", ""),
                customer=_customer(request, given.get("customer", "")),
                at=now(),
            )
        except ConnectRefused as error:
            refuse(request, error)
        else:
            remember(request, source)
            return redirect("source-connect", source.slug)
    context = {
        "vendors": VENDORS.items(),
        "customers": _own_customers(request),
        "may_share": request.user.is_superuser,
        "given": given,
    }
    return show(request, "triage/source_new.html", context, status=422 if request.method == "POST" else 200)


@require_GET
@signed_in
def connect(request: DeskRequest, slug: str) -> HttpResponse:
    """Step 2: what to paste where."""
    source = source_or_404(request, slug)
    return show(request, "triage/source_connect.html", {"source": source, **setup(request, source)})


@require_GET
@signed_in
def test(request: DeskRequest, slug: str) -> HttpResponse:
    """Step 3: waits for a message and shows what was understood; asked for by htmx, only where there is news."""
    source = source_or_404(request, slug)
    last = deliveries_of(request.user, source).order_by("-pk").first()
    refused = refusals_of(source, limit=REFUSALS)
    mark = f"{last.pk if last else 0}-{refused[0].pk if refused else 0}-{source.in_setup}"
    if request.htmx and request.GET.get("seen") == mark:
        return HttpResponse(status=NO_CHANGE)
    context = {
        "source": source,
        "vendor": vendor_of(source.kind),
        "url": url_of(source),
        "mark": mark,
        "delivery": last,
        "refused": [(row, connecting.shown_raw(source, bytes(row.body))) for row in refused],
        "latest": _latest(last, refused),
        "levels": Assurance.choices,
        "customers": customers_of(request.user) if source.customer_id is None else [],
        **(message_context(source, last) if last else {}),
    }
    if request.htmx:
        return part(request, "triage/source_test_live.html", context)
    return show(request, "triage/source_test.html", context)


@require_POST
@signed_in
def live(request: DeskRequest, slug: str) -> HttpResponse:
    """Let it go live: what was kept becomes tickets now."""
    source = source_or_404(request, slug)
    try:
        done = connecting.go_live(source, person=request.user, at=now())
    except ConnectRefused as error:
        refuse(request, error)
        return redirect("source-test", slug)
    if done.waiting:
        bell.ring("classify_waiting")
    said = _("%(name)s is live. Messages applied: %(done)s, new tickets: %(created)s.")
    messages.success(request, said % {"name": source.name, "done": done.done, "created": done.created})
    for _row, why in done.still[:1]:
        messages.error(request, _("%(count)s could not be used: %(why)s") % {"count": len(done.still), "why": why})
    return redirect("source", slug)


def _latest(last: Delivery | None, refused: list[Refusal]) -> str:
    if refused and (last is None or refused[0].at > last.received_at):
        return "refused"
    return "delivery" if last else ""


def _own_customers(request: DeskRequest) -> list[Customer]:
    rows = customers_of(request.user)
    return list(rows if request.user.is_superuser else rows.filter(pk__in=administered(request.user)))


def _customer(request: DeskRequest, slug: str) -> Customer | None:
    """The chosen one; None stands for many by mapping."""
    found = next((one for one in _own_customers(request) if one.slug == slug), None)
    if found is None and slug != "*":
        raise ConnectRefused(_("Choose whose tickets they are."))
    return found
