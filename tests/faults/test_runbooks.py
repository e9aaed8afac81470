"""A small part of the full fault run of the runbooks, which is `python -m tests.faults.runbooks --runs 2000`.

As many runs and payloads as fit into a minute of two cores: workers die at the named points, answers to launches are
lost, messages double, a database returns, families of processes do not want to end, and hostile values are given to
every runner.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
RUNS = 32


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_effect_comes_twice_and_no_unknown_outcome_is_with_nobody(tmp_path: Path) -> None:
    report = tmp_path / "faults.json"
    ended = subprocess.run(
        [sys.executable, "-m", "tests.faults.runbooks", "--runs", str(RUNS), "--json", str(report)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=580,
    )  # fmt: skip
    assert report.exists(), ended.stderr[-3000:]
    found = json.loads(report.read_text())
    assert (found["runs"], found["double_effects"], found["unresolved"], found["orphans"]) == (RUNS, 0, 0, 0), found
    assert found["unknown_to_person"] == 1.0, found
    assert found["crash_points"] >= 12, found
    assert (found["crashes"]["said_done_and_was_not"], found["crashes"]["was_done_and_nobody_asks"]) == (0, 0), found
    crashes, injection = found["crashes"], found["injection"]
    assert crashes["statuses"]["succeeded"] > RUNS / 4, "a run without effects proves nothing"
    assert sum(crashes["launched"].values()) == RUNS / 4, found
    assert crashes["launched"]["succeeded"], "jobs elsewhere that all get lost prove nothing"
    assert (crashes["followed_after_a_death"] > 0, crashes["unknown_though_followed"]) == (True, 0), found
    assert (found["canaries"], found["altered"], found["acted_on_hostile_values"]) == (0, 0, 0), found
    assert injection["self_test"]["files"], "canaries that cannot sing prove nothing"
    for runner in ("python", "ansible", "awx", "rundeck", "ssm"):
        assert injection[runner]["past"]["reached"] > 0, found
    assert found["restore"]["noticed"]["held"] > 0, found
    assert found["restore"]["unnoticed"]["effects_of_the_new_life"] == 0, found
    endings = found["endings"]
    assert endings["ended_in_time"] == endings["endings"], found
    assert endings["largest_output"] <= endings["output_limit"], found
