"""The page of a one-time link on a phone, in a real browser: it sends no referrer, so no origin either."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from django.utils import timezone

from runbooks import registry
from tests.web.scene import Scene
from triage import links
from triage.models import Run


def test_a_person_without_any_session_sets_a_password(phone: Any, scene: Scene) -> None:
    Run.objects.filter(pk=scene.lost.pk).update(status=Run.Status.SUCCEEDED, target_object="ada.lovelace")
    scene.lost.refresh_from_db()
    handed = links.prepare(scene.lost, registry.get("reset_password"), at=timezone.now())
    phone.goto(f"/{links.PATH}/{handed['link'].split('/')[4]}/")
    phone.wait_for_selector("#id_password:focus")
    assert phone.input_value("#id_account") == "ada.lovelace"
    assert Axe().run(phone).violations_count == 0
    phone.evaluate("() => { if (document.documentElement.scrollWidth > innerWidth) throw new Error('too wide') }")
    phone.fill("#id_password", "correct staple 9")
    phone.fill("#id_again", "correct staple 9")
    phone.keyboard.press("Enter")
    phone.wait_for_selector("h1:has-text('The password is set')")
