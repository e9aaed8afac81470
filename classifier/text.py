"""One pipeline from a ticket's subject and body to a clean line, shared by training, serving and batch.

Also the two names of a text: its hash (what a prediction was made from) and its masked form (what a storm of
equal alerts has in common). Every step is linear in the length of the text, since ticket text is hostile.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import Any, NamedTuple

MASKS = ("numbers", "identifiers", "times", "hosts")
SEGMENTERS = ("characters", "phrases", "none")
READ = 16_000
VERSION = "2"
BAR = "||"

# Characters that show nothing: soft hyphen, byte order mark, zero-width and bidirectional marks.
_INVISIBLE = (
    0xAD,
    0x61C,
    0x180E,
    0xFEFF,
    *range(0x200B, 0x2010),
    *range(0x202A, 0x202F),
    *range(0x2060, 0x2070),
)
_SPACES = (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)
_CLEAN = {**dict.fromkeys(_INVISIBLE), **dict.fromkeys(_SPACES, " ")}

# Normalising needs the letter before a mark and nothing more; the bound keeps the library's insertion sort of
# combining marks (quadratic in a run of them) cheap.
_BEYOND_ASCII = re.compile(r"[\x00-\x7f]?[^\x00-\x7f]{1,256}")
_SURROGATES = re.compile("[\ud800-\udfff]+")

# Scripts written without spaces, and the segmentation model of each.
_HIRAGANA_KATAKANA = "\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9d"
_HAN = "\u2e80-\u2fdf\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_THAI = "\u0e01-\u0e4f"
_OTHER_UNSPACED = "\u0e81-\u0edf\u1000-\u109f\u1780-\u17d3"
KANA = re.compile(f"[{_HIRAGANA_KATAKANA}]")
_RUNS = re.compile(f"([{_HIRAGANA_KATAKANA}{_HAN}]+|[{_THAI}]+|[{_OTHER_UNSPACED}]+)")
THAI = re.compile(f"[{_THAI}]")
HAN = re.compile(f"[{_HAN}]")
UNSPACED = re.compile(f"[{_HIRAGANA_KATAKANA}{_HAN}{_THAI}{_OTHER_UNSPACED}]")
_LONGEST_RUN = 256


class Document(NamedTuple):
    """A ticket's text as it came (HTML already turned into text)."""

    subject: str
    body: str


def _marks() -> str:
    """Combining marks of the basic plane as regex ranges: Python's \\w leaves Thai and Hindi vowels out."""
    points = [point for point in range(0x300, 0x10000) if unicodedata.category(chr(point))[0] == "M"]
    ranges: list[list[int]] = []
    for point in points:
        if ranges and ranges[-1][1] == point - 1:
            ranges[-1][1] = point
        else:
            ranges.append([point, point])
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


_LETTER = rf"(?:[^\W_]|[{_marks()}])"
_MASK = "<(?:number|id|time|host|url|mail|blob)>"
# Dates, times, amounts and numbered names stay whole: which hour a job failed at, or which host, tells who solves it.
_NUMBER = "[0-9]+(?:[:/.,-][0-9]+)+"
_NUMBERED = "(?:_[0-9]+)*"
_TOKEN = re.compile(rf"{_MASK}|{_NUMBER}|{_LETTER}+{_NUMBERED}|[^\w\s]|_")
_TOKEN_ASCII = re.compile(rf"{_MASK}|{_NUMBER}|[a-z0-9]+{_NUMBERED}|[^\sa-z0-9]")


def normalise(text: str) -> str:
    """NFKC, case-folded, no control, invisible or broken characters, white space collapsed to one space.

    Linear time: only pieces beyond ASCII are normalised, at most 257 characters at once.
    """
    text = text.translate(_CLEAN)
    if not text.isascii():
        text = _SURROGATES.sub(" ", text)
        text = _BEYOND_ASCII.sub(lambda piece: unicodedata.normalize("NFKC", piece[0]), text)
        text = text.translate(_CLEAN)
    return " ".join(text.casefold().split())


def joined(document: Document) -> str:
    """Subject and body as one normalised text, a newline between them: no other can come out of `normalise`.

    Of each at most READ characters are read, and given: whatever the size, the work is bounded.
    """
    subject, body = (_cut(normalise(_cut(text, READ)), READ) for text in document)
    return f"{subject}\n{body}" if subject and body else subject or body


def text_hash(document: Document) -> str:
    """The sha256 (hex) of the normalised text: equal hashes are classified alike by any pipeline."""
    return hashlib.sha256(joined(document).encode()).hexdigest()


def masked(document: Document) -> str:
    """The text with numbers, identifiers, times and hosts masked: what alerts of one cause share."""
    return _masked(joined(document), frozenset(MASKS))


def _masked(text: str, masks: frozenset[str]) -> str:
    if not text.isascii() and UNSPACED.search(text):
        text = _RUNS.sub(r" \1 ", text)  # a number inside a Japanese sentence is a number all the same
    return " ".join(_mask_word(word, masks) for word in text.split())


