"""Deciding, holding, undoing and settling through the pages."""

from datetime import timedelta
from typing import Any

from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests import factories
from tests.web.conftest import client_of
from tests.web.scene import Scene
from triage import review
from triage.models import Article, Customer, Label, Membership, Notification, Review, Run, Ticket, Writeback


def _post(client: Client, ticket: Ticket, **values: Any) -> Any:
    form = {"verdict": "article", "article": "KB0001", "text_hash": ticket.text_hash, **values}
    return client.post(reverse("ticket-verdict", args=[ticket.uuid]), form)


def _page(client: Client, ticket: Ticket) -> str:
    return client.get(reverse("ticket", args=[ticket.uuid])).content.decode()


def test_a_verdict_leads_to_the_next_ticket_and_offers_the_way_back(scene: Scene) -> None:
    client = client_of(scene.agent)
    answer = _post(client, scene.tickets[0])
    assert answer["Location"] == reverse("ticket", args=[scene.tickets[1].uuid])
    page = client.get(answer["Location"]).content.decode()
    said = Review.objects.get()
    assert reverse("review-undo", args=[said.pk]) in page
    back = client.post(reverse("review-undo", args=[said.pk]))
    assert back["Location"] == reverse("ticket", args=[scene.tickets[0].uuid])
    scene.tickets[0].refresh_from_db()
    assert scene.tickets[0].status == "needs_review"


def test_the_next_ticket_keeps_to_what_the_queue_was_narrowed_to(scene: Scene) -> None:
    answer = _post(client_of(scene.agent), scene.tickets[0], text="VPN", customer="nordwind")
    assert answer["Location"].startswith(reverse("ticket", args=[scene.tickets[2].uuid]) + "?")
    assert "text=VPN" in answer["Location"]


def test_wrong_parameters_are_offered_where_there_is_a_runbook_to_have_them(scene: Scene) -> None:
    client = client_of(scene.agent)
    assert 'value="wrong_parameters"' in _page(client, scene.tickets[0])
    assert 'value="wrong_parameters"' not in _page(client, scene.tickets[2])


def test_the_next_ticket_is_one_that_nobody_else_has_open(scene: Scene) -> None:
    other = factories.member(scene.nordwind)
    review.hold(scene.tickets[1], person=other, at=timezone.now())
    answer = _post(client_of(scene.agent), scene.tickets[0])
    assert answer["Location"] == reverse("ticket", args=[scene.lost.ticket.uuid])


def test_after_the_last_ticket_comes_the_queue(scene: Scene) -> None:
    Ticket.objects.exclude(pk=scene.tickets[0].pk).update(status="withdrawn")
    assert _post(client_of(scene.agent), scene.tickets[0])["Location"] == reverse("queue")


def test_two_agents_with_one_ticket(scene: Scene) -> None:
    ticket = scene.tickets[0]
    other = factories.member(scene.nordwind, first_name="Otto", last_name="Ohm")
    first, second = client_of(scene.agent), client_of(other)
    assert "yours until" in _page(first, ticket)
    page = _page(second, ticket)
    assert "Bea Meyer</b> has this ticket open" in page
    assert "disabled" in page
    _post(second, ticket, article="KB0004")
    assert not Review.objects.exists()
    assert "Bea Meyer has this ticket open" in _page(second, ticket)
    _post(first, ticket)
    answer = _post(second, ticket, article="KB0004")
    assert Review.objects.get().person == scene.agent
    assert "Bea Meyer has decided this ticket already" in second.get(answer["Location"]).content.decode()


def test_a_double_click_decides_once(scene: Scene) -> None:
    client = client_of(scene.agent)
    _post(client, scene.tickets[0])
    _post(client, scene.tickets[0])
    assert Review.objects.count() == Label.objects.count() == 1


def test_what_was_on_the_screen_is_what_is_decided(scene: Scene) -> None:
    client, ticket = client_of(scene.agent), scene.tickets[0]
    Ticket.objects.filter(pk=ticket.pk).update(body="Something else entirely", text_hash="e" * 64)
    answer = _post(client, ticket)
    assert "text has changed" in client.get(answer["Location"]).content.decode()
    assert not Review.objects.exists()


def test_going_back_gives_the_hold_back(scene: Scene) -> None:
    client, ticket = client_of(scene.agent), scene.tickets[0]
    _page(client, ticket)
    ticket.refresh_from_db()
    assert ticket.held_by == scene.agent
    answer = client.post(reverse("ticket-release", args=[ticket.uuid]), {"status": "needs_review"})
    assert answer["Location"] == "/?status=needs_review"
    ticket.refresh_from_db()
    assert ticket.held_by is None


def test_an_open_page_renews_its_hold_and_says_when_it_is_lost(scene: Scene) -> None:
    client, ticket = client_of(scene.agent), scene.tickets[0]
    _page(client, ticket)
    Ticket.objects.filter(pk=ticket.pk).update(held_until=timezone.now() + timedelta(seconds=5))
    assert "yours until" in client.post(reverse("ticket-hold", args=[ticket.uuid])).content.decode()
    ticket.refresh_from_db()
    assert ticket.held_until
    assert ticket.held_until > timezone.now() + timedelta(minutes=4)
    _post(client_of(scene.agent), ticket)
    assert "Decided meanwhile" in client.post(reverse("ticket-hold", args=[ticket.uuid])).content.decode()


