"""Confluence's storage format as plain text, in time linear in its length.

It is XHTML with macros of its own (`ac:`, `ri:`): "Confluence Storage Format" in Atlassian's documentation. What macros
show stands in CDATA sections and rich-text bodies; their parameters, the ids of tasks and placeholders are not shown.
"""

import html
import re

from triage.itsm import html_text

_OPEN, _CLOSE = "<![CDATA[", "]]>"
_UNSEEN = ("ac:parameter", "ac:task-id", "ac:task-status", "ac:placeholder", "ac:task-uuid")
_TAG = re.compile(rf"<(?P<name>{'|'.join(_UNSEEN)})(?=[\s>])", re.IGNORECASE)
_BREAKS = re.compile(r"</?ac:(?:structured-macro|rich-text-body|plain-text-body|task|layout-section)\b", re.IGNORECASE)


def to_text(source: str) -> str:
    """What a reader of the page sees."""
    return html_text.to_text(_BREAKS.sub(r"<br/>\g<0>", _without_parameters(_without_sections(source))))


def _without_sections(source: str) -> str:
    """CDATA sections as escaped text: the lines of a code block stay lines."""
    pieces: list[str] = []
    position = 0
    while (start := source.find(_OPEN, position)) >= 0:
        pieces.append(source[position:start])
        end = source.find(_CLOSE, start)
        inside = source[start + len(_OPEN) : end if end >= 0 else len(source)]
        pieces.append("<br/>".join(html.escape(line) for line in inside.split("\n")))
        position = end + len(_CLOSE) if end >= 0 else len(source)
    pieces.append(source[position:])
    return "".join(pieces)


def _without_parameters(source: str) -> str:
    pieces: list[str] = []
    position = 0
    nowhere: set[str] = set()  # a tag that closes nowhere behind here does not close further behind either
    while (tag := _TAG.search(source, position)) is not None:
        pieces.append(source[position : tag.start()])
        name = tag["name"].lower()
        closing = f"</{name}>"
        end = -1 if name in nowhere else source.find(closing, tag.end())
        if end < 0:
            nowhere.add(name)
        opened = source.find(">", tag.end())
        empty = opened >= 0 and source[opened - 1] == "/"
        position = end + len(closing) if end >= 0 and not empty else opened + 1 if opened >= 0 else len(source)
    pieces.append(source[position:])
    return "".join(pieces)
