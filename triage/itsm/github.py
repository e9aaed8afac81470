"""The `github` source: issues of GitHub repositories, on github.com and on an Enterprise Server.

A source's settings: `api_url` (`https://api.github.com`, or `https://github.example.org/api/v3`), `repositories`
(`owner/name`, to pull), `comments` (everybody who sees the repository reads them: `none` as long as nothing is set,
`replies` for what a person wrote to the requester, `all`), `resolved_label`, `own_user` (login).
Secrets: those of the webhook. Credentials: bearer (a token that may read and write issues).
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from triage.itsm import article_links, hub_signature, outgoing, placing, rest, strict_json
from triage.itsm.base import Page, Parsed, PayloadInvalid, ReadFailed, Seen, seen
from triage.itsm.github_issue import NAME, REPOSITORY, comment, converted, is_pull_request, login
from triage.models import Source

SIGNATURE = "x-hub-signature-256"
PAGE = 100
PAGES = 20
LONGEST_PAUSE = 3600.0
UNTOLD_PAUSE = 60.0
_ID = re.compile(rf"({REPOSITORY})#([0-9]{{1,12}})")
_PLACE = re.compile(rf"({REPOSITORY})\|([0-9TZ:+-]{{20,25}})\|([0-9]{{1,6}})")
MAINTAINERS = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})
_OVER = frozenset({"deleted", "transferred"})


def verify(*, source: Source, headers: Mapping[str, str], body: bytes) -> str:
    """The digest of the body, once one of the source's secrets has signed it. Raises SignatureInvalid.

    GitHub signs neither a time nor X-GitHub-Delivery, which therefore could be another one on a message that is
    replayed. A redelivery has the same body, and what happens twice has another `updated_at` in it.
    """
    hub_signature.check(secrets=source.signing_secrets(), headers=headers, name=SIGNATURE, body=body)
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def parse(*, body: bytes, content_type: str, at: datetime) -> Parsed:
    """The issue or comment of an event; pull requests and events of other kinds say nothing of tickets."""
    rest.single(content_type)
    told = strict_json.loads(body)
    if not isinstance(told, dict) or not {"repository", "organization", "zen"} & told.keys():
        raise PayloadInvalid("this is no event of GitHub; choose application/json as the webhook's content type")
    issue = told.get("issue")
    if issue is None or is_pull_request(issue):
        return Parsed()
    action, author = rest.text_of(told.get("action")), login(told.get("sender"))
    if "comment" in told:
        return Parsed(((0, comment(told, at=at)),)) if action in {"created", "edited"} else Parsed()
    found = rest.ticket(issue, lambda record: converted(record, author=author), at=at)
    if action in _OVER:
        found = replace(found, status="cancelled", updated_at=at)
    return Parsed(((0, found),))


def read(source: Source, external_id: str) -> Seen | None:
    """The issue as it stands now; None where the source has no `api_url`. Raises ReadFailed."""
    if not source.settings.get("api_url"):
        return None
    with rest.reading(external_id):
        record = rest.told(_call(source, "GET", _place_of(external_id)).body)
        record = _with_article(source, record, place=_place_of(external_id))
        incoming = rest.ticket(record, converted, at=datetime.now(UTC))
    if incoming.external_id.casefold() != external_id.casefold():
        raise ReadFailed(f"asked for {external_id!r} and got {incoming.external_id!r}; was the repository renamed?")
    return seen(source, incoming)


def pull(source: Source, *, since: datetime, cursor: str) -> Page:
    """Issues that changed at or after `since`, one repository after the other, oldest change first; raises PullFailed.

    Each page goes on from the moment of the last issue, and is counted only inside one second, so that an issue which
    changes meanwhile (it goes to the end of the list) hides no other.
    """
    with rest.pulling():
        repositories = _repositories(source)
        repository, moment, number = _place(cursor, repositories, since=since)
        query = {
            # GitHub calls this `after the given time`: a second earlier, it may mean either
            "since": _stamp(moment - timedelta(seconds=1)),
        }
        query |= {"state": "all", "sort": "updated", "direction": "asc", "per_page": str(PAGE), "page": str(number)}
        answer = _call(source, "GET", f"/repos/{repository}/issues", query=query)
        listed = _listed(answer.body)
        issues = [
            _with_article(source, item, place=f"/repos/{repository}/issues/{rest.whole(item.get('number'))}")
            if isinstance(item, dict) and item.get("state") == "closed"
            else item
            for item in listed
            if not is_pull_request(item)
        ]
        page = rest.page(issues, converted, at=datetime.now(UTC), raw=answer.body, pause=_pause(answer.headers))
        following = ""
        if _has_next(answer.headers):
            last = _moment(listed[-1]) if listed else None
            following = _following(repository, moment, number, last=last)
        elif repository != repositories[-1]:
            following = f"{repositories[repositories.index(repository) + 1]}|{_stamp(since)}|1"
        fresh = tuple(ticket for ticket in page.tickets if ticket.updated_at >= moment)
        return replace(page, tickets=fresh, cursor=following)


def _with_article(source: Source, issue: dict[str, Any], *, place: str) -> dict[str, Any]:
    """With the key of the article that a maintainer linked to last, by the setting `article_url`."""
    if not article_links.wanted(source):
        return issue
    listed = _listed(_call(source, "GET", f"{place}/comments", query={"per_page": str(PAGE), "page": "1"}).body)
    own = str(source.settings.get("own_user") or "").casefold()
    said = [
        rest.text_of(item.get("body"))
        for item in reversed(listed)
        if isinstance(item, dict)
        and item.get("author_association") in MAINTAINERS
        and login(item.get("user")).casefold() != own
    ]
    return {**issue, "attached_article": article_links.newest(source, said)}


def reply(source: Source, *, external_id: str, key: str, what: str, content: Mapping[str, object]) -> str:
    """A comment, where the settings allow what everybody can read; `resolve` also closes the issue as completed.

    Once for each key: our mark, which no reader sees, is looked for first. Raises ReplyFailed.
    """
    if not source.settings.get("api_url"):
        return "Recorded here only: the source has no api_url."
    with rest.replying():
        place = _place_of(external_id)
        issue = rest.told(_call(source, "GET", place).body)
        said = _commented(source, place, key=key, content=content)
        if what != "resolve":
            return said
        if issue.get("state") == "closed":
            return f"{said} The issue was closed already."
        if label := rest.text_of(source.settings.get("resolved_label")):
            _call(source, "POST", f"{place}/labels", send={"labels": [label]})
        _call(source, "PATCH", place, send={"state": "closed", "state_reason": "completed"})
        return f"{said} The issue was closed as completed."


def place(source: Source, *, external_id: str, order: placing.Order) -> placing.Placed:
    """Labels are added, and an assignee where there is none; nothing is taken away. Raises ReplyFailed."""
    if not source.settings.get("api_url"):
        return placing.Placed(left=dict.fromkeys(order.wanted, "the source has no api_url"))
    with rest.replying():
        place = _place_of(external_id)
        issue = rest.told(_call(source, "GET", place).body)
        if issue.get("state") == "closed":
            return placing.finished(order)
        stated = converted(issue)["fields"]
        fields = dict(stated) if isinstance(stated, dict) else {}
        labels = [name for name in str(fields.get("labels") or "").split(", ") if name]
        now: dict[str, str | list[str]] = {"labels": labels, "assignee": str(fields.get("assignees") or "")}
        choice = placing.choose(source, order=order, now=now)
        echo: dict[str, str] = {}
        if added := choice.set.get("labels"):
            _call(source, "POST", f"{place}/labels", send={"labels": added})
            echo["labels"] = ", ".join(sorted({*labels, *added}))[:1000]
        if assignee := choice.set.get("assignee"):
            if now["assignee"]:  # ours: taken away first, so that a lost answer leaves nobody rather than two
                _call(source, "DELETE", f"{place}/assignees", send={"assignees": [now["assignee"]]})
            _call(source, "POST", f"{place}/assignees", send={"assignees": [assignee]})
            echo["assignees"] = str(assignee)
        return placing.Placed(choice.set, choice.left, echo)


def _commented(source: Source, place: str, *, key: str, content: Mapping[str, object]) -> str:
    allowed = source.settings.get("comments")
    if allowed != "all" and not (allowed == "replies" and content.get("public") is True):
        return "No comment: everybody could read it, and the setting `comments` of the source does not allow it."
    mark = f"<!-- triage {rest.mark(f'{source.uuid} {key}')} -->"
    for number in range(1, PAGES + 1):
        answer = _call(source, "GET", f"{place}/comments", query={"per_page": str(PAGE), "page": str(number)})
        if any(mark in rest.text_of(rest.record(item).get("body")) for item in _listed(answer.body)):
            return "The comment was there already."
        if not _has_next(answer.headers):
            break
    _call(source, "POST", f"{place}/comments", send={"body": f"{_harmless(str(content.get('text') or ''))}\n\n{mark}"})
    return "A public comment was added."


def _harmless(text: str) -> str:
    """Text that calls nobody, refers to no other issue and holds no HTML: it may repeat a stranger's words."""
    return re.sub(r"([@#])(?=\w)", "\\1\u200b", text).replace("<", "&lt;")


