"""Who asks: a token in force, a rate that it keeps to, and the scopes that an operation needs."""

from functools import lru_cache

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone
from ninja.security import HttpBearer

from triage import tokens
from triage.api.problems import Refused
from triage.environment import environment
from triage.models import Customer, Person, Token
from triage.queries.customers import customers_of
from triage.rate import Buckets

LONGEST_SECRET = 200


class TokenAuth(HttpBearer):
    """`Authorization: Bearer <token>`; a session's cookie opens nothing here."""

    def authenticate(self, request: HttpRequest, token: str) -> Token | None:
        """The token's row, or None for 401; Refused with 429 for one that asks too often.

        A request counts once, however often it is asked who sends it.
        """
        known: Token | None = getattr(request, "api_token", None)
        if known is not None:
            return known
        found = tokens.opened(token.strip()[:LONGEST_SECRET], at=timezone.now())
        if found is None:
            return None
        if wait := buckets().take(found.pk):
            many = f"More than {environment().api_rate} requests a minute with one token; slow down."
            raise Refused(429, many, Retry_After=str(int(wait) + 1), **_rate(found))
        request.api_token = found  # type: ignore[attr-defined]  # our own note on the request
        return found


@lru_cache(maxsize=1)
def buckets() -> Buckets:
    """How often each token has asked of this process."""
    return Buckets(environment().api_rate / environment().web_processes)


def token_of(request: HttpRequest) -> Token | None:
    """The token in force that the request carries; raises Refused with 429."""
    found: Token | None = TokenAuth()(request)
    return found


def rate_headers(request: HttpRequest) -> dict[str, str]:
    """What the sender may still do, in the form of the IETF's draft of RateLimit headers; empty without a token."""
    token: Token | None = getattr(request, "api_token", None)
    return {name.replace("_", "-"): value for name, value in _rate(token).items()} if token else {}


def _rate(token: Token) -> dict[str, str]:
    policy = f'"token";q={environment().api_rate};w=60'
    return {"RateLimit_Policy": policy, "RateLimit": f'"token";r={buckets().left(token.pk)};t=60'}


def person_of(request: HttpRequest, scope: str) -> Person:
    """Whose token it is; 403 where it was not made for this."""
    token: Token = request.auth  # type: ignore[attr-defined]  # set by ninja from `authenticate`
    return allowed(token, scope)


def allowed(token: Token, scope: str) -> Person:
    """The token's owner; 403 where it was not made for this."""
    if scope not in token.scopes:
        raise Refused(403, f"This token was not made for {scope}. Make one that is, on /me/.")
    return token.person


def customer_of(person: Person, slug: str) -> Customer:
    """A customer that the person belongs to; 404 for all others."""
    return get_object_or_404(customers_of(person), slug=slug)
