"""One signed-in connection to an LDAP server: verified TLS, explicit timeouts, searches in pages, one-entry changes.

A read is repeated once on a connection that has died; a change is sent once, ever.
"""

import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from runbooks.targets.ldap_terms import ASSERTION, Asn1Error, asserting, exceptions, ldap3, printable, tracking
from runbooks.targets.sqlite import TargetError

PAGE = 500
_PAGED = "1.2.840.113556.1.4.319"
_PRECONDITIONS = (
    exceptions.LDAPNoSuchAttributeResult,
    exceptions.LDAPAttributeOrValueExistsResult,
    exceptions.LDAPAssertionFailedResult,
)
_WAITED = (TimeoutError, BlockingIOError, exceptions.LDAPResponseTimeoutError)


class Conflict(TargetError):
    """The entry was no longer as it had been read, so the server changed nothing."""


class Address(Protocol):
    """What a connection needs of the settings; see `ldap_settings.LdapSettings`."""

    @property
    def address(self) -> tuple[str, int]: ...
    @property
    def tls_at_once(self) -> bool: ...
    @property
    def encrypted(self) -> bool: ...
    @property
    def ca_file(self) -> str: ...
    @property
    def bind_dn(self) -> str: ...
    @property
    def connect_seconds(self) -> int: ...
    @property
    def answer_seconds(self) -> int: ...


@dataclass(frozen=True)
class Entry:
    """One entry as the server gave it; names of attributes are caseless."""

    dn: str
    values: Mapping[str, tuple[str, ...]]

    def all(self, attribute: str) -> tuple[str, ...]:
        """Return the values of an attribute, or none."""
        return self.values.get(attribute.casefold(), ())

    def one(self, attribute: str) -> str:
        """Return the first value of an attribute, or an empty text."""
        return next(iter(self.all(attribute)), "")


@dataclass(frozen=True)
class Change:
    """One part of a modify. Deleting a value that is not there, or adding one that is, makes the whole of it fail."""

    what: Literal["add", "delete", "replace"]
    attribute: str
    value: str


class _VerifiedTls(ldap3.Tls):  # type: ignore[misc]  # ldap3 has no types
    """TLS whose certificate and host name OpenSSL itself checks; ldap3 would do the latter by a function of its own."""

    def __init__(self, host: str, ca_file: str) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._host = host
        self._context = ssl.create_default_context(cafile=ca_file or None)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:  # noqa: ARG002 - always done at once
        """Put TLS on the connection's socket, or raise."""
        connection.socket = self._context.wrap_socket(connection.socket, server_hostname=self._host)


