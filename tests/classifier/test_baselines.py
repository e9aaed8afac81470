"""The baselines answer, and a model that is below the plain one is told so, beyond chance only."""

import numpy as np
import pytest

from classifier.baselines import tfidf_linearsvc, warning
from classifier.metrics import Booleans
from tests.classifier.samples import tickets


def rights(both: int, only_model: int, only_baseline: int) -> tuple[Booleans, Booleans]:
    order = np.arange(both + only_model + only_baseline)
    return order < both + only_model, (order < both) | (order >= both + only_model)


def test_the_plain_baseline_learns_and_wordless_texts_teach_nothing() -> None:
    documents, labels = tickets(120)
    asked, truth = tickets(60, seed=9)
    found = tfidf_linearsvc(documents, labels, asked)
    assert found is not None
    assert (found == np.array(truth)).mean() > 0.9
    wordless = [document._replace(subject="", body=".") for document in documents]
    assert tfidf_linearsvc(wordless, labels, asked) is None


@pytest.mark.parametrize(
    ("counts", "warned"),
    [
        ((900, 10, 30), True),
        ((900, 10, 12), False),  # chance
        ((900, 30, 10), False),
        ((0, 0, 0), False),
        ((0, 0, 5), True),
        ((0, 0, 4), False),  # p = 1/16
    ],
)
def test_below_the_baseline_means_beyond_chance(counts: tuple[int, int, int], warned: bool) -> None:
    said = warning(*rights(*counts))
    assert said.startswith("Below the baseline: the model labels" if warned else "")
    assert bool(said) is warned


def test_the_warning_says_what_to_do() -> None:
    assert "mend the suspect labels" in warning(*rights(900, 10, 30))
    assert "without --profile blazingtext" in warning(*rights(900, 10, 30), profile="blazingtext")
