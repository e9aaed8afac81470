"""Lists, searches and shared articles show nothing of another customer; every address: tests/contracts/test_isolation.py."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests import factories
from tests.web.conftest import client_of
from tests.web.scene import Scene
from triage import review
from triage.models import AuditEvent

SECRETS = ("Nordwind", "nordwind", "ada.lovelace", "board meeting", "grace.hopper", "alan.turing", "Bea Meyer")
LISTS = {
    "people",
    "customers",
    "tokens",
    "queue",
    "queue-changes",
    "sources",
    "source-new",
    "approvals",
    "runs",
    "overview",
    "articles",
    "audit",
    "certificates",
    "models",
    "notifications",
    "me",
}


@pytest.mark.parametrize("role", ["agent", "admin", "auditor"])
def test_lists_show_a_stranger_of_any_role_nothing_of_another_customer(scene: Scene, role: str) -> None:
    factories.member(scene.contoso, role, username="eve")
    client = client_of(scene.contoso.membership_set.get(role=role, person__username="eve").person)
    review.decide(ticket=scene.tickets[0], person=scene.agent, verdict="article", article="KB0001", at=timezone.now())
    for name in LISTS:
        for query in ("", "?status=all", "?status=verify", "?customer=nordwind", f"?customer={scene.nordwind.pk}"):
            answer = client.get(reverse(name) + query)
            assert answer.status_code in (200, 403)
            shown = answer.content.decode().replace(query or "?", "")  # the address itself is repeated in links
            assert not [word for word in SECRETS if word in shown], name


def test_a_verdict_on_a_shared_article_stays_with_its_customer(scene: Scene) -> None:
    factories.review(scene.tickets[0], scene.agent)
    shared = factories.article(key="KB0099", translation_group="KB0001", title="Shared")
    page = client_of(scene.stranger).get(reverse("article", args=[shared.pk])).content.decode()
    assert "0 verdicts" in page
    assert scene.tickets[0].external_id not in page


def test_a_part_of_a_page_sends_a_signed_out_browser_to_the_whole_sign_in_page(scene: Scene) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/?status=all"}
    answer = Client().get(reverse("queue"), headers=headers)
    assert answer["HX-Redirect"] == "/sign-in/?next=%2F%3Fstatus%3Dall"


def test_unmapped_tickets_are_for_the_provider_only(scene: Scene) -> None:
    ticket = factories.ticket(
        source=factories.source(customer=None), customer=None, subject="Whose is this", status="needs_review"
    )
    assert "Whose is this" not in client_of(scene.agent).get(reverse("queue")).content.decode()
    assert client_of(scene.agent).get(reverse("ticket", args=[ticket.uuid])).status_code == 404
    provider = client_of(factories.person(is_superuser=True))
    assert "Whose is this" in provider.get(reverse("queue")).content.decode()
    assert provider.get(reverse("ticket", args=[ticket.uuid])).status_code == 200


def test_the_log_of_another_customer_cannot_be_searched(scene: Scene) -> None:
    auditor = client_of(factories.member(scene.contoso, "auditor"))
    for person in (scene.tickets[0].external_id, "bea", "waiting"):
        page = auditor.get(reverse("audit"), {"text": person}).content.decode()
        assert "Nothing found" in page
    assert AuditEvent.objects.filter(customer_id=scene.nordwind.pk).exists()
