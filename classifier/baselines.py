"""What anybody would try first, trained on the same rows, so that every evaluation says what we add, or do not."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.svm import LinearSVC

from classifier import profiles
from classifier.estimator import ArticleClassifier
from classifier.fasttext_model import FastTextError
from classifier.formats.jsonl import Row
from classifier.metrics import Booleans, paired_p
from classifier.text import Document, TextPipeline

Labels = npt.NDArray[Any]

SIGNIFICANT = 0.05
"""A model is below a baseline when luck alone explains the difference with less than this probability."""


def blazingtext_defaults(
    documents: Sequence[Document], labels: Sequence[str], asked: Sequence[Document]
) -> Labels | None:
    """Labels (n) of the asked documents by BlazingText's supervised mode with its documented defaults.

    Trained through fastText, on clean lines; None where that fails.
    """
    pipeline = TextPipeline()
    model = profiles.blazingtext_defaults()
    try:
        model.fit(pipeline.lines(documents), labels)
    except (FastTextError, ValueError):
        return None
    return np.asarray(model.predict(pipeline.lines(asked)))


def tfidf_linearsvc(documents: Sequence[Document], labels: Sequence[str], asked: Sequence[Document]) -> Labels | None:
    """Labels (n) of the asked documents by TF-IDF and LinearSVC (C = 0.5) on the raw text.

    Words and word pairs, and character 2- to 5-grams inside words, sublinear. None where the texts have no word.
    """
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    model = make_pipeline(make_union(words, characters), LinearSVC(C=0.5, random_state=0))
    try:
        model.fit(_texts(documents), labels)
    except ValueError:
        return None
    return np.asarray(model.predict(_texts(asked)))


def warning(right: Booleans, baseline: Booleans, *, profile: str = profiles.AUTOMATIC) -> str:
    """What to say, and what to do, where a model is below TF-IDF + LinearSVC on the same rows beyond chance; else "".

    `right` and `baseline` (n): which rows each labels rightly; McNemar's exact test, one-sided, at 5 %.
    """
    p = paired_p(right, baseline)
    if not len(right) or p >= SIGNIFICANT:
        return ""
    chance = f"p = {p:.2g}" if p >= 1e-6 else "p < 0.000001"
    figures = (
        f"Below the baseline: the model labels {100 * right.mean():.1f} % of {len(right):,} rows rightly, plain TF-IDF "
        f"with LinearSVC {100 * baseline.mean():.1f} % (exact McNemar test, {chance})."
    )
    return f"{figures} {_advice(profile)}"


def _advice(profile: str) -> str:
    if profile != profiles.AUTOMATIC:
        return f"Do not use this model: train again without --profile {profile}."
    return (
        "Do not bring this model into force. Check that train and test rows are of one kind and one time, mend the "
        "suspect labels, and look at the classes with the lowest F1; then train again."
    )


def compared(
    model: ArticleClassifier, *, train: Sequence[Row], test: Sequence[Row], profile: str = profiles.AUTOMATIC
) -> dict[str, Any]:
    """Accuracies of the model's families and of the baselines on the test rows, as JSON values, and a warning.

    `p_below` is McNemar's p that the model is no worse than TF-IDF + LinearSVC; `warning` is None or a sentence.
    """
    documents, labels = [row.document for row in train], [row.label for row in train]
    asked, truth = [row.document for row in test], np.array([row.label for row in test])
    right = model.predict(asked) == truth
    said = model.family_proba(asked)
    families = {name: model.classes_[rows.argmax(axis=1)] == truth for name, rows in sorted(said.items())}
    defaults = blazingtext_defaults(documents, labels, asked)
    linear = tfidf_linearsvc(documents, labels, asked)
    plain = None if linear is None else linear == truth
    return {
        "families": {name: {"accuracy": _share(one)} for name, one in families.items()},
        "baselines": {
            "blazingtext_defaults": {"accuracy": None if defaults is None else _share(defaults == truth)},
            "tfidf_linearsvc": {
                "accuracy": None if plain is None else _share(plain),
                "p_below": None if plain is None else round(paired_p(right, plain), 9),
            },
        },
        "warning": None if plain is None else warning(right, plain, profile=profile) or None,
    }


def _share(right: Booleans) -> float:
    return round(float(right.mean()), 6)


def _texts(documents: Sequence[Document]) -> list[str]:
    return [f"{document.subject}\n{document.body}" for document in documents]
