"""What anybody would try first, trained on the same rows, so that every evaluation says what we add."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.svm import LinearSVC

from classifier.fasttext_model import FastTextError, FastTextModel
from classifier.formats.jsonl import Row
from classifier.text import TextPipeline


def blazingtext_defaults(train: Sequence[Row], test: Sequence[Row]) -> float | None:
    """Accuracy of BlazingText's supervised mode with its documented defaults, trained through fastText.

    Learning rate 0.05, 5 epochs, words seen at least 5 times, 100 dimensions, word pairs, 2,000,000 buckets, no
    subwords, softmax. None where these find no word to learn from.
    """
    pipeline = TextPipeline()
    model = FastTextModel(
        loss="softmax",
        dimensions=100,
        epochs=5,
        buckets=2_000_000,
        learning_rate=0.05,
        word_ngrams=2,
        shortest=0,
        longest=0,
        min_count=5,
    )
    try:
        model.fit(pipeline.lines([row.document for row in train]), [row.label for row in train])
    except (FastTextError, ValueError):
        return None
    return _accuracy(model.predict(pipeline.lines([row.document for row in test])), test)


def tfidf_linearsvc(train: Sequence[Row], test: Sequence[Row]) -> float:
    """Accuracy of TF-IDF over words, word pairs and character 2- to 5-grams with LinearSVC (C = 0.5), raw text."""
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    model = make_pipeline(make_union(words, characters), LinearSVC(C=0.5, random_state=0))
    model.fit(_texts(train), [row.label for row in train])
    return _accuracy(model.predict(_texts(test)), test)


def _texts(rows: Sequence[Row]) -> list[str]:
    return [f"{row.document.subject}\n{row.document.body}" for row in rows]


def _accuracy(said: npt.ArrayLike, rows: Sequence[Row]) -> float:
    return round(float((np.asarray(said) == np.array([row.label for row in rows])).mean()), 6)
