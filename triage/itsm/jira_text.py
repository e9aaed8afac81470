"""What a reader of a Jira text sees: of Atlassian Document Format (REST v3) and of wiki markup (REST v2, webhooks).

Both give the same words for the same text, whatever it was written in: a webhook tells of a Cloud issue in wiki markup
and the API in document format, and the ticket must not look changed. Formats: developer.atlassian.com, "Atlassian
Document Format"; "Text Formatting Notation" of Jira. Work is linear in the length of the text.
"""

import re
from datetime import UTC, datetime

from triage.itsm import rest

# what ends a line in the document format
_LINES = frozenset(
    {
        *("paragraph", "heading", "codeBlock", "blockquote", "panel", "rule", "listItem", "taskItem", "decisionItem"),
        *("tableRow", "table", "bulletList", "orderedList", "expand", "nestedExpand", "mediaSingle", "blockCard"),
    }
)
_ITEMS = frozenset({"listItem", "taskItem", "decisionItem"})
_CELLS = frozenset({"tableCell", "tableHeader"})
_LITERAL = re.compile(r"\{(code|noformat)(?::[^{}\n]{0,300})?\}", re.IGNORECASE)
_MACRO = re.compile(
    r"\{(?:quote|panel|color|anchor|toc|expand|info|note|tip|warning|section|column|adf)(?::[^{}\n]{0,300})?\}",
    re.IGNORECASE,
)
_MENTION = re.compile(r"\[~(?:accountid:)?([^\[\]\s|]{1,200})\]")
_LINK = re.compile(r"\[(?:([^\[\]|\n]{1,500})\|)?([^\[\]|\n]{1,2000})(?:\|[^\[\]\n]{0,200})?\]")
_ADDRESS = re.compile(r"(?:[a-zA-Z][a-zA-Z0-9+.-]{1,20}://|mailto:|www\.|#|\^|/)")
_IMAGE = re.compile(r"![^\s!|][^!|\n]{0,300}(?:\|[^!\n]{0,200})?!")
_MONO = re.compile(r"\{\{([^{}\n]{1,1000})\}\}")
# one pattern a mark: no text between two marks is looked at twice
_MARKS = tuple(
    re.compile(rf"(?<![\w\\]){re.escape(mark)}(?=\S)([^\n{re.escape(mark)}]{{1,300}})(?<=\S){re.escape(mark)}(?!\w)")
    for mark in "*_+^~-"
)
_HEAD = re.compile(r"^[ \t]{0,20}(?:h[1-6]|bq)\.[ \t]+", re.MULTILINE)
_BULLET = re.compile(r"^[ \t]{0,20}[*#-]{1,20}[ \t]+", re.MULTILINE)
_RULE = re.compile(r"^[ \t]{0,20}-{4,5}[ \t]*$", re.MULTILINE)
_ROW = re.compile(r"^[ \t]{0,20}\|.*$", re.MULTILINE)
_FACE = re.compile(r"(?<!\S)(?:[:;]-?[()DP]|\((?:[yn/x!+\-?i]|on|off|\*[rgby]?|flag|flagoff)\))(?!\S)")
_ESCAPED = re.compile(r"\\([\\{}\[\]*_+^~|!?#()<>:;.-])")
# private characters stand for escaped ones while marks are taken out
_HIDE = 0xE000
# two backslashes are a line break
_BACKSLASH = "&#92;"


def to_text(value: object) -> str:
    """The text of a description or comment in either format; an empty one where it is neither."""
    if isinstance(value, str):
        return wiki_text(value)
    return document_text(value) if isinstance(value, dict) else ""


def document_text(document: dict[str, object]) -> str:
    """The words of a document in Atlassian Document Format; unknown nodes give what is inside them."""
    pieces: list[str] = []
    # nodes wait in reverse order; texts stand for themselves: no recursion, whatever the depth
    waiting: list[object] = [document]
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            pieces.append(node)
        elif isinstance(node, dict):
            kind = rest.text_of(node.get("type"))
            pieces.append(_leaf(kind, node))
            inner = node.get("content")
            after = "\n" if kind in _LINES else " " if kind in _CELLS else ""
            waiting.append(after)
            waiting.extend(reversed(inner) if isinstance(inner, list) else [])
    return _tidy("".join(pieces))