class Connection:
    """Opened on first use. Every failure is a TargetError that names server and cause, never a credential."""

    def __init__(self, settings: Address, password: str) -> None:
        self._settings = settings
        self._password = password
        self._open: ldap3.Connection | None = None
        self._controls: frozenset[str] | None = None

    def close(self) -> None:
        """Let go of the connection."""
        opened, self._open = self._open, None
        if opened is not None:
            with suppress(exceptions.LDAPException, OSError):
                opened.unbind()

    def supports(self, control: str) -> bool:
        """Say whether the server names this control among those that it honours."""
        if self._controls is None:
            root = self.entry("", "(objectClass=*)", ["supportedControl"])
            self._controls = frozenset(root.all("supportedControl") if root else ())
        return control in self._controls

    def entry(self, dn: str, matching: str, attributes: Sequence[str]) -> Entry | None:
        """Return the entry of this DN where it matches, else None."""
        found = self._read(dn, matching, attributes, ldap3.BASE, paged=False)
        return found[0] if found else None

    def search(self, base: str, matching: str, attributes: Sequence[str], *, most: int | None = None) -> list[Entry]:
        """Return every entry below the base that matches; TargetError where there are more than `most`."""
        return self._read(base, matching, attributes, ldap3.SUBTREE, paged=True, most=most)

    def modify(self, dn: str, changes: Sequence[Change], *, run_id: str, only_if: str = "") -> None:
        """Change one entry, all of it or nothing; Conflict where it is not as the changes presume.

        only_if: a filter that the entry must match at that moment (RFC 4528), on servers that can. The run's id goes
        along for the server's own log. Sent once: after a lost answer nobody here knows what came of it.
        """
        parts: dict[str, list[tuple[str, list[str]]]] = {}
        names = {"add": ldap3.MODIFY_ADD, "delete": ldap3.MODIFY_DELETE, "replace": ldap3.MODIFY_REPLACE}
        for change in changes:
            parts.setdefault(change.attribute, []).append((names[change.what], [change.value]))
        controls = [tracking(run_id)]
        if only_if and self.supports(ASSERTION):
            controls.append(asserting(only_if))
        self.perform("the change", lambda opened: opened.modify(dn, parts, controls=controls))

    def perform(self, doing: str, request: Callable[[ldap3.Connection], object]) -> None:
        """Send one request that changes something, once; TargetError, saying what was being done, unless it was."""
        opened = self._connected()
        with self._told(doing):
            request(opened)
            self._check_done(opened, doing)

    def offers(self, extension: str) -> bool:
        """Say whether the server names this extended operation among those that it knows."""
        root = self.entry("", "(objectClass=*)", ["supportedExtension"])
        return root is not None and extension in root.all("supportedExtension")

    def _read(
        self, base: str, matching: str, attributes: Sequence[str], scope: Any, *, paged: bool, most: int | None = None
    ) -> list[Entry]:
        alive = self._open is not None
        try:
            return self._read_once(base, matching, attributes, scope, paged=paged, most=most)
        except _Lost:
            if not alive:
                raise
            return self._read_once(base, matching, attributes, scope, paged=paged, most=most)

    def _read_once(
        self, base: str, matching: str, attributes: Sequence[str], scope: Any, *, paged: bool, most: int | None
    ) -> list[Entry]:
        opened = self._connected()
        entries: list[Entry] = []
        cookie: bytes | None = None
        with self._told("a search"):
            while True:
                try:
                    opened.search(
                        base,
                        matching,
                        scope,
                        dereference_aliases=ldap3.DEREF_NEVER,
                        attributes=list(attributes) or [ldap3.NO_ATTRIBUTES],
                        time_limit=self._settings.answer_seconds,
                        paged_size=PAGE if paged else None,
                        paged_cookie=cookie,
                    )
                except exceptions.LDAPNoSuchObjectResult:
                    if scope == ldap3.BASE:
                        return []
                    raise
                self._check_done(opened, "a search")
                entries += [_entry(item) for item in opened.response or () if item["type"] == "searchResEntry"]
                if most is not None and len(entries) > most:
                    raise TargetError(f"{self._where}: more than {most} entries under {base!r}; name a narrower base")
                cookie = _cookie(opened.result)
                if not cookie:
                    return entries

    def _connected(self) -> ldap3.Connection:
        if self._open is None:
            with self._told("signing in"):
                self._open = self._signed_in()
        return self._open

    def _signed_in(self) -> ldap3.Connection:
        settings = self._settings
        host, port = settings.address
        server = ldap3.Server(
            host,
            port,
            use_ssl=settings.tls_at_once,
            get_info=ldap3.NONE,
            connect_timeout=settings.connect_seconds,
            tls=_VerifiedTls(host, settings.ca_file) if settings.encrypted else None,
        )
        connection = ldap3.Connection(
            server,
            user=settings.bind_dn,
            password=self._password,
            authentication=ldap3.SIMPLE,
            # A referral could send the password to whatever server an entry names.
            auto_referrals=False,
            auto_escape=False,
            check_names=False,
            raise_exceptions=True,
            receive_timeout=settings.answer_seconds,
        )
        try:
            connection.open(read_server_info=False)
            if settings.encrypted and not settings.tls_at_once:
                connection.start_tls(read_server_info=False)
            self._check_tls(connection)
            connection.bind(read_server_info=False)
            self._check_done(connection, "signing in")
        except BaseException:
            _hang_up(connection)
            raise
        return connection

    def _check_tls(self, connection: ldap3.Connection) -> None:
        """Whatever the library thinks happened: the password goes through TLS, or nowhere."""
        if self._settings.encrypted and not isinstance(connection.socket, ssl.SSLSocket):
            raise TargetError(f"{self._where}: no TLS came about")

    def _check_done(self, connection: ldap3.Connection, doing: str) -> None:
        """The library raises for most refusals, and not for a referral: "ask (or change it on) another server"."""
        if connection.result["result"] != ldap3.core.results.RESULT_SUCCESS:
            raise TargetError(f"{self._where} refused {doing}: {connection.result['description']}")

    @property
    def _where(self) -> str:
        host, port = self._settings.address
        return f"the directory at {host}:{port}"

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        """Turn whatever the library raises into words; only the server's own refusals leave the connection usable."""
        try:
            yield
        except _PRECONDITIONS as error:
            raise Conflict(f"{self._where}: {doing} found another state than before ({error.description})") from None
        except exceptions.LDAPOperationResult as error:
            text = ": ".join(part for part in (error.description, printable(error.message)) if part)
            raise TargetError(f"{self._where} refused {doing}: {text}") from None
        except _WAITED:
            self._drop()
            raise TargetError(f"{self._where} did not answer in time ({doing})") from None
        except (exceptions.LDAPException, Asn1Error, OSError, ValueError, TypeError, LookupError) as error:
            self._drop()
            raise _Lost(f"{self._where}: {doing} failed: {printable(str(error))}") from None

    def _drop(self) -> None:
        opened, self._open = self._open, None
        if opened is not None:
            _hang_up(opened)


class _Lost(TargetError):
    """The connection is gone."""


def _hang_up(connection: ldap3.Connection) -> None:
    """Close the socket, without a word to the server; the library forgets one that never came to be connected."""
    opened = connection.socket
    with suppress(exceptions.LDAPException, OSError):
        connection.strategy.close()
    if opened is not None:
        opened.close()


def _entry(item: Mapping[str, Any]) -> Entry:
    values = {
        str(name).casefold(): tuple(bytes(value).decode("utf-8", "replace") for value in found)
        for name, found in item["raw_attributes"].items()
    }
    return Entry(str(item["dn"]), values)


def _cookie(result: Mapping[str, Any]) -> bytes | None:
    value = result.get("controls", {}).get(_PAGED, {}).get("value") or {}
    return value.get("cookie") or None
