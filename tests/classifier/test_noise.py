"""Wrong labels are found where they were put, and none are cried out where there are none."""

import numpy as np
import pytest

from classifier.estimator import ArticleClassifier
from classifier.fasttext_model import FastTextModel
from classifier.noise import suspects
from tests.classifier.samples import ARTICLES, tickets


def test_the_confident_joint_says_how_many_and_self_confidence_which() -> None:
    said = np.array([[0.9, 0.1], [0.8, 0.2], [0.05, 0.95], [0.1, 0.9], [0.2, 0.8], [0.45, 0.55]])
    found = suspects(["a", "a", "a", "b", "b", "a"], said, ["a", "b"])
    # means of own probabilities: a .55, b .85; only the third row reaches the other class's
    assert [(one.row, one.label, one.likely, one.probability, one.self_confidence) for one in found] == [
        (2, "a", "b", 0.95, 0.05)
    ]


def test_flipped_labels_are_found_far_beyond_chance() -> None:
    documents, labels = tickets(600, seed=3)
    rng = np.random.default_rng(5)
    flipped = set(rng.permutation(len(labels))[:30].tolist())
    noisy = [
        str(rng.choice([other for other in ARTICLES if other != label])) if row in flipped else label
        for row, label in enumerate(labels)
    ]
    family = FastTextModel(dimensions=20, epochs=20, buckets=10_000)
    model = ArticleClassifier(folds=3, fasttext=family).fit(documents, noisy)
    rows, probabilities = model.out_of_fold_
    found = suspects([noisy[row] for row in rows], probabilities, model.classes_.tolist())
    named = {int(rows[one.row]) for one in found}
    assert len(named & flipped) / len(flipped) >= 0.8  # by chance .05
    assert len(named & flipped) / len(named) >= 0.8
    right = sum(one.likely == labels[int(rows[one.row])] for one in found)
    assert right / len(found) >= 0.8


def test_clean_labels_raise_no_suspicion_and_nothing_gives_nothing() -> None:
    sure = np.eye(3)[[0, 1, 2, 0, 1, 2]] * 0.9 + 1 / 30
    assert suspects(list("abcabc"), sure, ["a", "b", "c"]) == []
    assert suspects([], np.empty((0, 2)), ["a", "b"]) == []


def test_labels_and_classes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="one of the classes"):
        suspects(["z"], np.ones((1, 2)), ["a", "b"])
    with pytest.raises(ValueError, match="for 1 labels of 2 classes"):
        suspects(["a"], np.ones((2, 2)), ["a", "b"])
