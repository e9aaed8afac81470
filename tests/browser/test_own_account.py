"""A person's own account in a real browser: the second factor from its picture to the next sign-in, and the theme."""

import base64
import time
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from tests.browser.conftest import sign_in
from tests.browser.looks import fits
from tests.browser.test_looks import KEPT
from tests.web.scene import Scene
from triage.models import SecondFactor


def test_a_second_factor_from_the_picture_to_the_next_sign_in_and_a_theme_that_stays(
    desk: Any, scene: Scene, tmp_path: Path
) -> None:
    folder = Path(KEPT or tmp_path)
    sign_in(desk, "bea")
    desk.goto("/me/second-factor/")
    desk.fill("#password", "a long enough password")
    desk.keyboard.press("Enter")
    desk.wait_for_selector(".qr svg")
    square = desk.locator(".qr svg").bounding_box()
    assert square["width"] == square["height"] > 150
    fits(desk, folder / "second-factor-picture.png")
    secret = desk.inner_text("code.secret").replace(" ", "")
    assert secret == SecondFactor.objects.get(person=scene.agent).secret
    app = TOTP(base64.b32decode(secret), 6, SHA1(), 30)  # noqa: S303 - what apps do
    desk.fill("#code-first", app.generate(time.time()).decode())
    desk.keyboard.press("Enter")
    desk.wait_for_selector(".recovery li")
    fits(desk, folder / "second-factor-codes.png")
    recovery = desk.locator(".recovery code").first.inner_text()

    desk.goto("/me/")
    desk.emulate_media(color_scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = desk.evaluate(ground)
    desk.select_option("#theme", "dark")
    desk.locator("#look button").click()
    desk.wait_for_selector("html[data-theme=dark]")
    assert desk.evaluate(ground) != light
    desk.emulate_media(color_scheme="dark")
    desk.select_option("#theme", "light")
    desk.locator("#look button").click()
    desk.wait_for_selector("html[data-theme=light]")
    assert desk.evaluate(ground) == light

    desk.locator(".person").click()
    desk.get_by_role("button", name="Sign out", exact=True).click()
    desk.wait_for_selector("#id_username:focus")
    desk.keyboard.type("bea")
    desk.keyboard.press("Tab")
    desk.keyboard.type("a long enough password")
    desk.keyboard.press("Enter")
    desk.wait_for_selector("#id_code:focus")
    fits(desk, folder / "sign-in-code.png")
    desk.fill("#id_code", recovery)
    desk.keyboard.press("Enter")
    desk.wait_for_selector("h1:has-text('Queue')")
