"""The journal only grows and tells runs apart."""

import sqlite3
from pathlib import Path

import pytest

from runbooks.targets.journal import Journal, create
from runbooks.targets.sqlite import TargetError


def test_entries_are_kept_in_order_and_by_run(journal: Journal) -> None:
    for run_id, what in (("a", "one"), ("b", "two"), ("a", "three")):
        journal.append(run_id, what, "x")
    assert [entry.what for entry in journal.entries()] == ["one", "two", "three"]
    assert [entry.what for entry in journal.entries("a")] == ["one", "three"]
    assert journal.entries("c") == ()


def test_entries_can_be_neither_changed_nor_removed(journal: Journal, journal_path: Path) -> None:
    journal.append("a", "one", "")
    raw = sqlite3.connect(journal_path)
    for statement in ("DELETE FROM entries", "UPDATE entries SET what = 'other'"):
        with pytest.raises(sqlite3.IntegrityError, match="only grows"):
            raw.execute(statement)
    raw.close()
    assert [entry.what for entry in journal.entries()] == ["one"]


def test_a_journal_that_refuses_changes_stays_as_it_is(journal: Journal) -> None:
    journal.allow_changes(False)
    with pytest.raises(TargetError, match="readonly"):
        journal.append("a", "one", "")
    assert journal.entries() == ()


def test_a_journal_is_never_made_twice_nor_by_opening(journal_path: Path, tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="exists already"):
        create(journal_path)
    with pytest.raises(TargetError, match="there is no file"):
        Journal(tmp_path / "missing.sqlite")
    assert not (tmp_path / "missing.sqlite").exists()
