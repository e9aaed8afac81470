"""Labelled tickets as JSON Lines: {"text", "label"} with optional "subject" and "lang" or "lang_guess", plain or gzip.

Files come from outside, so every line is parsed within bounds, and every refusal names file and line and how to
mend it.
"""

import gzip
import json
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, NoReturn, cast

from classifier.text import Document

LONGEST_LINE = 1 << 20
LARGEST_FILE = 2 << 30
DEEPEST = 64
MOST_VALUES = 10_000
LONGEST_NUMBER = 100
LONGEST_LABEL = 200
LONGEST_LANGUAGE = 35


class FormatError(ValueError):
    """A file that cannot be read as what it should be; the message names the place and how to mend it."""


class Row(NamedTuple):
    """One ticket with the label that solves it ("" where none was asked for) and its language ("" if not given).

    `line` is its number in the file that it was read from, 1 being the first; 0 for rows from elsewhere.
    """

    document: Document
    label: str
    language: str
    line: int = 0


def read(path: Path, *, labelled: bool = True) -> list[Row]:
    """All rows of a file; FormatError when a line cannot be used, or when there is none.

    `labelled=False` is for out-of-scope rows, which have no label to give; one that is there is ignored.
    """
    rows = [_row(number, place, line, labelled=labelled) for number, place, line in numbered(path)]
    if not rows:
        raise FormatError(
            f'{path} holds no rows: give one JSON object a line, such as {{"text": "...", "label": "..."}}'
        )
    return rows


def lines(path: Path) -> Iterator[tuple[str, str]]:
    """(place in words, text) of each line that is not blank; gzip is told by its first bytes, not by the name."""
    return ((place, text) for _, place, text in numbered(path))


def numbered(path: Path) -> Iterator[tuple[int, str, str]]:
    """(line number, place in words, text) of each line that is not blank."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            source = cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if packed else raw
            yield from _lines(path, source)
    except (EOFError, zlib.error, gzip.BadGzipFile) as damage:
        raise FormatError(f"{path} is damaged ({damage}): copy or compress it again") from damage
    except OSError as trouble:
        raise FormatError(f"{path} cannot be read: {trouble.strerror or trouble}") from trouble


def _lines(path: Path, source: IO[bytes]) -> Iterator[tuple[int, str, str]]:
    total = 0
    number = 0
    while line := source.readline(LONGEST_LINE + 1):
        number += 1
        total += len(line)
        place = f"{path}, line {number}"
        if len(line) > LONGEST_LINE:
            raise FormatError(f"{place}: longer than {LONGEST_LINE:,} bytes; shorten the text or leave the row out")
        if total > LARGEST_FILE:
            raise FormatError(f"{place}: the file unpacks to more than {LARGEST_FILE:,} bytes; split it")
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError as error:
            raise FormatError(f"{place}: byte {error.start + 1} is not UTF-8; convert the file to UTF-8") from error
        if text:
            yield number, place, text


def parse(place: str, text: str) -> dict[str, Any]:
    """One JSON object within bounds on depth, values and numbers; no duplicate keys, NaN or infinity."""
    if text.count("{") + text.count("[") > DEEPEST and _depth(text) > DEEPEST:
        raise FormatError(f"{place}: nested more than {DEEPEST} deep; a row is one flat object")
    if text.count(",") > MOST_VALUES and _commas(text) > MOST_VALUES:
        raise FormatError(f"{place}: more than {MOST_VALUES:,} values; a row is one flat object")
    try:
        value = json.loads(
            text, object_pairs_hook=_pairs, parse_float=_float, parse_int=_integer, parse_constant=_constant
        )
    except json.JSONDecodeError as error:
        raise FormatError(f"{place}: not JSON at character {error.pos + 1} ({error.msg})") from error
    except _Refused as refused:
        raise FormatError(f"{place}: {refused}") from refused
    if not isinstance(value, dict):
        raise FormatError(f'{place}: one JSON object is wanted, such as {{"text": "...", "label": "..."}}')
    return value


class _Refused(ValueError):
    pass


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _Refused(f"the key {twice[:50]!r} stands twice; keep one")
    return values


def _float(digits: str) -> float:
    value = float(digits) if len(digits) <= LONGEST_NUMBER else math.inf
    if not math.isfinite(value):
        raise _Refused(f"the number {digits[:20]}... is too large; write it as text")
    return value


def _integer(digits: str) -> int:
    if len(digits) > LONGEST_NUMBER:
        raise _Refused(f"the number {digits[:20]}... is too large; write it as text")
    return int(digits)


def _constant(name: str) -> NoReturn:
    raise _Refused(f"{name} is no JSON number; leave the field out or write null")


def _outside_strings(text: str) -> Iterator[str]:
    """The characters of a JSON text that do not stand in a string."""
    inside = escaped = False
    for character in text:
        if inside:
            inside = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            inside = True
        else:
            yield character


def _depth(text: str) -> int:
    depth = deepest = 0
    for character in _outside_strings(text):
        depth += (character in "{[") - (character in "}]")
        deepest = max(deepest, depth)
    return deepest


def _commas(text: str) -> int:
    return sum(character == "," for character in _outside_strings(text))


def _row(number: int, place: str, text: str, *, labelled: bool) -> Row:
    values = parse(place, text)
    body, subject = _text(place, values, "text"), _text(place, values, "subject", optional=True)
    language = _text(place, values, "lang", optional=True) or _text(place, values, "lang_guess", optional=True)
    label = _text(place, values, "label").strip() if labelled else ""
    if labelled and not label:
        raise FormatError(f"{place}: the label is empty; give each row the key of the article that solves it")
    if len(label) > LONGEST_LABEL or not label.isprintable():
        raise FormatError(f"{place}: a label is at most {LONGEST_LABEL} printable characters; use the article's key")
    return Row(Document(subject=subject, body=body), label, language[:LONGEST_LANGUAGE], number)


def _text(place: str, values: dict[str, Any], name: str, *, optional: bool = False) -> str:
    value = values.get(name)
    if value is None and optional:
        return ""
    if value is None:
        raise FormatError(f'{place}: "{name}" is missing; it has {", ".join(sorted(values)[:10]) or "no keys"}')
    if not isinstance(value, str):
        raise FormatError(f'{place}: "{name}" must be text in quotes, not {json.dumps(value)[:40]}')
    return value
