"""JSON from strangers, read under caps: depth, values, digits; no duplicate keys, no NaN, no text a database refuses.

`json.loads` alone accepts all of these, and PostgreSQL refuses NUL, lone surrogates and NaN only after the fact.
"""

import json
import math
from collections.abc import Iterator
from typing import Never

from triage.itsm.base import PayloadInvalid

MAX_DEPTH = 64
MAX_NODES = 10_000
MAX_DIGITS = 40


def loads(raw: bytes) -> object:
    """The value of one JSON text in UTF-8; raises PayloadInvalid naming what is wrong and how to mend it."""
    value = decoded(raw)
    check(value)
    return value


def decoded(raw: bytes) -> object:
    """The value of a page that lists many records: give each to `check`, so that a bad one never hides the others."""
    try:
        return _DECODER.decode(raw.decode())
    except UnicodeDecodeError as error:
        raise PayloadInvalid(f"byte {error.start} is not UTF-8; send the text encoded in UTF-8") from None
    except json.JSONDecodeError as error:
        raise PayloadInvalid(
            f"not JSON: {error.msg} at character {error.pos}; send one JSON object without comments or trailing commas"
        ) from None
    except RecursionError:
        raise PayloadInvalid(_too_deep()) from None


def shown(text: object) -> str:
    """A hostile text as it may stand in a message: plain ASCII, quoted, at most 60 characters."""
    quoted = ascii(text)
    return quoted if len(quoted) <= 60 else f"{quoted[:57]}..."


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise PayloadInvalid(f"the key {shown(key)} stands twice in one object; send each key once")
            seen.add(key)
    return found


def _digits(text: str) -> None:
    if len(text) > MAX_DIGITS:
        raise PayloadInvalid(
            f"the number {shown(text[:12])}... has {len(text)} characters, more than {MAX_DIGITS}; send it as a string"
        )


def _integer(text: str) -> int:
    _digits(text)
    return int(text)


def _real(text: str) -> float:
    _digits(text)
    value = float(text)
    if not math.isfinite(value):
        raise PayloadInvalid(f"the number {shown(text)} is too large; send it as a string")
    return value


def _constant(text: str) -> Never:
    raise PayloadInvalid(f"{text} is not a JSON number; send null or leave the key out")


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_int=_integer, parse_float=_real, parse_constant=_constant)


def _too_deep() -> str:
    return f"nested deeper than {MAX_DEPTH} levels; send a flat object"


def check(value: object) -> None:
    """Raise PayloadInvalid at the first text or measure beyond the caps; walks the value without recursion."""
    waiting: list[tuple[object, int]] = [(value, 1)]
    nodes = 0
    while waiting:
        item, depth = waiting.pop()
        nodes += 1
        if nodes > MAX_NODES:
            raise PayloadInvalid(f"more than {MAX_NODES} values; send fewer fields, or several tickets as NDJSON lines")
        if depth > MAX_DEPTH:
            raise PayloadInvalid(_too_deep())
        if isinstance(item, str):
            _check_text(item)
        else:
            waiting.extend((inner, depth + 1) for inner in _inside(item))


def _inside(item: object) -> Iterator[object]:
    if isinstance(item, dict):
        for key in item:
            _check_text(key)
        yield from item.values()
    elif isinstance(item, list):
        yield from item


def _check_text(text: str) -> None:
    if "\0" in text:
        raise PayloadInvalid(f"the text {shown(text)} holds a NUL character (\\u0000); leave it out")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise PayloadInvalid(
                f"character {error.start} of the text {shown(text)} is half of a surrogate pair; "
                "send both halves, or the character itself in UTF-8"
            ) from None
