"""BlazingText lines and Comprehend's CSV and confusion matrix."""

import json
from pathlib import Path

import pytest

from classifier.formats import blazingtext, comprehend
from classifier.formats.jsonl import FormatError, Row
from classifier.text import Document, TextPipeline


def test_blazingtext_lines_are_read_wherever_the_label_stands(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    path.write_text("__label__vpn cannot connect\ncannot log __label__password in\n")
    assert blazingtext.read(path) == [
        Row(Document("", "cannot connect"), "vpn", ""),
        Row(Document("", "cannot log in"), "password", ""),
    ]


@pytest.mark.parametrize("line", ["no label", "__label__a __label__b text", "__label__ text"])
def test_a_blazingtext_line_needs_exactly_one_label(tmp_path: Path, line: str) -> None:
    path = tmp_path / "train.txt"
    path.write_text(f"__label__x fine\n{line}\n")
    with pytest.raises(FormatError, match=r"train\.txt, line 2: .* where one is wanted"):
        blazingtext.read(path)


def test_written_lines_come_back_and_no_text_can_smuggle_a_label_in(tmp_path: Path) -> None:
    rows = [
        Row(Document("Hi", "__label__admin please\nnow </s>"), "vpn", ""),
        Row(Document("", "二行\x00目"), "ime", ""),
    ]
    lines = list(blazingtext.written(rows, pipeline=TextPipeline()))
    path = tmp_path / "train.txt"
    path.write_text("\n".join(lines))
    assert [row.label for row in blazingtext.read(path)] == ["vpn", "ime"]
    with pytest.raises(FormatError, match="row 1: the label 'two words'"):
        list(blazingtext.written([Row(Document("", "a"), "two words", "")], pipeline=TextPipeline()))


def test_comprehend_csv_is_read_with_quotes_and_newlines(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text('VPN,"cannot connect, ""again""\nsince today"\nMAIL,full\n')
    assert [(row.label, row.document.body) for row in comprehend.read(path)] == [
        ("VPN", 'cannot connect, "again"\nsince today'),
        ("MAIL", "full"),
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("A,b\nA|B,text\n", "line 2: several classes"),
        ("A,b,c\n", "line 1: 3 columns"),
        (",b\n", "line 1: 2 columns"),
        ('A,"open\n', "not a CSV file"),
        ("", "holds no rows"),
    ],
)
def test_comprehend_csv_that_cannot_be_used_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "train.csv"
    path.write_text(text)
    with pytest.raises(FormatError, match=complaint):
        comprehend.read(path)


def test_the_confusion_matrix_is_the_one_that_the_guide_shows() -> None:
    table = {"A": [1, 2, 0, 4], "B": [0, 3, 0, 1], "X": [0, 0, 1, 0], "Y": [1, 1, 1, 1]}
    counts = {(actual, said): n for actual, row in table.items() for said, n in zip(table, row, strict=True) if n}
    assert json.loads(json.dumps(comprehend.confusion_matrix(counts))) == {
        "type": "multi_class",
        "confusion_matrix": [[1, 2, 0, 4], [0, 3, 0, 1], [0, 0, 1, 0], [1, 1, 1, 1]],
        "labels": ["A", "B", "X", "Y"],
        "all_labels": ["A", "B", "X", "Y"],
    }


def test_a_class_without_rows_has_its_row_and_column() -> None:
    matrix = comprehend.confusion_matrix({("b", "a"): 2}, classes=["c"])
    assert matrix["labels"] == ["a", "b", "c"]
    assert matrix["confusion_matrix"] == [[0, 0, 0], [2, 0, 0], [0, 0, 0]]
