"""New articles, matched to tickets by their texts: what is suggested before any ticket has taught a model about them.

A likeness is no probability. Nobody knows how many of the next tickets are a new article's, and articles are worded
differently from tickets, so it is never mixed with calibrated probabilities and nothing is automated on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from scipy import sparse

from classifier.calibration import Scores
from classifier.estimator import ArticleClassifier
from classifier.evidence import count
from classifier.linear_model import NgramFeatures
from classifier.text import BAR, Document, TextPipeline

FIELDS = {"title": 2.0, "aliases": 2.0, "symptoms": 2.0, "body": 1.0}
"""How much the parts of an article count. Bodies tell what to do; tickets tell what titles and symptoms tell."""

BODY_READ = 1_000
"""Characters of a body that are read. Without any body a model's new articles are found as often where they have
symptoms; of an article that has none it tells what it is about."""

LEAST = 0.12
"""Less likeness than this is what any two texts have in common."""

STRONG = 0.3
"""From here on the most alike new article is the right one for nine in ten tickets of new articles; from LEAST to here
for two in three (CLINC150, BANKING77 and the sample company, a third of the articles left out of training)."""

SHOWN = 3
IN_FRONT = 2
_LIKENESS, _IN_SCOPE, _BIAS = 13.0, -0.9, -2.5
_FRONT, _LISTED = 1.5, -1.0
_SURE = 0.97
_BATCH = 256
_MOST_FEATURES = 2_000_000


@dataclass(frozen=True, kw_only=True)
class ArticleText:
    """What an article says, in one language. Several texts may carry one label: its translations."""

    label: str
    title: str
    symptoms: str = ""
    aliases: tuple[str, ...] = ()
    body: str = ""

    def parts(self) -> dict[str, str]:
        """The text by the names of FIELDS."""
        aliases = "\n".join(self.aliases)
        return {"title": self.title, "aliases": aliases, "symptoms": self.symptoms, "body": self.body[:BODY_READ]}


class Likeness(NamedTuple):
    """An article's label and how alike its text and the ticket's are (0..1, six decimal places; no probability)."""

    label: str
    likeness: float

    @property
    def strong(self) -> bool:
        """Whether to call it strong; else it is fair."""
        return self.likeness >= STRONG


class Placed(NamedTuple):
    """New articles worth showing, most alike first: those `in_front` of the model's own matches, and those `after`."""

    in_front: tuple[Likeness, ...] = ()
    after: tuple[Likeness, ...] = ()


