"""The page that a one-time link leads to. No session is needed: who has the link may choose a new password, once."""

import zlib

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_cache_control
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from runbooks.targets.accounts import PasswordRefused
from triage import links
from triage.models import OneTimeLink
from triage.rate import Buckets
from triage.web.page import now

LONGEST = 256
A_MINUTE = 60
"""Requests that one address may send; behind a proxy that hides addresses, all of them together."""

_ROOMS = 65_536
_buckets = Buckets(A_MINUTE)


# No cookie gives a request any power here, so there is nothing that another site could borrow. And the check could not
# be passed: with `no-referrer` browsers send no origin.
@csrf_exempt
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def set_password(request: HttpRequest, secret: str) -> HttpResponse:
    """GET shows a form and changes nothing, since mail scanners open links; POST sets the password."""
    response = _too_many(request) or _answer(request, secret)
    patch_cache_control(response, no_store=True)
    response["Referrer-Policy"] = "no-referrer"
    return response


def _too_many(request: HttpRequest) -> HttpResponse | None:
    # Rooms instead of addresses, so that a flood of addresses takes no memory.
    wait = _buckets.take(zlib.crc32(request.META.get("REMOTE_ADDR", "").encode()) % _ROOMS)
    if not wait:
        return None
    response = render(request, "triage/set_password_wait.html", status=429)
    response["Retry-After"] = str(int(wait) + 1)
    return response


def _answer(request: HttpRequest, secret: str) -> HttpResponse:
    at = now()
    try:
        link = links.alive(secret, at=at)
        if request.method != "POST":
            return _form(request, link)
        password = request.POST.get("password", "")
        if problem := _problem(password, request.POST.get("again", "")):
            return _form(request, link, problem=problem)
        links.set_password(link, password=password, at=at)
    except links.Dead:
        return render(request, "triage/set_password_dead.html", status=410)
    except PasswordRefused as error:
        return _form(request, link, problem=f"The directory does not take this password: {error}.", tried=True)
    except links.Away:
        away = "The directory cannot be reached just now. Wait a minute, then send the same password again."
        return _form(request, link, problem=away, tried=True, status=503)
    return render(request, "triage/set_password_done.html", {"account": link.account})


def _problem(password: str, again: str) -> str:
    """What can be said without the directory; no try is counted for it."""
    if not password:
        return "Type the new password, twice."
    if password != again:
        return "The two passwords are not the same. Type both again."
    if len(password) > LONGEST:
        return f"A password may have {LONGEST} characters at most."
    if not password.isprintable():
        return "The password has characters that cannot be typed at every keyboard, such as tabs. Choose another one."
    return ""


def _form(
    request: HttpRequest, link: OneTimeLink, *, problem: str = "", tried: bool = False, status: int = 0
) -> HttpResponse:
    left = links.tries_left(link)
    if not left:
        return render(request, "triage/set_password_dead.html", {"problem": problem}, status=410)
    context = {"account": link.account, "until": link.expires_at, "problem": problem, "left": left if tried else None}
    return render(request, "triage/set_password.html", context, status=status or (422 if problem else 200))
