"""Every page in a real browser: nothing for axe to complain about, nothing wider than its screen, nothing from elsewhere.

CI looks at each page once: wide or narrow, light or dark, as its name says. All looks: `python -m tests.browser.looks --all`.
"""

import os
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from tests.browser.conftest import sign_in
from tests.browser.looks import Looker, matrix
from tests.browser.pages import furnish, pages
from tests.web.scene import Scene

KEPT = os.environ.get("TRIAGE_SCREENSHOTS")


@pytest.mark.slow
def test_every_page_fits_its_screen_and_everybody(chromium: Any, scene: Scene, live_server: Any) -> None:
    whole, begins = os.environ.get("TRIAGE_LOOKS") == "all", os.environ.get("TRIAGE_LOOKS_AT", "")
    desk = furnish(scene, at=timezone.now())
    folder = Path(KEPT) if KEPT else None
    looker = Looker(chromium, live_server.url, desk.sessions, folder=folder, axe=not KEPT)
    there = [page for page in pages(desk) if page.name.startswith(begins)]
    for page, look in matrix(there, whole=whole):
        looker.look(page, look)
    looker.close()
    assert not looker.found, "\n".join(looker.found)
    assert looker.seen >= len([page for page in there if not page.part])


def test_the_settings_pages_work_under_the_strict_policy(desk: Any, scene: Scene) -> None:
    scene.agent.is_superuser = scene.agent.is_staff = True
    scene.agent.save(update_fields=["is_superuser", "is_staff"])
    sign_in(desk, "bea")
    for path in ("/admin/", "/admin/triage/customer/", "/admin/triage/source/add/", "/admin/triage/person/"):
        desk.goto(path)
        assert desk.locator("#content h1").count() == 1
