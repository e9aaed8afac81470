"""Whether a candidate is worse than the release in force, or than what anybody would try first.

Judged on the same rows, which neither was trained on.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from classifier.bounds import tail
from classifier.estimator import ArticleClassifier
from classifier.profiles import AUTOMATIC
from triage.learning.labelled import Labelled, key_of_row

SIGNIFICANT = 0.05
"""A candidate is significantly worse when luck alone explains the difference with less than this probability."""

MATERIAL = 0.02
"""A candidate is materially worse when its accuracy is lower by more than this, whatever luck could explain."""

FEWEST_MORE_WRONG = 3
"""Fewer additional errors are never material: one row of forty is 2.5 %."""


@dataclass(frozen=True)
class Outcomes:
    """Whether a model labelled each held-out row rightly, by the row's key."""

    right: Mapping[str, bool]

    @classmethod
    def of(cls, model: ArticleClassifier, rows: Sequence[Labelled]) -> Self:
        """What the model says of these rows."""
        return cls.said(model.predict([document for document, _ in rows]), rows) if rows else cls({})

    @classmethod
    def of_baseline(cls, train: Sequence[Labelled], rows: Sequence[Labelled]) -> Self:
        """What TF-IDF with LinearSVC, trained on `train`, says of these rows; none where it cannot be trained."""
        from classifier import baselines

        if not rows:
            return cls({})
        documents, labels = [document for document, _ in train], [label for _, label in train]
        found = baselines.tfidf_linearsvc(documents, labels, [document for document, _ in rows])
        return cls({}) if found is None else cls.said(found, rows)

    @classmethod
    def said(cls, labels: Iterable[object], rows: Sequence[Labelled]) -> Self:
        """These labels for these rows."""
        return cls({key_of_row(row): str(label) == row[1] for row, label in zip(rows, labels, strict=True)})

    @property
    def accuracy(self) -> float | None:
        """Share of right rows, None where there are none."""
        return sum(self.right.values()) / len(self.right) if self.right else None

    def as_dict(self) -> dict[str, list[str]]:
        """Plain JSON values that `from_dict` reads."""
        return {
            "right": [key for key, right in self.right.items() if right],
            "wrong": [key for key, right in self.right.items() if not right],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The outcomes that `as_dict` wrote; none where there are none."""
        return cls({key: right for right in (True, False) for key in values.get("right" if right else "wrong", ())})


@dataclass(frozen=True)
class Paired:
    """Rows that both models were measured on, and how many only one of them labelled rightly."""

    rows: int
    only_new: int
    only_old: int
    new: float
    old: float

    @classmethod
    def of(cls, new: Outcomes, old: Outcomes) -> Self:
        """The rows that both have; accuracies are 0 where there are none."""
        both = [(new.right[key], old.right[key]) for key in new.right.keys() & old.right.keys()]
        rows = len(both)
        return cls(
            rows=rows,
            only_new=sum(mine and not theirs for mine, theirs in both),
            only_old=sum(theirs and not mine for mine, theirs in both),
            new=sum(mine for mine, _ in both) / max(1, rows),
            old=sum(theirs for _, theirs in both) / max(1, rows),
        )

    @property
    def p(self) -> float:
        """Probability that equally good models differ this much in the old one's favour: McNemar's exact test.

        Of the rows that only one labelled rightly, the new one's are Bin(n, 1/2) if both are equally good.
        """
        return tail(self.only_new, self.only_new + self.only_old, 0.5)

    @property
    def figures(self) -> str:
        """The comparison in words."""
        return (
            f"{100 * self.new:.1f} % of {self.rows} rows that neither was trained on are right, {100 * self.old:.1f} % "
            f"with the release in force; only the new one is right on {self.only_new}, only the old one on "
            f"{self.only_old} (p = {self.p:.3g})"
        )

    @property
    def worse(self) -> str:
        """Why the new model must not replace the old one; empty where nothing speaks against it."""
        more_wrong = self.only_old - self.only_new
        if more_wrong > 0 and self.p < SIGNIFICANT:
            return f"The candidate is significantly worse: {self.figures}."
        if more_wrong >= FEWEST_MORE_WRONG and self.old - self.new > MATERIAL:
            return f"The candidate is materially worse: {self.figures}."
        return ""


def below_baseline(measures: Mapping[str, Any]) -> str:
    """Why a release should not be used though it is the best there is: plain TF-IDF does better on its held-out rows.

    From a release's `measures`; beyond chance only (McNemar's exact test), empty where nothing speaks against it.
    """
    from classifier import baselines

    mine = Outcomes.from_dict(measures.get("held_out") or {}).right
    plain = Outcomes.from_dict(measures.get("baseline") or {}).right
    keys = sorted(mine.keys() & plain.keys())
    right, other = (np.array([found[key] for key in keys], dtype=bool) for found in (mine, plain))
    return baselines.warning(right, other, profile=str(measures.get("profile") or AUTOMATIC))
