"""The panel that an ITSM shows beside a ticket, inside an iframe where no cookie of ours comes along.

The page itself knows nothing: it is the same for everybody. What it shows comes by requests with a pass in their
`Authorization` header, which no other site can make a browser send; so nothing here looks at a session or at CSRF.
"""

import hashlib
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from csp.decorators import csp_replace
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.cache import patch_cache_control
from django.utils.translation import gettext as _
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST, require_safe

from triage import panel as domain
from triage import review
from triage.models import Panel, Review, Run, Ticket
from triage.panel import Kind, PanelRefused, Seat
from triage.queries import articles
from triage.queries.choosing import Choosing, choosing
from triage.queries.numbers import whole
from triage.web.page import language_of, now, zone_of

P = ParamSpec("P")
FOLLOWS = ("keep", "", "reply")
RESULTS = 12
SEALED_RESULTS = 60
LIVE = frozenset({Run.Status.REQUESTED, Run.Status.CLAIMED, Run.Status.STARTING})
RENEWED = "X-Panel-Pass"
"""The header that brings the panel its next pass."""

Seated = Callable[Concatenate[HttpRequest, Seat, P], HttpResponse]


@require_safe
def panel(request: HttpRequest, source: str, ref: str) -> HttpResponseBase:
    """The empty page, which only the source's own origins may embed; it tells nobody whether there is such a ticket."""
    found = domain.live(source)
    if found is None or len(ref) > 200:
        raise Http404
    return _framed(found, _shell)(request)


def _framed(found: Panel, view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponseBase]:
    """The view for an iframe on the panel's own origins; every other page of ours stays without."""
    framed: Callable[[HttpRequest], HttpResponseBase] = xframe_options_exempt(
        csp_replace({"frame-ancestors": [str(origin) for origin in found.origins]})(view)
    )
    return framed


def _shell(request: HttpRequest) -> HttpResponse:
    return _private(render(request, "triage/panel.html"))


def _private(response: HttpResponse) -> HttpResponse:
    patch_cache_control(response, no_store=True)
    response["Referrer-Policy"] = "no-referrer"
    return response


