"""The published description holds: a few seconds of what `python -m tests.contracts.api` does for minutes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_api_does_what_its_description_says() -> None:
    argv = [sys.executable, "-m", "tests.contracts.api", "--only", "steward", "--seconds", "8"]
    ran = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
    assert "No issues found" in ran.stdout
    asked = re.search(r"(\d+) generated, (\d+) passed", ran.stdout)
    assert asked, ran.stdout
    assert int(asked[2]) > 20
