"""The directory as outside witness: what it finds, what it refuses, and that its ledger only grows."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from runbooks.targets import connect
from runbooks.targets.directory import Account, Policy, SqliteDirectory, create
from runbooks.targets.sqlite import TargetError

ROOT = Path(__file__).parents[2]


def uids(directory: SqliteDirectory, *names: str) -> dict[str, list[str]]:
    return {name: [account.uid for account in found] for name, found in directory.find(names).items()}


def test_accounts_are_found_by_uid_mail_and_name_in_any_case_and_width(directory: SqliteDirectory) -> None:
    assert uids(
        directory,
        "J.SMITH",
        "Jane.Smith@corp.example",
        "jane smith",
        "MÜLLER-MUSTER max",
        "max müller muster",
        "nobody",
    ) == {
        "J.SMITH": ["j.smith"],
        "Jane.Smith@corp.example": ["j.smith"],
        "jane smith": ["j.smith", "jsmith2"],
        "max müller muster": ["m.muster"],
    }
    assert uids(directory, "ｂｊｏｎｅｓ", "山田太郎", "山田 太郎") == {
        "ｂｊｏｎｅｓ": ["bjones"],
        "山田太郎": ["t.yamada"],
        "山田 太郎": ["t.yamada"],
    }


def test_many_names_are_found_at_once(directory: SqliteDirectory) -> None:
    names = [f"word{number}" for number in range(3000)] + [
        "bjones",
        "'; DROP TABLE accounts; --",
        "%",
        "",
        "\ud800",
        "\x00",
    ]
    assert uids(directory, *names) == {"bjones": ["bjones"]}


def test_a_change_made_twice_stands_twice_in_the_ledger(directory: SqliteDirectory) -> None:
    for _ in range(2):
        directory.unlock("j.smith", run_id="r1")
    directory.unlock("m.muster", run_id="r1")
    directory.unlock("m.muster", run_id="r2")
    assert [effect[:5] for effect in directory.effects("r1")] == [
        ("r1", "unlock", "j.smith", "failed_logins", "unlocked"),
        ("r1", "unlock", "j.smith", "unlocked", "unlocked"),
        ("r1", "unlock", "m.muster", "failed_logins", "unlocked"),
    ]
    assert directory.repeated() == (("r1", "unlock", "j.smith", 2),)


def test_what_a_policy_does_stands_in_the_ledger_without_a_run(directory: SqliteDirectory) -> None:
    directory.set_quota("c.apped", 51_200, run_id="r1")
    assert [(e.run_id, e.before, e.after) for e in directory.effects()] == [
        ("r1", "10240", "51200"),
        ("", "51200", "20480"),
    ]
    assert directory.repeated() == ()


def test_the_ledger_can_be_neither_changed_nor_shortened(directory: SqliteDirectory, directory_path: Path) -> None:
    directory.unlock("j.smith", run_id="r1")
    with sqlite3.connect(directory_path) as raw:
        for statement in ("DELETE FROM effects", "UPDATE effects SET run_id = 'other'"):
            with pytest.raises(sqlite3.IntegrityError, match="only grows"):
                raw.execute(statement)
    raw.close()
    assert len(directory.effects()) == 1


def test_during_checks_the_database_itself_refuses_changes(directory: SqliteDirectory) -> None:
    directory.allow_changes(False)
    with pytest.raises(TargetError, match="readonly"):
        directory.unlock("j.smith", run_id="r1")
    directory.allow_changes(True)
    directory.unlock("j.smith", run_id="r1")
    assert len(directory.effects()) == 1


def test_a_change_that_fails_leaves_nothing_behind(directory: SqliteDirectory) -> None:
    with pytest.raises(TargetError, match="no account 'no.body'"):
        directory.unlock("no.body", run_id="r1")
    with pytest.raises(TargetError, match="no group 'Nowhere'"):
        directory.add_to_group("bjones", "Nowhere", run_id="r1")
    with pytest.raises(TargetError, match="not possible"):
        directory.set_quota("bjones", 0, run_id="r1")
    directory.unlock("j.smith", run_id="r2")
    assert [effect.run_id for effect in directory.effects()] == ["r2"]


def test_several_processes_write_at_once_and_lose_nothing(directory: SqliteDirectory, directory_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from pathlib import Path; from runbooks.targets.directory import SqliteDirectory\n"
        "d = SqliteDirectory(Path(sys.argv[1]))\n"
        "for n in range(25): d.set_quota('bjones', 20000 + n, run_id=f'{sys.argv[2]}-{n}')"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(directory_path), str(n)]) for n in range(4)]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0, 0]
    effects = directory.effects()
    assert len({effect.run_id for effect in effects}) == len(effects) == 100
    chain = [effect.after for effect in effects]
    assert [effect.before for effect in effects] == ["10240", *chain[:-1]]


def test_what_cannot_be_used_is_said_with_how_to_mend_it(tmp_path: Path, directory_path: Path) -> None:
    with pytest.raises(TargetError, match="create the target first"):
        SqliteDirectory(tmp_path / "missing.sqlite")
    with pytest.raises(TargetError, match="exists already"):
        create(directory_path, [])
    with pytest.raises(TargetError, match="contradict"):
        create(tmp_path / "twice.sqlite", [Account("a.b", "A B", "a@b.c"), Account("A.B", "A B", "a2@b.c")])
    with pytest.raises(TargetError, match=r"no target kind 'ldap'; there is awx, directory, host"):
        connect("ldap", {})
    (tmp_path / "text").write_text("this is no database, however long the text may be" * 50, encoding="utf-8")
    with pytest.raises(TargetError, match="cannot be opened"):
        SqliteDirectory(tmp_path / "text")


def test_a_failed_creation_leaves_no_half_made_file(tmp_path: Path) -> None:
    path = tmp_path / "d.sqlite"
    with pytest.raises(TargetError):
        create(path, [Account("a.b", "A B", "a@b.c"), Account("a.b", "A B", "a2@b.c")])
    assert list(tmp_path.iterdir()) == []
    create(path, [Account("a.b", "A B", "a@b.c")], policies=[Policy("quota_cap", "a.b", 5)])
    opened = SqliteDirectory(path)
    assert [account.uid for account in opened.accounts()] == ["a.b"]
    opened.close()