class ArticleMatcher:
    """Cosine of TF-IDF between tickets and articles, over words, word pairs and pieces of words.

    Each part of an article has length 1 before it is weighed by FIELDS, so that a long body drowns no title. How rare
    a word is comes from a classifier's tickets where there is one: there a dozen articles would know too little. Words
    that no ticket had count as rarer than any that one had. (BM25F, Robertson and Zaragoza 2009, over the same words
    and pieces put fewer first: .67, .76 and .79 against .77, .79 and .82 of the tickets of BANKING77, CLINC150 and the
    sample company.) Learned: `labels_`, sorted.
    """

    def __init__(
        self,
        articles: Sequence[ArticleText],
        *,
        pipeline: TextPipeline | None = None,
        known: NgramFeatures | None = None,
    ) -> None:
        self.pipeline_ = pipeline or TextPipeline()
        ordered = sorted(articles, key=lambda article: article.label)
        lines = {name: self._lines([article.parts()[name] for article in ordered]) for name in FIELDS}
        self.features_ = _features([" ".join(parts) for parts in zip(*lines.values(), strict=True)], known)
        weighed = [weight * self.features_.transform(lines[name]) for name, weight in FIELDS.items()]
        rows = sparse.csr_matrix(sum(weighed[1:], start=weighed[0]), dtype=np.float32)
        norms = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1), dtype=np.float64).ravel())
        rows.data /= np.repeat(np.maximum(norms, 1e-9), np.diff(rows.indptr)).astype(np.float32)
        self._columns = rows.T.tocsr()
        labels, self._starts = np.unique([article.label for article in ordered], return_index=True)
        self.labels_: tuple[str, ...] = tuple(labels.tolist())

    @classmethod
    def beside(cls, classifier: ArticleClassifier, articles: Sequence[ArticleText]) -> Self:
        """A matcher that reads as a fitted classifier reads and knows how rare words are from its tickets."""
        return cls(articles, pipeline=classifier.pipeline_, known=classifier.linear_.features_)

    def match(self, documents: Sequence[Document]) -> Scores:
        """Likeness (n, labels), 0..1, of raw tickets."""
        return self.match_lines(self.pipeline_.lines(documents))

    def match_lines(self, lines: Sequence[str]) -> Scores:
        """Likeness (n, labels), 0..1, of tickets that went through the pipeline (a Ranking's `line`)."""
        found = np.zeros((len(lines), len(self.labels_)))
        if not self.labels_:
            return found
        for start in range(0, len(lines), _BATCH):
            plain = [line.replace(f" {BAR} ", " ") for line in lines[start : start + _BATCH]]
            # words that nobody knows have no column, but a ticket is less alike for them
            known = np.sqrt(count(plain, self.features_.words).known_share)
            alike = (self.features_.transform(plain) @ self._columns).toarray()
            best = np.maximum.reduceat(alike, self._starts, axis=1)
            found[start : start + _BATCH] = best * (known / np.sqrt(2))[:, None]
        return np.clip(found, 0.0, 1.0)

    def best(self, lines: Sequence[str], *, k: int = SHOWN) -> list[tuple[Likeness, ...]]:
        """The k most alike articles of each line, most alike first, by label where they are equally so."""
        found = self.match_lines(lines).round(6)
        order = np.argsort(-found, axis=1, kind="stable")[:, :k]
        return [
            tuple(Likeness(self.labels_[column], float(row[column])) for column in columns)
            for row, columns in zip(found, order.tolist(), strict=True)
        ]

    def _lines(self, texts: Sequence[str]) -> list[str]:
        return self.pipeline_.lines(Document(text, "") for text in texts)


def place(found: Sequence[Likeness], *, in_scope: float) -> Placed:
    """Where new articles stand in the list that an agent sees, by their likeness and the ticket's in-scope score.

    A logistic rule, fitted with a third of the articles left out of CLINC150 and, with nearly the same weights, of
    BANKING77: in front where the ticket is likelier a new article's, behind where it may be, else nowhere. With another
    third left out it took the right one of the known articles out of the first three places for .25 and .13 % of the
    tickets, and put the right new one there for 67 and 62 %.
    """
    sure = float(np.clip(in_scope, 1 - _SURE, _SURE))
    pull = _BIAS + _IN_SCOPE * np.log(sure / (1 - sure))
    listed = [one for one in found[:SHOWN] if one.likeness >= LEAST and pull + _LIKENESS * one.likeness > _LISTED]
    front = [one for one in listed[:IN_FRONT] if pull + _LIKENESS * one.likeness > _FRONT]
    return Placed(tuple(front), tuple(listed[len(front) :]))


def _features(texts: Sequence[str], known: NgramFeatures | None) -> NgramFeatures:
    """The features of the articles' texts, and with `known` those of the tickets, as rare as they are there."""
    if known is None:
        return NgramFeatures.learn(texts, min_rows=1, most=_MOST_FEATURES)
    heard = {word for text in texts for word in text.split()}
    # of the pieces of words it matters which there are, not in how many texts: one line of all words tells that fast
    own = NgramFeatures.learn([" ".join(sorted(heard))], min_rows=1, most=_MOST_FEATURES)
    words, pieces = sorted(heard - known.words.keys()), sorted(own.pieces.keys() - known.pieces.keys())
    unheard = np.float32(known.idf.max(initial=1.0) + np.log(2))  # a row less than what a single one had
    parts = (
        known.idf[: len(known.words)],
        np.full(len(words), unheard),
        known.idf[len(known.words) + len(known.apart) :],
        np.full(len(pieces), unheard),
    )
    return NgramFeatures([*known.words, *words], [], [*known.pieces, *pieces], np.concatenate(parts))
