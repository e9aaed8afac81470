"""What a drawn ticket keeps to itself, on every page."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests import factories
from tests.web.conftest import client_of
from tests.web.scene import Scene
from triage import lifecycle
from triage.models import Review, Ticket


def _post(client: Client, ticket: Ticket, **values: Any) -> Any:
    form = {"verdict": "article", "article": "KB0001", "text_hash": ticket.text_hash, **values}
    return client.post(reverse("ticket-verdict", args=[ticket.uuid]), form)


@pytest.fixture
def verify(scene: Scene) -> Ticket:
    """A drawn ticket that was run for by itself."""
    ticket = factories.ticket(
        source=scene.tickets[0].source,
        subject="Drawn and run",
        status="resolved",
        reason="KB0001 at 98 %: unlocked",
    )
    factories.draw(ticket, "verify", 0.05)
    lifecycle.record(row=ticket, event="decided", at=timezone.now(), actor="system:prediction", reason=ticket.reason)
    factories.prediction(ticket, "KB0001", 0.98)
    decision = factories.decision(ticket, reason="KB0001 at 98 %: unlocked")
    factories.run(ticket, scene.target, status="succeeded", decision=decision, target_object="drawn.person")
    return ticket


def test_no_page_tells_before_the_verdict(scene: Scene, verify: Ticket) -> None:
    scene.agent.is_superuser = True
    scene.agent.save(update_fields=["is_superuser"])
    client = client_of(scene.agent)
    run = verify.runs.get()
    for path in (
        reverse("ticket", args=[verify.uuid]),
        reverse("runs"),
        reverse("run", args=[run.uuid]),
        reverse("queue") + "?status=verify",
        reverse("queue") + "?status=all",
        reverse("audit"),
    ):
        page = client.get(path).content.decode()
        assert "drawn.person" not in page, path
        assert "98\xa0%" not in page, path
        assert "unlocked" not in page, path


def test_it_waits_among_the_blind_checks_until_answered(scene: Scene, verify: Ticket) -> None:
    client = client_of(scene.agent)
    checks = reverse("queue") + "?status=verify"
    assert "Drawn and run" in client.get(checks).content.decode()
    assert "Drawn and run" not in client.get(reverse("queue")).content.decode()
    _post(client, verify)
    assert "Drawn and run" not in client.get(checks).content.decode()
    assert Review.objects.get().blind


def test_an_approver_breaks_the_seal_on_the_record(scene: Scene) -> None:
    factories.draw(scene.waiting, "verify", 0.05)
    approval = scene.waiting.approvals.get()
    client = client_of(scene.approver)
    path = reverse("approval", args=[approval.uuid])
    page = client.get(path).content.decode()
    assert "grace.hopper" not in page
    client.post(reverse("approval-answer", args=[approval.uuid]), {"answer": "grant"})
    approval.refresh_from_db()
    assert approval.status == "asked"
    answer = client.post(reverse("ticket-reveal", args=[scene.waiting.uuid]), {"back": path})
    assert answer["Location"] == path
    assert "grace.hopper" in client.get(path).content.decode()
    assert "grace.hopper" not in client_of(factories.member(scene.nordwind, "approver")).get(path).content.decode()


def test_breaking_the_seal_leads_nowhere_else(scene: Scene) -> None:
    path = reverse("ticket-reveal", args=[scene.blind.uuid])
    for back in ("https://evil.example/approvals/", "//evil.example", "/admin/"):
        answer = client_of(scene.agent).post(path, {"back": back})
        assert answer["Location"] == reverse("ticket", args=[scene.blind.uuid])


def test_a_blind_confirmation_proposes_no_values(scene: Scene) -> None:
    factories.draw(scene.waiting, "verify", 0.05)
    path = reverse("ticket-run", args=[scene.waiting.uuid])
    page = client_of(scene.agent).post(path, {"article": "KB0001"}).content.decode()
    assert "Record only" in page
    assert "Run it" not in page
    assert 'value="grace.hopper"' not in page


def test_what_another_can_still_take_back_leads_nobody(scene: Scene, verify: Ticket) -> None:
    other = factories.member(scene.nordwind, first_name="Otto", last_name="Ohm")
    factories.review(verify, other, blind=True, article="KB0555", decided_at=timezone.now())
    path = reverse("ticket", args=[verify.uuid])
    assert "KB0555" not in client_of(scene.agent).get(path).content.decode()
    assert "KB0555" in client_of(other).get(path).content.decode()
