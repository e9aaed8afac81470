"""The table and the page say what the figures say, fetch nothing, and cannot be broken by a label."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from classifier.formats.jsonl import Row
from classifier.report import table, write
from classifier.text import Document

RESULT: dict[str, Any] = {
    "rows": {"train": 14_995, "test": 4_500, "oos": 1_000},
    "oos_share": 0.18,
    "classes": 150,
    "profile": "automatic",
    "accuracy": 0.9312,
    "accuracy_ci": [0.9234, 0.9382],
    "macro_f1": 0.9301,
    "ece": 0.0123,
    "ece_ci": [0.0051, 0.0187],
    "top3": 0.9712,
    "oos_auroc": 0.9456,
    "oos_recall_at_95": 0.6543,
    "certified": {
        "0.05": {"threshold": 0.4321, "coverage": 0.713, "wrong_rate": 0.0312, "upper_bound": 0.0456, "n": 1234},
        "0.01": None,
    },
    "families": {"fasttext": {"accuracy": 0.9111}, "linear": {"accuracy": 0.9222}},
    "baselines": {"blazingtext_defaults": {"accuracy": None}, "tfidf_linearsvc": {"accuracy": 0.9241, "p_below": 0.97}},
    "warning": None,
    "per_class": [
        {"label": "<script>alert(1)</script>", "rows": 10, "trained": 40, "precision": 0.5, "recall": 0.3, "f1": 0.375,
         "probability": 0.6, "predicted": {"a & b": 7, "<script>alert(1)</script>": 3}},
        {"label": "a & b", "rows": 4, "trained": 30, "precision": 0.3636, "recall": 1.0, "f1": 0.5333,
         "probability": 0.4, "predicted": {"a & b": 4}},
        {"label": "quiet", "rows": 0, "trained": 5, "precision": None, "recall": None, "f1": None, "probability": None,
         "predicted": {}},
    ],
    "languages": {
        "en": {"rows": 4000, "accuracy": 0.95, "accuracy_ci": [0.943, 0.956], "would_run": 0.8, "would_run_ci": [0.787, 0.812]},
        "$x^2_ <i>de</i>\n": {"rows": 500, "accuracy": 0.8, "accuracy_ci": [0.763, 0.833], "would_run": 0.3,
                              "would_run_ci": [0.261, 0.342]},
    },
    "learning_curve": [{"rows": 3750, "accuracy": 0.86, "accuracy_ci": [0.85, 0.87]},
                       {"rows": 14995, "accuracy": 0.9312, "accuracy_ci": [0.9234, 0.9382]}],
    "learning_curve_said": "More labels would help.",
    "suspects": [{"row": 2, "label": "a & b", "likely": "<b>quiet</b>", "probability": 0.9, "self_confidence": 0.01}],
    "train_seconds": 61.5,
    "us_per_ticket": 456.7,
    "model_bytes": 23_400_000,
    "certification": {
        "basis": "the valid file",
        "delta": 0.05,
        "units": 1683,
        "accuracy": 0.9312,
        "said": {"0.05": "With confidence 95 % it holds.", "0.01": "Not certified: too few."},
        "broken": {},
        "languages_at": "0.05",
    },
    "curves": {
        "reliability": [{"probability": 0.5, "accuracy": 0.4, "count": 10}, {"probability": 0.9, "accuracy": 1, "count": 5}],
        "in_scope": {"test": [0] * 10 + [5] * 10, "oos": [5] * 10 + [0] * 10},
        "confusions": [{"actual": "<script>alert(1)</script>", "predicted": "a & b", "count": 7}],
        "risk": [{"threshold": 0.9, "coverage": 0.5, "wrong_rate": 0.0, "rows": 50},
                 {"threshold": 0.1, "coverage": 1.0, "wrong_rate": 0.1, "rows": 100}],
    },
}  # fmt: skip


def test_the_table_shows_every_figure() -> None:
    lines = table(RESULT).splitlines()
    assert any(re.fullmatch(r" +this model +0\.9312 .*0\.9234 to 0\.9382\)", line) for line in lines)
    assert any(re.fullmatch(r" +baseline: BlazingText's documented defaults +none", line) for line in lines)
    assert any(re.fullmatch(r" +5 % +0\.432100 +71\.3 % +3\.12 % +4\.56 % +1,234", line) for line in lines)
    assert any(re.fullmatch(r" +1 % +nothing can be certified", line) for line in lines)
    assert max(map(len, lines)) <= 110


def test_the_page_is_whole_and_fetches_nothing(tmp_path: Path) -> None:
    page = write(RESULT, tmp_path / "new" / "folder").read_text()
    fetched = re.findall(r"""(?:src|href)\s*=\s*["'](?!#)|url\((?!#)|@import|<script|<link""", page)
    assert fetched == []
    plots = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(plots) == 6
    for plot in plots:
        assert ET.fromstring(plot).get("aria-label")  # noqa: S314 - our own drawing, read to prove it whole
    for words in ("0.9312", "71.3 %", "Not certified: too few.", "reading it as a promise about one ticket"):
        assert words in page


