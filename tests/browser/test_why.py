"""The words that decided, in a real browser: marked on the page, told apart without colour, fine with axe."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone

from tests.browser.conftest import sign_in
from tests.browser.test_looks import KEPT
from tests.web import weighed
from tests.web.scene import Scene
from triage.models import Ticket

BODY = """Good morning,

since today my account is locked after too many failed sign-ins and Outlook asks for the password again and again.
The printer on our floor prints. Please unlock ada.lovelace, it is urgent.

Best regards from the warehouse
Ada"""


@pytest.fixture
def asked(scene: Scene) -> Ticket:
    """A ticket that a real model has read, with resolved ones beside it."""
    scene.nordwind.release_set.all().update(status="retired")
    made = weighed.release(scene.nordwind)
    source = scene.tickets[0].source
    weighed.solved(source, scene.agent, at=timezone.now(), count=40)
    row = weighed.ticket(
        source, made, "Account locked, please help", BODY, reason="The article's runbook needs a person's word."
    )
    row.decisions.update(parameters={"account": "ada.lovelace"})
    return row


def _style(page: Any, selector: str, name: str) -> str:
    return str(page.eval_on_selector(selector, "(el, name) => getComputedStyle(el)[name]", name))


@pytest.mark.parametrize(("width", "colours"), [("desk", "light"), ("phone", "dark")])
def test_the_words_that_decided_are_marked_for_everybody(
    width: str, colours: str, asked: Ticket, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    page: Any = request.getfixturevalue(width)
    page.emulate_media(color_scheme=colours)
    sign_in(page, "bea")
    page.goto(f"/tickets/{asked.uuid}/")
    page.wait_for_selector("#ticket-text mark.for.s3")
    page.wait_for_selector("#alike li")
    assert page.locator("#ticket-text .text").first.inner_text() == BODY  # nothing is lost, nothing said twice
    assert page.locator("#reasons-title").inner_text().startswith("Why KB1001 and not ")
    page.get_by_role("button", name="KB1002").click()
    page.wait_for_selector("#reasons-title:has-text('and not KB1002')")
    page.wait_for_selector("#ticket-text mark.against")
    assert _style(page, "#ticket-text mark.for", "textDecorationStyle") == "solid"
    assert _style(page, "#ticket-text mark.against", "textDecorationStyle") == "dashed"
    heard = "el => getComputedStyle(el, '::before').content"
    assert "speaks for" in page.eval_on_selector("#ticket-text mark.for.s3", heard)
    page.screenshot(path=Path(KEPT or tmp_path) / f"why-{width}-{colours}.png", full_page=True)
    too_wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert too_wide <= 0
    result = Axe().run(page)
    assert not result.violations_count, result.generate_report()


def test_a_neighbour_is_one_click_away(desk: Any, asked: Ticket) -> None:
    sign_in(desk, "bea")
    desk.goto(f"/tickets/{asked.uuid}/")
    first = desk.locator("#alike li a").first
    first.wait_for()
    number = first.locator(".id").inner_text()
    first.click()
    desk.wait_for_selector(f".crumbs .id:has-text('{number}')")
    assert number != asked.external_id
    assert urlsplit(desk.url).path == f"/tickets/{Ticket.objects.get(external_id=number).uuid}/"
