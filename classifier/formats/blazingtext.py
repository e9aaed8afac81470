"""BlazingText's and fastText's supervised format: one line a text, its label as a `__label__` token."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from classifier.formats.jsonl import FormatError, Row, lines
from classifier.text import Document, TextPipeline

PREFIX = "__label__"


def read(path: Path) -> list[Row]:
    """All rows of a file, plain or gzip; the label may stand anywhere in its line, and there must be one."""
    rows = [_row(place, line) for place, line in lines(path)]
    if not rows:
        raise FormatError(f"{path} holds no rows: give one text a line, such as {PREFIX}article-key the text")
    return rows


def _row(place: str, line: str) -> Row:
    tokens = line.split()
    labels = [token.removeprefix(PREFIX) for token in tokens if token.startswith(PREFIX)]
    if len(labels) != 1 or not labels[0]:
        raise FormatError(f"{place}: {len(labels)} labels where one is wanted; write {PREFIX}article-key once a line")
    text = " ".join(token for token in tokens if not token.startswith(PREFIX))
    return Row(Document(subject="", body=text), labels[0], "")


def written(rows: Iterable[Row], *, pipeline: TextPipeline) -> Iterator[str]:
    """Each row as one line without its newline: the text as the models see it, so that it cannot hold a label."""
    for number, row in enumerate(rows, start=1):
        if not row.label or any(character.isspace() for character in row.label):
            raise FormatError(
                f"row {number}: the label {row.label!r} is empty or has white space; use the article's key"
            )
        yield f"{PREFIX}{row.label} {pipeline.line(row.document)}"
