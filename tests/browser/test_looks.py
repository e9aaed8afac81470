"""Every page in a real browser: nothing for axe to complain about, nothing wider than its screen, nothing from elsewhere.

CI looks at each page once: wide or narrow, light or dark, as its name says. All looks: `python -m tests.browser.looks --all`.
"""

import os
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib import admin
from django.template.loader import render_to_string
from django.utils import timezone

from tests.browser.conftest import Watched, sign_in
from tests.browser.looks import Looker, complaints, matrix
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


def test_the_settings_pages_work_for_everybody_under_the_strict_policy(
    desk: Any, scene: Scene, watched: Watched
) -> None:
    scene.agent.is_superuser = scene.agent.is_staff = True
    scene.agent.save(update_fields=["is_superuser", "is_staff"])
    sign_in(desk, "bea")
    found, paths, lists = [], ["/admin/"], []  # type: list[str], list[str], list[str]
    for model in admin.site._registry:
        if model._meta.app_label == "triage":
            listed, row = f"/admin/triage/{model._meta.model_name}/", model._default_manager.order_by("pk").first()
            paths.append(f"{listed}{row.pk}/change/" if row else f"{listed}add/")
            lists.append(listed)
    for path in [*paths, *lists[::3]]:  # lists are alike
        desk.goto(path)
        assert desk.locator("#content h1").count() == 1, path
        assert watched.errors == [], path
        found += [f"{path}: {complaint}" for complaint in complaints(desk)]
        watched.errors.clear()  # axe tries styles on the page, which the policy refuses
    assert not found, "\n".join(found)


def test_the_pages_of_a_locked_account_and_of_an_error_are_for_everybody(
    desk: Any, scene: Scene, watched: Watched
) -> None:
    desk.goto("/")
    for _ in range(settings.AXES_FAILURE_LIMIT):
        desk.fill("#id_username", "bea")
        desk.fill("#id_password", "not the password")
        desk.get_by_role("button", name="Sign in").click()
        desk.wait_for_load_state()
    assert desk.locator("#id_password").count() == 0, "it is locked"
    locked = complaints(desk)
    error = render_to_string("500.html")
    desk.route("**/broken/", lambda route: route.fulfill(status=500, content_type="text/html", body=error))
    desk.goto("/broken/")
    assert desk.locator("h1").count() == 1
    assert (locked, complaints(desk)) == ([], [])
    watched.errors.clear()  # the browser notes a 429 and a 500
