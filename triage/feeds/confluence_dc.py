"""The `confluence_dc` feed: pages of a Confluence Data Center by its REST API.

Formats: developer.atlassian.com, "Confluence Data Center REST API": `/rest/api/content/search` with CQL, `start` and
`limit`, `expand=body.storage,version`. CQL takes moments to the minute and in the user's time zone, so a day is added;
it finds current pages only. The listing is counted by position: each page of it begins with the last record of the one
before, so that a page removed meanwhile is noticed.
"""

from datetime import UTC, datetime, timedelta

from triage.feeds import base, confluence
from triage.feeds.base import Kind, Listed
from triage.itsm import rest
from triage.itsm.base import PullFailed
from triage.models import ArticleFeed

PAGE = 50
ZONES = timedelta(days=1)
AGAIN_SECONDS = 30.0


def listed(feed: ArticleFeed, *, since: datetime | None, cursor: str, at: datetime) -> Listed:  # noqa: ARG001 - one form
    """Pages in the order they were made in. The cursor is `position|id of the record before`."""
    with rest.pulling():
        said = base.read(confluence.Settings, feed)
        position, _, before = cursor.partition("|")
        start = max((rest.whole(position) or 0) - 1, 0)
        query = {"cql": _cql(said, since), "expand": "body.storage,version", "limit": str(PAGE), "start": str(start)}
        told = rest.told(base.ask(feed, "/rest/api/content/search", query).body)
        found = base.records(told, "results")
        if before and (not found or _id(found[0]) != before):
            moved = "pages were removed while they were listed; it begins anew"
            raise PullFailed(moved, permanent=True, retry_after=AGAIN_SECONDS)
        fresh = found[1:] if before else found
        address = said.site.rstrip("/") or base.root(feed)
        entries, unusable = base.usable(
            fresh, lambda record: [confluence.entry(record, said, address=address, stamp="when")], name="id"
        )
        more = bool(rest.text_of(rest.part(told, "_links").get("next")))
        going_on = f"{start + len(found)}|{_id(found[-1])}" if more and fresh else ""
        return Listed(entries=entries, unusable=unusable, cursor=going_on)


def _cql(said: confluence.Settings, since: datetime | None) -> str:
    """What stands in the query was checked to hold no quotation mark."""
    spaces = ", ".join(f'"{key}"' for key in said.spaces)
    terms = ["type = page", f"space in ({spaces})"]
    terms += [f'label = "{said.label}"'] if said.label else []
    terms += [f'lastmodified >= "{since.astimezone(UTC) - ZONES:%Y-%m-%d %H:%M}"'] if since else []
    return f"{' and '.join(terms)} order by created asc"


def _id(record: object) -> str:
    return rest.text_of(record.get("id")) if isinstance(record, dict) else ""


KIND = Kind(
    words="Confluence Data Center",
    settings=confluence.Settings,
    listed=listed,
    example={"api_url": "https://wiki.example.org/confluence", "spaces": ["KB"], "label": "", "language": "en"},
)
