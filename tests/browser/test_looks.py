"""Every page in light and dark, wide and narrow: nothing for axe to complain about, nothing wider than its screen.

TRIAGE_SCREENSHOTS=<folder> keeps the pictures and takes them in all four combinations.
"""

import os
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.conftest import sign_in
from tests.web.scene import Scene

KEPT = os.environ.get("TRIAGE_SCREENSHOTS")
LOOKS = [("desk", "light"), ("phone", "dark"), *([("desk", "dark"), ("phone", "light")] if KEPT else [])]


def _pages(scene: Scene) -> dict[str, str]:
    return {
        "queue": "/",
        "ticket": f"/tickets/{scene.tickets[0].uuid}/",
        "blind": f"/tickets/{scene.blind.uuid}/",
        "together": f"/together/?t={scene.tickets[1].pk}&t={scene.tickets[2].pk}",
        "choice": f"/choose/{scene.tickets[0].uuid}/{scene.tickets[0].text_hash[:16]}/accept/",
        "choice-other": f"/choose/{scene.tickets[0].uuid}/{scene.tickets[0].text_hash[:16]}/other/",
        "approvals": "/approvals/",
        "approval": f"/approvals/{scene.waiting.approvals.get().uuid}/",
        "runs": "/runs/",
        "run": f"/runs/{scene.lost.uuid}/",
        "overview": "/overview/",
        "certificates": "/certificates/",
        "certificate": f"/certificates/{scene.nordwind.certificate_set.get().uuid}/",
        "curve": "/certificates/nordwind/unlock_account/curve/",
        "models": "/models/",
        "model": "/models/nordwind/2026-11-20.1/",
        "model-confirm": "/models/nordwind/2026-10-02.3/promote/",
        "articles": "/articles/",
        "log": "/audit/",
        "notifications": "/notifications/",
        "sources": "/sources/",
        "source-new": "/sources/new/",
        "source": "/sources/nordwind-snow/",
        "source-connect": "/sources/nordwind-snow/connect/",
        "source-test": "/sources/nordwind-snow/test/",
        "deliveries": "/sources/nordwind-snow/deliveries/",
        "people": "/people/",
        "person": f"/people/{scene.approver.pk}/",
        "customers": "/customers/",
        "customer-settings": f"/customers/{scene.nordwind.slug}/settings/",
        "tokens": "/tokens/",
        "second-factor": "/me/second-factor/",
        "me": "/me/",
    }


@pytest.mark.parametrize(("width", "colours"), LOOKS)
def test_pages_fit_their_screen_and_everybody(
    width: str, colours: str, scene: Scene, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    page: Any = request.getfixturevalue(width)
    page.emulate_media(color_scheme=colours)
    folder = Path(KEPT or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    scene.agent.is_superuser = True
    scene.agent.save(update_fields=["is_superuser"])
    page.goto("/")
    _look(page, folder / f"sign-in-{width}-{colours}.png", whole=False)
    sign_in(page, "bea")
    for name, path in _pages(scene).items():
        page.goto(path)
        _look(page, folder / f"{name}-{width}-{colours}.png", whole=width == "phone")


def test_the_settings_pages_work_under_the_strict_policy(desk: Any, scene: Scene) -> None:
    scene.agent.is_superuser = scene.agent.is_staff = True
    scene.agent.save(update_fields=["is_superuser", "is_staff"])
    sign_in(desk, "bea")
    for path in ("/admin/", "/admin/triage/customer/", "/admin/triage/source/add/", "/admin/triage/person/"):
        desk.goto(path)
        assert desk.locator("#content h1").count() == 1


def _look(page: Any, picture: Path, *, whole: bool) -> None:
    page.screenshot(path=picture, full_page=whole)
    too_wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert too_wide <= 0, f"{picture.stem} is {too_wide} pixels too wide"
    result = Axe().run(page)
    assert result.response["passes"], "axe looked at nothing"
    assert not result.violations_count, f"{picture.stem}: {result.generate_report()}"
