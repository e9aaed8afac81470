"""Group, agent, category and custom fields of a Freshservice ticket, and the solution articles that agents link to."""

import html
import re
from collections.abc import Mapping
from typing import Any

from triage.itsm import article_links, placing, rest
from triage.itsm.placing import FIELD, Order, Placed
from triage.models import Source

COLUMNS = {"group": "group_id", "assignee": "responder_id", "category": "category", "subcategory": "sub_category"}
NUMBERS = frozenset({"group", "assignee"})
ECHO = {"group": "assignment_group", "category": "category", "subcategory": "sub_category"}
PAGE = "100"
_ID = re.compile(r"[1-9][0-9]{0,18}")
_ARTICLE = re.compile(r"/(?:support|a)/solutions/articles/([0-9]{1,19})(?:-|/|$)")


def place(source: Source, path: str, ticket: Mapping[str, Any], *, order: Order) -> Placed:
    """Set what may be set of the ticket at `path`, as it was just read; raises ExchangeFailed."""
    own = rest.part(ticket, "custom_fields")
    now = {name: rest.text_of(ticket.get(column)) for name, column in COLUMNS.items()}
    now |= {f"{FIELD}{name}": rest.text_of(value) for name, value in own.items()}
    choice = placing.choose(source, order=order, now=now)
    change: dict[str, object] = {
        COLUMNS[name]: placing.numbered(name, value, vendor="Freshservice") if name in NUMBERS else value
        for name, value in choice.set.items()
        if name in COLUMNS
    }
    filled = {name.removeprefix(FIELD): value for name, value in choice.set.items() if name not in COLUMNS}
    if filled:
        change["custom_fields"] = filled
    if change:
        rest.call(source, "PUT", path, send=change)
    echo = {ECHO[name]: str(value) for name, value in choice.set.items() if name in ECHO}
    return Placed(choice.set, choice.left, echo | {f"custom_{name}": str(value) for name, value in filled.items()})


def with_article(source: Source, ticket: Any) -> Any:
    """With the number of the solution article that an agent linked to last, where the settings ask for it."""
    number = rest.text_of(ticket.get("id"))
    if not article_links.wanted(source) or not _ID.fullmatch(number):
        return ticket
    raw = rest.call(source, "GET", f"/api/v2/tickets/{number}/conversations", query={"per_page": PAGE}).body
    listed = rest.told(raw).get("conversations")
    said = [
        html.unescape(rest.text_of(item.get("body")))
        for item in reversed(listed if isinstance(listed, list) else [])
        if isinstance(item, dict) and item.get("incoming") is not True
    ]
    ours = [text for text in said if "[Triage " not in text]
    return {**ticket, "attached_article": article_links.newest(source, ours, path=_ARTICLE)}
