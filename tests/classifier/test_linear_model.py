"""The linear family: its features against scikit-learn's, and what it keeps of a model."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer

from classifier.linear_model import LinearModel, NgramFeatures
from classifier.text import TextPipeline
from tests.classifier.samples import tickets

DOCUMENTS, LABELS = tickets(240)
LINES = TextPipeline().lines(DOCUMENTS)
PLAIN = [line.replace(" || ", " ") for line in LINES]


@pytest.fixture(scope="module")
def model() -> LinearModel:
    return LinearModel().fit(LINES, LABELS)


def test_word_features_are_those_of_scikit_learn() -> None:
    features = NgramFeatures.learn(PLAIN, min_rows=1, most=10**6)
    ours = features.transform(PLAIN)[:, : len(features.words)].toarray()
    theirs = TfidfVectorizer(token_pattern=r"\S+", ngram_range=(1, 2), sublinear_tf=True, vocabulary=features.words)
    assert ours == pytest.approx(theirs.fit_transform(PLAIN).toarray(), abs=1e-5)


def test_piece_features_are_those_of_scikit_learn() -> None:
    features = NgramFeatures.learn(PLAIN, min_rows=1, most=10**6)
    first = len(features.words) + len(features.apart)
    ours = features.transform(PLAIN)[:, first:].toarray()
    vocabulary = {piece: i - first for piece, i in features.pieces.items()}
    theirs = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, vocabulary=vocabulary)
    expected = theirs.fit_transform(PLAIN).toarray()
    assert ours == pytest.approx(expected, abs=1e-5)


def test_words_with_one_or_two_between_them_are_features_of_half_the_length() -> None:
    lines = ["please reset my password", "reset the old password", "reset password"]
    features = NgramFeatures.learn(lines, min_rows=2, most=10**6)
    assert list(features.apart) == ["reset\u2026password"]
    column = len(features.words)
    assert features.transform(lines)[:, column].toarray().ravel() == pytest.approx([0.5, 0.5, 0.0])


def test_a_word_counts_for_more_in_the_subject() -> None:
    features = NgramFeatures.learn(["vpn || mail is slow", "mail || vpn is slow"], min_rows=1, most=10**6)
    one, other = features.transform(["vpn || mail is slow", "mail || vpn is slow"]).toarray()
    assert not np.array_equal(one, other)
    plain = NgramFeatures.learn(["vpn mail", "mail vpn"], min_rows=1, most=10**6)
    assert [word for word in plain.words if word.startswith("|")] == []


def test_the_rarest_features_go_first_and_single_words_last(monkeypatch: pytest.MonkeyPatch) -> None:
    full = NgramFeatures.learn(LINES, min_rows=1, most=10**6)
    single = {word for word in full.words if " " not in word}
    few = NgramFeatures.learn(LINES, min_rows=1, most=len(single) + 300)
    assert len(few.words) + len(few.apart) + len(few.pieces) == len(few.idf) == len(single) + 300
    assert single <= set(few.words)
    assert list(few.pieces) == sorted(few.pieces)
    assert few.idf[len(few.words) :].max() < full.idf[len(full.words) :].max()
    monkeypatch.setattr("classifier.linear_model._FEWEST_FEATURES", 100)
    model = LinearModel(most_numbers=6_000).fit(LINES, LABELS)
    assert model.coef_.size <= 6_000


def test_what_tickets_bring_along_is_not_remembered(model: LinearModel) -> None:
    before = len(model.features_._ids_of)
    model.decision_function([" ".join(f"junk{i}" for i in range(500))])
    assert len(model.features_._ids_of) == before


def test_unseen_tickets_are_told_apart(model: LinearModel) -> None:
    unseen, truth = tickets(120, seed=1)
    assert (model.predict(TextPipeline().lines(unseen)) == np.array(truth)).mean() > 0.95


def test_the_order_of_rows_does_not_change_the_features() -> None:
    one, other = (
        NgramFeatures.learn(LINES, min_rows=2, most=10**6),
        NgramFeatures.learn(LINES[::-1], min_rows=2, most=10**6),
    )
    assert (list(one.words), list(one.pieces)) == (list(other.words), list(other.pieces))
    assert np.array_equal(one.idf, other.idf)


def test_the_same_training_gives_the_same_bits(model: LinearModel) -> None:
    again = clone(model).fit(LINES, LABELS)
    assert np.array_equal(again.coef_, model.coef_)
    assert np.array_equal(again.intercept_, model.intercept_)


def test_a_text_has_the_same_bits_in_any_batch(model: LinearModel) -> None:
    whole = model.decision_function(LINES[:50])
    assert np.array_equal(whole, np.vstack([model.decision_function([line]) for line in LINES[:50]]))


def test_nothing_known_leaves_only_the_intercept(model: LinearModel) -> None:
    assert np.array_equal(model.decision_function(["", "œøß ∆∆∆"]), np.vstack([model.intercept_] * 2))


def test_the_blend_is_the_sum_of_the_learners(model: LinearModel) -> None:
    svm, bayes = model.part_functions(LINES[:30])
    again = clone(model).fit(LINES, LABELS).fuse((2.0, 0.5))
    assert again.decision_function(LINES[:30]) == pytest.approx(2.0 * svm + 0.5 * bayes, abs=0.05)


def test_two_classes_give_two_columns() -> None:
    chosen = [i for i, label in enumerate(LABELS) if label in ("vpn-down", "printer-jam")]
    model = LinearModel().fit([LINES[i] for i in chosen], [LABELS[i] for i in chosen])
    assert model.decision_function(LINES[:3]).shape == (3, 2)
    assert (model.predict([LINES[i] for i in chosen]) == np.array([LABELS[i] for i in chosen])).all()


def test_what_is_stored_answers_as_what_was_fitted(model: LinearModel) -> None:
    restored = LinearModel().restore(model.arrays(), model.vocabulary(), model.classes_.tolist())
    assert np.array_equal(restored.decision_function(LINES), model.decision_function(LINES))


def test_arrays_of_another_model_are_refused(model: LinearModel) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        LinearModel().restore(model.arrays(), {"words": ["a"], "apart": [], "pieces": []}, model.classes_.tolist())


def test_a_word_without_end_costs_no_more_than_its_first_letters(model: LinearModel) -> None:
    assert model.features_.transform(["a" * 100_000]).nnz <= 64 * 4


def test_parameters_follow_scikit_learn() -> None:
    model = LinearModel(C=0.25, smoothing=0.1)
    assert clone(model).get_params() == model.get_params()
    assert model.fit(LINES, LABELS) is model
