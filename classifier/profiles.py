"""Classifiers by name, each untrained: what `--profile` of the commands offers.

`automatic` is the product: both families, sized by the data. `blazingtext` promises BlazingText's documented defaults
and nothing else: its probabilities come from the fastText family alone, so that the linear family cannot rescue it
unseen. The linear family is trained all the same, since what counts as evidence is told by its vocabulary.
"""

from collections.abc import Callable, Mapping

from classifier.estimator import ArticleClassifier
from classifier.fasttext_model import FastTextModel

AUTOMATIC = "automatic"


def blazingtext_defaults() -> FastTextModel:
    """fastText with BlazingText's documented hyperparameters for supervised mode.

    Learning rate 0.05, 5 epochs, words seen at least 5 times, 100 dimensions, word pairs, 2,000,000 buckets, no
    subwords, softmax. The buckets alone make a file of 800 MB. On ticket-sized data they learn next to nothing.
    """
    return FastTextModel(
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


def _blazingtext() -> ArticleClassifier:
    return ArticleClassifier(fasttext=blazingtext_defaults(), families="fasttext")


PROFILES: Mapping[str, Callable[[], ArticleClassifier]] = {AUTOMATIC: ArticleClassifier, "blazingtext": _blazingtext}
