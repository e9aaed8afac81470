"""The `servicenow` feed: articles of `kb_knowledge` by the Table API.

Formats: ServiceNow's "Table API" (sysparm_query, sysparm_limit, the Link header) and "Knowledge Management": an article
is seen by readers while its `workflow_state` is `published` or `pending_retirement` and until the day `valid_to`; with
versions, each is a record of the same number; a translation names its source in `parent`. Retired articles are shown
to knowledge administrators only: to others they are missing, which a full listing finds.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Annotated

from pydantic import StringConstraints

from triage.feeds import base
from triage.feeds.base import Entry, Kind, Listed, Reached
from triage.itsm import html_text, rest
from triage.models import ArticleFeed

PAGE = 50
SEEN = "published,pending_retirement"
FIELDS = (
    *("sys_id", "number", "short_description", "text", "wiki", "article_type", "workflow_state", "active", "latest"),
    *("valid_to", "language", "parent", "parent.number", "sys_updated_on"),
)
# the instance's own codes for languages, where they are no tags
LANGUAGES = {"fq": "fr-CA", "pb": "pt-BR", "zt": "zh-TW"}

SysId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]


class Settings(Reached):
    """`knowledge_bases` and `categories` by sys_id, `languages` by the instance's codes; empty: all."""

    knowledge_bases: tuple[SysId, ...] = ()
    categories: tuple[SysId, ...] = ()
    languages: tuple[Language, ...] = ()


def listed(feed: ArticleFeed, *, since: datetime | None, cursor: str, at: datetime) -> Listed:
    """Records by sys_id, so that none moves across a page's border; the cursor is `sys_id|offset`.

    Records that we may not see count for the limit: the Link header, not the number of records, tells of a next page.
    """
    with rest.pulling():
        said = base.read(Settings, feed)
        last, _, skipped = cursor.partition("|")
        offset = rest.whole(skipped) or 0
        query = {
            "sysparm_query": _query(said, since=since, last=last),
            "sysparm_fields": ",".join(FIELDS),
            "sysparm_display_value": "false",
            "sysparm_exclude_reference_link": "true",
            "sysparm_limit": str(PAGE),
            "sysparm_offset": str(offset),
        }
        answer = base.ask(feed, "/api/now/table/kb_knowledge", query)
        found = base.records(rest.told(answer.body), "result")
        place = base.root(feed)
        entries, unusable = base.usable(found, lambda record: _entries(record, place=place, at=at), name="number")
        following = ""
        if 'rel="next"' in answer.headers.get("link", "") or len(found) >= PAGE:
            newest = _text(found[-1], "sys_id") if found else ""
            following = f"{newest}|" if newest else f"{last}|{offset + PAGE}"
        return Listed(entries=entries, unusable=unusable, cursor=following)


def _query(said: Settings, *, since: datetime | None, last: str) -> str:
    """An encoded query; what stands in it was checked to hold no operator."""
    terms = [f"workflow_stateIN{SEEN}" if since is None else f"workflow_stateIN{SEEN},retired"]
    chosen = (
        ("kb_knowledge_base", said.knowledge_bases),
        ("kb_category", said.categories),
        ("language", said.languages),
    )
    terms += [f"{name}IN{','.join(values)}" for name, values in chosen if values]
    terms += [f"sys_updated_on>={since.astimezone(UTC):%Y-%m-%d %H:%M:%S}"] if since else []
    terms += [f"sys_id>{last}"] if last else []
    return "^".join([*terms, "ORDERBYsys_id"])


def _entries(record: Mapping[str, object], *, place: str, at: datetime) -> list[Entry]:
    if _text(record, "latest") == "false" and _text(record, "workflow_state") == "retired":
        return []  # an older version; the newest one says how the article stands
    number = base.key(_text(record, "number"))
    source = _text(record, "parent.number")
    wiki = _text(record, "article_type") == "wiki"
    text = html_text.plain(_text(record, "wiki")) if wiki else html_text.to_text(_text(record, "text"))
    spoken = _text(record, "language")
    return [
        Entry(
            external_id=number,
            key=number,
            group=source if base.KEY.fullmatch(source) else number,
            title=base.title(_text(record, "short_description")),
            body=base.body(text),
            language=base.language(LANGUAGES.get(spoken, spoken)),
            live=_is_seen(record, at=at),
            url=f"{place}/kb_view.do?sysparm_article={number}",
            changed_at=base.moment(f"{_text(record, 'sys_updated_on')}Z"),  # which is UTC
        )
    ]


def _is_seen(record: Mapping[str, object], *, at: datetime) -> bool:
    until = _day(_text(record, "valid_to"))
    shown = _text(record, "workflow_state") in SEEN.split(",") and _text(record, "active") != "false"
    return shown and (until is None or until >= at.astimezone(UTC).date())


def _text(record: object, name: str) -> str:
    return rest.text_of(record.get(name)).strip() if isinstance(record, dict) else ""


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


KIND = Kind(
    words="ServiceNow knowledge (kb_knowledge)",
    settings=Settings,
    listed=listed,
    lenders=frozenset({"servicenow"}),
    example={"api_url": "https://acme.service-now.com", "knowledge_bases": []},
)
