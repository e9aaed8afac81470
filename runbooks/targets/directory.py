"""The directory in an SQLite file of its own, with an append-only ledger of every change.

The ledger is the outside witness: a change made twice stands there twice.
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from runbooks.names import handle_key, words_key
from runbooks.targets import sqlite
from runbooks.targets.accounts import (
    LOCKED_BY_FAILED_LOGINS,
    LOCKED_FOR_SECURITY,
    Account,
    Directory,
    Effect,
    Group,
    PasswordRefused,
    Policy,
)
from runbooks.targets.sqlite import TargetError

__all__ = [
    "LOCKED_BY_FAILED_LOGINS",
    "LOCKED_FOR_SECURITY",
    "Account",
    "Directory",
    "Effect",
    "Group",
    "PasswordRefused",
    "Policy",
    "SqliteDirectory",
    "TargetError",
    "create",
]

_SCHEMA = """
CREATE TABLE accounts (
    uid TEXT PRIMARY KEY, uid_key TEXT NOT NULL UNIQUE, display_name TEXT NOT NULL, name_key TEXT NOT NULL,
    mail TEXT NOT NULL, mail_key TEXT NOT NULL, locked INTEGER NOT NULL, lock_reason TEXT NOT NULL,
    enabled INTEGER NOT NULL, privileged INTEGER NOT NULL, quota_mb INTEGER NOT NULL, quota_used_mb INTEGER NOT NULL,
    contact TEXT NOT NULL, password TEXT NOT NULL DEFAULT ''
);
CREATE INDEX accounts_mail ON accounts (mail_key);
CREATE INDEX accounts_name ON accounts (name_key);
CREATE TABLE groups (
    name TEXT PRIMARY KEY, title TEXT NOT NULL, self_service INTEGER NOT NULL, privileged INTEGER NOT NULL,
    owners TEXT NOT NULL DEFAULT ''
);
CREATE TABLE memberships (
    uid TEXT NOT NULL REFERENCES accounts (uid), name TEXT NOT NULL REFERENCES groups (name), PRIMARY KEY (uid, name)
);
CREATE TABLE policies (kind TEXT NOT NULL, subject TEXT NOT NULL, value INTEGER NOT NULL, PRIMARY KEY (kind, subject));
CREATE TABLE effects (
    id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL, what TEXT NOT NULL, account TEXT NOT NULL,
    before TEXT NOT NULL, after TEXT NOT NULL, at TEXT NOT NULL
);
CREATE INDEX effects_run ON effects (run_id);
CREATE TRIGGER effects_keep BEFORE DELETE ON effects BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END;
CREATE TRIGGER effects_same BEFORE UPDATE ON effects BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END;
"""


def create(
    path: Path, accounts: Iterable[Account], *, groups: Iterable[Group] = (), policies: Iterable[Policy] = ()
) -> None:
    """Make a directory file; TargetError when it exists or the data contradict each other.

    A group that an account is in and that `groups` does not describe becomes one nobody can ask for.
    """
    everything = list(accounts), list(groups), list(policies)
    try:
        sqlite.create(Path(path), _SCHEMA, lambda connection: _fill(connection, *everything))
    except sqlite3.IntegrityError as error:
        raise TargetError(f"the accounts contradict each other: {error}") from error


def _fill(connection: sqlite3.Connection, accounts: list[Account], groups: list[Group], policies: list[Policy]) -> None:
    described = {group.name: group for group in groups}
    implied = {name: Group(name, name) for account in accounts for name in account.groups}
    connection.executemany(
        "INSERT INTO groups VALUES (?, ?, ?, ?, ?)",
        [(g.name, g.title, g.self_service, g.privileged, " ".join(g.owners)) for g in (implied | described).values()],
    )
    for a in accounts:
        keys = {"uid_key": handle_key(a.uid), "name_key": words_key(a.display_name), "mail_key": handle_key(a.mail)}
        connection.execute(
            "INSERT INTO accounts VALUES (:uid, :uid_key, :display_name, :name_key, :mail, :mail_key, "
            ":locked, :lock_reason, :enabled, :privileged, :quota_mb, :quota_used_mb, :contact, '')",
            {**asdict(a), "groups": None, **keys},
        )
        connection.executemany("INSERT INTO memberships VALUES (?, ?)", [(a.uid, name) for name in a.groups])
    connection.executemany("INSERT INTO policies VALUES (?, ?, ?)", [(p.kind, p.subject, p.value) for p in policies])


class SqliteDirectory:
    """Client of one directory file."""

    def __init__(self, path: Path) -> None:
        self._connection: sqlite3.Connection = sqlite.connect(Path(path))

    def allow_changes(self, allowed: bool) -> None:
        """Accept changes, or refuse every one (during checks)."""
        sqlite.allow_changes(self._connection, allowed)

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def look(self) -> str:
        """Say in words what there is."""
        (accounts,) = self._connection.execute("SELECT count(*) FROM accounts").fetchone()
        return f"a file with {accounts} accounts"

    def account(self, uid: str) -> Account | None:
        """Return the account of exactly this uid."""
        row = self._connection.execute("SELECT * FROM accounts WHERE uid = ?", (uid,)).fetchone()
        return None if row is None else self._account(row)

    def known(self, uid: str) -> Account:
        """Return the account of exactly this uid; TargetError when there is none."""
        account = self.account(uid)
        if account is None:
            raise TargetError(f"the directory has no account {uid!r}")
        return account

    def accounts(self) -> tuple[Account, ...]:
        """Return every account by uid."""
        rows = self._connection.execute("SELECT * FROM accounts ORDER BY uid").fetchall()
        return tuple(self._account(row) for row in rows)

    def find(self, names: Collection[str]) -> dict[str, tuple[Account, ...]]:
        """Return for each name that means somebody (by uid, mail or display name) the accounts it means."""
        # No uid or address has a space: most of what a text could mean need only be compared with names.
        handles = {name: "" if " " in (key := handle_key(name)) else key for name in names}
        spoken = {name: words_key(name) for name in names}
        hits: dict[str, dict[str, Account]] = {}
        for column, keys in (("uid_key", handles), ("mail_key", handles), ("name_key", spoken)):
            for key, account in self._rows_where(column, sorted({key for key in keys.values() if key})):
                hits.setdefault(f"{column}:{key}", {})[account.uid] = account
        found: dict[str, tuple[Account, ...]] = {}
        for name in names:
            means = (
                hits.get(f"uid_key:{handles[name]}", {})
                | hits.get(f"mail_key:{handles[name]}", {})
                | hits.get(f"name_key:{spoken[name]}", {})
            )
            if means:
                found[name] = tuple(means[uid] for uid in sorted(means))
        return found

    def _rows_where(self, column: str, keys: list[str]) -> Iterator[tuple[str, Account]]:
        for start in range(0, len(keys), 500):
            chunk = keys[start : start + 500]
            marks = ",".join("?" * len(chunk))
            # Nothing but our own column names and question marks is put into the statement.
            query = f"SELECT * FROM accounts WHERE {column} IN ({marks})"  # noqa: S608 - columns of ours, values are bound
            rows = self._connection.execute(query, chunk).fetchall()
            yield from ((row[column], self._account(row)) for row in rows)

    def _account(self, row: sqlite3.Row) -> Account:
        names = self._connection.execute("SELECT name FROM memberships WHERE uid = ? ORDER BY name", (row["uid"],))
        return Account(
            uid=row["uid"],
            display_name=row["display_name"],
            mail=row["mail"],
            locked=bool(row["locked"]),
            lock_reason=row["lock_reason"],
            enabled=bool(row["enabled"]),
            privileged=bool(row["privileged"]),
            groups=tuple(name for (name,) in names),
            quota_mb=row["quota_mb"],
            quota_used_mb=row["quota_used_mb"],
            contact=row["contact"],
        )

    def groups(self) -> tuple[Group, ...]:
        """Return all groups by name."""
        rows = self._connection.execute("SELECT * FROM groups ORDER BY name")
        return tuple(
            Group(r["name"], r["title"], bool(r["self_service"]), bool(r["privileged"]), tuple(r["owners"].split()))
            for r in rows
        )

    def unlock(self, uid: str, *, run_id: str) -> None:
        """Unlock the account."""
        with sqlite.writing(self._connection):
            before = self._set_lock(uid, False, "", "unlock", run_id)
            if before.locked and self._policy("locks_again", uid) is not None:
                self._set_lock(uid, True, before.lock_reason, "lock", "")

    def lock(self, uid: str, *, reason: str, run_id: str) -> None:
        """Lock the account with a reason."""
        with sqlite.writing(self._connection):
            self._set_lock(uid, True, reason, "lock", run_id)

    def add_to_group(self, uid: str, group: str, *, run_id: str) -> None:
        """Make the account a member."""
        with sqlite.writing(self._connection):
            self._set_member(uid, group, True, "add_to_group", run_id)
            if self._policy("membership_rule", group) is not None:
                self._set_member(uid, group, False, "remove_from_group", "")

    def remove_from_group(self, uid: str, group: str, *, run_id: str) -> None:
        """End the membership."""
        with sqlite.writing(self._connection):
            self._set_member(uid, group, False, "remove_from_group", run_id)

    def set_quota(self, uid: str, quota_mb: int, *, run_id: str) -> None:
        """Set the mailbox quota, MiB."""
        with sqlite.writing(self._connection):
            self._set_quota(uid, quota_mb, "set_quota", run_id)
            cap = self._policy("quota_cap", uid)
            if cap is not None and quota_mb > cap:
                self._set_quota(uid, cap, "set_quota", "")

    def restore_quota(self, uid: str, quota_mb: int, *, run_id: str) -> None:
        """Set the mailbox quota back to what it was, MiB."""
        with sqlite.writing(self._connection):
            self._set_quota(uid, quota_mb, "restore_quota", run_id)

    def set_password(self, uid: str, password: str, *, run_id: str) -> None:
        """Set the password, and change nothing else; PasswordRefused where it is short or the former one."""
        from runbooks.targets import passwords

        with sqlite.writing(self._connection):
            account = self.known(uid)
            if account.privileged or not account.enabled or account.lock_reason not in ("", LOCKED_BY_FAILED_LOGINS):
                raise TargetError(f"{uid} is privileged, disabled or locked: no runbook sets its password")
            if len(password) < passwords.SHORTEST:
                raise PasswordRefused(f"it has fewer than {passwords.SHORTEST} characters")
            if self.lets_in(uid, password):
                raise PasswordRefused("it is the account's present one")
            kept = passwords.stored(password)
            self._connection.execute("UPDATE accounts SET password = ? WHERE uid = ?", (kept, uid))
            self._record(run_id, "set_password", uid, "", "")

    def lets_in(self, uid: str, password: str) -> bool:
        """Say whether this is the account's password; False where none was ever set."""
        from runbooks.targets import passwords

        row = self._connection.execute("SELECT password FROM accounts WHERE uid = ?", (uid,)).fetchone()
        return row is not None and passwords.matches(password, row["password"])

    def effects(self, run_id: str | None = None) -> tuple[Effect, ...]:
        """Return the ledger of one run, or all of it, oldest first."""
        query = "SELECT run_id, what, account, before, after, at FROM effects"
        if run_id is None:
            rows = self._connection.execute(f"{query} ORDER BY id")
        else:
            rows = self._connection.execute(f"{query} WHERE run_id = ? ORDER BY id", (run_id,))
        return tuple(Effect(*row) for row in rows)

    def repeated(self) -> tuple[tuple[str, str, str, int], ...]:
        """Return (run_id, what, account, times) for every change that one run made more than once."""
        rows = self._connection.execute(
            "SELECT run_id, what, account, count(*) FROM effects WHERE run_id != '' "
            "GROUP BY run_id, what, account HAVING count(*) > 1 ORDER BY run_id"
        )
        return tuple((row[0], row[1], row[2], row[3]) for row in rows)

    def _policy(self, kind: str, subject: str) -> int | None:
        row = self._connection.execute(
            "SELECT value FROM policies WHERE kind = ? AND subject = ?", (kind, subject)
        ).fetchone()
        return None if row is None else int(row[0])

    def _set_lock(self, uid: str, locked: bool, reason: str, what: str, run_id: str) -> Account:
        before = self.known(uid)
        self._connection.execute("UPDATE accounts SET locked = ?, lock_reason = ? WHERE uid = ?", (locked, reason, uid))
        self._record(run_id, what, uid, before.lock_reason if before.locked else "unlocked", reason or "unlocked")
        return before

    def _set_member(self, uid: str, group: str, member: bool, what: str, run_id: str) -> None:
        before = self.known(uid)
        if group not in {known.name for known in self.groups()}:
            raise TargetError(f"the directory has no group {group!r}")
        change = "INSERT OR IGNORE INTO memberships VALUES (?, ?)"
        if not member:
            change = "DELETE FROM memberships WHERE uid = ? AND name = ?"
        self._connection.execute(change, (uid, group))
        self._record(run_id, what, uid, f"{group}: {group in before.groups}", f"{group}: {member}")

    def _set_quota(self, uid: str, quota_mb: int, what: str, run_id: str) -> None:
        before = self.known(uid)
        if quota_mb < 1:
            raise TargetError(f"a quota of {quota_mb} MiB is not possible")
        self._connection.execute("UPDATE accounts SET quota_mb = ? WHERE uid = ?", (quota_mb, uid))
        self._record(run_id, what, uid, str(before.quota_mb), str(quota_mb))

    def _record(self, run_id: str, what: str, uid: str, before: str, after: str) -> None:
        # Also where nothing differed: the ledger shows what was done, not what it amounted to.
        self._connection.execute(
            "INSERT INTO effects (run_id, what, account, before, after, at) VALUES (?, ?, ?, ?, ?, ?)",
            (run_id, what, uid, before, after, datetime.now(UTC).isoformat()),
        )
