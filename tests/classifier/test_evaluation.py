"""The whole evaluation on small made-up tickets: every key of the interface, and what each figure was measured on."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifier import evaluation
from classifier.estimator import ArticleClassifier
from classifier.evaluation import EvaluationRefused, evaluate, table
from classifier.fasttext_model import FastTextModel
from classifier.formats.jsonl import FormatError
from classifier.profiles import blazingtext_defaults

TOPICS = {
    "mailbox-quota": "mailbox full quota outlook cannot send mail storage",
    "account-locked": "account locked password attempts login unlock windows",
    "vpn-dropped": "vpn connection drops tunnel home office client disconnect",
    "printer-jam": "printer paper jam tray queue toner print stuck",
    "group-access": "access folder share group permission denied read write",
    "disk-alert": "disk space alert server volume threshold percent monitoring",
}
STRANGE = "cafeteria menu parking birthday holiday coffee bicycle weather football garden painting umbrella"
FILLER = "please the my since today again help it is not working when i try urgent thanks and a new user"
WRONG_LINE = 78
KEYS = {
    "rows", "oos_share", "classes", "accuracy", "accuracy_ci", "macro_f1", "ece", "top3", "oos_auroc", "oos_recall_at_95",
    "certified", "families", "baselines", "train_seconds", "us_per_ticket", "model_bytes",
    "ece_ci", "per_class", "languages", "learning_curve", "suspects", "warning", "profile",
}  # fmt: skip


def tickets(
    path: Path, count: int, seed: int, *, topics: dict[str, str] | None = None, lang: list[str] | None = None
) -> Path:
    random = np.random.default_rng(seed)
    lines: list[str] = []
    for _ in range(count):
        label = str(random.choice(list(topics or TOPICS)))
        words = [*random.choice((topics or TOPICS)[label].split(), 3), *random.choice(FILLER.split(), 5)]
        random.shuffle(words)
        row = {"subject": "", "text": " ".join(words), "label": label}
        lines.append(json.dumps(row if lang is None else {**row, "lang": lang[len(lines) % len(lang)]}))
    path.write_text("\n".join(lines))
    return path


def _small() -> ArticleClassifier:
    return ArticleClassifier(folds=2, fasttext=FastTextModel(dimensions=20, epochs=20, buckets=10_000))


def _below() -> ArticleClassifier:
    weak = FastTextModel(loss="softmax", dimensions=5, epochs=1, buckets=1000, learning_rate=0.01)
    return ArticleClassifier(fasttext=weak, families="fasttext", folds=2)


@pytest.fixture(scope="module", autouse=True)
def profiles() -> Iterator[None]:
    """What is tested is the evaluation: models that train in a second serve as well as the product's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "PROFILES", {"automatic": _small, "below": _below})
        baseline = blazingtext_defaults()
        patch.setattr("classifier.profiles.blazingtext_defaults", lambda: baseline.set_params(buckets=10_000))
        yield


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    lines = tickets(folder / "train.jsonl", 899, 1).read_text().splitlines()
    wrong = {"text": "vpn tunnel drops at home office, client disconnect", "label": "disk-alert"}
    lines[WRONG_LINE - 1 : WRONG_LINE - 1] = [json.dumps(wrong)]
    # a blank line is a line of the file all the same
    (folder / "train.jsonl").write_text(
        "\n".join(["", *lines[: WRONG_LINE - 2], *lines[WRONG_LINE - 1 :], lines[WRONG_LINE - 2]])
    )
    return {
        "train": folder / "train.jsonl",
        "valid": tickets(folder / "valid.jsonl", 500, 2),
        "test": tickets(folder / "test.jsonl", 300, 3, lang=["en", "en", "de"]),
        "oos": tickets(folder / "oos.jsonl", 240, 4, topics={"oos": STRANGE}),
    }


@pytest.fixture(scope="module")
def told() -> list[str]:
    return []


@pytest.fixture(scope="module")
def result(files: dict[str, Path], told: list[str]) -> dict[str, Any]:
    return evaluate(
        train=files["train"], valid=files["valid"], test=files["test"], oos=files["oos"], oos_share=0.1,
        alphas=[0.1, 0.001], delta=0.05, progress=told.append,
    )  # fmt: skip


@pytest.fixture(scope="module")
def held_out(files: dict[str, Path]) -> dict[str, Any]:
    return evaluate(train=files["train"], test=files["test"], valid=None, oos=None, alphas=[0.2], quick=True)


def test_every_key_of_the_interface_is_there_and_it_is_json(result: dict[str, Any], held_out: dict[str, Any]) -> None:
    for outcome in (result, held_out):
        assert set(outcome) >= KEYS
        assert json.loads(json.dumps(outcome, allow_nan=False)) == outcome
    assert result["rows"] == {"train": 900, "test": 300, "oos": 240}
    assert result["classes"] == 6
    assert (result["oos_share"], held_out["oos_share"]) == (0.1, 0.0)


def test_what_can_be_learnt_is_learnt_and_compared(result: dict[str, Any]) -> None:
    low, high = result["accuracy_ci"]
    assert low < result["accuracy"] < high or result["accuracy"] == 1.0
    assert result["accuracy"] > 0.95
    assert result["top3"] >= result["accuracy"]
    assert result["macro_f1"] > 0.95
    assert result["ece"] < 0.1
    assert result["ece_ci"][0] < result["ece_ci"][1] < 0.1
    for compared in (*result["families"].values(), *result["baselines"].values()):
        assert 0.1 < compared["accuracy"] <= 1.0
    assert result["oos_auroc"] > 0.9
    assert 0.0 <= result["oos_recall_at_95"] <= 1.0


