"""The ticket page with new articles and with none of these; a sealed ticket shows neither."""

import pytest
from django.urls import reverse

from tests import factories
from tests.web.conftest import client_of
from tests.web.scene import Scene
from triage.models import Label, Prediction, Review, Ticket

MARK = "matched by its text; no ticket has proved it yet"


@pytest.fixture
def ticket(scene: Scene) -> Ticket:
    """The first ticket, for which a new article was found as well."""
    factories.article(key="KB0900", title="<b>Badge</b> does not open the gate", runbook="unlock_account")
    row = {"label": "KB0900", "likeness": 0.42, "in_front": True, "source": "text"}
    for ticket in (scene.tickets[0], scene.blind):
        Prediction.objects.filter(ticket_id=ticket.pk).update(new_articles=[row])
    return scene.tickets[0]


def _page(scene: Scene, ticket: Ticket) -> str:
    return client_of(scene.agent).get(reverse("ticket", args=[ticket.uuid])).content.decode()


def test_a_new_article_is_marked_and_its_likeness_is_no_percentage(scene: Scene, ticket: Ticket) -> None:
    page = _page(scene, ticket)
    assert page.index("KB0900") < page.index('value="KB0001"')
    assert page.count(MARK) == 1
    assert "&lt;b&gt;Badge&lt;/b&gt; does not open the gate" in page
    assert "strong likeness" in page
    assert "0.42" in page
    assert "42\xa0%" not in page


def test_what_was_found_for_the_runbook_is_said_of_the_article_that_it_was_found_for(
    scene: Scene, ticket: Ticket
) -> None:
    form = _page(scene, ticket).split('value="wrong_parameters"')[1]
    assert form.index('value="KB0001"') < form.index("</form>")
    assert "KB0900" not in form.split("</form>")[0]


def test_accepting_a_new_article_makes_the_label_that_teaches_it(scene: Scene, ticket: Ticket) -> None:
    form = {"verdict": "article", "article": "KB0900", "text_hash": ticket.text_hash}
    client_of(scene.agent).post(reverse("ticket-verdict", args=[ticket.uuid]), form)
    assert Label.objects.get(ticket=ticket).article == "KB0900"


def test_the_list_ends_with_none_and_begins_with_it_where_nothing_looks_right(scene: Scene, ticket: Ticket) -> None:
    page = _page(scene, ticket)
    assert page.index('value="KB0005"') < page.index("None of these articles") < page.index("Search all articles")
    assert page.count(" checked ") - page.count('value="" checked') == 1
    holidays = _page(scene, scene.tickets[5])
    assert holidays.index("None of these articles") < holidays.index('value="KB0004"')
    assert holidays.count(" checked ") - holidays.count('value="" checked') == 0


def test_a_ticket_drawn_for_a_blind_check_shows_neither(scene: Scene, ticket: Ticket) -> None:
    page = _page(scene, scene.blind)
    assert MARK not in page
    assert "likeness" not in page
    assert "None of these articles" not in page
    assert "in-scope" not in page


def test_once_decided_the_page_still_says_what_was_suggested_and_how(scene: Scene, ticket: Ticket) -> None:
    form = {"verdict": "none", "note": "gate badge", "text_hash": ticket.text_hash}
    client_of(scene.agent).post(reverse("ticket-verdict", args=[ticket.uuid]), form)
    assert Review.objects.get(ticket=ticket).note == "gate badge"
    page = _page(scene, ticket)
    assert MARK in page
    assert "strong likeness" in page
