"""Pooling, folds and calibration against what is known by hand."""

import numpy as np
import pytest

from classifier.calibration import (
    calibrate_top,
    calibration_error,
    folds,
    log_loss,
    logistic,
    pool,
    pool_weights,
    softmax,
    top_calibration,
)


def _scores(*, rows: int, sharpness: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores of three classes, and classes drawn from softmax(sharpness * scores)."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(rows, 3))
    chances = softmax(sharpness * scores)
    return scores, (chances.cumsum(axis=1) < rng.random((rows, 1))).sum(axis=1)


def test_the_weight_found_is_the_sharpness_the_data_were_drawn_with() -> None:
    scores, codes = _scores(rows=20_000, sharpness=2.0, seed=0)
    assert pool_weights([scores], codes) == pytest.approx([2.0], rel=0.05)


def test_a_member_that_knows_nothing_gets_no_weight_and_one_that_misleads_none_at_all() -> None:
    scores, codes = _scores(rows=20_000, sharpness=2.0, seed=0)
    noise = np.random.default_rng(1).normal(size=scores.shape)
    weights = pool_weights([scores, noise, -scores], codes)
    assert weights[1] < 0.05
    assert weights[0] - weights[2] == pytest.approx(2.0, rel=0.05)
    assert (weights >= 0).all()


def test_pooling_beats_either_member() -> None:
    rng = np.random.default_rng(0)
    truth, codes = _scores(rows=5_000, sharpness=3.0, seed=2)
    members = [truth + rng.normal(size=truth.shape), truth + rng.normal(size=truth.shape)]
    both = log_loss(pool(members, pool_weights(members, codes).tolist()), codes)
    for member in members:
        assert both < log_loss(pool([member], pool_weights([member], codes).tolist()), codes) - 0.02


def test_log_loss_is_that_of_the_definition() -> None:
    scores = np.array([[0.0, np.log(3)], [5.0, 5.0]])
    assert log_loss(scores, np.array([1, 0])) == pytest.approx(-(np.log(0.75) + np.log(0.5)) / 2)


def test_softmax_bears_large_numbers() -> None:
    assert softmax(np.array([[1000.0, 0.0], [-1000.0, -1000.0]])) == pytest.approx(np.array([[1, 0], [0.5, 0.5]]))


def test_logistic_weights_keep_their_signs() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4_000, 3))
    y = (rng.random(4_000) < 1 / (1 + np.exp(-(1.5 * X[:, 0] - X[:, 1] + 0.5)))).astype(float)
    shares = np.full(4_000, 1 / 4_000)
    free, bias = logistic(X, y, sample_weights=shares, directions=(0, 0, 0))
    assert [*free, bias] == pytest.approx([1.5, -1, 0, 0.5], abs=0.15)
    held, _ = logistic(X, y, sample_weights=shares, directions=(1, 1, 1))
    assert held[1] == 0
    assert held[0] > 1


def test_every_fold_can_train_on_every_label() -> None:
    lines = [f"{label} {i}" for label in "abc" for i in range({"a": 1, "b": 2, "c": 50}[label])]
    labels = [line[0] for line in lines]
    fold = folds(lines, labels, count=5, seed=0)
    assert fold[0] == -1
    for i in range(5):
        assert {label for label, f in zip(labels, fold, strict=True) if f != i} == {"a", "b", "c"}
    assert np.bincount(fold[fold >= 0]).min() >= 10


def test_copies_of_a_text_share_a_fold() -> None:
    lines = ["same"] * 10 + [f"other {i}" for i in range(10)]
    fold = folds(lines, ["a"] * 20, count=5, seed=3)
    assert len(set(fold[:10])) == 1


def test_a_label_whose_rows_are_all_copies_stays_in_training() -> None:
    fold = folds(["same"] * 4 + ["x", "y"], ["a"] * 4 + ["b", "b"], count=2, seed=0)
    assert fold.tolist()[:4] == [-1] * 4
    assert sorted(fold.tolist()[4:]) == [0, 1]


def test_calibration_error_is_the_gap_between_promise_and_truth() -> None:
    probabilities = np.full(1000, 0.9)
    assert calibration_error(probabilities, np.arange(1000) < 900) == pytest.approx(0, abs=1e-9)
    assert calibration_error(probabilities, np.arange(1000) < 600) == pytest.approx(0.3)
    assert calibration_error(np.array([1.0]), np.array([True])) == 0


def test_the_curve_mends_what_one_factor_cannot() -> None:
    rng = np.random.default_rng(3)
    top = rng.uniform(0.05, 0.999, size=20_000)
    # Overconfident at the upper end, timid at the lower.
    truth = 1 / (1 + np.exp(-(0.6 * np.log(top / (1 - top)) + 0.1)))
    right = rng.random(len(top)) < truth
    curve = top_calibration(top, right)
    others = rng.dirichlet(np.ones(4), size=len(top)) * (1 - top)[:, None]
    probabilities = np.column_stack([top, others])
    clear = probabilities.argmax(axis=1) == 0
    mended = calibrate_top(probabilities[clear], curve)
    assert calibration_error(top[clear], right[clear]) > 0.06
    assert calibration_error(mended.max(axis=1), right[clear]) < 0.015
    assert mended.sum(axis=1) == pytest.approx(1)
    assert (mended.argmax(axis=1) == 0).all()
    assert mended[:, 1:] / (1 - mended[:, :1]) == pytest.approx(others[clear] / (1 - top[clear])[:, None])


def test_few_rows_leave_probabilities_nearly_as_they_are() -> None:
    curve = top_calibration(np.array([0.9, 0.8]), np.array([True, True]))
    assert calibrate_top(np.array([[0.9, 0.1]]), curve)[0, 0] == pytest.approx(0.9, abs=0.06)


@pytest.mark.parametrize("row", [[1.0, 0.0, 0.0], [0.4, 0.35, 0.25], [1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0.0]])
def test_no_curve_takes_the_first_place_away(row: list[float]) -> None:
    for curve in ((0.0, 0.0, -9.0), (0.0, 0.0, 9.0), (5.0, 0.0, 0.0), (0.0, 5.0, -5.0)):
        mended = calibrate_top(np.array([row]), curve)[0]
        assert mended[0] == mended.max()
        assert mended.sum() == pytest.approx(1)
        assert (mended >= 0).all()