def _leaf(kind: str, node: dict[str, object]) -> str:
    """What a node says before its content."""
    told = node.get("attrs")
    attributes = told if isinstance(told, dict) else {}
    if kind == "text":
        return str(node.get("text") or "")
    if kind == "hardBreak":
        return "\n"
    if kind in _ITEMS:
        return "- "
    if kind == "mention":
        return f"@{attributes.get('id') or ''}"
    if kind in {"inlineCard", "blockCard", "embedCard"}:
        return str(attributes.get("url") or "")
    if kind == "status":
        return str(attributes.get("text") or "")
    if kind in {"expand", "nestedExpand"} and attributes.get("title"):
        return f"{attributes['title']}\n"
    return _date(attributes.get("timestamp")) if kind == "date" else ""


def _date(told: object) -> str:
    """A date node holds milliseconds since 1970 as text."""
    digits = str(told or "")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 14):
        return ""
    return datetime.fromtimestamp(int(digits) / 1000, UTC).date().isoformat()


def wiki_text(source: str) -> str:
    """The words of a text in Jira's wiki markup; blocks of code stay as they are."""
    pieces: list[str] = []
    position = 0
    while (opening := _LITERAL.search(source, position)) is not None:
        name = opening[1].lower()
        pieces.append(_marked(source[position : opening.start()]))
        # the closing mark is looked for as plain text: linear, however many blocks stay open
        end = source.find(f"{{{name}}}", opening.end())
        if end < 0:
            pieces.append(_marked(source[opening.end() :]))
            return _tidy("".join(pieces))
        pieces.append(f"\n{source[opening.end() : end]}\n")
        position = end + len(name) + 2
    pieces.append(_marked(source[position:]))
    return _tidy("".join(pieces))


def _marked(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\\\\", "\n")
    text = _ESCAPED.sub(lambda found: chr(_HIDE + ord(found[1])), text)
    text = _MACRO.sub("", _RULE.sub("", text))
    text = _LINK.sub(_link, _MENTION.sub(r"@\1", text))
    text = _MONO.sub(r"\1", _IMAGE.sub("", text))
    text = _BULLET.sub("- ", _HEAD.sub("", text))
    text = _ROW.sub(lambda found: found[0].replace("|", " "), text)
    for mark in _MARKS:
        text = mark.sub(r"\1", text)
    text = _FACE.sub("", text)
    return "".join(chr(ord(mark) - _HIDE) if _HIDE <= ord(mark) < _HIDE + 128 else mark for mark in text).replace(
        _BACKSLASH, "\\"
    )


def _link(found: re.Match[str]) -> str:
    """A link's words, else its address; what only looks like a link stays, such as `[ERROR]` in a log."""
    words, address = found[1], found[2]
    if words is not None:
        return words if _ADDRESS.match(address) else found[0]
    if address.startswith(("^", "#")):
        return ""
    return address if _ADDRESS.match(address) else found[0]


def _tidy(text: str) -> str:
    """Words one space apart, at most one empty line in a row."""
    lines: list[str] = []
    for line in text.split("\n"):
        words = " ".join(line.split())
        if words or (lines and lines[-1]):
            lines.append(words)
    return "\n".join(lines).strip()


def document(text: str) -> dict[str, object]:
    """Plain text as a document: a paragraph for each line, nothing of it ever markup."""
    lines = [line for line in text.splitlines() if line.strip()] or ["-"]
    content = [{"type": "paragraph", "content": [{"type": "text", "text": line}]} for line in lines]
    return {"version": 1, "type": "doc", "content": content}


def wiki(text: str) -> str:
    """Plain text for a field in wiki markup: every mark escaped, so that no macro, image or mention comes of it."""
    return re.sub(r"([{}\[\]*_+^~|!?#-])", r"\\\1", text.replace("\\", _BACKSLASH)).replace("&\\#92;", _BACKSLASH)
