"""Every figure against a case that can be worked out by hand."""

import numpy as np
import pytest

from classifier.metrics import (
    Floats,
    accuracy_interval,
    calibration_error,
    calibration_interval,
    confusions,
    histogram,
    macro_f1,
    paired_interval,
    paired_p,
    recall_outside,
    reliability,
    risk_curve,
    separation,
)


def test_wilsons_interval_is_the_textbook_one() -> None:
    low, high = accuracy_interval(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    assert accuracy_interval(0, 0) == (0.0, 1.0)
    assert accuracy_interval(10, 10)[1] == pytest.approx(1.0)


def test_macro_f1_weighs_a_rare_class_like_a_frequent_one() -> None:
    assert macro_f1(["a"] * 98 + ["b"] * 2, ["a"] * 100) == pytest.approx(0.5 * 2 * 0.98 / 1.98)


def test_the_calibration_error_is_the_weighted_gap() -> None:
    probability, right = np.array([0.95] * 10 + [0.55] * 10), np.array([True] * 9 + [False] + [True] * 4 + [False] * 6)
    assert calibration_error(probability, right) == pytest.approx(0.5 * 0.05 + 0.5 * 0.15)
    assert [row["count"] for row in reliability(probability, right)] == [10, 10]
    assert calibration_error(np.array([1.0]), np.array([True])) == 0.0


@pytest.mark.parametrize(("slope", "rows"), [(1.0, 1000), (0.7, 1000)])
def test_the_calibration_interval_holds_the_truth_also_where_that_is_zero(slope: float, rows: int) -> None:
    def drawn(random: np.random.Generator, count: int) -> tuple[Floats, Floats]:
        margins = np.abs(random.normal(2.5, 1.6, count))
        return 1 / (1 + np.exp(-margins)), 1 / (1 + np.exp(-slope * margins))

    said, true = drawn(np.random.default_rng(0), 1_000_000)
    bins = np.minimum((said * 15).astype(int), 14)
    truth = np.abs(np.bincount(bins, weights=said - true)).sum() / len(said)
    held = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        said, true = drawn(random, rows)
        low, high = calibration_interval(said, random.random(rows) < true, resamples=200)
        held += low <= truth + 1e-4 <= high
    assert held >= 34  # the .05 % quantile of Bin(40, .95) is 33


def test_the_calibration_interval_repeats_and_without_rows_says_nothing() -> None:
    random = np.random.default_rng(1)
    said, right = random.uniform(0.3, 1, 500), random.random(500) < 0.5
    low, high = calibration_interval(said, right)
    assert (low, high) == calibration_interval(said, right)
    assert 0 < low < calibration_error(said, right) < high
    assert calibration_interval(np.array([]), np.array([], dtype=np.bool_)) == (0.0, 1.0)


def test_pairs_are_compared_on_the_rows_on_which_they_differ() -> None:
    right, other = np.array([True, False, False, True]), np.array([True, True, True, False])
    assert paired_p(right, other) == pytest.approx(0.5)  # P(Bin(3, 1/2) <= 1)
    low, high = paired_interval(right, other)
    assert (low + high) / 2 == pytest.approx(-0.25)
    assert low < -0.25 < high
    assert paired_interval(right[:0], other[:0]) == (-1.0, 1.0)


def test_separation_and_recall_of_out_of_scope_rows() -> None:
    inside, outside = np.linspace(0.41, 0.6, 20), np.array([0.1, 0.2, 0.41, 0.415, 0.5])
    assert recall_outside(inside, outside) == 0.8  # one row of 20 may lie below the cut, which is then 0.42
    assert separation(np.array([0.9, 0.5]), np.array([0.5, 0.1])) == pytest.approx(0.875)
    assert separation(inside, np.array([])) is None
    assert recall_outside(inside, np.array([])) is None


def test_the_risk_curve_takes_ties_whole_and_ends_with_all_rows() -> None:
    curve = risk_curve(np.array([0.9, 0.9, 0.8, 0.1]), np.array([False, True, False, True]), points=4)
    assert [(row["threshold"], row["rows"], row["wrong_rate"]) for row in curve] == [
        (0.9, 2, 0.5),
        (0.8, 3, pytest.approx(1 / 3, abs=1e-6)),
        (0.1, 4, 0.5),
    ]
    assert risk_curve(np.array([]), np.array([], dtype=np.bool_)) == []


def test_confusions_are_counted_most_frequent_first() -> None:
    rows = confusions(["a", "a", "b", "c"], ["b", "b", "c", "c"])
    assert rows[0] == {"actual": "a", "predicted": "b", "count": 2}
    assert len(rows) == 2


def test_a_histogram_counts_both_ends() -> None:
    assert histogram(np.array([0.0, 0.5, 1.0]), bins=2) == [1, 2]
