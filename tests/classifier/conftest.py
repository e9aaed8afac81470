"""One classifier, trained once on made-up tickets, for all tests that only ask it."""

import pytest

from classifier.estimator import ArticleClassifier
from tests.classifier.samples import OUTSIDE, tickets


@pytest.fixture(scope="session")
def fitted() -> ArticleClassifier:
    documents, labels = tickets(360)
    return ArticleClassifier(folds=3).fit(documents, labels, out_of_scope=OUTSIDE)
