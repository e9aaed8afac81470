"""What a Jira issue says, as the API or a webhook tells it: from Atlassian's JSON to an IncomingTicket.

Shapes: REST v2 and v3 `IssueBean`, webhooks of Jira Cloud and Data Center, SLA and request type of Jira Service
Management. Its custom fields have other numbers at each site, so they are known by their shape, not by their number.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from triage.itsm import payload
from triage.itsm.base import SETTLED, IncomingTicket, Parsed, PayloadInvalid
from triage.itsm.jira_text import to_text
from triage.itsm.strict_json import shown

KEY = re.compile(r"[A-Z][A-Z0-9_]{1,80}-[0-9]{1,12}")
CHANNEL = "request.channel.type"
_ISSUE_EVENTS = frozenset({"jira:issue_created", "jira:issue_updated", "jira:issue_deleted"})
_COMMENT_EVENTS = frozenset({"comment_created", "comment_updated"})
_CHANNELS = {"email": "mail"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
# Jira's own order of issues: it changes whenever somebody drags a card
_RANK = re.compile(r"[0-9]+\|")
MOST_CUSTOM = 40
LONGEST_CUSTOM = 200


def event(value: object, *, at: datetime) -> Parsed:
    """What a webhook says; an event about something other than an issue or a comment says nothing of tickets."""
    told = _object(value)
    name = told.get("webhookEvent")
    if not isinstance(name, str):
        raise PayloadInvalid("webhookEvent is missing; let a Jira webhook post here, with its body as it is")
    author = _who(told.get("user"))
    if name in _COMMENT_EVENTS:
        return Parsed(((0, _comment(told, at=at)),))
    if name not in _ISSUE_EVENTS:
        return Parsed()
    found = _object(told.get("issue"))
    if name == "jira:issue_deleted":
        return Parsed(((0, _gone(_key(found), moment=_when(told, at), author=author, at=at)),))
    tickets = [(0, issue(found, at=at, author=author))]
    moment = str(_object(found.get("fields")).get("updated") or "") or _when(told, at)
    tickets += [(0, _gone(key, moment=moment, author=author, at=at)) for key in _former_keys(told)]
    return Parsed(tuple(tickets))


def issue(value: object, *, at: datetime, author: str = "") -> IncomingTicket:
    """The ticket that an issue of the API or of a webhook is; raises PayloadInvalid."""
    return payload.ticket(converted(_object(value), author=author), at=at)


def converted(whole: Mapping[str, Any], *, author: str = "") -> dict[str, object]:
    """An issue as a standard payload; what it does not say is left out. Raises PayloadInvalid."""
    fields = _object(whole.get("fields"))
    said: dict[str, object] = {
        "external_id": _key(whole),
        "subject": fields.get("summary"),
        "requester": _line("requester", _mail_or_id(fields.get("reporter"))),
        "channel": _channel(whole.get("properties")),
        "actor": "machine" if _get(fields.get("reporter"), "accountType") == "app" else "person",
        "kind": _kind(fields.get("issuetype")),
        "status": _status(fields.get("status")),
        "priority": _line("priority", _get(fields.get("priority"), "name")),
        "due_at": _breach(fields),
        "created_at": fields.get("created"),
        "updated_at": fields.get("updated"),
        "attachments": _attachments(fields.get("attachment")),
        "fields": {**_own_fields(fields), payload.AUTHOR_FIELD: author},
        "attached_article": whole.get("attached_article"),
    }
    if "description" in fields:
        said["body"] = to_text(fields["description"])
    return _stated(said)


def _stated(said: Mapping[str, object]) -> dict[str, object]:
    """Without what is empty; only a text may have been emptied."""
    return {key: item for key, item in said.items() if item not in (None, "") or key == "body"}


def message_key(value: object) -> str:
    """Issue, event and the body's own time: what names a webhook, signed with it; "" where one is missing."""
    if not isinstance(value, dict):
        return ""
    name, stamp = value.get("webhookEvent"), value.get("timestamp")
    about, note = _get(value.get("issue"), "id"), _get(value.get("comment"), "id")
    parts = [str(about or ""), str(name or ""), str(stamp or "")] + ([str(note)] if note else [])
    whole = "/".join(parts)
    return whole if all(parts) and re.fullmatch(r"[A-Za-z0-9_:/-]{1,180}", whole) else ""


