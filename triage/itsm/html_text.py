"""HTML bodies of tickets as plain text, in time linear in their length.

Ours because both parsers at hand take quadratic time on hostile input: nh3 0.3.8 needs 26 s for 400 KB of open `<div>`
tags (measured), and Python 3.11's html.parser has the same weakness. No tree is needed to read text.
"""

import html
import re

_TAG = re.compile(r"<(?:(?P<comment>!--)|(?P<close>/?)(?P<name>[a-zA-Z][a-zA-Z0-9:-]{0,30})|(?P<other>[!?]))")
# Tags that mail programs and ticket forms write. `<id>` and `<ada@example.org>` in plain text are none of them.
_TELLING = re.compile(
    r"<(?:!doctype html|/?(?:html|body|div|p|br|span|table|tr|td|ul|ol|li|strong|em|font|h[1-6]|blockquote|pre|style)"
    r"(?:\s[^<>]*)?/?>|script[\s>]|a\s+href=[^<>]*>|img\s[^<>]*>)",
    re.IGNORECASE,
)
_UNSEEN = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in ("script", "style", "title", "template")}
_BREAKS = frozenset(
    "address article aside blockquote body br dd div dl dt fieldset figure footer form h1 h2 h3 h4 h5 h6 header hr "  # noqa: SIM905 - forty names read best as a sentence
    "html li main nav ol p pre section table tbody tfoot thead tr ul".split()
)
_GAPS = frozenset({"td", "th", "img", "option", "button"})
_SPACE = re.compile(r"[ \t\r\n\f]+")
# Python's html.unescape raises ValueError on numbers of more than 4,300 digits.
_LONG_REFERENCE = re.compile(r"&#(?:[0-9]{9,}|[xX][0-9a-fA-F]{9,});?")


def plain(text: str) -> str:
    """The text itself, or what a reader of it would see where it is HTML."""
    return to_text(text) if _TELLING.search(text) else text


def to_text(source: str) -> str:
    """What a reader of this HTML sees: no tags, scripts, styles or comments; block elements on lines of their own."""
    pieces: list[str] = []
    position = 0
    while (tag := _TAG.search(source, position)) is not None:
        pieces.append(_SPACE.sub(" ", source[position : tag.start()]))
        position, piece = _skip(source, tag)
        pieces.append(piece)
    pieces.append(_SPACE.sub(" ", source[position:]))
    return _tidy(html.unescape(_LONG_REFERENCE.sub("\ufffd", "".join(pieces))))


def _skip(source: str, tag: re.Match[str]) -> tuple[int, str]:
    """Where reading goes on after this tag, and what stands for it. A tag that never ends is text after all."""
    mark = "-->" if tag["comment"] else ">"
    end = source.find(mark, tag.end()) + len(mark)
    if end < len(mark):
        return len(source), _SPACE.sub(" ", source[tag.start() :])
    name = (tag["name"] or "").lower()
    if name in _UNSEEN and not tag["close"]:
        closing = _UNSEEN[name].search(source, end)
        return (closing.start() if closing else len(source)), " "
    if name == "li" and not tag["close"]:
        return end, "\n- "
    if name in _BREAKS:
        return end, "\n"
    return end, " " if name in _GAPS else ""


def _tidy(text: str) -> str:
    """White space between words to one space, at most one empty line in a row."""
    lines: list[str] = []
    for line in text.split("\n"):
        words = " ".join(line.split())
        if words or (lines and lines[-1]):
            lines.append(words)
    return "\n".join(lines).strip()
