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
    desk.keyboard.press("j")
    desk.keyboard.press("Enter")
    for number, row in enumerate(single):
        desk.wait_for_selector(f"h1:has-text('{row.subject}')")
        if number % 4 == 1:
            desk.keyboard.press("2")
            desk.keyboard.press("2")
        elif number % 4 == 2:
            desk.keyboard.press("n")
            desk.keyboard.type("paper jam")
            desk.keyboard.press("Enter")
        else:
            desk.keyboard.press("a")
    desk.wait_for_selector("h1:has-text('Disk full')")
    desk.keyboard.press("u")
    desk.wait_for_selector("text=9 alike")
    desk.keyboard.press("j")
    desk.keyboard.press("g")
    desk.keyboard.press("o")  # after g it leads away and unfolds nothing
    desk.wait_for_url("**/overview/")
    desk.goto("/")
    desk.keyboard.press("j")
    desk.keyboard.press("o")
    desk.wait_for_selector("mark:has-text('web8')")
    desk.keyboard.press("x")
    desk.keyboard.press("d")
    desk.wait_for_selector("h1:has-text('Decide 9 tickets at once')")
    desk.keyboard.press("o")
    desk.keyboard.type("printer")
    desk.keyboard.press("Enter")
    desk.wait_for_selector("#article h2:has-text('Printer on the floor')")
    desk.keyboard.press("a")
    desk.wait_for_selector("h1:has-text('9 tickets decided')")
    desk.keyboard.press("u")
    desk.wait_for_selector("h1:has-text('Queue')")
    desk.keyboard.press("j")
    desk.keyboard.press("x")
    desk.keyboard.press("j")
    desk.keyboard.press("j")
    desk.keyboard.press("X")
    desk.wait_for_selector("text=3 chosen")
    desk.keyboard.press("d")
    desk.wait_for_selector("h1:has-text('Decide 3 tickets at once')")
    desk.keyboard.press("n")
    desk.keyboard.type("odd things")
    desk.keyboard.press("Enter")
    desk.wait_for_selector("h1:has-text('3 tickets decided')")
    said = {one.ticket_id: (one.verdict, one.article) for one in Review.objects.all()}
    assert said == {
        **{row.pk: [("article", "KB0007"), ("article", "KB0002"), ("none", ""), ("article", "KB0007")][n % 4] for n, row in enumerate(single)},
        **{row.pk: ("article", "KB0007") for row in rows},
        **{row.pk: ("none", "") for row in chosen},
    }  # fmt: skip
    desk.keyboard.press("z")
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
    desk.keyboard.press("j")
    desk.keyboard.press("x")
    desk.keyboard.press("j")
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
    desk.keyboard.press("j")
    desk.keyboard.press("x")
    waiting(scene, subject="Another one")
    desk.clock.fast_forward(10_000)
    desk.wait_for_selector("text=1 new ticket")
    assert desk.locator("text=Another one").count() == 0
    desk.keyboard.press(".")
    desk.wait_for_selector("text=Another one")
    assert desk.locator(f"#r{first.pk} [data-pick]").is_checked()
    assert _focus(desk) == f"t{first.pk}"
