"""The rows of the queue in words: all that a row shows is put together here, so that its template only places it.

Fifty rows are most of what the page costs. A template finds each value by trying what it might be, and numbers and
times by asking for the language and the zone again; here both are asked for once.
"""

import unicodedata
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from triage.models import Person, Ticket
from triage.queries.narrowing import Filters
from triage.queries.queue import Row
from triage.web.told import told
from triage.web.words import ago, called, lang, left, overdue, soon

SUBJECT, SNIPPET, REASON, TITLE, NUMBER = 140, 160, 150, 90, 40
"""Characters that a row shows at most."""

_MARKS = 8


def cells(rows: Iterable[Row], *, person: Person, filters: Filters, several: bool) -> list[dict[str, Any]]:
    """For each row what stands in it, as text; `several` shows whose ticket it is."""
    query = urlencode(filters.active)
    return [_cells(row, person=person, query=query, several=several) for row in rows]


def short(text: str, most: int) -> str:
    """The text, or its beginning with an ellipsis, `most` characters in all; a letter keeps its accents."""
    if len(text) <= most:
        return text
    end = most - 1
    for mark in text[end : end + _MARKS]:
        if not unicodedata.combining(mark):
            break
        end += 1
    return text[:end] + "…"


def _cells(row: Row, *, person: Person, query: str, several: bool) -> dict[str, Any]:
    ticket = row.ticket
    key, number = str(ticket.pk), short(ticket.external_id, NUMBER)
    address = reverse("ticket", args=[ticket.uuid])
    return {
        "key": key,
        "version": row.version,
        "classes": _classes(row, person),
        "choose": _("Choose %(number)s") % {"number": number} if ticket.status == Ticket.Status.NEEDS_REVIEW else "",
        "due_at": _exact(ticket.due_at),
        "left": left(ticket.due_at),
        "address": f"{address}?{query}" if query else address,
        "speaks": lang(row.language),
        "subject": short(ticket.subject or _("(no subject)"), SUBJECT),
        "number": number,
        "pill": _pill(row),
        "approval": ticket.status == Ticket.Status.WAITING_APPROVAL,
        "open": _open_at(row, person),
        "snippet": short(row.snippet, SNIPPET),
        "sealed": row.sealed,
        "article": row.article.key if row.article else row.label,
        "title": short(row.article.title, TITLE) if row.article else "",
        "probability": row.probability,
        "thin": not row.sufficient,
        "reason": "" if row.sealed else short(told(ticket.reason), REASON),
        "customer": (ticket.customer.name if ticket.customer else "") or _("not mapped") if several else "",
        "language": short(row.language, 5) or "–",
        "received_at": _exact(ticket.received_at),
        "age": ago(ticket.received_at),
        **(_group(row, query) if row.alike > 1 else {}),
    }


def _group(row: Row, query: str) -> dict[str, str]:
    """The way to the tickets that the row stands for."""
    return {
        "alike": _("%(n)s alike") % {"n": row.alike},
        "together": f"{reverse('together')}?t={row.ticket.pk}&{query}",
        "opened": f"{reverse('queue-alike', args=[row.ticket.pk])}?{query}",
    }


def _classes(row: Row, person: Person) -> str:
    due = "late" if overdue(row.ticket.due_at) else "soon" if soon(row.ticket.due_at) else ""
    return f"{due} held" if row.holder and row.holder != person else due


def _pill(row: Row) -> str:
    """Where a ticket stands that does not wait for a verdict."""
    if row.ticket.status == Ticket.Status.NEEDS_REVIEW:
        return ""
    if row.ticket.status == Ticket.Status.WAITING_APPROVAL:
        return _("waits for approval")
    return _("drawn") if row.sealed else str(row.ticket.get_status_display())


def _open_at(row: Row, person: Person) -> str:
    if row.holder is None:
        return ""
    return _("open with you") if row.holder == person else _("open with %(who)s") % {"who": called(row.holder)}


def _exact(at: datetime | None) -> str:
    """The moment for programs, in the person's zone."""
    return timezone.localtime(at).isoformat() if at else ""
