"""Assignee, components, labels and custom fields of a Jira issue, and the Confluence pages that are linked to it."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from triage.itsm import placing, rest, strict_json
from triage.itsm.base import PayloadInvalid
from triage.itsm.outgoing import ExchangeFailed
from triage.itsm.placing import FIELD, Order, Placed, Wanted
from triage.models import Source

CONFLUENCE = "com.atlassian.confluence"
NO_FIELD = "the issue's edit screen has no such field, or one of a kind that is not set from here"
_OWN = re.compile(r"customfield_[0-9]{1,10}")
_PAGE = re.compile(r"/pages/([0-9]{1,19})(?:/|$)")


def place(source: Source, path: str, *, cloud: bool, order: Order) -> Placed:
    """Set what may be set in one edit of the issue at `path`; raises ExchangeFailed."""
    own = sorted(found for name in order.wanted if _OWN.fullmatch(found := name.removeprefix(FIELD)))
    query = {"fields": ",".join(["status", "assignee", "labels", "components", *own])}
    fields = rest.part(rest.told(rest.call(source, "GET", path, query=query).body), "fields")
    if rest.part(rest.part(fields, "status"), "statusCategory").get("key") == "done":
        return placing.finished(order)
    who = "accountId" if cloud else "name"
    kinds = _kinds(source, path) if own else {}
    now: dict[str, str | list[str]] = {
        "assignee": rest.text_of(rest.part(fields, "assignee").get(who)),
        "labels": _names(fields.get("labels")),
        "components": _names(fields.get("components")),
        **{f"{FIELD}{name}": _plain(fields.get(name)) for name in own if kinds.get(name) in {"option", "string"}},
    }
    choice = placing.choose(source, order=order, now=now)
    choice.left.update({name: NO_FIELD for name in choice.left if name.startswith(FIELD) and name not in now})
    if choice.set:
        rest.call(source, "PUT", path, send=_edit(choice.set, who=who, kinds=kinds))
    return Placed(choice.set, choice.left, _echo(choice.set, now))


def _edit(chosen: Wanted, *, who: str, kinds: Mapping[str, str]) -> dict[str, object]:
    """One edit: values of fields, and additions to lists, which leave alone what others add at the same moment."""
    fields: dict[str, object] = {}
    update: dict[str, object] = {}
    for name, value in chosen.items():
        if name == "assignee":
            fields["assignee"] = {who: value}
        elif isinstance(value, list):
            update[name] = [{"add": {"name": one} if name == "components" else one} for one in value]
        else:
            key = name.removeprefix(FIELD)
            fields[key] = {"value": value} if kinds[key] == "option" else value
    return {name: part for name, part in (("fields", fields), ("update", update)) if part}


def _kinds(source: Source, path: str) -> dict[str, str]:
    """What kind each field of the edit screen is."""
    fields = rest.part(rest.told(rest.call(source, "GET", f"{path}/editmeta").body), "fields")
    return {name: rest.text_of(rest.part(rest.part(fields, name), "schema").get("type")) for name in fields}


def _echo(chosen: Wanted, now: Mapping[str, str | list[str]]) -> dict[str, str]:
    """The ticket's fields as the next message will tell them."""
    echo = {name.removeprefix(FIELD): value for name, value in chosen.items() if isinstance(value, str)}
    for name, between in (("labels", " "), ("components", ", ")):
        if name in chosen:
            echo[name] = between.join(sorted({*now[name], *chosen[name]}))
    return echo


def attached(source: Source, path: str) -> str:
    """The page id of the Confluence page that was linked to the issue last; empty where none is.

    Remote links: developer.atlassian.com, "Issue remote links". A source that may not read them goes without.
    """
    try:
        raw = rest.call(source, "GET", f"{path}/remotelink").body
        links = strict_json.decoded(raw)
    except ExchangeFailed as error:
        if error.permanent:
            return ""
        raise
    except PayloadInvalid as error:
        raise ExchangeFailed(f"Jira answered, but {error}", permanent=False) from error
    pages = [
        (rest.whole(link.get("id")) or 0, page)
        for link in (links if isinstance(links, list) else [])
        if isinstance(link, dict) and (page := _page_id(link))
    ]
    return max(pages)[1] if pages else ""


def _page_id(link: Mapping[str, Any]) -> str:
    """`appId=...&pageId=123` of the link, else the number in the page's address."""
    if rest.part(link, "application").get("type") != CONFLUENCE:
        return ""
    told = parse_qs(rest.text_of(link.get("globalId"))[:500]).get("pageId", [""])[0]
    if told.isascii() and told.isdigit():
        return told
    try:
        address = urlsplit(rest.text_of(rest.part(link, "object").get("url"))[:2000])
    except ValueError:
        return ""
    found = _PAGE.search(address.path)
    page = found[1] if found else parse_qs(address.query).get("pageId", [""])[0]
    return page if page.isascii() and page.isdigit() else ""


def _names(listed: object) -> list[str]:
    found = listed if isinstance(listed, list) else []
    return [rest.text_of(item.get("name") if isinstance(item, dict) else item) for item in found]


def _plain(value: object) -> str:
    return rest.text_of(value.get("value") if isinstance(value, dict) else value)
