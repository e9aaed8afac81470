"""Microseconds a ticket of the classifier, of stock fastText and of scikit-learn's pipeline, in turns on one core."""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import fasttext
import numpy as np
from threadpoolctl import threadpool_limits

from classifier.estimator import ArticleClassifier
from classifier.formats.jsonl import Row
from tests.benchmarks.robustness import tfidf_linearsvc
from tests.benchmarks.tickets import raw

BATCH = 1_000
STOCK = {"lr": 0.5, "epoch": 25, "wordNgrams": 2, "dim": 50, "bucket": 200_000, "seed": 0, "thread": 1, "verbose": 0}
"""Near what fastText's own tutorial arrives at, with the loss that it comes with."""


class Contender(NamedTuple):
    """How rows become what is handed over, what is timed, and how the labels are read from its answer."""

    prepare: Callable[[Sequence[Row]], Any]
    answer: Callable[[Any], Any]
    labels: Callable[[Any], list[str]]


def contenders(model: ArticleClassifier, train: Sequence[Row]) -> dict[str, Contender]:
    """The trained classifier, and the others trained on the same rows, under their names in the figures."""
    pipeline = tfidf_linearsvc().fit(raw(train), [row.label for row in train])
    plain, names = stock(train)

    def decided(documents: Any) -> list[tuple[str, bool]]:
        return [(one.matches[0].label, one.score >= 0.5) for one in model.rank(documents)]

    def one_by_one(given: Any) -> list[str]:
        return [plain.predict(line)[0][0] for line in given]

    def together(given: Any) -> list[str]:
        return [labels[0] for labels in plain.predict(given)[0]]

    def named(told: Any) -> list[str]:
        return [names[label] for label in told]

    return {
        "us_per_ticket": Contender(
            lambda rows: [row.document for row in rows], decided, lambda told: [label for label, _ in told]
        ),
        "stock_fasttext_us": Contender(lines, one_by_one, named),
        "stock_fasttext_multiline_us": Contender(lines, together, named),
        "sklearn_us": Contender(raw, pipeline.predict, list),
    }


def stock(rows: Sequence[Row]) -> tuple[Any, dict[str, str]]:
    """Plain fastText on the same rows, shuffled since it does not do that itself; and what its labels stand for."""
    number = {label: f"__label__{place}" for place, label in enumerate(sorted({row.label for row in rows}))}
    told = [f"{number[row.label]} {line}\n" for row, line in zip(rows, lines(rows), strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.txt"
        path.write_text("".join(told[i] for i in np.random.default_rng(0).permutation(len(told))), encoding="utf-8")
        return fasttext.train_supervised(str(path), **STOCK), {name: label for label, name in number.items()}


def lines(rows: Sequence[Row]) -> list[str]:
    """One line a row: fastText refuses line ends, and would take `__label__` for one of its own."""
    return [" ".join(text.replace("\0", " ").replace("__label__", " ").split()) or "." for text in raw(rows)]


def timed(against: dict[str, Contender], rows: Sequence[Row], *, rounds: int) -> dict[str, list[float]]:
    """Microseconds a row of each contender in each round: median, least and most.

    In each round all answer the same batch, one after another, on one core; a first round warms up. Batches follow
    one another through the rows and begin anew at their end.
    """
    taken: dict[str, list[float]] = {name: [] for name in against}
    with threadpool_limits(limits=1):
        for number in range(rounds + 1):
            batch = [rows[(number * BATCH + place) % len(rows)] for place in range(BATCH)]
            for name, one in against.items():
                given = one.prepare(batch)
                began = time.perf_counter()
                one.answer(given)
                taken[name].append((time.perf_counter() - began) * 1e6 / BATCH)
    return {name: _spread(each[1:]) for name, each in taken.items()}


def _spread(values: Sequence[float]) -> list[float]:
    return [round(value, 2) for value in (statistics.median(values), min(values), max(values))]


def accuracy(one: Contender, rows: Sequence[Row]) -> float:
    """The share of rows that a contender names rightly, so that nobody is compared with a model that learnt nothing."""
    said = one.labels(one.answer(one.prepare(rows)))
    return round(sum(label == row.label for label, row in zip(said, rows, strict=True)) / len(rows), 4)


def speeds(model: ArticleClassifier, train: Sequence[Row], rows: Sequence[Row], *, rounds: int) -> dict[str, Any]:
    """Medians by name, the spread behind each, and how many times faster than scikit-learn and slower than fastText."""
    against = contenders(model, train)
    found = timed(against, rows, rounds=rounds)
    medians = {name: values[0] for name, values in found.items()}
    return {
        **medians,
        "accuracies": {name: accuracy(one, rows) for name, one in against.items()},
        "spread": {name: {"least": low, "most": high} for name, (_, low, high) in found.items()},
        "times_faster_than_sklearn": round(medians["sklearn_us"] / medians["us_per_ticket"], 2),
        "times_stock_fasttext": round(medians["us_per_ticket"] / medians["stock_fasttext_us"], 2),
    }
