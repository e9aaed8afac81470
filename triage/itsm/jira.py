"""The `jira` source: Jira and Jira Service Management, Cloud (REST v3) and Data Center (REST v2).

A source's settings: `api_url` (`https://acme.atlassian.net`, `https://api.atlassian.com/ex/jira/<cloud id>`, or the
base address of a Data Center), `edition` (`cloud` or `data_center`, where the address does not tell), `projects` (keys
to pull), `resolve_transition`, `resolution`, `note_visibility`, `own_user`, `our_groups`, `settled_statuses`.
Secrets: those of the webhook. Credentials: basic (mail and API token), bearer (personal access token), oauth2_client.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from triage.itsm import article_links, hub_signature, jira_issue, jira_placing, outgoing, placing, rest, strict_json
from triage.itsm.base import IncomingTicket, Page, Parsed, PayloadInvalid, Seen, SignatureInvalid, seen
from triage.itsm.jira_reply import tell
from triage.models import Source

SIGNATURE = "x-hub-signature"
# messages are remembered for thirty days; nothing older may come again under its own signature
OLDEST = timedelta(days=29)
PAGE = 50
FIELDS = ("*all", "-comment", "-worklog")
LONGEST_PAUSE = 3600.0
UNTOLD_PAUSE = 10.0
_PROJECT = re.compile(r"[A-Z][A-Z0-9_]{1,80}")
_MINUTE = "%Y-%m-%d %H:%M"


def verify(*, source: Source, headers: Mapping[str, str], body: bytes) -> str:
    """The message's key, once one of the source's secrets has signed these bytes. Raises SignatureInvalid.

    Jira signs neither a time nor its headers, so the key is made of the body: issue, event and the body's own time,
    else its digest. X-Atlassian-Webhook-Identifier is the same for all tries of one message, and so is the body; a
    message replayed under another identifier is still the same message.
    """
    hub_signature.check(secrets=source.signing_secrets(), headers=headers, name=SIGNATURE, body=body)
    try:
        told = strict_json.decoded(body)
    except PayloadInvalid:
        told = None  # kept in quarantine, once
    moment = jira_issue.sent_at(told)
    if moment is not None and moment < datetime.now(UTC) - OLDEST:
        raise SignatureInvalid(f"Jira made this message at {moment.isoformat()}; it is too old to be a retry")
    return jira_issue.message_key(told) or f"sha256:{hashlib.sha256(body).hexdigest()}"


def parse(*, body: bytes, content_type: str, at: datetime) -> Parsed:
    """The issue or comment that a webhook tells of; raises PayloadInvalid."""
    rest.single(content_type)
    return jira_issue.event(strict_json.loads(body), at=at)


def read(source: Source, external_id: str) -> Seen | None:
    """The issue as it stands now; None where the source has no `api_url`. Raises ReadFailed.

    An issue that was moved answers under its new key: to the ticket under the old one it counts as closed.
    """
    if not source.settings.get("api_url"):
        return None
    query = {"fields": ",".join(FIELDS), "properties": jira_issue.CHANNEL}
    with rest.reading(external_id):
        path = _place_of(source, external_id)
        record = _with_article(source, rest.told(rest.call(source, "GET", path, query=query).body), path=path)
        incoming = rest.ticket(record, jira_issue.converted, at=datetime.now(UTC))
    found = seen(source, incoming)
    return found if incoming.external_id == external_id else Seen(True, found.text_hash, incoming)


def pull(source: Source, *, since: datetime, cursor: str) -> Page:
    """Issues of the source's projects that changed at or after `since`, oldest change first. Raises PullFailed.

    Jira's queries know minutes only. Each page goes on from the minute of the last issue; only inside one minute by
    Cloud's token, or by Data Center's count. An issue that changes meanwhile goes to the end of the list, and by
    counting alone the one after it would be missed: so a page begins with the last issue of the one before, or the
    minute is read anew.
    """
    with rest.pulling():
        place = _Place.read(cursor) if cursor else _first(source, since)
        answer = _searched(source, place)
        told = rest.told(answer.body)
        listed = told.get("issues")
        if not isinstance(listed, list):
            raise outgoing.ExchangeFailed("Jira answered, but with no list of issues; check api_url", permanent=True)
        listed = [
            _with_article(source, one, path=f"{_api(source)}/issue/{_key(one)}") if _is_done(one) else one
            for one in listed
        ]
        page = rest.page(listed, jira_issue.converted, at=datetime.now(UTC), raw=answer.body)
        following = _following(told, listed, page.tickets, place=place, cloud=is_cloud(source))
        fresh = tuple(ticket for ticket in page.tickets if ticket.updated_at >= place.after)
        return replace(page, tickets=fresh, cursor=following, pause=_pause(answer.headers))


def _is_done(issue: object) -> bool:
    key = _key(issue)
    return bool(jira_issue.KEY.fullmatch(key)) and jira_issue.is_done(issue)


def _with_article(source: Source, issue: Any, *, path: str) -> Any:
    """With the page of the knowledge base that was linked to the issue, where the settings ask for it."""
    if not article_links.wanted(source):
        return issue
    return {**issue, "attached_article": jira_placing.attached(source, path)}


def reply(source: Source, *, external_id: str, key: str, what: str, content: Mapping[str, object]) -> str:
    """Comment on the issue, internally unless the content is for the requester, and close it for `resolve`.

    Once for each key: what is there already is found again. Without an `api_url` nothing is sent. Raises ReplyFailed.
    """
    if not source.settings.get("api_url"):
        return "Recorded here only: the source has no api_url."
    with rest.replying():
        return tell(source, _place_of(source, external_id), cloud=is_cloud(source), key=key, what=what, content=content)


def place(source: Source, *, external_id: str, order: placing.Order) -> placing.Placed:
    """Assignee, components, labels and custom fields, each only where nobody set it. Raises ReplyFailed."""
    if not source.settings.get("api_url"):
        return placing.Placed(left=dict.fromkeys(order.wanted, "the source has no api_url"))
    with rest.replying():
        path = _place_of(source, external_id)
        return jira_placing.place(source, path, cloud=is_cloud(source), order=order)


def is_cloud(source: Source) -> bool:
    """Whether the site is one of Atlassian's own."""
    told = source.settings.get("edition")
    if told in ("cloud", "data_center"):
        return bool(told == "cloud")
    host = urlsplit(str(source.settings.get("api_url"))).hostname or ""
    return host.endswith(".atlassian.net") or host == "api.atlassian.com"


