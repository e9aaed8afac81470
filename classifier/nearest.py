"""Earlier tickets that read alike, by the cosine of the model's own features: what it calls alike, people see alike."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from classifier.estimator import ArticleClassifier
from classifier.text import Document


class Neighbour(NamedTuple):
    """The number of a document in the list that was searched, and its likeness (0..1, four decimal places)."""

    number: int
    likeness: float


def likeness(
    model: ArticleClassifier, documents: Sequence[Document], others: Sequence[Document]
) -> NDArray[np.float64]:
    """The cosine (len(documents), len(others)) of the linear family's features, 0..1.

    1 for texts that the model cannot tell apart, 0 where they share no word and no piece of one that training knew,
    and for empty texts.
    """
    one, two = _directions(model, documents), _directions(model, others)
    return np.asarray(np.clip((one @ two.T).toarray(), 0.0, 1.0), dtype=np.float64)


def nearest(
    model: ArticleClassifier, document: Document, others: Sequence[Document], *, most: int, least: float = 0.0
) -> list[Neighbour]:
    """At most `most` of the others, likest first, the earlier of equals first; none less alike than `least` (0..1)."""
    if not others or most < 1:
        return []
    found = np.round(likeness(model, [document], others)[0], 4)
    best = np.argsort(-found, kind="stable")[:most]
    return [Neighbour(int(i), float(found[i])) for i in best if found[i] >= least and found[i] > 0]


def _directions(model: ArticleClassifier, documents: Sequence[Document]) -> sparse.csr_matrix:
    """Feature rows of length 1; words and pieces of words weigh the same where a text has both."""
    rows = model.linear_.features_.transform(model.pipeline_.lines(documents))
    lengths = np.sqrt(rows.multiply(rows).sum(axis=1))
    return sparse.diags_array(1 / np.maximum(np.asarray(lengths).ravel(), 1e-12)) @ rows
