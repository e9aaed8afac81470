"""A fake GitHub of the shape that its REST documentation gives: issues of one repository, pages by the Link header."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from tests.itsm.fakes.server import Asked, Desk, Note, Told
from triage.itsm import hub_signature

REPOSITORY = "acme/support"


def stamp(moment: datetime) -> str:
    """A moment as GitHub writes it: whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class GitHub(Desk):
    """The repository acme/support; a request needs the token."""

    secret: ClassVar[str] = "It's a Secret to Everybody"
    credentials: ClassVar[dict[str, str]] = {"kind": "bearer", "token": "github_pat_1"}
    own_user: ClassVar[str] = "triage-bot"

    def __init__(self) -> None:
        super().__init__()
        self.issues: dict[str, dict[str, Any]] = {}
        self.comments: dict[str, list[dict[str, Any]]] = {}
        self.left = "4999"

    def settings(self) -> dict[str, Any]:
        return {"api_url": self.url, "repositories": [REPOSITORY], "comments": "all"}

    def add(self, *, subject: str, body: str, changed: datetime, due: datetime | None = None) -> str:
        number = len(self.issues) + 1
        external_id = f"{REPOSITORY}#{number}"
        self.issues[external_id] = {
            "id": 900 + number,
            "number": number,
            "repository_url": f"{self.url}/repos/{REPOSITORY}",
            "title": subject,
            "body": body,
            "user": {"login": "ada", "type": "User"},
            "state": "open",
            "state_reason": None,
            "labels": [{"name": "vpn"}, {"name": "bug"}],
            "assignees": [],
            "milestone": {"title": "Soon", "due_on": stamp(due)} if due else None,
            "type": None,
            "created_at": stamp(changed - timedelta(minutes=5)),
            "updated_at": stamp(changed),
        }
        self.comments[external_id] = []
        return external_id

    def owner(self) -> dict[str, str]:
        return {"project": REPOSITORY, "organisation": "acme"}

    def edit(self, external_id: str, *, changed: datetime, body: str | None = None, by: str = "bob") -> None:
        issue = self.issues[external_id]
        issue |= {"updated_at": stamp(changed), "by": by} | ({"body": body} if body is not None else {})

    def take(self, external_id: str) -> None:
        issue = self.issues[external_id]
        issue["assignees"] = [{"login": "bob"}]
        issue["labels"] += [{"name": "network"}]

    def taken(self, external_id: str) -> Any:
        return list(self.issues[external_id]["assignees"]), list(self.issues[external_id]["labels"])

    def solve(self, external_id: str) -> None:
        self.issues[external_id] |= {"state": "closed", "state_reason": "not_planned"}

    def solution(self, external_id: str) -> Any:
        return self.issues[external_id]["state"], self.issues[external_id]["state_reason"]

    def notes(self, external_id: str) -> list[Note]:
        return [Note(note["body"], public=True) for note in self.comments[external_id]]

    places: ClassVar = {"assignee": "carl", "labels": ["network", "outage"]}
    places_later: ClassVar = {"assignee": "dora"}
    article = "KB0010042"

    def placed(self, external_id: str) -> dict[str, Any]:
        issue = self.issues[external_id]
        labels = [item["name"] for item in issue["labels"] if item["name"] in self.places["labels"]]
        return {"assignee": ", ".join(item["login"] for item in issue["assignees"]), "labels": sorted(labels)}

    def person_places(self, external_id: str) -> None:
        self.issues[external_id]["assignees"] = [{"login": "bob"}]

    def article_settings(self) -> dict[str, Any]:
        return {"article_links": True, "article_url": "https://wiki.example.org/kb/{key}"}

    def attach(self, external_id: str, article: str, *, by: str) -> None:
        text = f"See https://wiki.example.org/kb/{article}."
        note = {"body": text, "user": {"login": by}, "author_association": "MEMBER"}
        asker = {**note, "body": "https://wiki.example.org/kb/KB9 no", "author_association": "NONE"}
        self.comments[external_id] += [note, asker]

    def webhook(self, external_id: str, *, secret: str | None = None) -> tuple[dict[str, str], bytes]:
        issue = dict(self.issues[external_id])
        by = issue.pop("by", "bob")
        return self.signed({"action": "edited", "issue": issue, "sender": {"login": by}}, secret=secret)

    def signed(self, told: dict[str, Any], *, secret: str | None = None) -> tuple[dict[str, str], bytes]:
        """Headers and body as GitHub posts them."""
        body = json.dumps({**told, "repository": {"full_name": REPOSITORY}}, ensure_ascii=False).encode()
        return {
            "content-type": "application/json",
            "x-github-event": "issues",
            "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
            "x-hub-signature-256": hub_signature.signature(secret or self.secret, body),
        }, body

    def answer(self, asked: Asked) -> Told:
        if asked.headers.get("authorization") != "Bearer github_pat_1":
            return Told(401, {"message": "Bad credentials"})
        found = re.fullmatch(rf"/repos/{REPOSITORY}/issues(?:/([0-9]+)(/comments|/labels|/assignees)?)?", asked.path)
        if not found:
            return Told(404, {"message": "Not Found"})
        if found[1] is None:
            return self._page(asked)
        external_id = f"{REPOSITORY}#{found[1]}"
        if external_id not in self.issues:
            return Told(404, {"message": "Not Found"})
        return self._one(external_id, asked, found[2] or "")

    def _one(self, external_id: str, asked: Asked, part: str) -> Told:
        issue, comments = self.issues[external_id], self.comments[external_id]
        if (asked.method, part) == ("GET", ""):
            return Told(value={name: item for name, item in issue.items() if name != "by"})
        if (asked.method, part) == ("GET", "/comments"):
            return self._cut(comments, asked)
        if (asked.method, part) == ("POST", "/comments"):
            comments.append(asked.json())
            return Told(201, comments[-1])
        if (asked.method, part) == ("POST", "/labels"):
            issue["labels"] += [{"name": name} for name in asked.json()["labels"]]
            return Told(200, issue["labels"])
        if (asked.method, part) == ("POST", "/assignees"):
            issue["assignees"] += [{"login": name} for name in asked.json()["assignees"]]
            return Told(201, issue)
        if (asked.method, part) == ("DELETE", "/assignees"):
            gone = asked.json()["assignees"]
            issue["assignees"] = [item for item in issue["assignees"] if item["login"] not in gone]
            return Told(200, issue)
        issue |= asked.json()
        return Told(200, issue)

    def _page(self, asked: Asked) -> Told:
        wanted = {"state": "all", "sort": "updated", "direction": "asc"}
        if {name: asked.query.get(name) for name in wanted} != wanted:
            return Told(422, {"message": "Validation Failed"})
        rows = [issue for issue in self.issues.values() if issue["updated_at"] > asked.query["since"]]
        rows.sort(key=lambda issue: (issue["updated_at"], issue["number"]))
        return self._cut([{name: item for name, item in row.items() if name != "by"} for row in rows], asked)

    def _cut(self, rows: list[dict[str, Any]], asked: Asked) -> Told:
        size, page = min(int(asked.query["per_page"]), 100), int(asked.query["page"])
        headers = {"x-ratelimit-remaining": self.left}
        headers["x-ratelimit-reset"] = str(int((datetime.now(UTC) + timedelta(seconds=40)).timestamp()))
        if page * size < len(rows):
            headers["link"] = f'<https://elsewhere.example.org/?page={page + 1}>; rel="next", <https://x>; rel="last"'
        return Told(value=rows[(page - 1) * size : page * size], headers=headers)
