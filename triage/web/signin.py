"""Signing in: with a password, or once with a link that an administrator or a command made; then the second factor.

Until its code is right nobody is signed in: the session only remembers for ten minutes who has begun.
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import login, logout
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render, resolve_url
from django.urls import reverse
from django.utils.cache import patch_cache_control
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from triage import lifecycle, second_factor
from triage.environment import environment
from triage.models import Person, Token
from triage.queries.start import begins
from triage.web import gate, openid
from triage.web.page import now

LINK_LIVES = timedelta(hours=24)
CODE_LIVES = timedelta(minutes=10)
BACKEND = "django.contrib.auth.backends.ModelBackend"
BEGUN = "sign-in-begun"


class SignIn(LoginView):
    """Name and password. After five wrong ones django-axes answers for a quarter of an hour."""

    template_name = "triage/sign_in.html"
    redirect_authenticated_user = True

    def get_context_data(self, **more: Any) -> dict[str, Any]:
        """The ways in that the installation has."""
        ways = {
            "passwords": environment().local_passwords,
            "openid": openid.offered(),
            "openid_label": environment().oidc_label,
        }
        return super().get_context_data(**ways, **more)

    def post(self, request: HttpRequest, *args: str, **kwargs: Any) -> HttpResponse:
        """Try name and password, where passwords are taken at all."""
        if not environment().local_passwords:
            raise PermissionDenied(_("This installation takes no passwords. Use the sign-in service."))
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Name and password go together: in, or on to the second factor."""
        person = form.get_user()
        if not isinstance(person, Person):
            raise PermissionDenied
        return _enter(self.request, person, onward=self.get_success_url(), way="signed in with a password")


@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def code(request: HttpRequest) -> HttpResponseBase:
    """The second factor of somebody whose password or link was right."""
    begun = request.session.get(BEGUN)
    person = _who_has_begun(begun)
    if begun is None or person is None:
        request.session.pop(BEGUN, None)
        return redirect("sign-in")
    problem = ""
    if request.method == "POST":
        try:
            second_factor.check(person, request.POST.get("code", "")[:100], at=now())
        except second_factor.CodeRefused as error:
            problem = str(error)
        else:
            return _in(request, person, onward=begun["onward"], way=begun["way"], reason="and a second factor")
    context = {"problem": problem, "person": person}
    response = render(request, "triage/sign_in_code.html", context, status=422 if problem else 200)
    patch_cache_control(response, no_store=True)
    return response


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """Out; who came from an OpenID provider is told how to leave there too."""
    was_there = request.session.get(openid.MARK, False)
    logout(request)
    if not was_there:
        return redirect("sign-in")
    # a link and no redirect: the policy lets no form of ours lead elsewhere
    return render(request, "triage/signed_out.html", {"address": openid.sign_out_address()})


def settings_door(request: HttpRequest) -> HttpResponse:
    """In the place of the sign-in of Django's own administration, which knows no second factor."""
    if request.user.is_authenticated:
        raise PermissionDenied(_("These settings are for administrators of the installation."))
    return redirect(f"{reverse('sign-in')}?next={reverse('admin:index')}")


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
            wants_password = environment().local_passwords and not person.has_usable_password()
            onward = resolve_url("me" if wants_password else "queue")
            return _enter(request, person, onward=onward, way="signed in by link")
        failed = True
    response = render(request, "triage/sign_in_link.html", {"failed": failed}, status=410 if failed else 200)
    patch_cache_control(response, no_store=True)
    return response


def _enter(request: HttpRequest, person: Person, *, onward: str, way: str) -> HttpResponse:
    """Sign the person in, unless a second factor has to come first."""
    if second_factor.of(person) is None:
        return _in(request, person, onward=onward, way=way)
    request.session[BEGUN] = {
        "person": person.pk,
        "until": (now() + CODE_LIVES).timestamp(),
        "hash": person.get_session_auth_hash(),
        "onward": onward,
        "way": way,
    }
    return redirect("sign-in-code")


def _in(request: HttpRequest, person: Person, *, onward: str, way: str, reason: str = "") -> HttpResponse:
    request.session.pop(BEGUN, None)
    login(request, person, backend=BACKEND)
    lifecycle.record(row=person, event=way, at=now(), actor=f"person:{person.pk}", reason=reason)
    gate.close(request, person)
    if onward in (resolve_url("queue"), resolve_url("me")) and begins(person):
        onward = resolve_url("start")  # which says how to set a password too
    return redirect(onward)


def _who_has_begun(begun: Any) -> Person | None:
    """The person whose first step is still fresh: nothing about their sign-in has changed since."""
    if not begun or begun["until"] < now().timestamp():
        return None
    person = Person.objects.filter(pk=begun["person"], is_active=True).first()
    if person is None or not constant_time_compare(begun["hash"], person.get_session_auth_hash()):
        return None
    return person


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
