"""The queue page and its live part."""

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from triage.queries import queue as reads
from triage.web.page import DeskRequest, now, part, show, signed_in


def filters_of(request: DeskRequest) -> reads.Filters:
    """What the address narrows the queue to, wherever the address is a page or a form that came from one."""
    given = request.POST if request.method == "POST" else request.GET
    return reads.Filters(
        status=given.get("status", "")[:20], customer=given.get("customer", "")[:40], text=given.get("text", "")[:200]
    )


@require_GET
@signed_in
def queue(request: DeskRequest) -> HttpResponse:
    """The queue; asked for by htmx, its rows only."""
    filters = filters_of(request)
    try:
        page = reads.page(request.user, filters=filters, at=now(), after=request.GET.get("after", ""))
    except reads.CursorInvalid as error:
        return show(request, "triage/sorry.html", {"title": "That link does not work", "reason": error}, status=400)
    context = {
        "page": page,
        "filters": filters,
        "statuses": reads.STATUSES,
        "customers": reads.choices(request.user),
        "after": request.GET.get("after", ""),
    }
    if request.htmx:
        return part(request, "triage/queue_live.html", context)
    return show(request, "triage/queue.html", context)
