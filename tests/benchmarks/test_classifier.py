"""Speed and broken promises of a trained classifier, at a tenth of the size: every key, and a verdict that can fail."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from classifier.estimator import ArticleClassifier
from classifier.fasttext_model import FastTextModel
from classifier.formats.jsonl import FormatError, Row
from classifier.ranked import mixed, ranked
from tests.benchmarks import classifier as benchmark
from tests.benchmarks import speed
from tests.benchmarks.certificates import naive, own
from tests.benchmarks.classifier import main, population, promises
from tests.benchmarks.tickets import generated, lengthened, load

SMALL = ["--rows", "600", "--splits", "30", "--rounds", "2", "--jobs", "1"]
KEYS = {"us_per_ticket", "stock_fasttext_us", "sklearn_us", "broken_promises", "splits", "delta"}


@pytest.fixture(scope="module", autouse=True)
def quickly_trained() -> Any:
    """The real classifier with fewer folds and epochs, each training set once, and smaller batches."""

    kept: dict[tuple[int, Row], ArticleClassifier] = {}

    def trained(rows: Sequence[Row], *, jobs: int) -> ArticleClassifier:
        if model := kept.get((len(rows), rows[0])):
            return model
        model = ArticleClassifier(folds=2, jobs=jobs, fasttext=FastTextModel(epochs=8, dimensions=20, buckets=10_000))
        kept[len(rows), rows[0]] = model.fit([row.document for row in rows], [row.label for row in rows])
        return model

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmark, "trained", trained)
        patch.setattr(speed, "BATCH", 100)
        yield


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("figures") / "f.json"
    assert main([*SMALL, "--json", str(path)]) == 0
    told: dict[str, Any] = json.loads(path.read_text())
    return told


def test_every_key_is_there_with_a_sensible_figure(figures: dict[str, Any]) -> None:
    assert set(figures) >= KEYS | {"limit", "promises", "long_texts", "model_bytes", "data"}
    assert (figures["splits"], figures["delta"], figures["limit"]) == (30, 0.05, 5)
    for part in (figures, figures["long_texts"]):
        for name in ("us_per_ticket", "stock_fasttext_us", "sklearn_us"):
            assert part["spread"][name]["least"] <= part[name] <= part["spread"][name]["most"]
            assert part["accuracies"][name] > 0.2
    assert figures["stock_fasttext_us"] < figures["us_per_ticket"]
    assert figures["long_texts"]["sklearn_us"] > 1.5 * figures["sklearn_us"]
    assert figures["model_bytes"] > 100_000


def test_broken_promises_are_the_most_of_any_alpha(figures: dict[str, Any]) -> None:
    assert set(figures["promises"]) == {"0.05", "0.02", "0.01"}
    assert figures["broken_promises"] == max(one["broken"] for one in figures["promises"].values())


def test_the_same_scores_convict_the_rule_without_a_test() -> None:
    sets = generated(train=500, held_out=1_500)
    model = benchmark.trained(sets.train, jobs=1)
    rows = mixed(ranked(model, sets.held_out), ranked(model, sets.outside, in_scope=False), 0.15)
    told = promises(population(rows), procedure=own, delta=0.05, splits=40, units=None, seed=1)
    assert told["0.05"]["certified"] > 20
    assert all(one["broken"] <= one["limit"] for one in told.values())
    assert told["0.05"]["naive_broken"] > told["0.05"]["limit"]


def test_a_procedure_that_breaks_its_promise_is_told_by_the_exit_code(
    figures: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "speeds", lambda *_, **__: figures)  # measured already, and of no matter here
    assert main(SMALL, procedure=naive) == 1


def test_equal_texts_are_one_unit_of_the_population() -> None:
    sets = generated(train=300, held_out=100)
    model = benchmark.trained(sets.train, jobs=1)
    told = ranked(model, [*sets.held_out, *sets.held_out])
    assert len(population(told).best) == len(set(told.cluster.tolist())) <= len(sets.held_out)


def test_a_folder_or_a_file_gives_rows_to_learn_from_and_others_to_test_on(tmp_path: Path) -> None:
    texts = {"train": 60, "test": 20, "valid": 10, "oos_test": 5}
    for name, count in texts.items():
        rows = [{"text": f"{name} {number}", "label": f"class {number % 3}"} for number in range(count)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    sets = load(tmp_path)
    assert (len(sets.train), len(sets.held_out), len(sets.outside)) == (60, 30, 5)
    divided = load(tmp_path / "train.jsonl")
    assert len(divided.train) + len(divided.held_out) == 60
    assert 5 < len(divided.held_out) < 30
    (tmp_path / "test.jsonl").unlink()
    with pytest.raises(FormatError, match=r"holds no test\.jsonl"):
        load(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(["--data", str(tmp_path)])
    assert left.value.code == 2


def test_long_rows_are_put_together_of_one_label() -> None:
    rows = generated(train=200, held_out=0).train
    longer = lengthened(rows, times=4)
    assert sorted(row.label for row in longer) == sorted(row.label for row in rows)
    assert sum(len(row.document.body) for row in longer) > 3.5 * sum(len(row.document.body) for row in rows)
