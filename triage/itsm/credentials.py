"""Who we are to an ITSM's API: the source's credentials as headers, with OAuth 2 tokens fetched and kept in memory."""

import base64
import hashlib
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from triage.itsm import calling, outgoing, strict_json
from triage.itsm.base import PayloadInvalid
from triage.itsm.outgoing import ExchangeFailed
from triage.models import Source

EARLIER_SECONDS = 60.0
UNTOLD_SECONDS = 300.0
LONGEST_SECONDS = 24 * 3600.0
UNAUTHORISED = 401
KINDS = (
    '{"kind": "basic", "user", "password"}, {"kind": "bearer", "token"}, {"kind": "token", "header", "value"} or '
    '{"kind": "oauth2_client", "token_url", "client_id", "client_secret", "scope"}'
)

# printable and one line: what stands here becomes a header
Secret = Annotated[str, StringConstraints(min_length=1, max_length=8192, pattern=r"^[\x20-\x7e]+$")]
Words = Annotated[str, StringConstraints(min_length=1, max_length=1024, pattern=r"^[^\x00-\x1f\x7f]+$")]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{1,80}$")]


class _Stated(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Basic(_Stated):
    """RFC 7617; vendors with an API key take it as `user`, and any `password`."""

    kind: Literal["basic"]
    user: Words
    password: Words


class Bearer(_Stated):
    """A token that somebody made once: `Authorization: Bearer`."""

    kind: Literal["bearer"]
    token: Secret


class TokenHeader(_Stated):
    """A token in a header that the vendor names."""

    kind: Literal["token"]
    header: Name = "Authorization"
    value: Secret


class OAuthClient(_Stated):
    """OAuth 2 client credentials (RFC 6749, 4.4). `client_auth`: where the vendor wants the client's secret."""

    kind: Literal["oauth2_client"]
    token_url: Words
    client_id: Words
    client_secret: Words
    scope: str = ""
    client_auth: Literal["body", "basic"] = "body"


Credentials = Annotated[Basic | Bearer | TokenHeader | OAuthClient, Field(discriminator="kind")]
_READER: TypeAdapter[Basic | Bearer | TokenHeader | OAuthClient] = TypeAdapter(Credentials)


@dataclass(frozen=True)
class _Token:
    digest: str
    header: str
    until: float


_tokens: dict[int, _Token] = {}
_turn = threading.Lock()


def read(text: str) -> Basic | Bearer | TokenHeader | OAuthClient:
    """Credentials from JSON; raises ValueError with a message that never repeats a secret."""
    try:
        return _READER.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the text"
        raise ValueError(f"credentials: {place}: {first['msg']}; write {KINDS}") from None


def authorised(source: Source) -> Mapping[str, str]:
    """The headers that name us to the source's API, none where it has no credentials; raises ExchangeFailed."""
    if not source.credentials:
        return {}
    try:
        found = read(source.credentials)
    except ValueError as error:
        raise ExchangeFailed(str(error), permanent=True) from None
    if isinstance(found, Basic):
        return {"authorization": _basic(found.user, found.password)}
    if isinstance(found, Bearer):
        return {"authorization": f"Bearer {found.token}"}
    if isinstance(found, TokenHeader):
        return {found.header.lower(): found.value}
    return {"authorization": _kept(source, found)}


def exchange(
    source: Source,
    method: str,
    url: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    most: int = outgoing.ANSWER_BYTES,
) -> bytes:
    """`outgoing.exchange` with the source's credentials; a token that is refused is fetched anew, once."""
    return answered(source, method, url, body=body, headers=headers, most=most).body


def answered(
    source: Source,
    method: str,
    url: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    most: int = outgoing.ANSWER_BYTES,
) -> outgoing.Answer:
    """`exchange`, with the headers of the answer."""
    mine = authorised(source)
    try:
        return _called(source, method, url, body=body, headers={**(headers or {}), **mine}, most=most)
    except ExchangeFailed as error:
        if error.status != UNAUTHORISED or not _forget(source, mine):
            raise
    again = {**(headers or {}), **authorised(source)}
    return _called(source, method, url, body=body, headers=again, most=most)


def _called(
    source: Source, method: str, url: str, *, body: bytes | None, headers: Mapping[str, str], most: int
) -> outgoing.Answer:
    hosts = source.public_hosts
    return calling.called(method, url, public_hosts=hosts, body=body, headers=headers, most=most)


def _basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def _forget(source: Source, sent: Mapping[str, str]) -> bool:
    """Whether the refused header was a token of ours that can be fetched again."""
    with _turn:
        kept = _tokens.get(source.pk)
        if kept is not None and kept.header == sent.get("authorization"):
            del _tokens[source.pk]
    return kept is not None


def _kept(source: Source, client: OAuthClient) -> str:
    """The token of these very credentials: changed credentials never use an old one's."""
    digest = hashlib.sha256(source.credentials.encode()).hexdigest()
    with _turn:
        kept = _tokens.get(source.pk)
        if kept is None or kept.digest != digest or time.monotonic() >= kept.until:
            kept = _tokens[source.pk] = _fetched(source, client, digest=digest)
    return kept.header


def _fetched(source: Source, client: OAuthClient, *, digest: str) -> _Token:
    form = {"grant_type": "client_credentials"} | ({"scope": client.scope} if client.scope else {})
    headers = {"content-type": "application/x-www-form-urlencoded"}
    if client.client_auth == "basic":
        pair = [urlencode({"": part})[1:] for part in (client.client_id, client.client_secret)]
        headers["authorization"] = _basic(*pair)
    else:
        form |= {"client_id": client.client_id, "client_secret": client.client_secret}
    asked = time.monotonic()
    try:
        body, most = urlencode(form).encode(), outgoing.ANSWER_BYTES
        answer = _called(source, "POST", client.token_url, body=body, headers=headers, most=most).body
    except ExchangeFailed as error:
        raise ExchangeFailed(
            f"no token from the token_url of the credentials: {error}",
            permanent=error.permanent,
            status=error.status,
            retry_after=error.retry_after,
        ) from error
    token, seconds = _told(answer)
    return _Token(digest, f"Bearer {token}", asked + seconds - EARLIER_SECONDS)


def _told(answer: bytes) -> tuple[str, float]:
    try:
        told = strict_json.loads(answer)
        token = TypeAdapter(Secret).validate_python(told.get("access_token") if isinstance(told, dict) else None)
        lasts = told.get("expires_in") if isinstance(told, dict) else None
        return token, min(float(lasts), LONGEST_SECONDS) if lasts else UNTOLD_SECONDS
    except (PayloadInvalid, ValidationError, TypeError, ValueError):
        raise ExchangeFailed(
            "the token_url of the credentials answered without a usable access_token; check it", permanent=True
        ) from None
