"""Is the classifier ever worse than TF-IDF and LinearSVC on small, lopsided or crowded data? Cross-validated, paired.

    python -m tests.benchmarks.robustness --json F [FILE ...] [--rows N] [--classes K] [--seed S] [--grid]

For each labelled file (without one: generated tickets) both are trained and tested on the same folds, and the
difference of their accuracies gets a 95 % interval from 10,000 paired bootstrap resamples of the rows. Exit 1 when
an interval's upper limit lies more than half a point below zero: then we are worse beyond doubt. A class
whose rows all lie in one fold (it has one row, or one text) is unknown when they are tested: they count as wrong for
both, and `unlearnable` says how many they are.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from classifier.estimator import ArticleClassifier
from classifier.formats import jsonl
from classifier.formats.jsonl import FormatError, Row
from classifier.text import text_hash
from tests.benchmarks.tickets import generated, raw
from tests.benchmarks.written import write

ROWS, CLASSES = range(300, 50_001), range(3, 201)
GRID_ROWS, GRID_CLASSES = (300, 1_000, 3_000), (3, 20, 77, 150)
MARGIN = 0.005
RESAMPLES = 10_000
ENOUGH = 0.8  # of the rows that a cell of the grid asks for; a file with fewer has no such cell

Labels = npt.NDArray[np.str_]
Learner = Callable[[Sequence[Row], Sequence[Row]], Labels]


class Unfit(ValueError):
    """Rows that cannot be compared on; the message says why and what to do."""


def ours(train: Sequence[Row], test: Sequence[Row], *, jobs: int = 1) -> Labels:
    """Labels by the classifier as it comes, trained on `train`."""
    model = ArticleClassifier(jobs=jobs).fit([row.document for row in train], [row.label for row in train])
    return model.predict([row.document for row in test])


def baseline(train: Sequence[Row], test: Sequence[Row]) -> Labels:
    """Labels by TF-IDF over words, word pairs and characters with LinearSVC (C = 0.5), from raw text."""
    return np.asarray(tfidf_linearsvc().fit(raw(train), [row.label for row in train]).predict(raw(test)))


def tfidf_linearsvc() -> Any:
    """What anybody would try first, not yet trained."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline, make_union
    from sklearn.svm import LinearSVC

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    return make_pipeline(make_union(words, characters), LinearSVC(C=0.5, random_state=0))


def subset(rows: Sequence[Row], *, count: int | None, classes: int | None, seed: int) -> list[Row]:
    """Random rows of random classes, in random order.

    Classes are those that a random order of the rows meets first, so that frequent ones are the likelier.
    """
    order = np.random.default_rng(seed).permutation(len(rows)).tolist()
    met = list(dict.fromkeys(rows[place].label for place in order))
    chosen = set(met[:classes])
    return [rows[place] for place in order if rows[place].label in chosen][:count]


def folds(rows: Sequence[Row], *, count: int, seed: int) -> npt.NDArray[np.intp]:
    """A fold a row, classes spread evenly; equal texts share one, whatever their labels."""
    groups: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        groups.setdefault(text_hash(row.document), []).append(place)
    shuffled = [list(groups.values())[i] for i in np.random.default_rng(seed).permutation(len(groups))]
    fold = np.empty(len(rows), dtype=np.intp)
    for number, places in enumerate(sorted(shuffled, key=lambda places: rows[places[0]].label)):
        fold[places] = number % count
    return fold


