"""TF-IDF of words, word pairs and character n-grams with a linear classifier: the second family.

Plain arrays and a vocabulary, so that it is stored as .npz and JSON and predicts without scikit-learn's objects.
"""

from array import array
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.svm import LinearSVC

LONGEST_TOKEN = 64
_CACHED_TOKENS = 50_000


class NgramFeatures(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Sublinear TF-IDF of words(1,2) and of character n-grams (2..5) inside words, each block of length 1.

    `fit` learns the vocabulary from clean lines; `transform` gives a CSR matrix (n, features), float32. Characters
    are read from the first 64 of a word. N-grams of characters in fewer than `min_rows` rows are left out.
    """

    def __init__(self, *, shortest: int = 2, longest: int = 5, min_rows: int = 2) -> None:
        self.shortest = shortest
        self.longest = longest
        self.min_rows = min_rows

    def fit(self, lines: Sequence[str]) -> Self:
        """Learn vocabulary and inverse document frequencies (smoothed: ln((1 + n) / (1 + df)) + 1)."""
        words: dict[str, int] = {}
        pieces: dict[str, int] = {}
        for line in lines:
            tokens = line.split()
            for word in {*tokens, *map(" ".join, zip(tokens, tokens[1:], strict=False))}:
                words[word] = words.get(word, 0) + 1
            for piece in {piece for token in set(tokens) for piece in self._pieces(token)}:
                pieces[piece] = pieces.get(piece, 0) + 1
        kept = sorted(piece for piece, rows in pieces.items() if rows >= self.min_rows)
        self.words_ = {word: i for i, word in enumerate(sorted(words))}
        self.pieces_ = {piece: i + len(words) for i, piece in enumerate(kept)}
        rows = np.array([words[word] for word in self.words_] + [pieces[piece] for piece in kept], dtype=np.float64)
        self.idf_ = (np.log((1 + len(lines)) / (1 + rows)) + 1).astype(np.float32)
        self._cache: dict[str, array[int]] = {}
        return self

    def transform(self, lines: Sequence[str]) -> sparse.csr_matrix:
        """Rows of features for clean lines; a line without any known n-gram gives an empty row."""
        flat, ends = array("i"), array("q", [0])
        for line in lines:
            tokens = line.split()
            flat.extend(filter(None.__ne__, map(self.words_.get, tokens)))  # type: ignore[arg-type]  # no None left
            pairs = map(self.words_.get, map(" ".join, zip(tokens, tokens[1:], strict=False)))
            flat.extend(filter(None.__ne__, pairs))  # type: ignore[arg-type]  # no None left
            for token in tokens:
                flat.extend(self._cached(token))
            ends.append(len(flat))
        shape = (len(lines), len(self.idf_))
        counts = sparse.csr_matrix((np.ones(len(flat), np.float32), np.array(flat), np.array(ends)), shape=shape)
        counts.sum_duplicates()
        counts.data = (1 + np.log(counts.data)) * self.idf_[counts.indices]
        self._normalise(counts)
        return counts

    def _normalise(self, matrix: sparse.csr_matrix) -> None:
        """Each block of each row to length 1, in place."""
        of_row = np.repeat(np.arange(matrix.shape[0]) * 2, np.diff(matrix.indptr))
        block = of_row + (matrix.indices >= len(self.words_))
        lengths = np.bincount(block, weights=matrix.data.astype(np.float64) ** 2, minlength=2 * matrix.shape[0])
        matrix.data /= np.sqrt(lengths)[block].astype(np.float32)

    def _pieces(self, token: str) -> set[str]:
        padded = f" {token[:LONGEST_TOKEN]} "
        sizes = range(self.shortest, self.longest + 1)
        return {padded[i : i + n] for n in sizes for i in range(max(1, len(padded) - n + 1))}

    def _cached(self, token: str) -> "array[int]":
        found = self._cache.get(token)
        if found is None:
            get = self.pieces_.get
            padded = f" {token[:LONGEST_TOKEN]} "
            sizes = range(self.shortest, min(self.longest, len(padded)) + 1)
            ids = (get(padded[i : i + n]) for n in sizes for i in range(len(padded) - n + 1))
            found = array("i", [i for i in ids if i is not None])
            if len(self._cache) < _CACHED_TOKENS:
                self._cache[token] = found
        return found


class LinearModel(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A linear support vector machine over NgramFeatures; margins, not probabilities (calibration is the caller's)."""

    def __init__(self, *, C: float = 0.5, min_rows: int = 2, seed: int = 0) -> None:
        self.C = C
        self.min_rows = min_rows
        self.seed = seed

    def fit(self, lines: Sequence[str], labels: Sequence[str]) -> Self:
        """Train on clean lines (never raw text) and their labels."""
        self.features_ = NgramFeatures(min_rows=self.min_rows).fit(lines)
        svm = LinearSVC(C=self.C, multi_class="crammer_singer", tol=0.1, random_state=self.seed)
        svm.fit(self.features_.transform(lines), np.asarray(labels))
        self.classes_ = svm.classes_
        two = svm.coef_.shape[0] == 1  # one row tells two classes apart
        coef = np.vstack([-svm.coef_, svm.coef_]) if two else svm.coef_
        self.coef_ = np.ascontiguousarray(coef.T, dtype=np.float32)
        self.intercept_ = np.concatenate([-svm.intercept_, svm.intercept_]) if two else svm.intercept_
        return self

    def decision_function(self, lines: Sequence[str]) -> NDArray[np.float64]:
        """Margins (n, classes): comparable within a row."""
        return np.asarray(self.features_.transform(lines) @ self.coef_, dtype=np.float64) + self.intercept_

    def predict(self, lines: Sequence[str]) -> NDArray[Any]:
        """The label with the largest margin, for each line."""
        return np.asarray(self.classes_[self.decision_function(lines).argmax(axis=1)])
