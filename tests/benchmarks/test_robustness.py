"""The comparison with TF-IDF and LinearSVC: fair folds, an honest interval, and a verdict that can be "worse"."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from classifier.formats.jsonl import Row
from classifier.text import Document, text_hash
from tests.benchmarks import robustness
from tests.benchmarks.robustness import Labels, Unfit, baseline, cells, compared, folds, interval, main, subset
from tests.benchmarks.tickets import generated


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return generated(train=1_300, held_out=0).train


def few(rows: Sequence[Row], classes: int) -> list[Row]:
    """Rows of the most frequent classes."""
    kept = {label for label, _ in Counter(row.label for row in rows).most_common(classes)}
    return [row for row in rows if row.label in kept]


def written(path: Path, rows: Sequence[Row]) -> Path:
    told = [{"subject": r.document.subject, "text": r.document.body, "label": r.label} for r in rows]
    path.write_text("\n".join(map(json.dumps, told)), encoding="utf-8")
    return path


def commonest(train: Sequence[Row], test: Sequence[Row]) -> Labels:
    """A learner that has learnt next to nothing."""
    return np.array([Counter(row.label for row in train).most_common(1)[0][0]] * len(test))


def test_equal_texts_share_a_fold_and_classes_are_spread_evenly(rows: list[Row]) -> None:
    repeated = [*rows, *(row._replace(label="another") for row in rows[:200])]
    fold = folds(repeated, count=5, seed=1)
    places: dict[str, set[int]] = {}
    for row, place in zip(repeated, fold.tolist(), strict=True):
        places.setdefault(text_hash(row.document), set()).add(place)
    assert all(len(each) == 1 for each in places.values())
    assert fold[200 : len(rows)].tolist() != fold[: len(rows) - 200].tolist()
    alone = folds(subset(rows, count=None, classes=3, seed=1), count=5, seed=1)
    assert min(Counter(alone.tolist()).values()) > 0.15 * len(alone)


def test_a_subset_has_so_many_rows_and_classes_and_follows_the_seed(rows: list[Row]) -> None:
    chosen = subset(rows, count=300, classes=4, seed=3)
    assert (len(chosen), len({row.label for row in chosen})) == (300, 4)
    assert chosen == subset(rows, count=300, classes=4, seed=3) != subset(rows, count=300, classes=4, seed=4)


def test_the_interval_is_that_of_resampled_rows() -> None:
    random = np.random.default_rng(0)
    right, theirs = random.random(400) < 0.8, random.random(400) < 0.7
    picked = random.integers(0, 400, (10_000, 400))
    differences = right[picked].mean(axis=1) - theirs[picked].mean(axis=1)
    assert interval(right, theirs, seed=1) == pytest.approx(
        np.quantile(differences, [0.025, 0.975]).tolist(), abs=0.003
    )


def test_a_learner_that_is_worse_fails_and_one_that_is_the_same_does_not(rows: list[Row]) -> None:
    chosen = few(rows, 6)[:300]
    worse = compared(chosen, learner=commonest, count=3)
    assert worse["failed"]
    assert worse["interval"][1] < -0.1
    same = compared(chosen, learner=baseline, count=3)
    assert (same["difference"], same["interval"], same["failed"]) == (0.0, [0.0, 0.0], False)


def test_a_class_with_one_text_counts_as_wrong_for_both(rows: list[Row]) -> None:
    rare = [Row(Document("", "a sentence that stands here alone"), "rare", "en")]
    told = compared([*rare, *few(rows, 5)[:320]], learner=baseline, count=3)
    assert (told["unlearnable"], told["classes"]) == (1, 6)
    assert told["accuracy"] <= 1 - 1 / 321


def test_too_few_rows_or_classes_are_refused_in_words(rows: list[Row]) -> None:
    with pytest.raises(Unfit, match="200 rows; this compares on 300 to 50,000"):
        compared(rows[:200])
    with pytest.raises(Unfit, match="2 classes; this compares on 3 to 200"):
        compared(few(rows, 2))


def test_the_grid_takes_only_subsets_that_the_file_is_large_enough_for(rows: list[Row]) -> None:
    shapes = [(len(each), len({row.label for row in each})) for each in cells(few(rows, 5), seed=1)]
    assert shapes[:2] == [(300, 3), (300, 5)]
    assert max(count for count, _ in shapes) < 1_100
    assert {300, 1_000} == {len(each) for each in cells(rows, seed=1)}


def test_the_classifier_is_compared_on_a_file_and_the_exit_code_tells_a_failure(
    rows: list[Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    short = sorted(few(rows, 3), key=lambda row: len(row.document.body))[:300]
    file = written(tmp_path / "rows.jsonl", short)
    assert main([str(file), "--folds", "2", "--json", "-"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["results"]
    assert (told["rows"], told["classes"], told["folds"]) == (300, 3, 2)
    assert told["accuracy"] > 0.9
    monkeypatch.setattr(robustness, "ours", lambda train, test, jobs: commonest(train, test))
    assert main([str(file), "--json", str(tmp_path / "out.json")]) == 1
    assert json.loads((tmp_path / "out.json").read_text())["failed"] == 1


def test_a_file_that_cannot_be_read_is_bad_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([str(tmp_path / "absent.jsonl")])
    assert left.value.code == 2
    assert "absent.jsonl cannot be read" in capsys.readouterr().err