# What a word is, first match first; a word is at most _LONGEST_WORD long here, so every pattern is cheap.
_EDGES = "\"'`()[]{}<>,;:!?.=|*#"
_KINDS = tuple(
    (mask, token, re.compile(pattern))
    for mask, token, pattern in (
        ("hosts", "<url>", r".{1,20}://.*|\\\\.*"),
        ("hosts", "<mail>", r"[^@]+@[^@]+\.[^@]+"),
        (
            "times",
            "<time>",
            r"\d{1,2}[:.h]\d{2}(?:[:.]\d{2}){0,2}(?:[.,]\d{1,9})?(?:z|am|pm|[+-]\d\d:?\d\d)?",
        ),
        ("times", "<time>", r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:t[\d:.,]{4,20}(?:z|[+-]\d\d:?\d\d)?)?"),
        ("numbers", "<number>", r"[-+#$]?\d+(?:[.,/-]\d+){0,2}(?:%|[a-z]{1,3})?"),
        ("hosts", "<host>", r"\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?(?:/\d{1,2})?"),
        ("hosts", "<host>", r"[a-z0-9_-]+(?:\.[a-z0-9_-]+){1,8}(?::\d{1,5})?"),
        ("identifiers", "<id>", r".*\d.*|[0-9a-f]{8,}"),
    )
)
_LONGEST_WORD = 200


def _mask_word(word: str, masks: frozenset[str]) -> str:
    """One white-space separated word, or its mask (which takes the punctuation at the edges along)."""
    if len(word) > _LONGEST_WORD:
        return "<blob>" if "identifiers" in masks and word.isascii() else word
    core = word.strip(_EDGES)
    if core.isalpha() and len(core) < 8:
        return word
    found = (token for mask, token, pattern in _KINDS if mask in masks and pattern.fullmatch(core))
    return next(found, word)


@cache
def _parser(language: str) -> Any:
    """The BudouX model of a language, shipped inside its wheel."""
    import budoux

    return {
        "ja": budoux.load_default_japanese_parser,
        "zh": budoux.load_default_simplified_chinese_parser,
        "th": budoux.load_default_thai_parser,
    }[language]()


def _phrases(run: str, *, japanese: bool) -> Iterable[str]:
    """A run of one unspaced script cut into phrases, in bounded pieces."""
    if "\u0e81" <= run[0] <= "\u17d3":
        return run
    language = "th" if THAI.match(run) else "ja" if japanese else "zh"
    parse = _parser(language).parse
    return (phrase for i in range(0, len(run), _LONGEST_RUN) for phrase in parse(run[i : i + _LONGEST_RUN]))


@dataclass(frozen=True, kw_only=True)
class TextPipeline:
    """Options of the way from raw text to a clean line; part of what a certificate is issued for.

    `limit` is the number of characters read (of a longer text three quarters are its start, one its end);
    `masks` names what is replaced by a mask (of MASKS); `segmenter` says how Japanese, Chinese and Thai
    become words: "phrases" (BudouX), "characters" (but Thai by phrases; on Japanese and Chinese commands, pairs of
    characters did better than phrases: .91 and .86 right against .88 and .84), or "none".
    """

    version: str = VERSION
    limit: int = 4000
    masks: tuple[str, ...] = ()
    segmenter: str = "characters"

    def __post_init__(self) -> None:
        if self.version != VERSION:
            raise ValueError(f"text rules of version {self.version}, but this is version {VERSION}: train a new model")
        if self.limit < 16:
            raise ValueError(f"limit is {self.limit}; give at least 16 characters")
        if unknown := set(self.masks) - set(MASKS):
            raise ValueError(f"unknown masks {sorted(unknown)}; choose from {', '.join(MASKS)}")
        if self.segmenter not in SEGMENTERS:
            raise ValueError(f"unknown segmenter {self.segmenter!r}; choose from {', '.join(SEGMENTERS)}")

    def line(self, document: Document) -> str:
        """One clean line: words and punctuation marks between single spaces; empty for an empty ticket.

        BAR stands between subject and body. Signs stand alone, so no ticket can write a bar, a `__label__` prefix or
        a `</s>` token.
        """
        return f" {BAR} ".join(map(self._words, _cut(joined(document), self.limit).split("\n")))

    def lines(self, documents: Iterable[Document]) -> list[str]:
        """One clean line a document, in order."""
        return [self.line(document) for document in documents]

    def as_dict(self) -> dict[str, Any]:
        """The options as JSON values, for the artefact and the gate."""
        return {**asdict(self), "masks": list(self.masks), "unicode": unicodedata.unidata_version}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TextPipeline":
        """The pipeline that `as_dict` described; refuses options that this version does not know."""
        options = {name: value for name, value in values.items() if name != "unicode"}
        if unknown := set(options) - {field.name for field in fields(cls)}:
            raise ValueError(f"unknown text options {sorted(unknown)}: the model is of a newer version")
        return cls(**{**options, "masks": tuple(options.get("masks", ()))})

    def _words(self, text: str) -> str:
        if self.masks:
            text = _masked(text, frozenset(self.masks))
        if text.isascii():
            return " ".join(_TOKEN_ASCII.findall(text))
        tokens = _TOKEN.findall(text)
        if self.segmenter != "none" and UNSPACED.search(text):
            japanese = KANA.search(text) is not None
            tokens = [part for token in tokens for part in self._segments(token, japanese=japanese)]
        return " ".join(tokens)

    def _segments(self, token: str, *, japanese: bool) -> Iterable[str]:
        if token.isascii() or not UNSPACED.search(token):
            return (token,)
        parts: list[str] = []
        for run in filter(None, _RUNS.split(token)):
            if not UNSPACED.match(run):
                parts.append(run)
            elif self.segmenter == "characters" and not THAI.match(run):
                parts.extend(run)
            else:
                parts.extend(_phrases(run, japanese=japanese))
        return parts


def _cut(text: str, limit: int) -> str:
    """The text, or `limit` characters of it: mails begin with the problem, logs end with it."""
    return text if len(text) <= limit else f"{text[: limit - limit // 4]} {text[-(limit // 4) :]}"
