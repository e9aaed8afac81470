"""Looks at pages in a real Chromium: axe, width, errors, foreign requests, the policy on every answer, and pictures.

`python -m tests.browser.looks --all` looks at every page wide and narrow, light and dark; CI at each once.
"""

import argparse
import os
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe

if TYPE_CHECKING:
    from tests.browser.pages import Page

SIZES = {"desktop": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}
AXE = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "rules": {"target-size": {"enabled": True}},
    "resultTypes": ["violations"],
}
QUIET = "() => !document.querySelector('.htmx-request, .htmx-swapping, .htmx-settling')"
TOO_WIDE = "Math.max(0, document.documentElement.scrollWidth - document.documentElement.clientWidth)"
LANGUAGES = ("de", "ja")
TRANSLATED = ("queue", "ticket", "approval", "overview", "source-new", "sign-in")


@dataclass(frozen=True)
class Look:
    """How somebody looks at a page: the screen, its colours and the language that the browser asks for."""

    size: str
    colours: str
    language: str = "en"

    def __str__(self) -> str:
        return "-".join([self.size, self.colours, *([self.language] if self.language != "en" else [])])


LOOKS = [Look(size, colours) for size in SIZES for colours in ("light", "dark")]


def chosen(page: "Page") -> Look:
    """The one look at this page that CI takes; the same at every run."""
    return LOOKS[zlib.crc32(page.name.encode()) % len(LOOKS)]


def every(page: "Page") -> list[Look]:
    """All looks at this page; some pages in the other languages too."""
    others = [Look("phone", "light", language) for language in LANGUAGES] if page.name in TRANSLATED else []
    return [*LOOKS, *others]


def complaints(tab: Any) -> list[str]:
    """What axe says of the page in this window."""
    result = Axe().run(tab, options=AXE)
    if not result.response["passes"]:
        return ["axe looked at nothing"]
    return [
        f"axe: {one['id']}: {one['help']}: {[node['html'][:160] for node in one['nodes']][:4]}"
        for one in result.response["violations"]
    ]


def fits(tab: Any, picture: Path) -> None:
    """Keep a picture of what a journey has come to, and fail where it is too wide or axe complains."""
    picture.parent.mkdir(parents=True, exist_ok=True)
    tab.screenshot(path=picture, full_page=True)
    assert tab.evaluate(TOO_WIDE) == 0, picture.stem
    assert complaints(tab) == [], picture.stem


@dataclass
class Looker:
    """One browser at one server. `found` collects what is wrong, each with its page; nothing is raised on the way."""

    browser: Any
    server: str
    sessions: dict[str, str]
    folder: Path | None = None
    axe: bool = True
    found: list[str] = field(default_factory=list)
    seen: int = 0
    _pages: dict[str, Any] = field(default_factory=dict)
    _now: str = ""
    _status: int = 200

    def look(self, page: "Page", look: Look) -> None:
        """Open the page and note everything that is wrong with it."""
        self._now, self._status = f"{page.name}, {look}", page.status
        tab = self.tab(look.size)
        tab.emulate_media(color_scheme=look.colours, reduced_motion="reduce")
        tab.set_extra_http_headers({"Accept-Language": look.language})
        tab.context.clear_cookies()
        if page.who:
            cookie = {"name": "sessionid", "value": self.sessions[page.who], "url": self.server}
            tab.context.add_cookies([cookie])
        tab.goto(page.path)
        for key in page.keys:
            tab.keyboard.press(key)
        tab.wait_for_function(QUIET)
        if too_wide := tab.evaluate(TOO_WIDE):
            self._note(f"{too_wide} pixels too wide")
        if self.folder:
            tab.screenshot(path=self.folder / f"{page.name}-{look}.png", full_page=not page.keys)
        for complaint in complaints(tab) if self.axe else ():
            self._note(complaint)
        self.seen += 1

    def close(self) -> None:
        """End the browser's windows."""
        for tab in self._pages.values():
            tab.context.close()

    def tab(self, size: str) -> Any:
        """The window of this size."""
        if size not in self._pages:
            small = {"has_touch": True, "is_mobile": True, "device_scale_factor": 2} if size == "phone" else {}
            context = self.browser.new_context(base_url=self.server, viewport=SIZES[size], **small)
            context.set_default_timeout(20_000)
            tab = self._pages[size] = context.new_page()
            tab.on("console", self._console)
            tab.on("pageerror", lambda error: self._note(f"error: {error}"))
            tab.on("dialog", self._dialog)
            tab.on("request", self._request)
            tab.on("response", self._response)
        return self._pages[size]

    def _note(self, what: str) -> None:
        self.found.append(f"{self._now}: {what}")

    def _console(self, message: Any) -> None:
        refused = self._status >= 400 and f"status of {self._status}" in message.text
        if message.type == "error" and not refused:
            self._note(f"console: {message.text}")

    def _dialog(self, dialog: Any) -> None:
        self._note(f"a dialog opened: {dialog.message[:80]}")
        dialog.dismiss()

    def _request(self, request: Any) -> None:
        if not request.url.startswith((f"{self.server}/", "data:")):
            self._note(f"asked elsewhere: {request.url[:160]}")

    def _response(self, response: Any) -> None:
        # the live server hands out static files before any middleware; tests/contracts/test_policy.py asks for those
        if "/static/" not in response.url and "content-security-policy" not in response.headers:
            self._note(f"no policy on {response.url}")


def matrix(pages: "Sequence[Page]", *, whole: bool) -> "Iterator[tuple[Page, Look]]":
    """What is looked at: every page once, or in every look. Pieces of pages are seen in their pages."""
    for page in pages:
        if not page.part:
            for look in every(page) if whole else [chosen(page)]:
                yield page, look


def run(arguments: Sequence[str], **environment: str) -> int:
    """Have the test of all pages do it: its server and its database are the real ones of tests."""
    os.environ.update(environment)
    return int(pytest.main(["-n0", "-q", "-s", "--timeout=3000", f"{Path(__file__).parent}/test_looks.py", *arguments]))


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser.looks", description=__doc__)
    parser.add_argument("--all", action="store_true", help="every page in every look, not in one")
    parser.add_argument("--pages", default="", help="only pages whose name begins so")
    given = parser.parse_args()
    wanted = {"TRIAGE_LOOKS": "all"} if given.all else {}
    return run(["-k", "every_page"], TRIAGE_LOOKS_AT=given.pages, **wanted)


if __name__ == "__main__":
    sys.exit(main())
