"""A model steward promotes a model and rolls it back, and tries promises on the slider, in a real browser."""

from typing import Any

from playwright.sync_api import expect

from tests import factories, trained
from tests.browser.conftest import sign_in
from tests.web.scene import Scene
from triage.models import AuditEvent, Release, Role

HELD_OUT = {"held_out": {"right": ["a", "b", "c"], "wrong": ["d"]}}


def test_a_steward_promotes_a_model_and_rolls_it_back(desk: Any, scene: Scene) -> None:
    steward = factories.member(scene.nordwind, Role.STEWARD, username="stew")
    Release.objects.all().update(status="retired", in_force_at=None)
    trained.release(scene.nordwind, version="v-1", measures=HELD_OUT)
    trained.release(scene.nordwind, version="v-2", status="candidate", in_force_at=None, measures=HELD_OUT)
    sign_in(desk, "stew")
    desk.get_by_role("link", name="Models").click()
    desk.get_by_role("link", name="v-2").click()
    desk.get_by_role("link", name="Promote").click()
    expect(desk.get_by_role("heading", name="Bring v-2 into force?")).to_be_visible()
    assert Release.objects.get(status="in_force").version == "v-1"
    desk.get_by_role("button", name="Bring into force").click(timeout=60_000)  # a process of its own checks it
    expect(desk.get_by_text("v-2 is in force.")).to_be_visible()
    desk.get_by_role("link", name="Roll back to v-1").click()
    expect(desk.get_by_text("answers in place of v-2")).to_be_visible()
    desk.get_by_role("button", name="Roll back").click(timeout=60_000)
    expect(desk.get_by_text("Rolled back: v-1 is in force again.")).to_be_visible()
    assert Release.objects.get(status="in_force").version == "v-1"
    moved = AuditEvent.objects.filter(subject="release", event="status", actor=f"person:{steward.pk}")
    assert moved.count() == 4


def test_the_slider_answers_at_once_and_what_was_unfolded_stays_so(desk: Any, scene: Scene) -> None:
    sign_in(desk, "bea")
    desk.goto("/certificates/nordwind/unlock_account/curve/")
    before = desk.locator("#curve dl").inner_text()
    desk.get_by_label("Wrong, at most, %").focus()
    for _ in range(7):
        desk.keyboard.press("ArrowLeft")
    expect(desk.get_by_role("heading", name="At most 1.5 % wrong")).to_be_visible()
    assert desk.locator("#curve dl").inner_text() != before
    assert desk.evaluate("document.activeElement.id") == "alpha"
    desk.goto("/overview/")
    desk.locator("#figures-outcomes > summary").click()
    desk.locator("#figures-outcomes > summary").focus()
    with desk.expect_response(lambda answer: answer.request.headers.get("hx-request") == "true"):
        desk.evaluate(
            "htmx.trigger('#live', 'htmx:abort'); htmx.ajax('GET', '/overview/', {target: '#live', source: '#live'})"
        )
    desk.wait_for_function("!document.querySelector('.htmx-request, .htmx-swapping, .htmx-settling')")
    assert desk.evaluate("document.getElementById('figures-outcomes').open")
    assert desk.evaluate("document.activeElement.id") == "figures-outcomes-open"
