"""The fastText family, and the only import of fastText: each of the library's traps is closed in this file.

The library does not shuffle, repeats only on one thread, takes `__label__` and `</s>` inside a text for its own,
answers an empty text confidently, gives probabilities above 1, and dies with MemoryError or silently keeps NaN.
Given word vectors it counts each of their words as one more token of the text that an epoch goes through.
"""

import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import fasttext
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin

LOSSES = ("softmax", "ova")
DIMENSIONS = 50
_MOST_WORDS = 40_000
_LONGEST_WORD = 64
_RATES = (0.5, 2.0)
_SMALLEST_RATE = 0.1
_TRAPS = re.compile("[\x00-\x1f\x7f\ud800-\udfff]|__label__|</s>")


class FastTextError(Exception):
    """fastText could not train or open a model; the message says what to change."""


class Diverged(FastTextError):
    """The numbers grew beyond all bounds: a lower learning rate may do."""


class Profile(NamedTuple):
    """What a training set is trained with."""

    dimensions: int
    epochs: int
    buckets: int
    learning_rate: float


@dataclass(frozen=True)
class Vectors:
    """Vectors of words, to start a supervised model from: `values` (words, dimensions), finite, float32."""

    words: tuple[str, ...]
    values: NDArray[np.float32]

    def only(self, lines: Sequence[str]) -> "Vectors":
        """The vectors of the words of these clean lines."""
        wanted = {word for line in lines for word in line.split()}
        rows = [row for row, word in enumerate(self.words) if word in wanted]
        return Vectors(tuple(self.words[row] for row in rows), self.values[rows])

    @cached_property
    def text(self) -> str:
        """The library's text format. Written once: a word vector takes part in a dozen trainings."""
        rows = (" ".join(f"{number:.5g}" for number in row) for row in self.values.tolist())
        lines = (f"{word} {row}\n" for word, row in zip(self.words, rows, strict=True))
        return f"{self.values.shape[0]} {self.values.shape[1]}\n{''.join(lines)}"


