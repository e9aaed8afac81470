"""The log of what happened, with search."""

from django.http import HttpResponse
from django.views.decorators.http import require_GET

from triage.models import Ticket
from triage.permissions import check_can_read_log
from triage.queries import log
from triage.queries.customers import customers_of
from triage.web.page import DeskRequest, now, show, signed_in

SUBJECTS = ("ticket", "run", "approval", "release", "certificate", "delivery", "customer", "person", "source")


@require_GET
@signed_in
def audit(request: DeskRequest) -> HttpResponse:
    """One page of the log, newest first."""
    check_can_read_log(request.user)
    given = request.GET
    filters = log.LogFilters(given.get("text", "")[:200], given.get("subject", "")[:40], given.get("customer", "")[:20])
    before = given.get("before", "")
    place = int(before) if before.isdigit() and len(before) < 18 else None
    entries, onward = log.page(request.user, filters=filters, at=now(), before=place)
    keys = [entry.event.subject_id for entry in entries if entry.event.subject == "ticket"]
    tickets = Ticket.objects.visible_to(request.user).filter(pk__in=keys).only("uuid", "external_id")
    names = {ticket.pk: ticket for ticket in tickets}
    context = {
        "lines": [
            (entry, names.get(entry.event.subject_id) if entry.event.subject == "ticket" else None) for entry in entries
        ],
        "filters": filters,
        "subjects": SUBJECTS,
        "customers": customers_of(request.user)[:200],
        "onward": onward,
    }
    return show(request, "triage/audit.html", context)
