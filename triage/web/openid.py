"""Signing in at an OpenID provider: authorization code with PKCE, state and nonce.

Authlib fetches the metadata and keys, checks the ID token's signature and claims and spends the code; who is meant
here, `triage.openid` decides.
"""

import logging
import time
from collections.abc import Mapping
from typing import Any

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.django_client import OAuth
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect, render, resolve_url
from django.urls import reverse
from django.utils.cache import patch_cache_control
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET
from joserfc.errors import JoseError

from triage import lifecycle, openid
from triage.environment import environment
from triage.queries.start import begins
from triage.web.page import now

log = logging.getLogger(__name__)
BACKEND = "django.contrib.auth.backends.ModelBackend"
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
"""Signatures by a key that the provider alone has: never `none`, never one made with our own client secret."""
METADATA_LIVES = 3600.0
SECONDS = 5.0
MARK = "openid"

Untrusted = (AuthlibBaseError, JoseError, OSError, ValueError, KeyError, TypeError, RuntimeError)
"""What Authlib raises where the provider is away, or where its answer is not what it must be."""

_clients: dict[tuple[str, str], tuple[float, Any]] = {}


def offered() -> bool:
    """Whether the sign-in page has a button for it."""
    return bool(environment().oidc_issuer)


@require_GET
def start(request: HttpRequest) -> HttpResponseBase:
    """To the provider; state, nonce and PKCE verifier wait in the session."""
    if not offered():
        return redirect("sign-in")
    try:
        client = _client()
        begun = client.create_authorization_url(_back(), ui_locales=getattr(request, "LANGUAGE_CODE", "en"))
    except Untrusted as error:
        log.warning("the OpenID provider cannot be asked: %s", _said(error))
        return _sorry(request, _("The sign-in service cannot be reached just now. Try again in a minute."), 503)
    client.save_authorize_data(request, redirect_uri=_back(), onward=_safe(request, "next"), **begun)
    response = HttpResponseRedirect(begun["url"])
    patch_cache_control(response, no_store=True)
    return response


@require_GET
def done(request: HttpRequest) -> HttpResponseBase:
    """Back from the provider: who is it?"""
    if not offered():
        return redirect("sign-in")
    if request.GET.get("error"):
        log.warning("the OpenID provider refused: %s", request.GET["error"][:100])
        return _sorry(request, _("The sign-in service did not sign you in. Nothing has changed here."), 403)
    try:
        client = _client()
        waiting = client.framework.get_state_data(request.session, request.GET.get("state", "")) or {}
        claims = openid.read(_claims(client, request))
    except Untrusted as error:
        log.warning("an OpenID sign-in was refused: %s", _said(error))
        again = _(
            "The sign-in service's answer does not hold. Sign in again; if that does not help, ask an administrator."
        )
        return _sorry(request, again, 403)
    try:
        person = openid.arrive(claims, at=now())
    except openid.Stranger as error:
        log.warning("an OpenID sign-in of a stranger was refused")
        return _sorry(request, str(error), 403)
    login(request, person, backend=BACKEND)
    request.session[MARK] = True
    lifecycle.record(row=person, event="signed in by OpenID Connect", at=now(), actor=f"person:{person.pk}")
    return redirect(waiting.get("onward") or resolve_url("start" if begins(person) else "queue"))


def sign_out_address() -> str:
    """Where a person may sign out at the provider too (RP-Initiated Logout 1.0); empty where it offers none."""
    try:
        end = _client().load_server_metadata().get("end_session_endpoint", "")
    except Untrusted as error:
        log.warning("the OpenID provider cannot be asked: %s", _said(error))
        return ""
    if not isinstance(end, str) or not end.startswith(("https://", "http://")):
        return ""
    back = environment().base_url + reverse("sign-in")
    asked = urlencode({"client_id": environment().oidc_client_id, "post_logout_redirect_uri": back})
    return f"{end}{'&' if '?' in end else '?'}{asked}"


def _claims(client: Any, request: HttpRequest) -> Mapping[str, Any]:
    """The verified claims; what the ID token leaves out comes from UserInfo, if that speaks of the same subject."""
    settings = environment()
    must = {"essential": True}
    token = client.authorize_access_token(
        request,
        claims_options={
            "iss": {**must, "value": settings.oidc_issuer},
            "aud": {**must, "value": settings.oidc_client_id},
            "sub": must,
            "exp": must,
            "nonce": must,
        },
        leeway=60,
    )
    claims = token.get("userinfo")
    if not claims:
        raise OAuthError(error="no_id_token")
    wanted = {settings.oidc_name_claim, settings.oidc_mail_claim, "email_verified", settings.oidc_groups_claim}
    if wanted <= set(claims) or not client.load_server_metadata().get("userinfo_endpoint"):
        return dict(claims)
    more = client.userinfo(token=token)
    if more.get("sub") != claims["sub"]:
        raise OAuthError(error="userinfo_of_another")
    return {**more, **claims}


def _client() -> Any:
    """Authlib's client with the provider's metadata, which is fetched again after an hour."""
    settings = environment()
    key = (settings.oidc_issuer, settings.oidc_client_id)
    made, client = _clients.get(key, (0.0, None))
    if client is None or time.monotonic() - made > METADATA_LIVES:
        client = OAuth().register(
            "openid",
            client_id=settings.oidc_client_id,
            client_secret=settings.oidc_client_secret.get_secret_value() or None,
            server_metadata_url=settings.oidc_issuer.rstrip("/") + "/.well-known/openid-configuration",
            client_kwargs={
                "scope": settings.oidc_scopes,
                "code_challenge_method": "S256",
                "default_timeout": SECONDS,
                **({} if settings.oidc_client_secret.get_secret_value() else {"token_endpoint_auth_method": "none"}),
            },
        )
        metadata = client.load_server_metadata()
        if metadata.get("issuer") != settings.oidc_issuer:
            raise OAuthError(error="another_issuer", description="TRIAGE_OIDC_ISSUER is not what the provider says")
        offers = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        metadata["id_token_signing_alg_values_supported"] = [name for name in ALGORITHMS if name in offers]
        _clients[key] = (time.monotonic(), client)
    return client


def trouble() -> str:
    """Why the provider cannot be used just now; empty where it can, or where none is set up."""
    if not offered():
        return ""
    try:
        _client()
    except Untrusted as error:
        return _said(error)
    return ""


def forget() -> None:
    """Fetch the provider's metadata and keys anew at the next sign-in."""
    _clients.clear()


def _back() -> str:
    return environment().base_url + reverse("openid-done")


def _safe(request: HttpRequest, name: str) -> str:
    """A path of this host that the request names; empty for every other address."""
    asked = request.GET.get(name, "")
    return asked if url_has_allowed_host_and_scheme(asked, {request.get_host()}, request.is_secure()) else ""


def _said(error: Exception) -> str:
    """What went wrong, for the log: the kind of error and Authlib's own words, never the provider's text as it came."""
    return f"{type(error).__name__}: {str(error)[:200]!r}"


def _sorry(request: HttpRequest, reason: str, status: int) -> HttpResponse:
    response = render(request, "triage/sign_in_failed.html", {"reason": reason}, status=status)
    patch_cache_control(response, no_store=True)
    return response
