"""The delivery log of a source: what came, what was understood, and applying it again."""

import uuid as uuids
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from triage import bell, connecting
from triage.connecting import AT_ONCE, ConnectRefused, Replayed
from triage.models import Delivery, Source, Ticket
from triage.queries import deliveries as reads
from triage.queries.deliveries import DeliveryFilters
from triage.queries.numbers import whole
from triage.web.page import DeskRequest, now, refuse, show, signed_in
from triage.web.source_parts import message_context, source_or_404

REFUSED = "refused"


@require_GET
@signed_in
def deliveries(request: DeskRequest, slug: str) -> HttpResponse:
    """One page of the log, newest first; or what was refused."""
    source = source_or_404(request, slug)
    filters = _filters(request.GET)
    before = whole(request.GET.get("before", ""))
    context: dict[str, Any] = {"source": source, "filters": filters, "statuses": _statuses(), "at_once": AT_ONCE}
    if filters.status == REFUSED:
        rows = reads.refusals_of(source)
        context["refusals"] = [(row, connecting.shown_raw(source, bytes(row.body))) for row in rows]
    else:
        context["rows"], context["onward"] = reads.page(request.user, source, filters=filters, before=before)
    return show(request, "triage/deliveries.html", context)


@require_GET
@signed_in
def delivery(request: DeskRequest, slug: str, uuid: uuids.UUID) -> HttpResponse:
    """One message: as it came, and as it was understood."""
    source, row = _one(request, slug, uuid)
    context = {"source": source, "delivery": row, "tickets": _tickets(source, row), **message_context(source, row)}
    return show(request, "triage/delivery.html", context)


@require_POST
@signed_in
def replay(request: DeskRequest, slug: str, uuid: uuids.UUID) -> HttpResponse:
    """Apply one message again."""
    source, row = _one(request, slug, uuid)
    try:
        done = connecting.replay(source, [row], person=request.user, at=now())
    except ConnectRefused as error:
        refuse(request, error)
    else:
        _tell(request, done)
    return redirect("delivery", slug, uuid)


@require_POST
@signed_in
def replay_all(request: DeskRequest, slug: str) -> HttpResponse:
    """Apply again all that wait in quarantine, of those that the filter leaves, oldest first."""
    source = source_or_404(request, slug)
    filters = DeliveryFilters(Delivery.Status.QUARANTINED, request.POST.get("text", "").strip()[:200])
    rows = reads.narrowed(request.user, source, filters).order_by("pk")
    try:
        done = connecting.replay(source, rows[: AT_ONCE + 1], person=request.user, at=now())
    except ConnectRefused as error:
        refuse(request, error)
    else:
        _tell(request, done)
    return redirect("deliveries", slug)


def _tell(request: HttpRequest, done: Replayed) -> None:
    if done.waiting:
        bell.ring("classify_waiting")
    counts = {"done": done.done, "created": done.created, "updated": done.updated}
    said = _("Applied again: %(done)s; new tickets: %(created)s; changed: %(updated)s.") % counts
    if done.left:
        said += " " + _("More are left: press again.")
    messages.success(request, said)
    if done.still:
        why = done.still[0][1]
        messages.error(request, _("%(count)s still cannot be used: %(why)s") % {"count": len(done.still), "why": why})


def _one(request: DeskRequest, slug: str, uuid: uuids.UUID) -> tuple[Source, Delivery]:
    source = source_or_404(request, slug)
    row: Delivery = get_object_or_404(reads.deliveries_of(request.user, source), uuid=uuid)
    return source, row


def _tickets(source: Source, row: Delivery) -> list[Ticket]:
    """The ticket that it told of, where it was one."""
    if not row.external_id:
        return []
    rows = Ticket.objects.filter(source=source, external_id=row.external_id)
    return list(rows.only("uuid", "external_id", "subject"))


def _filters(given: Any) -> DeliveryFilters:
    return DeliveryFilters(given.get("status", "")[:20], given.get("text", "").strip()[:200])


def _statuses() -> list[tuple[str, str]]:
    return [
        ("", _("Everything that was taken")),
        (Delivery.Status.APPLIED, _("Applied")),
        (Delivery.Status.QUARANTINED, _("In quarantine")),
        (Delivery.Status.STORED, _("Kept until it goes live")),
        (REFUSED, _("Refused")),
    ]
