"""What the vendors' REST APIs have in common: JSON both ways, an address in the source's settings, how they refuse.

A source's settings: `api_url` (`https://acme.service-now.com`), the root of the vendor's API without a path.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from triage.itsm import credentials, outgoing, payload, strict_json
from triage.itsm.base import BadLine, IncomingTicket, Page, PayloadInvalid, PullFailed, ReadFailed, ReplyFailed
from triage.itsm.outgoing import ExchangeFailed
from triage.models import Source

NOT_FOUND = 404
# a page of long tickets must never be one that nothing gets past: 50 texts of 64 KB take 19 MB when all is escaped
MOST_BYTES = 32 * 1024 * 1024
MOST_VALUES = 500_000
Converter = Callable[[Mapping[str, Any]], Mapping[str, object]]


def call(
    source: Source,
    method: str,
    path: str,
    *,
    query: Mapping[str, str] | None = None,
    send: Mapping[str, object] | None = None,
    most: int = MOST_BYTES,
) -> outgoing.Answer:
    """The answer to one request with the source's credentials; raises ExchangeFailed."""
    root = str(source.settings.get("api_url") or "").rstrip("/")
    if not root:
        raise ExchangeFailed(f"source {source.slug} has no api_url in its settings; set one", permanent=True)
    url = f"{root}{path}" + (f"?{urlencode(query)}" if query else "")
    headers = {"content-type": "application/json"} if send is not None else {}
    body = json.dumps(send, ensure_ascii=True).encode() if send is not None else None
    return credentials.answered(source, method, url, body=body, headers=headers, most=most)


def told(raw: bytes) -> dict[str, Any]:
    """The JSON object of an answer; a page of HTML in its place (an instance that sleeps) is tried again later."""
    if raw.count(b"{") + raw.count(b"[") > MOST_VALUES:  # small text can become thirty times its size in memory
        raise ExchangeFailed("the ITSM answered with more records than one page can have", permanent=True)
    try:
        value = strict_json.decoded(raw)
    except PayloadInvalid as error:
        raise ExchangeFailed(f"the ITSM answered, but {error}", permanent=False) from error
    if not isinstance(value, dict):
        raise ExchangeFailed("the ITSM answered with something else than a JSON object", permanent=False)
    return value


def page(
    records: Sequence[object],
    convert: Converter,
    *,
    at: datetime,
    raw: bytes,
    until: datetime | None = None,
    **page: Any,
) -> Page:
    """A page of the records that can be used; the others are its problems, so that a bad one hides nothing.

    What changed after `until`, when the pass began, is left to the next one: where a vendor does not list changes in
    their order, the newest change seen would otherwise stand for others that were made meanwhile and not seen.
    """
    tickets: list[IncomingTicket] = []
    problems: list[BadLine] = []
    for number, record in enumerate(records, start=1):
        try:
            found = ticket(record, convert, at=at)
            tickets += [found] if until is None or found.updated_at <= until else []
        except PayloadInvalid as error:
            problems.append(BadLine(number, str(error)))
    return Page(tickets=tuple(tickets), raw=raw, problems=tuple(problems), **page)


def ticket(record: object, convert: Converter, *, at: datetime) -> IncomingTicket:
    """One record of the vendor's as a ticket, under the same caps as any other payload; raises PayloadInvalid."""
    if not isinstance(record, dict):
        raise PayloadInvalid("a ticket of the ITSM must be a JSON object")
    strict_json.check(record)
    return payload.ticket(convert(record), at=at)


def single(content_type: str) -> None:
    """Raise PayloadInvalid for a bulk delivery: the vendors send one ticket a message."""
    if content_type != "application/json":
        raise PayloadInvalid(f"this kind of source takes application/json, not {content_type[:60]}")


def hint(told: IncomingTicket) -> IncomingTicket:
    """A message that tells less than the API does: it counts as a moment older, so that the next pull completes it."""
    return replace(told, updated_at=told.updated_at - timedelta(milliseconds=1))


def begun(seconds: str, *, at: datetime) -> datetime:
    """When a pass began, from its part of the cursor; the first page begins it."""
    return (
        datetime.fromtimestamp(int(seconds), UTC)
        if seconds.isascii() and seconds.isdigit() and len(seconds) < 11
        else at
    )


def cut(value: object, field: str) -> str | None:
    """A value as one line that fits the ticket's column; None where there is nothing."""
    text = " ".join(text_of(value).split())
    return text[: payload.LONGEST[field]] or None


def text_of(value: object) -> str:
    """A scalar of the vendor's as text; nothing for null and for what is no scalar."""
    if isinstance(value, bool) or value is None or isinstance(value, (dict, list)):
        return ""
    return str(value)


def record(value: object) -> dict[str, Any]:
    """What was told as an object; an empty one where it is none."""
    return value if isinstance(value, dict) else {}


def part(value: Mapping[str, Any], key: str) -> dict[str, Any]:
    """An object inside another; an empty one where there is none."""
    return record(value.get(key))


def whole(value: object) -> int | None:
    """A count that the vendor sends as a number or as digits."""
    digits = text_of(value)
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 18 else None


def mark(key: str) -> str:
    """What names a message of ours in the ITSM, so that a second try finds it: the same for the same key."""
    return hashlib.sha256(key.encode()).hexdigest()[:20]


@contextmanager
def reading(external_id: str) -> Iterator[None]:
    """What goes wrong while a ticket is read, as ReadFailed."""
    try:
        yield
    except ExchangeFailed as error:
        raise ReadFailed(f"ticket {external_id!r} was not read: {error}") from error
    except PayloadInvalid as error:
        raise ReadFailed(f"ticket {external_id!r} was read, but {error}") from error


@contextmanager
def pulling() -> Iterator[None]:
    """What goes wrong while a page is asked for, as PullFailed."""
    try:
        yield
    except ExchangeFailed as error:
        raise PullFailed(str(error), permanent=error.permanent, retry_after=error.retry_after) from error


@contextmanager
def replying() -> Iterator[None]:
    """What goes wrong while the ITSM is told, as ReplyFailed."""
    try:
        yield
    except ExchangeFailed as error:
        raise ReplyFailed(
            str(error), permanent=error.permanent, status=error.status, retry_after=error.retry_after
        ) from error