# the API


def _call(
    source: Source,
    method: str,
    path: str,
    *,
    query: Mapping[str, str] | None = None,
    send: Mapping[str, object] | None = None,
) -> outgoing.Answer:
    """One request. GitHub refuses with 403 where it only wants us to slow down, and says so in words."""
    try:
        return rest.call(source, method, path, query=query, send=send)
    except outgoing.ExchangeFailed as error:
        if error.status == 403 and (error.retry_after or b"rate limit" in error.body.lower()):
            wait = error.retry_after or UNTOLD_PAUSE
            raise outgoing.ExchangeFailed(
                "GitHub wants us to slow down (403); it will be tried again",
                permanent=False,
                status=error.status,
                retry_after=wait,
            ) from error
        raise


def _place_of(external_id: str) -> str:
    if (found := _ID.fullmatch(external_id)) is None:
        raise outgoing.ExchangeFailed(f"{external_id!r} names no issue, such as acme/support#12", permanent=True)
    return f"/repos/{found[1]}/issues/{found[2]}"


def _repositories(source: Source) -> list[str]:
    listed = source.settings.get("repositories")
    named = listed if isinstance(listed, list) else []
    if not named or (bad := [name for name in named if not (isinstance(name, str) and NAME.fullmatch(name))]):
        shown = strict_json.shown(bad[0]) if named else "an empty list"
        raise outgoing.ExchangeFailed(f"{shown} in repositories; set names such as acme/support", permanent=True)
    return [str(name) for name in named]


