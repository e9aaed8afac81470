"""Where the links of a note lead: one choice for one text of one ticket, shown first and made by POST, once.

Mail scanners and previews open links, so GET changes nothing whatever: it does not even take the ticket's hold.
"""

import re
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from triage import review
from triage.models import Ticket
from triage.queries import articles, blind
from triage.queries.choosing import Choosing, choosing
from triage.suggesting import CHOICES, HASH_SHOWN
from triage.web.page import DeskRequest, now, show, signed_in
from triage.web.tickets import found

FOLLOWS = ("keep", "", "reply")
RESULTS = 12
TITLES = {"accept": _("Use this article"), "other": _("Another one"), "none": _("None of these")}
_TEXT = re.compile(rf"[0-9a-f]{{{HASH_SHOWN}}}")


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
def choice(request: DeskRequest, uuid: UUID, text: str, choice: str) -> HttpResponse:
    """What the link would record, with its reasons; POST records it. 404 for other customers' tickets."""
    row = found(request, uuid)
    if choice not in CHOICES or not _TEXT.fullmatch(text):
        raise Http404
    if request.method != "POST":
        return _page(request, row, text, choice)
    try:
        _decide(request, row, text, choice)
    except review.ReviewRefused as error:
        return _page(request, found(request, uuid), text, choice, problem=str(error), status=409)
    except PermissionDenied as error:
        return _page(request, found(request, uuid), text, choice, problem=str(error), status=403)
    return redirect(reverse("choice", args=[uuid, text, choice]))


def _decide(request: DeskRequest, row: Ticket, text: str, choice: str) -> None:
    given = request.POST
    read = given.get("text_hash", "")
    if not read.startswith(text) or not row.text_hash.startswith(text):
        raise review.ReviewRefused(str(_("The ticket's text has changed since this link was written. Read it again.")))
    if blind.sealed_for(row, person=request.user, at=now()):
        raise review.ReviewRefused(str(_("This ticket was drawn for a blind check: give your verdict on its page.")))
    row.text_hash = read  # what the person looked at, not what is stored by now
    follow = given.get("follow", "")
    review.decide(
        ticket=row,
        person=request.user,
        verdict="none" if choice == "none" else "article",
        article="" if choice == "none" else given.get("article", ""),
        note=given.get("note", ""),
        follow=follow if choice != "none" and follow in FOLLOWS else "",
        provenance="note",
        at=now(),
    )


def _page(
    request: DeskRequest, row: Ticket, text: str, choice: str, *, problem: str = "", status: int = 200
) -> HttpResponse:
    seen = choosing(row, person=request.user, at=now())
    asked_for = request.GET.get("q", "").strip()[:200]
    chosen = _chosen(request, row, seen, choice)
    context = {
        "ticket": row,
        "seen": seen,
        "choice": choice,
        "text": text,
        "title": TITLES[choice],
        "tabs": [(name, TITLES[name], reverse("choice", args=[row.uuid, text, name])) for name in CHOICES],
        "stale": not row.text_hash.startswith(text),
        "problem": problem,
        "chosen": chosen,
        "sure": seen.candidate(chosen.article.translation_group) if chosen else None,
        "asked_for": request.GET.get("article", ""),
        "q": asked_for,
        "results": _results(row, seen, asked_for) if choice == "other" else [],
        "note": request.POST.get("note", ""),
        "answer_only": row.status != Ticket.Status.NEEDS_REVIEW,
    }
    return show(request, "triage/choice.html", context, status=status)


def _chosen(request: DeskRequest, row: Ticket, seen: Choosing, choice: str) -> articles.Shown | None:
    """The article that the link names, else the first suggestion; nothing of a sealed ticket."""
    if seen.sealed or choice != "accept":
        return None
    first = seen.candidates[0].label if seen.candidates else ""
    return articles.best(row.customer, request.GET.get("article", "")[:60] or first)


def _results(row: Ticket, seen: Choosing, text: str) -> list[articles.Shown]:
    if row.customer is None or seen.sealed or not text:
        return []
    return articles.search(row.customer, text, limit=RESULTS)
