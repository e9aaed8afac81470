"""A runbook's folder, read strictly: what is wrong is told with file, field and mend; texts never become code."""

import uuid
from pathlib import Path

import pytest

from runbooks import definition
from runbooks.base import Runbook
from runbooks.definition import DefinitionError
from runbooks.registry import RUNBOOKS
from runbooks.runners import RUNNERS
from runbooks.source import SourceError
from runbooks.targets.journal import Journal
from tests.runbooks import folders


def execute(runbook: Runbook, journal_path: Path, note: str = "hello", run_id: str = "") -> tuple[str, str]:
    outcome = RUNNERS[runbook.runner](
        runbook, parameters={"note": note}, target={"path": str(journal_path)}, run_id=run_id or str(uuid.uuid4())
    )
    return outcome.status, outcome.message


def problems(folder: Path) -> str:
    with pytest.raises(DefinitionError) as caught:
        definition.read(folder)
    return str(caught.value)


def test_a_folder_outside_the_package_is_read_and_run(tmp_path: Path, journal: Journal, journal_path: Path) -> None:
    runbook = definition.read(folders.write(tmp_path / "it's $(here); {x}"))
    assert (runbook.key, runbook.parameters[0].fields, runbook.tier) == ("stamp", ("note",), "low")
    assert execute(runbook, journal_path)[0] == "succeeded"
    assert execute(runbook, journal_path, "no") == ("refused", "the note says no")
    assert [(entry.what, entry.detail) for entry in journal.entries()] == [("stamped", "hello")]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("tier =", "teir ="), "runbook.toml: teir: there is no such key: did you mean tier?"),
        (('tier = "low"', 'tier = "harmless"'), "tier: Input should be 'low', 'medium', 'high' or 'irreversible'"),
        (('owner = "tests"\n', ""), "owner: is missing: add it"),
        (("reversible = true", 'reversible = "yes"'), "and it is 'yes': write true or false, without quotes"),
        (("reversible = true", "reversible = false"), "belong together"),
        (('["KB0042"]', '"KB0042"'), "article_keys: Input should be a valid tuple, and it is 'KB0042': write a list"),
        (('assurance = "none"', 'assurance = "none"\ntime_limit = "9"'), "time_limit: Input should be a valid integer"),
        (('key = "stamp"', 'key = "stomp"'), "key: 'stomp' must be the folder's name, 'stamp': rename one of them"),
        (('"python"', '"perl"'), "runner: there is no runner 'perl': write one of"),
        (('"journal"', '"moon"'), "target_kind: there is no target 'moon': write one of"),
        (('fields = ["note"]', 'fields = ["note"]\npattern = "(["'), "parameters[0] ('note').pattern: not a regular"),
        (('fields = ["note"]', 'fields = ["note"]\ncolour = 1'), "parameters[0] ('note').colour: there is no such key"),
        (('kind = "text"', 'kind = "choice"'), "parameters[0] ('note'): choices belong to the kind 'choice'"),
        (("[[parameters]]", "[limits]\nruns = 3\n[[parameters]]"), "limits.runs: there is no such key: take it out"),
        (("[[parameters]]", "[python]\npath = 3\n[[parameters]]"), "python: the runner python takes no settings"),
        (("[[parameters]]", 'folder = "/etc"\n[[parameters]]'), "folder: there is no such key: take it out"),
        (("[[parameters]]", "[settings]\na = 1\n[[parameters]]"), "settings: there is no such key: take it out"),
        (('title = "Write', "title = Write"), "runbook.toml: this is no TOML: Invalid value (at line 3, column 9)"),
        (("[[parameters]]", f"x = {'[' * 5000}\n[[parameters]]"), "this is no TOML: it is nested too deep"),
        (("[[parameters]]", f"x = {'9' * 5000}\n[[parameters]]"), "this is no TOML: Exceeds the limit"),
        (('owner = "tests"', f'owner = "{"x" * 300_000}"'), "larger than 256 KiB"),
    ],
)
def test_whatever_is_wrong_is_told_with_file_field_and_mend(tmp_path: Path, change: tuple[str, str], told: str) -> None:
    assert change[0] in folders.DEFINITION
    folder = folders.write(tmp_path)
    (folder / "runbook.toml").write_text(folders.DEFINITION.replace(*change, 1), encoding="utf-8")
    said = problems(folder)
    assert told in said
    assert str(folder / "runbook.toml") in said


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    text = folders.DEFINITION.replace('"low"', '"x"').replace('"journal"', '"moon"').replace('"none"', "7")
    said = problems(folders.write(tmp_path, definition=text))
    assert all(f"runbook.toml: {field}: " in said for field in ("tier", "target_kind", "assurance"))


def test_files_that_are_missing_or_unreadable_are_named(tmp_path: Path) -> None:
    folder = folders.write(tmp_path)
    (folder / "runbook.toml").write_bytes(b'key = "\xff"')
    assert "runbook.toml: byte 7 is no UTF-8: save the file as UTF-8" in problems(folder)
    (folder / "runbook.toml").unlink()
    assert "runbook.toml: no such file" in problems(folder)
    other = folders.write(tmp_path, "other")
    (other / "steps.py").unlink()
    assert f"{other / 'steps.py'}: no such file; a Python runbook's folder needs a steps.py" in problems(other)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("def undo(", "def restore("), "steps.py: define undo(context)"),
        (("def action(context:", "def action(force, context:"), "action takes exactly one argument, the context"),
        (("def action(context: Context[Journal])", "def action(a, /, b)"), "action takes exactly one argument"),
        (("def undo(", "def pre_check("), "pre_check is defined twice"),
        (("def undo(", "def undo undo("), "steps.py:"),
        (("stamped", "stamped\0"), "no Python source"),
    ],
)
def test_steps_that_cannot_be_used_are_told_with_their_place(
    tmp_path: Path, change: tuple[str, str], told: str
) -> None:
    assert change[0] in folders.STEPS
    folder = folders.write(tmp_path, steps=folders.STEPS.replace(*change, 1))
    said = problems(folder)
    assert told in said
    assert str(folder / "steps.py") in said


