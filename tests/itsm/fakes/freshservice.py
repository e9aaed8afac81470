"""A Freshservice account as its API reference (v2) has it: pages with Link headers, credits, conversations, notes."""

import base64
import html
import json
from datetime import UTC, datetime
from typing import Any, ClassVar

from tests.itsm.fakes.server import Asked, Desk, Note, Told
from triage.itsm import freshservice

WORDS = {2: "Open", 3: "Pending", 4: "Resolved", 5: "Closed"}


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Freshservice(Desk):
    """Tickets in memory."""

    secret = "a-secret-that-the-workflow-sends"
    credentials: ClassVar = {"kind": "basic", "user": "api-key", "password": "X"}

    def __init__(self) -> None:
        super().__init__()
        self.tickets: dict[str, dict[str, Any]] = {}
        self.conversations: dict[str, list[dict[str, Any]]] = {}
        self.authors: dict[str, str] = {}
        self.left = 500
        self.lists_text = True

    def settings(self) -> dict[str, Any]:
        return {"api_url": self.url, "resolve_fields": {"category": "Other", "sub_category": "Done by itself"}}

    def owner(self) -> dict[str, str]:
        return {"organisation": "ACME Ltd"}

    def add(self, *, subject: str, body: str, changed: datetime, due: datetime | None = None, **values: Any) -> str:
        number = len(self.tickets) + 1
        self.tickets[str(number)] = {
            "id": number,
            "subject": subject,
            "description": _html(body),
            "description_text": body,
            "status": 2,
            "priority": 3,
            "source": 2,
            "type": "Incident",
            "group_id": None,
            "responder_id": None,
            "requester_id": 21001122100,
            "department_id": 21000334455,
            "category": None,
            "sub_category": None,
            "custom_fields": {"host": "web01", "site": None},
            "spam": False,
            "deleted": False,
            "due_by": _stamp(due) if due else None,
            "created_at": _stamp(changed),
            "updated_at": _stamp(changed),
            **values,
        }
        return str(number)

    def edit(self, external_id: str, *, changed: datetime, body: str | None = None, by: str = "bob") -> None:
        self.tickets[external_id]["updated_at"] = _stamp(changed)
        self.authors[external_id] = by
        if body is not None:
            self.tickets[external_id] |= {"description": _html(body), "description_text": body}

    def take(self, external_id: str) -> None:
        self.tickets[external_id] |= {"responder_id": 21001122999, "category": "Network"}

    def taken(self, external_id: str) -> Any:
        return self.tickets[external_id]["responder_id"], self.tickets[external_id]["category"]

    def solve(self, external_id: str) -> None:
        self.tickets[external_id] |= {"status": 5, "category": "Network"}

    def solution(self, external_id: str) -> Any:
        return self.tickets[external_id]["status"], self.tickets[external_id]["category"]

    def notes(self, external_id: str) -> list[Note]:
        return [Note(note["body_text"], not note["private"]) for note in self.conversations.get(external_id, [])]

    places: ClassVar = {"group": "21000478054", "category": "Network", "subcategory": "VPN", "field:site": "Hamburg"}
    places_later: ClassVar = {"group": "21000478055", "category": "Mail", "subcategory": "Quota", "field:site": "Kiel"}
    article = "21000012345"

    def placed(self, external_id: str) -> dict[str, Any]:
        ticket = self.tickets[external_id]
        found = {"group": str(ticket["group_id"]), "category": ticket["category"]}
        return found | {"subcategory": ticket["sub_category"], "field:site": ticket["custom_fields"]["site"]}

    def person_places(self, external_id: str) -> None:
        ticket = self.tickets[external_id]
        ticket |= {"group_id": 5, "category": "Hardware", "sub_category": "Laptop"}
        ticket["custom_fields"] = {**ticket["custom_fields"], "site": "Berlin"}

    def article_settings(self) -> dict[str, Any]:
        return {"article_links": True}

    def attach(self, external_id: str, article: str, *, by: str) -> None:
        ours = "[Triage 0123]" if by == self.own_user else ""
        body = f'<div>See <a href="{self.url}/support/solutions/articles/{article}">it</a> {ours}</div>'
        note = {"id": 2, "body": body, "body_text": "See it", "private": True, "incoming": False}
        asker = {**note, "id": 3, "body": f"{self.url}/support/solutions/articles/9", "incoming": True}
        self.conversations.setdefault(external_id, []).extend([note, asker])

    def webhook(self, external_id: str, *, secret: str | None = None) -> tuple[dict[str, str], bytes]:
        ticket = self.tickets[external_id]
        told = {
            "id": external_id,
            "subject": ticket["subject"],
            "description": ticket["description"],
            "status": WORDS[ticket["status"]],
            "priority": "High",
            "source": "Portal",
            "requester_email": "ada@example.org",
            "department_name": "ACME Ltd",
            "updated_at": ticket["updated_at"],
            "updated_by": self.authors.get(external_id, "ada@example.org"),
        }
        return {freshservice.SECRET: secret or self.secret}, json.dumps({"ticket": told}).encode()

    # the API

    def answer(self, asked: Asked) -> Told:
        if asked.headers.get("authorization") != f"Basic {base64.b64encode(b'api-key:X').decode()}":
            return Told(
                401, {"code": "invalid_credentials", "message": "You have to be logged in to perform this action."}
            )
        parts = asked.path.removeprefix("/api/v2/").split("/")
        if parts == ["tickets"]:
            return self._list(asked)
        if parts[0] != "tickets" or parts[1] not in self.tickets:
            return Told(404, {"description": "Not found", "errors": []})
        ticket = self.tickets[parts[1]]
        match (asked.method, parts[2:]):
            case ("GET", []):
                return Told(200, {"ticket": _with(ticket, asked)})
            case ("PUT", []):
                change = asked.json()
                change["custom_fields"] = {**ticket["custom_fields"], **change.get("custom_fields", {})}
                ticket |= {**change, "updated_at": _stamp(datetime.now(UTC))}
                return Told(200, {"ticket": ticket})
            case ("GET", ["conversations"]):
                return self._page(asked, "conversations", self.conversations.get(parts[1], []))
            case ("POST", ["notes"]):
                return self._note(parts[1], asked.json())
        return Told(405, {"code": "method_not_allowed"})

    def _note(self, external_id: str, note: dict[str, Any]) -> Told:
        text = html.unescape(note["body"].replace("<br>", "\n").replace("<div>", "").replace("</div>", ""))
        written = {"id": 1, "body": note["body"], "body_text": text, "private": note.get("private", True)}
        self.conversations.setdefault(external_id, []).append(written)
        return Told(201, {"conversation": written})

    def _list(self, asked: Asked) -> Told:
        rows = sorted(self.tickets.values(), key=lambda row: (row["created_at"], row["id"]))
        rows = [_with(row, asked) for row in rows if row["updated_at"] >= asked.query["updated_since"]]
        if not self.lists_text:
            rows = [{k: v for k, v in row.items() if not k.startswith("description")} for row in rows]
        return self._page(asked, "tickets", rows if asked.query["order_type"] == "asc" else rows[::-1])

    def _page(self, asked: Asked, name: str, rows: list[Any]) -> Told:
        page, size = int(asked.query.get("page", 1)), int(asked.query.get("per_page", 30))
        if size > 100:
            return Told(
                400, {"description": "Validation failed", "errors": [{"field": "per_page", "code": "invalid_value"}]}
            )
        cost = 1 + 2 * len(asked.query.get("include", "").split(",")) if "include" in asked.query else 1
        self.left -= cost
        if self.left < 0:
            return Told(429, {"message": "Rate limit exceeded"}, {"Retry-After": "41"})
        headers = {"X-Ratelimit-Total": "500", "X-Ratelimit-Remaining": str(self.left)}
        headers["X-Ratelimit-Used-CurrentRequest"] = str(cost)
        if page * size < len(rows):
            headers["Link"] = f'<{self.url}{asked.path}?page={page + 1}>;rel="next"'
        return Told(200, {name: rows[(page - 1) * size : page * size]}, headers)


def _with(ticket: dict[str, Any], asked: Asked) -> dict[str, Any]:
    known = {
        "requester": {"id": 21001122100, "name": "Ada Lovelace", "email": "ada@example.org"},
        "department": {"id": 21000334455, "name": "ACME Ltd"},
    }
    wanted = asked.query.get("include", "").split(",")
    return {**ticket, **{name: value for name, value in known.items() if name in wanted}}


def _html(body: str) -> str:
    return "<div>" + html.escape(body).replace("\n", "<br>") + "</div>"
