"""What a GitHub issue says, as the API or an event tells it: from its JSON to a ticket."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from triage.itsm import payload, rest
from triage.itsm.base import IncomingTicket, PayloadInvalid

REPOSITORY = r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}/(?!\.{1,2}(?:#|$))[A-Za-z0-9._-]{1,100}"
NAME = re.compile(REPOSITORY)


def converted(issue: Mapping[str, Any], *, author: str = "") -> dict[str, object]:
    """An issue of the API or of an event as a standard payload; raises PayloadInvalid."""
    repository = _repository(issue)
    labels = sorted(name for item in _list(issue.get("labels")) if (name := _name(item)))
    said: dict[str, object] = {
        "external_id": f"{repository}#{rest.whole(issue.get('number'))}",
        "subject": issue.get("title"),
        "body": _without_remarks(body) if isinstance(body := issue.get("body") or "", str) else body,
        "requester": rest.cut(login(issue.get("user")), "requester"),
        "channel": "github",
        "actor": "machine" if rest.part(issue, "user").get("type") == "Bot" else "person",
        "kind": _kind(issue),
        "status": rest.cut(issue.get("state"), "status"),
        "due_at": rest.part(issue, "milestone").get("due_on"),
        "created_at": issue.get("created_at"),
        "updated_at": issue.get("updated_at"),
        "fields": {
            "project": repository,
            "organisation": repository.partition("/")[0],
            "labels": ", ".join(labels)[:1000],
            "assignees": ", ".join(sorted(login(item) for item in _list(issue.get("assignees"))))[:500],
            "state_reason": rest.text_of(issue.get("state_reason")),
            payload.AUTHOR_FIELD: author,
        },
        "attached_article": rest.cut(issue.get("attached_article"), "attached_article"),
    }
    return {key: item for key, item in said.items() if item is not None}


def comment(told: Mapping[str, Any], *, at: datetime) -> IncomingTicket:
    """A comment of an event: kept apart from the text that is classified, and public always."""
    note, issue = rest.part(told, "comment"), rest.part(told, "issue")
    repository = _repository(issue)
    said = {
        "external_id": f"{repository}#{rest.whole(issue.get('number'))}",
        "kind": "comment",
        "body": note.get("body") or "",
        "status": rest.cut(issue.get("state"), "status"),
        "updated_at": note.get("updated_at"),
        "fields": {
            "project": repository,
            "organisation": repository.partition("/")[0],
            "comment_visibility": "public",
            payload.AUTHOR_FIELD: login(note.get("user")),
        },
    }
    return payload.ticket(said, at=at)


def _repository(issue: Mapping[str, Any]) -> str:
    name = "/".join(rest.text_of(issue.get("repository_url")).rsplit("/", 2)[-2:])
    if not NAME.fullmatch(name) or rest.whole(issue.get("number")) is None:
        raise PayloadInvalid("the issue names no repository and number; let GitHub post the event as it is")
    return name


def _without_remarks(text: str) -> str:
    """Without what templates of issues say to the writer alone; each remark is looked for once."""
    pieces: list[str] = []
    position = 0
    while (start := text.find("<!--", position)) >= 0 and (end := text.find("-->", start + 4)) >= 0:
        pieces.append(text[position:start])
        position = end + 3
    return "".join([*pieces, text[position:]])


def _kind(issue: Mapping[str, Any]) -> str:
    name = rest.cut(rest.part(issue, "type").get("name"), "kind") or "issue"
    return "issue" if name.casefold() in payload.COMMENT_KINDS else name.casefold()


def is_pull_request(issue: object) -> bool:
    """GitHub lists pull requests among the issues."""
    return isinstance(issue, dict) and issue.get("pull_request") is not None


def login(person: object) -> str:
    """What names a person or a robot; empty for a user who is gone."""
    return rest.text_of(person.get("login")) if isinstance(person, dict) else ""


def _name(item: object) -> str:
    return rest.text_of(item.get("name")) if isinstance(item, dict) else rest.text_of(item)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