def test_an_auditor_reads_and_takes_no_hold(scene: Scene) -> None:
    client = client_of(factories.member(scene.nordwind, "auditor"))
    page = _page(client, scene.tickets[0])
    assert 'id="decide"' not in page
    _post(client, scene.tickets[0])
    assert not Review.objects.exists()
    scene.tickets[0].refresh_from_db()
    assert scene.tickets[0].held_by is None


def test_the_confirmation_shows_what_would_happen_and_changes_nothing(scene: Scene) -> None:
    client, ticket = client_of(scene.agent), scene.tickets[0]
    path = reverse("ticket-run", args=[ticket.uuid])
    page = client.post(path, {"article": "KB0001"}, headers={"HX-Request": "true"}).content.decode()
    assert 'value="ada.lovelace"' in page
    assert "nordwind-ad" in page
    assert "<html" not in page
    assert "<html" in client.post(path, {"article": "KB0001"}).content.decode()
    assert not Run.objects.filter(ticket=ticket).exists()
    assert "has no runbook" in client.post(path, {"article": "KB0004"}).content.decode()


def test_running_from_the_page(scene: Scene) -> None:
    _post(client_of(scene.agent), scene.tickets[0], **{"follow": "run", "p-account": " ada.lovelace "})
    assert Run.objects.get(ticket=scene.tickets[0]).parameters == {"account": "ada.lovelace"}


def test_search_finds_by_every_word_and_only_what_is_offered(scene: Scene) -> None:
    factories.article(key="X1", title="Printer of somebody else", customer=scene.contoso, translation_group="X1")
    path = reverse("ticket-search", args=[scene.tickets[0].uuid])
    page = client_of(scene.agent).get(path, {"q": "printer"}).content.decode()
    assert "KB0007" in page
    assert "X1" not in page
    assert "No article has all" in client_of(scene.agent).get(path, {"q": "printer banana"}).content.decode()


def test_a_lost_run_is_settled_through_its_page(scene: Scene) -> None:
    client = client_of(scene.agent)
    path = reverse("run-settle", args=[scene.lost.uuid])
    client.post(path, {"found": "happened"})
    scene.lost.refresh_from_db()
    assert scene.lost.status == "unknown"
    client.post(path, {"found": "happened", "note": "the account is open"})
    scene.lost.refresh_from_db()
    assert scene.lost.status == "succeeded"
    scene.lost.ticket.refresh_from_db()
    assert scene.lost.ticket.status == "resolved"


def test_the_kill_switch(scene: Scene) -> None:
    path = reverse("automation-switch", args=["nordwind"])
    agent = client_of(scene.agent)
    assert "Stop all runbooks" in agent.get(reverse("overview")).content.decode()
    agent.post(path, {"to": "off"})
    assert not Customer.objects.get(slug="nordwind").automation_enabled
    assert agent.post(path, {"to": "on", "reason": "fine now"}).status_code == 403
    Membership.objects.create(person=scene.agent, customer=scene.nordwind, role="admin")
    agent.post(path, {"to": "on"})
    assert not Customer.objects.get(slug="nordwind").automation_enabled
    agent.post(path, {"to": "on", "reason": "fine now"})
    assert Customer.objects.get(slug="nordwind").automation_enabled


def test_notifications_are_counted_until_somebody_has_seen_them(scene: Scene) -> None:
    client = client_of(scene.agent)
    notice = Notification.objects.get()
    assert "waits for approval" in client.get(reverse("notifications")).content.decode()
    client.post(reverse("notifications-seen"), {"which": [notice.pk, "x", "9" * 30]})
    notice.refresh_from_db()
    assert notice.seen_by == scene.agent
    assert "Nothing new" in client.get(reverse("notifications")).content.decode()


def test_forms_without_their_token_are_refused(scene: Scene) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(scene.agent, backend="django.contrib.auth.backends.ModelBackend")
    answer = _post(client, scene.tickets[0])
    assert answer.status_code == 403
    assert "The page was too old" in answer.content.decode()
    assert not Review.objects.exists()


def test_the_confirmation_asks_for_what_was_not_found_and_says_why(scene: Scene) -> None:
    ticket = scene.tickets[0]
    Ticket.objects.filter(pk=ticket.pk).update(body="Please unlock ada.lovelace and grace.hopper", text_hash="d" * 64)
    path = reverse("ticket-run", args=[ticket.uuid])
    page = client_of(scene.agent).post(path, {"article": "KB0001"}).content.decode()
    assert "the text names ada.lovelace, grace.hopper" in page
    assert '<option value="grace.hopper">' in page
    assert 'value="" ' in page


def test_a_reply_begins_as_the_article_and_is_kept_while_it_is_edited(scene: Scene) -> None:
    client, ticket = client_of(scene.agent), scene.tickets[0]
    address = reverse("ticket-reply", args=[ticket.uuid])
    drafted = client.get(address, {"follow": "reply", "article": "KB0001"}).content.decode()
    article = Article.objects.filter(translation_group="KB0001").first()
    assert article is not None
    assert article.body[:20] in drafted
    assert 'name="reply_for" value="KB0001"' in drafted
    kept = client.get(address, {"follow": "reply", "article": "KB0001", "reply_for": "KB0001"})
    assert (kept.status_code, kept.content) == (204, b"")
    assert client.get(address, {"follow": "assign", "article": "KB0001"}).content.strip() == b""
    _post(client, ticket, article="KB0001", follow="reply", reply="Hello\r\nyou")
    assert Writeback.objects.get(ticket=ticket).content["text"] == "Hello\nyou"
