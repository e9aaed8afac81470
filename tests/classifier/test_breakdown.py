"""Figures by class and language against cases that can be counted by hand."""

import numpy as np
import pytest

from classifier.breakdown import by_language, confused_with, per_class


def test_each_class_has_its_rows_shares_and_mistakes_the_worst_first() -> None:
    entries = per_class(
        actual=["a", "a", "a", "b", "b"],
        predicted=["a", "b", "b", "b", "b"],
        probability=np.array([0.9, 0.6, 0.4, 0.8, 1.0]),
        classes=["a", "b", "c"],
        trained={"a": 7, "c": 2},
    )
    assert [entry["label"] for entry in entries] == ["a", "b", "c"]
    first, second, third = entries
    assert first == {
        "label": "a", "rows": 3, "trained": 7, "precision": 1.0, "recall": pytest.approx(1 / 3, abs=1e-6), "f1": 0.5,
        "probability": 0.9, "predicted": {"b": 2, "a": 1},
    }  # fmt: skip
    assert (second["precision"], second["recall"], second["probability"]) == (0.5, 1.0, 0.7)
    assert (third["rows"], third["precision"], third["recall"], third["f1"]) == (0, None, None, None)
    assert [confused_with(entry) for entry in entries] == [("b", 2), ("", 0), ("", 0)]


def test_the_files_language_counts_before_the_guessed_one() -> None:
    given, guessed = ["de"] * 3 + [""] * 12, ["en"] * 15
    right = np.array([True, False, False] + [True] * 12)
    found = by_language(given=given, guessed=guessed, right=right, runs=right)
    assert list(found) == ["en", "de"]
    assert (found["de"]["rows"], found["de"]["accuracy"], found["de"]["would_run"]) == (3, 0.333333, 0.333333)
    assert found["de"]["accuracy_ci"][0] < 0.3333 < found["de"]["accuracy_ci"][1]
    assert by_language(given=given, guessed=guessed, right=right, runs=None)["en"]["would_run"] is None


def test_rare_guesses_are_counted_together_and_rare_languages_of_the_file_are_not() -> None:
    found = by_language(
        given=[""] * 14 + ["ja"],
        guessed=["en"] * 11 + ["la", "eo", "la", "zh"],
        right=np.ones(15, dtype=bool),
        runs=None,
    )
    assert {name: row["rows"] for name, row in found.items()} == {"en": 11, "ja": 1, "other": 3}
