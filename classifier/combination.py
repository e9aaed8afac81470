"""How the learners' scores become one set of probabilities: weights and curve learnt out of fold, then applied."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from classifier.calibration import (
    Scores,
    calibrate_top,
    calibration_error,
    log_loss,
    pool,
    pool_weights,
    softmax,
    top_calibration,
)
from classifier.crossfit import Rows, Unseen
from classifier.evidence import Counts, signals


@dataclass(frozen=True)
class Weights:
    """How scores become probabilities: softmax of linear * linear scores + fasttext * fastText scores.

    The linear scores are calibrated by themselves (their blend is `blend`); fastText's alone need `fasttext_alone`.
    `top` is the curve that maps the largest probability to how often it is right.
    """

    blend: tuple[float, float]
    linear: float
    fasttext: float
    fasttext_alone: float
    top: tuple[float, float, float]


class Scored(NamedTuple):
    """Of n rows: probabilities (n, classes), signals (n, 4), agreement (n,) of the families, and counts."""

    probabilities: Scores
    signals: Scores
    agreement: NDArray[np.float64]
    counts: Counts


def scored(linear: Scores, bayes: Scores, fasttext: Scores, *, counts: Counts, weights: Weights) -> Scored:
    """Probabilities, signals and agreement of rows from both families' scores, and naive Bayes' own, (n, classes)."""
    pooled = calibrate_top(softmax(pool([linear, fasttext], [weights.linear, weights.fasttext])), weights.top)
    agreement = np.minimum(softmax(linear), softmax(weights.fasttext_alone * fasttext)).sum(axis=1)
    top = pooled.max(axis=1)
    return Scored(
        probabilities=np.floor(pooled * 1e6) / 1e6,
        signals=signals(top=top, bayes=bayes, fasttext=fasttext, counts=counts),
        agreement=np.minimum(agreement, 1.0),
        counts=counts,
    )


def scored_unseen(unseen: Unseen, weights: Weights) -> Scored:
    """`scored` of rows that the models behind the scores had not seen."""
    svm, bayes, fasttext = unseen.members
    linear = pool([svm, bayes], weights.blend)
    return scored(linear, bayes, fasttext, counts=unseen.counts, weights=weights)


def combination(unseen: Sequence[Unseen], codes: Rows, *, families: str = "both") -> tuple[Weights, dict[str, Any]]:
    """Weights fitted on out-of-fold scores, and what they reach there.

    Of "both" a family gets weight 0 if the other alone does better on the half of the rows that its weights were not
    fitted on; any other `families` names the one that has all the weight.
    """
    svm, bayes, fasttext = (np.concatenate([u.members[i] for u in unseen]) for i in range(3))
    parts, alone = [svm, bayes], float(pool_weights([fasttext], codes)[0])
    losses = {
        "both": _loss_on_other_half([*parts, fasttext], codes),
        "linear": _loss_on_other_half(parts, codes),
        "fasttext": _loss_on_other_half([fasttext], codes),
    }
    chosen = min(losses, key=losses.__getitem__) if families == "both" else families
    # All three at once: a blend that is best by itself is not the best beside fastText.
    both = pool_weights([*parts, fasttext], codes) if chosen == "both" else np.zeros(3)
    blend = both[:2] if both[:2].any() else pool_weights(parts, codes)
    # Never 0, which few noisy rows can lead to: the blend's share beside fastText is told in parts of it.
    own = max(float(pool_weights([pool(parts, blend.tolist())], codes)[0]), 1e-3)
    blend *= own
    linear = pool(parts, blend.tolist())
    pair = {
        "both": (1 / own if both[:2].any() else 0.0, float(both[2])),
        "linear": (1.0, 0.0),
        "fasttext": (0.0, alone),
    }[chosen]
    pooled = pool([linear, fasttext], pair)
    right, probabilities = pooled.argmax(axis=1) == codes, softmax(pooled)
    curve = top_calibration(probabilities.max(axis=1), right)
    weights = Weights((float(blend[0]), float(blend[1])), *pair, fasttext_alone=alone, top=curve)
    top = calibrate_top(probabilities, curve).max(axis=1)
    return weights, {
        "rows": len(codes),
        "families": chosen,
        "accuracy": float(right.mean()),
        "accuracy_linear": float((linear.argmax(axis=1) == codes).mean()),
        "accuracy_fasttext": float((fasttext.argmax(axis=1) == codes).mean()),
        "calibration_error": calibration_error(top, right),
        "log_loss": log_loss(pooled, codes),
    }


def _loss_on_other_half(members: Sequence[Scores], codes: Rows) -> float:
    half = np.arange(len(codes)) % 2 == 0
    losses = []
    for part in (half, ~half):
        if part.any() and not part.all():
            weights = pool_weights([scores[part] for scores in members], codes[part])
            losses.append(log_loss(pool([scores[~part] for scores in members], weights.tolist()), codes[~part]))
    return float(np.mean(losses)) if losses else 0.0
