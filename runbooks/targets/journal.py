"""An append-only journal: the target of the harmless runbook that only writes down what it would have done."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from runbooks.targets import sqlite

_SCHEMA = """
CREATE TABLE entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL, what TEXT NOT NULL,
    detail TEXT NOT NULL, at TEXT NOT NULL
);
CREATE INDEX entries_run ON entries (run_id);
CREATE TRIGGER entries_keep BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'the journal only grows'); END;
CREATE TRIGGER entries_same BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'the journal only grows'); END;
"""


class Entry(NamedTuple):
    """One line of the journal; `at` is ISO 8601 in UTC."""

    run_id: str
    what: str
    detail: str
    at: str


def create(path: Path) -> None:
    """Make an empty journal; TargetError when the file exists."""
    sqlite.create(path, _SCHEMA)


class Journal:
    """Client of one journal file."""

    def __init__(self, path: Path) -> None:
        self._connection: sqlite3.Connection = sqlite.connect(Path(path))

    def allow_changes(self, allowed: bool) -> None:
        """Accept changes, or refuse every one (during checks)."""
        sqlite.allow_changes(self._connection, allowed)

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def append(self, run_id: str, what: str, detail: str) -> None:
        """Add one entry, durably."""
        at = datetime.now(UTC).isoformat()
        with sqlite.writing(self._connection):
            self._connection.execute(
                "INSERT INTO entries (run_id, what, detail, at) VALUES (?, ?, ?, ?)", (run_id, what, detail, at)
            )

    def entries(self, run_id: str | None = None) -> tuple[Entry, ...]:
        """Return the entries of one run, or all, oldest first."""
        query = "SELECT run_id, what, detail, at FROM entries"
        if run_id is None:
            rows = self._connection.execute(f"{query} ORDER BY id")
        else:
            rows = self._connection.execute(f"{query} WHERE run_id = ? ORDER BY id", (run_id,))
        return tuple(Entry(*row) for row in rows)
