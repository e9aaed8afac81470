"""The `standard` source: Standard Webhooks in both directions, for curl, the demo and senders that people write.

A source's settings: `read_url` (`https://itsm.example.org/tickets/{external_id}`, answers with one standard payload),
`pull_url` (`https://itsm.example.org/tickets?since={since}&cursor={cursor}`, answers with `{"tickets": [...], "next":
"..."}`), `reply_url` (takes what became of a ticket), `own_user`, `our_groups`, `settled_statuses`.
"""

import base64
import json
import re
import secrets
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook, WebhookVerificationError

from triage.itsm import credentials, outgoing, payload, placing, strict_json
from triage.itsm.base import (
    BadLine,
    IncomingTicket,
    Page,
    Parsed,
    PayloadInvalid,
    PayloadTooLarge,
    PullFailed,
    ReadFailed,
    ReplyFailed,
    Seen,
    SignatureInvalid,
    seen,
)
from triage.models import Source

SHORTEST_SECRET = 24
SINGLE_BYTES = 1024 * 1024
BULK_BYTES = 8 * 1024 * 1024
BULK_LINES = 1000
BULK_TYPES = frozenset({"application/x-ndjson", "application/ndjson"})
LIMITS: Mapping[str, int] = {"application/json": SINGLE_BYTES, **dict.fromkeys(BULK_TYPES, BULK_BYTES)}
"""Content types and the bytes that a delivery of each may have."""

# A full stop in the id would let the signed text `id.timestamp.body` be cut at another place.
_ID = re.compile(r"[A-Za-z0-9_:+/=-]{1,200}")
_TIME = re.compile(r"[1-9][0-9]{0,11}")
# the package decodes base64 leniently: it skips foreign characters and unused bits, so one signature has many spellings
_SIGNATURE = re.compile(r"v1,[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=|v(?!1,)[0-9]{1,3}[a-z]{0,3},[A-Za-z0-9+/=_-]{1,200}")


