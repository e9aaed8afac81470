"""The classifier as a whole: what it promises about probabilities, batches, repetition and odd training sets."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from classifier.calibration import calibration_error
from classifier.crossfit import without_some_classes
from classifier.estimator import ArticleClassifier
from classifier.fasttext_model import FastTextModel
from classifier.text import Document, TextPipeline
from tests.classifier.samples import ARTICLES, OUTSIDE, tickets

UNSEEN, TRUTH = tickets(180, seed=1)
QUICK = ArticleClassifier(folds=2, fasttext=FastTextModel(dimensions=10, epochs=10, buckets=2000))


def test_unseen_tickets_find_their_article(fitted: ArticleClassifier) -> None:
    assert (fitted.predict(UNSEEN) == np.array(TRUTH)).mean() > 0.95


def test_probabilities_are_calibrated_and_never_exceed_one(fitted: ArticleClassifier) -> None:
    probabilities = fitted.predict_proba(UNSEEN)
    assert probabilities.dtype == np.float64
    assert probabilities.shape == (len(UNSEEN), len(ARTICLES))
    assert probabilities.min() >= 0
    assert (probabilities.sum(axis=1) <= 1).all()
    assert (probabilities.sum(axis=1) > 0.99999).all()
    assert np.array_equal(probabilities, np.round(probabilities, 6))
    right = fitted.classes_[probabilities.argmax(axis=1)] == np.array(TRUTH)
    assert calibration_error(probabilities.max(axis=1), right) < 0.06


def test_one_by_one_and_batches_are_equal_to_the_last_place(fitted: ArticleClassifier) -> None:
    documents = [*UNSEEN[:60], Document("", ""), Document("", "zzz"), *OUTSIDE]
    whole = fitted.rank(documents)
    assert [fitted.rank([document])[0] for document in documents] == whole
    assert [r for i in range(0, len(documents), 7) for r in fitted.rank(documents[i : i + 7])] == whole


def test_rankings_agree_with_probabilities(fitted: ArticleClassifier) -> None:
    probabilities = fitted.predict_proba(UNSEEN)
    for row, label, ranking in zip(probabilities, fitted.predict(UNSEEN), fitted.rank(UNSEEN, k=3), strict=True):
        assert ranking.matches[0].label == label
        assert [match.probability for match in ranking.matches] == sorted(row, reverse=True)[:3]
        odds = ranking.evidence.in_scope * 0.97 / (1 - ranking.evidence.in_scope + 1e-12) / 0.03
        expected = ranking.matches[0].probability * odds / (1 + odds)
        assert ranking.score == pytest.approx(expected if ranking.evidence.sufficient else 0, abs=2e-6)
    assert len(fitted.rank(UNSEEN[:1], k=100)[0].matches) == len(ARTICLES)
    assert fitted.rank([]) == []


def test_each_family_answers_alone_too(fitted: ArticleClassifier) -> None:
    families = fitted.family_proba(UNSEEN)
    assert set(families) == {"linear", "fasttext"}
    for probabilities in families.values():
        assert probabilities.sum(axis=1) == pytest.approx(1)
        assert (fitted.classes_[probabilities.argmax(axis=1)] == np.array(TRUTH)).mean() > 0.9


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_same_training_gives_the_same_answers_on_any_number_of_threads(jobs: int) -> None:
    documents, labels = tickets(120)
    one = clone(QUICK).fit(documents, labels)
    other = clone(QUICK).set_params(jobs=jobs).fit(documents, labels)
    assert other.rank(UNSEEN) == one.rank(UNSEEN)
    assert other.rule_ == one.rule_
    assert other.weights_ == one.weights_


def test_parameters_follow_scikit_learn() -> None:
    model = clone(QUICK).set_params(pipeline=TextPipeline(limit=100), seed=5)
    assert clone(model).get_params(deep=False).keys() == model.get_params(deep=False).keys()
    assert clone(model).pipeline == TextPipeline(limit=100)
    assert clone(model).get_params()["fasttext__dimensions"] == 10
    documents, labels = tickets(60)
    assert model.fit(documents, labels) is model
    assert model.linear is None


def test_articles_with_one_ticket_or_copies_of_one_are_learnt() -> None:
    documents, labels = tickets(120)
    lone = Document("", "the badge reader at gate seven shows a red light")
    copies = [Document("", "screen stays black after docking")] * 4
    model = clone(QUICK).fit([*documents, lone, *copies], [*labels, "badge", *["screen"] * 4])
    assert {"badge", "screen"} <= set(model.classes_)
    assert model.predict([lone, copies[0]]).tolist() == ["badge", "screen"]


@pytest.mark.parametrize("articles", [2, 3])
def test_very_few_articles_are_enough(articles: int) -> None:
    documents, labels = tickets(240)
    kept = [i for i, label in enumerate(labels) if label in ARTICLES[:articles]]
    model = clone(QUICK).fit([documents[i] for i in kept], [labels[i] for i in kept])
    rankings = model.rank([documents[i] for i in kept])
    assert np.mean([r.matches[0].label == labels[i] for r, i in zip(rankings, kept, strict=True)]) > 0.95
    assert np.mean([r.score > 0.5 for r in rankings]) > 0.9
    assert model.rank([Document("", "")])[0].score == 0


def test_rare_articles_beside_frequent_ones_do_not_break_the_folds() -> None:
    documents, labels = tickets(200)
    order = np.random.default_rng(0).permutation(200)
    kept = [i for i in order if labels[i] == ARTICLES[0]][:30] + [
        [i for i in order if labels[i] == article][j] for j in range(2) for article in ARTICLES[1:]
    ]
    model = clone(QUICK).set_params(folds=5).fit([documents[i] for i in kept], [labels[i] for i in kept])
    assert len(model.classes_) == len(ARTICLES)
    assert np.isfinite(model.report_["log_loss"])


@pytest.mark.parametrize(
    ("documents", "labels", "message"),
    [
        ([Document("", "a")], ["x", "y"], "1 documents and 2 labels"),
        ([Document("", "a"), Document("", "b")], ["x", "x"], "at least two articles"),
        ([Document("", "a"), Document("", "b")], ["x", "y"], "two different texts"),
    ],
)
def test_training_sets_that_cannot_work_are_refused(documents: list[Document], labels: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ArticleClassifier().fit(documents, labels)


def test_one_fold_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        ArticleClassifier(folds=1).fit(*tickets(60))


def test_a_family_that_only_misleads_gets_no_weight() -> None:
    documents, labels = tickets(240)
    hopeless = FastTextModel(dimensions=2, epochs=1, buckets=1000, learning_rate=1e-6)
    model = clone(QUICK).set_params(fasttext=hopeless).fit(documents, labels)
    assert model.report_["families"] == "linear"
    assert model.weights_.fasttext == 0
    assert (model.predict(UNSEEN) == np.array(TRUTH)).mean() > 0.95


def test_left_out_classes_are_missing_from_training_and_all_their_rows_are_predicted() -> None:
    codes = np.arange(300) % 6
    fold = np.arange(300) // 60
    splits = without_some_classes(fold, codes, classes=6, rounds=2, seed=0)
    assert len(splits) == 2
    for training, rows, inside in splits:
        missing = set(codes[rows[~inside]])
        assert len(missing) == 2
        assert not missing & set(codes[training])
        assert not set(training) & set(rows)
        assert len(training) + len(rows) == 300
    assert without_some_classes(fold, codes % 2, classes=2, rounds=2, seed=0) == []


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet=st.characters(codec=None, categories=None), max_size=200))
def test_no_text_breaks_a_ranking(fitted: ArticleClassifier, text: str) -> None:
    ranking = fitted.rank([Document(text, text[::-1])])[0]
    assert 0 <= ranking.score <= 1
    assert sum(match.probability for match in ranking.matches) <= 1
    assert ranking.evidence.reason
