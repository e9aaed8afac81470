"""HTTP to another program: only where an administrator said, no redirects, bounded in time and size."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import urllib3

from runbooks.patience import Patience, TooLong, TooMuch

CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
WHOLE_SECONDS = 20.0
ANSWER_BYTES = 1024 * 1024
PAGE_BYTES = 8 * ANSWER_BYTES
REFUSAL_BYTES = 4096
LONGEST_WAIT = 24 * 3600.0
PLACE = "{external_id}"
SINCE = "{since}"
CURSOR = "{cursor}"
# come back later: time-out, conflict, too early, too many
LATER = frozenset({408, 409, 425, 429})


class ExchangeFailed(Exception):
    """No good answer. `permanent`: the same request will never get one. `status`: of the answer, 0 without one.

    `retry_after`: seconds that the answer asks to wait, 0 where it does not say. `body`: the first 4 KiB of a refusal,
    untrusted. `unreached`: nothing was sent, since no connection was made.
    """

    def __init__(
        self,
        message: str,
        *,
        permanent: bool,
        status: int = 0,
        retry_after: float = 0.0,
        body: bytes = b"",
        unreached: bool = False,
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.status = status
        self.retry_after = retry_after
        self.body = body
        self.unreached = unreached


@dataclass(frozen=True)
class Answer:
    """A 2xx answer. `headers`: names in lower case."""

    body: bytes
    headers: Mapping[str, str]


def filled(template: str, external_id: str) -> str:
    """The template with the ticket's id quoted into its path or query; the host never comes from a ticket."""
    host(template)
    before = urlsplit(template)
    if PLACE not in before.path + before.query:
        raise ExchangeFailed(f"the address {template!r} has no {PLACE} in its path or query", permanent=True)
    if PLACE in before.netloc + before.scheme or external_id in {".", ".."}:
        raise ExchangeFailed(f"ticket {external_id!r} cannot be put into {template!r}", permanent=True)
    return template.replace(PLACE, quote(external_id, safe=""))


def listing(template: str, *, since: datetime, cursor: str) -> str:
    """The template with the moment (ISO 8601, UTC) and the cursor quoted into its path or query."""
    host(template)
    before = urlsplit(template)
    if SINCE not in before.query + before.path or CURSOR not in before.query + before.path:
        raise ExchangeFailed(
            f"the address {template!r} needs {SINCE} and {CURSOR}; set https://itsm.example.org/tickets"
            f"?since={SINCE}&cursor={CURSOR}",
            permanent=True,
        )
    moment = since.astimezone(UTC).isoformat().replace("+00:00", "Z")
    filled_in = template.replace(SINCE, quote(moment, safe=""))
    return filled_in.replace(CURSOR, quote(cursor, safe=""))


def exchange(
    method: str,
    url: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str],
    address: str | None = None,
    most: int = ANSWER_BYTES,
) -> bytes:
    """The body of a 2xx answer, at most `most` bytes (1 MiB) within 20 s; anything else raises ExchangeFailed.

    `address`: connect to this IP address, whatever the host's name means by now; TLS still asks for the name.
    """
    return answered(method, url, body=body, headers=headers, address=address, most=most).body


def answered(
    method: str,
    url: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str],
    address: str | None = None,
    most: int = ANSWER_BYTES,
) -> Answer:
    """`exchange`, with the headers of the answer: where a vendor tells the next page, or how much it still allows."""
    name = host(url)
    timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
    # a pool of its own for each exchange: answers are rare, and a kept connection does not survive a fork
    pools = urllib3.PoolManager(num_pools=1, timeout=timeout, retries=False, **_pinned(url, address))
    with _failures(url, most), Patience(WHOLE_SECONDS) as patience, patience.watch(pools) as pool:
        answer = pool.request(
            method,
            _at(url, address) if address else url,
            body=body,
            headers={
                **headers,
                **({"host": _place(url)} if address else {}),
                "user-agent": "triage",
                "accept": "application/json",
                "accept-encoding": "identity",
            },
            redirect=False,
            preload_content=False,
        )
        try:
            received = patience.read(answer, most=most)
        finally:
            answer.close()
    if 200 <= answer.status < 300:
        return Answer(received, {name.lower(): value for name, value in answer.headers.items()})
    raise _refusal(answer.status, name, wait=_wait(answer.headers.get("retry-after", "")), body=received)


@contextmanager
def _failures(url: str, most: int) -> Iterator[None]:
    """Whatever keeps a request from an answer, as an ExchangeFailed that says whether to try again."""
    try:
        yield
    except TooMuch:
        raise ExchangeFailed(f"the answer has more than {most} bytes", permanent=True) from None
    except TooLong:
        late = f"the answer was not complete after {WHOLE_SECONDS:.0f} s"
        raise ExchangeFailed(late, permanent=False) from None
    except urllib3.exceptions.LocationParseError as error:
        raise ExchangeFailed(f"{url!r} is no address: {error}", permanent=True) from error
    except urllib3.exceptions.HTTPError as error:
        unreached = isinstance(error, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)
        raise ExchangeFailed(f"{host(url)} does not answer: {error}", permanent=False, unreached=unreached) from error


def _pinned(url: str, address: str | None) -> dict[str, Any]:
    """What makes TLS ask for the host's name at an address that is given as a number."""
    if not address or urlsplit(url).scheme != "https":
        return {}
    name = _ascii(urlsplit(url).hostname or "")
    return {"server_hostname": name, "assert_hostname": name}


def _place(url: str) -> str:
    """Host and port as a Host header has them."""
    parts = urlsplit(url)
    name = _ascii(parts.hostname or "")
    name = f"[{name}]" if ":" in name else name
    return f"{name}:{parts.port}" if parts.port else name


def _ascii(name: str) -> str:
    """The name as DNS and TLS have it."""
    try:
        return name if name.isascii() else name.encode("idna").decode()
    except UnicodeError:
        return name


def _at(url: str, address: str) -> str:
    """The same place with a number for its host."""
    parts = urlsplit(url)
    number = f"[{address}]" if ":" in address else address
    place = f"{number}:{parts.port}" if parts.port else number
    return urlunsplit((parts.scheme, place, parts.path, parts.query, ""))


def host(url: str) -> str:
    """The URL's host; ExchangeFailed for what is no http(s) address."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise ExchangeFailed(f"{url!r} is no http(s) address; set https://itsm.example.org/...", permanent=True)
    return parts.hostname


def _wait(told: str) -> float:
    """Seconds of a Retry-After header, which is a count or a date (RFC 9110, 10.2.3); 0 for neither."""
    if told.strip().isascii() and told.strip().isdigit():
        return min(float(told.strip()[:9]), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(told)
    except (ValueError, OverflowError):
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max((moment - datetime.now(UTC)).total_seconds(), 0.0), LONGEST_WAIT)


def _refusal(status: int, host: str, *, wait: float, body: bytes) -> ExchangeFailed:
    if 300 <= status < 400:
        return ExchangeFailed(
            f"{host} redirects ({status}), which is not followed; set the final address", permanent=True, status=status
        )
    later = status >= 500 or status in LATER
    hint = "it will be tried again" if later else "check the address, the secret and what the server logged"
    return ExchangeFailed(
        f"{host} answered {status}; {hint}",
        permanent=not later,
        status=status,
        retry_after=wait,
        body=body[:REFUSAL_BYTES],
    )
