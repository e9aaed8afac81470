"""Group, assignee, tags and custom fields of a Zendesk ticket, and the Help Center articles that agents linked to."""

import html
import re
from collections.abc import Mapping
from typing import Any

from triage.itsm import article_links, placing, rest
from triage.itsm.placing import FIELD, Order, Placed
from triage.models import Source

COLUMNS = {"group": "group_id", "assignee": "assignee_id"}
_ID = re.compile(r"[1-9][0-9]{0,18}")
_ARTICLE = re.compile(r"/hc/(?:[A-Za-z-]{2,12}/)?articles/([0-9]{1,19})(?:-|/|$)")


def number(value: object) -> str:
    """A number as text; events write 0 where there is nobody."""
    text = rest.text_of(value)
    return "" if text == "0" else text


def place(source: Source, path: str, ticket: Mapping[str, Any], *, order: Order) -> Placed:
    """Set what may be set in one safe update of the ticket at `path`, as it was just read; raises ExchangeFailed."""
    choice = placing.choose(source, order=order, now=_stands(ticket))
    change: dict[str, object] = {
        COLUMNS[name]: placing.numbered(name, value, vendor="Zendesk")
        for name, value in choice.set.items()
        if name in COLUMNS
    }
    if "labels" in choice.set:
        change["tags"] = [*ticket["tags"], *choice.set["labels"]]
    own = {name.removeprefix(FIELD): value for name, value in choice.set.items() if name.startswith(FIELD)}
    if own:
        change["custom_fields"] = [{"id": int(name), "value": value} for name, value in own.items()]
    if change:
        safe = {"safe_update": True, "updated_stamp": ticket.get("updated_at")}
        rest.call(source, "PUT", path, send={"ticket": {**change, **safe}})
    echo = {f"field_{name}": str(value) for name, value in own.items()}
    echo |= {"assignment_group": str(choice.set["group"])} if "group" in choice.set else {}
    return Placed(choice.set, choice.left, echo)


def _stands(ticket: Mapping[str, Any]) -> dict[str, str | list[str]]:
    """What stands in the fields that may be set, empty where nothing does."""
    custom = ticket.get("custom_fields")
    return {
        **{name: number(ticket.get(column)) for name, column in COLUMNS.items()},
        "labels": [str(tag) for tag in ticket["tags"]],
        **{
            f"{FIELD}{item['id']}": rest.text_of(item.get("value"))
            for item in (custom if isinstance(custom, list) else ())
            if isinstance(item, dict) and isinstance(item.get("id"), int)
        },
    }


def add_attached(source: Source, tickets: list[Any]) -> None:
    """Under `attached_article`, the number of the Help Center article that an agent linked to last in a comment."""
    for ticket in tickets if article_links.wanted(source) else ():
        found = rest.text_of(ticket.get("id")) if isinstance(ticket, dict) else ""
        if not _ID.fullmatch(found) or rest.text_of(ticket.get("status")).lower() == "deleted":
            continue
        query = {"include": "users", "sort_order": "desc", "page[size]": "100"}
        told = rest.told(rest.call(source, "GET", f"/api/v2/tickets/{found}/comments.json", query=query).body)
        ticket["attached_article"] = article_links.newest(source, _said_by_agents(source, told), path=_ARTICLE)


def _said_by_agents(source: Source, told: Mapping[str, Any]) -> list[str]:
    """The comments of agents and administrators, but not our own, newest first; links stand in the HTML."""
    users, comments = told.get("users"), told.get("comments")
    own = str(source.settings.get("own_user") or "")
    agents = {
        rest.text_of(user.get("id"))
        for user in (users if isinstance(users, list) else ())
        if isinstance(user, dict) and user.get("role") in {"agent", "admin"}
    } - {own}
    return [
        html.unescape(rest.text_of(item.get("html_body") or item.get("body")))
        for item in (comments if isinstance(comments, list) else ())
        if isinstance(item, dict) and rest.text_of(item.get("author_id")) in agents
    ]
