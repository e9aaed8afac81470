"""Every figure against a case that can be worked out by hand."""

import numpy as np
import pytest

from classifier.metrics import (
    accuracy_interval,
    calibration_error,
    confusions,
    histogram,
    macro_f1,
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
