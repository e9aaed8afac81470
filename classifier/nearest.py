"""Earlier tickets that read alike, by the cosine of the model's own features: what it calls alike, people see alike."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from classifier.estimator import ArticleClassifier
from classifier.text import Document

COMPARED = 150
"""How many texts are compared by all features; the others have fewer weighty words in common."""


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
    return _cosines(model, model.pipeline_.lines(documents), model.pipeline_.lines(others))


def nearest(
    model: ArticleClassifier, document: Document, others: Sequence[Document], *, most: int, least: float = 0.0
) -> list[Neighbour]:
    """At most `most` of the others, likest first, the earlier of equals first; none less alike than `least` (0..1).

    Of many, only those that share the weightiest words are compared by all features: that takes ten times as long.
    """
    if not others or most < 1:
        return []
    line, *lines = model.pipeline_.lines([document, *others])
    chosen = _sharing_words(model, line, lines, most=max(most, COMPARED))
    found = np.round(_cosines(model, [line], [lines[i] for i in chosen])[0], 4)
    best = np.argsort(-found, kind="stable")[:most]
    return [Neighbour(chosen[i], float(found[i])) for i in best if found[i] >= least and found[i] > 0]


def _sharing_words(model: ArticleClassifier, line: str, lines: Sequence[str], *, most: int) -> list[int]:
    """The numbers of the lines whose known words are most like the line's, weighed by rarity, in order."""
    if len(lines) <= most:
        return list(range(len(lines)))
    number, weights = model.linear_.features_.words, model.linear_.features_.idf.astype(np.float64) ** 2

    def known(text: str) -> set[int]:
        return {number[word] for word in set(text.split()) if word in number}

    wanted = known(line)
    scores = []
    for words in map(known, lines):
        shared, own = weights[[*(words & wanted)]].sum(), weights[[*words]].sum()
        scores.append(shared / np.sqrt(own) if shared else 0.0)
    return sorted(np.argsort(-np.asarray(scores), kind="stable")[:most].tolist())


def _cosines(model: ArticleClassifier, lines: Sequence[str], others: Sequence[str]) -> NDArray[np.float64]:
    one, two = _directions(model, lines), _directions(model, others)
    return np.asarray(np.clip((one @ two.T).toarray(), 0.0, 1.0), dtype=np.float64)


def _directions(model: ArticleClassifier, lines: Sequence[str]) -> sparse.csr_matrix:
    """Feature rows of length 1; words and pieces of words weigh the same where a text has both."""
    rows = model.linear_.features_.transform(lines)
    lengths = np.sqrt(rows.multiply(rows).sum(axis=1))
    return sparse.diags_array(1 / np.maximum(np.asarray(lengths).ravel(), 1e-12)) @ rows