def _place(cursor: str, repositories: list[str], *, since: datetime) -> tuple[str, datetime, int]:
    if not cursor:
        return repositories[0], since.astimezone(UTC).replace(microsecond=0), 1
    found = _PLACE.fullmatch(cursor)
    if found is None or found[1] not in repositories:
        raise outgoing.ExchangeFailed("the stored place names no repository of this source", permanent=True)
    return found[1], datetime.fromisoformat(found[2]), int(found[3])


def _following(repository: str, moment: datetime, number: int, *, last: datetime | None) -> str:
    if last is not None and last > moment:
        return f"{repository}|{_stamp(last)}|1"
    return f"{repository}|{_stamp(moment)}|{number + 1}"


def _moment(record: object) -> datetime | None:
    try:
        return datetime.fromisoformat(rest.text_of(rest.record(record).get("updated_at"))).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _listed(raw: bytes) -> list[Any]:
    try:
        value = strict_json.decoded(raw)
    except PayloadInvalid as error:
        raise outgoing.ExchangeFailed(f"GitHub answered, but {error}", permanent=False) from error
    if not isinstance(value, list):
        raise outgoing.ExchangeFailed("GitHub answered with no list; check api_url", permanent=False)
    return value


def _has_next(headers: Mapping[str, str]) -> bool:
    """Whether the Link header (RFC 8288) names a next page; where it leads is not followed, it is asked for anew."""
    return 'rel="next"' in headers.get("link", "")


def _pause(headers: Mapping[str, str]) -> float:
    """Seconds until the hour's requests are given back, where none is left."""
    reset = rest.whole(headers.get("x-ratelimit-reset"))
    if headers.get("x-ratelimit-remaining") != "0" or reset is None:
        return 0.0
    return min(max(reset - datetime.now(UTC).timestamp(), 0.0), LONGEST_PAUSE)
