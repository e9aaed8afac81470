"""Near-duplicates are counted, and the counting would notice a generator that repeats itself."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.svm import LinearSVC

from tests.demo.conftest import Made, text
from triage.demo import tickets
from triage.demo.likeness import near_duplicate_share


def test_a_copied_ticket_counts_and_a_different_one_does_not() -> None:
    train = ["my account is locked since this morning", "the printer on floor two is jammed", "disk full on the server"]
    assert near_duplicate_share(train, [train[0], "where may I park my bicycle today"]) == pytest.approx(0.5)
    assert near_duplicate_share([], train) == near_duplicate_share(train, []) == 0.0


def test_history_sent_again_under_another_signature_would_be_noticed() -> None:
    history = tickets.generate(seed=1, n=1200, stream=False)
    train = [text(sample) for sample in history]
    repeated = [f"{text(sample)}\nJane" for sample in history[::4]]
    assert near_duplicate_share(train, repeated) > 0.8


def test_what_was_learnt_from_the_history_carries_over_to_the_stream(made: Made) -> None:
    """New words for old problems, not new problems. The evaluation's baseline, without what occurs only once."""
    learnt = [sample for sample in made.train if sample.truth]
    asked = [sample for sample in made.stream if sample.truth]
    features = make_union(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2),
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2),
    )
    model = make_pipeline(features, LinearSVC(C=0.5))
    model.fit([text(sample) for sample in learnt], [sample.truth for sample in learnt])
    guessed = model.predict([text(sample) for sample in asked])
    right = np.array([guess == sample.truth for guess, sample in zip(guessed, asked, strict=True)])
    assert right.mean() >= 0.88
