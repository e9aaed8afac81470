"""How servers write down that failed sign-ins have locked an account, and what takes that back."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol

from runbooks.targets.accounts import LOCKED_BY_FAILED_LOGINS
from runbooks.targets.ldap_connection import Change, Entry
from runbooks.targets.ldap_settings import Flavour, LdapSettings
from runbooks.targets.sqlite import TargetError

LOCKED_BY_ADMINISTRATOR = "administrator"


class Locks(Protocol):
    """One server family's way of locking."""

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes to read."""

    def reason(self, entry: Entry) -> str:
        """Return why the account is locked, or an empty text."""

    def taken_off(self, entry: Entry) -> list[Change]:
        """Return the changes that unlock, made so that they fail when the lock is another one by then."""

    def put_on(self, former: str) -> list[Change]:
        """Return the changes that lock again; `former`: the value that was taken off here, or an empty text."""

    def mark(self, entry: Entry) -> str:
        """Return the value that is the lock, or an empty text."""


class PasswordPolicyLocks:
    """OpenLDAP's ppolicy overlay: a time in pwdAccountLockedTime; taking it off also forgets the failures."""

    attributes = ("pwdAccountLockedTime",)
    _FOREVER = "000001010000Z"

    def __init__(self, lockout_seconds: int) -> None:
        self._lasts = timedelta(seconds=lockout_seconds)

    def mark(self, entry: Entry) -> str:
        """Return the value that is the lock, or an empty text."""
        return entry.one("pwdAccountLockedTime")

    def reason(self, entry: Entry) -> str:
        """Return why the account is locked, or an empty text; a lock that has run out is none."""
        value = self.mark(entry)
        if value == self._FOREVER:
            return LOCKED_BY_ADMINISTRATOR
        if not value or (self._lasts and _time(value) + self._lasts <= datetime.now(UTC)):
            return ""
        return LOCKED_BY_FAILED_LOGINS

    def taken_off(self, entry: Entry) -> list[Change]:
        """Delete exactly the value that was seen."""
        return [Change("delete", "pwdAccountLockedTime", self.mark(entry))]

    def put_on(self, former: str) -> list[Change]:
        """Add the former time, or now where it is not known; fails where there is a lock."""
        return [Change("add", "pwdAccountLockedTime", former or f"{datetime.now(UTC):%Y%m%d%H%M%SZ}")]


class ActiveDirectoryLocks:
    """Active Directory: lockoutTime may be set to 0 only, and a computed bit says whether the lock still holds."""

    attributes = ("lockoutTime", "msDS-User-Account-Control-Computed")
    _LOCKED_OUT = 0x10

    def mark(self, entry: Entry) -> str:
        """Return the value that is the lock, or an empty text."""
        value = entry.one("lockoutTime")
        return "" if value == "0" else value

    def reason(self, entry: Entry) -> str:
        """Return why the account is locked, or an empty text; without the computed bit any lock counts."""
        computed = entry.one("msDS-User-Account-Control-Computed")
        holds = bool(int(computed) & self._LOCKED_OUT) if computed.lstrip("-").isdecimal() else True
        return LOCKED_BY_FAILED_LOGINS if self.mark(entry) and holds else ""

    def taken_off(self, entry: Entry) -> list[Change]:  # noqa: ARG002 - 0 is right whatever the lock was
        """Set to 0: the only value that the server takes, so nothing else can be overwritten by it."""
        return [Change("replace", "lockoutTime", "0")]

    def put_on(self, former: str) -> list[Change]:  # noqa: ARG002 - as the message says
        """Refuse."""
        raise TargetError("Active Directory lets nobody lock an account: only failed sign-ins do")


def locks_of(settings: LdapSettings) -> Locks:
    """Return the way of locking of this server."""
    made: Mapping[Flavour, Locks] = {
        "openldap": PasswordPolicyLocks(settings.lockout_seconds),
        "active_directory": ActiveDirectoryLocks(),
    }
    return made[settings.flavour]


def _time(value: str) -> datetime:
    """Read a generalized time in UTC (RFC 4517); one in another form never runs out."""
    try:
        return datetime.strptime(value.partition(".")[0].rstrip("Z")[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return datetime.max.replace(tzinfo=UTC) - timedelta(days=36_500)
