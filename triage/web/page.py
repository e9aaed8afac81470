"""What all pages share: signing in, the person's time zone, the header, and no copies in anybody's cache."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render, resolve_url
from django.utils import timezone, translation
from django.utils.cache import patch_cache_control
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from triage.models import Notification, Person
from triage.permissions import remember, rooms
from triage.queries import queue
from triage.web.told import told

P = ParamSpec("P")
BELL_STOPS_AT = 100


class DeskRequest(HttpRequest):
    """A request of somebody who has signed in."""

    user: Person
    htmx: HtmxDetails


def signed_in(
    view: Callable[Concatenate[DeskRequest, P], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Let only people who have signed in reach the view; it speaks their language, and times are in their zone."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not isinstance(request.user, Person):
            return _to_sign_in(request)
        remember(request.user)
        language = language_of(request.user)
        with timezone.override(zone_of(request.user)), translation.override(language):
            response = view(request, *args, **kwargs)  # type: ignore[arg-type]  # narrowed to Person just above
        response.headers.setdefault("Content-Language", language)
        patch_cache_control(response, no_store=True)
        return response

    return guarded  # type: ignore[return-value]  # wraps() forgets that the request may be given by position only


def show(request: HttpRequest, template: str, context: Mapping[str, Any], *, status: int = 200) -> HttpResponse:
    """A whole page with its header."""
    return render(request, template, {**header(request), **context}, status=status)


def part(request: HttpRequest, template: str, context: Mapping[str, Any]) -> HttpResponse:
    """A piece of a page, for htmx."""
    return render(request, template, dict(context))


def header(request: HttpRequest) -> dict[str, Any]:
    """Counts and permissions of the navigation; three queries, and one more where roles are not remembered."""
    person = request.user
    if not isinstance(person, Person):
        return {}
    unseen = Notification.objects.visible_to(person).filter(desk=True, seen_at__isnull=True)[:BELL_STOPS_AT].count()
    return {"waiting": queue.counts(person), "unseen": unseen, **rooms(person)}


def now() -> datetime:
    """The time of this request; domain functions are handed it as `at`."""
    return timezone.now()


def refuse(request: HttpRequest, error: Exception) -> None:
    """Show a refusal's sentence on the next page, in the person's language."""
    messages.error(request, told(str(error)))


def language_of(person: Person) -> str:
    """The language that the person chose; otherwise the one that their browser asked for."""
    return person.language if person.language in dict(settings.LANGUAGES) else translation.get_language()


def _to_sign_in(request: HttpRequest) -> HttpResponseBase:
    """To the sign-in page; a part asked for by htmx sends the whole page there."""
    htmx: HtmxDetails = request.htmx  # type: ignore[attr-defined]  # set by HtmxMiddleware
    if htmx:
        back = htmx.current_url_abs_path or "/"
        return HttpResponseClientRedirect(f"{resolve_url('sign-in')}?{urlencode({'next': back})}")
    return redirect_to_login(request.get_full_path())


def zone_of(person: Person) -> ZoneInfo:
    """The person's time zone; UTC where the system knows none of that name."""
    try:
        return ZoneInfo(person.zone)
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")
