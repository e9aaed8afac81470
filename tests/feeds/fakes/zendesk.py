"""A Zendesk Help Center as its API reference has it: cursor pagination, sorting, sideloaded translations, drafts."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from tests.feeds.fakes.library import Library, basic
from tests.itsm.fakes.server import Asked, Told

LOCALES = {"en": "en-us", "de": "de", "fr": "fr"}


class Zendesk(Library):
    """Articles in memory."""

    credentials: ClassVar = {"kind": "basic", "user": "triage@example.org/token", "password": "t"}

    def __init__(self) -> None:
        super().__init__()
        self.articles: dict[str, dict[str, Any]] = {}

    def write(self, *, title: str, html: str, changed: datetime, language: str = "en", of: str = "") -> str:
        number = of or str(360000000000 + len(self.articles))
        locale = LOCALES[language]
        address = f"{self.url}/hc/{locale}/articles/{number}-slug"
        said = {"locale": locale, "title": title, "body": html, "draft": False, "hidden": False, "outdated": False}
        said |= {"updated_at": _stamp(changed), "html_url": address}
        if of:
            self.articles[of]["translations"].append(said)
            self.articles[of]["updated_at"] = _stamp(changed)
            return f"{of}-{locale}"
        common = {"id": int(number), "source_locale": locale, "section_id": 5, "user_segment_id": None}
        self.articles[number] = {**common, **said, "created_at": _stamp(changed), "translations": [said]}
        return number

    def _version(self, key: str) -> tuple[dict[str, Any], dict[str, Any]]:
        number, _, locale = key.partition("-")
        article = self.articles[number]
        wanted = locale or article["source_locale"]
        return article, next(one for one in article["translations"] if one["locale"] == wanted)

    def change(self, key: str, *, changed: datetime, title: str | None = None, html: str | None = None) -> None:
        article, version = self._version(key)
        version |= {"title": title} if title is not None else {}
        version |= {"body": html} if html is not None else {}
        version["updated_at"] = article["updated_at"] = _stamp(changed)

    def retire(self, key: str, *, changed: datetime) -> None:
        self.change(key, changed=changed)
        self._version(key)[1]["draft"] = True

    def publish(self, key: str, *, changed: datetime) -> None:
        self.change(key, changed=changed)
        self._version(key)[1]["draft"] = False

    def remove(self, key: str) -> None:
        del self.articles[key]

    def spoil(self, key: str, *, changed: datetime) -> None:
        self.change(key, changed=changed, title=" ")

    def answer(self, asked: Asked) -> Told:
        if not basic(self, asked):
            return Told(401, {"error": "Couldn't authenticate you"})
        if asked.path != "/api/v2/help_center/articles.json":
            return Told(404, {"error": "RecordNotFound", "description": "Not found"})
        size = int(asked.query["page[size]"])
        if size > 100 or asked.query["include"] != "translations":
            return Told(400, {"error": "BadRequest"})
        by, down = asked.query["sort_by"], asked.query["sort_order"] == "desc"
        rows = sorted(self.articles.values(), key=lambda row: (row[by], row["id"]), reverse=down)
        if after := asked.query.get("page[after]"):
            moment, number = after.split("|")
            place = (moment, int(number))
            rows = [row for row in rows if ((row[by], row["id"]) < place if down else (row[by], row["id"]) > place)]
        page = rows[:size]
        more = len(rows) > size
        cursor = f"{page[-1][by]}|{page[-1]['id']}" if page else None
        # an address elsewhere: who follows it hands the credentials to a stranger
        links = {"next": "http://127.0.0.1:9/stolen" if more else None}
        return Told(200, {"articles": page, "meta": {"has_more": more, "after_cursor": cursor}, "links": links})


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
