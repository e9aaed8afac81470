"""What `triage evaluate` does: train, test, certify and compare, from rows to one JSON object and a table.

Certificates need rows that the model never saw and that chose nothing else. With a valid file its rows certify the
very model whose accuracy is reported. Without one, a fifth of the train rows, chosen by the hash of their text,
certifies a second fit that was made without them: threshold, coverage and wrong rate are then that second model's,
while accuracy is that of the model which saw all rows. Scores from cross-fitting would certify neither.
"""

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from classifier import artifact, baselines, metrics
from classifier.estimator import ArticleClassifier
from classifier.formats import jsonl
from classifier.formats.jsonl import Row
from classifier.ranked import Ranked, by_hash, certify, mixed, ranked
from classifier.report import table
from classifier.text import Document

__all__ = ["ALPHAS", "evaluate", "evaluate_rows", "table"]

Progress = Callable[[str], None]

CERTIFYING_SHARE = 0.2
ALPHAS = (0.05, 0.02, 0.01)
_BATCH = 1000


def evaluate(
    *,
    train: Path,
    test: Path,
    valid: Path | None = None,
    oos: Path | None = None,
    oos_share: float | None = None,
    alphas: Sequence[float] = ALPHAS,
    delta: float = 0.05,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The JSON object of the evaluate command, from files that `formats.jsonl` reads.

    `oos_share` thins the certification and the test rows so that this share of each is out of scope; None leaves
    them as they are. `progress` is told each step in words. ValueError (FormatError for a file) when something
    makes no sense.
    """
    return evaluate_rows(
        train=jsonl.read(train),
        test=jsonl.read(test),
        valid=jsonl.read(valid) if valid else (),
        oos=jsonl.read(oos, labelled=False) if oos else (),
        oos_share=oos_share,
        alphas=alphas,
        delta=delta,
        progress=progress,
    )


def evaluate_rows(
    *,
    train: Sequence[Row],
    test: Sequence[Row],
    valid: Sequence[Row] = (),
    oos: Sequence[Row] = (),
    oos_share: float | None = None,
    alphas: Sequence[float] = ALPHAS,
    delta: float = 0.05,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """What `evaluate` does, from rows."""
    _check(train=train, test=test, oos=oos, oos_share=oos_share)
    tell = progress or _silent
    tell(f"  0 %  training on {len(train):,} rows")
    began = time.perf_counter()
    model = _fitted(train)
    train_seconds = time.perf_counter() - began
    tell(f" 35 %  ranking {len(test):,} test rows")
    certifying_oos, tested_oos = by_hash(oos, 1 / 3, "out of scope")
    tested, outside = ranked(model, test), ranked(model, tested_oos, in_scope=False)
    natural = len(tested_oos) / (len(tested_oos) + len(test))
    result = {
        "rows": {"train": len(train), "test": len(test), "oos": len(oos)},
        "oos_share": round(natural if oos_share is None else oos_share, 6),
        "classes": len(model.classes_),
        **_accuracy(tested, outside, [row.label for row in test]),
    }
    certifier, rows, basis = model, list(valid), "the valid file"
    if not valid:
        rows, rest = by_hash(train, CERTIFYING_SHARE, "certification")
        basis = f"{100 * CERTIFYING_SHARE:g} % of the train rows, which a second fit did not see"
        tell(f" 40 %  training again without {len(rows):,} certification rows")
        certifier = _fitted(rest)
        tested, outside = ranked(certifier, test), ranked(certifier, tested_oos, in_scope=False)
    tell(" 75 %  certifying")
    calibration = mixed(ranked(certifier, rows), ranked(certifier, certifying_oos, in_scope=False), oos_share)
    measured = mixed(tested, outside, oos_share)
    result["certified"], said = certify(calibration, measured, alphas=alphas, delta=delta, model=certifier)
    result["certification"] = {
        "basis": basis,
        "delta": delta,
        "units": len(set(calibration.cluster.tolist())),
        "accuracy": _share(~tested.wrong),
        "said": said,
    }
    result["curves"]["risk"] = metrics.risk_curve(measured.score, measured.wrong)
    result |= _compared(model, train, test, tell)
    result["train_seconds"] = round(train_seconds, 2)
    tell("100 %  done")
    return result


def _compared(model: ArticleClassifier, train: Sequence[Row], test: Sequence[Row], tell: Progress) -> dict[str, Any]:
    """Families, baselines, speed and size."""
    documents = [row.document for row in test]
    families = _families(model, test)
    tell(" 77 %  baseline: BlazingText's documented defaults")
    defaults = baselines.blazingtext_defaults(train, test)
    tell(" 85 %  baseline: TF-IDF and LinearSVC")
    linear = baselines.tfidf_linearsvc(train, test)
    tell(" 95 %  measuring speed and size")
    return {
        "families": families,
        "baselines": {"blazingtext_defaults": {"accuracy": defaults}, "tfidf_linearsvc": {"accuracy": linear}},
        "us_per_ticket": round(microseconds(model, documents), 1),
        "model_bytes": model_bytes(model, documents[:20]),
    }


def _silent(_: str) -> None:
    pass


def _check(*, train: Sequence[Row], test: Sequence[Row], oos: Sequence[Row], oos_share: float | None) -> None:
    if len({row.label for row in train}) < 2:
        raise ValueError("the train rows hold fewer than two different labels: nothing can be learnt from them")
    if not test:
        raise ValueError("there are no test rows")
    if oos_share is not None and not 0.0 <= oos_share < 1.0:
        raise ValueError(f"the out-of-scope share must be at least 0 and below 1, not {oos_share}")
    if oos_share and len(oos) < 3:
        raise ValueError("an out-of-scope share needs out-of-scope rows: give at least three of them")


def _fitted(rows: Sequence[Row]) -> ArticleClassifier:
    return ArticleClassifier().fit([row.document for row in rows], [row.label for row in rows])


def _accuracy(tested: Ranked, outside: Ranked, labels: list[str]) -> dict[str, Any]:
    right = ~tested.wrong
    separation = metrics.separation(tested.in_scope, outside.in_scope)
    recall = metrics.recall_outside(tested.in_scope, outside.in_scope)
    return {
        "accuracy": _share(right),
        "accuracy_ci": [round(end, 6) for end in metrics.accuracy_interval(int(right.sum()), len(right))],
        "macro_f1": round(metrics.macro_f1(labels, tested.label.tolist()), 6),
        "ece": round(metrics.calibration_error(tested.probability, right), 6),
        "top3": _share(tested.top3),
        "oos_auroc": None if separation is None else round(separation, 6),
        "oos_recall_at_95": None if recall is None else round(recall, 6),
        "curves": {
            "reliability": metrics.reliability(tested.probability, right),
            "in_scope": {"test": metrics.histogram(tested.in_scope), "oos": metrics.histogram(outside.in_scope)},
            "confusions": metrics.confusions(labels, tested.label.tolist()),
        },
    }


def _share(right: npt.NDArray[np.bool_]) -> float:
    return round(float(right.mean()), 6)


def _families(model: ArticleClassifier, test: Sequence[Row]) -> dict[str, dict[str, float]]:
    labels = np.array([row.label for row in test])
    probabilities = model.family_proba([row.document for row in test])
    guesses = {name: model.classes_[rows.argmax(axis=1)] for name, rows in probabilities.items()}
    return {name: {"accuracy": _share(guess == labels)} for name, guess in sorted(guesses.items())}


def microseconds(model: ArticleClassifier, documents: Sequence[Document], *, batches: int = 5) -> float:
    """Microseconds a ticket from raw text to decision, on one core: the median of batches of 1,000."""
    taken = []
    with threadpool_limits(limits=1):
        for number in range(batches):
            batch = [documents[(number * _BATCH + place) % len(documents)] for place in range(_BATCH)]
            began = time.perf_counter()
            _ = [ranking.score >= 0.5 for ranking in model.rank(batch)]
            taken.append(time.perf_counter() - began)
    return float(np.median(taken)) * 1e6 / _BATCH


def model_bytes(model: ArticleClassifier, golden: Sequence[Document]) -> int:
    """The size of the saved artefact, all files together."""
    with tempfile.TemporaryDirectory() as folder:
        artifact.save(model, Path(folder) / "model", key=os.urandom(32), golden=golden, metadata={})
        return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
