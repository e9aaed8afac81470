"""The panel in a real browser, inside the page of an ITSM on another site; no cookie of ours is there, nor needed."""

import json
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone

from tests import factories
from tests.browser.test_looks import KEPT
from tests.web.scene import Scene
from triage import tokens
from triage.models import Panel, Review, Role

NARROW = {"width": 300, "height": 900}
PAGE = """<!doctype html><html lang="en"><title>ITSM</title><style>body{margin:0}iframe{border:0;width:100vw;height:880px}</style>
<h1 style="margin:0;font-size:12px">Incident</h1><iframe title="Triage" src="SOURCE"></iframe>"""


@dataclass
class Itsm:
    """A server on another site that asks for a pass itself and serves a page with the panel in it."""

    triage: str
    token: str

    def __post_init__(self) -> None:
        itsm = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = self.path.startswith("/incident/")
                self.send_response(200 if found else 204)  # the browser asks for an icon, too
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                if found:
                    address = itsm.address(self.path.removeprefix("/incident/"))
                    self.wfile.write(PAGE.replace("SOURCE", address).encode())

            def log_message(self, *_: object) -> None:
                """Tests keep quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def address(self, ticket: str) -> str:
        """What the vendor's script does on its server: the token never reaches the browser."""
        asked = json.dumps({"source": "nordwind-snow", "ticket": ticket, "agent": "bea@desk.example"}).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.triage}/api/panel-tokens/", asked, headers)  # noqa: S310 - loopback
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - as above
            told = urlsplit(json.load(answer)["url"])
        return f"{self.triage}{told.path}#{told.fragment}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def itsms(scene: Scene, live_server: Any) -> Iterator[tuple[Itsm, Itsm]]:
    """The ITSM that may embed the panel, and somebody else, who even has passes."""
    admin = factories.member(scene.nordwind, Role.ADMIN, username="snow")
    token = tokens.issue(person=admin, name="panel", scopes=["panel"], days="30", at=timezone.now())
    known, other = Itsm(live_server.url, token), Itsm(live_server.url, token)
    Panel.objects.create(source=scene.tickets[0].source, enabled=True, origins=[known.origin])
    yield known, other
    known.close()
    other.close()


def test_an_agent_accepts_an_article_inside_the_itsm_and_nobody_else_can_embed_it(
    chromium: Any, scene: Scene, itsms: tuple[Itsm, Itsm], tmp_path: Path
) -> None:
    known, other = itsms
    ticket, folder = scene.tickets[0], Path(KEPT or tmp_path)
    context = chromium.new_context(viewport=NARROW, color_scheme="dark")
    context.set_default_timeout(20_000)  # the page waits for the pass, and that for our server
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    leaked: list[str] = []
    page.on("request", lambda request: leaked.append(request.url) if _tells(request) else None)
    page.goto(f"{known.origin}/incident/{ticket.external_id}")
    panel = page.frame_locator("iframe")
    panel.locator("#decide button[type=submit]").wait_for()
    frame = page.frames[1]
    assert "#" not in frame.url
    assert "likely" in panel.locator(".candidates").first.inner_text()
    assert "hand it to Security" in panel.locator("#article").inner_text()
    panel.locator("input[type=search]").fill("printer")
    panel.locator("input[type=search]").press("Enter")  # in the search it searches, and decides nothing
    panel.locator("#results input[value=KB0007]").check()
    panel.locator("#article h2:has-text('Printer on the floor')").wait_for()
    _look(page, frame, folder / "panel-narrow-dark.png")
    assert not Review.objects.exists()
    page.emulate_media(color_scheme="light")
    panel.locator("input[value=KB0001]").first.check()
    panel.locator("#decide button[type=submit]").press("Enter")
    panel.locator("text=Decided by").wait_for()
    page.screenshot(path=folder / "panel-decided-light.png")
    made = Review.objects.get(ticket=ticket)
    assert (made.article, made.provenance, made.person) == ("KB0001", "panel", scene.agent)
    panel.locator("button:has-text('Undo')").click()
    panel.locator("#decide").wait_for()
    assert not Review.objects.filter(undone_at__isnull=True).exists()
    _blind(page, known, scene, folder)
    assert said == []
    assert context.cookies() == []
    assert leaked == []

    page.goto(f"{other.origin}/incident/{ticket.external_id}")
    page.wait_for_timeout(400)
    assert "frame-ancestors" in "".join(said)
    assert page.frames[1].locator("#decide").count() == 0
    page.goto(f"{known.triage}/panel/nordwind-snow/{ticket.uuid}/")  # without a pass
    page.locator("text=This panel is closed").wait_for()
    assert ticket.subject not in page.content()
    context.close()


def _tells(request: Any) -> bool:
    """Whether a server could read a pass in the request's address or in where it came from."""
    return "pass=" in request.url.partition("#")[0] or "pass=" in request.headers.get("referer", "")


def _blind(page: Any, known: Itsm, scene: Scene, folder: Path) -> None:
    page.goto(f"{known.origin}/incident/{scene.blind.external_id}")
    panel = page.frame_locator("iframe")
    panel.locator(".pill:has-text('Blind check')").wait_for()
    shown = page.frames[1].locator("#panel").inner_text()
    assert "likely" not in shown
    assert "97\u00a0%" not in shown
    _look(page, page.frames[1], folder / "panel-blind-light.png")
    panel.locator("input[type=radio][value=KB0005]").check()
    panel.locator("#decide button[type=submit]").click()
    panel.locator("text=Decided by").wait_for()
    assert Review.objects.get(ticket=scene.blind).blind


def _look(page: Any, frame: Any, picture: Path) -> None:
    picture.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=picture)
    assert frame.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    result = Axe().run(frame)
    assert result.response["passes"], "axe looked at nothing"
    assert not result.violations_count, f"{picture.stem}: {result.generate_report()}"
