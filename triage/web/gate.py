"""Where the installation demands a second factor, who has none reaches nothing but the page to set one up."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect, resolve_url

from triage import second_factor
from triage.models import Person

MARK = "second-factor-due"
OPEN = ("sign-out", "me-second-factor")
Answer = Callable[[HttpRequest], HttpResponseBase]


def close(request: HttpRequest, person: Person) -> None:
    """Note in a fresh session that the person must set one up first."""
    if second_factor.demanded(person) and second_factor.of(person) is None:
        request.session[MARK] = True


def open_up(request: HttpRequest) -> None:
    """It is set up: everything is open."""
    request.session.pop(MARK, None)


def second_factor_gate(answer: Answer) -> Answer:
    """Middleware. Costs nothing where no session is sent, since the mark lies in the session."""

    def guarded(request: HttpRequest) -> HttpResponseBase:
        sent = settings.SESSION_COOKIE_NAME in request.COOKIES
        if sent and request.session.get(MARK) and not _is_open(request.path):
            return redirect("me-second-factor")
        return answer(request)

    return guarded


def _is_open(path: str) -> bool:
    return path in {resolve_url(name) for name in OPEN} or path.startswith("/static/")
