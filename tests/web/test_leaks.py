"""Nobody sees or touches what belongs to another customer: every address is tried, and a new one must be added here."""

import uuid
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests import factories
from tests.web.conftest import client_of
from tests.web.scene import Scene
from triage import review, tokens
from triage.models import ArticleFeed, AuditEvent, Customer, Label, Notification, Review, Run, SavedFilter, Ticket
from triage.web.urls import urlpatterns

SECRETS = ("Nordwind", "nordwind", "ada.lovelace", "board meeting", "grace.hopper", "alan.turing", "Bea Meyer")
PUBLIC = {"icon", "openid", "openid-done", "panel", "set-password", "sign-in", "sign-in-code", "sign-in-link", "sign-out"}
OWN = (
    *("audit-export", "customers-add", "me-second-factor", "people-add"),  # and for the roles that may
    *("queue-save", "queue-saved", "together", "together-decide", "together-done", "together-undo"),"notifications-seen", "me-mail", "token-issue", "queue-save", "queue-saved", "together", "together-decide", "together-done", "together-undo")  # POST only, of one's own
LISTS = {"people", "customers", "tokens", "queue", "queue-changes", "sources", "source-new", "queue-changes", "approvals", "runs", "overview", "articles", "audit", "certificates", "models", "notifications", "me"}


def _objects(scene: Scene) -> dict[str, dict[str, Any]]:
    """An object of the first customer for every address that names one."""
    ticket = {"uuid": scene.tickets[0].uuid}
    approval = {"uuid": scene.waiting.approvals.get().uuid}
    run = {"uuid": scene.lost.uuid}
    own = factories.article(customer=scene.nordwind, key="NW1", title="Nordwind only", translation_group="NW1")
    feed = ArticleFeed.objects.create(slug="nw", kind="zendesk", name="Nordwind's", customer=scene.nordwind)
    said = factories.review(scene.tickets[4], scene.agent)
    tokens.issue(person=scene.agent, name="Bea Meyer's", scopes=["runs:read"], days="30", at=timezone.now())
    token = tokens.of(scene.agent)[0]
    proof = factories.certificate(factories.release(scene.nordwind, version="nordwind-1"))
    model = {"slug": "nordwind", "version": "nordwind-1"}
    snow = {"slug": scene.tickets[0].source.slug}
    parts = ("", "-connect", "-test", "-live", "-change", "-access", "-assurance", "-secret", "-retire", "-map")
    message = {**snow, "uuid": uuid.uuid4()}
    return {
        "queue-alike": {"pk": scene.tickets[0].pk},
        "queue-change-saved": {"pk": SavedFilter.objects.create(person=scene.agent, name="Bea Meyer", query={}).pk},
        "ticket": ticket,
        "ticket-hold": ticket,
        "ticket-release": ticket,
        "ticket-take-over": ticket,
        "ticket-verdict": ticket,
        "ticket-reveal": ticket,
        "ticket-article": ticket,
        "ticket-search": ticket,
        "ticket-run": ticket,
        "ticket-why": ticket,
        "ticket-similar": ticket,
        "review-undo": {"review_id": said.pk},
        "choice": {**ticket, "text": scene.tickets[0].text_hash[:16], "choice": "accept"},
        "approval": approval,
        "approval-answer": approval,
        "approval-rehearse": approval,
        "run": run,
        "run-settle": run,
        "run-live": run,
        "run-stop": run,
        "automation-switch": {"slug": "nordwind"},
        "automation-switch-all": {},
        "runbooks": {"slug": "nordwind"},
        "runbook": {"slug": "nordwind", "key": "unlock_account"},
        "runbook-switch": {"slug": "nordwind", "key": "unlock_account"},
        "runbook-circuit": {"slug": "nordwind", "key": "unlock_account"},
        "article": {"pk": own.pk},
        "feed-sync": {"pk": feed.pk},
        "feed-retire": {"pk": feed.pk},
        "certificate": {"uuid": proof.uuid},
        "certificate-curve": {"slug": "nordwind", "key": "unlock_account"},
        "model": model,
        "model-compare": model,
        "model-promote": model,
        "model-roll-back": model,
        "model-train": {"slug": "nordwind"},
        "token-revoke": {"pk": token.pk},
        "tokens-revoke": {"pk": token.pk},
        "person": {"pk": scene.agent.pk},
        "person-change": {"pk": scene.agent.pk},
        "person-role": {"pk": scene.agent.pk},
        "person-roles": {"pk": scene.agent.pk, "slug": "nordwind"},
        "customer-settings": {"slug": "nordwind"},
        **{f"source{part}": snow for part in parts},
        "source-unmap": {**snow, "pk": 1},
        "deliveries": snow,
        "deliveries-replay": snow,
        "delivery": message,
        "delivery-replay": message,
    }


PASSED = "panel-"  # addresses that a pass opens and no session: tests/web/test_panel.py tries them


def _names() -> list[str]:
    names = [str(pattern.name) for pattern in urlpatterns if pattern.name not in (*PUBLIC, *OWN)]
    return [name for name in names if not name.startswith(PASSED)]


def test_a_stranger_gets_404_for_every_object_of_another_customer(scene: Scene) -> None:
    client, objects = client_of(scene.stranger), _objects(scene)
    for name in _names():
        if name in LISTS:
            continue
        path = reverse(name, kwargs=objects[name])
        answers = {client.get(path).status_code, client.post(path, {"verdict": "none", "note": "abc"}).status_code}
        assert answers <= {403, 404, 405}, f"{name} answered {answers}"
        assert answers & {403, 404}, f"{name} was never refused"


def test_a_stranger_changes_nothing_of_another_customer(scene: Scene) -> None:
    client, objects = client_of(scene.stranger), _objects(scene)
    notice = Notification.objects.create(
        customer=scene.nordwind, kind="x", key="x", text="x", created_at=timezone.now()
    )
    before = list(Ticket.objects.order_by("pk").values("pk", "status", "held_by", "occasion"))
    for name, kwargs in objects.items():
        form = {"verdict": "article", "article": "KB0001", "answer": "grant", "found": "happened", "note": "x"}
        form["to"] = "off"
        client.post(reverse(name, kwargs=kwargs), form)
    client.post(reverse("notifications-seen"), {"which": notice.pk})
    notice.refresh_from_db()
    assert notice.seen_at is None
    assert list(Ticket.objects.order_by("pk").values("pk", "status", "held_by", "occasion")) == before
    assert Review.objects.count() == 1
    assert not Label.objects.exists()
    assert Run.objects.get().status == "unknown"
    assert tokens.of(scene.agent).exists()
    assert Customer.objects.get(slug="nordwind").automation_enabled


@pytest.mark.parametrize("role", ["agent", "approver", "steward", "admin", "auditor"])
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


def test_every_page_asks_who_you_are(scene: Scene) -> None:
    objects = _objects(scene)
    for name in [*_names(), *OWN]:
        answer = Client().get(reverse(name, kwargs=objects.get(name)))
        assert answer.status_code == 405 or answer["Location"].startswith("/sign-in/?next="), name
        answer = Client().post(reverse(name, kwargs=objects.get(name)))
        assert answer.status_code == 405 or answer["Location"].startswith("/sign-in/?next="), name


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
