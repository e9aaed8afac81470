"""Messages that the door refused: a few are kept for the source's administrator, with what may have gone wrong.

What is found out here is never part of an answer: to a stranger each wrong message looks as wrong as any other.
"""

import base64
import binascii
import hmac
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import DatabaseError

from triage.intake.accepting import KEPT_HEADERS
from triage.itsm import SOURCES, standard
from triage.models import Refusal, Source
from triage.rate import Buckets

log = logging.getLogger(__name__)
KEPT = 50
KEPT_FOR = timedelta(days=7)
BODY_BYTES = 4096
A_MINUTE = 6.0
MOST_HEADERS = 30
HIDDEN = "…"
TOLERANCE = 300
UNSIGNED = 401
_buckets = Buckets(A_MINUTE)


def keep(source: Source, *, status: int, reason: str, headers: Mapping[str, str], body: bytes, at: datetime) -> bool:
    """Keep a refused message; whether it was kept. In a flood few are: six a minute, process and source.

    Messages of who holds the secret have as many of their own, which no stranger can use up or push out.
    A database that does not answer is no error here: the sender gets the answer all the same.
    """
    proved = status == UNSIGNED and bool(_proved(source, headers=headers, body=body, at=at))
    if _buckets.take((source.pk, proved)):
        return False
    try:
        Refusal.objects.create(
            source=source,
            at=at,
            status=status,
            reason=reason[:500],
            hint=hint(source, headers=headers, body=body, at=at)[:500] if status == UNSIGNED else "",
            proved=proved,
            headers=_shown(headers),
            size=min(max(len(body), _told(headers)), 2**31 - 1),
            body=body[:BODY_BYTES],
        )
        rows = Refusal.objects.filter(source=source, proved=proved)
        last = rows.order_by("-pk").values_list("pk", flat=True)[KEPT : KEPT + 1].first()
        if last is not None:
            rows.filter(pk__lte=last).delete()
        Refusal.objects.filter(source=source, at__lt=at - KEPT_FOR).delete()
    except DatabaseError:
        log.exception("a refused message was not kept")
        return False
    return True


def forget() -> None:
    """Begin counting anew."""
    _buckets.forget()


def _told(headers: Mapping[str, str]) -> int:
    length = headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 10 else 0


def _shown(headers: Mapping[str, str]) -> dict[str, str]:
    """The names that came, with the values of those that name a message; of others only that they were there."""
    names = sorted(headers)[:MOST_HEADERS]
    return {
        name[:80].replace("\x00", ""): headers[name][:300].replace("\x00", "")
        if name.startswith(KEPT_HEADERS)
        else HIDDEN
        for name in names
    }


def hint(source: Source, *, headers: Mapping[str, str], body: bytes, at: datetime) -> str:
    """What an administrator may know of a refused signature: which side to look at. Empty where nothing more is known.

    English and stored, like every reason of a row; pages show it as it is.
    """
    if not source.signing_secrets():
        return "No secret is set for this source: make one on its page, and enter it at the sender."
    told = _signed(source, headers)
    if told is None:
        return ""
    if proved := _proved(source, headers=headers, body=body, at=at):
        return proved
    age = int(at.timestamp()) - told.stamp
    late = f" Its time is {_span(age)}, too." if abs(age) > TOLERANCE else ""
    return f"Signed with another secret, or the bytes were changed on their way (by a proxy, or by formatting).{late}"


@dataclass(frozen=True)
class _Told:
    """What a message says of its signature. `stamp`: Unix seconds."""

    key: str
    stamp: int
    given: frozenset[str]


def _signed(source: Source, headers: Mapping[str, str]) -> _Told | None:
    """None where it bears no signature that is told apart here."""
    if getattr(SOURCES.get(source.kind), "verify", None) is not standard.verify:
        return None
    key, stamp, signed = (headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    given = frozenset(part.partition(",")[2] for part in signed.split(" ") if part.startswith("v1,"))
    if not (key and given and stamp.isascii() and stamp.isdigit() and len(stamp) < 12):
        return None
    return _Told(key, int(stamp), given)


def _proved(source: Source, *, headers: Mapping[str, str], body: bytes, at: datetime) -> str:
    """What went wrong where nobody but a holder of the secret can have sent it; empty where anybody can."""
    told = _signed(source, headers)
    if told is None:
        return ""
    known, given = source.signing_secrets(), told.given
    content = f"{told.key}.{headers['webhook-timestamp']}.".encode() + body
    age = int(at.timestamp()) - told.stamp
    if any(_matches(_key(secret), content, given) for secret in known):
        return f"The secret is right, but the time is {_span(age)}: set the sender's clock, or send at once."
    if any(_matches(form, content, given) for secret in known for form in (secret.encode(), secret[6:].encode())):
        return "Signed with the text of the secret: the key is what stands after whsec_, decoded from base64."
    if any(_matches(_key(secret), body, given) for secret in known):
        return "Only the body was signed: sign the id, the time and the body, with full stops between them."
    return ""


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix("whsec_"))
    except (binascii.Error, ValueError):
        return b""


def _matches(key: bytes, content: bytes, given: Collection[str]) -> bool:
    made = base64.b64encode(hmac.digest(key, content, "sha256")).decode()
    return bool(key) and any(hmac.compare_digest(made.encode(), one.encode("utf-8", "replace")) for one in given)


def _span(age: int) -> str:
    minutes = abs(age) // 60
    length = f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"
    return f"{length} old" if age >= 0 else f"{length} ahead"
