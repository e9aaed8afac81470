"""TF-IDF of words, word pairs and character n-grams with linear learners: the second family.

Plain arrays and a vocabulary, so that it is stored as .npz and JSON and predicts without scikit-learn's objects.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin

from classifier.text import BAR

LONGEST_TOKEN = 64
GAP = "\u2026"
_SIZES = range(2, 6)
_FEWEST_FEATURES = 20_000
_FEW_ROWS = 2_000
_APART_LENGTH = 0.5


class NgramFeatures:
    """Sublinear TF-IDF of words(1,2), of words one or two words apart, and of character n-grams (2..5) inside words.

    The blocks of words and of n-grams have length 1, that of words apart half (on short commands .947 against .945
    right; at full length .942). Words of the subject are there twice, once marked as such. Character n-grams are those
    of the padded word's first 64 characters; they and words apart occur in at least `min_rows` lines. Inverse document
    frequency is ln((1 + n) / (1 + df)) + 1, as in scikit-learn.
    """

    def __init__(
        self, words: Sequence[str], apart: Sequence[str], pieces: Sequence[str], idf: NDArray[np.float32]
    ) -> None:
        self.words = {word: i for i, word in enumerate(words)}
        self.apart = {pair: i for i, pair in enumerate(apart, start=len(words))}
        self.pieces = {piece: i for i, piece in enumerate(pieces, start=len(words) + len(apart))}
        self.idf = idf
        self._ids_of: dict[str, array[int]] = {}

    @classmethod
    def learn(cls, lines: Sequence[str], *, min_rows: int, most: int) -> "NgramFeatures":
        """The vocabulary of clean lines, in sorted order so that it never depends on the order of the rows.

        Words apart are features from `min_rows` 2 on: single occurrences of them mislead. Where there are more than
        `most` features the rarest go, single words last: they are what evidence counts.
        """
        words: Counter[str] = Counter()
        apart: Counter[str] = Counter()
        pieces: Counter[str] = Counter()
        pieces_of: dict[str, frozenset[str]] = {}
        for line in lines:
            tokens = marked_tokens(line)
            words.update({*tokens, *map(" ".join, pairwise(tokens))})
            apart.update(set(words_apart(line.split())) if min_rows > 1 else ())
            for token in tokens:
                if token not in pieces_of:
                    pieces_of[token] = frozenset(pieces_within(token))
            pieces.update(frozenset().union(*map(pieces_of.__getitem__, tokens)))
        blocks = (words, _frequent(apart, min_rows), _frequent(pieces, min_rows))
        kept = words_kept, apart_kept, pieces_kept = _most_frequent(blocks, most=most)
        rows = np.array(
            [block[key] for block, keys in zip(blocks, kept, strict=True) for key in keys], dtype=np.float64
        )
        idf = np.log((1 + len(lines)) / (1 + rows)) + 1
        return cls(words_kept, apart_kept, pieces_kept, idf.astype(np.float32))

    def transform(self, lines: Sequence[str]) -> sparse.csr_matrix:
        """Features (n, features), float32, for clean lines; a line with nothing known gives an empty row."""
        flat, ends = array("i"), array("q", [0])
        unknown: dict[str, array[int]] = {}
        for line in lines:
            tokens = marked_tokens(line)
            flat.extend(_found(self.words, tokens))
            flat.extend(_found(self.words, map(" ".join, pairwise(tokens))))
            flat.extend(_found(self.apart, words_apart(line.split())))
            for token in tokens:
                ids = self._ids_of.get(token)
                flat.extend(self._ids(token, unknown) if ids is None else ids)
            ends.append(len(flat))
        indices, indptr = np.array(flat, dtype=np.int32), np.array(ends, dtype=np.int32)
        ones = np.ones(len(flat), dtype=np.float32)
        matrix = sparse.csr_matrix((ones, indices, indptr), shape=(len(lines), len(self.idf)))
        matrix.sum_duplicates()
        matrix.data = (1 + np.log(matrix.data)) * self.idf[matrix.indices]
        first = np.array([len(self.words), len(self.words) + len(self.apart)])
        kind = np.searchsorted(first, matrix.indices, side="right")
        block = np.repeat(np.arange(len(lines)) * 3, np.diff(matrix.indptr)) + kind
        squares = np.bincount(block, weights=matrix.data.astype(np.float64) ** 2)
        lengths = np.array([1.0, _APART_LENGTH, 1.0])[kind] / np.sqrt(squares)[block]
        matrix.data *= lengths.astype(np.float32)
        return matrix

    def _ids(self, token: str, unknown: dict[str, "array[int]"]) -> "array[int]":
        # The n-grams of a word depend on nothing else, and a few words make up most of any text. What tickets bring
        # along is kept for one batch only: memory stays bounded.
        kept = self._ids_of if token in self.words else unknown
        if token not in kept:
            kept[token] = array("i", _found(self.pieces, pieces_within(token)))
        return kept[token]


def rows_asked(rows: int) -> int:
    """In how many of so many training rows a character n-gram must occur: where rows are few, even one tells much.

    With 300 rows of 20 classes .947 of the answers were right with 1 (and no words apart), .928 with 2.
    """
    return 1 if rows < _FEW_ROWS else 2


def _frequent(counts: Counter[str], min_rows: int) -> Counter[str]:
    return Counter({key: rows for key, rows in counts.items() if rows >= min_rows})


def _most_frequent(blocks: Sequence[Counter[str]], *, most: int) -> list[list[str]]:
    """Each block's keys, sorted; of all together at most so many, single words first, then the most frequent."""
    listed = [sorted(block) for block in blocks]
    keys = [(number, key) for number, block in enumerate(listed) for key in block]
    if len(keys) <= most:
        return listed
    ranks = [(number > 0 or " " in key, -blocks[number][key]) for number, key in keys]
    chosen = sorted(sorted(range(len(keys)), key=ranks.__getitem__)[:most])
    return [[keys[i][1] for i in chosen if keys[i][0] == number] for number in range(len(blocks))]