def sent_at(value: object) -> datetime | None:
    """When Jira made this webhook, as its body says."""
    stamp = value.get("timestamp") if isinstance(value, dict) else None
    if not isinstance(stamp, int) or isinstance(stamp, bool) or not 0 < stamp < 10**14:
        return None
    return datetime.fromtimestamp(stamp / 1000, UTC)


def _comment(told: Mapping[str, Any], *, at: datetime) -> IncomingTicket:
    """A comment, public or internal: kept apart from the text that is classified, whoever wrote it."""
    note, about = _object(told.get("comment")), _object(told.get("issue"))
    fields = _object(about.get("fields") or {})
    public = note.get("jsdPublic")
    said = {
        "external_id": _key(about),
        "kind": "comment",
        "body": to_text(note.get("body")),
        "status": _status(fields.get("status")),
        "updated_at": note.get("updated") or note.get("created") or _when(told, at),
        "fields": {
            **_owner(fields),
            payload.AUTHOR_FIELD: _who(note.get("updateAuthor")) or _who(note.get("author")) or _who(told.get("user")),
            "comment_visibility": "internal" if public is False or note.get("visibility") else "public",
        },
    }
    return payload.ticket(_stated(said), at=at)


def _gone(key: str, *, moment: str, author: str, at: datetime) -> IncomingTicket:
    """An issue that is no more, or has another key now."""
    said = {"external_id": key, "status": "Cancelled", "updated_at": moment, "fields": {payload.AUTHOR_FIELD: author}}
    return payload.ticket(said, at=at)


def _former_keys(told: Mapping[str, Any]) -> Iterator[str]:
    """Keys that the issue had until this change moved it to another project."""
    items = _get(told.get("changelog"), "items")
    for item in items if isinstance(items, list) else []:
        former = _get(item, "fromString")
        if str(_get(item, "field")).casefold() == "key" and isinstance(former, str) and KEY.fullmatch(former):
            yield former


def _key(found: Mapping[str, Any]) -> str:
    key = found.get("key")
    if not isinstance(key, str) or not KEY.fullmatch(key):
        raise PayloadInvalid(f"the issue's key {shown(key)} is none, such as SD-12; let Jira post the body as it is")
    return key


def _when(told: Mapping[str, Any], at: datetime) -> str:
    return (sent_at(told) or at).isoformat()


def _own_fields(fields: Mapping[str, Any]) -> dict[str, str]:
    """Owner, team, request type and what people filled in, as names and texts."""
    found = _owner(fields)
    named = {
        "assignee": _who(fields.get("assignee")),
        "resolution": _get(fields.get("resolution"), "name"),
        "status_name": _get(fields.get("status"), "name"),
        "labels": " ".join(sorted(_names(fields.get("labels")))),
        "components": ", ".join(sorted(_names(fields.get("components")))),
    }
    custom = sorted((name, item) for name, item in fields.items() if name.startswith("customfield_"))
    for _, item in custom:
        request = _get(_get(item, "requestType"), "name")
        named |= {"request_type": request} if request else {}
        if isinstance(item, dict) and {"isShared", "name"} <= item.keys():
            named[payload.GROUP_FIELD] = item["name"]
    plain = [(name, text) for name, item in custom if (text := _plain(item))]
    found |= dict(plain[:MOST_CUSTOM])
    return found | {name: _clean(item) for name, item in named.items() if item}


