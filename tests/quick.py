"""The product's classifier in a size that trains within seconds, for tests of what is built around it."""

from classifier import profiles
from classifier.estimator import ArticleClassifier
from classifier.fasttext_model import FastTextModel


def classifier() -> ArticleClassifier:
    """Both families, calibrated out of fold as ever."""
    return ArticleClassifier(folds=2, fasttext=FastTextModel(dimensions=20, epochs=30, buckets=10_000))


def install() -> None:
    """Make it this process's automatic profile; before anything that trains is imported."""
    profiles.PROFILES = {**profiles.PROFILES, profiles.AUTOMATIC: classifier}
