"""The table and the page say what the figures say, fetch nothing, and cannot be broken by a label."""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from classifier.report import table, write

RESULT: dict[str, Any] = {
    "rows": {"train": 14_995, "test": 4_500, "oos": 1_000},
    "oos_share": 0.18,
    "classes": 150,
    "accuracy": 0.9312,
    "accuracy_ci": [0.9234, 0.9382],
    "macro_f1": 0.9301,
    "ece": 0.0123,
    "top3": 0.9712,
    "oos_auroc": 0.9456,
    "oos_recall_at_95": 0.6543,
    "certified": {
        "0.05": {"threshold": 0.4321, "coverage": 0.713, "wrong_rate": 0.0312, "upper_bound": 0.0456, "n": 1234},
        "0.01": None,
    },
    "families": {"fasttext": {"accuracy": 0.9111}, "linear": {"accuracy": 0.9222}},
    "baselines": {"blazingtext_defaults": {"accuracy": None}, "tfidf_linearsvc": {"accuracy": 0.9241}},
    "train_seconds": 61.5,
    "us_per_ticket": 456.7,
    "model_bytes": 23_400_000,
    "certification": {
        "basis": "the valid file",
        "delta": 0.05,
        "units": 1683,
        "accuracy": 0.9312,
        "said": {"0.05": "With confidence 95 % it holds.", "0.01": "Not certified: too few."},
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
    assert len(plots) == 3
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
    assert page.count("<svg") == 2
