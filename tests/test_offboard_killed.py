"""An offboarding that is killed at any line is gone on with by the same command, and ends as if nothing had been."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from triage.embedded import Endpoints

ROOT = Path(__file__).parent.parent


def test_killed_at_eleven_places_it_ends_whole_and_the_other_customer_is_the_same(
    lake_server: Endpoints, tmp_path: Path, home: Path
) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    env = {**os.environ, **lake_server.environment(), "TRIAGE_HOME": str(home), "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        [sys.executable, "-m", "tests.killed_offboarding", str(folder)],
        env=env, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout.splitlines()[-1])
    assert len(told["ended"]) == 11
    assert set(told["ended"].values()) == {signal.SIGKILL}, told["ended"]
    assert told["same"]
    assert (told["customers"], told["jobs"]) == (["staying"], 0)
    assert (told["tickets"], told["shared"]) == (4, 2)
    assert told["named"]
    assert told["left"] == ["after", "before", "going.zip"]
