"""A person's word, through the pages."""

import pytest
from django.test import Client
from django.urls import reverse

from tests import factories
from tests.web.conftest import client_of
from tests.web.scene import Scene
from triage.models import Approval, Run


def _answer(scene: Scene, client: Client, **form: str) -> Approval:
    approval = scene.waiting.approvals.get()
    client.post(reverse("approval-answer", args=[approval.uuid]), form)
    approval.refresh_from_db()
    return approval


def test_yes_requests_the_run(scene: Scene) -> None:
    page = client_of(scene.approver).get(reverse("approval", args=[scene.waiting.approvals.get().uuid]))
    assert "grace.hopper" in page.content.decode()
    assert _answer(scene, client_of(scene.approver), answer="grant").status == "granted"
    run = Run.objects.get(ticket=scene.waiting)
    assert (run.parameters, run.status) == ({"account": "grace.hopper"}, "requested")


def test_no_needs_a_reason_and_sends_the_ticket_to_an_agent(scene: Scene) -> None:
    client = client_of(scene.approver)
    assert _answer(scene, client, answer="refuse", reason=" ").status == "asked"
    assert _answer(scene, client, answer="refuse", reason="not her account").status == "refused"
    scene.waiting.refresh_from_db()
    assert scene.waiting.status == "needs_review"


@pytest.mark.parametrize("role", ["agent", "auditor", "steward"])
def test_others_read_but_do_not_answer(scene: Scene, role: str) -> None:
    client = client_of(factories.member(scene.nordwind, role))
    page = client.get(reverse("approval", args=[scene.waiting.approvals.get().uuid])).content.decode()
    assert 'value="grant"' not in page
    assert _answer(scene, client, answer="grant").status == "asked"


def test_the_requester_does_not_answer(scene: Scene) -> None:
    asker = factories.member(scene.nordwind, "approver", email="grace@nordwind.example")
    assert _answer(scene, client_of(asker), answer="grant").status == "asked"
    assert not Run.objects.filter(ticket=scene.waiting).exists()
