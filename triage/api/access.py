"""Who asks: a token in force, a rate that it keeps to, and the scopes that an operation needs."""

from functools import lru_cache

from django.http import HttpRequest
from django.utils import timezone
from ninja.security import HttpBearer

from triage import tokens
from triage.api.problems import Refused
from triage.environment import environment
from triage.models import Person, Token
from triage.web.rate import Buckets

LONGEST_SECRET = 200


class TokenAuth(HttpBearer):
    """`Authorization: Bearer <token>`; a session's cookie opens nothing here."""

    def authenticate(self, request: HttpRequest, token: str) -> Token | None:  # noqa: ARG002 - ninja names both
        """The token's row, or None for 401; Refused with 429 for one that asks too often."""
        found = tokens.opened(token.strip()[:LONGEST_SECRET], at=timezone.now())
        if found is None:
            return None
        if wait := buckets().take(found.pk):
            many = f"More than {environment().api_rate} requests a minute with one token; slow down."
            raise Refused(429, many, Retry_After=str(int(wait) + 1))
        return found


@lru_cache(maxsize=1)
def buckets() -> Buckets:
    """How often each token has asked of this process."""
    return Buckets(environment().api_rate / environment().web_processes)


def person_of(request: HttpRequest, scope: str) -> Person:
    """Whose token it is; 403 where it was not made for this."""
    token: Token = request.auth  # type: ignore[attr-defined]  # set by ninja from `authenticate`
    if scope not in token.scopes:
        raise Refused(403, f"This token was not made for {scope}. Make one that is, on /me/.")
    return token.person