def seated(kind: Kind) -> Callable[[Seated[P]], Callable[..., HttpResponseBase]]:
    """Let only requests with a pass of this kind, for this very panel, reach the view; each answer brings a new one."""

    def wrapped(view: Seated[P]) -> Callable[..., HttpResponseBase]:
        @csrf_exempt  # a cookie has no power here, so there is nothing that another site could borrow
        @wraps(view)
        def guarded(request: HttpRequest, source: str, ref: str, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            try:
                seat = domain.seated(_secret(request), kind=kind, slug=source, ref=ref, at=now())
            except PanelRefused as error:
                return _refused(request, error)
            with timezone.override(zone_of(seat.person)), translation.override(language_of(seat.person)):
                response = view(request, seat, *args, **kwargs)
            response[RENEWED] = domain.pass_for(seat, at=now())
            return _private(response)

        return guarded

    return wrapped


def _secret(request: HttpRequest) -> str:
    """What stands behind `Bearer`; empty where there is none, which is no pass."""
    scheme, _space, secret = request.headers.get("Authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


def _refused(request: HttpRequest, error: Exception) -> HttpResponse:
    response = render(request, "triage/panel_over.html", {"why": str(error)}, status=401)
    response["WWW-Authenticate"] = 'Bearer realm="panel"'
    return _private(response)


@require_POST
@seated("launch")
def enter(_request: HttpRequest, seat: Seat) -> HttpResponse:
    """Trade the launch for a seat, which comes in the header as with every answer."""
    told = {"ticket": seat.ticket.external_id, "theme": seat.person.theme, "language": language_of(seat.person)}
    return JsonResponse(told)


@require_GET
@seated("seat")
def state(request: HttpRequest, seat: Seat) -> HttpResponse:
    """What there is to decide, or who decided; 204 where the panel shows just that already."""
    seen = choosing(seat.ticket, person=seat.person, at=now())
    if request.GET.get("mark") == _mark(seen):
        return HttpResponse(status=204)
    return _state(request, seat, seen)


@require_GET
@seated("seat")
def article(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The article that is chosen."""
    shown = articles.best(seat.ticket.customer, request.GET.get("article", "")[:60])
    return render(request, "triage/panel_article.html", {"shown": shown})


@require_GET
@seated("seat")
def search(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Articles that the customer is offered, by what the person types."""
    seen = choosing(seat.ticket, person=seat.person, at=now())
    text = request.GET.get("q", "").strip()[:200]
    return render(
        request, "triage/panel_results.html", {**_common(seat, seen), "results": _results(seen, text), "q": text}
    )


@require_POST
@seated("seat")
def verdict(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Record the verdict on the text that the panel showed, once; the panel then shows what became of it."""
    given, row = request.POST, seat.ticket
    none, follow = "none" in given, given.get("follow", "")
    row.text_hash = given.get("text_hash", "")  # what the person looked at, not what is stored by now
    problem, status = "", 200
    try:
        review.decide(
            ticket=row,
            person=seat.person,
            verdict="none" if none else "article",
            article="" if none else given.get("article", ""),
            also=[] if none else given.getlist("also"),
            note=given.get("note", "") if none else "",
            follow="" if none or follow not in FOLLOWS else follow,
            provenance="panel",
            at=now(),
        )
    except review.ReviewRefused as error:
        problem, status = str(error), 409
    except PermissionDenied as error:
        problem, status = str(error), 403
    return _anew(request, seat, problem=problem, status=status)


@require_POST
@seated("seat")
def undo(request: HttpRequest, seat: Seat) -> HttpResponse:
    """Take one's own verdict on this ticket back, within ten seconds."""
    mine = Review.objects.filter(ticket=seat.ticket, person=seat.person)
    said = mine.filter(pk=whole(request.POST.get("review", ""))).first()
    if said is None:
        return _anew(request, seat, problem=_("There is no such verdict of yours on this ticket."), status=404)
    try:
        review.undo(said, person=seat.person, at=now())
    except review.ReviewRefused as error:
        return _anew(request, seat, problem=str(error), status=409)
    return _anew(request, seat)


def _anew(request: HttpRequest, seat: Seat, *, problem: str = "", status: int = 200) -> HttpResponse:
    seat.ticket.refresh_from_db()
    seen = choosing(seat.ticket, person=seat.person, at=now())
    return _state(request, seat, seen, problem=problem, status=status)


def _state(request: HttpRequest, seat: Seat, seen: Choosing, *, problem: str = "", status: int = 200) -> HttpResponse:
    first = seen.candidates[0].label if seen.candidates else ""
    context = {
        **_common(seat, seen),
        "person": seat.person,
        "mark": _mark(seen),
        "problem": problem,
        "shown": articles.best(seat.ticket.customer, first) if first else None,
        "results": _results(seen, "") if seen.sealed else [],
        "answer_only": seat.ticket.status != Ticket.Status.NEEDS_REVIEW,
        "soon": bool(seen.said and seen.said.undo_ms) or bool(seen.run and seen.run.status in LIVE),
    }
    return render(request, "triage/panel_state.html", context, status=status)


def _common(seat: Seat, seen: Choosing) -> dict[str, object]:
    base = reverse("panel", args=[seat.panel.source.slug, seat.ticket.uuid])
    return {"base": base, "ticket": seat.ticket, "seen": seen}


def _mark(seen: Choosing) -> str:
    """What the panel shows, in short: where it is still the same, nothing under the agent's hands is replaced."""
    said, run, row = seen.said, seen.run, seen.ticket
    parts = (
        *(row.text_hash, row.status, seen.sealed, seen.may, seen.held_by and seen.held_by.pk),
        *(seen.prediction and seen.prediction.pk, said and (said.review.pk, said.what, bool(said.undo_ms))),
        run and (run.pk, run.status),
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _results(seen: Choosing, text: str) -> list[articles.Shown]:
    """What the search shows: nothing before something is typed, unless a list is all that a sealed ticket shows."""
    customer: Any = seen.ticket.customer
    if not (text or seen.sealed):
        return []
    return articles.search(customer, text, limit=SEALED_RESULTS if seen.sealed else RESULTS)
