"""A source is connected from nothing in three steps, by mouse and keyboard, and a signed message becomes a ticket."""

import json
import os
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings

from tests import factories
from tests.browser.conftest import PHONE, sign_in
from tests.web.scene import Scene
from tests.web.sending import TOLD
from triage.connecting import refusals
from triage.itsm import standard
from triage.models import Role, Source, Ticket

KEPT = os.environ.get("TRIAGE_SCREENSHOTS")


def post(url: str, secret: str, body: dict[str, Any], *, key: str) -> int:
    """The answer's status to a message sent over real HTTP."""
    raw = json.dumps(body).encode()
    headers = standard.signed_headers(secret, key=key, body=raw, at=datetime.now(UTC))
    asked = urllib.request.Request(url, raw, {**headers, "Content-Type": "application/json"})  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(asked) as answer:  # noqa: S310 - loopback
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def look(page: Any, name: str, folder: Path) -> None:
    """What axe says of the page at both widths, and a picture of each."""
    folder.mkdir(parents=True, exist_ok=True)
    wide = page.viewport_size
    for width, size in (("desk", wide), ("phone", PHONE)):
        page.set_viewport_size(size)
        page.screenshot(path=folder / f"{name}-{width}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0, name
        result = Axe().run(page)
        assert not result.violations_count, f"{name}: {result.generate_report()}"
    page.set_viewport_size(wide)


def test_a_source_is_connected_in_three_steps_and_goes_live(
    desk: Any, scene: Scene, watched: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = Path(KEPT or tmp_path)
    refusals.forget()
    monkeypatch.setattr(settings, "BASE_URL", watched.server)
    factories.member(scene.nordwind, Role.ADMIN, username="adam")
    sign_in(desk, "adam")
    desk.goto("/sources/")
    desk.click("text=Connect a source")
    desk.check("input[value=standard]")
    desk.fill("#name", "Own tool")
    desk.select_option("#customer", "nordwind")
    desk.focus("#customer")
    desk.keyboard.press("Tab")
    desk.keyboard.press("Enter")
    desk.wait_for_selector("h1:has-text('step 2 of 3')")
    secret, url = desk.inner_text("#secret-text"), desk.inner_text("#paste-0")
    if KEPT:  # an empty one is among the looks of all pages
        look(desk, "step-2", folder)
    desk.reload()
    assert secret not in desk.content()
    desk.select_option("#credentials", "bearer")
    assert desk.is_visible("#c-token")
    assert not desk.is_visible("#c-password")
    desk.click("text=Go on: a first message")
    desk.wait_for_selector("text=Waiting for a first message")
    assert post(url, factories.SECRET, TOLD, key="wrong") == 401
    desk.wait_for_selector("text=Signed with another secret")
    watched.errors.clear()
    assert post(url, secret, TOLD, key="right") == 202
    desk.wait_for_selector("text=its signature is right")
    assert "I cannot sign in since this morning." in desk.inner_text("#arrived .left pre")
    assert "ada@nordwind.example" in desk.inner_text(".reading")
    look(desk, "step-3", folder)
    assert not Ticket.objects.filter(external_id="INC7").exists()
    desk.click("button:has-text('Go live')")
    desk.wait_for_selector("h1:has-text('Own tool')")
    ticket = Ticket.objects.get(external_id="INC7")
    assert ticket.source == Source.objects.get(name="Own tool")
    if KEPT:
        look(desk, "source-live", folder)
    desk.click("text=Delivery log")
    desk.wait_for_selector("td:has-text('INC7')")
    desk.keyboard.press("j")
    desk.keyboard.press("Enter")
    desk.wait_for_selector("text=As it was understood")
    look(desk, "delivery", folder)
    desk.click("text=INC7: Account locked")
    desk.wait_for_selector("h1:has-text('Account locked')")
