"""A day at the queue in a real browser: twenty tickets by keyboard, a storm at once, two agents and one ticket."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from tests import factories
from tests.browser.conftest import DESKTOP, Watched, sign_in
from tests.web.scene import Scene
from tests.web.test_queue import storm, waiting
from triage.models import Review, Ticket


def _focus(page: Any) -> str:
    return str(page.evaluate("document.activeElement.id"))


def _press(page: Any, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def _say(page: Any, key: str, words: str) -> None:
    """The key of what asks for words, and the words."""
    page.keyboard.press(key)
    page.keyboard.type(words)
    page.keyboard.press("Enter")


def _decide_the_storm_at_once(desk: Any) -> None:
    """From the first of its tickets back to the queue, into the storm, and all of it under one article."""
    desk.wait_for_selector("h1:has-text('Disk full')")
    _press(desk, "u")
    desk.wait_for_selector("text=9 alike")
    _press(desk, "j", "g", "o")  # after g it leads away and unfolds nothing
    desk.wait_for_url("**/overview/")
    desk.goto("/")
    _press(desk, "j", "o")
    desk.wait_for_selector("mark:has-text('web8')")
    _press(desk, "x", "d")
    desk.wait_for_selector("h1:has-text('Decide 9 tickets at once')")
    _say(desk, "o", "printer")
    desk.wait_for_selector("#article h2:has-text('Printer on the floor')")
    _press(desk, "a")
    desk.wait_for_selector("h1:has-text('9 tickets decided')")


def _decide_what_was_chosen_at_once(desk: Any) -> None:
    """Three tickets that are left, from the first to the last of them: none of our articles."""
    _press(desk, "u")
    desk.wait_for_selector("h1:has-text('Queue')")
    _press(desk, "j", "x", "j", "j", "X")
    desk.wait_for_selector("text=3 chosen")
    _press(desk, "d")
    desk.wait_for_selector("h1:has-text('Decide 3 tickets at once')")
    _say(desk, "n", "odd things")
    desk.wait_for_selector("h1:has-text('3 tickets decided')")


def test_twenty_tickets_are_decided_by_keyboard_alone(desk: Any, scene: Scene) -> None:
    Ticket.objects.update(status="withdrawn")
    single = [waiting(scene, subject=f"Printer {number}", turn=number) for number in range(8)]
    for row in single:
        factories.prediction(
            row, "KB0007", matches=[{"label": "KB0007", "probability": 0.9}, {"label": "KB0002", "probability": 0.1}]
        )
    rows = storm(scene, 9, turn=800)
    chosen = [waiting(scene, subject=f"Odd {number}", turn=900 + number) for number in range(3)]
    sign_in(desk, "bea")
    _press(desk, "j", "Enter")
    for number, row in enumerate(single):
        desk.wait_for_selector(f"h1:has-text('{row.subject}')")
        if number % 4 == 1:
            _press(desk, "2", "2")
        elif number % 4 == 2:
            _say(desk, "n", "paper jam")
        else:
            _press(desk, "a")
    _decide_the_storm_at_once(desk)
    _decide_what_was_chosen_at_once(desk)
    said = {one.ticket_id: (one.verdict, one.article) for one in Review.objects.all()}
    assert said == {
        **{row.pk: [("article", "KB0007"), ("article", "KB0002"), ("none", ""), ("article", "KB0007")][n % 4] for n, row in enumerate(single)},
        **{row.pk: ("article", "KB0007") for row in rows},
        **{row.pk: ("none", "") for row in chosen},
    }  # fmt: skip
    _press(desk, "z")
    desk.wait_for_selector("h1:has-text('Taken back')")
    assert {Ticket.objects.get(pk=row.pk).status for row in chosen} == {"needs_review"}


def test_two_agents_meet_at_one_ticket(desk: Any, scene: Scene, chromium: Any, watched: Watched) -> None:
    factories.member(scene.nordwind, username="otto", first_name="Otto", last_name="Ohm")
    ticket = scene.tickets[0]
    context = chromium.new_context(base_url=watched.server, viewport=DESKTOP)
    other = context.new_page()
    watched.watch(other)
    desk.clock.install()
    sign_in(desk, "bea")
    sign_in(other, "otto")
    _press(desk, "j", "x", "j")
    here = _focus(desk)
    scroll = desk.evaluate("scrollY")
    other.goto(f"/tickets/{ticket.uuid}/")
    waiting(scene, subject="Comes first", due_at=timezone.now() - timedelta(hours=9))
    desk.clock.fast_forward(10_000)
    desk.wait_for_selector(f"#r{ticket.pk} >> text=open with Otto Ohm")
    desk.wait_for_selector("#news >> text=1 new ticket")
    assert desk.locator(f"#r{ticket.pk} [data-pick]").is_checked()
    assert (_focus(desk), desk.evaluate("scrollY")) == (here, scroll)
    desk.goto(f"/tickets/{ticket.uuid}/")
    desk.wait_for_selector("text=Otto Ohm has this ticket open")
    desk.keyboard.press("a")
    desk.get_by_role("button", name="Take over").press("Enter")
    desk.wait_for_selector("text=yours until")
    other.keyboard.press("a")
    other.wait_for_selector("text=Bea Meyer has this ticket open")
    assert not Review.objects.exists()
    desk.keyboard.press("a")
    desk.wait_for_selector("text=is decided")
    assert Review.objects.get().person == scene.agent
    context.close()


def test_new_tickets_show_when_asked_for_and_by_themselves_on_an_empty_page(desk: Any, scene: Scene) -> None:
    Ticket.objects.update(status="withdrawn")
    desk.clock.install()
    sign_in(desk, "bea")
    desk.wait_for_selector("text=All done")
    first = waiting(scene, subject="The very first")
    desk.clock.fast_forward(10_000)
    desk.wait_for_selector("text=The very first")
    _press(desk, "j", "x")
    waiting(scene, subject="Another one")
    desk.clock.fast_forward(10_000)
    desk.wait_for_selector("text=1 new ticket")
    assert desk.locator("text=Another one").count() == 0
    desk.keyboard.press(".")
    desk.wait_for_selector("text=Another one")
    assert desk.locator(f"#r{first.pk} [data-pick]").is_checked()
    assert _focus(desk) == f"t{first.pk}"