def _api(source: Source) -> str:
    return f"/rest/api/{3 if is_cloud(source) else 2}"


def _place_of(source: Source, external_id: str) -> str:
    if not jira_issue.KEY.fullmatch(external_id):
        raise outgoing.ExchangeFailed(f"{external_id!r} is no key of an issue, such as SD-12", permanent=True)
    return f"{_api(source)}/issue/{external_id}"


# pulling


@dataclass(frozen=True)
class _Place:
    """Where a list goes on: minute of the query in the time zone of our user, and the place inside it.

    `after`: what changed before has been listed. `inside`: Cloud's token; else the count and the key that stands there.
    """

    minute: str
    zone: str
    after: datetime
    inside: str = ""

    @classmethod
    def read(cls, cursor: str) -> Self:
        """The place that `str` wrote; raises ExchangeFailed."""
        try:
            minute, zone, after, inside = cursor.split("|", 3)
            datetime.strptime(minute, _MINUTE).replace(tzinfo=UTC)
            return cls(minute, zone, datetime.fromisoformat(after), inside)
        except ValueError:
            raise outgoing.ExchangeFailed("the stored place in Jira's list is unreadable", permanent=True) from None

    @property
    def start(self) -> int:
        """How many issues Data Center is to leave out."""
        return rest.whole(self.inside.partition(" ")[0]) or 0

    def __str__(self) -> str:
        return f"{self.minute}|{self.zone}|{self.after.isoformat()}|{self.inside}"


