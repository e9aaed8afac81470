"""The `zendesk` feed: articles of one Help Center, each translation an article of its own here.

Formats: developer.zendesk.com, "Help Center API": "Articles" (List Articles, cursor pagination by `page[size]` and
`page[after]`, `sort_by`, `include=translations`), "Translations" and "Pagination". Archived articles are not listed,
which a full listing finds. Each brand's Help Center has an address of its own.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from triage.feeds import base
from triage.feeds.base import Entry, Kind, Listed, Reached, RecordRefused
from triage.itsm import html_text, rest
from triage.itsm.outgoing import ExchangeFailed
from triage.models import ArticleFeed

PAGE = 50
_ID = re.compile(r"[1-9][0-9]{0,18}")
_LOCALE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8}){0,2}")
_CURSOR = re.compile(r"[\x21-\x7e]{1,2000}")

Label = Annotated[str, StringConstraints(pattern=r"^[^,\x00-\x1f]{1,100}$")]


class Settings(Reached):
    """`labels`: articles that have all of them; `sections` by number; `locales`: these only; empty: all.

    `public_only`: leave out what a user segment restricts to some readers, such as agents.
    """

    labels: tuple[Label, ...] = ()
    sections: tuple[int, ...] = ()
    locales: tuple[Annotated[str, StringConstraints(to_lower=True)], ...] = Field(default=())
    public_only: bool = True


def listed(feed: ArticleFeed, *, since: datetime | None, cursor: str, at: datetime) -> Listed:  # noqa: ARG001 - one form
    """Everything in the order it was made in, which no change disturbs; what changed, newest change first."""
    with rest.pulling():
        said = base.read(Settings, feed)
        query = {"page[size]": str(PAGE), "include": "translations"}
        by, order = ("created_at", "asc") if since is None else ("updated_at", "desc")
        query |= {"sort_by": by, "sort_order": order}
        query |= {"page[after]": cursor} if cursor else {}
        query |= {"label_names": ",".join(said.labels)} if said.labels else {}
        told = rest.told(base.ask(feed, "/api/v2/help_center/articles.json", query).body)
        found = base.records(told, "articles")
        changed = found if since is None else [one for one in found if not _is_before(one, since)]
        entries, unusable = base.usable(changed, lambda record: _entries(record, said), name="id")
        going_on = "" if len(changed) < len(found) else _following(told)
        return Listed(entries=entries, unusable=unusable, cursor=going_on)


def _following(told: Mapping[str, object]) -> str:
    """The cursor alone: the address that stands in `links` is never followed."""
    meta = told.get("meta")
    if not isinstance(meta, dict) or not isinstance(meta.get("has_more"), bool):
        raise ExchangeFailed("the Help Center does not say whether there are more articles", permanent=False)
    if not meta["has_more"]:
        return ""
    after = rest.text_of(meta.get("after_cursor"))
    if not _CURSOR.fullmatch(after):
        raise ExchangeFailed("the Help Center has more articles, but names no cursor for them", permanent=False)
    return after


def _is_before(record: object, since: datetime) -> bool:
    moment = base.moment(record.get("updated_at")) if isinstance(record, dict) else None
    return moment is not None and moment < since


def _entries(record: Mapping[str, object], said: Settings) -> list[Entry]:
    number = rest.text_of(record.get("id"))
    if not _ID.fullmatch(number):
        raise RecordRefused("an article's id is a number")
    if said.sections and record.get("section_id") not in said.sections:
        return []
    restricted = said.public_only and record.get("user_segment_id") is not None
    source = _locale(record.get("source_locale") or record.get("locale"))
    told = record.get("translations")
    versions = [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []
    versions = versions or [dict(record)]
    entries = [_entry(record, version, number=number, source=source, restricted=restricted) for version in versions]
    return [one for one in entries if not said.locales or one.external_id.partition(":")[2] in said.locales]


def _entry(
    record: Mapping[str, object], version: Mapping[str, object], *, number: str, source: str, restricted: bool
) -> Entry:
    locale = _locale(version.get("locale"))
    return Entry(
        external_id=f"{number}:{locale}",
        key=number if locale == source else f"{number}-{locale}",
        group=number,
        title=base.title(rest.text_of(version.get("title"))),
        body=base.body(html_text.to_text(rest.text_of(version.get("body")))),
        language=base.language(locale),
        live=version.get("draft") is not True and version.get("hidden") is not True and not restricted,
        url=_address(version) or _address(record),
        changed_at=base.moment(version.get("updated_at")),
    )


def _locale(told: object) -> str:
    text = rest.text_of(told)
    if not _LOCALE.fullmatch(text):
        raise RecordRefused("it names no locale")
    return text.lower()


def _address(told: Mapping[str, object]) -> str:
    """Where people read it; only ever shown as a link."""
    text = rest.text_of(told.get("html_url"))
    return text if re.fullmatch(r"https?://[\x21-\x7e]{1,480}", text) else ""


KIND = Kind(
    words="Zendesk Help Center",
    settings=Settings,
    listed=listed,
    lenders=frozenset({"zendesk"}),
    example={"api_url": "https://acme.zendesk.com", "labels": [], "public_only": True},
)
