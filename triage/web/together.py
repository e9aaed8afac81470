"""Deciding several tickets at once: the list, the verdict, what came of it, and taking all of it back."""

from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from triage import review
from triage.models import Article, Person, Prediction, Review, Ticket
from triage.queries import articles, blind
from triage.queries.alike import MOST, Several, listed
from triage.queries.numbers import whole
from triage.review import together as domain
from triage.web.page import DeskRequest, now, refuse, show, signed_in
from triage.web.queue import address, filters_of

SUGGESTED = 5
KEPT = "together"
"""What the session remembers of the last answer: its moment, and what was left out."""


@require_GET
@signed_in
def together(request: DeskRequest) -> HttpResponse:
    """The chosen tickets and all that read like one of them, each shown, and the form for one verdict on all."""
    keys = [pk for key in request.GET.getlist("t") if (pk := whole(key, digits=18)) is not None]
    filters, at = filters_of(request), now()
    several = listed(request.user, keys, at=at)
    if not several.members:
        messages.info(
            request, _("None of these tickets waits for a verdict any more.") if keys else _("Choose tickets.")
        )
        return redirect(address(filters))
    first = several.members[0].ticket
    asked_for = request.GET.get("q", "").strip()[:200]
    suggested = [] if several.sealed else _suggested(request.user, several)
    context = {
        "several": several,
        "filters": filters,
        "chosen": [str(key) for key in keys[:MOST]],
        "ticket": first,
        "suggested": suggested,
        "shown": articles.best(first.customer, suggested[0]["label"]) if suggested else None,
        "first_number": len(suggested) + 1,
        "results": articles.search(first.customer, asked_for, limit=60 if several.sealed else 9)
        if first.customer and (asked_for or several.sealed)
        else [],
        "q": asked_for,
    }
    return show(request, "triage/together.html", context)


@require_POST
@signed_in
def decide(request: DeskRequest) -> HttpResponse:
    """Give the verdict on all that are ticked, then show what came of it."""
    given, filters, at = request.POST, filters_of(request), now()
    hashes = dict(mark.partition("~")[::2] for mark in given.getlist("t")[: MOST + 1])
    shown = {pk: text for key, text in hashes.items() if (pk := whole(key, digits=18)) is not None}
    keys = list(shown)
    rows = Ticket.objects.visible_to(request.user).filter(pk__in=keys).select_related("customer")
    tickets = list(rows.order_by("place", "pk"))
    for ticket in tickets:
        ticket.text_hash = shown[ticket.pk]  # what the person looked at, not what is stored by now
    answer = domain.Answer(
        verdict=given.get("verdict", ""),
        article=given.get("article", "") if given.get("verdict") == Review.Verdict.ARTICLE else "",
        also=tuple(given.getlist("also")[:60]),
        note=given.get("note", ""),
        follow=given.get("follow", ""),
    )
    try:
        found = domain.decide_together(tickets=tickets, person=request.user, answer=answer, at=at)
    except review.ReviewRefused as error:
        refuse(request, error)
        return redirect(_back(keys, request))
    if not found.done and found.left and len({one.why for one in found.left}) == 1:
        refuse(request, review.ReviewRefused(found.left[0].why))
        return redirect(_back(keys, request))
    _keep(request, found, at=at)
    return redirect(f"{reverse('together-done')}?{address(filters).partition('?')[2]}")


@require_GET
@signed_in
def done(request: DeskRequest) -> HttpResponse:
    """What came of the last answer, and the way back while there is one."""
    kept = request.session.get(KEPT)
    if not kept:
        return redirect("queue")
    at = datetime.fromisoformat(kept["at"])
    reviews = list(domain.given_together(request.user, at=at))
    context = {
        "reviews": reviews,
        "left": kept["left"],
        "undone": kept.get("undone", False),
        "left_ms": _left_ms(at) if any(one.undone_at is None for one in reviews) else 0,
        "filters": filters_of(request),
    }
    return show(request, "triage/together_done.html", context)


@require_POST
@signed_in
def undo(request: DeskRequest) -> HttpResponse:
    """Take the last answer back, on all of its tickets."""
    kept = request.session.get(KEPT)
    if not kept:
        return redirect("queue")
    reviews = list(domain.given_together(request.user, at=datetime.fromisoformat(kept["at"])))
    standing = [one for one in reviews if one.undone_at is None]
    found = domain.undo_together(standing, person=request.user, at=now())
    count = len(found.done)
    if count:
        said = ngettext("Undone: %(n)d ticket waits again.", "Undone: %(n)d tickets wait again.", count) % {"n": count}
        messages.success(request, said)
    request.session[KEPT] = {**kept, "left": _told(found), "undone": True}
    return redirect(f"{reverse('together-done')}?{address(filters_of(request)).partition('?')[2]}")


def _keep(request: DeskRequest, found: domain.Given, *, at: datetime) -> None:
    request.session[KEPT] = {"at": at.isoformat(), "left": _told(found)}


def _told(found: domain.Given) -> list[dict[str, str]]:
    return [{"uuid": str(one.uuid), "id": one.external_id, "why": one.why} for one in found.left]


def _left_ms(at: datetime) -> int:
    """Milliseconds in which the answer can still be taken back, never more than ten seconds."""
    rest = at + blind.UNDO + blind.GRACE - now()
    return max(0, min(int(blind.UNDO.total_seconds() * 1000), int(rest.total_seconds() * 1000) - 1000))


def _back(keys: list[int], request: DeskRequest) -> str:
    chosen = "&".join(f"t={key}" for key in keys)
    return f"{reverse('together')}?{chosen}&{address(filters_of(request)).partition('?')[2]}"


def _suggested(person: Person, several: Several) -> list[dict[str, Any]]:
    """The articles that lead for some of the tickets, most first, each with for how many."""
    tickets = {member.ticket.pk: member.ticket for member in several.members}
    rows = Prediction.objects.visible_to(person).filter(ticket_id__in=tickets, in_force=True)
    votes: dict[str, int] = {}
    for row in rows.only("ticket_id", "text_hash", "matches"):
        if row.matches and row.text_hash == tickets[row.ticket_id].text_hash:
            votes[row.matches[0]["label"]] = votes.get(row.matches[0]["label"], 0) + 1
    best = sorted(votes, key=lambda label: (-votes[label], label))[:SUGGESTED]
    customer = several.members[0].ticket.customer_id
    known = articles.by_label((customer, label) for label in best)
    shown: list[tuple[str, Article | None]] = [
        (label, known[customer, label].article if (customer, label) in known else None) for label in best
    ]
    return [{"label": label, "article": found, "votes": votes[label]} for label, found in shown]
