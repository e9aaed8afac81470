"""The `roundup` source: issues of a Roundup tracker (classic schema), told by the detector that we ship.

A source's settings: `api_url` (the tracker's own address, such as `https://bugs.example.org/helpdesk`), `comments`
(whoever sees an issue reads its messages: `none` as long as nothing is set, `replies`, `all`), `resolved_status`
(`resolved`), `own_user`. Secrets: the one of the detector. Credentials: basic, a user with the permission Rest Access.
REST API: https://www.roundup-tracker.org/docs/rest.html.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from triage.itsm import credentials, outgoing, payload, placing, rest, standard, strict_json
from triage.itsm.base import Page, Parsed, ReadFailed, Seen, is_settled, seen
from triage.models import Source

verify = standard.verify

PAGE = 25
MESSAGES = "messages"
FIELDS = (
    *("title", "creation", "activity", MESSAGES, "status.name", "priority.name", "assignedto.username"),
    *("creator.address", "creator.username", "creator.organisation"),
)
_ID = re.compile(r"issue([1-9][0-9]{0,11})")
_MOMENT = "%Y-%m-%d.%H:%M:%S"
_CURSOR = re.compile(r"([0-9.:-]{19})\|([0-9]{1,6})")


def parse(*, body: bytes, content_type: str, at: datetime) -> Parsed:
    """The issue that the detector tells of; raises PayloadInvalid."""
    rest.single(content_type)
    return Parsed(((0, payload.ticket(strict_json.loads(body), at=at)),))


def converted(issue: Mapping[str, Any]) -> dict[str, object]:
    """An issue of the API, with the text of its first message under `body`, as a standard payload."""
    said: dict[str, object] = {
        "external_id": f"issue{issue.get('id')}",
        "subject": issue.get("title") or "",
        "body": issue.get("body") or "",
        "requester": rest.cut(issue.get("creator.address") or issue.get("creator.username"), "requester"),
        "channel": "roundup",
        "status": rest.cut(issue.get("status.name"), "status"),
        "priority": rest.cut(issue.get("priority.name"), "priority"),
        "created_at": _iso(issue.get("creation")),
        "updated_at": _iso(issue.get("activity")),
        "fields": {
            "assignee": rest.text_of(issue.get("assignedto.username")),
            "creator_organisation": rest.text_of(issue.get("creator.organisation")),
        },
    }
    return {key: item for key, item in said.items() if item is not None}


def read(source: Source, external_id: str) -> Seen | None:
    """The issue as it stands now; None where the source has no `api_url`. Raises ReadFailed."""
    if not source.settings.get("api_url"):
        return None
    with rest.reading(external_id):
        found, _ = _issues(source, {"id": _number(external_id)})
        if not found:
            raise ReadFailed(f"issue {external_id!r} was not read: the tracker lists none, or not to our user")
        record = _with_texts(source, found)[0]
        return seen(source, rest.ticket(record, converted, at=datetime.now(UTC)))


def pull(source: Source, *, since: datetime, cursor: str) -> Page:
    """Issues that changed at or after `since`, oldest change first; raises PullFailed.

    Each page goes on from the second of the last issue and is counted only inside one second, so that an issue which
    changes meanwhile hides no other.
    """
    with rest.pulling():
        place = _CURSOR.fullmatch(cursor)
        moment, number = (place[1], int(place[2])) if place else (since.astimezone(UTC).strftime(_MOMENT), 1)
        wanted = {"activity": f"{moment};", "@sort": "activity,id", "@page_size": str(PAGE), "@page_index": str(number)}
        found, raw = _issues(source, wanted)
        page = rest.page(_with_texts(source, found), converted, at=datetime.now(UTC), raw=raw)
        last = str(found[-1].get("activity")) if found else ""
        following = f"{last}|1" if last > moment else f"{moment}|{number + 1}"
        return replace(page, cursor=following if len(found) == PAGE else "")


def reply(source: Source, *, external_id: str, key: str, what: str, content: Mapping[str, object]) -> str:
    """A message, where the settings allow what everybody there reads; `resolve` also sets the status.

    Once for each key: it is the message's id, by which a second try finds it. Raises ReplyFailed.
    """
    if not source.settings.get("api_url"):
        return "Recorded here only: the source has no api_url."
    with rest.replying():
        place = f"issue/{_number(external_id)}"
        _asked(source, place)  # an issue that is not there gets no message
        allowed = source.settings.get("comments")
        if allowed == "all" or (allowed == "replies" and content.get("public") is True):
            said = _noted(source, place, mark=f"<{rest.mark(f'{source.uuid} {key}')}@triage>", content=content)
        else:
            said = "No message: everybody there reads it, and the setting `comments` of the source does not allow it."
        return f"{said} {_resolved(source, place)}" if what == "resolve" else said


def place(source: Source, *, external_id: str, order: placing.Order) -> placing.Placed:
    """The assignee (a user name), where nobody is assigned; changed only as it was read. Raises ReplyFailed."""
    if not source.settings.get("api_url"):
        return placing.Placed(left=dict.fromkeys(order.wanted, "the source has no api_url"))
    with rest.replying():
        place = f"issue/{_number(external_id)}"
        found, _ = _issues(source, {"id": _number(external_id)})
        if not found:
            raise outgoing.ExchangeFailed(f"the tracker lists no {external_id}, or not to our user", permanent=True)
        if is_settled(source, rest.text_of(found[0].get("status.name"))):
            return placing.finished(order)
        now = {"assignee": rest.text_of(found[0].get("assignedto.username"))}
        choice = placing.choose(source, order=order, now=now)
        if (name := choice.set.get("assignee")) is None:
            return placing.Placed(left=choice.left)
        known = _collection(_asked(source, "user", {"@fields": "username", "username": str(name)}))
        numbers = [rest.text_of(item.get("id")) for item in known if item.get("username") == name]
        if not numbers:
            return placing.Placed(left={**choice.left, "assignee": f"the tracker has no user {str(name)[:80]}"})
        _changed(source, place, rest.part(_asked(source, place), "data"), {"assignedto": numbers[0]})
        return placing.Placed(choice.set, choice.left, {"assignee": str(name)})


def _noted(source: Source, place: str, *, mark: str, content: Mapping[str, object]) -> str:
    known = _collection(_asked(source, "msg", {"messageid": mark, "@fields": "messageid"}))
    numbers = [rest.text_of(item.get("id")) for item in known if item.get("messageid") == mark]
    if not numbers:
        message = {
            "content": str(content.get("text") or ""),
            "author": rest.text_of(source.settings.get("own_user")),
            "date": datetime.now(UTC).strftime(_MOMENT),
            "messageid": mark,
        }
        told = rest.told(_call(source, "POST", "msg", send={name: item for name, item in message.items() if item}).body)
        numbers = [rest.text_of(rest.part(told, "data").get("id"))]
    issue = rest.part(_asked(source, place), "data")
    listed = rest.part(issue, "attributes").get(MESSAGES)
    if numbers[0] in {rest.text_of(item.get("id")) for item in listed or [] if isinstance(item, dict)}:
        return "The message was there already."
    _changed(source, place, issue, {"@op": "add", MESSAGES: [numbers[0]]})
    return "A message was added."


def _resolved(source: Source, place: str) -> str:
    """Set the status where it is another one; a person's status that is settled already stays."""
    wanted = rest.text_of(source.settings.get("resolved_status")) or "resolved"
    known = _collection(_asked(source, "status", {"@fields": "name", "name": wanted}))
    numbers = [rest.text_of(item.get("id")) for item in known if item.get("name") == wanted]
    if not numbers:
        raise outgoing.ExchangeFailed(f"the tracker has no status {wanted!r}; set resolved_status", permanent=True)
    issue = rest.part(_asked(source, place), "data")
    now = rest.part(rest.part(issue, "attributes"), "status").get("id")
    if now == numbers[0]:
        return f"The issue was {wanted} already."
    _changed(source, place, issue, {"status": numbers[0]})
    return f"The issue is {wanted} now."