def test_links_and_pipes_are_refused_and_not_waited_for(tmp_path: Path) -> None:
    import os

    secret = tmp_path / "secret"
    secret.write_text("x")
    for make, told in (
        (lambda path: path.symlink_to(secret), "is a link"),
        (os.mkfifo, "is no plain file"),
    ):
        folder = folders.write(tmp_path / uuid.uuid4().hex)
        make(folder / "data.txt")
        assert f"{folder / 'data.txt'}: {told}" in problems(folder)
    folder = folders.write(tmp_path / "linked")
    (folder / "steps.py").rename(tmp_path / "steps.py")
    (folder / "steps.py").symlink_to(tmp_path / "steps.py")
    assert "is a link, and what it points to may change unseen" in problems(folder)


def test_a_folder_too_large_to_be_a_runbook_is_refused(tmp_path: Path) -> None:
    folder = folders.write(tmp_path)
    for number in range(201):
        (folder / f"{number}.txt").touch()
    assert "more than 200 files or 8 MiB" in problems(folder)


@pytest.mark.parametrize("name", ["steps.py", "data/table.csv"])
def test_a_file_that_changed_after_the_runbook_was_read_is_refused_and_not_run(
    tmp_path: Path, journal: Journal, journal_path: Path, name: str
) -> None:
    folder = folders.write(tmp_path)
    (folder / "data").mkdir()
    (folder / "data" / "table.csv").write_text("a,b\n")
    runbook = definition.read(folder)
    assert execute(runbook, journal_path)[0] == "succeeded"
    with (folder / name).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    status, message = execute(runbook, journal_path)
    assert status == "failed"
    assert f"{folder / name} was changed after it was loaded" in message
    (folder / name).unlink()
    assert "was changed after it was loaded" in execute(runbook, journal_path)[1]
    (folder / name).symlink_to("/etc/passwd")
    assert "is a link" in execute(runbook, journal_path)[1]
    assert len(journal.entries()) == 1


def test_every_file_of_the_folder_moves_both_digests_but_what_is_never_run_does_not(tmp_path: Path) -> None:
    def digests(name: str = "", text: str = "") -> tuple[str, str]:
        folder = folders.write(tmp_path / uuid.uuid4().hex)
        if name:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)
        runbook = definition.read(folder)
        return runbook.selection_digest, runbook.action_digest

    plain, table = digests(), digests("table.csv", "a")
    assert digests() == plain
    assert table[0] != plain[0]
    assert table[1] != plain[1]
    assert digests("table.csv", "b") not in (plain, table)
    assert digests("deep/er.csv", "a") not in (plain, table)
    for name in ("README.md", ".steps.py.swp", "steps.py~", "__pycache__/steps.pyc"):
        assert digests(name, "x") == plain


def test_texts_of_a_definition_never_become_code(tmp_path: Path, journal: Journal, journal_path: Path) -> None:
    witness = tmp_path / "witness"
    code = f"__import__('pathlib').Path({str(witness)!r}).touch()"
    nasty = [
        f"{{{{ lookup('pipe', 'touch {witness}') }}}}",
        f"$(touch {witness})",
        f"'; touch {witness}; '",
        "{0.__class__}",
    ]
    nasty += [code, f'"""\n{code}\n"""', "%s%n", "\\N{BULLET} `x`"]
    for number, text in enumerate(nasty):
        quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        described = folders.DEFINITION
        for was in ("Write one line into the journal", "tests", "KB0042", "the note"):
            described = described.replace(f'"{was}"', f'"{quoted}"')
        runbook = definition.read(folders.write(tmp_path / "nasty", f"n{number}", definition=described))
        assert (runbook.title, runbook.owner, runbook.article_keys) == (text, text, (text,))
        assert execute(runbook, journal_path, text[:100])[0] == "succeeded" or "\n" in text
    assert not witness.exists()
    assert journal.entries()


def test_reading_a_folder_runs_nothing_of_it_and_steps_see_no_neighbour(tmp_path: Path, journal_path: Path) -> None:
    witness = tmp_path / "witness"
    steps = f"open({str(witness)!r}, 'w').close()\n{folders.STEPS}"
    folder = folders.write(tmp_path, steps=steps)
    runbook = definition.read(folder)
    assert runbook.action_digest
    assert not witness.exists()
    neighbour = folders.write(tmp_path, "other", steps=f"import neighbour\n{folders.STEPS}")
    (neighbour / "neighbour.py").write_text("")
    status, message = execute(definition.read(neighbour), journal_path)
    assert (status, "No module named 'neighbour'" in message) == ("failed", True)


def test_a_shipped_runbook_is_read_by_the_same_rules() -> None:
    for runbook in RUNBOOKS.values():
        assert definition.read(runbook.folder) == runbook


def test_a_key_longer_than_the_database_takes_is_refused(tmp_path: Path) -> None:
    assert "key: String should match pattern" in problems(folders.write(tmp_path, "k" * 61))
    assert definition.read(folders.write(tmp_path, "k" * 60)).key == "k" * 60


def test_steps_vanished_before_they_were_read_are_an_error_of_the_source(tmp_path: Path) -> None:
    runbook = RUNBOOKS["record_only"].model_copy(update={"folder": tmp_path / "gone"})
    with pytest.raises(SourceError, match="gone"):
        _ = runbook.steps
