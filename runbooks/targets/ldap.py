"""A directory behind an LDAP server: OpenLDAP, Active Directory and what speaks like them.

Each change is one modify of one entry that the server makes whole or not at all, and only from the state that was
read. There is no ledger beside it: no server writes an entry and a line elsewhere in one step. The witness is the
server's own log, to which every change names its run.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Literal

from runbooks.targets.accounts import LOCKED_BY_FAILED_LOGINS, LOCKED_FOR_SECURITY, Account, Group
from runbooks.targets.ldap_connection import Change, Conflict, Connection, Entry
from runbooks.targets.ldap_groups import LdapGroups
from runbooks.targets.ldap_locks import locks_of
from runbooks.targets.ldap_names import Listed, NameBook
from runbooks.targets.ldap_passwords import contact_of, set_password
from runbooks.targets.ldap_settings import LdapSettings
from runbooks.targets.ldap_terms import ASSERTION, any_of, parts
from runbooks.targets.sqlite import TargetError

MOST_MEANT = 200
"""Accounts that the names of one text may mean; more are for a person."""


class LdapDirectory:
    """Client of one server, signed in when it is made; see `accounts.Directory` for what it can do."""

    def __init__(self, settings: LdapSettings, *, names: NameBook | None = None) -> None:
        self._settings = settings
        self._connection = Connection(settings, settings.bind_password.get_secret_value())
        self._names = names or NameBook()
        self._locks = locks_of(settings)
        self._allowed = True
        self._before: dict[tuple[str, str], str] = {}
        try:
            self._groups = LdapGroups(settings, self._connection)
        except BaseException:
            self.close()
            raise

    def allow_changes(self, allowed: bool) -> None:
        """Send changes, or refuse every one (during checks)."""
        self._allowed = allowed

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def look(self) -> str:
        """Read what every run needs and say in words what there is; TargetError where something is amiss."""
        for base in (self._settings.accounts_base, self._settings.groups_base):
            if self._connection.entry(base, "(objectClass=*)", []) is None:
                raise TargetError(f"the directory has no {base!r}, which the settings name: mend them")
        named = [group for group in self.groups() if group.askable]
        guarded = "with" if self._connection.supports(ASSERTION) else "without"
        crypt = "TLS" if self._settings.encrypted else "no TLS (loopback)"
        return f"signed in, {crypt}, {len(named)} groups may be asked for, {guarded} assertions on changes"

    def account(self, uid: str) -> Account | None:
        """Return the account of exactly this uid; TargetError when several entries have it."""
        found = self._account_entry(uid)
        return None if found is None else self._accounts([found])[0]

    def known(self, uid: str) -> Account:
        """Return the account of exactly this uid; TargetError when there is none."""
        account = self.account(uid)
        if account is None:
            raise TargetError(f"the directory has no account {uid!r}")
        return account

    def find(self, names: Collection[str]) -> dict[str, tuple[Account, ...]]:
        """Return for each name that means somebody (by uid, mail or display name) the accounts it means.

        TargetError where the names mean more than MOST_MEANT accounts together.
        """
        meant = self._names.meant(names, read=self._everybody)
        uids = sorted({uid for found in meant.values() for uid in found})
        if len(uids) > MOST_MEANT:
            raise TargetError(f"the text could mean {len(uids)} accounts, and {MOST_MEANT} are the most to look up")
        accounts = {account.uid: account for account in self._accounts(self._entries_of(uids))}
        found = {name: tuple(accounts[uid] for uid in sorted(uids) if uid in accounts) for name, uids in meant.items()}
        return {name: means for name, means in found.items() if means}

    def groups(self) -> tuple[Group, ...]:
        """Return all groups by name, read once a client; a name that two groups share can't be asked for."""
        return self._groups.listed()

    def unlock(self, uid: str, *, run_id: str) -> None:
        """Unlock the account; nothing to do where it is not locked by failed sign-ins."""
        entry, account = self._changeable(uid)
        if account.lock_reason != LOCKED_BY_FAILED_LOGINS:
            return
        self._before[uid, "lock"] = self._locks.mark(entry)
        self._modify(entry, self._locks.taken_off(entry), run_id)

    def lock(self, uid: str, *, reason: str, run_id: str) -> None:
        """Lock the account as failed sign-ins do, with the very value that this client took off, if it did."""
        if reason != LOCKED_BY_FAILED_LOGINS:
            raise TargetError(f"{uid} can't be locked for the reason {reason!r}: only a person can do that")
        entry, account = self._changeable(uid)
        if not account.locked:
            self._modify(entry, self._locks.put_on(self._before.get((uid, "lock"), "")), run_id)

    def add_to_group(self, uid: str, group: str, *, run_id: str) -> None:
        """Make the account a member; nothing to do where it is one."""
        self._set_member(uid, group, "add", run_id)

    def remove_from_group(self, uid: str, group: str, *, run_id: str) -> None:
        """End the membership; nothing to do where there is none."""
        self._set_member(uid, group, "delete", run_id)

    def set_quota(self, uid: str, quota_mb: int, *, run_id: str) -> None:
        """Set the mailbox quota, MiB."""
        entry, _ = self._changeable(uid)
        # Of several changes by this client the first has seen what was there before.
        self._before.setdefault((uid, "quota"), entry.one(self._quota_attribute()))
        self._write_quota(entry, self._in_units(quota_mb), run_id)

    def restore_quota(self, uid: str, quota_mb: int, *, run_id: str) -> None:
        """Set the mailbox quota back to what it was, MiB: to the very value that this client found, or to none."""
        entry, _ = self._changeable(uid)
        former = self._before.get((uid, "quota"))
        same = former is not None and self._mib(former, self._settings.default_quota_mb) == quota_mb
        self._write_quota(entry, former if same and former is not None else self._in_units(quota_mb), run_id)

    def set_password(self, uid: str, password: str, *, run_id: str) -> None:
        """Set the password, and change nothing else; PasswordRefused where the server's own rules forbid it."""
        entry, account = self._changeable(uid)
        if not account.enabled or account.lock_reason not in ("", LOCKED_BY_FAILED_LOGINS):
            raise TargetError(f"{uid} is disabled or locked: no runbook sets its password")
        set_password(self._connection, entry.dn, password, flavour=self._settings.flavour, run_id=run_id)

    def _account_entry(self, uid: str) -> Entry | None:
        entries = self._entries_of([uid])
        if len(entries) > 1:
            raise TargetError(f"the directory has {len(entries)} accounts {uid!r}: no runbook can tell which is meant")
        return entries[0] if entries else None

    def _entries_of(self, uids: Sequence[str]) -> list[Entry]:
        """Servers match more than the same letters; exactly these uids are wanted, and an entry with one uid only."""
        settings = self._settings
        attributes = [settings.uid_attribute, settings.name_attribute, settings.mail_attribute, *self._locks.attributes]
        optional = (settings.quota_attribute, settings.quota_used_attribute, settings.contact_attribute)
        attributes += [name for name in optional if name]
        wanted, found = {uid for uid in uids if uid}, []
        for part in parts(sorted(wanted)):
            matching = f"(&{settings.account_filter}{any_of(settings.uid_attribute, part)})"
            found += self._connection.search(settings.accounts_base, matching, attributes)
        return [entry for entry in found if len(own := entry.all(settings.uid_attribute)) == 1 and own[0] in wanted]

    def _accounts(self, entries: Sequence[Entry]) -> list[Account]:
        settings = self._settings
        privileged = self._those_matching(entries, settings.privileged_filter)
        disabled = self._those_matching(entries, settings.disabled_filter)
        held = self._those_matching(entries, settings.held_filter)
        made = []
        for entry in entries:
            reason = LOCKED_FOR_SECURITY if entry.dn in held else self._locks.reason(entry)
            uid = entry.one(settings.uid_attribute)
            account = Account(
                uid=uid,
                display_name=entry.one(settings.name_attribute),
                mail=entry.one(settings.mail_attribute),
                locked=bool(reason),
                lock_reason=reason,
                enabled=entry.dn not in disabled,
                privileged=entry.dn in privileged or self._groups.reach_privilege(entry.dn, uid),
                groups=self._groups.of(entry.dn, uid),
                quota_mb=self._mib(entry.one(settings.quota_attribute), settings.default_quota_mb),
                quota_used_mb=self._mib(entry.one(settings.quota_used_attribute), 0),
                contact=contact_of(entry, settings),
            )
            made.append(account)
        return made

    def _those_matching(self, entries: Sequence[Entry], matching: str) -> frozenset[str]:
        """Ask the server which of the entries match: it alone knows its attributes' rules.

        What it cannot judge (an attribute that is misspelt, or hidden from us) matches neither a filter nor its
        opposite, and must not pass for "no".
        """
        found = set()
        for entry in entries if matching else ():
            if self._connection.entry(entry.dn, matching, []) is not None:
                found.add(entry.dn)
            elif self._connection.entry(entry.dn, f"(!{matching})", []) is None:
                raise TargetError(
                    f"the directory cannot judge {matching} of the settings: is every attribute of it known there, "
                    "and may the service account read it?"
                )
        return frozenset(found)

    def _everybody(self) -> Iterable[Listed]:
        settings = self._settings
        uid, mail, name = settings.uid_attribute, settings.mail_attribute, settings.name_attribute
        entries = self._connection.search(
            settings.accounts_base, settings.account_filter, [uid, mail, name], most=settings.most_accounts
        )
        for entry in entries:
            if len(entry.all(uid)) == 1:
                yield Listed(entry.one(uid), entry.all(mail), entry.all(name))

    def _changeable(self, uid: str) -> tuple[Entry, Account]:
        if not self._allowed:
            raise TargetError("the directory is readonly during checks")
        entry = self._account_entry(uid)
        if entry is None:
            raise TargetError(f"the directory has no account {uid!r}")
        account = self._accounts([entry])[0]
        if account.privileged:
            raise TargetError(f"{uid} is privileged: no runbook changes it")
        return entry, account

    def _modify(self, entry: Entry, changes: Sequence[Change], run_id: str) -> None:
        """Change an account, where the server can only as long as it is one that runbooks may touch."""
        settings = self._settings
        barred = (settings.privileged_filter, settings.disabled_filter, settings.held_filter)
        only_if = f"(&{settings.account_filter}{''.join(f'(!{bar})' for bar in barred if bar)})"
        self._connection.modify(entry.dn, changes, run_id=run_id, only_if=only_if)

    def _set_member(self, uid: str, name: str, what: Literal["add", "delete"], run_id: str) -> None:
        entry, account = self._changeable(uid)
        group = self._groups.changeable(name)
        if (name in account.groups) == (what == "add"):
            return
        change = Change(what, self._settings.member_attribute, self._groups.member(entry.dn, uid))
        try:
            self._connection.modify(group.dn, [change], run_id=run_id)
        except Conflict:
            # Somebody else did the same between our look and our change: then it is as it should be.
            if (name in self._groups.of(entry.dn, uid)) != (what == "add"):
                raise

    def _quota_attribute(self) -> str:
        if not self._settings.quota_attribute:
            raise TargetError("the target's settings name no quota_attribute: mailbox quotas can't be changed here")
        return self._settings.quota_attribute

    def _mib(self, value: str, without: int) -> int:
        if not value:
            return without
        if not value.isdecimal():
            raise TargetError(f"the directory has a quota of {value[:20]!r}, which is no whole number")
        return int(int(value) * self._settings.kib // 1024)

    def _in_units(self, quota_mb: int) -> str:
        if quota_mb < 1:
            raise TargetError(f"a quota of {quota_mb} MiB is not possible")
        return str(round(quota_mb * 1024 / self._settings.kib))

    def _write_quota(self, entry: Entry, value: str, run_id: str) -> None:
        """Old value out, new value in, in one step: it fails where the old one is another by then."""
        attribute = self._quota_attribute()
        old = entry.one(attribute)
        changes = [Change("delete", attribute, old)] if old else []
        changes += [Change("add", attribute, value)] if value else []
        if old != value:
            self._modify(entry, changes, run_id)
