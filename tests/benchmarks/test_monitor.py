"""The monitor's figures at a tenth of their size, and that a monitor which breaks its word is convicted."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks import certificates, monitor
from tests.benchmarks.monitor import detection, main, plain, watched


def test_the_monitor_notices_a_change_much_sooner_than_one_betting_process_from_the_start() -> None:
    found = detection(before=0.02, after=0.06, good=3_000, streams=30)
    assert found["noticed"]["never"] == 0
    assert found["noticed"]["median"] < found["revoked"]["median"] < found["plain"]["median"] / 2
    assert 1_500 < found["plain"]["median"] < 3_000


def test_the_plain_process_speaks_when_its_wealth_first_reaches_one_over_delta() -> None:
    stake, verdicts = (0.06 - 0.02) / (0.02 * 0.98), [False] * 5 + [True] * 20
    wealth = [math.prod(1 + stake * (wrong - 0.02) for wrong in verdicts[:n]) for n in range(26)]
    number = next(n for n, held in enumerate(wealth) if held >= 100)
    assert plain(np.array(verdicts), alpha=0.02, delta=0.01, rate=0.06) == number
    assert plain(np.zeros(500, np.bool_), alpha=0.02, delta=0.01, rate=0.06) is None


def test_what_was_noticed_before_the_change_is_not_counted_as_noticing_it() -> None:
    verdicts = np.concatenate([np.ones(60, np.bool_), np.zeros(100, np.bool_)])
    told = watched(verdicts, good=100, alpha=0.02, delta=0.01, rate=0.06)
    assert (told.monitor, told.revoked, told.plain) == (None, None, None)


def test_all_figures_are_written_and_the_exit_code_is_that_of_a_monitor_that_keeps_its_word(tmp_path: Path) -> None:
    assert main(["--streams", "12", "--lives", "30", "--good", "1000", "--json", str(tmp_path / "f.json")]) == 0
    told = json.loads((tmp_path / "f.json").read_text())
    assert set(told) == {"kept", "alpha", "delta", "detection", "false_revocations", "seconds"}
    assert set(told["detection"]) == {
        "change", "2 x alpha after good audits", "3 x alpha from the first run", "2 x alpha from the first run",
    }  # fmt: skip
    for found in told["detection"].values():
        assert set(found["noticed"]) == {"median", "p90", "never"}
    assert told["false_revocations"]["limit"] < 5


def test_a_monitor_that_revokes_what_holds_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The promise is checked at the delta that is promised, whatever the monitor was started with."""
    honest = certificates.lives

    def hasty(*, count: int, runs: int, alpha: float, delta: float) -> dict[str, object]:
        told = honest(count=count, runs=runs, alpha=alpha, delta=0.6)
        return {**told, "limit": honest(count=1, runs=1, alpha=alpha, delta=delta)["limit"]}

    monkeypatch.setattr(monitor, "lives", hasty)
    assert main(["--streams", "6", "--lives", "40", "--good", "1000"]) == 1