def new_secret() -> str:
    """A signing secret: 32 random bytes after `whsec_`."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def is_secret(text: str) -> bool:
    """Whether this may sign: `whsec_` and at least 24 bytes in base64."""
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except ValueError:
        return False
    return text.startswith("whsec_") and len(key) >= SHORTEST_SECRET


def signed_headers(secret: str, *, key: str, body: bytes, at: datetime) -> dict[str, str]:
    """The three Standard Webhooks headers for a message."""
    return {
        "webhook-id": key,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(key, at.astimezone(UTC), body.decode()),
    }


def verify(*, source: Source, headers: Mapping[str, str], body: bytes) -> str:
    """The message's id, once one of the source's secrets has signed these very bytes within five minutes of now.

    Raises SignatureInvalid. The package compares in constant time; what it raises on malformed input is caught here.
    """
    wanted = ("webhook-id", "webhook-timestamp", "webhook-signature")
    if missing := [name for name in wanted if not headers.get(name)]:
        raise SignatureInvalid(f"the header {missing[0]} is missing; sign as https://www.standardwebhooks.com says")
    if not _ID.fullmatch(headers["webhook-id"]):
        raise SignatureInvalid("webhook-id must be 1 to 200 letters, digits or _:+/=- (no full stop)")
    if not _TIME.fullmatch(headers["webhook-timestamp"]):
        raise SignatureInvalid("webhook-timestamp must be the seconds since 1970 as a whole number")
    if not all(_SIGNATURE.fullmatch(part) for part in headers["webhook-signature"].strip().split(" ")):
        raise SignatureInvalid("webhook-signature must be v1, and the 44 characters of a signature in base64")
    said = "no secret is set for this source"
    for secret in source.signing_secrets():
        try:
            Webhook(secret).verify(body, {name: headers[name] for name in wanted}, json_parse=False)
        except WebhookVerificationError as error:
            said = str(error)
        except UnicodeDecodeError:
            said = "the body is not UTF-8"
        except (ValueError, EmptyWebhookSecretError, RuntimeError):  # binascii.Error is a ValueError
            said = "the header webhook-signature is malformed"
        else:
            return headers["webhook-id"]
    raise SignatureInvalid(f"{said}; check the secret, that the bytes are sent as they were signed, and the clock")


def parse(*, body: bytes, content_type: str, at: datetime) -> Parsed:
    """One ticket of `application/json`, or the lines of NDJSON; raises PayloadInvalid or PayloadTooLarge."""
    if content_type not in BULK_TYPES:
        return Parsed(tickets=((0, _ticket(body, at=at)),))
    lines = [(number, line) for number, line in enumerate(body.split(b"\n"), start=1) if line.strip()]
    if len(lines) > BULK_LINES:
        raise PayloadTooLarge(f"{len(lines)} lines; send at most {BULK_LINES} in one delivery")
    if not lines:
        raise PayloadInvalid("no line holds a ticket; send one JSON object a line")
    tickets: list[tuple[int, IncomingTicket]] = []
    problems: list[BadLine] = []
    for number, line in lines:
        try:
            tickets.append((number, _ticket(line, at=at)))
        except PayloadInvalid as error:
            problems.append(BadLine(number, str(error)))
    return Parsed(tuple(tickets), tuple(problems))


def _ticket(raw: bytes, *, at: datetime) -> IncomingTicket:
    if len(raw) > SINGLE_BYTES:
        raise PayloadInvalid(f"{len(raw)} bytes; send at most {SINGLE_BYTES} for one ticket")
    return payload.ticket(strict_json.loads(raw), at=at)


def read(source: Source, external_id: str) -> Seen | None:
    """GET the source's `read_url`, signed; None where it has none. Raises ReadFailed."""
    template = source.settings.get("read_url")
    if not template:
        return None
    try:
        url = outgoing.filled(str(template), external_id)
        headers = _signed(source, key=f"read_{uuid.uuid4().hex}", body=b"")
        answer = credentials.exchange(source, "GET", url, headers=headers)
    except outgoing.ExchangeFailed as error:
        raise ReadFailed(f"ticket {external_id!r} was not read: {error}") from error
    try:
        incoming = payload.ticket(strict_json.loads(answer), at=datetime.now(UTC))
    except PayloadInvalid as error:
        raise ReadFailed(f"ticket {external_id!r} was read, but {error}") from error
    if incoming.external_id != external_id:
        raise ReadFailed(f"asked for ticket {external_id!r} and got {incoming.external_id!r}; check read_url")
    return seen(source, incoming)


def pull(source: Source, *, since: datetime, cursor: str) -> Page:
    """GET the source's `pull_url`: tickets whose `updated_at` is `since` or later, oldest change first.

    Raises PullFailed. A ticket of the answer that cannot be used is among the page's problems.
    """
    template = source.settings.get("pull_url")
    if not template:
        raise PullFailed(f"source {source.slug} has no pull_url in its settings; set one", permanent=True)
    try:
        url = outgoing.listing(str(template), since=since, cursor=cursor)
        headers = _signed(source, key=f"pull_{uuid.uuid4().hex}", body=b"")
        answer = credentials.exchange(source, "GET", url, headers=headers, most=outgoing.PAGE_BYTES)
    except outgoing.ExchangeFailed as error:
        raise PullFailed(str(error), permanent=error.permanent, retry_after=error.retry_after) from error
    try:
        return _page(answer, at=datetime.now(UTC))
    except PayloadInvalid as error:
        raise PullFailed(f"pull_url answered, but {error}", permanent=True) from error


