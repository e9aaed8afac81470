"""Exact binomial arithmetic against brute force and known figures, and the budget of delta."""

import math

import numpy as np
import pytest

from classifier.bounds import (
    BudgetSpent,
    betting_sample_size,
    charge,
    log_wealth,
    monthly_delta,
    sample_size,
    tail,
    upper_bound,
)


def brute_tail(errors: int, n: int, alpha: float) -> float:
    return math.fsum(math.comb(n, k) * alpha**k * (1 - alpha) ** (n - k) for k in range(errors + 1))


@pytest.mark.parametrize(("errors", "n", "alpha"), [(0, 59, 0.05), (3, 200, 0.05), (7, 40, 0.2), (0, 1, 0.5)])
def test_the_tail_is_the_binomial_sum(errors: int, n: int, alpha: float) -> None:
    assert tail(errors, n, alpha) == pytest.approx(brute_tail(errors, n, alpha), rel=1e-10)


def test_nothing_seen_proves_nothing() -> None:
    assert tail(0, 0, 0.05) == 1.0
    assert upper_bound(0, 0, delta=0.05) == 1.0
    assert upper_bound(4, 4, delta=0.05) == 1.0


@pytest.mark.parametrize(("alpha", "alone", "monthly"), [(0.05, 59, 139), (0.02, 149, 351), (0.01, 299, 706)])
def test_error_free_sample_sizes_are_those_of_the_design(alpha: float, alone: int, monthly: int) -> None:
    assert sample_size(alpha=alpha, delta=0.05) == alone
    assert sample_size(alpha=alpha, delta=monthly_delta(), starts=5) == monthly


@pytest.mark.parametrize("errors", [0, 1, 4, 25])
def test_a_sample_size_is_the_smallest_that_certifies(errors: int) -> None:
    n = sample_size(alpha=0.03, delta=0.01, starts=4, errors=errors)
    assert tail(errors, n, 0.03) <= 0.0025 < tail(errors, n - 1, 0.03)
    assert upper_bound(errors, n, delta=0.0025) <= 0.03 < upper_bound(errors, n - 1, delta=0.0025)


def test_the_upper_bound_is_where_the_tail_equals_delta() -> None:
    bound = upper_bound(5, 120, delta=0.01)
    assert brute_tail(5, 120, bound) == pytest.approx(0.01, rel=1e-9)


def test_the_betting_wealth_is_the_mixture_of_likelihood_ratios() -> None:
    alpha, n, errors = 0.1, 60, 2
    q = (np.arange(200_000) + 0.5) / 200_000 * alpha
    prior = q**-0.5 * (1 - q)
    ratio = (q / alpha) ** errors * ((1 - q) / (1 - alpha)) ** (n - errors)
    assert math.exp(log_wealth(errors, n, alpha=alpha)) == pytest.approx((prior * ratio).sum() / prior.sum(), rel=2e-3)


def test_the_betting_wealth_is_a_martingale_at_alpha_and_shrinks_above_it() -> None:
    def step(k: int, n: int, rate: float) -> float:
        now, right, wrong = np.exp(log_wealth([k, k, k + 1], [n, n + 1, n + 1], alpha=0.1))
        return float((rate * wrong + (1 - rate) * right) / now)

    for k, n in [(0, 0), (0, 30), (3, 30), (9, 50)]:
        assert step(k, n, 0.1) == pytest.approx(1.0, abs=1e-9)
        assert step(k, n, 0.15) < 1.0


@pytest.mark.parametrize("errors", [0, 3, 20])
def test_continuous_looks_cost_less_than_double(errors: int) -> None:
    once = sample_size(alpha=0.05, delta=0.004, starts=5, errors=errors)
    assert once < betting_sample_size(alpha=0.05, delta=0.004, starts=5, errors=errors) < 2 * once


def test_twelve_monthly_attempts_fit_into_the_year_and_a_thirteenth_does_not() -> None:
    spent = 0.0
    for _ in range(12 * 7):
        spent = charge(monthly_delta(groups=7), spent=spent)
    assert 0.0499 < spent <= 0.05
    with pytest.raises(BudgetSpent, match=r"costs delta .* is left"):
        charge(monthly_delta(groups=7), spent=spent)


@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, math.nan])
def test_shares_outside_zero_and_one_are_refused_by_name(value: float) -> None:
    with pytest.raises(ValueError, match="alpha must lie strictly between 0 and 1"):
        sample_size(alpha=value, delta=0.05)
    with pytest.raises(ValueError, match="delta must lie strictly between 0 and 1"):
        upper_bound(0, 10, delta=value)


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="errors must lie between 0 and n = 3, not 4"):
        tail(4, 3, 0.05)
    with pytest.raises(ValueError, match="starts must be at least 1"):
        sample_size(alpha=0.05, delta=0.05, starts=0)
