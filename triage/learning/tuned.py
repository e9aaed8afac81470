"""What is kept of a training for the pages: how rows were answered by models that had not seen them."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from classifier.estimator import ArticleClassifier
from triage.models import Release, Tuning

MOST_ROWS = 20_000
MOST_PAIRS = 500
PLACES = 4


def tuning_of(release: Release, model: ArticleClassifier, *, labels: Sequence[str]) -> Tuning:
    """The out-of-fold answers of a model that was just fitted, not saved yet; `labels` are those of its training rows.

    These rows were trained on, so no certificate can ever be issued on them. Of very many, some evenly spaced.
    """
    numbers, probabilities = model.out_of_fold_
    best, top = probabilities.argmax(axis=1), probabilities.max(axis=1)
    rows: dict[str, list[list[float]]] = {}
    for place in range(0, len(numbers), -(-len(numbers) // MOST_ROWS)):
        predicted = str(model.classes_[best[place]])
        score, probability = model.out_of_fold_scores_[place], top[place]
        right = predicted == labels[numbers[place]]
        rows.setdefault(predicted, []).append(
            [round(float(score), PLACES), round(float(probability), PLACES), int(right)]
        )
    given = [labels[number] for number in numbers]
    report = {**_plain(model.report_), "confused": _confused(given, [str(model.classes_[one]) for one in best])}
    return Tuning(release=release, rows=rows, labels=dict(Counter(labels)), report=report)


def _confused(given: Sequence[str], said: Sequence[str]) -> list[list[str | int]]:
    """Which label was taken for which, and how often: most frequent first."""
    pairs = Counter(pair for pair in zip(given, said, strict=True) if pair[0] != pair[1])
    found = sorted(pairs.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_PAIRS]
    return [[label, other, count] for (label, other), count in found]


def _plain(report: dict[str, Any]) -> dict[str, Any]:
    """Values as JSON takes them."""
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in report.items()}
