"""docs/runbooks.md keeps its word: its example is taken out, written down, checked and run."""

import os
import re
import subprocess
import sys
from pathlib import Path

from runbooks import checking, definition
from runbooks.outcome import Outcome
from runbooks.runners import RUNNERS
from runbooks.targets.directory import SqliteDirectory

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "runbooks.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """The first block of that language."""
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    return found[0]


def written(where: Path) -> Path:
    folder = where / "leave_group"
    folder.mkdir()
    (folder / "runbook.toml").write_text(block("toml"), encoding="utf-8")
    (folder / "steps.py").write_text(block("python"), encoding="utf-8")
    return folder


def test_the_example_has_no_fault_and_runs_to_every_end(
    tmp_path: Path, directory: SqliteDirectory, directory_path: Path
) -> None:
    folder = written(tmp_path)
    (checked,) = checking.folders([folder])
    assert (checked.errors, checked.warnings) == ((), ())
    runbook = definition.read(folder)

    def run(account: str, group: str, run_id: str) -> Outcome:
        return RUNNERS[runbook.runner](
            runbook,
            parameters={"account": account, "group": group},
            target={"path": str(directory_path)},
            run_id=run_id,
        )

    directory.add_to_group("bjones", "Finance-Readers", run_id="before")
    assert run("bjones", "Finance-Readers", "one").status == "succeeded"
    assert "Finance-Readers" not in directory.known("bjones").groups
    again = run("bjones", "Finance-Readers", "two")
    assert (again.status, again.message) == ("refused", "bjones is no member of Finance-Readers")
    assert run("bjones", "Payroll", "three").message == "Payroll can't be left by ticket"
    stubborn = (
        (folder / "steps.py")
        .read_text()
        .replace("    if member(context):\n        raise NotDone", "    if True:\n        raise NotDone")
    )
    other = tmp_path / "stubborn"
    other.mkdir()
    (other / "steps.py").write_text(stubborn)
    directory.add_to_group("bjones", "Finance-Readers", run_id="before")
    runbook = runbook.model_copy(update={"folder": other})
    assert run("bjones", "Finance-Readers", "four").status == "undone"
    assert "Finance-Readers" in directory.known("bjones").groups


def test_the_commands_of_the_document_take_the_example(tmp_path: Path) -> None:
    folder = written(tmp_path)
    for line in re.findall(r"^triage runbook (check|list).*$", TEXT, re.MULTILINE):
        argv = ["check", str(folder)] if line == "check" else ["list"]
        env = {"PATH": os.environ["PATH"], "TRIAGE_HOME": str(tmp_path / "home"), "TRIAGE_RUNBOOKS": str(tmp_path)}
        ended = subprocess.run(
            [sys.executable, "-m", "triage", "runbook", *argv], env=env, capture_output=True, text=True, check=False
        )
        assert (ended.returncode, "leave_group" in ended.stdout) == (0, True), ended.stderr


def test_the_definitions_comments_name_every_choice() -> None:
    from typing import get_args

    from runbooks.base import Assurance, ParameterKind, Tier

    for choices in (Assurance, ParameterKind, Tier):
        for choice in get_args(choices):
            assert re.search(rf"#.*\b{choice}\b", block("toml")), choice
