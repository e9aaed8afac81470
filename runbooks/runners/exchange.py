"""HTTP to a job system: only to the address in its target's settings, no redirects, bounded in time and size.

A request says of itself whether the other side may have acted on it; nothing is ever sent twice here.
"""

import json
import re
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import urllib3

from runbooks.patience import Patience, TooLong, TooMuch
from runbooks.runners.jobs import LaunchLost, LaunchRefused, RemoteError
from runbooks.targets.job_systems import JobSystem

CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
WHOLE_SECONDS = 20.0
ANSWER_BYTES = 4 * 1024 * 1024
DETAIL = 200
# come back later: too early, too many
LATER = frozenset({425, 429})
# it may have been done all the same: time-out, and whatever a server or what stands before it broke off with
PERHAPS = frozenset({408, 499})


class Denied(Exception):
    """The other system said no: asked again it would say the same. status: of HTTP, 0 for an answer that is unfit."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class _Lost(Exception):
    """No answer. sent: the other side may have read the request."""

    def __init__(self, why: str, *, sent: bool) -> None:
        super().__init__(why)
        self.why = why
        self.sent = sent


class Server:
    """One system's API, as the user of the token. Paths are the caller's own, of numbers and checked names."""

    def __init__(self, system: JobSystem, *, headers: Mapping[str, str]) -> None:
        self._base = system.url
        self._host = urlsplit(system.url).hostname or ""
        self._headers = {**headers, "user-agent": "triage", "accept": "application/json", "accept-encoding": "identity"}
        self._ca_file = system.ca_file
        self._secret = system.token.get_secret_value()

    def get(self, path: str, **query: str | int) -> Any:
        """The JSON of a 200. RemoteError where it may be asked again, Denied where that would help nothing."""
        try:
            status, body = self._exchange("GET", _with(path, query))
        except _Lost as error:
            raise RemoteError(error.why) from error
        if status >= 500 or status in LATER | PERHAPS:
            raise RemoteError(f"{self._host} answered {status}{self._detail(body)}")
        if status != 200:
            raise Denied(self._refusal(status, body), status=status)
        return self._read(body)

    def table(self, path: str, **query: str | int) -> dict[str, Any]:
        """The same, which must be an object."""
        answer = self.get(path, **query)
        if not isinstance(answer, dict):
            raise Denied(f"{self._host} gave {type(answer).__name__} for {path.partition('?')[0]}, and no object")
        return answer

    def launch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Post what starts a job, once. The JSON of a 2xx.

        RemoteError: nothing was started, and it may be tried again. LaunchRefused: nothing was started. LaunchLost:
        it may have been.
        """
        try:
            status, received = self._exchange("POST", path, body)
        except _Lost as error:
            raise (LaunchLost if error.sent else RemoteError)(error.why) from error
        if 200 <= status < 300:
            try:
                answer = self._read(received)
            except Denied as error:
                raise LaunchLost(str(error)) from error
            if not isinstance(answer, dict):
                raise LaunchLost(f"{self._host} answered {status} without an object")
            return answer
        if status >= 500 or status in PERHAPS:
            raise LaunchLost(f"{self._host} answered {status}{self._detail(received)}")
        if status in LATER:
            raise RemoteError(f"{self._host} answered {status}{self._detail(received)}")
        raise LaunchRefused(self._refusal(status, received), status=status)

    def ask(self, path: str, body: Mapping[str, Any]) -> int:
        """Post what may be posted again, and return the status; RemoteError where none came."""
        try:
            status, received = self._exchange("POST", path, body)
        except _Lost as error:
            raise RemoteError(error.why) from error
        if status >= 500 or status in LATER | PERHAPS:
            raise RemoteError(f"{self._host} answered {status}{self._detail(received)}")
        return status

    def _exchange(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, bytes]:
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
        sending = {} if body is None else {"content-type": "application/json"}
        data = None if body is None else json.dumps(body).encode("ascii")
        try:
            # a pool of its own for each exchange: a kept connection that broke would look like a lost answer
            pools = urllib3.PoolManager(num_pools=1, timeout=timeout, retries=False, **self._trust())
            with Patience(WHOLE_SECONDS) as patience, patience.watch(pools) as pool:
                answer = pool.request(
                    method,
                    self._base + path,
                    body=data,
                    headers={**self._headers, **sending},
                    redirect=False,
                    preload_content=False,
                )
                try:
                    return answer.status, patience.read(answer, most=ANSWER_BYTES)
                finally:
                    answer.close()
        except TooMuch as error:
            raise _Lost(f"the answer of {self._host} has more than {ANSWER_BYTES} bytes", sent=True) from error
        except TooLong as error:
            late = f"the answer of {self._host} was not complete after {WHOLE_SECONDS:g} s"
            raise _Lost(late, sent=True) from error
        except urllib3.exceptions.HTTPError as error:
            why = f"{self._host} does not answer: {self._hidden(str(error))[:DETAIL]}"
            raise _Lost(why, sent=not _unsent(error)) from error
        except (OSError, ValueError) as error:
            # such as certificates that cannot be read
            raise _Lost(f"{self._host} cannot be asked: {self._hidden(str(error))[:DETAIL]}", sent=False) from error

    def _trust(self) -> dict[str, Any]:
        # what the system trusts is only looked at by a context that is left alone
        return (
            {"cert_reqs": "CERT_REQUIRED", "ca_certs": self._ca_file}
            if self._ca_file
            else {"cert_reqs": "CERT_REQUIRED"}
        )

    def _read(self, body: bytes) -> Any:
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Denied(f"{self._host} answered with something else than JSON") from error

    def _refusal(self, status: int, body: bytes) -> str:
        if 300 <= status < 400:
            return f"{self._host} redirects ({status}), which is not followed: set the final address in the target"
        mend = {401: ": give the target a token that is valid", 403: ": give the token's user the right to this"}
        return f"{self._host} answered {status}{mend.get(status, '')}{self._detail(body)}"

    def _detail(self, body: bytes) -> str:
        """What the server says of it, as far as that is plain words."""
        text = re.sub(r"[^\x20-\x7e]+", " ", self._hidden(body[:4096].decode("utf-8", "replace")))
        return f" ({text[:DETAIL].strip()})" if text.lstrip()[:1] in ("{", "[") else ""

    def _hidden(self, text: str) -> str:
        return text.replace(self._secret, "****")


def _with(path: str, query: Mapping[str, str | int]) -> str:
    return f"{path}?{urlencode(query, quote_via=quote)}" if query else path


def _unsent(error: Exception) -> bool:
    """Whether the connection was never there, so that nothing can have been read at the other end."""
    if isinstance(error, urllib3.exceptions.SSLError):
        return any(isinstance(part, ssl.SSLCertVerificationError) for part in (*error.args, error.__cause__))
    return isinstance(error, (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError))
