"""Predictions of rows by models that did not see them: what combination, calibration and evidence are learnt from."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from classifier.calibration import Scores
from classifier.evidence import Counts, count
from classifier.fasttext_model import FastTextModel, Vectors
from classifier.linear_model import LinearModel

Rows = NDArray[np.intp]
Parts = tuple[Scores, Scores]
One = TypeVar("One")
Other = TypeVar("Other")


@dataclass(frozen=True)
class Unseen:
    """Scores of rows by models that were not trained on them.

    `members`: support vector machine, naive Bayes and fastText, each (rows, classes of the training rows).
    """

    members: tuple[Scores, Scores, Scores]
    counts: Counts


@dataclass(frozen=True, kw_only=True)
class Trainer:
    """Fits copies of both families on chosen rows, with two `jobs` side by side: both libraries release the lock.

    All linear fits follow one another on one thread (their random numbers are the process's own), all fastText fits
    on another, so that results do not depend on `jobs`. `vectors` are what fastText starts from.
    """

    lines: Sequence[str]
    labels: NDArray[np.str_]
    linear: LinearModel
    fasttext: FastTextModel
    jobs: int
    vectors: Vectors | None = None

    def final(self) -> tuple[LinearModel, FastTextModel]:
        """Both families trained on all rows."""
        return self._side_by_side(
            lambda: clone(self.linear).fit(self.lines, self.labels),
            lambda: clone(self.fasttext).fit(self.lines, self.labels, vectors=self.vectors),
        )

    def unseen(self, splits: Sequence[tuple[Rows, Rows]]) -> list[Unseen]:
        """For each (training rows, rows to predict) the scores of the latter."""
        linear, fasttext = self._side_by_side(
            lambda: [self._by_linear(*split) for split in splits],
            lambda: [self._by_fasttext(*split) for split in splits],
        )
        return [
            Unseen(members=(*parts, scores), counts=counts)
            for (parts, counts), scores in zip(linear, fasttext, strict=True)
        ]

    def fasttext_again(self, unseen: Sequence[Unseen], splits: Sequence[tuple[Rows, Rows]]) -> list[Unseen]:
        """The same with fastText's scores made anew."""
        return [
            replace(one, members=(*one.members[:2], self._by_fasttext(*split)))
            for one, split in zip(unseen, splits, strict=True)
        ]

    def _by_linear(self, training: Rows, rows: Rows) -> tuple[Parts, Counts]:
        model = clone(self.linear).fit(self._lines(training), self.labels[training])
        lines = self._lines(rows)
        return model.part_functions(lines), count(lines, model.features_.words)

    def _by_fasttext(self, training: Rows, rows: Rows) -> Scores:
        model = clone(self.fasttext).fit(self._lines(training), self.labels[training], vectors=self.vectors)
        return np.asarray(model.decision_function(self._lines(rows)), dtype=np.float64)

    def _lines(self, rows: Rows) -> list[str]:
        return [self.lines[row] for row in rows]

    def _side_by_side(self, one: Callable[[], One], other: Callable[[], Other]) -> tuple[One, Other]:
        if self.jobs == 1:
            return one(), other()
        with ThreadPoolExecutor(max_workers=2, thread_name_prefix="train") as threads:
            first, second = threads.submit(one), threads.submit(other)
            return first.result(), second.result()


def without_some_classes(
    fold: Rows, codes: Rows, *, classes: int, rounds: int, seed: int
) -> list[tuple[Rows, Rows, NDArray[np.bool_]]]:
    """Splits in which a third of the classes is missing: (training rows, rows to predict, which of those are inside).

    Predicted are all rows of the missing classes (outside: no class of the model is right) and the rows of one fold
    (inside). None if there are too few classes to leave any out.
    """
    if classes < 3:
        return []
    order = np.random.default_rng(seed).permutation(classes)
    splits = []
    for number in range(rounds):
        missing = np.isin(codes, np.roll(order, -number * (classes // 3))[: classes // 3])
        inside = (fold == number) & ~missing
        if inside.any():
            rows = np.flatnonzero(inside | missing)
            splits.append((np.flatnonzero(~inside & ~missing), rows, inside[rows]))
    return splits
