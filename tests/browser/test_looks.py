"""Pictures of the pages, for people to look at; the test is that each page renders without a scroll bar to the side."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import sign_in
from tests.web.scene import Scene

PAGES = ("queue", "ticket", "blind", "approvals", "approval", "runs", "run", "overview", "articles", "log")


def _path(scene: Scene, page: str) -> str:
    return {
        "queue": "/",
        "ticket": f"/tickets/{scene.tickets[0].uuid}/",
        "blind": f"/tickets/{scene.blind.uuid}/",
        "approvals": "/approvals/",
        "approval": f"/approvals/{scene.waiting.approvals.get().uuid}/",
        "runs": "/runs/",
        "run": f"/runs/{scene.lost.uuid}/",
        "overview": "/overview/",
        "articles": "/articles/",
        "log": "/audit/",
    }[page]


@pytest.mark.parametrize("width", ["desk", "phone"])
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_no_page_is_wider_than_its_screen(
    width: str, colours: str, scene: Scene, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    page: Any = request.getfixturevalue(width)
    page.emulate_media(color_scheme=colours)
    folder = Path(os.environ.get("TRIAGE_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    scene.agent.is_superuser = True
    scene.agent.save(update_fields=["is_superuser"])
    page.goto("/")
    page.screenshot(path=folder / f"sign-in-{width}-{colours}.png")
    sign_in(page, "bea")
    for name in PAGES:
        page.goto(_path(scene, name))
        page.screenshot(path=folder / f"{name}-{width}-{colours}.png", full_page=width == "phone")
        too_wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert too_wide <= 0, f"{name} is {too_wide} pixels too wide"
