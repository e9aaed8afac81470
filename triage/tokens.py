"""API tokens: a secret shown once and stored hashed, with an end, for some of what its owner may do."""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.db.models import QuerySet

from triage import lifecycle
from triage.models import Person, Token

PREFIX = "triage_"
"""So that scanners of repositories and logs know a token when they see one."""

SCOPES: Mapping[str, str] = {
    "approvals:read": "read approvals",
    "approvals:answer": "grant and refuse approvals",
    "runs:read": "read runs",
    "tickets:read": "read tickets",
    "panel": "open the panel in the ITSM for agents",
    "predict": "ask what Triage would make of a text",
    "reviews:read": "read verdicts",
    "reviews:write": "give verdicts",
    "runs:order": "have a verdict's runbook run",
    "articles:read": "read articles",
    "articles:write": "write and retire articles",
    "runbooks:read": "read runbooks",
    "certificates:read": "read certificates",
    "models:read": "read model releases",
    "models:publish": "publish model releases and roll back",
}
DAYS = (30, 90, 180, 365)
MOST = 20
SEEN_EACH = timedelta(minutes=1)


class TokenRefused(Exception):
    """No token like this is made; the message says why."""


def issue(*, person: Person, name: str, scopes: Sequence[str], days: str, at: datetime) -> str:
    """Make a token and return its secret, which is stored nowhere. TokenRefused says what to mend."""
    if not name.strip():
        raise TokenRefused("Say in a word or two what the token is for.")
    if not scopes or set(scopes) - set(SCOPES):
        raise TokenRefused("Choose what the token may do.")
    if days not in {str(number) for number in DAYS}:
        raise TokenRefused("Choose after how many days the token ends.")
    if of(person).filter(expires_at__gt=at).count() >= MOST:
        raise TokenRefused(f"You have {MOST} tokens. Revoke one that is no longer needed.")
    secret = PREFIX + secrets.token_urlsafe(32)
    token = Token.objects.create(
        person=person,
        purpose=Token.Purpose.API,
        name=name.strip()[:80],
        scopes=sorted(set(scopes)),
        digest=_digest(secret),
        created_at=at,
        expires_at=at + timedelta(days=int(days)),
    )
    _record(token, "token made", at=at)
    return secret


def of(person: Person) -> "QuerySet[Token]":
    """The person's tokens that were not revoked, newest first."""
    return Token.objects.filter(person=person, purpose=Token.Purpose.API, revoked_at__isnull=True).order_by("-pk")


def revoke(token: Token, *, at: datetime, by: Person | None = None) -> bool:
    """End it, for its owner or an administrator; False where that was done before."""
    won = Token.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=at)
    if won:
        _record(token, "token revoked", at=at, by=by)
    return bool(won)


def opened(secret: str, *, at: datetime) -> Token | None:
    """The token of this secret with its owner, where it opens anything now; notes that it was used."""
    found = Token.objects.filter(
        digest=_digest(secret),
        purpose=Token.Purpose.API,
        revoked_at__isnull=True,
        expires_at__gt=at,
        person__is_active=True,
    )
    token = found.select_related("person").first()
    if token and (token.used_at is None or at - token.used_at > SEEN_EACH):
        Token.objects.filter(pk=token.pk).update(used_at=at)
    return token


def _digest(secret: str) -> str:
    """What is stored of a secret. It has 256 random bits, so a plain hash cannot be searched."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _record(token: Token, event: str, *, at: datetime, by: Person | None = None) -> None:
    reason = f"{token.name}: {', '.join(token.scopes)}"
    actor = by.pk if by else token.person_id
    lifecycle.record(row=token, event=event, at=at, actor=f"person:{actor}", reason=reason)
