"""One classifier, trained once on made-up tickets, for all tests that only ask it."""

import pytest

from classifier.estimator import ArticleClassifier
from classifier.fasttext_model import FastTextModel
from tests.classifier.samples import OUTSIDE, tickets


@pytest.fixture(scope="session")
def fitted() -> ArticleClassifier:
    documents, labels = tickets(360)
    family = FastTextModel(dimensions=20, epochs=40, buckets=10_000)
    return ArticleClassifier(folds=3, fasttext=family).fit(documents, labels, out_of_scope=OUTSIDE)