def test_a_label_cannot_break_the_page(tmp_path: Path) -> None:
    page = write(RESULT, tmp_path).read_text()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "a &amp; b" in page


def test_the_same_result_gives_the_same_page(tmp_path: Path) -> None:
    assert write(RESULT, tmp_path / "one").read_bytes() == write(RESULT, tmp_path / "two").read_bytes()


def test_without_out_of_scope_rows_their_plot_is_left_out(tmp_path: Path) -> None:
    page = write({**RESULT, "oos_auroc": None, "oos_recall_at_95": None}, tmp_path).read_text()
    assert page.count("<svg") == 5
    assert "In-scope score" not in page


def test_a_short_evaluation_in_one_language_shows_neither_curve_nor_languages(tmp_path: Path) -> None:
    short = {**RESULT, "learning_curve": [], "learning_curve_said": "", "languages": {"en": RESULT["languages"]["en"]}}
    page = write(short, tmp_path).read_text()
    assert page.count("<svg") == 4
    assert "learning curve" not in table(short)


def test_a_model_below_the_baseline_cries_out_first_and_last(tmp_path: Path) -> None:
    bad = {**RESULT, "warning": "Below the baseline: 87.1 % against 91.3 %. Do not use <it>."}
    lines = table(bad).splitlines()
    assert set(lines[0]) == set(lines[-1]) == {"!"}
    assert "WARNING. Below the baseline" in lines[1]
    assert "WARNING. Below the baseline" in lines[-2]
    page = write(bad, tmp_path).read_text()
    assert page.index("worse than a plain baseline") < page.index("Labelled rightly")
    assert "Do not use &lt;it&gt;." in page
    assert "cannot judge labels" in write({**bad, "suspects": []}, tmp_path).read_text()
    for quiet in (table(RESULT), write(RESULT, tmp_path).read_text()):
        assert "WARNING" not in quiet
        assert "worse than a plain baseline" not in quiet


def test_a_promise_that_the_test_rows_broke_is_said_first(tmp_path: Path) -> None:
    said = "Certified were at most 5 % wrong, but 9 % are."
    result = {**RESULT, "certification": {**RESULT["certification"], "broken": {"0.05": said}}}
    assert table(result).splitlines()[1] == f"WARNING. {said}"
    page = write(result, tmp_path).read_text()
    assert page.index(said) < page.index("Labelled rightly")


def test_suspect_rows_show_their_line_and_their_text_escaped_and_shortened(tmp_path: Path) -> None:
    train = [
        Row(Document("", "first"), "a & b", "", 1),
        Row(Document("Sub<ject", "<img src=x onerror=alert(1)> \n " + "long " * 20_000), "a & b", "", 2),
    ]
    page = write(RESULT, tmp_path, train=train).read_text()
    assert "Sub&lt;ject &lt;img src=x onerror=alert(1)&gt; long" in page
    assert "<img" not in page
    assert len(page) < 300_000
    assert "&lt;b&gt;quiet&lt;/b&gt;" in page
    assert "line       2   a & b" in table(RESULT)


def test_beside_the_page_lies_comprehends_confusion_matrix(tmp_path: Path) -> None:
    write(RESULT, tmp_path)
    assert json.loads((tmp_path / "confusion_matrix.json").read_text()) == {
        "type": "multi_class",
        "confusion_matrix": [[3, 7, 0], [0, 4, 0], [0, 0, 0]],
        "labels": ["<script>alert(1)</script>", "a & b", "quiet"],
        "all_labels": ["<script>alert(1)</script>", "a & b", "quiet"],
    }
