"""A Zendesk account as its API reference has it: tickets, safe updates, the incremental export and its limit, events."""

import base64
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from tests.itsm.fakes.server import Asked, Desk, Note, Told
from triage.itsm import zendesk

EXPORTS_A_MINUTE = 10


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Zendesk(Desk):
    """Tickets in memory; integration user 7777."""

    secret = "a-signing-secret-of-a-webhook"
    credentials: ClassVar = {"kind": "basic", "user": "triage@example.org/token", "password": "t"}
    own_user = "7777"
    page_size = 50

    def __init__(self) -> None:
        super().__init__()
        self.tickets: dict[str, dict[str, Any]] = {}
        self.comments: dict[str, list[Note]] = {}
        self.actors: dict[str, str] = {}
        self.exports = 0
        self.spoken: dict[str, list[dict[str, Any]]] = {}

    def settings(self) -> dict[str, Any]:
        return {"api_url": self.url}

    def owner(self) -> dict[str, str]:
        return {"organisation": "509974"}

    def add(self, *, subject: str, body: str, changed: datetime, due: datetime | None = None, **values: Any) -> str:
        number = len(self.tickets) + 1
        self.tickets[str(number)] = {
            "id": number,
            "subject": subject,
            "description": body,
            "status": "new",
            "priority": "high",
            "type": "incident",
            "tags": ["vip"],
            "assignee_id": None,
            "group_id": None,
            "organization_id": 509974,
            "requester_id": 20978392,
            "via": {"channel": "email"},
            "custom_fields": [{"id": 27642, "value": "web01"}, {"id": 27648, "value": None}],
            "due_at": None,
            "slas": {"policy_metrics": [{"breach_at": _stamp(due), "stage": "active"}] if due else []},
            "created_at": _stamp(changed),
            "updated_at": _stamp(changed),
            **values,
        }
        return str(number)

    def edit(self, external_id: str, *, changed: datetime, body: str | None = None, by: str = "bob") -> None:
        self.tickets[external_id]["updated_at"] = _stamp(changed)
        self.actors[external_id] = by
        if body is not None:
            self.tickets[external_id]["description"] = body

    def take(self, external_id: str) -> None:
        self.tickets[external_id] |= {"assignee_id": 235323, "tags": ["vip", "network"]}

    def taken(self, external_id: str) -> Any:
        ticket = self.tickets[external_id]
        return ticket["assignee_id"], {tag for tag in ticket["tags"] if not tag.startswith("triage_")}

    def solve(self, external_id: str) -> None:
        self.tickets[external_id] |= {"status": "solved", "assignee_id": 235323}

    def solution(self, external_id: str) -> Any:
        return self.tickets[external_id]["status"], self.tickets[external_id]["assignee_id"]

    def notes(self, external_id: str) -> list[Note]:
        return self.comments.get(external_id, [])

    places: ClassVar = {"group": "98738", "labels": ["vpn", "outage"], "field:27648": "network"}
    places_later: ClassVar = {"group": "98739", "field:27648": "mail"}
    article = "360001234567"

    def placed(self, external_id: str) -> dict[str, Any]:
        ticket = self.tickets[external_id]
        own = {str(item["id"]): item["value"] for item in ticket["custom_fields"]}
        tags = [tag for tag in ticket["tags"] if tag in self.places["labels"]]
        return {"group": str(ticket["group_id"]), "labels": tags, "field:27648": own["27648"]}

    def person_places(self, external_id: str) -> None:
        ticket = self.tickets[external_id]
        ticket |= {"group_id": 1, "custom_fields": [{"id": 27648, "value": "hardware"}]}

    def article_settings(self) -> dict[str, Any]:
        return {"article_links": True, "article_hosts": ["help.example.org"]}

    def attach(self, external_id: str, article: str, *, by: str) -> None:
        own = by == self.own_user
        author = int(self.own_user) if own else 235323
        address = f"https://help.example.org/hc/en-us/articles/{article}-Account-locked"
        said = f'<p>See <a href="{address}">this</a> or https://evil.example/hc/en-us/articles/1.</p>'
        self.spoken.setdefault(external_id, []).insert(0, {"author_id": author, "html_body": said, "public": True})
        asker = "https://help.example.org/hc/en-us/articles/999 did not help"
        self.spoken[external_id].insert(0, {"author_id": 20978392, "html_body": asker, "public": True})

    def webhook(self, external_id: str, *, secret: str | None = None) -> tuple[dict[str, str], bytes]:
        ticket = self.tickets[external_id]
        detail = {name: ticket[name] for name in ("subject", "description", "tags", "via", "created_at", "updated_at")}
        detail |= {name: ticket[name].upper() for name in ("status", "priority")} | {"type": "ticket"}
        for name in ("id", "requester_id", "organization_id", "group_id", "assignee_id"):
            detail[name] = str(ticket[name] or 0)
        detail["actor_id"] = self.actors.get(external_id, "20978392")
        body = json.dumps(
            {
                "type": "zen:event-type:ticket.created",
                "account_id": 10973248,
                "id": "b2c1",
                "subject": f"zen:ticket:{external_id}",
                "time": ticket["updated_at"],
                "zendesk_event_version": "2022-11-06",
                "detail": detail,
                "event": {"meta": {"sequence": {"id": "01", "position": 1, "total": 1}}},
            }
        ).encode()
        return self.signed(body, secret=secret), body

    def signed(self, body: bytes, *, secret: str | None = None, at: datetime | None = None) -> dict[str, str]:
        """The headers of a message, by the vendor's own rule."""
        stamp = _stamp(at or datetime.now(UTC))
        return {
            zendesk.SIGNATURE: zendesk.signature(secret or self.secret, timestamp=stamp, body=body),
            zendesk.TIME: stamp,
            "x-zendesk-webhook-id": "01GK8E6BKWMJZD2T8Y5AXJQMG5",
            "x-zendesk-webhook-invocation-id": str(uuid.uuid4()),
        }

    # the API

    def answer(self, asked: Asked) -> Told:
        pair = base64.b64encode(f"{self.credentials['user']}:{self.credentials['password']}".encode()).decode()
        if asked.headers.get("authorization") != f"Basic {pair}":
            return Told(401, {"error": "Couldn't authenticate you"})
        if asked.path == "/api/v2/incremental/tickets/cursor.json":
            return self._export(asked)
        external_id = asked.path.removeprefix("/api/v2/tickets/").removesuffix(".json")
        if external_id.endswith("/comments"):
            agents = [{"id": number, "role": "agent"} for number in (235323, int(self.own_user))]
            said = self.spoken.get(external_id.removesuffix("/comments"), [])
            return Told(200, {"comments": said, "users": [*agents, _ada()] if "include" in asked.query else []})
        if external_id not in self.tickets:
            return Told(404, {"error": "RecordNotFound", "description": "Not found"})
        ticket = self.tickets[external_id]
        if asked.method == "PUT":
            return self._update(external_id, ticket, asked.json()["ticket"])
        with_users = {"users": [_ada()]} if "users" in asked.query.get("include", "") else {}
        return Told(200, {"ticket": ticket, **with_users})

    def _update(self, external_id: str, ticket: dict[str, Any], change: dict[str, Any]) -> Told:
        if ticket["status"] == "closed":
            return Told(422, {"error": "RecordInvalid", "description": "Status: closed prevents ticket update"})
        if change.pop("safe_update", False) and change.pop("updated_stamp") != ticket["updated_at"]:
            return Told(409, {"error": "UpdateConflict"})
        if comment := change.pop("comment", None):
            self.comments.setdefault(external_id, []).append(Note(comment["body"], comment.get("public", True)))
        if own := change.pop("custom_fields", None):
            values = {item["id"]: item["value"] for item in [*ticket["custom_fields"], *own]}
            ticket["custom_fields"] = [{"id": number, "value": value} for number, value in values.items()]
        ticket |= {**change, "updated_at": _stamp(datetime.now(UTC))}
        self.actors[external_id] = self.own_user
        return Told(200, {"ticket": ticket, "audit": {}})

    def _export(self, asked: Asked) -> Told:
        self.exports += 1
        if self.exports > EXPORTS_A_MINUTE:
            return Told(429, {"error": "APIRateLimitExceeded"}, {"Retry-After": "33"})
        if "cursor" in asked.query:
            moment, number = base64.b64decode(asked.query["cursor"]).decode().split("|")
            after = (moment, int(number))
        else:
            start = datetime.fromtimestamp(int(asked.query["start_time"]), UTC)
            if start > datetime.now(UTC) - timedelta(seconds=60):
                return Told(422, {"error": "InvalidValue", "description": "Too recent start_time."})
            after = (_stamp(start), -1)
        rows = sorted(self.tickets.values(), key=lambda row: (row["updated_at"], row["id"]))
        rows = [row for row in rows if (row["updated_at"], row["id"]) > after]
        size = int(asked.query.get("per_page", 1000))
        page = rows[:size]
        last = (page[-1]["updated_at"], page[-1]["id"]) if page else after
        cursor = base64.b64encode(f"{last[0]}|{last[1]}".encode()).decode()
        told = {"after_cursor": cursor, "end_of_stream": len(rows) <= size, "tickets": page, "users": [_ada()]}
        return Told(200, told)


def _ada() -> dict[str, Any]:
    return {"id": 20978392, "name": "Ada Lovelace", "email": "ada@example.org", "role": "end-user"}
