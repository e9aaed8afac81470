"""New articles and none of these in the list, by keyboard, in a real browser."""

from typing import Any

import pytest

from tests import factories
from tests.browser.conftest import sign_in
from tests.web.scene import Scene
from triage.models import Label, Prediction, Review, Ticket


@pytest.fixture
def ticket(scene: Scene) -> Ticket:
    """The ticket about holidays, which looks like no article's, and a new article behind."""
    factories.article(key="KB0900", title="Carrying holidays over into the next year", body="Ask the staff office.")
    row = {"label": "KB0900", "likeness": 0.27, "in_front": False, "source": "text"}
    found = scene.tickets[5]
    Prediction.objects.filter(ticket_id=found.pk).update(new_articles=[row])
    return found


def test_none_leads_and_is_one_key_or_one_step_away(desk: Any, ticket: Ticket) -> None:
    sign_in(desk, "bea")
    desk.goto(f"/tickets/{ticket.uuid}/")
    assert desk.locator(".candidates > li").first.inner_text().startswith("n")
    desk.keyboard.press("a")
    desk.wait_for_timeout(300)
    assert not Review.objects.exists(), "nothing is chosen beforehand where none leads"
    desk.locator("body").click(position={"x": 5, "y": 5})
    desk.keyboard.press("j")
    desk.wait_for_selector(".none-fits button:focus")
    desk.keyboard.press("Enter")
    desk.wait_for_selector("#none-of-these:popover-open")
    desk.keyboard.press("Escape")
    desk.keyboard.press("n")
    desk.wait_for_selector("#none-note:focus")
    desk.keyboard.type("holiday rules")
    desk.keyboard.press("Enter")
    desk.wait_for_selector(".undo")
    assert (Review.objects.get().verdict, Review.objects.get().note) == ("none", "holiday rules")
    assert Label.objects.latest("pk").article == ""


def test_a_new_article_is_read_and_chosen_by_its_number(desk: Any, ticket: Ticket) -> None:
    sign_in(desk, "bea")
    desk.goto(f"/tickets/{ticket.uuid}/")
    desk.wait_for_selector("text=no ticket has proved it yet")
    desk.keyboard.press("2")
    desk.wait_for_selector("#article h2:has-text('Carrying holidays over')")
    desk.keyboard.press("2")
    desk.wait_for_selector(".undo")
    assert Label.objects.latest("pk").article == "KB0900"
