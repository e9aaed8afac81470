"""Likeness of texts by the model's own features."""

import numpy as np
import pytest

from classifier.estimator import ArticleClassifier
from classifier.nearest import COMPARED, likeness, nearest
from classifier.text import Document
from tests.classifier.samples import tickets


def test_a_text_is_most_like_itself_and_unlike_what_shares_nothing(fitted: ArticleClassifier) -> None:
    texts = [Document("", "my account is locked"), Document("", "paper jam in the printer"), Document("", "")]
    found = likeness(fitted, texts, [*texts, Document("", "ACCOUNT is, my: locked!")])
    assert found.shape == (3, 4)
    assert np.diag(found)[:2] == pytest.approx([1.0, 1.0])
    assert found[2].tolist() == [0.0] * 4  # an empty text is like nothing, not even like an empty text
    assert found[0, 3] > 0.5 > found[0, 1] >= 0
    assert (found <= 1.0).all()


def test_likeness_is_the_cosine_of_the_linear_features(fitted: ArticleClassifier) -> None:
    documents = tickets(12, seed=3)[0]
    dense = fitted.linear_.features_.transform(fitted.pipeline_.lines(documents)).toarray()
    dense /= np.linalg.norm(dense, axis=1, keepdims=True)
    assert likeness(fitted, documents, documents) == pytest.approx(dense @ dense.T, abs=1e-5)


def test_the_nearest_come_first_and_faint_ones_not_at_all(fitted: ArticleClassifier) -> None:
    others = [
        Document("", text) for text in ("vpn drops from home", "zzz qqq", "account locked again", "account locked")
    ]
    found = nearest(fitted, Document("", "account locked"), others, most=3, least=0.3)
    assert [neighbour.number for neighbour in found] == [3, 2]
    assert found[0].likeness == 1.0
    assert nearest(fitted, Document("", "account locked"), [], most=3) == []
    assert nearest(fitted, Document("", ""), others, most=3) == []


def test_tickets_of_one_article_are_nearer_than_those_of_others(fitted: ArticleClassifier) -> None:
    documents, labels = tickets(120, seed=21)
    found = likeness(fitted, documents, documents)
    np.fill_diagonal(found, -1)
    nearest_label = np.asarray(labels)[found.argmax(axis=1)]
    assert (nearest_label == np.asarray(labels)).mean() > 0.95


def test_of_many_texts_the_same_are_found_as_if_all_had_been_compared(fitted: ArticleClassifier) -> None:
    others, asked = tickets(3 * COMPARED, seed=31)[0], tickets(20, seed=32)[0]
    whole = np.round(likeness(fitted, asked, others), 4)
    for document, row in zip(asked, whole, strict=True):
        found = nearest(fitted, document, others, most=5)
        assert [neighbour.likeness for neighbour in found] == np.sort(row)[::-1][:5].tolist()
        assert [row[neighbour.number] for neighbour in found] == [neighbour.likeness for neighbour in found]
