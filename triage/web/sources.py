"""Sources for their administrators: how each is, its settings, secrets, credentials and mappings."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_POST

from triage import bell, connecting
from triage.connecting import ConnectRefused, making, vendor_of
from triage.models import Source, SourceMapping
from triage.models.source import Assurance, SourceMappingPart
from triage.permissions import check_can_see_sources
from triage.queries.customers import customers_of
from triage.queries.sources import Health, healths
from triage.web.page import DeskRequest, now, refuse, show, signed_in
from triage.web.source_parts import remember, setup, source_or_404

CREDENTIALS = {
    "basic": ("user", "password"),
    "bearer": ("token",),
    "token": ("header", "value"),
    "oauth2_client": ("token_url", "client_id", "client_secret", "scope"),
}
BACK = {"connect": "source-connect", "test": "source-test"}


@require_GET
@signed_in
def sources(request: DeskRequest) -> HttpResponse:
    """All of them, how they are, and which tickets wait for a customer."""
    check_can_see_sources(request.user)
    found = healths(request.user, at=now())
    context = {
        "healths": [(one, vendor_of(one.source.kind).name) for one in found],
        "unmapped": [(one.source, connecting.unmapped(one.source)) for one in found if _waits(request, one)],
        "customers": customers_of(request.user),
    }
    return show(request, "triage/sources.html", context)


@require_GET
@signed_in
def source(request: DeskRequest, slug: str) -> HttpResponse:
    """One source: everything that is set, and how it is."""
    return _page(request, source_or_404(request, slug))


@require_POST
@signed_in
def change(request: DeskRequest, slug: str) -> HttpResponse:
    """Name, use and pull interval."""
    row = source_or_404(request, slug)
    given = request.POST
    try:
        making.set_basics(
            row,
            name=given.get("name", ""),
            enabled=given.get("enabled") == "on",
            pull=given.get("pull", ""),
            person=request.user,
            at=now(),
        )
    except ConnectRefused as error:
        refuse(request, error)
    else:
        messages.success(request, _("Saved."))
    return redirect("source", slug)


@sensitive_post_parameters()
@require_POST
@signed_in
def access(request: DeskRequest, slug: str) -> HttpResponse:
    """Settings and credentials for the ITSM's API; with `try`, one request with them, answered in words."""
    row = source_or_404(request, slug)
    given, at = request.POST, now()
    try:
        told = {one.name: given[one.name] for one in vendor_of(row.kind).settings if one.name in given}
        lost = making.set_settings(row, told=told, person=request.user, at=at)
        kind = given.get("credentials", "keep")
        if lost and kind == "keep":
            messages.warning(
                request,
                _("The address names another host, so the stored credentials were removed. Enter them for this host."),
            )
        if kind != "keep":
            fields = {name: given.get(f"{kind}-{name}", "") for name in CREDENTIALS.get(kind, ())}
            making.set_credentials(row, told={"kind": kind, **fields}, person=request.user, at=at)
        if "pull" in given:
            making.set_basics(row, name=row.name, enabled=row.enabled, pull=given["pull"], person=request.user, at=at)
    except ConnectRefused as error:
        refuse(request, error)
        return _back(request, slug)
    if "try" not in given:
        messages.success(request, _("Saved."))
        return _back(request, slug)
    tried = connecting.try_connection(row, person=request.user, at=at)
    return _page(request, row, tried=tried, step=given.get("back") == "connect")


@require_POST
@signed_in
def assurance(request: DeskRequest, slug: str) -> HttpResponse:
    """How sure each channel is of who asks."""
    row = source_or_404(request, slug)
    given = request.POST
    told = dict(zip(given.getlist("channel"), given.getlist("level"), strict=False))
    told.pop("", None)
    try:
        making.set_assurance(row, told=told, person=request.user, at=now())
    except ConnectRefused as error:
        refuse(request, error)
    else:
        messages.success(request, _("Saved."))
    return _back(request, slug)


@sensitive_post_parameters()
@require_POST
@signed_in
def secret(request: DeskRequest, slug: str) -> HttpResponse:
    """Another signing secret, shown once on the next page; the older ones stay until they are retired."""
    row = source_or_404(request, slug)
    given = request.POST.get("secret", "")
    try:
        making.add_secret(row, person=request.user, given=given, at=now())
    except ConnectRefused as error:
        refuse(request, error)
    else:
        if given:
            messages.success(request, _("The secret is set."))
        else:
            remember(request, row)
    return _back(request, slug)


@require_POST
@signed_in
def retire(request: DeskRequest, slug: str) -> HttpResponse:
    """One secret opens nothing any more."""
    row = source_or_404(request, slug)
    name = request.POST.get("name", "")
    try:
        making.retire_secret(row, name=name, person=request.user, at=now())
    except ConnectRefused as error:
        refuse(request, error)
    else:
        messages.success(request, _("The secret %(name)s is retired: what it signs is refused.") % {"name": name})
    return _back(request, slug)


@require_POST
@signed_in
def map_value(request: DeskRequest, slug: str) -> HttpResponse:
    """Let a value mean a customer; tickets that waited for that go on."""
    row = source_or_404(request, slug)
    given = request.POST
    customer = get_object_or_404(customers_of(request.user), slug=given.get("customer", ""))
    part, value = given.get("part", ""), given.get("value", "")
    try:
        freed = connecting.map_value(row, part=part, value=value, customer=customer, person=request.user, at=now())
    except ConnectRefused as error:
        refuse(request, error)
    else:
        if freed:
            bell.ring("classify_waiting")
        said = ngettext(
            "Mapped: %(count)s waiting ticket found its customer.",
            "Mapped: %(count)s waiting tickets found their customer.",
            freed,
        )
        messages.success(request, said % {"count": freed})
    return redirect("sources") if given.get("back") == "sources" else _back(request, slug)


@require_POST
@signed_in
def unmap(request: DeskRequest, slug: str, pk: int) -> HttpResponse:
    """Take a mapping back."""
    row = source_or_404(request, slug)
    try:
        connecting.unmap(row, pk=pk, person=request.user, at=now())
    except ConnectRefused as error:
        refuse(request, error)
    else:
        messages.success(request, _("The mapping is removed. Tickets keep the customer that they have."))
    return redirect("source", slug)


def _page(
    request: DeskRequest, row: Source, *, tried: connecting.Tried | None = None, step: bool = False
) -> HttpResponse:
    context: dict[str, Any] = {"source": row, "tried": tried, **setup(request, row)}
    if step:
        return show(request, "triage/source_connect.html", context)
    mapped = SourceMapping.objects.filter(source=row).select_related("customer").order_by("part", "value")
    context |= {
        "health": healths(request.user, at=now(), only=row)[0],
        "levels": Assurance.choices,
        "channels": _channels(row),
        "mappings": mapped[:500],
        "unmapped": connecting.unmapped(row),
        "parts": [(part, SourceMappingPart(part).label) for part in vendor_of(row.kind).parts],
        "customers": customers_of(request.user),
    }
    return show(request, "triage/source.html", context)


def _channels(row: Source) -> list[tuple[str, str]]:
    known = vendor_of(row.kind).channels
    names = [*known, *(name for name in row.assurance if name not in known)]
    return [(name, row.assurance_of(name)) for name in names]


def _waits(request: DeskRequest, one: Health) -> bool:
    return request.user.is_superuser and one.unmapped > 0 and one.source.customer_id is None


def _back(request: DeskRequest, slug: str) -> HttpResponse:
    return redirect(BACK.get(request.POST.get("back", ""), "source"), slug)
