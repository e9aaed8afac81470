"""A profile is what its name promises: BlazingText's numbers, and no other family's help."""

import numpy as np
import pytest

from classifier.calibration import calibrate_top
from classifier.estimator import ArticleClassifier
from classifier.fasttext_model import FastTextModel
from classifier.profiles import AUTOMATIC, PROFILES
from tests.classifier.samples import tickets


def test_the_default_is_the_product_as_it_is() -> None:
    assert PROFILES[AUTOMATIC]().get_params() == ArticleClassifier().get_params()


def test_blazingtext_has_its_documented_numbers() -> None:
    documented = {
        "loss": "softmax", "dimensions": 100, "epochs": 5, "buckets": 2_000_000, "learning_rate": 0.05,
        "word_ngrams": 2, "shortest": 0, "longest": 0, "min_count": 5,
    }  # fmt: skip
    model = PROFILES["blazingtext"]()
    assert model.families == "fasttext"
    assert model.fasttext is not None
    assert {name: model.fasttext.get_params()[name] for name in documented} == documented


@pytest.mark.parametrize(("families", "other"), [("fasttext", "linear"), ("linear", "fasttext")])
def test_a_family_that_is_asked_for_answers_alone_however_bad_it_is(families: str, other: str) -> None:
    documents, labels = tickets(120)
    bad = FastTextModel(loss="softmax", dimensions=10, epochs=1, buckets=1000, learning_rate=0.01)
    model = ArticleClassifier(fasttext=bad, families=families, folds=2).fit(documents, labels)
    assert getattr(model.weights_, other) == 0.0
    asked, _ = tickets(60, seed=9)
    alone = model.family_proba(asked)[families]
    np.testing.assert_allclose(model.predict_proba(asked), calibrate_top(alone, model.weights_.top), atol=2e-6)


def test_families_that_nobody_knows_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="unknown families 'best'; choose from both, linear, fasttext"):
        ArticleClassifier(families="best").fit(*tickets(30))