class FastTextModel(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A supervised fastText model over clean lines.

    What is None is chosen from the size of the training data by `profile`. `loss` is "softmax" or "ova"
    (independent one-versus-all classifiers). Learned: `classes_`, `buckets_`, `epochs_`, `learning_rate_` and the
    model itself.
    """

    def __init__(
        self,
        *,
        loss: str = "ova",
        dimensions: int | None = None,
        epochs: int | None = None,
        buckets: int | None = None,
        learning_rate: float | None = None,
        word_ngrams: int = 2,
        shortest: int = 3,
        longest: int = 5,
        min_count: int | None = None,
        seed: int = 0,
    ) -> None:
        self.loss = loss
        self.dimensions = dimensions
        self.epochs = epochs
        self.buckets = buckets
        self.learning_rate = learning_rate
        self.word_ngrams = word_ngrams
        self.shortest = shortest
        self.longest = longest
        self.min_count = min_count
        self.seed = seed

    def fit(self, lines: Sequence[str], labels: Sequence[str], *, vectors: Vectors | None = None) -> Self:
        """Train; the same lines, labels, vectors, parameters and machine give the same model bit for bit.

        The words of `vectors` start from them instead of from noise, and those that no line has are known as well.
        """
        if self.loss not in LOSSES:
            raise ValueError(f"unknown loss {self.loss!r}; choose from {', '.join(LOSSES)}")
        if len(lines) != len(labels) or not len(lines):
            raise ValueError(
                f"{len(lines)} lines and {len(labels)} labels: give one label for each of at least one line"
            )
        self.classes_, codes = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
        lengths = [len(line.split()) for line in lines]
        chosen = profile(rows=len(lines), characters=sum(map(len, lines)), words=float(np.median(lengths)))
        self.dimensions_ = self.dimensions or chosen.dimensions
        self.epochs_ = self.epochs or chosen.epochs
        self.buckets_ = self.buckets or chosen.buckets
        self.learning_rate_ = self.learning_rate or chosen.learning_rate
        self.min_count_ = self.min_count or _min_count(lines)
        if vectors and vectors.words and vectors.values.shape[1] != self.dimensions_:
            raise ValueError(f"the vectors have {vectors.values.shape[1]} dimensions, the model {self.dimensions_}")
        with tempfile.TemporaryDirectory(prefix="triage-train-") as folder:
            path = Path(folder) / "train.txt"
            # The labels in the file are numbers of ours: no label of a customer can break or forge a line.
            rows = [f"__label__{code} {_safe(line)}\n" for line, code in zip(lines, codes, strict=True)]
            _write(path, rows, seed=self.seed)
            self._train(path, tokens=sum(lengths) + 2 * len(lengths), vectors=vectors)
        return self

    def hidden(self, lines: Sequence[str]) -> NDArray[np.float32]:
        """The model's own text vectors (n, dimensions): the mean of the line's word and n-gram vectors.

        An empty line, for which fastText would answer with its end-of-line token, is the zero vector.
        """
        vectors = np.zeros((len(lines), self.model_.get_dimension()), dtype=np.float32)
        for row, line in zip(vectors, lines, strict=True):
            if safe := _safe(line).strip():
                row[:] = self.model_.get_sentence_vector(safe)
        return vectors

    def decision_function(self, lines: Sequence[str]) -> NDArray[np.float64]:
        """Logits (n, classes), before softmax or sigmoid; all 0 for an empty line.

        Ten times faster than asking the library for the probabilities of every class. The sparse product adds up
        row by row in one order, so that a text's logits are the same bits in any batch.
        """
        return np.asarray(sparse.csr_matrix(self.hidden(lines)) @ self._output, dtype=np.float64)

    def predict_proba(self, lines: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities (n, classes), each row summing to 1 (for "ova" the sigmoids, divided by their sum)."""
        logits = self.decision_function(lines)
        if self.loss == "ova":
            logits = -np.logaddexp(0, -logits)
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True), dtype=np.float64)

    def predict(self, lines: Sequence[str]) -> NDArray[Any]:
        """The most probable label of each line."""
        return np.asarray(self.classes_[self.decision_function(lines).argmax(axis=1)])

    def save(self, path: Path) -> None:
        """Write the library's own binary file (interchangeable with other fastText programs)."""
        self.model_.save_model(str(path))

    def restore(self, path: Path, classes: Sequence[str]) -> Self:
        """Open a binary file whose checksum the caller has verified: a damaged one may crash the process."""
        try:
            self.model_ = fasttext.load_model(str(path))
        except (ValueError, RuntimeError, MemoryError) as error:
            raise FastTextError(f"{path.name} is not a fastText model: {error}") from error
        self.classes_ = np.asarray(classes)
        self._take(self.model_)
        return self

    def _train(self, path: Path, *, tokens: int, vectors: Vectors | None) -> None:
        """Train at the chosen rate; where that was chosen here and the numbers overflow, again at half of it."""
        started = path.with_name("words.vec")
        epochs = self.epochs_
        if vectors and vectors.words:
            started.write_text(vectors.text, encoding="utf-8")
            epochs = max(1, round(epochs * tokens / (tokens + len(vectors.words))))
        while True:
            try:
                return self._take(self._trained(path, epochs=epochs, start=str(started) if started.exists() else ""))
            except Diverged:
                if self.learning_rate is not None or self.learning_rate_ < 2 * _SMALLEST_RATE:
                    raise
                self.learning_rate_ /= 2

    def _trained(self, path: Path, *, epochs: int, start: str) -> Any:
        try:
            return fasttext.train_supervised(
                str(path),
                loss=self.loss,
                dim=self.dimensions_,
                epoch=epochs,
                bucket=self.buckets_,
                lr=self.learning_rate_,
                wordNgrams=self.word_ngrams,
                minn=self.shortest,
                maxn=self.longest,
                minCount=self.min_count_,
                pretrainedVectors=start,
                seed=self.seed,
                thread=1,
                verbose=0,
            )
        except MemoryError as error:
            raise FastTextError(
                f"not enough memory for {self.buckets_} buckets of {self.dimensions_} numbers; use fewer"
            ) from error
        except RuntimeError as error:
            raise Diverged(f"training failed ({error}); lower learning_rate ({self.learning_rate_})") from error

    def _take(self, model: Any) -> None:
        """Keep the model and its output matrix in the order of `classes_`, refusing what is not finite."""
        columns = [int(label.removeprefix("__label__")) for label in model.get_labels()]
        if sorted(columns) != list(range(len(self.classes_))):
            raise FastTextError(f"the model has {len(columns)} labels, its list of classes {len(self.classes_)}")
        output = model.get_output_matrix()
        if not (np.isfinite(output).all() and np.isfinite(model.get_input_matrix()).all()):
            raise Diverged(f"the model holds numbers that are not finite; lower learning_rate ({self.learning_rate})")
        self._output = np.empty(output.T.shape, dtype=np.float32)
        self._output[:, columns] = output.T
        self.model_ = model


