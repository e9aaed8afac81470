"""How accuracy grows with the number of labels, and whether more of them would help.

Every point is fitted like the model itself, on nested subsets of its train rows: each class keeps the same share,
chosen by the hash of the text, so that the curve repeats and equal texts stay together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from classifier.draws import fraction
from classifier.estimator import ArticleClassifier
from classifier.fasttext_model import FastTextError
from classifier.formats.jsonl import Row
from classifier.metrics import Booleans, accuracy_interval, paired_interval
from classifier.text import text_hash

SHARES = (0.25, 0.5)
WORTHWHILE = 0.005
"""Half a point of accuracy from twice the labels is worth collecting them."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """A model trained on `rows` rows: which test rows it labels rightly."""

    rows: int
    right: Booleans

    @property
    def accuracy(self) -> float:
        """Share of right test rows."""
        return float(self.right.mean())

    def as_dict(self) -> dict[str, Any]:
        """JSON values, with Wilson's interval."""
        ends = accuracy_interval(int(self.right.sum()), len(self.right))
        return {
            "rows": self.rows,
            "accuracy": round(self.accuracy, 6),
            "accuracy_ci": [round(end, 6) for end in ends],
        }


def subset(rows: Sequence[Row], share: float) -> list[Row]:
    """The share (0..1) of each class's rows whose texts come first by hash, at least two; nested in larger shares."""
    places = [fraction("learning curve", text_hash(row.document)) for row in rows]
    by_label: dict[str, list[int]] = {}
    for number in sorted(range(len(rows)), key=lambda number: (places[number], number)):
        by_label.setdefault(rows[number].label, []).append(number)
    kept = [number for numbers in by_label.values() for number in numbers[: max(2, round(share * len(numbers)))]]
    return [rows[number] for number in sorted(kept)]


def curve(
    *,
    train: Sequence[Row],
    test: Sequence[Row],
    whole: Booleans,
    untrained: Callable[[], ArticleClassifier],
    shares: Sequence[float] = SHARES,
    tell: Callable[[float], object] = lambda _: None,
) -> list[Point]:
    """Points from few rows to all; the last one is `whole`, the test rows that the model itself labels rightly.

    A share that is too small to train on is left out. `tell` hears each share before it is trained on.
    """
    points = []
    for share in sorted(shares):
        tell(share)
        rows = subset(train, share)
        try:
            model = untrained().fit([row.document for row in rows], [row.label for row in rows])
        except (ValueError, FastTextError):
            continue
        found = model.predict([row.document for row in test])
        points.append(Point(rows=len(rows), right=found == np.array([row.label for row in test])))
    return [*points, Point(rows=len(train), right=whole)]


def said(points: Sequence[Point]) -> str:
    """Whether more labels would help, in one or two plain sentences; empty for a single point."""
    if len(points) < 2:
        return ""
    before, last = points[-2], points[-1]
    low, high = paired_interval(last.right, before.right)
    gain = last.accuracy - before.accuracy
    found = (
        f"Going from {before.rows:,} to {last.rows:,} labels changed accuracy by {100 * gain:+.1f} points "
        f"(95 % interval {100 * low:+.1f} to {100 * high:+.1f})."
    )
    if low <= 0:
        return (
            f"{found} That may be chance: more labels of the same kind would hardly help. "
            "Look at what is confused and at suspect labels first."
        )
    coming = _next_gain(points)
    if coming < WORTHWHILE:
        return f"{found} The curve flattens: as many labels again would add about {100 * coming:.1f} points."
    return f"{found} More labels would help: as many again may add about {100 * coming:.1f} points (an extrapolation)."


def _next_gain(points: Sequence[Point]) -> float:
    """What the next doubling adds if gains keep shrinking as they did between the last three points."""
    gains = [
        (later.accuracy - earlier.accuracy) / np.log2(later.rows / earlier.rows)
        for earlier, later in pairwise(points)
        if later.rows > earlier.rows
    ]
    if not gains:
        return 0.0
    shrinking = gains[-1] / gains[-2] if len(gains) > 1 and gains[-2] > 0 else 1.0
    return float(gains[-1] * min(1.0, max(0.0, shrinking)))
