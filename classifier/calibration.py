"""From the learners' raw scores to probabilities one can trust: pooling, folds and calibration errors."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
Objective = Callable[[Scores, Sequence[Scores], NDArray[np.intp]], tuple[float, NDArray[np.float64]]]
_MOST_ROWS = 6000


def softmax(scores: Scores) -> Scores:
    """Probabilities (n, classes) of scores (n, classes)."""
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), dtype=np.float64)


def pool(members: Sequence[Scores], weights: Sequence[float]) -> Scores:
    """The weighted sum of the members' scores, each (n, classes), in a fixed order of additions."""
    total = np.zeros_like(members[0])
    for scores, weight in zip(members, weights, strict=True):
        total += weight * scores
    return total


def log_loss(scores: Scores, codes: NDArray[np.intp]) -> float:
    """Mean negative log-likelihood (nats) of the true classes, given as column numbers."""
    top = scores.max(axis=1)
    norms = top + np.log(np.exp(scores - top[:, None]).sum(axis=1))
    return float((norms - scores[np.arange(len(codes)), codes]).mean())


def pool_weights(members: Sequence[Scores], codes: NDArray[np.intp]) -> NDArray[np.float64]:
    """Non-negative weights of a weighted sum whose softmax gives probabilities: combination and temperature in one.

    A logarithmic opinion pool (Genest and Zidek 1986). The members' shares come from the least Brier score, which
    minds the order of the classes more than log loss does (on unbalanced tickets .7455 against .739 right), the
    common factor from the least log loss, as in temperature scaling (Guo et al. 2017). A member that adds nothing
    gets weight 0. Of many rows 6,000, evenly spaced, are used.
    """
    step = -(-len(codes) // _MOST_ROWS)
    members, codes = [scores[::step] for scores in members], codes[::step]
    start = np.array([1 / max(float(scores.std()), 1e-6) for scores in members]) / len(members)
    weights = _least(_log_loss_and_slopes, members, codes, start)
    if len(members) > 1:
        weights = _least(_brier_score_and_slopes, members, codes, weights)
        weights *= _least(_log_loss_and_slopes, [pool(members, weights.tolist())], codes, np.ones(1))
    return weights


def _least(
    objective: Objective, members: Sequence[Scores], codes: NDArray[np.intp], start: NDArray[np.float64]
) -> NDArray[np.float64]:
    from scipy.optimize import minimize

    def value(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        return objective(pool(members, weights.tolist()), members, codes)

    found = minimize(value, start, jac=True, bounds=[(0, None)] * len(members), method="L-BFGS-B")
    return np.asarray(found.x, dtype=np.float64)


def _log_loss_and_slopes(
    pooled: Scores, members: Sequence[Scores], codes: NDArray[np.intp]
) -> tuple[float, NDArray[np.float64]]:
    rows, expected = np.arange(len(codes)), softmax(pooled)
    slopes = [((expected * scores).sum(axis=1) - scores[rows, codes]).mean() for scores in members]
    return log_loss(pooled, codes), np.array(slopes)


def _brier_score_and_slopes(
    pooled: Scores, members: Sequence[Scores], codes: NDArray[np.intp]
) -> tuple[float, NDArray[np.float64]]:
    rows, expected = np.arange(len(codes)), softmax(pooled)
    gaps = expected.copy()
    gaps[rows, codes] -= 1
    pull = 2 * expected * (gaps - (gaps * expected).sum(axis=1, keepdims=True))
    return float((gaps**2).sum(axis=1).mean()), np.array([(pull * scores).sum(axis=1).mean() for scores in members])


def top_calibration(top: NDArray[np.float64], right: NDArray[np.bool_]) -> tuple[float, float, float]:
    """(a, b, c) of a map from top probabilities (n,) to how often they were right (n,).

    Beta calibration (Kull, Silva Filho and Flach 2017): logit of the result = a ln(top) - b ln(1 - top) + c, with
    a and b not negative, so that it keeps the order. One factor for all scores cannot mend scores that are
    overconfident at the upper end and timid at the lower: on unbalanced tickets the calibration error fell from .074
    to .016, as with isotonic regression (.019), and hardly changed where it was small. A small ridge keeps it near
    (1, 1, 0) where rows are few.
    """
    from scipy.optimize import minimize

    X = np.column_stack([*_logs(top), np.ones(len(top))])
    start, sign = np.array([1.0, 1.0, 0.0]), np.where(right, 1.0, -1.0)

    def objective(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margins, off = sign * (X @ values), values - start
        loss = float(np.logaddexp(0, -margins).sum()) + float(off @ off)
        return loss, X.T @ (-sign / (1 + np.exp(np.minimum(margins, 500)))) + 2 * off

    found = minimize(objective, start, jac=True, bounds=[(0, None), (0, None), (None, None)], method="L-BFGS-B")
    a, b, c = found.x.tolist()
    return a, b, c


def calibrate_top(probabilities: Scores, curve: tuple[float, float, float]) -> Scores:
    """Probabilities (n, classes) whose largest are mapped by `top_calibration`'s curve, the others in proportion.

    The largest stays the largest.
    """
    rows, best = np.arange(len(probabilities)), probabilities.argmax(axis=1)
    top = probabilities[rows, best]
    others = np.maximum(probabilities, 1e-12)  # so that something is left to share where one label has it all
    others[rows, best] = 0
    rest, second = others.sum(axis=1), others.max(axis=1)
    one, other = _logs(top)
    mapped = 1 / (1 + np.exp(-(curve[0] * one + curve[1] * other + curve[2])))
    mapped = np.maximum(mapped, second / (rest + second))
    others = np.minimum(others * ((1 - mapped) / rest)[:, None], mapped[:, None])
    others[rows, best] = mapped
    return np.asarray(others, dtype=np.float64)


def _logs(top: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.log(np.maximum(top, 1e-6)), -np.log(np.maximum(1 - top, 1e-6))


def logistic(
    X: Scores, y: NDArray[np.float64], *, sample_weights: NDArray[np.float64], directions: Sequence[int]
) -> tuple[NDArray[np.float64], float]:
    """Weights (columns,) and bias of a logistic regression whose weights keep to given signs (1, -1, or 0 for any).

    `sample_weights` sum to 1; a small ridge (.001) keeps the weights finite where the classes separate.
    """
    from scipy.optimize import minimize

    signs = np.asarray(directions)
    bounds = [(0.0 if sign > 0 else None, 0.0 if sign < 0 else None) for sign in directions]

    def objective(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margins = (X @ values[:-1] + values[-1]) * (2 * y - 1)
        loss = float(sample_weights @ np.logaddexp(0, -margins)) + 0.001 * float(values[:-1] @ values[:-1])
        pull = -sample_weights * (2 * y - 1) / (1 + np.exp(np.minimum(margins, 500)))
        return loss, np.append(X.T @ pull + 0.002 * values[:-1], pull.sum())

    start = np.append(0.1 * signs, 0.0)
    found = minimize(objective, start, jac=True, bounds=[*bounds, (None, None)], method="L-BFGS-B")
    return np.asarray(found.x[:-1]), float(found.x[-1])


def folds(lines: Sequence[str], labels: Sequence[str], *, count: int, seed: int) -> NDArray[np.intp]:
    """A fold number a row, stratified by label; -1 for rows that are always trained on.

    Rows of one label with equal text share a fold, so that no row is predicted by its own copy. A label with one
    distinct text stays in training, so that every fold's model knows every label.
    """
    rng = np.random.default_rng(seed)
    texts_of: dict[str, dict[str, list[int]]] = {}
    for row, (line, label) in enumerate(zip(lines, labels, strict=True)):
        texts_of.setdefault(label, {}).setdefault(line, []).append(row)
    found = np.full(len(lines), -1, dtype=np.intp)
    next_fold = 0
    for label in sorted(texts_of):
        groups = list(texts_of[label].values())
        if len(groups) == 1:
            continue
        for place in rng.permutation(len(groups)):
            found[groups[place]] = next_fold % count
            next_fold += 1
    return found


def calibration_error(probabilities: Scores, correct: NDArray[np.bool_], *, bins: int = 15) -> float:
    """Expected calibration error of top probabilities (n,) over equal-width bins (Guo et al. 2017)."""
    places = np.minimum((probabilities * bins).astype(np.intp), bins - 1)
    gaps = [
        abs(probabilities[places == place].mean() - correct[places == place].mean()) * (places == place).mean()
        for place in np.unique(places)
    ]
    return float(sum(gaps))
