"""`triage runbook check` and `list`, and what the doctor says of operators' runbooks, from outside."""

import json
import os
import subprocess
import sys
from pathlib import Path

from runbooks import registry
from tests.runbooks import folders
from triage import doctor

ROOT = Path(__file__).parents[1]


def triage(home: Path, *arguments: str, runbooks: str = "") -> "subprocess.CompletedProcess[str]":
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TRIAGE_HOME": str(home / "home"),
        "TRIAGE_RUNBOOKS": runbooks,
    }
    return subprocess.run(
        [sys.executable, "-m", "triage", *arguments], env=env, capture_output=True, text=True, check=False, timeout=120
    )


def test_a_folder_is_checked_without_an_installation(home: Path, tmp_path: Path) -> None:
    good = folders.write(tmp_path)
    ended = triage(home, "runbook", "check", str(good), "--json", "-")
    assert ended.returncode == 0
    assert json.loads(ended.stdout) == {
        "runbooks": [{"key": "stamp", "folder": str(good), "errors": [], "warnings": []}]
    }
    assert "article keys were not compared: there is no database" in ended.stderr
    assert not (home / "home").exists()
    bad = folders.write(tmp_path, "bad", steps=folders.STEPS.replace("print", "eval") + "\neval('1')\n")
    ended = triage(home, "runbook", "check", str(good), str(bad))
    assert ended.returncode == 1
    assert f"ok   stamp ({good})" in ended.stdout
    assert "error: " in ended.stdout
    assert "eval makes text into code: write the code itself" in ended.stdout
    missing = triage(home, "runbook", "check", str(tmp_path / "nowhere"))
    assert (missing.returncode, "nowhere" in missing.stderr, "Traceback" in missing.stderr) == (2, True, False)


def test_check_without_folders_looks_at_all_and_compares_article_keys(home: Path, tmp_path: Path) -> None:
    folders.write(tmp_path)
    folders.write(tmp_path, "bad", definition="key = 1")
    env = {"PATH": os.environ["PATH"], "TRIAGE_HOME": str(home / "home")}
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=env, check=True)
    ended = triage(home, "runbook", "check", "--json", "-", runbooks=str(tmp_path))
    assert ended.returncode == 1
    found = {each["key"]: each for each in json.loads(ended.stdout)["runbooks"]}
    assert {"unlock_account", "stamp", "bad"} <= set(found)
    assert "key: Input should be a valid string, and it is 1: write a text in quotes" in found["bad"]["errors"][0]
    assert found["stamp"]["errors"] == []
    assert found["stamp"]["warnings"] == [
        f"{tmp_path / 'stamp' / 'runbook.toml'}: article_keys: there is no live article KB0042: add it, "
        "or take the key out"
    ]
    assert found["unlock_account"]["warnings"] == []
    nobody = triage(home, "runbook", "check", "--customer", "nobody", runbooks=str(tmp_path))
    assert (nobody.returncode, "there is no customer 'nobody'" in nobody.stderr) == (2, True)


def test_the_list_names_what_can_be_run_and_what_cannot(home: Path, tmp_path: Path) -> None:
    folders.write(tmp_path)
    folders.write(tmp_path, "bad", definition="key = 1")
    ended = triage(home, "runbook", "list", runbooks=str(tmp_path))
    assert ended.returncode == 0
    lines = {line.split()[0]: line for line in ended.stdout.splitlines()}
    assert str(tmp_path / "stamp") in lines["stamp"]
    assert "unavailable: " in lines["bad"]
    assert str(Path.cwd()) not in lines["unlock_account"]
    told = json.loads(triage(home, "runbook", "list", "--json", "-", runbooks=str(tmp_path)).stdout)
    assert {each["key"]: each["shipped"] for each in told["runbooks"]}["stamp"] is False
    assert [each["key"] for each in told["unavailable"]] == ["bad"]


def test_the_doctor_reports_an_unavailable_runbook_and_the_start_goes_on(home: Path, tmp_path: Path) -> None:
    folders.write(tmp_path)
    folders.write(tmp_path, "open").chmod(0o777)
    ended = triage(home, "doctor", "--json", "-", runbooks=str(tmp_path))
    assert ended.returncode == 1
    words = {each["part"]: each for each in json.loads(ended.stdout)["findings"]}["runbooks"]
    assert not words["good"]
    assert "open is unavailable: " in words["words"]
    assert "chmod go-w" in words["words"]
    assert "the runbook open is unavailable" in ended.stderr
    try:
        registry.use(str(tmp_path / "stamp"))
        assert doctor._runbooks().endswith("1 of your own")
    finally:
        registry.use("", packages=False)
