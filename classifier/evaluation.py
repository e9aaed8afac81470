"""What `triage evaluate` does: train, test, certify and compare, from rows to one JSON object and a table.

Certificates need rows that the model never saw and that chose nothing else. With a valid file its rows certify the
very model whose accuracy is reported. Without one, a fifth of the train rows, chosen by the hash of their text,
certifies a second fit that was made without them: threshold, coverage and wrong rate are then that second model's,
while accuracy is that of the model which saw all rows. Scores from cross-fitting would certify neither.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from classifier import baselines, breakdown, cost, learning_curve, metrics, noise
from classifier.estimator import ArticleClassifier
from classifier.fasttext_model import FastTextError
from classifier.formats import jsonl
from classifier.formats.jsonl import Row
from classifier.profiles import AUTOMATIC, PROFILES
from classifier.ranked import Ranked, broken, by_hash, certify, mixed, ranked
from classifier.report import table

__all__ = ["ALPHAS", "EvaluationRefused", "evaluate", "evaluate_rows", "table"]

Progress = Callable[[str], None]

CERTIFYING_SHARE = 0.2
ALPHAS = (0.05, 0.02, 0.01)


class EvaluationRefused(ValueError):
    """These rows or options make no evaluation; the message says why and what to change."""


def evaluate(
    *,
    train: Path,
    test: Path,
    valid: Path | None = None,
    oos: Path | None = None,
    oos_share: float | None = None,
    alphas: Sequence[float] = ALPHAS,
    delta: float = 0.05,
    profile: str = AUTOMATIC,
    quick: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The JSON object of the evaluate command, from files that `formats.jsonl` reads.

    `oos_share` thins the certification and the test rows so that this share of each is out of scope; None leaves
    them as they are. `profile` names the classifier (see `profiles`). `quick` leaves the learning curve out.
    `progress` is told each step in words. EvaluationRefused (FormatError for a file) when something makes no sense.
    """
    return evaluate_rows(
        train=jsonl.read(train),
        test=jsonl.read(test),
        valid=jsonl.read(valid) if valid else (),
        oos=jsonl.read(oos, labelled=False) if oos else (),
        oos_share=oos_share,
        alphas=alphas,
        delta=delta,
        profile=profile,
        quick=quick,
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
    profile: str = AUTOMATIC,
    quick: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """What `evaluate` does, from rows."""
    _check(train=train, test=test, oos=oos, oos_share=oos_share, profile=profile)
    tell = progress or _silent
    tell(f"  0 %  training on {len(train):,} rows")
    model, trained = _trained(train, profile)
    result: dict[str, Any] = {"rows": {"train": len(train), "test": len(test), "oos": len(oos)}, **trained}
    tell(f" 20 %  ranking {len(test):,} test rows")
    held_oos, tested_oos = by_hash(oos, 1 / 3, "out of scope")
    rows = _Rows(train=train, test=test, valid=valid, held_oos=held_oos, tested_oos=tested_oos)
    found = ranked(model, test), ranked(model, tested_oos, in_scope=False)
    natural = len(tested_oos) / (len(tested_oos) + len(test))
    result["oos_share"] = round(natural if oos_share is None else oos_share, 6)
    result |= _accuracy(*found, [row.label for row in test])
    result["per_class"] = _per_class(model, found[0], train=train, test=test)
    promised, risk = _promised(model, found, rows, oos_share, alphas, delta, profile=profile, tell=tell)
    result |= promised
    result["curves"]["risk"] = risk
    tell(" 47 %  baselines: BlazingText's documented defaults; TF-IDF and LinearSVC")
    result |= baselines.compared(model, train=train, test=test, profile=profile)
    # a model below the baseline calls most labels wrong, and is wrong itself
    result["suspects"] = [] if result["warning"] else _suspects(model, train)
    result |= _learning(train, test, ~found[0].wrong, profile=profile, quick=quick, tell=tell)
    tell(" 96 %  measuring speed and size")
    result |= cost.measured(model, [row.document for row in test])
    tell("100 %  done")
    return result


def _trained(train: Sequence[Row], profile: str) -> tuple[ArticleClassifier, dict[str, Any]]:
    """The model whose accuracy is reported, and what its training was."""
    began = time.perf_counter()
    model = _fitted(train, profile)
    seconds = time.perf_counter() - began
    return model, {"profile": profile, "classes": len(model.classes_), "train_seconds": round(seconds, 2)}


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """What is trained on, tested on and certified on; out-of-scope rows on either side."""

    train: Sequence[Row]
    test: Sequence[Row]
    valid: Sequence[Row]
    held_oos: Sequence[Row]
    tested_oos: Sequence[Row]


def _promised(
    model: ArticleClassifier,
    found: tuple[Ranked, Ranked],
    rows: _Rows,
    oos_share: float | None,
    alphas: Sequence[float],
    delta: float,
    *,
    profile: str,
    tell: Progress,
) -> tuple[dict[str, Any], list[dict[str, float]]]:
    """What could be certified and what it does by language, and the risk-coverage curve of the certified model.

    `found` is what `model` says of the test rows and of the out-of-scope ones beside them.
    """
    right = ~found[0].wrong
    certifier, held, basis = _certifier(model, rows, profile=profile, tell=tell)
    if certifier is not model:
        found = ranked(certifier, rows.test), ranked(certifier, rows.tested_oos, in_scope=False)
    tell(" 45 %  certifying")
    calibration = mixed(ranked(certifier, held), ranked(certifier, rows.held_oos, in_scope=False), oos_share)
    measured = mixed(*found, oos_share)
    certified, said = certify(calibration, measured, alphas=alphas, delta=delta, model=certifier)
    alpha = next((key for key, one in certified.items() if one), None)
    runs = None if alpha is None else found[0].score >= (certified[alpha] or {})["threshold"]
    certification = {
        "basis": basis,
        "delta": delta,
        "units": len(set(calibration.cluster.tolist())),
        "accuracy": _share(~found[0].wrong),
        "said": said,
        "broken": broken(certified, measured),
        "languages_at": alpha,
    }
    given = [row.language for row in rows.test]
    languages = breakdown.by_language(given=given, guessed=found[0].language.tolist(), right=right, runs=runs)
    curve = metrics.risk_curve(measured.score, measured.wrong)
    return {"certified": certified, "certification": certification, "languages": languages}, curve


def _certifier(
    model: ArticleClassifier, rows: _Rows, *, profile: str, tell: Progress
) -> tuple[ArticleClassifier, list[Row], str]:
    """The model to certify, rows that it never saw, and where they are from: a second fit where no valid file is."""
    if rows.valid:
        return model, list(rows.valid), "the valid file"
    held, rest = by_hash(rows.train, CERTIFYING_SHARE, "certification")
    tell(f" 22 %  training again without {len(held):,} certification rows")
    basis = f"{100 * CERTIFYING_SHARE:g} % of the train rows, which a second fit did not see"
    return _fitted(rest, profile), held, basis


def _learning(
    train: Sequence[Row],
    test: Sequence[Row],
    right: npt.NDArray[np.bool_],
    *,
    profile: str,
    quick: bool,
    tell: Progress,
) -> dict[str, Any]:
    """The learning curve and what it says."""
    if quick:
        return {"learning_curve": [], "learning_curve_said": ""}
    points = learning_curve.curve(
        train=train,
        test=test,
        whole=right,
        untrained=PROFILES[profile],
        tell=lambda share: tell(f" {60 + round(30 * share)} %  learning curve: {100 * share:g} % of the labels"),
    )
    return {
        "learning_curve": [point.as_dict() for point in points],
        "learning_curve_said": learning_curve.said(points),
    }


def _suspects(model: ArticleClassifier, train: Sequence[Row]) -> list[dict[str, Any]]:
    """Train rows whose label is probably wrong, by their line in the file (their place, for rows from elsewhere)."""
    rows, probabilities = model.out_of_fold_
    found = noise.suspects([train[row].label for row in rows], probabilities, model.classes_.tolist())
    places = [(int(rows[suspect.row]), suspect) for suspect in found]
    return [
        {
            "row": train[place].line or place + 1,
            "label": suspect.label,
            "likely": suspect.likely,
            "probability": suspect.probability,
            "self_confidence": suspect.self_confidence,
        }
        for place, suspect in places
    ]


def _per_class(
    model: ArticleClassifier, tested: Ranked, *, train: Sequence[Row], test: Sequence[Row]
) -> list[dict[str, Any]]:
    return breakdown.per_class(
        actual=[row.label for row in test],
        predicted=tested.label.tolist(),
        probability=tested.probability,
        classes=model.classes_.tolist(),
        trained=Counter(row.label for row in train),
    )


def _silent(_: str) -> None:
    pass


def _check(
    *, train: Sequence[Row], test: Sequence[Row], oos: Sequence[Row], oos_share: float | None, profile: str
) -> None:
    if profile not in PROFILES:
        raise EvaluationRefused(f"there is no profile {profile!r}; choose from {', '.join(PROFILES)}")
    if len({row.label for row in train}) < 2:
        raise EvaluationRefused("the train rows hold fewer than two different labels: nothing can be learnt from them")
    if not test:
        raise EvaluationRefused("there are no test rows")
    if oos_share is not None and not 0.0 <= oos_share < 1.0:
        raise EvaluationRefused(f"the out-of-scope share must be at least 0 and below 1, not {oos_share}")
    if oos_share and len(oos) < 3:
        raise EvaluationRefused("an out-of-scope share needs out-of-scope rows: give at least three of them")


def _fitted(rows: Sequence[Row], profile: str) -> ArticleClassifier:
    try:
        return PROFILES[profile]().fit([row.document for row in rows], [row.label for row in rows])
    except (ValueError, FastTextError) as error:
        raise EvaluationRefused(
            f"{len(rows):,} rows cannot be learnt from with the profile {profile!r}: {error}"
        ) from error


def _accuracy(tested: Ranked, outside: Ranked, labels: list[str]) -> dict[str, Any]:
    right = ~tested.wrong
    separation = metrics.separation(tested.in_scope, outside.in_scope)
    recall = metrics.recall_outside(tested.in_scope, outside.in_scope)
    return {
        "accuracy": _share(right),
        "accuracy_ci": [round(end, 6) for end in metrics.accuracy_interval(int(right.sum()), len(right))],
        "macro_f1": round(metrics.macro_f1(labels, tested.label.tolist()), 6),
        "ece": round(metrics.calibration_error(tested.probability, right), 6),
        "ece_ci": [round(end, 6) for end in metrics.calibration_interval(tested.probability, right)],
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