def _changed(source: Source, place: str, issue: Mapping[str, Any], change: Mapping[str, object]) -> None:
    """Change what was just read; where somebody was faster it is tried again later."""
    try:
        _call(source, "PATCH", place, send=change, etag=rest.text_of(issue.get("@etag")))
    except outgoing.ExchangeFailed as error:
        if error.status != 412:
            raise
        raise outgoing.ExchangeFailed(
            "somebody changed the issue at the same moment; it will be tried again", permanent=False, status=412
        ) from error


# the API


def _issues(source: Source, wanted: Mapping[str, str]) -> tuple[list[dict[str, Any]], bytes]:
    answer = _call(source, "GET", f"issue?{urlencode({**wanted, '@verbose': '1', '@fields': ','.join(FIELDS)})}")
    return _collection(rest.told(answer.body)), answer.body


def _with_texts(source: Source, issues: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The issues with the text of their first message; each message is a request of its own."""
    found = []
    for issue in issues:
        numbers = [rest.whole(item.get("id")) for item in issue.get(MESSAGES) or [] if isinstance(item, dict)]
        first = min((number for number in numbers if number is not None), default=None)
        text = "" if first is None else rest.part(_asked(source, f"msg/{first}/content"), "data").get("data")
        found.append({**issue, "body": text})
    return found


def _asked(source: Source, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
    return rest.told(_call(source, "GET", path + (f"?{urlencode(query)}" if query else "")).body)


def _call(
    source: Source, method: str, path: str, *, send: Mapping[str, object] | None = None, etag: str = ""
) -> outgoing.Answer:
    """One request, with the headers by which Roundup knows that no browser was tricked into it."""
    root = str(source.settings.get("api_url") or "").rstrip("/")
    place = urlsplit(root)
    headers = {"x-requested-with": "triage", "origin": f"{place.scheme}://{place.netloc}"}
    headers |= {"content-type": "application/json"} if send is not None else {}
    headers |= {"if-match": etag} if etag else {}
    body = json.dumps(send).encode() if send is not None else None
    url = f"{root}/rest/data/{path}"
    return credentials.answered(source, method, url, body=body, headers=headers, most=outgoing.PAGE_BYTES)


def _number(external_id: str) -> str:
    if (found := _ID.fullmatch(external_id)) is None:
        raise outgoing.ExchangeFailed(f"{external_id!r} names no issue, such as issue12", permanent=True)
    return found[1]


def _collection(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    listed = rest.part(told, "data").get("collection")
    if not isinstance(listed, list):
        raise outgoing.ExchangeFailed("Roundup answered with no list; check api_url", permanent=True)
    return [item for item in listed if isinstance(item, dict)]


def _iso(told: object) -> str | None:
    """`2026-11-20.09:30:00`, which is UTC, as ISO 8601."""
    text = rest.text_of(told)
    return f"{text.replace('.', 'T', 1)}Z" if text else None
