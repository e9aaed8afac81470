"""The figures by which a classifier is judged: plain arrays in, plain numbers out."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import f1_score, roc_auc_score

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]


def accuracy_interval(right: int, n: int, *, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's score interval (1927) for a share, 95 % unless told; (0, 1) for n = 0."""
    if n == 0:
        return 0.0, 1.0
    share, square = right / n, z * z / n
    centre = (share + square / 2) / (1 + square)
    half = z * math.sqrt(share * (1 - share) / n + square / (4 * n)) / (1 + square)
    return max(0.0, centre - half), min(1.0, centre + half)


def macro_f1(actual: Sequence[str], predicted: Sequence[str]) -> float:
    """F1 averaged over the classes that occur among actual or predicted labels, each with equal weight."""
    return float(f1_score(actual, predicted, average="macro", zero_division=0.0))


def reliability(probability: Floats, right: Booleans, *, bins: int = 15) -> list[dict[str, float]]:
    """Equal-width bins over 0..1 that hold anything: mean probability, share right, count."""
    place = np.minimum((probability * bins).astype(np.intp), bins - 1)
    rows = []
    for number in range(bins):
        inside = place == number
        if inside.any():
            rows.append(
                {
                    "probability": round(float(probability[inside].mean()), 6),
                    "accuracy": round(float(right[inside].mean()), 6),
                    "count": int(inside.sum()),
                }
            )
    return rows


def calibration_error(probability: Floats, right: Booleans, *, bins: int = 15) -> float:
    """Expected calibration error of the top probability (Guo et al. 2017, 1706.04599): bins weighted by count."""
    rows = reliability(probability, right, bins=bins)
    return sum(row["count"] * abs(row["probability"] - row["accuracy"]) for row in rows) / max(1, len(right))


def separation(inside: Floats, outside: Floats) -> float | None:
    """AUROC of telling in-scope from out-of-scope rows by a score that is higher in scope; None without rows."""
    if not len(inside) or not len(outside):
        return None
    truth = np.concatenate([np.ones(len(inside)), np.zeros(len(outside))])
    return float(roc_auc_score(truth, np.concatenate([inside, outside])))


def recall_outside(inside: Floats, outside: Floats, *, kept: float = 0.95) -> float | None:
    """Share of out-of-scope rows below the highest score that still keeps `kept` of the in-scope rows."""
    if not len(inside) or not len(outside):
        return None
    cut = np.sort(inside)[::-1][math.ceil(kept * len(inside)) - 1]
    return float((outside < cut).mean())


def risk_curve(score: Floats, wrong: Booleans, *, points: int = 60) -> list[dict[str, float]]:
    """Share of wrong rows among those at or above a threshold, at evenly spaced coverages down to all rows."""
    order = np.argsort(-score, kind="stable")
    ranked, errors = score[order], np.cumsum(wrong[order])
    rows: list[dict[str, float]] = []
    for rank in sorted({max(1, round(len(score) * point / points)) for point in range(1, points + 1)}):
        passing = int(np.searchsorted(-ranked, -ranked[rank - 1], side="right")) if len(score) else 0
        if passing and (not rows or rows[-1]["rows"] != passing):
            rows.append(
                {
                    "threshold": round(float(ranked[passing - 1]), 6),
                    "coverage": round(passing / len(score), 6),
                    "wrong_rate": round(float(errors[passing - 1] / passing), 6),
                    "rows": passing,
                }
            )
    return rows


def confusions(actual: Sequence[str], predicted: Sequence[str], *, most: int = 20) -> list[dict[str, Any]]:
    """The most frequent mistakes: actual label, predicted label, count."""
    pairs = Counter((one, other) for one, other in zip(actual, predicted, strict=True) if one != other)
    return [{"actual": a, "predicted": p, "count": count} for (a, p), count in pairs.most_common(most)]


def histogram(score: Floats, *, bins: int = 20) -> list[int]:
    """Counts in equal bins over 0..1."""
    return [int(count) for count in np.histogram(score, bins=bins, range=(0.0, 1.0))[0]]
