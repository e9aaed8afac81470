"""The `confluence` feed: pages of Confluence Cloud spaces by its REST API v2.

Formats: developer.atlassian.com, "Confluence Cloud REST API v2": "Get pages" (`space-id`, `status`, `sort`,
`body-format=storage`, `limit`, `cursor`), "Get pages for label", "Get labels for space content", "Get spaces" and the
paging by `_links.next`, of which the cursor alone is used. Only pages that the user may see are listed.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, StringConstraints

from triage.feeds import base, storage_format
from triage.feeds.base import Entry, Kind, Listed, Reached, RecordRefused, Root
from triage.itsm import rest
from triage.itsm.outgoing import ExchangeFailed
from triage.models import ArticleFeed

PAGE = 50
MANY = 250
MOST_PAGES = 20
STAMP = "createdAt"
_ID = re.compile(r"[1-9][0-9]{0,18}")
_CURSOR = re.compile(r"[\x21-\x7e]{1,2000}")

SpaceKey = Annotated[str, StringConstraints(pattern=r"^~?[A-Za-z0-9]{1,255}$")]
Label = Annotated[str, StringConstraints(pattern=r"^[^\s\"\\,]{0,255}$")]
Language = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})?$")]


class Settings(Reached):
    """`spaces` by key; `label`: only pages that carry it, all where it is empty; `language` of the pages.

    `site`: where people read them, where that is not `api_url`, as with tokens of limited scope.
    """

    spaces: tuple[SpaceKey, ...] = Field(min_length=1, max_length=50)
    label: Label = ""
    language: Language = "en"
    site: Root = ""


def listed(feed: ArticleFeed, *, since: datetime | None, cursor: str, at: datetime) -> Listed:  # noqa: ARG001 - one form
    """Pages by id, which no change disturbs; what changed, newest change first. The cursor is `spaces;label;cursor`."""
    with rest.pulling():
        said = base.read(Settings, feed)
        if not cursor:
            spaces = _spaces(feed, said)
            cursor = f"{','.join(spaces)};{_label(feed, said, spaces)};"
        spaces_of, label, after = (*cursor.split(";", 2), "", "")[:3]
        path = f"/wiki/api/v2/labels/{label}/pages" if label else "/wiki/api/v2/pages"
        query = {"space-id": spaces_of, "body-format": "storage", "limit": str(PAGE)}
        query |= {} if label else {"status": "current,archived"}
        query |= {"sort": "id" if since is None else "-modified-date"} | ({"cursor": after} if after else {})
        told = rest.told(base.ask(feed, path, query).body)
        found = base.records(told, "results")
        changed = found if since is None else [one for one in found if not _is_before(one, since)]
        address = f"{said.site.rstrip('/') or base.root(feed)}/wiki"
        entries, unusable = base.usable(
            changed, lambda record: [entry(record, said, address=address, stamp=STAMP)], name="id"
        )
        following = "" if len(changed) < len(found) else _following(told)
        going_on = f"{spaces_of};{label};{following}" if following else ""
        return Listed(entries=entries, unusable=unusable, cursor=going_on)


def _spaces(feed: ArticleFeed, said: Settings) -> list[str]:
    """The spaces' ids; one that is not shown to us is a failure, not an empty space."""
    told = rest.told(base.ask(feed, "/wiki/api/v2/spaces", {"keys": ",".join(said.spaces), "limit": str(MANY)}).body)
    ids = {rest.text_of(one.get("key")): rest.text_of(one.get("id")) for one in _objects(told)}
    for key in said.spaces:
        if not _ID.fullmatch(ids.get(key, "")):
            raise ExchangeFailed(f"Confluence shows no space {key} to this user; check key and rights", permanent=True)
    return [ids[key] for key in said.spaces]


def _label(feed: ArticleFeed, said: Settings, spaces: list[str]) -> str:
    """The label's id, from the labels of the spaces' content; empty where none is asked for."""
    if not said.label:
        return ""
    for space in spaces:
        after = ""
        for _ in range(MOST_PAGES):
            query = {"limit": str(MANY)} | ({"cursor": after} if after else {})
            told = rest.told(base.ask(feed, f"/wiki/api/v2/spaces/{space}/content/labels", query).body)
            for one in _objects(told):
                number = rest.text_of(one.get("id"))
                if one.get("name") == said.label and _ID.fullmatch(number):
                    return number
            after = _following(told)
            if not after:
                break
    raise ExchangeFailed(f"no page that this user may see carries the label {said.label}", permanent=True)


def _objects(told: Mapping[str, object]) -> list[Mapping[str, object]]:
    return [one for one in base.records(told, "results") if isinstance(one, dict)]


def _following(told: Mapping[str, object]) -> str:
    following = rest.text_of(rest.part(told, "_links").get("next"))
    if not following:
        return ""
    after = parse_qs(urlsplit(following).query).get("cursor", [""])[0]
    if not _CURSOR.fullmatch(after):
        raise ExchangeFailed("Confluence has more pages, but names no cursor for them", permanent=False)
    return after


def _is_before(record: object, since: datetime) -> bool:
    moment = _moment(record, STAMP) if isinstance(record, dict) else None
    return moment is not None and moment < since


def entry(record: Mapping[str, object], said: Settings, *, address: str, stamp: str) -> Entry:
    """A page of either edition; raises RecordRefused. address: before its number; stamp: the version's moment."""
    number = rest.text_of(record.get("id"))
    if not _ID.fullmatch(number):
        raise RecordRefused("a page's id is a number")
    return Entry(
        external_id=number,
        key=number,
        group=number,
        title=base.title(rest.text_of(record.get("title"))),
        body=base.body(storage_format.to_text(_stored(record))),
        language=base.language(said.language),
        live=record.get("status") == "current",
        url=f"{address}/pages/viewpage.action?pageId={number}",
        changed_at=_moment(record, stamp),
    )


def _stored(record: Mapping[str, object]) -> str:
    """The page's body in storage format; raises RecordRefused where the answer holds none."""
    value = rest.part(rest.part(record, "body"), "storage").get("value")
    if not isinstance(value, str):
        raise RecordRefused("the page came without its text")
    return value


def _moment(record: Mapping[str, object], stamp: str) -> datetime | None:
    return base.moment(rest.part(record, "version").get(stamp))


KIND = Kind(
    words="Confluence Cloud",
    settings=Settings,
    listed=listed,
    lenders=frozenset({"jira"}),
    example={"api_url": "https://acme.atlassian.net", "spaces": ["KB"], "label": "", "language": "en"},
)
