"""Working through the desk with the keyboard alone, in a real browser."""

from typing import Any

from django.utils import timezone

from tests.browser.conftest import sign_in
from tests.web.scene import Scene
from triage.models import Label, Review, Run, Ticket
from triage.web.signin import make_sign_in_link


def _title(page: Any) -> str:
    return str(page.locator("h1").inner_text())


def _status(ticket: Ticket) -> str:
    ticket.refresh_from_db()
    return ticket.status


def test_an_agent_decides_ticket_after_ticket_without_a_mouse(desk: Any, scene: Scene) -> None:
    sign_in(desk, "bea")
    desk.keyboard.press("j")
    desk.keyboard.press("Enter")
    desk.wait_for_selector("h1:has-text('Locked out before')")
    desk.keyboard.press("a")
    desk.wait_for_selector("h1:has-text('Postfach voll')")
    assert _status(scene.tickets[0]) == "resolved"
    assert Label.objects.get(ticket=scene.tickets[0]).article == "KB0001"

    desk.keyboard.press("2")
    desk.wait_for_selector("#article h2:has-text('Password forgotten')")
    desk.keyboard.press("2")
    desk.wait_for_selector("h1:has-text('alan.turing')")
    assert Review.objects.get(ticket=scene.tickets[1]).article == "KB0004"

    desk.keyboard.press("s")
    desk.wait_for_selector("h1:has-text('VPN drops')")
    desk.keyboard.press("n")
    desk.keyboard.type("holiday calendar")
    desk.keyboard.press("Enter")
    desk.wait_for_selector("h1:has-text('dossier partag')")
    assert Review.objects.get(ticket=scene.tickets[2]).note == "holiday calendar"
    assert Label.objects.get(ticket=scene.tickets[2]).article == ""


def test_the_first_administrator_signs_in_by_link_and_sets_a_password(desk: Any, scene: Scene) -> None:
    scene.agent.set_unusable_password()
    scene.agent.save(update_fields=["password"])
    desk.goto(make_sign_in_link(scene.agent, at=timezone.now()))
    desk.wait_for_selector("button:focus")
    desk.keyboard.press("Enter")
    desk.wait_for_selector("text=Set a password now")
    desk.get_by_label("New password").fill("a long enough password")
    desk.get_by_label("Once more").fill("a long enough password")
    desk.keyboard.press("Enter")
    desk.wait_for_selector("text=Your password is set")
    desk.get_by_role("button", name="Menu of Bea Meyer").click()
    desk.get_by_role("button", name="Sign out", exact=True).click()
    sign_in(desk, "bea")
    scene.agent.refresh_from_db()
    assert scene.agent.check_password("a long enough password")
    assert desk.get_by_role("button", name="Menu of Bea Meyer").is_visible()


def test_a_verdict_can_be_taken_back_with_one_key(desk: Any, scene: Scene) -> None:
    sign_in(desk, "bea")
    desk.goto(f"/tickets/{scene.tickets[0].uuid}/")
    for _ in range(3):
        desk.keyboard.down("2")  # held down: it repeats
    desk.keyboard.up("2")
    desk.wait_for_selector("#article h2:has-text('Password forgotten')")
    assert _status(scene.tickets[0]) == "needs_review"
    desk.keyboard.press("a")
    desk.wait_for_selector(".undo")
    assert _status(scene.tickets[0]) == "resolved"
    desk.keyboard.press("z")
    desk.wait_for_selector("h1:has-text('Locked out before')")
    assert _status(scene.tickets[0]) == "needs_review"


def test_accept_and_run_asks_before_it_starts(desk: Any, scene: Scene) -> None:
    sign_in(desk, "bea")
    desk.goto(f"/tickets/{scene.tickets[0].uuid}/")
    desk.keyboard.press("r")
    desk.wait_for_selector("dialog#confirm[open]")
    assert desk.locator("#id-p-account").input_value() == "ada.lovelace"
    assert not Run.objects.filter(ticket=scene.tickets[0]).exists()
    desk.keyboard.press("Escape")
    desk.wait_for_selector("dialog#confirm[open]", state="hidden")
    desk.keyboard.press("r")
    desk.wait_for_selector("dialog#confirm[open]")
    desk.keyboard.press("Enter")
    desk.wait_for_selector("h1:has-text('Postfach voll')")
    run = Run.objects.get(ticket=scene.tickets[0])
    assert (run.ordered_by, run.parameters) == (scene.agent, {"account": "ada.lovelace"})


def test_another_article_is_found_and_accepted_by_keyboard(desk: Any, scene: Scene) -> None:
    sign_in(desk, "bea")
    desk.goto(f"/tickets/{scene.tickets[0].uuid}/")
    assert desk.get_by_role("button", name="Accept and run…").is_visible()
    desk.keyboard.press("o")
    desk.keyboard.type("printer")
    desk.keyboard.press("Enter")  # at once: the answer is still on its way
    desk.wait_for_selector("#article h2:has-text('Printer on the floor')")
    assert not desk.get_by_role("button", name="Accept and run…").is_visible(), "this article has no runbook"
    desk.keyboard.press("a")
    desk.wait_for_selector("h1:has-text('Postfach voll')")
    assert Review.objects.get(ticket=scene.tickets[0]).article == "KB0007"


def test_the_queue_refreshes_and_keeps_its_place(desk: Any, scene: Scene) -> None:
    desk.clock.install()
    sign_in(desk, "bea")
    desk.keyboard.press("j")
    desk.keyboard.press("j")
    chosen = desk.evaluate("document.activeElement.id")
    assert chosen == f"t{scene.tickets[1].pk}"
    Ticket.objects.filter(pk=scene.tickets[3].pk).update(subject="Freshly changed subject")
    desk.clock.fast_forward(10_000)
    desk.wait_for_selector("text=Freshly changed subject")
    assert desk.evaluate("document.activeElement.id") == chosen


def test_keys_can_be_switched_off(desk: Any, scene: Scene) -> None:
    sign_in(desk, "bea")
    desk.goto("/me/")
    desk.locator("#keys-card").get_by_role("button", name="Single keys are on").press("Enter")
    desk.goto("/")
    desk.locator("[data-item]").first.focus()
    desk.keyboard.press("x")
    assert desk.locator("[data-pick]:checked").count() == 0
    desk.goto(f"/tickets/{scene.tickets[0].uuid}/")
    desk.keyboard.press("a")
    desk.wait_for_timeout(300)
    assert _status(scene.tickets[0]) == "needs_review"


def test_a_blind_ticket_shows_no_suggestion_until_its_verdict(desk: Any, scene: Scene) -> None:
    sign_in(desk, "bea")
    desk.goto(f"/tickets/{scene.blind.uuid}/")
    assert " %" not in desk.locator("main").inner_text()
    desk.keyboard.press("5")
    desk.wait_for_selector("#article h2:has-text('Second factor')")
    desk.keyboard.press("a")
    desk.wait_for_selector("h1:has-text('Locked out before')")
    review = Review.objects.get(ticket=scene.blind)
    assert (review.article, review.blind) == ("KB0005", True)
