"""A real Chromium against a real server. Every page is watched: errors on the console and foreign requests fail the test."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from tests.web import scene as scenes

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}


@dataclass
class Watched:
    """What a browser did that it should not have."""

    server: str
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def watch(self, page: Any) -> None:
        """Listen to one page."""
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self._request(request.url))

    def _request(self, url: str) -> None:
        if not url.startswith((self.server, "data:")):
            self.foreign.append(url)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    """The browser, started once. Its loop runs in this thread, which Django would take for asynchronous code."""
    if not CHROMIUM.exists() and not shutil.which("chromium"):
        pytest.skip("there is no /usr/bin/chromium: install it with `apt-get install chromium`")
    from playwright.sync_api import sync_playwright

    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def scene(chromium: Any, transactional_db: None, tmp_path: Path) -> scenes.Scene:
    """The believable desk."""
    built = scenes.build(at=timezone.now(), folder=tmp_path)
    scenes.busy(built, at=timezone.now())
    return built


@pytest.fixture
def watched(live_server: Any) -> Iterator[Watched]:
    """Nothing on the console and nothing from elsewhere, for the whole test."""
    found = Watched(live_server.url)
    yield found
    assert found.errors == []
    assert found.foreign == []


@pytest.fixture
def desk(chromium: Any, scene: scenes.Scene, watched: Watched) -> Iterator[Any]:
    """A desktop page of nobody yet."""
    yield from _page(chromium, watched, viewport=DESKTOP)


@pytest.fixture
def phone(chromium: Any, scene: scenes.Scene, watched: Watched) -> Iterator[Any]:
    """A phone's page of nobody yet."""
    yield from _page(chromium, watched, viewport=PHONE, has_touch=True, is_mobile=True, device_scale_factor=2)


def _page(chromium: Any, watched: Watched, **options: Any) -> Iterator[Any]:
    context = chromium.new_context(base_url=watched.server, **options)
    context.set_default_timeout(8000)
    page = context.new_page()
    watched.watch(page)
    yield page
    context.close()


def sign_in(page: Any, name: str) -> None:
    """Sign in by keyboard."""
    page.goto("/")
    page.wait_for_selector("#id_username:focus")
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type("a long enough password")
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:has-text('Queue')")