def compared(
    rows: Sequence[Row], *, learner: Learner = ours, against: Learner = baseline, count: int = 5, seed: int = 0
) -> dict[str, Any]:
    """Accuracies of both, their difference with its interval, and whether it fails; Unfit for too few or many rows."""
    _check(rows)
    began, labels, fold = (
        time.perf_counter(),
        np.array([row.label for row in rows]),
        folds(rows, count=count, seed=seed),
    )
    right, theirs = np.zeros(len(rows), np.bool_), np.zeros(len(rows), np.bool_)
    unlearnable = 0
    for number in range(count):
        train = [row for row, place in zip(rows, fold, strict=True) if place != number]
        tested = np.flatnonzero(fold == number)
        test = [rows[place] for place in tested.tolist()]
        right[tested] = learner(train, test) == labels[tested]
        theirs[tested] = against(train, test) == labels[tested]
        unlearnable += int((~np.isin(labels[tested], [row.label for row in train])).sum())
    low, high = interval(right, theirs, seed=seed)
    return {
        "rows": len(rows), "classes": len(set(labels.tolist())), "folds": count, "seed": seed, "unlearnable": unlearnable,
        "accuracy": round(float(right.mean()), 6), "baseline": round(float(theirs.mean()), 6),
        "difference": round(float(right.mean() - theirs.mean()), 6), "interval": [round(low, 6), round(high, 6)],
        "failed": bool(high < -MARGIN), "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip


def interval(right: npt.NDArray[np.bool_], theirs: npt.NDArray[np.bool_], *, seed: int) -> tuple[float, float]:
    """The 95 % percentile interval of the accuracy difference over resamples of the rows, both judged on the same ones.

    A row adds -1, 0 or 1, so a resample of n rows is one multinomial draw of how often each of the three occurs.
    """
    n = len(right)
    won, lost = int((right & ~theirs).sum()), int((theirs & ~right).sum())
    drawn = np.random.default_rng(seed).multinomial(n, [won / n, lost / n, (n - won - lost) / n], size=RESAMPLES)
    low, high = np.quantile((drawn[:, 0] - drawn[:, 1]) / n, [0.025, 0.975])
    return float(low), float(high)


def _check(rows: Sequence[Row]) -> None:
    classes = len({row.label for row in rows})
    if len(rows) not in ROWS:
        raise Unfit(
            f"{len(rows):,} rows; this compares on {ROWS[0]:,} to {ROWS[-1]:,}: give more, or take --rows of them"
        )
    if classes not in CLASSES:
        raise Unfit(f"{classes} classes; this compares on {CLASSES[0]} to {CLASSES[-1]}: take --classes of them")


def cells(rows: Sequence[Row], *, seed: int) -> Iterator[list[Row]]:
    """The subsets of the stated grid that a file is large enough for, small ones first."""
    most = len({row.label for row in rows})
    for count, classes in product(GRID_ROWS, sorted({min(classes, most) for classes in GRID_CLASSES})):
        chosen = subset(rows, count=count, classes=classes, seed=seed)
        if len(chosen) >= ENOUGH * count and len(chosen) in ROWS:
            yield chosen


def line(result: dict[str, Any]) -> str:
    """One row of the table."""
    low, high = result["interval"]
    verdict = "WORSE" if result["failed"] else "below" if result["difference"] < 0 else ""
    return (
        f"{result['file']:<40.40} {result['rows']:>6} {result['classes']:>4} {result['accuracy']:>8.4f} "
        f"{result['baseline']:>8.4f} {result['difference']:>+8.4f} [{low:+.4f}, {high:+.4f}] {verdict}"
    )


HEAD = f"{'file':<40} {'rows':>6} {'cls':>4} {'ours':>8} {'baseline':>8} {'differs':>8} 95 % interval"


def main(given: Sequence[str] | None = None) -> int:
    """Compare on each file; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="labelled JSON Lines, gzip or plain")
    parser.add_argument("--rows", type=int, help="a random part of each file, with so many rows")
    parser.add_argument("--classes", type=int, help="so many random classes of each file")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--grid", action="store_true", help=f"{GRID_ROWS} rows x {GRID_CLASSES} classes where there")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--jobs", type=int, choices=(1, 2), default=1, help="threads; never changes the result")
    parser.add_argument("--json", metavar="F", help="where to write the figures; - for standard output")
    options = parser.parse_args(given)
    if options.folds < 2:
        parser.error(f"--folds {options.folds}: give at least 2")
    results: list[dict[str, Any]] = []
    print(HEAD, file=sys.stderr)
    try:
        for name, rows in _sources(options):
            result = compared(
                rows, learner=lambda a, b: ours(a, b, jobs=options.jobs), count=options.folds, seed=options.seed
            )
            results.append({"file": name, **result})
            print(line(results[-1]), file=sys.stderr, flush=True)
    except (FormatError, Unfit) as refusal:
        parser.error(str(refusal))
    failed = sum(result["failed"] for result in results)
    below = sum(result["difference"] < 0 for result in results)
    print(f"{len(results)} comparisons: {below} below the baseline, {failed} worse beyond doubt", file=sys.stderr)
    write({"failed": failed, "below": below, "margin": MARGIN, "results": results}, options.json)
    return 1 if failed else 0


def _sources(options: argparse.Namespace) -> Iterator[tuple[str, list[Row]]]:
    """(name, rows) of everything that is to be compared on."""
    for path in options.files or [None]:
        rows = jsonl.read(path) if path else generated(train=3_000, held_out=0).train
        name = "/".join(path.parts[-2:]) if path else "generated"
        if options.grid:
            yield from ((name, chosen) for chosen in cells(rows, seed=options.seed))
        else:
            yield name, subset(rows, count=options.rows, classes=options.classes, seed=options.seed)


if __name__ == "__main__":
    sys.exit(main())
