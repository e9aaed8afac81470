"""The log of what happened: search, and export as CSV or JSON lines."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from django.http import HttpResponse, HttpResponseBase, QueryDict, StreamingHttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from triage import lifecycle
from triage.models import Customer, Person, Ticket
from triage.permissions import check_can_read_log, log_customers
from triage.queries import log
from triage.queries.customers import customers_of
from triage.queries.numbers import whole
from triage.web import spreadsheet
from triage.web.page import DeskRequest, now, refuse, show, signed_in

SUBJECTS = (
    "ticket", "run", "approval", "release", "certificate", "delivery", "customer", "person", "membership", "token",
    "source", "article", "runbookstate",
)  # fmt: skip
MOST_LINES = 200_000
COLUMNS = ("id", "at", "customer", "object", "object_id", "event", "before", "after", "actor", "reason")


class TimeUnclear(Exception):
    """A time of the search form cannot be read."""


@require_GET
@signed_in
def audit(request: DeskRequest) -> HttpResponse:
    """One page of the log, newest first."""
    check_can_read_log(request.user)
    problem = ""
    try:
        filters = _filters(request.GET)
    except TimeUnclear as error:
        filters, problem = log.LogFilters(), str(error)
    before = whole(request.GET.get("before", ""))
    entries, onward = ([], None) if problem else log.page(request.user, filters=filters, at=now(), before=before)
    keys = [entry.event.subject_id for entry in entries if entry.event.subject == "ticket"]
    tickets = Ticket.objects.visible_to(request.user).filter(pk__in=keys).only("uuid", "external_id")
    names = {ticket.pk: ticket for ticket in tickets}
    context = {
        "lines": [
            (entry, names.get(entry.event.subject_id) if entry.event.subject == "ticket" else None) for entry in entries
        ],
        "filters": filters,
        "given": request.GET,
        "more_open": any(request.GET.get(name) for name in ("person", "event", "row", "since", "until")),
        "problem": problem,
        "subjects": SUBJECTS,
        "customers": customers_of(request.user)[:200],
        "onward": onward,
    }
    return show(request, "triage/audit.html", context, status=422 if problem else 200)


@require_POST
@signed_in
def export(request: DeskRequest) -> HttpResponseBase:
    """All that the search finds, as a file. Who took it stands in the log before its first line is sent."""
    check_can_read_log(request.user)
    form = "jsonl" if request.POST.get("form") == "jsonl" else "csv"
    at = now()
    try:
        filters = _filters(request.POST)
    except TimeUnclear as error:
        refuse(request, error)
        return redirect("audit")
    number = log.count(request.user, filters=filters, at=at, most=MOST_LINES)
    if number > MOST_LINES:
        many = _("More than %(most)s events fit. Choose a shorter time, and export the rest after it.")
        refuse(request, TimeUnclear(many % {"most": f"{MOST_LINES:,}"}))
        return redirect("audit")
    _note(request, filters=filters, form=form, number=number, at=at)
    entries = log.export(request.user, filters=filters, at=at)
    slugs = dict(customers_of(request.user).values_list("pk", "slug"))
    written = _json_lines(entries, slugs) if form == "jsonl" else _csv_lines(entries, slugs)
    kind = "application/x-ndjson" if form == "jsonl" else "text/csv; charset=utf-8"
    response = StreamingHttpResponse(written, content_type=kind)
    response["Content-Disposition"] = f'attachment; filename="triage-log-{at:%Y%m%dT%H%M%SZ}.{form}"'
    return response


def _filters(given: QueryDict) -> log.LogFilters:
    """What the form narrows to; times are in the person's zone. TimeUnclear names the one that cannot be read."""
    return log.LogFilters(
        text=given.get("text", "")[:200],
        subject=given.get("subject", "")[:40],
        customer=given.get("customer", "")[:20],
        person=given.get("person", "").strip()[:100],
        event=given.get("event", "").strip()[:60],
        row=given.get("row", "").strip()[:100],
        since=_moment(given.get("since", "")),
        until=_moment(given.get("until", "")),
    )


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        day = parse_date(text)
        found = datetime(day.year, day.month, day.day) if day else parse_datetime(text)  # noqa: DTZ001 - made aware below
    except ValueError:
        found = None
    if found is None:
        raise TimeUnclear(
            _("%(time)s is no time. Write it like 2026-11-30 or 2026-11-30T08:00.") % {"time": repr(text[:40])}
        )
    return found if timezone.is_aware(found) else timezone.make_aware(found)


def _note(request: DeskRequest, *, filters: log.LogFilters, form: str, number: int, at: datetime) -> None:
    """Where a customer's log was taken, that customer's log says so."""
    person = request.user
    narrowed = ", ".join(f"{name} {value}" for name, value in filters.active.items()) or "everything"
    reason = f"{number} events as {form}: {narrowed}"
    customer = whole(filters.customer)
    wanted = [] if customer is None else [customer]
    of = log_customers(person) if not person.is_superuser else wanted
    rows = Customer.objects.filter(pk__in=[pk for pk in of if not wanted or pk in wanted])
    told: list[Customer | Person] = [*rows]
    for row in told or [person]:
        lifecycle.record(row=row, event="log exported", at=at, actor=f"person:{person.pk}", reason=reason)


def _values(entry: log.Entry, slugs: dict[int, str]) -> list[str | int | None]:
    """One event's columns; of a ticket under a blind check only that something happened."""
    event, hidden = entry.event, entry.hidden
    customer = slugs.get(event.customer_id or 0, "")
    told = ("", "", "") if hidden else (event.event, event.before, entry.after)
    moment = event.at.astimezone(UTC).isoformat(timespec="milliseconds")
    return [event.pk, moment, customer, event.subject, event.subject_id, *told, entry.actor, entry.reason]


def _csv_lines(entries: Iterable[log.Entry], slugs: dict[int, str]) -> Iterator[str]:
    return spreadsheet.lines(COLUMNS, (_values(entry, slugs) for entry in entries))


def _json_lines(entries: Iterable[log.Entry], slugs: dict[int, str]) -> Iterator[str]:
    for entry in entries:
        # ASCII: some readers take U+2028 in a ticket for the end of the line
        yield json.dumps(dict(zip(COLUMNS, _values(entry, slugs), strict=True))) + "\n"
