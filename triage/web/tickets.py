"""The ticket page: reading, holding, and the verdict with its undo."""

from collections.abc import Mapping
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from triage import bell, review
from triage.models import Review, Ticket
from triage.permissions import can_order_run, can_review
from triage.queries import articles, blind
from triage.queries import queue as queue_reads
from triage.queries.narrowing import Filters
from triage.queries.numbers import whole
from triage.queries.queue import language_of
from triage.queries.ticket import Detail, detail, prediction_of
from triage.review.answering import draft
from triage.review.holding import worth_holding
from triage.web.page import DeskRequest, now, part, refuse, show, signed_in
from triage.web.queue import filters_of

BODY_SHOWN, BODY_WHOLE = 8_000, 200_000
"""Characters of a body that are shown at once, and shown at all."""


def found(request: DeskRequest, uuid: UUID) -> Ticket:
    """The ticket, where the person may see it; 404 otherwise, so that nobody learns what exists."""
    rows = Ticket.objects.visible_to(request.user).select_related("customer", "source", "held_by")
    rows = rows.defer("source__secrets", "source__credentials")  # nothing here needs them, and opening them takes time
    ticket: Ticket = get_object_or_404(rows, uuid=uuid)
    return ticket


def address(ticket: Ticket, filters: Filters) -> str:
    """The ticket's page, remembering how the queue was narrowed."""
    query = QueryDict(mutable=True)
    query.update(filters.active)
    return reverse("ticket", args=[ticket.uuid]) + (f"?{query.urlencode()}" if query else "")


@require_GET
@signed_in
def ticket(request: DeskRequest, uuid: UUID) -> HttpResponse:
    """The whole page. Opening it takes the hold, where there is something to decide and the person may."""
    row, at = found(request, uuid), now()
    seen = detail(row, person=request.user, at=at)
    may_review = can_review(request.user, row)
    decidable = worth_holding(row)
    held_by_other = decidable and may_review and not review.hold(row, person=request.user, at=at)
    asked_for = request.GET.get("q", "").strip()[:200]
    shown = _first_article(row, seen)
    context = {
        "ticket": row,
        "detail": seen,
        "filters": filters_of(request),
        "decidable": decidable and may_review,
        "held_by_other": held_by_other,
        "answer_only": row.status != Ticket.Status.NEEDS_REVIEW,
        "may_run": can_order_run(request.user, row),
        "shown": shown,
        "q": asked_for,
        "results": _results(row, asked_for, sealed=seen.sealed),
        "first_number": len(seen.candidates) + 1,
        "undo": _undo(request),
        "body_start": row.body[:BODY_SHOWN],
        "body_rest": row.body[BODY_SHOWN:BODY_WHOLE],
    }
    return show(request, "triage/ticket.html", context)


@require_POST
@signed_in
def hold(request: DeskRequest, uuid: UUID) -> HttpResponse:
    """Renew the hold while the page is open, and show who has it."""
    row = found(request, uuid)
    mine = worth_holding(row) and review.hold(row, person=request.user, at=now())
    return part(request, "triage/ticket_hold.html", {"ticket": row, "mine": mine, "decidable": worth_holding(row)})


@require_POST
@signed_in
def release(request: DeskRequest, uuid: UUID) -> HttpResponse:
    """Give the hold back, and go to the queue or on to the next ticket."""
    row, filters = found(request, uuid), filters_of(request)
    review.release(row, person=request.user)
    if request.POST.get("then") == "next":
        return _onward(request, row, filters)
    query = QueryDict(mutable=True)
    query.update(filters.active)
    return redirect(reverse("queue") + (f"?{query.urlencode()}" if query else ""))


@require_POST
@signed_in
def take_over(request: DeskRequest, uuid: UUID) -> HttpResponse:
    """Take the ticket from whoever has it open, on the record."""
    row = found(request, uuid)
    if worth_holding(row):
        review.take_hold(row, person=request.user, at=now())
    return redirect(address(row, filters_of(request)))


@require_POST
@signed_in
def verdict(request: DeskRequest, uuid: UUID) -> HttpResponse:
    """Record the verdict and go on to the next ticket, with a way back for ten seconds."""
    row, given, filters = found(request, uuid), request.POST, filters_of(request)
    row.text_hash = given.get("text_hash", "")  # what the person looked at, not what is stored by now
    try:
        said = review.decide(
            ticket=row,
            person=request.user,
            verdict=given.get("verdict", ""),
            article=given.get("article", ""),
            also=given.getlist("also"),
            note=given.get("note", ""),
            follow=given.get("follow", ""),
            parameters=parameters_of(given),
            duplicate_of=given.get("duplicate_of", "")[:200],
            reply=given.get("reply", "").replace("\r\n", "\n"),
            at=now(),
        )
    except (review.ReviewRefused, PermissionDenied) as error:
        refuse(request, error)
        return redirect(address(row, filters))
    if said.follow == "run":
        for run in row.runs.filter(requested_at=said.decided_at):
            bell.ring("execute_run", run.pk)
    request.session["undo"] = {"review": said.pk, "ticket": row.external_id, "at": said.decided_at.timestamp()}
    return _onward(request, row, filters)


