"""The phrases that tickets are made of, parted by role so that no ticket of the stream is worded as one in training.

Every list is sorted by a hash of its lines and cut in three: the model learns from the first part, the certificate
is measured on the second, the stream is made of the third. Which line lies where depends on nothing but its text.
"""

import hashlib
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any

from triage.demo import articles

LANGUAGES = ("en", "de", "fr", "ja")

# Only these are written with \n for a line break; elsewhere a backslash is a backslash.
_MULTILINE = frozenset({"quotes", "footers", "pastes"})


class Pool(StrEnum):
    """Which of the three parts of every list a ticket is made of."""

    TRAIN = "train"
    CERTIFY = "certify"
    STREAM = "stream"


# The rest is halved: certification and stream are parts of one size, so that one speaks for the other.
_TRAIN_SHARE = 0.5


@dataclass(frozen=True)
class Ambiguous:
    """Phrases that may mean any of several articles, one chosen by chance."""

    articles: tuple[str, ...]
    lines: dict[str, tuple[str, ...]]


class Lexicon:
    """The phrases of one pool."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        general, strange, unclear = (_words(name) for name in ("general", "out_of_scope", "ambiguous"))
        self._symptoms = {
            content["key"]: self._mine(content["key"], content["phrases"]) for content in articles.files()
        }
        self._general = {section: self._mine(section, lists) for section, lists in general.items()}
        self.out_of_scope = self._mine("out_of_scope", strange["phrases"])
        self.ambiguous = tuple(
            Ambiguous(
                tuple(group["articles"]),
                self._mine(f"ambiguous {place}", {language: group[language] for language in LANGUAGES}),
            )
            for place, group in enumerate(unclear["group"])
        )

    def symptoms(self, article: str, kind: str) -> tuple[str, ...]:
        """Sentences about one article: `kind` is a language, `machine` or `form`; empty where it has none."""
        return self._symptoms[article].get(kind, ())

    def general(self, section: str, language: str = "any") -> tuple[str, ...]:
        """What stands around a symptom: a section of `words/general.toml`."""
        return self._general[section][language]

    def everything(self) -> Iterator[tuple[str, str]]:
        """Every phrase of this pool with the name of its list."""
        tables = [*self._symptoms.items(), *self._general.items(), ("out_of_scope", self.out_of_scope)]
        tables += [(f"ambiguous {place}", group.lines) for place, group in enumerate(self.ambiguous)]
        for name, lists in tables:
            for language, lines in lists.items():
                for line in lines:
                    yield f"{name} {language}", line

    def _mine(self, name: str, lists: dict[str, str]) -> dict[str, tuple[str, ...]]:
        return {
            language: parted(name, language, _lines(text, escaped=name in _MULTILINE))[self.pool]
            for language, text in lists.items()
        }


def parted(name: str, language: str, lines: tuple[str, ...]) -> dict[Pool, tuple[str, ...]]:
    """The lines of one list by pool, every pool at least one; ValueError where there are fewer than three."""
    if len(lines) < len(Pool) or len(set(lines)) < len(lines):
        raise ValueError(f"the list {name} {language} needs at least three lines, none of them twice")
    ordered = sorted(lines, key=lambda line: hashlib.sha256(f"{name}|{language}|{line}".encode()).digest())
    first = max(1, min(round(_TRAIN_SHARE * len(ordered)), len(ordered) - 2))
    odd_one = hashlib.sha256(f"{name}|{language}".encode()).digest()[0] % 2
    second = first + max(1, (len(ordered) - first + odd_one) // 2)
    return {
        Pool.TRAIN: tuple(ordered[:first]),
        Pool.CERTIFY: tuple(ordered[first:second]),
        Pool.STREAM: tuple(ordered[second:]),
    }


def _lines(text: str, *, escaped: bool) -> tuple[str, ...]:
    lines = tuple(line.strip() for line in text.strip().splitlines())
    if escaped:
        lines = tuple(line.replace("\\n", "\n").replace("\\t", "\t") for line in lines)
    return lines


def _words(name: str) -> dict[str, Any]:
    return tomllib.loads((resources.files("triage.demo") / "words" / f"{name}.toml").read_text(encoding="utf-8"))


@cache
def lexicon(pool: Pool) -> Lexicon:
    """The phrases of one pool, read once."""
    return Lexicon(pool)
