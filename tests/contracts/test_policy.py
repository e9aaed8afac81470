"""Every answer carries the content security policy, whoever made it: pages, errors, redirects, static files, the API.

The pages are walked by tests/browser/test_hostile.py, which looks for it on each; here is what answers besides.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests import factories
from tests.web import scene as scenes
from tests.web.conftest import client_of
from tests.web.sending import send
from triage.models import Panel
from triage.queries import queue

pytestmark = pytest.mark.django_db
ORIGIN = "https://acme.service-now.example"
STRICT = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
}


def policy(answer: Any) -> dict[str, str]:
    """The answer's policy by directive."""
    parts = answer.headers["Content-Security-Policy"].split(";")
    return dict(part.strip().partition(" ")[::2] for part in parts)


def _answers(scene: scenes.Scene, settings: Any) -> Iterator[tuple[str, int, Any]]:
    nobody, agent = Client(raise_request_exception=False), client_of(scene.agent)
    source = scene.tickets[0].source
    yield "a refused host", 400, nobody.get("/", headers={"host": "evil.example"})
    yield "a damaged link", 400, agent.get("/?after=damaged")
    yield "a message without a signature", 401, nobody.post("/webhooks/nordwind-snow/", b"{}", "application/json")
    yield "the API without a token", 401, nobody.get("/api/tickets/")
    yield "a page that is not this person's", 403, agent.get("/people/")
    yield "a form without its mark", 403, Client(enforce_csrf_checks=True).post("/sign-out/")
    yield "no page", 404, agent.get("/no/such/page/")
    yield "no address of the API", 404, nobody.get("/api/no/such/thing/")
    yield "no file", 404, nobody.get("/static/no-such-file.css")
    yield "another method", 405, nobody.get("/sign-out/")
    yield "a link that was used", 410, nobody.get("/set-password/guessed/")
    yield "a message that is too large", 413, send(source, key="y", raw=b"x" * 1_500_000)
    yield "to the sign-in page", 302, nobody.get("/runs/")
    yield "an address without its last slash", 301, agent.get("/runs")
    yield "the icon", 302, nobody.get("/favicon.ico")
    yield "a message that is taken", 202, send(source, key="z")
    yield "the API's description", 200, nobody.get("/api/openapi.json")
    yield "BlazingText's door", 401, nobody.post("/sagemaker/nordwind/invocations", b"{}", "application/json")
    yield "Django's own administration", 302, nobody.get("/admin/")
    for file in ("triage/desk.css", "triage/desk.js", "triage/mark.svg", "django_htmx/htmx-2.min.js"):
        yield file, 200, nobody.get(f"/static/{file}")
    settings.SECURE_SSL_REDIRECT = True
    yield "to https", 301, Client().get("/")


def test_every_kind_of_answer_carries_the_strict_policy(db: None, tmp_path: Any, settings: Any) -> None:
    scene = scenes.build(at=timezone.now(), folder=tmp_path)
    for what, status, answer in _answers(scene, settings):
        assert answer.status_code == status, what
        assert "Content-Security-Policy" in answer.headers, what
        assert policy(answer) == STRICT, what
        b"".join(answer)  # or a file stays open


def test_a_page_that_breaks_carries_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(raise_request_exception=False)

    def breaks(*_: object) -> None:
        raise RuntimeError("broken")

    person = factories.person(username="otto", is_superuser=True)
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    monkeypatch.setattr(queue, "counts", breaks)
    answer = client.get(reverse("runs"))
    assert answer.status_code == 500
    assert policy(answer) == STRICT


def test_the_panel_alone_may_be_framed_and_by_its_own_origins_alone(tmp_path: Any) -> None:
    scene = scenes.build(at=timezone.now(), folder=tmp_path)
    Panel.objects.create(source=scene.tickets[0].source, enabled=True, origins=[ORIGIN])
    answer = Client().get("/panel/nordwind-snow/INC1/")
    assert policy(answer) == {**STRICT, "frame-ancestors": ORIGIN}
