"""Amazon Comprehend's custom classification: its training CSV in, its confusion matrix out."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from classifier.formats.jsonl import LONGEST_LINE, FormatError, Row
from classifier.text import Document


def read(path: Path) -> list[Row]:
    """All rows of a CSV file without header, `CLASS,text`; FormatError for several classes (`A|B`) or other columns."""
    rows: list[Row] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as source:
            reader = csv.reader(source, strict=True)
            rows.extend(_row(f"{path}, line {reader.line_num}", values) for values in reader)
    except (csv.Error, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: not a CSV file in UTF-8 after {len(rows)} rows ({error})") from error
    except OSError as trouble:
        raise FormatError(f"{path} cannot be read: {trouble.strerror or trouble}") from trouble
    if not rows:
        raise FormatError(f"{path} holds no rows: give CLASS,text on each line, without a header")
    return rows


def _row(place: str, values: list[str]) -> Row:
    if len(values) != 2 or not values[0].strip():
        raise FormatError(f"{place}: {len(values)} columns where CLASS,text is wanted; put quotes around the text")
    label, text = values[0].strip(), values[1]
    if "|" in label:
        raise FormatError(f"{place}: several classes ({label[:50]}); give each ticket the one article that solves it")
    if len(text) > LONGEST_LINE:
        raise FormatError(f"{place}: the text is longer than {LONGEST_LINE:,} characters; shorten it")
    return Row(Document(subject="", body=text), label, "")


def confusion_matrix(counts: Mapping[tuple[str, str], int], *, classes: Iterable[str] = ()) -> dict[str, Any]:
    """What Comprehend writes as confusion_matrix.json, from rows by (actual, predicted) class.

    Rows of the matrix are the actual classes, columns the predicted ones, both in the order of `labels`; `classes` are
    listed whether or not any row has them. Shape and keys as in "Classifier training output", Comprehend's guide.
    """
    labels = sorted({*classes, *(label for pair in counts for label in pair)})
    matrix = [[counts.get((row, column), 0) for column in labels] for row in labels]
    return {"type": "multi_class", "confusion_matrix": matrix, "labels": labels, "all_labels": labels}
