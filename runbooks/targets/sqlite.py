"""Opens a target's own SQLite file so that several processes may use it and a crash loses nothing."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

BUSY_SECONDS = 10.0


class TargetError(Exception):
    """The target cannot be used or refused the change; the message says what and how to mend it."""


def create(path: Path, schema: str, fill: Callable[[sqlite3.Connection], None] | None = None) -> None:
    """Make the file with its tables and first rows; TargetError when there is one already.

    The file appears whole or not at all.
    """
    import tempfile  # a third of the loading time of this module, which every run pays for

    if path.exists():
        raise TargetError(f"{path} exists already: open it, or choose another place")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
        made = Path(folder) / path.name
        connection = sqlite3.connect(made, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(schema)
            if fill is not None:
                with writing(connection):
                    fill(connection)
        finally:
            connection.close()
        made.rename(path)


def connect(path: Path) -> sqlite3.Connection:
    """Open an existing file; TargetError when it is missing or is no such database."""
    if not path.is_file():
        raise TargetError(f"there is no file {path}: create the target first")
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS, isolation_level=None
        )
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
    except sqlite3.Error as error:
        raise TargetError(f"{path} cannot be opened: {error}") from error
    connection.row_factory = sqlite3.Row
    return connection


def allow_changes(connection: sqlite3.Connection, allowed: bool) -> None:
    """Let the connection write, or make the database itself refuse every write."""
    connection.execute(f"PRAGMA query_only={'OFF' if allowed else 'ON'}")


@contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[None]:
    """One durable transaction, taken at once so that reads in it cannot grow stale."""
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        raise TargetError(f"the target accepts no change now: {error}") from error
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
