"""Signing in: with a password, or once with a link that a command printed."""

import hashlib
import secrets
from datetime import datetime, timedelta

from django.contrib.auth import login
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_http_methods

from triage import lifecycle
from triage.models import Person, Token
from triage.web.page import now

LINK_LIVES = timedelta(hours=24)
BACKEND = "django.contrib.auth.backends.ModelBackend"


class SignIn(LoginView):
    """Name and password. After five wrong ones django-axes answers for a quarter of an hour."""

    template_name = "triage/sign_in.html"
    redirect_authenticated_user = True


def make_sign_in_link(person: Person, *, at: datetime) -> str:
    """A path that signs the person in once within 24 hours. The secret is in it and nowhere else."""
    secret = secrets.token_urlsafe(32)
    Token.objects.create(
        person=person,
        purpose=Token.Purpose.SIGN_IN,
        digest=digest_of(secret),
        created_at=at,
        expires_at=at + LINK_LIVES,
    )
    return reverse("sign-in-link", args=[secret])


def digest_of(secret: str) -> str:
    """What is stored of a secret. It has 256 random bits, so a plain hash cannot be searched."""
    return hashlib.sha256(secret.encode()).hexdigest()


@require_http_methods(["GET", "POST"])
def sign_in_link(request: HttpRequest, secret: str) -> HttpResponse:
    """GET only asks, since mail scanners and previews open links; POST uses the link up."""
    failed = False
    if request.method == "POST":
        person = _consume(secret, at=now())
        if person:
            login(request, person, backend=BACKEND)
            lifecycle.record(row=person, event="signed in by link", at=now(), actor=f"person:{person.pk}")
            return redirect("queue" if person.has_usable_password() else "me")
        failed = True
    response = render(request, "triage/sign_in_link.html", {"failed": failed}, status=410 if failed else 200)
    patch_cache_control(response, no_store=True)
    return response


def _consume(secret: str, *, at: datetime) -> Person | None:
    """Whose link this was; None where it was used, has expired or never was."""
    fresh = Token.objects.filter(
        digest=digest_of(secret),
        purpose=Token.Purpose.SIGN_IN,
        used_at__isnull=True,
        expires_at__gt=at,
        person__is_active=True,
    )
    token = fresh.select_related("person").first()
    return token.person if token and fresh.filter(pk=token.pk).update(used_at=at) else None
