"""The curve's subsets are fair and nested, and its sentence follows from its figures."""

import numpy as np
import pytest

from classifier.estimator import ArticleClassifier
from classifier.fasttext_model import FastTextModel
from classifier.formats.jsonl import Row
from classifier.learning_curve import Point, curve, said, subset
from tests.classifier.samples import tickets

ROWS = [Row(document, label, "") for document, label in zip(*tickets(240), strict=True)]


def point(rows: int, right: int, of: int = 10_000) -> Point:
    return Point(rows=rows, right=np.arange(of) < right)


def test_subsets_are_nested_and_keep_the_share_of_every_class() -> None:
    quarter, half = subset(ROWS, 0.25), subset(ROWS, 0.5)
    assert set(quarter) < set(half)
    assert {label: sum(row.label == label for row in half) for label in {row.label for row in ROWS}} == dict.fromkeys(
        {row.label for row in ROWS}, 20
    )
    assert [row for row in ROWS if row in set(half)] == half
    assert len(subset(ROWS[:3], 0.1)) == 2


def test_each_point_is_a_model_of_its_own_and_the_last_is_the_model_itself() -> None:
    def untrained() -> ArticleClassifier:
        return ArticleClassifier(folds=2, fasttext=FastTextModel(dimensions=10, epochs=10, buckets=1000))

    test = [Row(document, label, "") for document, label in zip(*tickets(60, seed=9), strict=True)]
    whole, heard = np.ones(60, dtype=bool), list[float]()
    points = curve(train=ROWS, test=test, whole=whole, untrained=untrained, shares=(0.5, 0.05), tell=heard.append)
    assert heard == [0.05, 0.5]
    assert [one.rows for one in points] == [12, 120, 240]
    assert points[-1].right is whole
    assert points[1].accuracy > 0.9
    assert points[1].as_dict()["accuracy_ci"][0] < points[1].accuracy
    single = [row._replace(document=ROWS[0].document) for row in ROWS]
    assert len(curve(train=single, test=test, whole=whole, untrained=untrained)) == 1


@pytest.mark.parametrize(
    ("right", "sentence"),
    [
        ((7000, 8000, 8600), "More labels would help: as many again may add about 3.6 points"),
        ((9000, 9200, 9230), "The curve flattens: as many labels again would add about 0.0 points"),
        ((9000, 9000, 9000), "That may be chance: more labels of the same kind would hardly help"),
        ((9000, 9200, 9100), "That may be chance"),
    ],
)
def test_the_sentence_says_whether_more_labels_would_help(right: tuple[int, int, int], sentence: str) -> None:
    text = said([point(rows, count) for rows, count in zip((1000, 2000, 4000), right, strict=True)])
    assert f"{(right[2] - right[1]) / 100:+.1f} points" in text
    assert sentence in text


def test_one_point_is_no_curve() -> None:
    assert said([point(100, 5)]) == ""
