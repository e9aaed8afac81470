"""The queue page, what changes of it while somebody looks, and the filters that people save."""

from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from triage import review
from triage.models import Mode, Ticket
from triage.queries import live, narrowing
from triage.queries import queue as reads
from triage.queries.alike import listed
from triage.queries.narrowing import Filters
from triage.queries.order import CursorInvalid
from triage.queries.start import begins
from triage.review import saving
from triage.web.page import DeskRequest, now, part, refuse, show, signed_in
from triage.web.rows import cells

COUNTED = 99
"""Where the count of a saved filter stops."""


def filters_of(request: HttpRequest) -> Filters:
    """What the address narrows the queue to, wherever the address is a page or a form that came from one."""
    given = request.POST if request.method == "POST" else request.GET
    return Filters.of({name: str(value) for name, value in given.items()})


def address(filters: Filters) -> str:
    """The queue as it was narrowed; narrowed by nothing, it is all that is open and not the person's first filter."""
    return f"{reverse('queue')}?{urlencode(filters.active or {'status': ''})}"


@require_GET
@signed_in
def queue(request: DeskRequest) -> HttpResponse:
    """The queue; asked for by htmx, its rows only. Without any narrowing it opens with the person's first filter."""
    if not request.GET and not request.htmx:
        first = saving.saved(request.user).first()
        if first:
            return redirect(address(Filters.of(first.query)))
    filters, after = filters_of(request), request.GET.get("after", "")
    try:
        page = reads.page(request.user, filters=filters, at=now(), after=after)
    except CursorInvalid as error:
        return _damaged(request, error)
    customers = reads.choices(request.user)
    shown = cells(page.rows, person=request.user, filters=filters, several=len(customers) > 1)
    context = {"page": page, "rows": shown, "filters": filters, "after": after, "customers": customers}
    context["begins"] = not (page.rows or filters.active) and begins(request.user)
    if request.htmx:
        return part(request, "triage/queue_live.html", context)
    return show(request, "triage/queue.html", {**context, **_choices(request)})


@require_GET
@signed_in
def changes(request: DeskRequest) -> HttpResponse:
    """Rows that changed since they were shown, each for its own place, and how many are new; 304 where nothing did."""
    filters, at = filters_of(request), now()
    shown = live.shown_in(request.GET.get("shown", ""))
    try:
        found = live.changes(request.user, filters=filters, after=request.GET.get("after", ""), shown=shown, at=at)
    except CursorInvalid as error:
        return _damaged(request, error)
    stamp = f'"{found.stamp}"'
    response: HttpResponse
    if request.headers.get("If-None-Match") == stamp:
        response = HttpResponseNotModified()
    else:
        customers = reads.choices(request.user)
        changed = cells(found.rows, person=request.user, filters=filters, several=len(customers) > 1)
        context = {"found": found, "rows": changed, "filters": filters, "customers": customers}
        response = part(request, "triage/queue_changes.html", context)
    response["ETag"] = stamp
    return response


@require_GET
@signed_in
def alike(request: DeskRequest, pk: int) -> HttpResponse:
    """The tickets that a row stands for, each with what is its own."""
    get_object_or_404(Ticket.objects.visible_to(request.user).only("pk"), pk=pk)
    several = listed(request.user, [pk], at=now())
    if not several.members:
        return HttpResponse(_("None of them waits any more."))
    return part(request, "triage/queue_alike.html", {"several": several, "pk": pk, "filters": filters_of(request)})


@require_GET
@signed_in
def saved(request: DeskRequest) -> HttpResponse:
    """The person's filters, each with how many tickets it finds."""
    at, here = now(), filters_of(request)
    rows = []
    for row in saving.saved(request.user):
        filters = Filters.of(row.query)
        found = narrowing.matching(request.user, filters=filters, at=at).order_by()[: COUNTED + 1].count()
        rows.append({"row": row, "address": address(filters), "found": found, "here": filters == here})
    return part(request, "triage/queue_saved.html", {"saved": rows, "counted": COUNTED, "filters": here})


@require_POST
@signed_in
def save(request: DeskRequest) -> HttpResponse:
    """Save what the queue is narrowed to under a name."""
    filters = filters_of(request)
    try:
        saving.save(request.user, name=request.POST.get("name", ""), filters=filters, at=now())
    except review.ReviewRefused as error:
        refuse(request, error)
    return redirect(address(filters))


@require_POST
@signed_in
def change_saved(request: DeskRequest, pk: int) -> HttpResponseRedirect:
    """Put one of the person's filters first, or remove it."""
    row = get_object_or_404(saving.saved(request.user).select_related("person"), pk=pk)
    if request.POST.get("do") == "remove":
        saving.remove(row, at=now())
    else:
        saving.put_first(row, at=now())
    return redirect(address(filters_of(request)))


def _choices(request: DeskRequest) -> dict[str, object]:
    """What the form offers."""
    sources = reads.sources(request.user)
    return {
        "statuses": narrowing.STATUSES,
        "dues": {key: words for key, (words, _span) in narrowing.DUE.items()},
        "drawns": narrowing.DRAWN,
        "modes": Mode.choices,
        "sources": sources if len(sources) > 1 else [],
        "saved": saving.saved(request.user),
    }


def _damaged(request: DeskRequest, error: CursorInvalid) -> HttpResponse:
    return show(request, "triage/sorry.html", {"title": _("That link does not work"), "reason": error}, status=400)
