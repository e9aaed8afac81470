"""Rows with what a model said of them: split and mixed by hash, and certified.

Everything is decided by the hash of a text, never by chance or by a verdict, so that an evaluation repeats and equal
texts always land on the same side.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from classifier.bounds import NotCertifiable, tail
from classifier.certificate import Gate, one_look, plan
from classifier.draws import fraction
from classifier.estimator import ArticleClassifier, Ranking
from classifier.formats.jsonl import Row
from classifier.text import text_hash

UNLIKELY = 0.001
_BATCH = 1000


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """One entry a row in each array; an out-of-scope row is wrong whatever is said of it."""

    label: npt.NDArray[np.str_]
    cluster: npt.NDArray[np.str_]
    probability: npt.NDArray[np.float64]
    score: npt.NDArray[np.float64]
    in_scope: npt.NDArray[np.float64]
    language: npt.NDArray[np.str_]
    wrong: npt.NDArray[np.bool_]
    top3: npt.NDArray[np.bool_]

    def joined(self, other: Self) -> Self:
        """These rows and the others after them."""
        names = [field.name for field in fields(self)]
        return replace(self, **{name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in names})

    def first(self, count: int) -> Self:
        """The `count` rows that come first by hash, in the order in which they stand here."""
        place = [fraction("thinning", f"{cluster} {number}") for number, cluster in enumerate(self.cluster)]
        kept = np.sort(np.argsort(place, kind="stable")[:count])
        return replace(self, **{field.name: getattr(self, field.name)[kept] for field in fields(self)})


def by_hash(rows: Sequence[Row], share: float, purpose: str) -> tuple[list[Row], list[Row]]:
    """Rows whose text's hash falls into the share, and the others: equal texts always land together."""
    chosen = [fraction(purpose, text_hash(row.document)) < share for row in rows]
    return (
        [row for row, is_in in zip(rows, chosen, strict=True) if is_in],
        [row for row, is_in in zip(rows, chosen, strict=True) if not is_in],
    )


def ranked(model: ArticleClassifier, rows: Sequence[Row], *, in_scope: bool = True) -> Ranked:
    """What the model says of rows, in batches."""
    rankings: list[Ranking] = []
    for start in range(0, len(rows), _BATCH):
        rankings += model.rank([row.document for row in rows[start : start + _BATCH]], k=3)
    top = [ranking.matches[0] for ranking in rankings]
    labels = [[match.label for match in ranking.matches] for ranking in rankings]
    return Ranked(
        label=np.array([match.label for match in top], dtype=np.str_),
        cluster=np.array([text_hash(row.document) for row in rows], dtype=np.str_),
        probability=np.array([match.probability for match in top], dtype=np.float64),
        score=np.array([ranking.score for ranking in rankings], dtype=np.float64),
        in_scope=np.array([ranking.evidence.in_scope for ranking in rankings], dtype=np.float64),
        language=np.array([ranking.evidence.language for ranking in rankings], dtype=np.str_),
        wrong=np.array(
            [not in_scope or said[0] != row.label for said, row in zip(labels, rows, strict=True)], dtype=np.bool_
        ),
        top3=np.array([row.label in said[:3] for said, row in zip(labels, rows, strict=True)], dtype=np.bool_),
    )


def mixed(inside: Ranked, outside: Ranked, share: float | None) -> Ranked:
    """Both together, whichever are too many thinned by hash so that `share` of the rows is out of scope."""
    if share is None:
        return inside.joined(outside)
    most = int(len(inside.score) * share / (1 - share))
    if most <= len(outside.score):
        return inside.joined(outside.first(most))
    return inside.first(int(len(outside.score) * (1 - share) / share)).joined(outside)


def broken(certified: Mapping[str, dict[str, float] | None], measured: Ranked) -> dict[str, str]:
    """By alpha, a sentence where more was wrong than luck explains: such certificates do not hold for these rows.

    Said where a run that is wrong with probability alpha gives so many wrong rows in less than one of 1,000 cases.
    """
    found = {}
    for alpha, one in certified.items():
        if one is None:
            continue
        runs = measured.score >= one["threshold"]
        wrong, count = int(measured.wrong[runs].sum()), int(runs.sum())
        if wrong and 1 - tail(wrong - 1, count, float(alpha)) < UNLIKELY:
            found[alpha] = (
                f"Certified were at most {100 * float(alpha):g} % wrong, but of {count:,} test rows that would run "
                f"{wrong:,} ({100 * wrong / count:.1f} %) are: the test rows are not like those that certified. "
                "Certify on rows of the kind and time that will come."
            )
    return found


def certify(
    calibration: Ranked, measured: Ranked, *, alphas: Sequence[float], delta: float, model: ArticleClassifier
) -> tuple[dict[str, dict[str, float] | None], dict[str, str]]:
    """For each alpha the certificate, or None where nothing can be certified, and the sentence that says why.

    One look on the basis of history; thresholds are planned on the certification rows' own unlabelled scores, and
    coverage and wrong rate are measured on rows that had no part in it.
    """
    gate = Gate(text=model.pipeline_.version, model="evaluated", calibrator="evaluated", evidence="evaluated",
                extractor="none", runbooks=())  # fmt: skip
    certified: dict[str, dict[str, float] | None] = {}
    said: dict[str, str] = {}
    for alpha in alphas:
        key = f"{alpha:g}"
        certified[key] = None
        try:
            registration = plan(calibration.score.tolist(), clusters=calibration.cluster.tolist(), gate=gate.hash,
                                runbooks=(), alpha=alpha, delta=delta, basis="history")  # fmt: skip
        except NotCertifiable as refusal:
            said[key] = f"Not certified: {refusal}."
            continue
        verdict = one_look(
            registration,
            scores=calibration.score.tolist(),
            wrong=calibration.wrong.tolist(),
            clusters=calibration.cluster.tolist(),
        )
        said[key] = verdict.sentence
        if verdict.threshold is not None:
            runs = measured.score >= verdict.threshold
            certified[key] = {
                "threshold": verdict.threshold,
                "coverage": round(float(runs.mean()), 6),
                "wrong_rate": round(float(measured.wrong[runs].mean()), 6) if runs.any() else 0.0,
                "upper_bound": round(verdict.upper_bound, 6),
                "n": verdict.n,
            }
    return certified, said
