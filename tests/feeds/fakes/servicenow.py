"""ServiceNow's kb_knowledge as the Table API documentation has it: encoded queries, hidden rows, Link headers, states."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from tests.feeds.fakes.library import Library, basic
from tests.itsm.fakes.server import Asked, Told

ROWS = 10_000


class ServiceNow(Library):
    """Articles in memory. `knows_retired`: our user is a knowledge administrator."""

    knows_retired: bool = True
    credentials: ClassVar = {"kind": "basic", "user": "triage", "password": "p"}

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, dict[str, str]] = {}

    def write(self, *, title: str, html: str, changed: datetime, language: str = "en", of: str = "") -> str:
        number = f"KB{len(self.rows) + 1:07}"
        self.version(number, title=title, html=html, changed=changed, language=language, of=of)
        return number

    def version(
        self, number: str, *, title: str, html: str, changed: datetime, state: str = "published", **values: str
    ) -> None:
        """One record; several of one number are its versions."""
        source = values.pop("of", "")
        sys_id = f"{ROWS - len(self.rows):032x}"  # not in the order in which they were made
        self.rows[sys_id] = {
            "sys_id": sys_id,
            "number": number,
            "short_description": title,
            "text": html,
            "wiki": "",
            "article_type": "text",
            "workflow_state": state,
            "active": "true",
            "latest": "true",
            "valid_to": "2100-01-01",
            "parent": self._row(source)["sys_id"] if source else "",
            "parent.number": source,
            "kb_knowledge_base": "a" * 32,
            "sys_updated_on": _stamp(changed),
            **values,
        }

    def _row(self, key: str) -> dict[str, str]:
        return next(row for row in self.rows.values() if row["number"] == key)

    def change(self, key: str, *, changed: datetime, title: str | None = None, html: str | None = None) -> None:
        row = self._row(key)
        row |= {"sys_updated_on": _stamp(changed)}
        row |= {"short_description": title} if title else {}
        row |= {"text": html} if html is not None else {}

    def retire(self, key: str, *, changed: datetime) -> None:
        self._row(key).update(workflow_state="retired", active="false", sys_updated_on=_stamp(changed))

    def publish(self, key: str, *, changed: datetime) -> None:
        self._row(key).update(workflow_state="published", active="true", sys_updated_on=_stamp(changed))

    def remove(self, key: str) -> None:
        del self.rows[self._row(key)["sys_id"]]

    def spoil(self, key: str, *, changed: datetime) -> None:
        self._row(key).update(short_description="", sys_updated_on=_stamp(changed))

    def answer(self, asked: Asked) -> Told:
        if not basic(self, asked):
            return Told(401, {"error": {"message": "User Not Authenticated"}, "status": "failure"})
        if asked.path != "/api/now/table/kb_knowledge" or asked.method != "GET":
            return Told(400, {"error": {"message": "Invalid table"}, "status": "failure"})
        rows = list(self.rows.values())
        for term in asked.query["sysparm_query"].split("^"):
            rows = _kept(rows, term)
        start, limit = int(asked.query["sysparm_offset"]), int(asked.query["sysparm_limit"])
        page = rows[start : start + limit]
        shown = [row for row in page if self.knows_retired or row["workflow_state"] != "retired"]
        more = start + limit < len(rows)
        headers = {"Link": f'<{self.url}/api/now/table/kb_knowledge>;rel="next"'} if more else {}
        names = asked.query["sysparm_fields"].split(",")
        assert asked.query["sysparm_display_value"] == "false"
        return Told(200, {"result": [{name: row.get(name, "") for name in names} for row in shown]}, headers)


def _kept(rows: list[dict[str, Any]], term: str) -> list[dict[str, Any]]:
    if term.startswith("ORDERBY"):
        return sorted(rows, key=lambda row: row[term.removeprefix("ORDERBY")])
    for sign, holds in ((">=", str.__ge__), (">", str.__gt__)):
        name, found, value = term.partition(sign)
        if found:
            return [row for row in rows if holds(row[name], value)]
    name, _, value = term.partition("IN")
    return [row for row in rows if row[name] in value.split(",")]


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