def _page(answer: bytes, *, at: datetime) -> Page:
    told = strict_json.decoded(answer)
    listed = told.get("tickets") if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(listed, list) or len(listed) > BULK_LINES:
        raise PayloadInvalid(f'it is no {{"tickets": [...], "next": "..."}} with at most {BULK_LINES} tickets')
    following = told.get("next") or ""
    if not isinstance(following, str):
        raise PayloadInvalid("next is no text; send the next page's cursor as a string, or leave it out")
    tickets: list[IncomingTicket] = []
    problems: list[BadLine] = []
    for number, item in enumerate(listed, start=1):
        try:
            tickets.append(_listed(item, at=at))
        except PayloadInvalid as error:
            problems.append(BadLine(number, str(error)))
    return Page(tickets=tuple(tickets), cursor=following, raw=answer, problems=tuple(problems))


def _listed(item: object, *, at: datetime) -> IncomingTicket:
    strict_json.check(item)
    found = payload.ticket(item, at=at)
    if "updated_at" not in found.stated:
        raise PayloadInvalid("updated_at is missing; a ticket that is pulled must say when it changed")
    return found


def reply(source: Source, *, external_id: str, key: str, what: str, content: Mapping[str, object]) -> str:
    """POST `{"external_id", "what", "content"}` to the source's `reply_url`; its webhook-id follows from `key`.

    Without a reply_url nothing is sent and the answer says so. Raises ReplyFailed.
    """
    url = source.settings.get("reply_url")
    if not url:
        return "Recorded here only: the source has no reply_url."
    _post(source, str(url), external_id=external_id, key=key, what=what, content=content)
    return "Sent to the ITSM."


def place(source: Source, *, external_id: str, order: placing.Order) -> placing.Placed:
    """POST what is wanted to the `reply_url`, with what may be written over; the answer may say what was left.

    `{"what": "place", "content": {"set": {...}, "only_over": {field: [values]}}}`: an empty field may always be set. An
    answer `{"left": {field: why}}` is believed; any other 2xx answer means that all was set. Raises ReplyFailed.
    """
    url = source.settings.get("reply_url")
    if not url:
        return placing.Placed(left=dict.fromkeys(order.wanted, "the source has no reply_url"))
    told = placing.of(source)
    over = {name: list(told.unset.get(name, ())) if told else [] for name in order.wanted}
    for name, value in order.last.items():
        if name in over and isinstance(value, str):
            over[name].append(value)
    content = {"set": dict(order.wanted), "only_over": over}
    answer = _post(source, str(url), external_id=external_id, key=order.key, what="place", content=content)
    left = _left(answer, order.wanted)
    return placing.Placed({name: value for name, value in order.wanted.items() if name not in left}, left)


def _left(answer: bytes, wanted: placing.Wanted) -> dict[str, str]:
    """What the receiver says it left, of what was wanted."""
    try:
        said = strict_json.decoded(answer) if answer.strip() else {}
    except PayloadInvalid:
        return {}
    left = said.get("left") if isinstance(said, dict) else None
    return {name: str(why)[:120] for name, why in left.items() if name in wanted} if isinstance(left, dict) else {}


def _post(source: Source, url: str, *, external_id: str, key: str, what: str, content: Mapping[str, object]) -> bytes:
    told = {"external_id": external_id, "what": what, "content": content}
    body = json.dumps(told, ensure_ascii=True, separators=(",", ":")).encode()
    message = key if _ID.fullmatch(key) else f"reply_{uuid.uuid5(source.uuid, key).hex}"
    try:
        headers = _signed(source, key=message, body=body)
        headers["content-type"] = "application/json"
        return credentials.exchange(source, "POST", url, body=body, headers=headers)
    except outgoing.ExchangeFailed as error:
        raise ReplyFailed(
            str(error), permanent=error.permanent, status=error.status, retry_after=error.retry_after
        ) from error


def _signed(source: Source, *, key: str, body: bytes) -> dict[str, str]:
    found = source.signing_secrets()
    if not found and source.credentials:
        return {}
    if not found:
        raise outgoing.ExchangeFailed(
            f"source {source.slug} has neither a secret to sign with nor credentials; set one", permanent=True
        )
    return signed_headers(found[0], key=key, body=body, at=datetime.now(UTC))
