"""What every request passes before and after its operation: size and form, one act per Idempotency-Key, entity tags."""

import hashlib
import re
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.urls import URLPattern, URLResolver
from django.utils import timezone
from django.utils.cache import patch_cache_control
from django.utils.http import parse_etags

from triage.api import problems
from triage.api.access import rate_headers, token_of
from triage.api.problems import Refused
from triage.models import KeptAnswer, Token

MOST_BYTES = 2 * 1024 * 1024
LONGEST_KEY = 200
KEY = "^[!-~]([ -~]*[!-~])?$"
ADDRESS = r"^[^\u0000]*$"
"""What a text in an address may be: PostgreSQL stores no NUL, and none means anything."""
KEPT = timedelta(hours=24)
LOST = timedelta(minutes=3)
"""A request that has not been answered for longer lost its worker; the same key may try again."""

PURE = ("/api/predict", "/api/panel-tokens/")
"""These change nothing, so they are simply done again; what they are sent or answer is stored nowhere."""

View = Callable[..., HttpResponseBase]
WITH_BODY = ("POST", "PUT", "PATCH")


def guarded(patterns: list[URLPattern | URLResolver]) -> list[URLPattern | URLResolver]:
    """The same addresses, each behind the front."""
    return [
        URLPattern(one.pattern, front(one.callback), one.default_args, one.name) if isinstance(one, URLPattern) else one
        for one in patterns
    ]


def front(view: View) -> View:
    """The view, with everything that holds for all of them."""

    @wraps(view)
    def passed(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            check(request, kinds=("application/json",), most=MOST_BYTES)
            response = _done(request, lambda: _view(view, request, *args, **kwargs))
        except Refused as refused:
            response = problems.refused(refused)
        except Exception as error:  # noqa: BLE001 - the last stop: it is logged, and the answer has the API's form
            response = problems.broken(request, error)
        return finished(request, response)

    return passed


def plain(*, kinds: tuple[str, ...]) -> Callable[[View], View]:
    """The front for a view that is no operation of the API: the same checks and the same errors."""

    def wrapped(view: View) -> View:
        @wraps(view)
        def passed(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                check(request, kinds=kinds, most=MOST_BYTES)
                response = view(request, *args, **kwargs)
            except Refused as refused:
                response = problems.refused(refused)
            except Http404:
                response = problems.answer(404, "There is nothing like this, or it is not yours to see.")
            except Exception as error:  # noqa: BLE001 - as above
                response = problems.broken(request, error)
            return finished(request, response)

        return passed

    return wrapped


def check(request: HttpRequest, *, kinds: tuple[str, ...], most: int) -> None:
    """Refuse what cannot be read at all: 413, 415, 422."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdigit() or int(length) > most:
        raise Refused(413, f"At most {most >> 20} MiB a request; send it in parts.")
    if request.method in WITH_BODY and int(length) and request.content_type not in kinds:
        raise Refused(415, f"Send {' or '.join(kinds)}.")
    texts = [request.path, *request.GET.keys(), *(value for _, values in request.GET.lists() for value in values)]
    if not all(re.search(ADDRESS, text) for text in texts):
        raise Refused(422, "The address holds a NUL character, which no text of ours does.")


def finished(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Errors in one form, entity tags, how much the token may still ask, and no copies in anybody's cache."""
    if isinstance(response, HttpResponse):
        if response.status_code == 405:
            allow = response.headers.get("Allow", "")
            response = problems.answer(405, f"Only {allow} here.", {"Allow": allow})
        elif response.status_code == 200 and request.method in ("GET", "HEAD"):
            response = _tagged(request, response)
    for name, value in rate_headers(request).items():
        response.headers.setdefault(name, value)
    patch_cache_control(response, no_store=True)
    return response


def tag(content: bytes) -> str:
    """The entity tag of one representation."""
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def _view(view: View, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
    if request.method == "HEAD":
        request.method = "GET"  # the server sends the headers alone
        try:
            return view(request, *args, **kwargs)
        finally:
            request.method = "HEAD"
    return view(request, *args, **kwargs)


def _tagged(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    mine = tag(response.content)
    known = parse_etags(request.headers.get("If-None-Match", ""))
    if "*" in known or mine in [one.removeprefix("W/") for one in known]:
        response = HttpResponse(status=304)
        del response.headers["Content-Type"]
    response.headers["ETag"] = mine
    return response


def _done(request: HttpRequest, act: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    """Act, once for each token and Idempotency-Key; the second time the first answer comes again."""
    key = request.headers.get("Idempotency-Key")
    if request.method != "POST" or key is None:
        return act()
    if len(key) > LONGEST_KEY or not re.fullmatch(KEY, key):
        raise Refused(422, f"Idempotency-Key: at most {LONGEST_KEY} printable characters.")
    token = token_of(request)
    if token is None:
        return problems.unknown()
    if request.path in PURE:
        return act()
    kept = _claimed(request, token, key)
    if isinstance(kept, HttpResponse):
        return kept
    response = act()
    if isinstance(response, HttpResponse) and response.status_code < 500 and response.status_code not in (401, 429):
        KeptAnswer.objects.filter(pk=kept.pk).update(
            status=response.status_code,
            content=response.content.decode(),
            content_type=response.headers.get("Content-Type", ""),
            location=response.headers.get("Location", ""),
        )
    else:
        KeptAnswer.objects.filter(pk=kept.pk).delete()  # nothing was said that would hold a second time
    return response


def _claimed(request: HttpRequest, token: Token, key: str) -> KeptAnswer | HttpResponse:
    """The row under which this request acts, or the answer that was given before."""
    at = timezone.now()
    KeptAnswer.objects.filter(made_at__lt=at - KEPT).delete()
    asked = hashlib.sha256(b"\0".join([b"POST", request.get_full_path().encode(), request.body])).hexdigest()
    row, is_new = KeptAnswer.objects.get_or_create(token=token, key=key, defaults={"asked": asked, "made_at": at})
    if is_new:
        return row
    if row.asked != asked:
        raise Refused(409, "Idempotency-Key: this key was used for another request. Take a new one for a new request.")
    if row.status is not None:
        headers = {"Idempotency-Replayed": "true", **({"Location": row.location} if row.location else {})}
        return HttpResponse(row.content, status=row.status, content_type=row.content_type, headers=headers)
    lost = row.made_at < at - LOST
    if not lost or not KeptAnswer.objects.filter(pk=row.pk, made_at=row.made_at).update(made_at=at):
        raise Refused(409, "The same request is under way. Ask again in a moment.", Retry_After="2")
    return row
