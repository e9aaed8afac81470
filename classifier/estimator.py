"""ArticleClassifier: raw tickets in, ranked articles with calibrated probabilities, evidence and one score out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from classifier import pretraining
from classifier.calibration import Scores, folds, softmax
from classifier.combination import Scored, combination, scored, scored_unseen
from classifier.crossfit import Rows, Trainer, Unseen, without_some_classes
from classifier.evidence import Counts, Evidence, EvidenceRule, count, languages_of
from classifier.fasttext_model import FastTextModel
from classifier.linear_model import LinearModel, rows_asked
from classifier.text import Document, TextPipeline

FAMILIES = ("both", "linear", "fasttext")

OUTSIDE = 0.03
"""The share of out-of-scope tickets that scores are made for.

The in-scope score itself says how likely a ticket is in scope where half of all tickets are. Taken as it is, it bars
good matches: with 3 % out of scope, .84 and .73 of CLINC150's validation rows came before 2 and 1 % were wrong, with
this share .87 and .79 (and no fewer where 1, 6 or 15 % were out of scope).
"""


class Match(NamedTuple):
    """An article's label with its calibrated probability (0..1, six decimal places)."""

    label: str
    probability: float


@dataclass(frozen=True)
class Ranking:
    """The best matches of one ticket, best first, with what supports them; `line` is the text as the models saw it."""

    matches: tuple[Match, ...]
    evidence: Evidence
    line: str

    @property
    def score(self) -> float:
        """What certificates put a threshold on: how likely the best match is right, 0..1, six decimal places.

        Its probability times that of being in scope where OUTSIDE of all tickets are not. 0 where evidence is
        insufficient.
        """
        return _gate_score(self.matches[0].probability, self.evidence) if self.matches else 0.0

    def as_dict(self) -> dict[str, Any]:
        """The ranking as JSON values."""
        return {
            "matches": [{"label": match.label, "probability": match.probability} for match in self.matches],
            "evidence": self.evidence.as_dict(),
            "line": self.line,
            "score": self.score,
        }


def _gate_score(probability: float, evidence: Evidence) -> float:
    if not evidence.sufficient:
        return 0.0
    inside, outside = evidence.in_scope * (1 - OUTSIDE), (1 - evidence.in_scope) * OUTSIDE
    return round(probability * inside / (inside + outside), 6)


class OutOfFold(NamedTuple):
    """Training rows (their numbers) with the probabilities (n, classes) that models gave which did not see them."""

    rows: Rows
    probabilities: Scores


class ArticleClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Which article solves a ticket: fastText and a linear family, combined and calibrated on out-of-fold predictions.

    `folds` (at least 2; more are slower and a little better calibrated), `jobs` (1 or 2 threads; never changes the
    result). None for a family means its defaults. `families` ("both", "linear" or "fasttext"): whose scores make the
    probabilities; of "both" one has none where the other alone does better. Learned: `classes_`, `linear_`,
    `fasttext_`, `weights_`, `rule_`, `report_` (measured out of fold) and, until it is stored, `out_of_fold_` with
    `out_of_fold_scores_` (n,), the scores of its rows.
    """

    def __init__(
        self,
        *,
        pipeline: TextPipeline | None = None,
        linear: LinearModel | None = None,
        fasttext: FastTextModel | None = None,
        families: str = "both",
        folds: int = 5,
        jobs: int = 2,
        seed: int = 0,
    ) -> None:
        self.pipeline = pipeline
        self.linear = linear
        self.fasttext = fasttext
        self.families = families
        self.folds = folds
        self.jobs = jobs
        self.seed = seed

    def fit(
        self,
        documents: Sequence[Document],
        labels: Sequence[str],
        *,
        out_of_scope: Sequence[Document] = (),
        unlabelled: Sequence[Document] = (),
    ) -> Self:
        """Train both families, their combination, its calibration and the evidence rule.

        `out_of_scope` are tickets that no article covers; they help to tell such tickets and are not needed.
        `unlabelled` are any other tickets' texts; word vectors from them are used where they help (`pretraining`).
        Raises ValueError for fewer than two labels, or where no label has two different texts.
        """
        self.pipeline_ = self.pipeline or TextPipeline()
        lines = self.pipeline_.lines(documents)
        _check(lines, labels, fold_count=self.folds, families=self.families)
        self.classes_, codes = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
        trainer = self._trainer(lines, codes)
        by_fold, reduced = self._splits(lines, labels, codes)
        splits = [*by_fold, *((training, rows) for training, rows, _ in reduced)]
        trainer, unseen, pretrained = pretraining.chosen(
            trainer,
            trainer.unseen(splits),
            splits,
            codes=codes,
            regular=len(by_fold),
            unlabelled=self.pipeline_.lines(unlabelled),
            families=self.families,
            seed=self.seed,
        )
        regular = unseen[: len(by_fold)]
        special = list(zip(unseen[len(by_fold) :], (inside for *_, inside in reduced), strict=True))
        predicted = np.concatenate([rows for _, rows in by_fold])
        self._learn_weights(regular, predicted, codes)
        self.report_ |= pretrained
        self.linear_, self.fasttext_ = trainer.final()
        self.linear_.fuse(self.weights_.blend)
        outside, languages = self.pipeline_.lines(out_of_scope), languages_of(lines, seed=self.seed)
        self.rule_ = self._learn_rule(regular, special, outside=outside, languages=languages)
        self.out_of_fold_scores_ = self._scores_unseen(regular, [lines[row] for row in predicted.tolist()])
        return self

    def predict_proba(self, documents: Sequence[Document]) -> Scores:
        """Probabilities (n, classes), cut to six decimal places, so that rows sum to at most 1."""
        return self._score(self.pipeline_.lines(documents)).probabilities

    def predict(self, documents: Sequence[Document]) -> NDArray[Any]:
        """The most probable label of each document."""
        return np.asarray(self.classes_[self.predict_proba(documents).argmax(axis=1)])

    def family_proba(self, documents: Sequence[Document]) -> dict[str, Scores]:
        """Each family's own calibrated probabilities, (n, classes) by name: "linear" and "fasttext"."""
        lines = self.pipeline_.lines(documents)
        linear, fasttext = self.linear_.decision_function(lines), self.fasttext_.decision_function(lines)
        return {"linear": softmax(linear), "fasttext": softmax(self.weights_.fasttext_alone * fasttext)}

    def rank(self, documents: Sequence[Document], k: int = 5) -> list[Ranking]:
        """The k best matches of each document, best first, with evidence; equal in batches of any size."""
        lines = self.pipeline_.lines(documents)
        scored = self._score(lines)
        best = _best(scored.probabilities, k=min(k, len(self.classes_)))
        classes = self.classes_.tolist()
        labels = [[classes[column] for column in row] for row in best.tolist()]
        probabilities = np.take_along_axis(scored.probabilities, best, axis=1).tolist()
        in_scope, agreement = self.rule_.in_scope(scored.signals).tolist(), scored.agreement.tolist()
        numbers = np.column_stack([scored.counts.tokens, scored.counts.words, scored.counts.known]).tolist()
        rankings = []
        for i, line in enumerate(lines):
            tokens, words, known = numbers[i]
            evidence = self.rule_.judge(
                line, tokens=tokens, words=words, known=known, in_scope=in_scope[i], agreement=agreement[i]
            )
            matches = tuple(map(Match, labels[i], probabilities[i]))
            rankings.append(Ranking(matches=matches, evidence=evidence, line=line))
        return rankings

    def _trainer(self, lines: Sequence[str], codes: Rows) -> Trainer:
        return Trainer(
            lines=lines,
            labels=self.classes_[codes],
            linear=self.linear or LinearModel(min_rows=rows_asked(len(lines)), seed=self.seed),
            fasttext=self.fasttext or FastTextModel(seed=self.seed),
            jobs=self.jobs,
        )

    def _splits(
        self, lines: Sequence[str], labels: Sequence[str], codes: Rows
    ) -> tuple[list[tuple[Rows, Rows]], list[tuple[Rows, Rows, NDArray[np.bool_]]]]:
        """(training rows, rows to predict) by folds, and with every class left out once."""
        fold = folds(lines, labels, count=self.folds, seed=self.seed)
        by_fold = [(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in range(self.folds)]
        reduced = without_some_classes(fold, codes, classes=len(self.classes_), rounds=3, seed=self.seed)
        return [split for split in by_fold if len(split[1])], reduced

    def _score(self, lines: Sequence[str]) -> Scored:
        linear, bayes = self.linear_.decisions(lines)
        counts = count(lines, self.linear_.features_.words)
        return scored(linear, bayes, self.fasttext_.decision_function(lines), counts=counts, weights=self.weights_)

    def _scores_unseen(self, unseen: Sequence[Unseen], lines: Sequence[str]) -> NDArray[np.float64]:
        """The scores (n,) of rows by models that did not see them, in the order of their lines."""
        found: list[float] = []
        for rows in (scored_unseen(one, self.weights_) for one in unseen):
            numbers = np.column_stack([rows.counts.tokens, rows.counts.words, rows.counts.known]).tolist()
            parts = (rows.probabilities.max(axis=1), self.rule_.in_scope(rows.signals), rows.agreement)
            for (tokens, words, known), *plain in zip(numbers, *(part.tolist() for part in parts), strict=True):
                probability, in_scope, agreement = plain
                evidence = self.rule_.judge(
                    lines[len(found)], tokens=tokens, words=words, known=known, in_scope=in_scope, agreement=agreement
                )
                found.append(_gate_score(probability, evidence))
        return np.asarray(found, dtype=np.float64)

    def _learn_weights(self, regular: Sequence[Unseen], predicted: Rows, codes: Rows) -> None:
        """How the families are combined, and what that makes of the rows that were predicted unseen."""
        self.weights_, self.report_ = combination(regular, codes[predicted], families=self.families)
        probabilities = [scored_unseen(unseen, self.weights_).probabilities for unseen in regular]
        self.out_of_fold_ = OutOfFold(predicted, np.concatenate(probabilities))

    def _learn_rule(
        self,
        regular: Sequence[Unseen],
        special: Sequence[tuple[Unseen, NDArray[np.bool_]]],
        *,
        outside: Sequence[str],
        languages: tuple[str, ...],
    ) -> EvidenceRule:
        """The evidence rule from rows inside, rows of left-out classes, and examples outside any article."""
        inside = np.concatenate([scored_unseen(unseen, self.weights_).signals for unseen in regular])
        pairs = []
        for unseen, is_inside in special:
            rows = scored_unseen(unseen, self.weights_).signals
            pairs.append((rows[is_inside], rows[~is_inside]))
        if outside:
            pairs.append((inside, self._score(outside).signals))
        counts = Counts(
            *(np.concatenate([getattr(u.counts, name) for u in regular]) for name in Counts.__annotations__)
        )
        return EvidenceRule.learn(inside=inside, pairs=pairs, counts=counts, languages=languages)


def _best(probabilities: Scores, *, k: int) -> NDArray[np.intp]:
    """Columns of the k largest values of each row, largest first, the first of equals first."""
    left, rows = probabilities.copy(), np.arange(len(probabilities))
    best = np.empty((len(probabilities), k), dtype=np.intp)
    for place in range(k):
        best[:, place] = left.argmax(axis=1)
        left[rows, best[:, place]] = -1
    return best


def _check(lines: Sequence[str], labels: Sequence[str], *, fold_count: int, families: str) -> None:
    if families not in FAMILIES:
        raise ValueError(f"unknown families {families!r}; choose from {', '.join(FAMILIES)}")
    if len(lines) != len(labels):
        raise ValueError(f"{len(lines)} documents and {len(labels)} labels; give one label a document")
    if len(set(labels)) < 2:
        raise ValueError("training needs tickets of at least two articles")
    if fold_count < 2:
        raise ValueError(f"folds is {fold_count}; give at least 2")
    texts = {label: line for line, label in zip(lines, labels, strict=True)}
    if all(texts[label] == line for line, label in zip(lines, labels, strict=True)):
        raise ValueError("training needs an article with at least two different texts")
