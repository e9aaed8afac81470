"""An evaluation's figures by class and by language: where a model is good, and where it is not."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from classifier.metrics import Booleans, Floats, accuracy_interval

FEWEST_GUESSED = 10
MOST_LANGUAGES = 40
OTHER = "other"


def per_class(
    *,
    actual: Sequence[str],
    predicted: Sequence[str],
    probability: Floats,
    classes: Sequence[str],
    trained: Mapping[str, int],
) -> list[dict[str, Any]]:
    """One entry a class, the lowest F1 first, classes without test rows last.

    `rows` in the test, `trained` rows to learn from, `precision` (None where the class was never predicted), `recall`
    (None without rows), `f1` (None where both are), `probability` (the mean where it was predicted: equal to the
    precision if calibrated), `predicted` (what was said of its rows, by label).
    """
    said: dict[str, Counter[str]] = {}
    for label, guess in zip(actual, predicted, strict=True):
        said.setdefault(label, Counter())[guess] += 1
    guesses, guessed = np.asarray(predicted, dtype=str), Counter(predicted)
    entries = []
    for label in sorted({*classes, *actual}):
        counts = said.get(label, Counter())
        rows, right = counts.total(), counts[label]
        entries.append(
            {
                "label": label,
                "rows": rows,
                "trained": trained.get(label, 0),
                "precision": _share(right, guessed[label]),
                "recall": _share(right, rows),
                "f1": _share(2 * right, rows + guessed[label]),
                "probability": _mean(probability[guesses == label]),
                "predicted": dict(counts.most_common()),
            }
        )
    return sorted(entries, key=lambda entry: (entry["rows"] == 0, entry["f1"] or 0.0, entry["label"]))


def confused_with(entry: Mapping[str, Any]) -> tuple[str, int]:
    """What a class's rows are most often mistaken for, and how many of them; ("", 0) where none are."""
    others = ((label, count) for label, count in entry["predicted"].items() if label != entry["label"])
    return max(others, key=lambda pair: pair[1], default=("", 0))


def by_language(
    *, given: Sequence[str], guessed: Sequence[str], right: Booleans, runs: Booleans | None
) -> dict[str, dict[str, Any]]:
    """Accuracy and the share that would run, by the language that a row's file gives or else by the guessed one.

    `runs` is None where nothing was certified. Intervals are Wilson's (95 %). Guessed languages of fewer than 10 rows
    are counted together, and so are all beyond the 40 most frequent ones.
    """
    names = np.array([file or guess for file, guess in zip(given, guessed, strict=True)], dtype=str)
    counts = Counter(names.tolist())
    told = {name for name in given if name}
    kept = [name for name, count in counts.most_common(MOST_LANGUAGES) if name in told or count >= FEWEST_GUESSED]
    groups = {name: names == name for name in kept}
    if (rest := ~np.isin(names, kept)).any():
        groups[OTHER] = rest | (names == OTHER)
    return {name: _language(right[chosen], None if runs is None else runs[chosen]) for name, chosen in groups.items()}


def _language(right: Booleans, runs: Booleans | None) -> dict[str, Any]:
    ran = None if runs is None else int(runs.sum())
    return {
        "rows": len(right),
        "accuracy": _share(int(right.sum()), len(right)),
        "accuracy_ci": _rounded(accuracy_interval(int(right.sum()), len(right))),
        "would_run": None if ran is None else _share(ran, len(right)),
        "would_run_ci": None if ran is None else _rounded(accuracy_interval(ran, len(right))),
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None


def _mean(values: Floats) -> float | None:
    return round(float(values.mean()), 6) if len(values) else None


def _rounded(ends: tuple[float, float]) -> list[float]:
    return [round(end, 6) for end in ends]