@require_POST
@signed_in
def undo(request: DeskRequest, review_id: int) -> HttpResponse:
    """Take the person's last verdict back and show its ticket again."""
    said = get_object_or_404(Review.objects.visible_to(request.user).select_related("ticket"), pk=review_id)
    request.session.pop("undo", None)
    try:
        row = review.undo(said, person=request.user, at=now())
    except review.ReviewRefused as error:
        refuse(request, error)
        return redirect("ticket", said.ticket.uuid)
    messages.success(request, _("Undone. %(ticket)s waits for your verdict again.") % {"ticket": row.external_id})
    return redirect(address(row, filters_of(request)))


@require_POST
@signed_in
def reveal(request: DeskRequest, uuid: UUID) -> HttpResponse:
    """Break the seal for this person, on the record, and go where they came from."""
    row = found(request, uuid)
    review.reveal(row, person=request.user, at=now())
    back = request.POST.get("back", "")
    return redirect(back if back.startswith(("/approvals/", "/runs/")) else reverse("ticket", args=[row.uuid]))


@require_GET
@signed_in
def article(request: DeskRequest, uuid: UUID) -> HttpResponse:
    """The article that is chosen, beside the ticket."""
    row = found(request, uuid)
    language = request.GET.get("language", articles.DESK)[:16]
    label = request.GET.get("article", "")
    context = {"ticket": row, "shown": articles.best(row.customer, label, language)}
    return part(request, "triage/ticket_article.html", context)


@require_GET
@signed_in
def reply(request: DeskRequest, uuid: UUID) -> HttpResponse:
    """The chosen article as text to edit, in the requester's language; nothing where that text is being edited."""
    row, given = found(request, uuid), request.GET
    label = given.get("article", "")
    shown = None
    if given.get("follow") == "reply":
        language = language_of(row, prediction_of(row))
        shown = articles.best(row.customer, label, language or articles.DESK)
        if shown and given.get("reply_for") == label:
            return HttpResponse(status=204)
    context = {"label": label, "shown": shown, "draft": draft(shown.article) if shown else ""}
    return part(request, "triage/ticket_reply.html", context)


@require_GET
@signed_in
def search(request: DeskRequest, uuid: UUID) -> HttpResponse:
    """Articles that the customer is offered, by what the person types."""
    row = found(request, uuid)
    asked_for = request.GET.get("q", "").strip()[:200]
    sealed = blind.sealed_for(row, person=request.user, at=now())
    context = {
        "ticket": row,
        "q": asked_for,
        "results": _results(row, asked_for, sealed=sealed),
        "first_number": whole(request.GET.get("first", ""), digits=2) or 1,
    }
    return part(request, "triage/ticket_results.html", context)


def parameters_of(given: Mapping[str, object]) -> dict[str, str]:
    """The runbook parameters of a form: the fields named `p-<parameter>`."""
    return {
        name[2:]: str(value).strip()[:1000] for name, value in given.items() if name[:2] == "p-" and str(value).strip()
    }


def _first_article(row: Ticket, seen: Detail) -> articles.Shown | None:
    return articles.best(row.customer, seen.candidates[0].label) if seen.candidates else None


def _results(row: Ticket, text: str, *, sealed: bool) -> list[articles.Shown]:
    """What the search shows: nothing before something is typed, unless a list is all that a sealed ticket shows."""
    if row.customer is None or not (text or sealed):
        return []
    return articles.search(row.customer, text, limit=60 if sealed else 9)


def _onward(request: DeskRequest, row: Ticket, filters: Filters) -> HttpResponseRedirect:
    following = queue_reads.following(request.user, filters=filters, at=now(), past=row)
    if following:
        return redirect(address(following, filters))
    messages.success(request, _("Nothing else is waiting. Well done."))
    return redirect("queue")


def _undo(request: DeskRequest) -> dict[str, object] | None:
    """The last verdict, as long as it can be taken back."""
    last = request.session.get("undo")
    if not last or now().timestamp() > last["at"] + blind.UNDO.total_seconds():
        return None
    return {**last, "left_ms": int((last["at"] + blind.UNDO.total_seconds() - now().timestamp()) * 1000)}
