"""The ticket's page says what the ITSM was told, set and left there, and nothing of it while the ticket is sealed."""

import pytest
from django.urls import reverse
from django.utils import timezone

from tests.web.conftest import client_of
from tests.web.scene import Scene
from triage.models import Ticket, Writeback

REASON = "Set: labels vpn. Left: group: somebody set Network."


def told(ticket: Ticket) -> None:
    now = timezone.now()
    assert ticket.customer
    content = {"because": "a person decided: KB0001", "text": "<b>x</b>"}
    Writeback.objects.create(
        customer=ticket.customer, ticket=ticket, key=f"place-{ticket.pk}", what="place", content=content,
        status="done", reason=REASON, next_at=now, created_at=now, done_at=now,
    )  # fmt: skip


@pytest.mark.django_db
def test_the_page_lists_what_was_set_and_left_but_not_of_a_sealed_ticket(scene: Scene) -> None:
    client = client_of(scene.agent)
    for ticket, shown in ((scene.tickets[0], True), (scene.blind, False)):
        told(ticket)
        page = client.get(reverse("ticket", args=[ticket.uuid])).content.decode()
        assert (REASON in page) is shown
        assert ("a person decided: KB0001" in page) is shown
