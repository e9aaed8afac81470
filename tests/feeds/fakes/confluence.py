"""Confluence Cloud's API v2 and the Data Center's API as their references have them: spaces, labels, sorts, cursors, CQL."""

import base64
import re
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import quote

from tests.feeds.fakes.library import Library, basic
from tests.itsm.fakes.server import Asked, Told

SPACE = 98305


class _Pages(Library):
    def __init__(self) -> None:
        super().__init__()
        self.pages: dict[str, dict[str, Any]] = {}

    def settings(self) -> dict[str, Any]:
        return {"api_url": self.url, "spaces": ["KB"]}

    def write(self, *, title: str, html: str, changed: datetime, language: str = "en", of: str = "") -> str:
        assert (language, of) == ("en", "")  # pages know no translations
        number = str(70001 + len(self.pages))
        self.pages[number] = {"id": number, "status": "current", "title": title, "text": html, "changed": changed}
        self.pages[number] |= {"made": changed, "labels": ["kb"]}
        return number

    def change(self, key: str, *, changed: datetime, title: str | None = None, html: str | None = None) -> None:
        self.pages[key] |= {"changed": changed}
        self.pages[key] |= {"title": title} if title is not None else {}
        self.pages[key] |= {"text": html} if html is not None else {}

    def retire(self, key: str, *, changed: datetime) -> None:
        self.pages[key] |= {"status": "archived", "changed": changed}

    def publish(self, key: str, *, changed: datetime) -> None:
        self.pages[key] |= {"status": "current", "changed": changed}

    def remove(self, key: str) -> None:
        del self.pages[key]

    def spoil(self, key: str, *, changed: datetime) -> None:
        self.pages[key] |= {"title": "", "changed": changed}


class Cloud(_Pages):
    """One space, `KB`, whose pages carry the label `kb`."""

    credentials: ClassVar = {"kind": "basic", "user": "triage@example.org", "password": "token"}

    def answer(self, asked: Asked) -> Told:
        if not basic(self, asked):
            return Told(401, {"code": 401, "message": "Unauthorized; scope does not match"})
        if asked.path == "/wiki/api/v2/spaces":
            known = [{"id": str(SPACE), "key": "KB", "name": "Knowledge", "status": "current"}]
            return Told(200, {"results": [one for one in known if one["key"] in asked.query["keys"].split(",")]})
        if asked.path == f"/wiki/api/v2/spaces/{SPACE}/content/labels":
            names = sorted({name for page in self.pages.values() for name in page["labels"]})
            rows = [{"id": str(500 + place), "name": name, "prefix": "global"} for place, name in enumerate(names)]
            return Told(200, {"results": rows, "_links": {}})
        labelled = re.fullmatch(r"/wiki/api/v2/labels/(\d+)/pages", asked.path)
        if not labelled and asked.path != "/wiki/api/v2/pages":
            return Told(404, {"errors": [{"status": 404, "code": "NOT_FOUND", "title": "Not Found"}]})
        return self._listed(asked, labelled[1] if labelled else "")

    def _listed(self, asked: Asked, label: str) -> Told:
        if asked.query["body-format"] != "storage" or int(asked.query["limit"]) > 250:
            return Told(400, {"errors": [{"status": 400, "code": "INVALID_REQUEST_PARAMETER"}]})
        assert asked.query["space-id"] == str(SPACE)
        names = sorted({name for page in self.pages.values() for name in page["labels"]})
        states = asked.query.get("status", "current,archived").split(",")
        rows = [page for page in self.pages.values() if page["status"] in states]
        if label:
            assert "status" not in asked.query  # this endpoint has none
            rows = [page for page in rows if names[int(label) - 500] in page["labels"]]
        by = asked.query["sort"]
        rows.sort(key=lambda page: page["changed"] if by == "-modified-date" else int(page["id"]), reverse=by[0] == "-")
        start = int(base64.b64decode(asked.query["cursor"])) if "cursor" in asked.query else 0
        end = start + int(asked.query["limit"])
        cursor = base64.b64encode(f"{end}".encode()).decode()
        links = {"next": f"{asked.path}?limit=50&cursor={quote(cursor)}"} if end < len(rows) else {}
        return Told(200, {"results": [_cloud(page) for page in rows[start:end]], "_links": links})


class DataCenter(_Pages):
    """The same space behind a context path; its server allows fewer records than are asked for."""

    tells_retired = False  # CQL finds current pages only
    credentials: ClassVar = {"kind": "bearer", "token": "personal-access-token"}
    most = 50

    def settings(self) -> dict[str, Any]:
        return {"api_url": f"{self.url}/confluence", "spaces": ["KB"]}

    def answer(self, asked: Asked) -> Told:
        if asked.headers.get("authorization") != f"Bearer {self.credentials['token']}":
            return Told(401, {"statusCode": 401, "message": "Client must be authenticated"})
        if asked.path != "/confluence/rest/api/content/search":
            return Told(404, {"statusCode": 404, "message": "null for uri"})
        cql = asked.query["cql"]
        assert 'space in ("KB")' in cql
        assert cql.endswith("order by created asc")
        rows = [page for page in self.pages.values() if page["status"] == "current"]
        if since := re.search(r'lastmodified >= "([^"]+)"', cql):
            from_then = datetime.strptime(since[1], "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
            rows = [page for page in rows if page["changed"] >= from_then]
        if label := re.search(r'label = "([^"]+)"', cql):
            rows = [page for page in rows if label[1] in page["labels"]]
        rows.sort(key=lambda page: (page["made"], page["id"]))
        start, limit = int(asked.query["start"]), min(int(asked.query["limit"]), self.most)
        page = [_data_center(one) for one in rows[start : start + limit]]
        links = {"next": f"/rest/api/content/search?start={start + limit}"} if start + limit < len(rows) else {}
        return Told(200, {"results": page, "start": start, "limit": limit, "size": len(page), "_links": links})


def _cloud(page: dict[str, Any]) -> dict[str, Any]:
    body = {"storage": {"representation": "storage", "value": page["text"]}}
    version = {"number": 1, "createdAt": page["changed"].astimezone(UTC).isoformat().replace("+00:00", "Z")}
    told = {name: page[name] for name in ("id", "status", "title")}
    return {**told, "spaceId": str(SPACE), "version": version, "body": body, "_links": {"webui": "/spaces/KB"}}


def _data_center(page: dict[str, Any]) -> dict[str, Any]:
    body = {"storage": {"value": page["text"], "representation": "storage", "_expandable": {}}}
    version = {"number": 1, "when": page["changed"].astimezone(UTC).isoformat(timespec="milliseconds")}
    return {
        **{name: page[name] for name in ("id", "status", "title")},
        "type": "page",
        "version": version,
        "body": body,
    }
