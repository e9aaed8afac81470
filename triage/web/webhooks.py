"""The door: ITSMs post here. Verify the raw bytes, then parse, then store; 202 means that it cannot be lost any more.

Answers are those that senders act on rightly (never a redirect, never 410): 202, 400, 401, 404, 405, 413, 415, 429 for
one that should slow down, 503 for one that should come back.
"""

import logging
from datetime import datetime
from functools import lru_cache
from typing import NoReturn

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, JsonResponse, UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from triage import bell, intake, itsm
from triage.connecting import refusals
from triage.environment import environment
from triage.itsm.standard import LIMITS
from triage.models import Source
from triage.rate import Buckets
from triage.telling import tell

log = logging.getLogger(__name__)
RETRY_SECONDS = 5
TOO_MANY = 429
# a body that is too large is still read up to here, so that the sender sees the answer and not a broken connection
DRAIN_BYTES = 16 * 1024 * 1024
CHUNK = 256 * 1024


class Refused(Exception):
    """The answer to a request that goes no further."""

    def __init__(self, status: int, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = b""
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


@csrf_exempt
def receive(request: HttpRequest, source: str) -> JsonResponse:
    """POST /webhooks/<source>/: 202 with the delivery's id and what became of each ticket."""
    at = timezone.now()
    try:
        accepted = _accept(request, slug=source, at=at)
    except Refused as refused:
        return JsonResponse({"error": str(refused)}, status=refused.status, headers=refused.headers)
    except (DatabaseError, InterfaceError):
        log.exception("a delivery was not stored")
        return JsonResponse(
            {"error": "not stored, the database does not answer; send it again"},
            status=503,
            headers={"Retry-After": str(RETRY_SECONDS)},
        )
    if accepted.waiting:
        bell.ring("classify_waiting")
    return JsonResponse(_answer(accepted), status=202)


def _accept(request: HttpRequest, *, slug: str, at: datetime) -> intake.Accepted:
    if request.method != "POST":
        raise Refused(405, f"{request.method} is not understood here; use POST", Allow="POST")
    source = Source.objects.select_related("customer").filter(slug=slug, enabled=True).first()
    if source is None or source.kind not in itsm.SOURCES:
        raise Refused(404, "there is no such source; check the address")
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        return _taken(request, source, headers=headers, at=at)
    except Refused as refused:
        if refused.status != TOO_MANY:
            refusals.keep(source, status=refused.status, reason=str(refused), headers=headers, body=refused.body, at=at)
        raise


def _taken(request: HttpRequest, source: Source, *, headers: dict[str, str], at: datetime) -> intake.Accepted:
    if source.pull_every is not None and not source.signing_secrets():
        raise Refused(401, "this source is only pulled and takes no webhooks; set a signing secret to let it call")
    content_type = _content_type(request)
    body = _body(request, limit=LIMITS[content_type])
    connector = itsm.SOURCES[source.kind]
    try:
        key = connector.verify(source=source, headers=headers, body=body)
    except itsm.SignatureInvalid as error:
        _unsigned(source, message=str(error), body=body, at=at)
    if wait := _buckets().take(source.pk):
        raise Refused(
            TOO_MANY,
            f"more than {environment().source_rate} deliveries a minute; slow down, or send many tickets as NDJSON",
            Retry_After=str(int(wait) + 1),
        )
    try:
        return intake.accept(source=source, key=key, body=body, headers=headers, content_type=content_type, at=at)
    except itsm.PayloadTooLarge as error:
        raise Refused(413, str(error)) from None


def _content_type(request: HttpRequest) -> str:
    charset = request.content_params.get("charset", "utf-8") if request.content_params else "utf-8"
    found = request.content_type or ""
    if found not in LIMITS or charset.strip("\"'").lower() not in {"utf-8", "utf8"}:
        raise Refused(415, f"send {' or '.join(LIMITS)} in UTF-8")
    return found


def _body(request: HttpRequest, *, limit: int) -> bytes:
    """The raw bytes; Django's own reading would refuse bulk deliveries at its limit for forms."""
    told = request.headers.get("content-length", "")
    if not (told.isascii() and told.isdigit()):
        raise Refused(400, "Content-Length is missing; send the body in one piece, not chunked")
    length = int(told)
    if length > limit:
        _drain(request, min(length, DRAIN_BYTES))
        raise Refused(413, f"{length} bytes; send at most {limit} of this content type")
    try:
        body = request.read(length)
    except UnreadablePostError:
        body = b""
    if len(body) != length:
        raise Refused(400, f"{len(body)} bytes came of the {length} that Content-Length names")
    return body


def _drain(request: HttpRequest, size: int) -> None:
    try:
        while size > 0 and (piece := request.read(min(size, CHUNK))):
            size -= len(piece)
    except UnreadablePostError:
        log.info("a sender went away while its oversized delivery was read")


def _unsigned(source: Source, *, message: str, body: bytes, at: datetime) -> NoReturn:
    """401; and people are told of a source's first of the day: often a secret that one side has changed."""
    log.warning("source %s: %s", source.slug, message)
    _tell_once(source.pk, at.date().isoformat())
    refused = Refused(401, message)
    refused.body = body
    raise refused


@lru_cache(maxsize=1024)
def _tell_once(source: int, day: str) -> None:
    """One row a source and day; remembered here, so that a flood of bad signatures writes nothing more."""
    row = Source.objects.select_related("customer").get(pk=source)
    tell(
        kind="signature",
        customer=row.customer,
        key=f"signature-{source}-{day}",
        text=f"Source {row.slug} sent a message whose signature is wrong. Compare the secrets on both sides.",
        data={"source": row.slug},
        at=timezone.now(),
    )
    bell.ring("tell_people")


@lru_cache(maxsize=1)
def _buckets() -> Buckets:
    return Buckets(environment().source_rate / environment().web_processes)


def _answer(accepted: intake.Accepted) -> dict[str, object]:
    return {
        "delivery": str(accepted.delivery),
        "duplicate": accepted.duplicate,
        **({"kept": "the source is being set up; it becomes a ticket when it goes live"} if accepted.kept else {}),
        "tickets": [
            {"external_id": told.external_id, "result": told.result, **({"line": told.line} if told.line else {})}
            for told in accepted.tickets
        ],
        "quarantined": [
            {"reason": bad.reason, **({"line": bad.line} if bad.line else {})} for bad in accepted.problems
        ],
    }
