"""A fake Jira of the shape that Atlassian documents: Cloud (REST v3, search by token) and Data Center (REST v2)."""

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from tests.itsm.fakes.server import Asked, Desk, Note, Told
from triage.itsm import hub_signature

ZONE = ZoneInfo("Europe/Berlin")
CATEGORIES = {"Waiting for support": "new", "In Progress": "indeterminate", "Resolved": "done", "Canceled": "done"}
RESOLUTIONS = [{"id": "1", "name": "Won't Do"}, {"id": "2", "name": "Done"}]
JQL = re.compile(r'(?:project in \("SD"\) AND )?updated >= "([-0-9]{10} [0-9:]{5})" ORDER BY updated ASC, key ASC')


def stamp(moment: datetime) -> str:
    """A moment as Jira writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}+0000"


def adf(text: str) -> dict[str, Any]:
    """The text as one paragraph with hard breaks."""
    content: list[dict[str, Any]] = []
    for line in text.split("\n"):
        content += (
            [{"type": "hardBreak"}, {"type": "text", "text": line}] if content else [{"type": "text", "text": line}]
        )
    return {"version": 1, "type": "doc", "content": [{"type": "paragraph", "content": content}]}


def status(name: str) -> dict[str, Any]:
    """A status with its category."""
    return {"name": name, "statusCategory": {"key": CATEGORIES[name]}}


class JiraCloud(Desk):
    """Issues of the project SD; a request needs the right mail address and API token."""

    secret: ClassVar[str] = "It's a Secret to Everybody"
    credentials: ClassVar[dict[str, str]] = {"kind": "basic", "user": "bot@example.org", "password": "api-token"}
    own_user: ClassVar[str] = "5b10a2844c20165700ede21g"
    page_size: ClassVar[int] = 50
    edition: ClassVar[str] = "cloud"
    version: ClassVar[int] = 3

    def __init__(self) -> None:
        super().__init__()
        self.issues: dict[str, dict[str, Any]] = {}
        self.comments: dict[str, list[dict[str, Any]]] = {}
        self.properties_shown = True
        self.links: dict[str, list[dict[str, Any]]] = {}
        self.near_limit = False

    # the contract's side

    def settings(self) -> dict[str, Any]:
        return {"api_url": self.url, "edition": self.edition, "projects": ["SD"]}

    def add(self, *, subject: str, body: str, changed: datetime, due: datetime | None = None) -> str:
        number = len(self.issues) + 1
        key = f"SD-{number}"
        sla: dict[str, Any] = {"id": "1", "name": "Time to resolution", "completedCycles": []}
        if due:
            breach = {"iso8601": stamp(due), "epochMillis": int(due.timestamp() * 1000), "friendly": "today"}
            sla["ongoingCycle"] = {"breachTime": breach, "breached": False, "paused": False}
        self.issues[key] = {
            "id": str(10000 + number),
            "key": key,
            "properties": {"request.channel.type": {"value": "portal"}},
            "fields": {
                "summary": subject,
                "description": body,
                "reporter": {"accountId": "ada-1", "name": "ada", "emailAddress": "ada@example.org"},
                "issuetype": {"name": "[System] Incident"},
                "project": {"id": "1", "key": "SD"},
                "status": status("Waiting for support"),
                "priority": {"name": "High"},
                "resolution": None,
                "assignee": None,
                "created": stamp(changed - timedelta(minutes=5)),
                "updated": stamp(changed),
                "attachment": [{"filename": "screen.png", "mimeType": "image/png"}],
                "labels": ["vpn", "mac"],
                "components": [],
                "customfield_10050": None,
                "customfield_10051": None,
                "customfield_10002": [
                    {"id": "4", "name": "ACME", "_links": {"self": f"{self.url}/rest/servicedeskapi/organization/4"}}
                ],
                "customfield_10010": {"requestType": {"id": "7", "name": "Get IT help"}, "currentStatus": {}},
                "customfield_10019": "0|i0000f:",
                "customfield_10020": sla,
                "customfield_10031": {"self": "x", "value": "web01"},
            },
        }
        self.comments[key] = []
        return key

    def owner(self) -> dict[str, str]:
        return {"project": "SD", "organisation": "ACME"}

    def edit(self, external_id: str, *, changed: datetime, body: str | None = None, by: str = "bob") -> None:
        fields = self.issues[external_id]["fields"]
        fields |= {"updated": stamp(changed)} | ({"description": body} if body is not None else {})
        self.issues[external_id]["by"] = by

    def take(self, external_id: str) -> None:
        fields = self.issues[external_id]["fields"]
        fields |= {"assignee": {"accountId": "bob-1", "name": "bob"}, "resolution": RESOLUTIONS[0]}

    def taken(self, external_id: str) -> Any:
        fields = self.issues[external_id]["fields"]
        return fields["assignee"], fields["resolution"]

    def solve(self, external_id: str) -> None:
        self.issues[external_id]["fields"] |= {"status": status("Canceled"), "resolution": RESOLUTIONS[0]}

    def solution(self, external_id: str) -> Any:
        fields = self.issues[external_id]["fields"]
        return fields["status"], fields["resolution"]

    def notes(self, external_id: str) -> list[Note]:
        return [
            Note(json.dumps(note["body"], ensure_ascii=False), note["public"]) for note in self.comments[external_id]
        ]

    places: ClassVar = {
        "assignee": "carl-1",
        "labels": ["network", "outage"],
        "components": ["VPN"],
        "field:customfield_10050": "Network",
        "field:customfield_10051": "Hamburg",
    }
    places_later: ClassVar = {"assignee": "dora-1", "field:customfield_10050": "Mail"}
    article = "123456"
    tells_who_attached = False

    def placed(self, external_id: str) -> dict[str, Any]:
        fields = self.issues[external_id]["fields"]
        who = "accountId" if self.version == 3 else "name"
        return {
            "assignee": (fields["assignee"] or {}).get(who, ""),
            "labels": [name for name in fields["labels"] if name in self.places["labels"]],
            "components": [item["name"] for item in fields["components"]],
            "field:customfield_10050": (fields["customfield_10050"] or {}).get("value", ""),
            "field:customfield_10051": fields["customfield_10051"] or "",
        }

    def person_places(self, external_id: str) -> None:
        fields = self.issues[external_id]["fields"]
        fields |= {"assignee": {"accountId": "bob-1", "name": "bob"}, "customfield_10051": "Berlin"}
        fields["customfield_10050"] = {"value": "Hardware"}

    def article_settings(self) -> dict[str, Any]:
        return {"article_links": True}

    def attach(self, external_id: str, article: str, *, by: str) -> None:  # noqa: ARG002 - a remote link does not tell who made it
        app = {"type": "com.atlassian.confluence", "name": "Wiki"}
        link = {"id": 10000, "globalId": f"appId=4c7&pageId={article}", "application": app, "object": {"url": "x"}}
        other = {"id": 10001, "globalId": "system=acme&id=1", "application": {"type": "com.acme"}, "object": {}}
        self.links[external_id] = [link, other]

    def webhook(self, external_id: str, *, secret: str | None = None) -> tuple[dict[str, str], bytes]:
        issue = self.issues[external_id]
        by = issue.get("by", "bob")
        told = {
            "timestamp": int(datetime.now(UTC).timestamp()) * 1000 + len(issue["fields"]["description"]),
            "webhookEvent": "jira:issue_updated",
            "issue_event_type_name": "issue_generic",
            "user": {"accountId": by, "name": by},
            "issue": {name: issue[name] for name in ("id", "key", "fields")},
        }
        return self.signed(told, secret=secret)

    def signed(self, told: dict[str, Any], *, secret: str | None = None) -> tuple[dict[str, str], bytes]:
        """Headers and body as Jira posts them."""
        body = json.dumps(told, ensure_ascii=False).encode()
        return {
            "content-type": "application/json; charset=UTF-8",
            "x-hub-signature": hub_signature.signature(secret or self.secret, body),
            "x-atlassian-webhook-identifier": "8f4a-77",
        }, body

    # the API

    def answer(self, asked: Asked) -> Told:
        if not self._known(asked.headers.get("authorization", "")):
            return Told(401, text="<html>Unauthorized</html>", headers={"content-type": "text/html"})
        path = asked.path.removeprefix(f"/rest/api/{self.version}/")
        if path == "myself":
            return Told(value={"accountId": self.own_user, "timeZone": str(ZONE)})
        if path == ("search/jql" if self.version == 3 else "search") and asked.method == "POST":
            return self._search(asked.json())
        found = re.fullmatch(r"issue/([^/]+)(/comment|/transitions|/editmeta|/remotelink)?", path)
        if not found or found[1] not in self.issues:
            return Told(404, {"errorMessages": ["Issue does not exist or you do not have permission to see it."]})
        what = (asked.method, found[2] or "")
        if what == ("GET", ""):
            return Told(value=self._shown(found[1], asked.query.get("properties", "")))
        return self._part(found[1], what, asked)

    def _part(self, key: str, what: tuple[str, str], asked: Asked) -> Told:
        if what == ("PUT", ""):
            return self._edited(key, asked.json())
        if what == ("GET", "/editmeta"):
            kinds = {"customfield_10050": "option", "customfield_10051": "string"}
            return Told(value={"fields": {name: {"schema": {"type": kind}} for name, kind in kinds.items()}})
        if what == ("GET", "/remotelink"):
            return Told(value=self.links.get(key, []))
        if what == ("GET", "/comment"):
            return self._listed(key, asked)
        if what == ("POST", "/comment"):
            return self._noted(key, asked.json())
        return self._ways(key) if what[0] == "GET" else self._moved(key, asked.json())

    def _known(self, header: str) -> bool:
        pair = base64.b64encode(b"bot@example.org:api-token").decode()
        return header == f"Basic {pair}"

    def _shown(self, key: str, properties: object) -> dict[str, Any]:
        issue = self.issues[key]
        fields = {**issue["fields"]}
        if self.version == 3:
            fields["description"] = adf(fields["description"])
        found: dict[str, Any] = {"id": issue["id"], "key": issue["key"], "fields": fields}
        return found | ({"properties": issue["properties"]} if "request.channel.type" in str(properties) else {})

    def _search(self, query: dict[str, Any]) -> Told:
        if not (clause := JQL.fullmatch(query["jql"])):
            return Told(400, {"errorMessages": [f"Error in the JQL Query: {query['jql']}"]})
        if "*all" not in query["fields"]:
            return Told(value={"issues": [{"id": issue["id"]} for issue in self.issues.values()]})
        since = datetime.strptime(clause[1], "%Y-%m-%d %H:%M").replace(tzinfo=ZONE)
        sort = [(issue["fields"]["updated"], int(issue["id"]), key) for key, issue in self.issues.items()]
        rows = sorted(row for row in sort if datetime.fromisoformat(row[0]) >= since)
        return self._page(rows, query, size=min(query["maxResults"], self.page_size))

    def _page(self, rows: list[tuple[str, int, str]], query: dict[str, Any], *, size: int) -> Told:
        """Cloud: no startAt, no total; the token names the last issue of the page before."""
        if "startAt" in query:
            return Told(400, {"errorMessages": ["Invalid request payload."]})
        token = json.loads(base64.b64decode(query["nextPageToken"])) if "nextPageToken" in query else ["", 0]
        left = [row for row in rows if row[:2] > (token[0], token[1])]
        shown = [self._shown(key, query["properties"]) for _, _, key in left[:size]]
        last = len(left) <= size
        more = {} if last else {"nextPageToken": base64.b64encode(json.dumps(left[size - 1][:2]).encode()).decode()}
        near = {"X-RateLimit-NearLimit": "true", "X-RateLimit-Reset": stamp(datetime.now(UTC) + timedelta(seconds=30))}
        return Told(value={"issues": shown, "isLast": last, **more}, headers=near if self.near_limit else {})

    def _listed(self, key: str, asked: Asked) -> Told:
        start, most = int(asked.query["startAt"]), int(asked.query["maxResults"])
        newest = self.comments[key][::-1]
        shown = [
            {name: note[name] for name in ("id", "body", *(["properties"] if self.properties_shown else []))}
            for note in newest[start : start + most]
        ]
        return Told(value={"comments": shown, "startAt": start, "maxResults": most, "total": len(newest)})

    def _noted(self, key: str, told: dict[str, Any]) -> Told:
        body = told["body"]
        if isinstance(body, dict) != (self.version == 3):
            return Told(400, {"errorMessages": [], "errors": {"comment": "Comment body is not valid!"}})
        properties = {item["key"]: item["value"] for item in told.get("properties", [])}
        public = not properties.get("sd.public.comment", {}).get("internal", False)
        note = {"id": str(len(self.comments[key]) + 1), **told, "public": public}
        self.comments[key].append(note)
        return Told(201, note)

    def _ways(self, key: str) -> Told:
        if CATEGORIES[self.issues[key]["fields"]["status"]["name"]] == "done":
            return Told(value={"transitions": []})
        screen = {"resolution": {"required": True, "hasDefaultValue": False, "allowedValues": RESOLUTIONS}}
        ways = [("11", "Cancel request", "Canceled"), ("21", "Start", "In Progress"), ("31", "Resolve", "Resolved")]
        shown = [
            {"id": number, "name": name, "to": status(to), "fields": screen if CATEGORIES[to] == "done" else {}}
            for number, name, to in ways
        ]
        return Told(value={"transitions": shown})

    def _edited(self, key: str, told: dict[str, Any]) -> Told:
        fields = self.issues[key]["fields"]
        who = "accountId" if self.version == 3 else "name"
        for name, value in told.get("fields", {}).items():
            if name == "assignee" and set(value) != {who}:
                return Told(400, {"errors": {"assignee": "data was not of the right form"}})
            fields[name] = value
        for name, orders in told.get("update", {}).items():
            fields[name] = fields[name] + [order["add"] for order in orders]
        return Told(204, text="")

    def _moved(self, key: str, told: dict[str, Any]) -> Told:
        fields = self.issues[key]["fields"]
        resolution = told.get("fields", {}).get("resolution") or fields["resolution"]
        if told["transition"]["id"] != "31" or not resolution:
            return Told(400, {"errorMessages": [], "errors": {"resolution": "Resolution is required."}})
        fields |= {"status": status("Resolved"), "resolution": resolution}
        return Told(204, text="")


class JiraDataCenter(JiraCloud):
    """The same in Data Center: REST v2 with wiki markup, a personal access token, pages by count."""

    credentials: ClassVar[dict[str, str]] = {"kind": "bearer", "token": "personal-access-token"}
    own_user: ClassVar[str] = "triage"
    edition: ClassVar[str] = "data_center"
    version: ClassVar[int] = 2

    def _known(self, header: str) -> bool:
        return header == "Bearer personal-access-token"

    def _page(self, rows: list[tuple[str, int, str]], query: dict[str, Any], *, size: int) -> Told:
        start = query["startAt"]
        shown = [self._shown(key, query["properties"]) for _, _, key in rows[start : start + size]]
        return Told(value={"issues": shown, "startAt": start, "maxResults": size, "total": len(rows)})
