"""A tenth of the full fault run: workers, broker, lake and supervisor are killed while tickets arrive."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_nothing_is_lost_or_doubled_when_every_kind_of_process_is_killed(tmp_path: Path) -> None:
    report = tmp_path / "faults.json"
    ended = subprocess.run(
        [sys.executable, "-m", "tests.faults.workers", "--quick", "--tickets", "60", "--kills", "2",
         "--json", str(report)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=400,
    )  # fmt: skip
    assert report.exists(), ended.stderr[-3000:]
    found = json.loads(report.read_text())
    assert (found["tickets"], found["decided"], found["lost"], found["double_effects"]) == (60, 60, 0, 0), found
    assert found["kills"] >= 2, found
    assert sorted(found["others_killed"]) == ["broker", "lake", "supervisor"], found
    assert found["effects"] > 0, "a run without effects proves nothing"
