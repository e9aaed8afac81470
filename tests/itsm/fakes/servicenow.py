"""A ServiceNow instance as its Table API documentation has it: encoded queries, display values, Link headers, errors."""

import base64
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import unquote

from tests import factories
from tests.itsm.fakes.server import Asked, Desk, Note, Told
from triage.itsm import standard

TABLES = ("incident", "sc_task", "sc_req_item", "task_sla", "m2m_kb_task", "sys_user_group", "sys_user")
GROUPS = {"7" * 32: "Network", "8" * 32: "Service Desk"}
WORDS = {"1": "New", "2": "In Progress", "3": "On Hold", "6": "Resolved", "7": "Closed"}
PEOPLE = {"a" * 32: {"name": "Ada Lovelace", "email": "ada@example.org", "user_name": "ada"}}


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


class ServiceNow(Desk):
    """Incidents in memory; integration user `triage`."""

    secret = factories.SECRET
    credentials: ClassVar = {"kind": "basic", "user": "triage", "password": "p"}
    own_user = "triage"

    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[str, dict[str, dict[str, str]]] = {name: {} for name in TABLES}
        for sys_id, name in GROUPS.items():
            self.tables["sys_user_group"][sys_id] = {"sys_id": sys_id, "name": name, "active": "true"}
        self.count = 0
        self.journal: dict[str, list[Note]] = {}
        self.hidden: set[str] = set()

    def settings(self) -> dict[str, Any]:
        return {"api_url": self.url, "tables": ["incident"], "extra_fields": ["u_host"]}

    def owner(self) -> dict[str, str]:
        return {"company": "ACME Ltd", "domain": "TOP/ACME"}

    def add(self, *, subject: str, body: str, changed: datetime, due: datetime | None = None, **values: str) -> str:
        self.count += 1
        number = self.count
        table = values.get("sys_class_name", "incident")
        sys_id = f"{number:032x}"
        self.tables[table][sys_id] = {
            "sys_id": sys_id,
            "sys_class_name": table,
            "number": f"INC{number:07}",
            "short_description": subject,
            "description": body,
            "state": "1",
            "priority": "3",
            "contact_type": "self-service",
            "caller_id": "a" * 32,
            "company": "c" * 32,
            "sys_domain": "d" * 32,
            "sys_created_on": _stamp(changed),
            "sys_updated_on": _stamp(changed),
            "sys_updated_by": "ada",
            "sys_mod_count": "0",
            "sla_due": _stamp(due) if due else "",
            "u_host": "web01",
            "assignment_group": "",
            "assigned_to": "",
            "category": "inquiry",
            "subcategory": "",
            **values,
        }
        return sys_id

    def row(self, external_id: str) -> dict[str, str]:
        """The record, in whatever table."""
        return next(rows[external_id] for rows in self.tables.values() if external_id in rows)

    def edit(self, external_id: str, *, changed: datetime, body: str | None = None, by: str = "bob") -> None:
        row = self.row(external_id)
        row |= {"sys_updated_on": _stamp(changed), "sys_updated_by": by}
        row |= {"sys_mod_count": str(int(row["sys_mod_count"]) + 1)}
        row |= {} if body is None else {"description": body}

    def take(self, external_id: str) -> None:
        self.row(external_id).update(assigned_to="b" * 32, category="network", close_code="Known error")

    def taken(self, external_id: str) -> Any:
        return [self.row(external_id)[name] for name in ("assigned_to", "category", "close_code")]

    def solve(self, external_id: str) -> None:
        self.row(external_id).update(state="6", close_code="Workaround provided", close_notes="Bob did it.")

    def solution(self, external_id: str) -> Any:
        return [self.row(external_id)[name] for name in ("state", "close_code", "close_notes")]

    def notes(self, external_id: str) -> list[Note]:
        return self.journal.get(external_id, [])

    places: ClassVar = {"group": "Network", "category": "access", "subcategory": "account"}
    places_later: ClassVar = {"group": "Service Desk", "category": "network", "subcategory": "vpn"}
    article = "KB0010042"

    def resolved(self, wanted: Any) -> dict[str, Any]:
        ids = {name: sys_id for sys_id, name in GROUPS.items()}
        return {**wanted, **({"group": ids[wanted["group"]]} if "group" in wanted else {})}

    def placed(self, external_id: str) -> dict[str, Any]:
        row = self.row(external_id)
        names = {"group": "assignment_group", "category": "category", "subcategory": "subcategory"}
        return {name: row[column] for name, column in names.items()}

    def person_places(self, external_id: str) -> None:
        self.row(external_id).update(assignment_group="9" * 32, category="software", subcategory="mail")

    def attach(self, external_id: str, article: str, *, by: str) -> None:
        number = f"{len(self.tables['m2m_kb_task']) + 1:032x}"
        stamp = _stamp(datetime.now(UTC))
        row = {"sys_id": number, "task": external_id, "kb_knowledge.number": article}
        self.tables["m2m_kb_task"][number] = {**row, "sys_created_by": by, "sys_created_on": stamp}

    def webhook(self, external_id: str, *, secret: str | None = None) -> tuple[dict[str, str], bytes]:
        row = self.row(external_id)
        names = [*row, "caller_id.email", "caller_id.user_name"]
        body = json.dumps({"record": {name: self._both(row, name) for name in names}}).encode()
        key = f"{external_id}_{row['sys_mod_count']}"
        return standard.signed_headers(secret or self.secret, key=key, body=body, at=datetime.now(UTC)), body

    # the Table API

    def answer(self, asked: Asked) -> Told:
        pair = base64.b64encode(f"{self.credentials['user']}:{self.credentials['password']}".encode()).decode()
        if asked.headers.get("authorization") != f"Basic {pair}":
            return _error(401, "User Not Authenticated", "Required to provide Auth information")
        parts = [unquote(part) for part in asked.path.split("/")]
        if parts[:4] != ["", "api", "now", "table"] or len(parts) not in {5, 6} or parts[4] not in self.tables:
            return _error(400, "Invalid table", None)
        rows = self.tables[parts[4]]
        if len(parts) == 5:
            return self._list(asked, parts[4], list(rows.values()))
        if parts[5] not in rows:
            return _error(404, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")
        if asked.method == "PATCH":
            self._change(rows[parts[5]], asked.json())
        return Told(200, {"result": self._record(rows[parts[5]], asked.query)})

    def _change(self, row: dict[str, str], change: dict[str, str]) -> None:
        for journal, public in (("work_notes", False), ("comments", True)):
            if text := change.pop(journal, ""):
                self.journal.setdefault(row["sys_id"], []).append(Note(text, public))
        row |= change

    def _list(self, asked: Asked, table: str, rows: list[dict[str, str]]) -> Told:
        query = asked.query["sysparm_query"]
        for term in reversed(query.split("^")):  # the first order counts most, and sorting is stable
            if term.startswith("ORDERBYDESC"):
                rows = sorted(rows, key=lambda row: row[term[11:]], reverse=True)
            elif term.startswith("ORDERBY"):
                rows = sorted(rows, key=lambda row: row[term[7:]])
            else:
                rows = [row for row in rows if _term(term)(row)]
        start, limit = int(asked.query.get("sysparm_offset", 0)), int(asked.query["sysparm_limit"])
        shown = [row for row in rows[start : start + limit] if row.get("sys_id") not in self.hidden]
        headers = {"X-Total-Count": str(len(rows))}
        if start + limit < len(rows):
            headers["Link"] = f'<{self.url}/api/now/table/{table}?sysparm_offset={start + limit}>;rel="next"'
        return Told(200, {"result": [self._record(row, asked.query) for row in shown]}, headers)

    def _record(self, row: dict[str, str], query: Any) -> dict[str, Any]:
        names = query["sysparm_fields"].split(",")
        both = query.get("sysparm_display_value") == "all"
        found = {name: self._both(row, name) for name in names}
        return found if both else {name: pair["value"] for name, pair in found.items()}

    def _both(self, row: dict[str, str], name: str) -> dict[str, str]:
        value = row.get(name, "")
        if "." in name and name not in row:
            person, what = name.rsplit(".", 1)
            value = PEOPLE.get(row.get(person, ""), {}).get(what, "")
        if name in {"work_notes", "comments"}:
            notes = [note.text for note in self.notes(row["sys_id"]) if note.public == (name == "comments")]
            return {
                "value": "",
                "display_value": "\n\n".join(f"2026-11-20 10:00:00 - Triage\n{text}" for text in notes),
            }
        shown = {"state": WORDS.get(value, value), "company": "ACME Ltd", "sys_domain": "TOP/ACME"}
        shown |= {"assignment_group": GROUPS.get(value, value)}
        shown |= {"priority": "3 - Moderate", "caller_id": "Ada Lovelace"}
        # what people see of a moment depends on their time zone
        shown |= {k: f"{v[8:10]}.{v[5:7]}.{v[:4]} 11:30" for k, v in row.items() if k.endswith(("_on", "_due")) and v}
        return {"value": value, "display_value": shown.get(name, value)}


def _term(term: str) -> Callable[[dict[str, str]], bool]:
    name, sign, value = re.fullmatch(r"([a-z_]+)(>=|=|>|IN)(.*)", term).groups()  # type: ignore[union-attr]  # a test's
    wanted = value.split(",")
    return {
        ">=": lambda row: row.get(name, "") >= value,
        "=": lambda row: row.get(name, "") == value,
        ">": lambda row: row.get(name, "") > value,
        "IN": lambda row: row.get(name, "") in wanted,
    }[sign]


def _error(status: int, message: str, detail: str | None) -> Told:
    return Told(status, {"error": {"message": message, "detail": detail}, "status": "failure"})