def profile(*, rows: int, characters: int, words: float = 0.0) -> Profile:
    """What suits a training set of so many rows and characters, whose median row has so many words.

    Epochs: 25, up to 100 where rows are few (fewer updates do not converge: 1,200 rows in 77 classes, 25 epochs .61,
    100 epochs .77 accuracy), down to 5 where there is much text. Buckets: 20,000 to 100,000, which at 50 dimensions
    is 4 to 20 MB of file; more gave nothing on 10,000 rows. Learning rate: 0.5 up to 12 words, in proportion beyond,
    at most 2, since each of a row's words learns from its share of the row only (6,200 tickets, median 39 words:
    macro-F1 .24 at 0.5, .31 at 1, .36 at 2; numbers overflow from about 6).
    """
    epochs = min(100, max(25, 125_000 // rows), max(5, 125_000_000 // max(1, characters)))
    buckets = min(100_000, max(20_000, characters // 100_000 * 10_000))
    rate = float(np.clip(words / 24, *_RATES))
    return Profile(dimensions=DIMENSIONS, epochs=epochs, buckets=buckets, learning_rate=rate)


def skipgram(lines: Sequence[str], *, dimensions: int, epochs: int, most_words: int, seed: int = 0) -> Vectors:
    """Vectors of the commonest words that occur twice or more in clean lines, from the words around them.

    Skip-gram with negative sampling (Mikolov et al. 2013) over subwords (Bojanowski et al. 2017). None where no word
    occurs twice. The library gives each vector the length 1 and takes no seed: `seed` shuffles the lines.
    """
    with tempfile.TemporaryDirectory(prefix="triage-vectors-") as folder:
        path = Path(folder) / "lines.txt"
        _write(path, [f"{_safe(line)}\n" for line in lines], seed=seed)
        try:
            model = fasttext.train_unsupervised(
                str(path),
                model="skipgram",
                dim=dimensions,
                epoch=epochs,
                bucket=50_000,
                minCount=2,
                minn=3,
                maxn=5,
                t=1e-3,  # of a small vocabulary the default drops most of the words
                thread=1,
                verbose=0,
            )
        except ValueError:  # the library's word for an empty vocabulary
            return Vectors((), np.zeros((0, dimensions), dtype=np.float32))
        except (RuntimeError, MemoryError) as error:
            raise FastTextError(f"no word vectors could be learnt from {len(lines)} lines: {error}") from error
    words = [word for word in model.get_words() if word != "</s>" and len(word) <= _LONGEST_WORD][:most_words]
    values = np.array([model.get_word_vector(word) for word in words], dtype=np.float32).reshape(-1, dimensions)
    if not np.isfinite(values).all():
        raise FastTextError(f"the word vectors of {len(lines)} lines are not finite")
    return Vectors(tuple(words), values)


def _write(path: Path, rows: Sequence[str], *, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(rows))
    path.write_text("".join(rows[row] for row in order), encoding="utf-8")


def _min_count(lines: Sequence[str]) -> int:
    """How often a word must occur to have a vector of its own, so that at most 40,000 do (8 MB at 50 dimensions)."""
    counts = Counter(word for line in lines for word in line.split())
    beyond = sorted(counts.values(), reverse=True)[_MOST_WORDS:]
    return beyond[0] + 1 if beyond else 1


def _safe(line: str) -> str:
    """The line without what fastText would take for its own: control characters, surrogates, labels, `</s>`."""
    return _TRAPS.sub(" ", line)