def marked_tokens(line: str) -> list[str]:
    """The line's words, and those of the subject a second time, marked: what the subject says counts for more."""
    subject, bar, _ = line.partition(f" {BAR} ")
    return [*(f"|{token}" for token in subject.split()), *line.split()] if bar else line.split()


def words_apart(tokens: Sequence[str]) -> Iterable[str]:
    """Pairs of words with one or two others between them."""
    for gap in (2, 3):
        yield from map(GAP.join, zip(tokens, tokens[gap:], strict=False))


def pieces_within(token: str) -> Iterable[str]:
    """The character n-grams of a padded word."""
    padded = f" {token[:LONGEST_TOKEN]} "
    return (padded[i : i + n] for n in _SIZES for i in range(len(padded) - n + 1))


def _found(vocabulary: Mapping[str, int], keys: Iterable[str]) -> list[int]:
    return [i for i in map(vocabulary.get, keys) if i is not None]


class LinearModel(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A support vector machine and naive Bayes over the same features, added up into one matrix of coefficients.

    `blend` weighs the two (the estimator fits it on out-of-fold predictions); `C`, `smoothing` are theirs;
    `most_numbers` bounds the coefficients (two bytes each when stored).
    Learned: `classes_`, `features_`, `coef_` (features, classes), `intercept_` (classes), naive Bayes' own as
    `bayes_` (it tells best how like the training texts a line is), and until it is stored `parts_`, each learner's own.
    """

    def __init__(
        self,
        *,
        blend: tuple[float, float] = (4.0, 0.15),
        C: float = 0.7,
        smoothing: float = 0.01,
        min_rows: int | None = None,
        most_numbers: int = 12_000_000,
        seed: int = 0,
    ) -> None:
        self.blend = blend
        self.C = C
        self.smoothing = smoothing
        self.min_rows = min_rows
        self.most_numbers = most_numbers
        self.seed = seed

    def fit(self, lines: Sequence[str], labels: Sequence[str]) -> Self:
        """Train on clean lines (never raw text) and their labels (at least two different ones)."""
        # Only training needs them; a child process that classifies one ticket starts sooner without.
        from sklearn.naive_bayes import MultinomialNB
        from sklearn.svm import LinearSVC

        y = np.asarray(labels, dtype=str)
        most = max(_FEWEST_FEATURES, self.most_numbers // len(np.unique(y)))
        min_rows = self.min_rows or rows_asked(len(lines))
        self.features_ = NgramFeatures.learn(lines, min_rows=min_rows, most=most)
        X = self.features_.transform(lines)
        # Crammer and Singer's joint machine is faster here than one machine a class, and better.
        svm = LinearSVC(C=self.C, multi_class="crammer_singer", tol=0.1, max_iter=2000, random_state=self.seed)
        svm.fit(X, y)
        bayes = MultinomialNB(alpha=self.smoothing).fit(X, y)
        self.classes_ = svm.classes_
        self.parts_ = [
            _part(svm.coef_, svm.intercept_),
            # What all classes share changes no probability and would cost precision in half-size numbers.
            _part(bayes.feature_log_prob_ - bayes.feature_log_prob_.mean(axis=0), bayes.class_log_prior_),
        ]
        return self.fuse(self.blend)

    def fuse(self, blend: tuple[float, float]) -> Self:
        """Blend the learners with these weights instead; only right after `fit`."""
        (svm, svm_intercept), (bayes, bayes_intercept) = self.parts_
        # Rounded as they are stored, so that a saved model answers exactly as the fitted one.
        self.coef_ = _rounded(np.float32(blend[0]) * svm + np.float32(blend[1]) * bayes)
        self.bayes_ = _rounded(bayes), bayes_intercept
        self.intercept_ = blend[0] * svm_intercept + blend[1] * bayes_intercept
        self.blend_ = blend
        return self

    def part_functions(self, lines: Sequence[str]) -> list[NDArray[np.float64]]:
        """Each learner's own decision values, twice (n, classes); only right after `fit`."""
        X = self.features_.transform(lines)
        return [_product(X, coef, intercept) for coef, intercept in self.parts_]

    def decision_function(self, lines: Sequence[str]) -> NDArray[np.float64]:
        """Blended decision values (n, classes); the same bits for a text in any batch."""
        return _product(self.features_.transform(lines), self.coef_, self.intercept_)

    def decisions(self, lines: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Blended decision values, and naive Bayes' own, each (n, classes), from one look at the lines."""
        X = self.features_.transform(lines)
        return _product(X, self.coef_, self.intercept_), _product(X, *self.bayes_)

    def predict(self, lines: Sequence[str]) -> NDArray[Any]:
        """The label with the largest decision value, for each line."""
        return np.asarray(self.classes_[self.decision_function(lines).argmax(axis=1)])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What is stored as .npz."""
        bayes, bayes_intercept = self.bayes_
        return {
            "coef": self.coef_.astype(np.float16),
            "intercept": self.intercept_,
            "bayes": bayes.astype(np.float16),
            "bayes_intercept": bayes_intercept,
            "idf": self.features_.idf,
        }

    def vocabulary(self) -> dict[str, list[str]]:
        """What is stored as JSON: words, words apart and pieces in the order of the coefficients' rows."""
        found = self.features_
        return {"words": list(found.words), "apart": list(found.apart), "pieces": list(found.pieces)}

    def restore(
        self, arrays: Mapping[str, NDArray[Any]], vocabulary: Mapping[str, Sequence[str]], classes: Sequence[str]
    ) -> Self:
        """The fitted model from what `arrays` and `vocabulary` gave; ValueError if they do not fit together."""
        self.features_ = NgramFeatures(vocabulary["words"], vocabulary["apart"], vocabulary["pieces"], arrays["idf"])
        self.coef_ = arrays["coef"].astype(np.float32)
        self.intercept_ = arrays["intercept"]
        self.bayes_ = arrays["bayes"].astype(np.float32), arrays["bayes_intercept"]
        self.classes_ = np.asarray(classes)
        rows = sum(map(len, self.vocabulary().values()))
        if not self.coef_.shape == self.bayes_[0].shape == (rows, len(self.classes_)):
            raise ValueError(f"coefficients of shape {self.coef_.shape} do not fit the vocabulary and classes")
        return self


def _part(coef: NDArray[np.float64], intercept: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Coefficients (features, classes) and intercepts; two classes told apart by one row become two columns."""
    if coef.shape[0] == 1:
        coef, intercept = np.vstack([-coef, coef]) / 2, np.concatenate([-intercept, intercept]) / 2
    return np.ascontiguousarray(coef.T, dtype=np.float32), np.asarray(intercept)


def _rounded(coef: NDArray[np.float32]) -> NDArray[np.float32]:
    return coef.astype(np.float16).astype(np.float32)


def _product(X: sparse.csr_matrix, coef: NDArray[np.float32], intercept: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(np.asarray(X @ coef, dtype=np.float64) + intercept, dtype=np.float64)
