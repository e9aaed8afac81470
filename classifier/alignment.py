"""Where the words of a clean line stand in the ticket's text as people see it.

Normalising changes lengths (ligatures, invisible characters, composed accents) and long texts are cut. So the raw text
is normalised once more in clusters (a letter with its marks), each remembering where it came from. Linear time.
"""

import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from classifier.text import BAR, READ, Document, normalise

PARTS = ("subject", "body")
_NOWHERE = -1
_HALF_WIDTH_VOICING = "\uff9e\uff9f"
_LONGEST_CLUSTER = 256
_LOOK_AHEAD, _FARTHEST = 64, 4096


class Place(NamedTuple):
    """A stretch of the raw subject or body: `part` is one of PARTS, `start` and `end` as in slices."""

    part: str
    start: int
    end: int


class _Traced(NamedTuple):
    """A text, and of each of its characters where in the raw text it came from; _NOWHERE for what was put in."""

    text: str
    starts: list[int]
    ends: list[int]

    def cut(self, limit: int) -> "_Traced":
        """As the pipeline cuts: the start, a space, and a quarter of the limit from the end."""
        if len(self.text) <= limit:
            return self
        head, tail = slice(limit - limit // 4), slice(len(self.text) - limit // 4, None)
        return _Traced(
            f"{self.text[head]} {self.text[tail]}",
            [*self.starts[head], _NOWHERE, *self.starts[tail]],
            [*self.ends[head], _NOWHERE, *self.ends[tail]],
        )


def places(tokens: Sequence[str], document: Document, *, limit: int) -> list[Place | None]:
    """For each token of a document's clean line its place in the raw text; None where it has none (masks, the bar).

    `limit` is the pipeline's. What is found there normalises to the token, always.
    """
    subject, body = (_normalised(text).cut(READ) for text in document)
    # One run of numbers for both: the body's places follow the subject's.
    offset = len(document.subject) + 1
    between = _Traced("\n", [_NOWHERE], [_NOWHERE]) if subject.text and body.text else _Traced("", [], [])
    joined = _Traced(
        subject.text + between.text + body.text,
        [*subject.starts, *between.starts, *(start + offset if start >= 0 else start for start in body.starts)],
        [*subject.ends, *between.ends, *(end + offset if end >= 0 else end for end in body.ends)],
    ).cut(limit)
    found = []
    for stretch in _walk(tokens, joined.text):
        first, last = (joined.starts[stretch[0]], joined.ends[stretch[1] - 1]) if stretch else (_NOWHERE, _NOWHERE)
        in_body = first >= offset
        shift = offset if in_body else 0
        # a token that spans a cut has no place of its own
        whole = first != _NOWHERE and first < last and (in_body or last < offset)
        found.append(Place(PARTS[in_body], first - shift, last - shift) if whole else None)
    return found


def _walk(tokens: Sequence[str], text: str) -> list[tuple[int, int] | None]:
    """Start and end of each token in the text, in order; whatever is no white space belongs to some token."""
    found: list[tuple[int, int] | None] = []
    at, reach = 0, _LOOK_AHEAD
    for token in tokens:
        while at < len(text) and text[at] in " \n":
            at += 1
        # the text is the pipeline's but for rare marks and for masks: then look a little further
        begin = at if text.startswith(token, at) else text.find(token, at, at + reach)
        if token == BAR or begin < 0:
            found.append(None)
            reach = reach if token == BAR else min(2 * reach, _FARTHEST)
            continue
        at, reach = begin + len(token), _LOOK_AHEAD
        found.append((begin, at))
    return found


def _normalised(text: str) -> _Traced:
    """What `normalise` makes of the part of a raw text that is read, character by character traced."""
    raw = _Traced(text, [*range(len(text))], [*range(1, len(text) + 1)]) if len(text) <= READ else _ends_of(text)
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    known: dict[str, str] = {}
    spaced = True
    for begin, end in pairwise(_boundaries(raw.text)):
        cluster = raw.text[begin:end]
        if cluster not in known:
            # between letters that nothing composes with, so that white space at the edges is kept
            known[cluster] = normalise(f"q{cluster}q")[1:-1]
        clean = known[cluster]
        if spaced:
            clean = clean.lstrip(" ")
        if clean:
            pieces.append(clean)
            starts.extend([raw.starts[begin]] * len(clean))
            ends.extend([raw.ends[end - 1]] * len(clean))
            spaced = clean.endswith(" ")
    return _Traced("".join(pieces), starts, ends)


def _ends_of(text: str) -> _Traced:
    """A long raw text as `_Traced.cut` cuts it, without a list as long as the text."""
    head, tail = READ - READ // 4, len(text) - READ // 4
    return _Traced(
        f"{text[:head]} {text[tail:]}",
        [*range(head), _NOWHERE, *range(tail, len(text))],
        [*range(1, head + 1), _NOWHERE, *range(tail + 1, len(text) + 1)],
    )


def _boundaries(text: str) -> list[int]:
    """Where clusters begin, and the end: characters that normalising may join stay in one."""
    if text.isascii():
        return [*range(len(text) + 1)]
    found = [0]
    jamo = False
    for i, character in enumerate(text):
        was_jamo, jamo = jamo, _is_jamo(character)
        if (_extends(character) or (jamo and was_jamo)) and i - found[-1] < _LONGEST_CLUSTER:
            continue
        if i:
            found.append(i)
    return [*found, len(text)]


def _extends(character: str) -> bool:
    """Marks, invisible characters and the half-width voicing signs of Japanese belong to the letter before."""
    if character.isascii():
        return False
    category = unicodedata.category(character)
    return category[0] == "M" or category == "Cf" or character in _HALF_WIDTH_VOICING


def _is_jamo(character: str) -> bool:
    """Parts of Korean syllables, and syllables that can take one more part."""
    return "\u1100" <= character <= "\u11ff" or "\uac00" <= character <= "\ud7a3" or "\uffa0" <= character <= "\uffdc"
