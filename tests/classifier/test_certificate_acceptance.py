"""Samples drawn from pools whose truth is known: broken promises stay below the 99 % quantile of delta.

The whole runs as `python -m tests.benchmarks.certificates --draws 1000`; here each with fewer draws.
"""

import pytest

from tests.benchmarks.certificates import POOLS, broken_promises, daily, naive, other, own, years


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("procedure", [own, other], ids=["own scores", "other traffic"])
def test_one_look_keeps_its_promise(name: str, procedure: type) -> None:
    outcome = broken_promises(name=name, procedure=procedure, alpha=0.10, delta=0.10, n=300, draws=150)
    assert outcome["broken"] <= outcome["limit"]


@pytest.mark.parametrize("name", ["smooth", "plateau", "storms"])
def test_continuous_looks_keep_their_promise(name: str) -> None:
    outcome = broken_promises(name=name, procedure=daily, alpha=0.10, delta=0.10, n=300, draws=60)
    assert outcome["broken"] <= outcome["limit"]


def test_a_good_gate_is_certified_with_most_of_what_it_could_run() -> None:
    outcome = broken_promises(name="outsiders", procedure=own, alpha=0.05, delta=0.05, n=800, draws=60)
    assert outcome["certified"] == 60
    assert outcome["coverage"] > 0.7


@pytest.mark.parametrize("name", ["smooth", "plateau", "storms"])
def test_the_same_count_convicts_the_rule_without_a_test(name: str) -> None:
    outcome = broken_promises(name=name, procedure=naive, alpha=0.10, delta=0.10, n=300, draws=100)
    assert outcome["broken"] > 2 * outcome["limit"]


def test_a_customers_year_of_attempts_groups_daily_looks_and_missing_verdicts_stays_in_its_budget() -> None:
    outcome = years(count=10)
    assert outcome["issued"] > 20
    assert outcome["broken"] <= outcome["limit"]