def _owner(fields: Mapping[str, Any]) -> dict[str, str]:
    """Project, and the organisation where there is exactly one: several would name several customers."""
    found = {"project": _clean(_get(fields.get("project"), "key"))}
    for name, item in fields.items():
        if name.startswith("customfield_") and isinstance(item, list) and len(item) == 1:
            link = str(_get(_get(item[0], "_links"), "self") or "")
            if "/organization/" in link:
                found["organisation"] = _clean(_get(item[0], "name"))
    return {name: text for name, text in found.items() if text}


def _plain(item: object) -> str:
    """A custom field that holds a short text, a number or a choice."""
    if isinstance(item, dict):
        item = item.get("value")
    if isinstance(item, bool) or not isinstance(item, (str, int, float)):
        return ""
    text = _clean(item)
    return "" if len(text) > LONGEST_CUSTOM or _RANK.match(text) else text


def _breach(fields: Mapping[str, Any]) -> str | None:
    """When the SLA of the resolution breaks; of all SLAs the earliest where none is named so. Read, not computed."""
    found: list[tuple[bool, bool, float, str]] = []
    for value in fields.values():
        if not (isinstance(value, dict) and {"ongoingCycle", "completedCycles"} & value.keys()):
            continue
        other = "resolution" not in str(value.get("name")).casefold()
        ended = value.get("completedCycles")
        cycles = [(False, value.get("ongoingCycle"))]
        cycles += [(True, cycle) for cycle in (ended if isinstance(ended, list) else [])[-1:]]
        for over, cycle in cycles:
            moment = _get(_get(cycle, "breachTime"), "epochMillis")
            if isinstance(moment, int) and 0 < moment < 10**14:
                at = datetime.fromtimestamp(moment / 1000, UTC)
                found.append((over, other, at.timestamp(), at.isoformat()))
    return min(found)[3] if found else None


def _status(status: object) -> str:
    """The status's name; `Done` for one that Jira counts as done though its name is not among the usual words."""
    name = _line("status", _get(status, "name"))
    done = _get(_get(status, "statusCategory"), "key") == "done"
    return "Done" if done and name.casefold() not in SETTLED else name


def is_done(whole: object) -> bool:
    """Whether Jira counts the issue's status as done."""
    return bool(_get(_get(_get(_get(whole, "fields"), "status"), "statusCategory"), "key") == "done")


def _kind(kind: object) -> str:
    name = _line("kind", _get(kind, "name")).removeprefix("[System] ").casefold()
    return f"issue {name}" if name in payload.COMMENT_KINDS else name


def _channel(properties: object) -> str:
    told = _get(_get(properties, CHANNEL), "value")
    return _line("channel", _CHANNELS.get(str(told), told)) if told else ""


def _attachments(listed: object) -> list[dict[str, str]] | None:
    if not isinstance(listed, list):
        return None
    named = [(_get(item, "filename"), _get(item, "mimeType")) for item in listed[: payload.MOST_ATTACHMENTS]]
    return [{"name": str(name or "file"), "type": str(kind or "")} for name, kind in named]


def _names(listed: object) -> list[str]:
    found = (
        [item if isinstance(item, str) else _get(item, "name") for item in listed] if isinstance(listed, list) else []
    )
    return [_clean(name) for name in found if name]


def _mail_or_id(person: object) -> str:
    return str(_get(person, "emailAddress") or "") or _who(person)


def _who(person: object) -> str:
    """What names a person for good: the account id in Cloud, the user name in Data Center."""
    return _clean(_get(person, "accountId") or _get(person, "name") or _get(person, "key"))


def _line(key: str, value: object) -> str:
    return _clean(value)[: payload.LONGEST[key]].strip()


def _clean(value: object) -> str:
    return "" if value is None else _CONTROL.sub(" ", str(value)).strip()


def _get(value: object, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise PayloadInvalid(f"{shown(value)} stands where Jira has an object; let a Jira webhook post here")
    return value
