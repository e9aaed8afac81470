"""Rows are split, thinned and certified by hash, repeatably, equal texts on one side."""

import numpy as np
import pytest

from classifier.estimator import ArticleClassifier
from classifier.formats.jsonl import Row
from classifier.ranked import Ranked, broken, by_hash, certify, mixed
from classifier.text import Document


def made(count: int, *, wrong: float, score: tuple[float, float], name: str) -> Ranked:
    random = np.random.default_rng(len(name) + count)
    scores = random.uniform(*score, count).round(6)
    return Ranked(
        label=np.array(["a"] * count),
        cluster=np.array([f"{name}{place}" for place in range(count)]),
        probability=scores,
        score=scores,
        in_scope=scores,
        language=np.array(["en"] * count),
        wrong=random.random(count) < wrong,
        top3=np.ones(count, dtype=np.bool_),
    )


INSIDE = made(900, wrong=0.01, score=(0.2, 1.0), name="in")
OUTSIDE = made(300, wrong=1.1, score=(0.0, 0.4), name="out")


def outsiders(rows: Ranked) -> int:
    return sum(cluster.startswith("out") for cluster in rows.cluster.tolist())


@pytest.mark.parametrize(
    ("share", "inside", "outside"), [(0.1, 900, 100), (0.5, 300, 300), (0.0, 900, 0), (None, 900, 300)]
)
def test_whichever_rows_are_too_many_are_thinned_to_the_share(share: float | None, inside: int, outside: int) -> None:
    rows = mixed(INSIDE, OUTSIDE, share)
    assert outsiders(rows) == outside
    assert len(rows.score) == inside + outside
    assert mixed(INSIDE, OUTSIDE, share).cluster.tolist() == rows.cluster.tolist()


def test_thinning_takes_no_side() -> None:
    kept = mixed(INSIDE, OUTSIDE, 0.5)
    assert kept.score[:300].mean() == pytest.approx(INSIDE.score.mean(), abs=0.04)


def test_equal_texts_land_on_one_side_whatever_their_case_or_spacing() -> None:
    rows = [
        Row(Document("", text), "x", "") for number in range(200) for text in (f"Ticket {number}", f"ticket   {number}")
    ]
    chosen, others = by_hash(rows, 1 / 3, "purpose")
    assert len(chosen) + len(others) == 400
    assert 100 < len(chosen) < 170
    assert len(chosen) % 2 == 0
    assert {row.document.body.lower().split()[1] for row in chosen}.isdisjoint(
        row.document.body.lower().split()[1] for row in others
    )
    assert by_hash(rows, 1 / 3, "another")[0] != chosen


@pytest.fixture(scope="module")
def model() -> ArticleClassifier:
    documents = [Document("", f"{word} does not work {number}") for word in ("mail", "vpn") for number in range(40)]
    return ArticleClassifier().fit(documents, ["mail"] * 40 + ["vpn"] * 40)


def test_what_is_certified_is_measured_on_other_rows(model: ArticleClassifier) -> None:
    other = made(500, wrong=0.5, score=(0.2, 1.0), name="other")
    certified, said = certify(INSIDE, other, alphas=[0.05], delta=0.05, model=model)
    found = certified["0.05"]
    assert found is not None
    assert found["n"] == 900
    assert found["upper_bound"] <= 0.05
    assert found["wrong_rate"] == pytest.approx(0.5, abs=0.1)
    assert "it held in the imported history" in said["0.05"]


def test_a_promise_that_other_rows_break_beyond_luck_is_named() -> None:
    certified = {"0.05": {"threshold": 0.2}, "0.02": None}
    said = broken(certified, made(500, wrong=0.2, score=(0.2, 1.0), name="strange"))
    assert list(said) == ["0.05"]
    assert "at most 5 % wrong, but of 500 test rows" in said["0.05"]
    assert broken(certified, made(500, wrong=0.055, score=(0.2, 1.0), name="lucky")) == {}


def test_what_cannot_be_certified_is_null_and_says_why(model: ArticleClassifier) -> None:
    few, bad = made(50, wrong=0.0, score=(0.2, 1.0), name="few"), made(900, wrong=0.2, score=(0.2, 1.0), name="bad")
    for rows, reason in (
        (few, "Not certified: certifying 0.05 needs at least 80"),
        (bad, "Not certified: at the threshold"),
    ):
        certified, said = certify(rows, rows, alphas=[0.05], delta=0.05, model=model)
        assert certified == {"0.05": None}
        assert said["0.05"].startswith(reason)


def test_repeated_texts_are_one_unit(model: ArticleClassifier) -> None:
    copies = made(30, wrong=0.0, score=(0.2, 1.0), name="copy")
    for _ in range(4):
        copies = copies.joined(copies)
    certified, _ = certify(copies, copies, alphas=[0.05], delta=0.05, model=model)
    assert certified == {"0.05": None}
