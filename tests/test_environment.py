"""A bad setting stops the start and says how to mend it; keys are one for each purpose."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from triage import keys
from triage.environment import Environment


def start(home: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    env = {"PATH": os.environ["PATH"], "TRIAGE_HOME": str(home), **variables}
    return subprocess.run(
        [sys.executable, "-m", "triage", "reconcile", "--once"], env=env, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("variable", "value", "mend"),
    [
        ("TRIAGE_WEB_THREADS", "many", "a whole number from 1 to 64"),
        ("TRIAGE_LOG_LEVEL", "LOUD", "DEBUG, INFO, WARNING or ERROR"),
        ("TRIAGE_LAKE_BUCKET", "No Bucket", "an S3 bucket name"),
        ("TRIAGE_INSTALLATION_KEY", "secret", "openssl rand -hex 32"),
    ],
)
def test_a_bad_value_names_the_variable_and_the_mend(home: Path, variable: str, value: str, mend: str) -> None:
    ended = start(home, **{variable: value})
    assert ended.returncode == 2
    assert variable in ended.stderr
    assert mend in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_installation_key_is_made_once_for_its_owner_only(home: Path) -> None:
    start(home)
    file = home / "installation.key"
    first = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    start(home)
    assert file.read_text() == first


def test_keys_differ_by_purpose_and_repeat() -> None:
    assert keys.derive("models") == keys.derive("models")
    assert keys.derive("models") != keys.derive("draws")
    assert len(keys.derive("models")) == 32


def test_what_was_encrypted_opens_again_and_what_was_altered_does_not() -> None:
    token = keys.encrypt("päss")
    assert keys.decrypt(token) == "päss"
    with pytest.raises(ValueError, match="installation's key"):
        keys.decrypt(token[:-4] + "AAAA")


def test_the_example_names_every_setting() -> None:
    lines = (Path(__file__).parent.parent / ".env.example").read_text(encoding="utf-8").splitlines()
    named = {line.split("=")[0] for line in lines if line and not line.startswith("#")}
    assert named == {f"TRIAGE_{name.upper()}" for name in Environment.model_fields}
