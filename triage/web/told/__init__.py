"""Sentences of ours that stand in the database or were raised in English, in the language of whoever reads them.

The code below the pages speaks English alone: what it stores, tells other systems and answers programs must not depend
on who happens to be signed in. Pages look its sentences up here, with their values, when they show them.
"""

import re
from collections.abc import Iterable
from functools import cache, lru_cache
from itertools import pairwise
from typing import NamedTuple

from django.utils.translation import get_language, gettext

from triage.web.told import notices, reasons, refusals, values

SENTENCES: tuple[str, ...] = tuple(
    dict.fromkeys([*refusals.SENTENCES, *reasons.SENTENCES, *notices.SENTENCES, *values.SENTENCES, *values.WORDS])
)
LONGEST = 4000
"""Longer texts are shown as they are: none of ours is so long."""

_FIELD = re.compile(r"%\((\w+)\)s")
_NEXT_SENTENCE = re.compile(r"(?<=[.!?]) (?=\S)")
_DEPTH = 3


class _Pattern(NamedTuple):
    """A sentence with values: what stands between them, and their names."""

    sentence: str
    texts: tuple[str, ...]
    names: tuple[str, ...]

    def read(self, text: str) -> dict[str, str] | None:
        """The values with which the text is this sentence; each ends where what follows it is found first."""
        first, last = self.texts[0], self.texts[-1]
        if not (text.startswith(first) and text.endswith(last) and len(text) > sum(map(len, self.texts))):
            return None
        found, at, end = [], len(first), len(text) - len(last)
        for between in self.texts[1:-1]:
            then = text.find(between, at, end)
            if then < 0:
                return None
            found.append(text[at:then])
            at = then + len(between)
        found.append(text[at:end])
        return dict(zip(self.names, found, strict=True)) if at <= end and all(found) else None


def told(text: str) -> str:
    """The text in the language in force, where it is one of our sentences or several; else as it is.

    Takes time in proportion to the text's length, whatever stands in it.
    """
    language = get_language() or "en"
    text = str(text or "")
    if language.partition("-")[0] == "en" or not text or len(text) > LONGEST:
        return text
    return _told(text, language)


@lru_cache(maxsize=4096)
def _told(text: str, language: str) -> str:  # noqa: ARG001 - the language is part of what is remembered
    whole = _one(text, _DEPTH)
    if whole is not None:
        return whole
    several = [_one(part, _DEPTH) for part in _NEXT_SENTENCE.split(text)]
    known = [part for part in several if part is not None]
    return _joined(known) if len(known) == len(several) else text


def _one(text: str, depth: int) -> str | None:
    """One sentence, or None where it is none of ours."""
    if text in _plain():
        return gettext(text)
    if depth:
        for pattern in _patterns():
            given = pattern.read(text)
            if given is not None:
                return gettext(pattern.sentence) % {name: _value(value, depth - 1) for name, value in given.items()}
    return None


def _value(text: str, depth: int) -> str:
    inner = _one(text, depth)
    return text if inner is None else inner


def _joined(sentences: Iterable[str]) -> str:
    """Sentences one after the other; a full stop of Japanese needs no space behind it."""
    listed = list(sentences)
    gaps = ["" if before.endswith("。") else " " for before, _ in pairwise(listed)]
    return "".join(part + gap for part, gap in zip(listed, [*gaps, ""], strict=True))


@cache
def _plain() -> frozenset[str]:
    return frozenset(sentence for sentence in SENTENCES if not _FIELD.search(sentence))


@cache
def _patterns() -> tuple[_Pattern, ...]:
    """Sentences with values, what says most of itself first."""
    found = []
    for sentence in SENTENCES:
        names = _FIELD.findall(sentence)
        if names:
            texts = tuple(part.replace("%%", "%") for part in _FIELD.split(sentence)[::2])
            found.append(_Pattern(sentence, texts, tuple(names)))
    return tuple(sorted(found, key=lambda pattern: -sum(map(len, pattern.texts))))