def _first(source: Source, since: datetime) -> _Place:
    """Jira reads the times of a query in the time zone of the user who asks, so that is asked for first."""
    zone = rest.text_of(rest.told(rest.call(source, "GET", f"{_api(source)}/myself").body).get("timeZone"))
    if _local(since, zone) is None:
        zone = "Etc/GMT+12"  # not told: start where it is earliest, which lists some issues twice
    return _Place(str(_local(since, zone)), zone, since.astimezone(UTC))


def _searched(source: Source, place: _Place) -> outgoing.Answer:
    """One page. Cloud's search has neither startAt nor total, and lists nothing but ids unless fields are named."""
    cloud = is_cloud(source)
    query: dict[str, object] = {"jql": _jql(source, place.minute), "fields": list(FIELDS), "maxResults": PAGE}
    query["properties"] = [jira_issue.CHANNEL]
    if cloud:
        query |= {"nextPageToken": place.inside} if place.inside else {}
    else:
        query["startAt"] = place.start
    return rest.call(source, "POST", f"{_api(source)}/search{'/jql' if cloud else ''}", send=query)


def _jql(source: Source, minute: str) -> str:
    """Every part of the query is ours: checked project keys, and a minute that we wrote."""
    projects = source.settings.get("projects") or []
    listed = projects if isinstance(projects, list) else [projects]
    if bad := [key for key in listed if not (isinstance(key, str) and _PROJECT.fullmatch(key))]:
        raise outgoing.ExchangeFailed(
            f"{strict_json.shown(bad[0])} in projects is no project key, such as SD: capitals, digits and _",
            permanent=True,
        )
    named = ", ".join(f'"{key}"' for key in listed)
    return f'{f"project in ({named}) AND " if named else ""}updated >= "{minute}" ORDER BY updated ASC, key ASC'


def _local(moment: datetime, zone: str) -> str | None:
    try:
        return moment.astimezone(ZoneInfo(zone)).strftime(_MINUTE)
    except (KeyError, ValueError, OSError):  # unknown, no name of a zone at all, or a folder of zones
        return None


def _following(
    told: Mapping[str, Any], listed: Sequence[object], tickets: Sequence[IncomingTicket], *, place: _Place, cloud: bool
) -> str:
    """The next place as text; empty at the end of the list."""
    total, token = told.get("total"), rest.text_of(told.get("nextPageToken"))
    if not cloud and (expected := place.inside.partition(" ")[2]) and (not listed or _key(listed[0]) != expected):
        return str(replace(place, inside=""))
    reached = place.start + len(listed)
    if (told.get("isLast") is True or not token) if cloud else (not listed or reached >= (rest.whole(total) or 0)):
        return ""
    last = max((ticket.updated_at for ticket in tickets), default=place.after)
    minute = _local(last, place.zone) or place.minute
    if minute > place.minute:
        return str(_Place(minute, place.zone, last))
    counted = f"{reached - 1} {_key(listed[-1])}" if len(listed) > 1 else str(reached)
    return str(replace(place, inside=token if cloud else counted))


def _key(listed: object) -> str:
    return rest.text_of(listed.get("key")) if isinstance(listed, dict) else ""


def _pause(headers: Mapping[str, str]) -> float:
    """Seconds to wait where Jira says that its limit is near; Cloud tells a moment, Data Center an interval."""
    if headers.get("x-ratelimit-nearlimit", "").lower() != "true" and headers.get("x-ratelimit-remaining") != "0":
        return 0.0
    if seconds := rest.whole(headers.get("x-ratelimit-interval-seconds")):
        return min(float(seconds), LONGEST_PAUSE)
    try:
        moment = datetime.fromisoformat(headers.get("x-ratelimit-reset", ""))
        return min(max((moment - datetime.now(UTC)).total_seconds(), 0.0), LONGEST_PAUSE)
    except (ValueError, TypeError):  # no moment, or one without a zone
        return UNTOLD_PAUSE