def test_an_alpha_is_certified_and_measured_with_out_of_scope_rows_or_null(result: dict[str, Any]) -> None:
    found = result["certified"]["0.1"]
    assert found["upper_bound"] <= 0.1
    assert found["n"] <= result["certification"]["units"]
    assert 0.5 < found["coverage"] <= 1.0
    assert found["wrong_rate"] <= 0.2
    assert result["certified"]["0.001"] is None
    assert result["certification"]["basis"] == "the valid file"


def test_without_a_valid_file_a_second_fit_is_certified_on_rows_that_it_never_saw(held_out: dict[str, Any]) -> None:
    assert "second fit did not see" in held_out["certification"]["basis"]
    assert 120 < held_out["certification"]["units"] < 250
    assert held_out["certified"]["0.2"]["upper_bound"] <= 0.2
    assert held_out["oos_auroc"] is None


def test_every_class_has_its_figures_and_they_add_up(result: dict[str, Any]) -> None:
    rows = result["per_class"]
    assert {row["label"] for row in rows} == set(TOPICS)
    assert sum(row["rows"] for row in rows) == 300
    assert sum(row["trained"] for row in rows) == 900
    assert sum(row["predicted"].get(row["label"], 0) for row in rows) == round(300 * result["accuracy"])
    assert sum(row["f1"] for row in rows) / len(rows) == pytest.approx(result["macro_f1"], abs=1e-5)


def test_languages_come_from_the_file_or_are_recognised(result: dict[str, Any], held_out: dict[str, Any]) -> None:
    assert set(result["languages"]) == {"en", "de"}
    assert result["languages"]["de"]["rows"] == 100
    assert sum(row["rows"] for row in held_out["languages"].values()) == 300
    for row in result["languages"].values():
        assert 0.5 < row["would_run_ci"][0] < row["would_run"] <= 1.0
    assert result["certification"]["languages_at"] == "0.1"


def test_accuracy_grows_along_the_learning_curve_and_quick_leaves_it_out(
    result: dict[str, Any], held_out: dict[str, Any]
) -> None:
    points = result["learning_curve"]
    assert [point["rows"] for point in points] == [pytest.approx(225, abs=3), pytest.approx(450, abs=3), 900]
    assert points[-1]["accuracy"] == result["accuracy"] >= points[0]["accuracy"]
    assert "labels" in result["learning_curve_said"]
    assert held_out["learning_curve"] == []


def test_a_row_with_a_wrong_label_is_suspect_by_its_line_in_the_file(result: dict[str, Any]) -> None:
    found = {suspect["row"]: suspect for suspect in result["suspects"]}
    assert WRONG_LINE in found
    assert (found[WRONG_LINE]["label"], found[WRONG_LINE]["likely"]) == ("disk-alert", "vpn-dropped")
    assert found[WRONG_LINE]["probability"] > 0.5
    assert len(found) < 30


def test_a_profile_that_is_below_the_baseline_says_so(files: dict[str, Path]) -> None:
    bad = evaluate(train=files["train"], valid=files["valid"], test=files["test"], profile="below", quick=True)
    assert bad["accuracy"] < bad["baselines"]["tfidf_linearsvc"]["accuracy"]
    assert "without --profile below" in bad["warning"]
    assert "WARNING" in table(bad)
    assert bad["suspects"] == []


def test_a_good_model_gives_no_warning(result: dict[str, Any]) -> None:
    assert result["warning"] is None
    assert result["baselines"]["tfidf_linearsvc"]["p_below"] > 0.05


def test_speed_and_size_are_measured(result: dict[str, Any]) -> None:
    assert 0 < result["us_per_ticket"] < 20_000
    assert result["model_bytes"] > 10_000
    assert result["train_seconds"] > 0


def test_progress_is_told_in_order(result: dict[str, Any], told: list[str]) -> None:
    shares = [int(step.split(" %")[0]) for step in told]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 100)


def test_the_table_shows_the_result(result: dict[str, Any]) -> None:
    assert f"{result['accuracy']:.4f}" in table(result)


def test_files_and_shares_that_make_no_sense_are_refused(files: dict[str, Path], tmp_path: Path) -> None:
    single = tickets(tmp_path / "single.jsonl", 20, 5, topics={"only": STRANGE})
    with pytest.raises(ValueError, match="fewer than two different labels"):
        evaluate(train=single, test=files["test"])
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        evaluate(train=files["train"], test=files["test"], oos=files["oos"], oos_share=1.0)
    with pytest.raises(ValueError, match="needs out-of-scope rows"):
        evaluate(train=files["train"], test=files["test"], oos_share=0.1)
    with pytest.raises(EvaluationRefused, match="there is no profile 'best'; choose from automatic, below"):
        evaluate(train=files["train"], test=files["test"], profile="best")
    with pytest.raises(FormatError, match=r"absent\.jsonl cannot be read"):
        evaluate(train=tmp_path / "absent.jsonl", test=files["test"])
