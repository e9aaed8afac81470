"""What a directory holds, and the narrow surface through which runbooks may read and change any directory."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

LOCKED_BY_FAILED_LOGINS = "failed_logins"
LOCKED_FOR_SECURITY = "security"


class PasswordRefused(Exception):
    """The directory's rules do not allow this password; the message says why: the second half of a sentence."""


@dataclass(frozen=True)
class Account:
    """One account. Sizes in MiB; lock_reason is empty unless locked.

    contact: the mail address on file for word that must reach the owner though they cannot sign in; may be empty.
    """

    uid: str
    display_name: str
    mail: str
    locked: bool = False
    lock_reason: str = ""
    enabled: bool = True
    privileged: bool = False
    groups: tuple[str, ...] = ()
    quota_mb: int = 10_240
    quota_used_mb: int = 0
    contact: str = ""


@dataclass(frozen=True)
class Group:
    """One group. self_service: may be asked for by ticket. privileged: never by a runbook.

    owners: uids of the accounts one of which must say yes to each new member, where the group is not self-service.
    """

    name: str
    title: str
    self_service: bool = False
    privileged: bool = False
    owners: tuple[str, ...] = ()

    @property
    def askable(self) -> bool:
        """Whether a ticket may ask for it at all: by itself, or with an owner's yes."""
        return not self.privileged and (self.self_service or bool(self.owners))


@dataclass(frozen=True)
class Policy:
    """What the directory does by itself after accepting a change; a client only notices by looking again.

    quota_cap (account, value MiB): a larger quota is set to this one. locks_again (account): a device keeps
    signing in with an old password. membership_rule (group): members come from a rule, others are removed.
    """

    kind: Literal["quota_cap", "locks_again", "membership_rule"]
    subject: str
    value: int = 0


class Effect(NamedTuple):
    """One line of the ledger: which run changed what of which account, from and to, when (ISO 8601, UTC).

    run_id is empty for what a policy did.
    """

    run_id: str
    what: str
    account: str
    before: str
    after: str
    at: str


class Directory(Protocol):
    """What runbooks and parameter checks may do with any directory. Unknown accounts raise TargetError."""

    def account(self, uid: str) -> Account | None:
        """Return the account of exactly this uid, or None."""

    def known(self, uid: str) -> Account:
        """Return the account of exactly this uid; TargetError when there is none."""

    def find(self, names: Collection[str]) -> dict[str, tuple[Account, ...]]:
        """Return for each name that means somebody (by uid, mail or display name) the accounts it means."""

    def groups(self) -> tuple[Group, ...]:
        """Return all groups by name."""

    def unlock(self, uid: str, *, run_id: str) -> None:
        """Unlock the account."""

    def lock(self, uid: str, *, reason: str, run_id: str) -> None:
        """Lock the account with a reason."""

    def add_to_group(self, uid: str, group: str, *, run_id: str) -> None:
        """Make the account a member."""

    def remove_from_group(self, uid: str, group: str, *, run_id: str) -> None:
        """End the membership."""

    def set_quota(self, uid: str, quota_mb: int, *, run_id: str) -> None:
        """Set the mailbox quota, MiB."""

    def restore_quota(self, uid: str, quota_mb: int, *, run_id: str) -> None:
        """Set the mailbox quota back to what it was, MiB."""

    def set_password(self, uid: str, password: str, *, run_id: str) -> None:
        """Set the password, and change nothing else; PasswordRefused where the directory's own rules forbid it.

        TargetError for accounts that are privileged, disabled, or locked for another reason than failed sign-ins: with
        a new password some servers take off whatever lock there is.
        """
