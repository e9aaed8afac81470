"""A tenth of the full fault run of the runbooks: workers die at every named point, messages double, a database returns."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_effect_comes_twice_and_no_unknown_outcome_is_with_nobody(tmp_path: Path) -> None:
    report = tmp_path / "faults.json"
    ended = subprocess.run(
        [sys.executable, "-m", "tests.faults.runbooks", "--runs", "200", "--json", str(report)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=580,
    )  # fmt: skip
    assert report.exists(), ended.stderr[-3000:]
    found = json.loads(report.read_text())
    assert (found["runs"], found["double_effects"], found["unresolved"], found["orphans"]) == (200, 0, 0, 0), found
    assert found["unknown_to_person"] == 1.0, found
    assert found["crash_points"] >= 12, found
    assert (found["crashes"]["said_done_and_was_not"], found["crashes"]["was_done_and_nobody_asks"]) == (0, 0), found
    assert found["crashes"]["statuses"]["succeeded"] > 50, "a run without effects proves nothing"
    assert found["restore"]["noticed"]["held"] > 0, found
    assert found["restore"]["unnoticed"]["effects_of_the_new_life"] == 0, found
    endings = found["endings"]
    assert endings["ended_in_time"] == endings["endings"], found
    assert endings["largest_output"] <= endings["output_limit"], found
