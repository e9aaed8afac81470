"""The links of a note: looking changes nothing, a POST acts once, and nothing is told that may not be seen."""

from datetime import timedelta

import pytest
from django.apps import apps
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests import factories
from tests.web.conftest import client_of
from tests.web.scene import Scene
from triage import review, suggesting
from triage.models import Label, Membership, Review, Ticket, Writeback


def link(ticket: Ticket, choice: str = "accept") -> str:
    """The link of a note, as a path."""
    return suggesting.link(ticket, choice, "KB0001" if choice == "accept" else "").partition("8000")[2]


def form(ticket: Ticket, **values: str) -> dict[str, str]:
    return {"text_hash": ticket.text_hash, "article": "KB0001", "follow": "keep", **values}


def everything() -> list[object]:
    """Every row of every table, but the sessions of who looks."""
    tables = [table for table in apps.get_models() if table._meta.label != "sessions.Session"]
    return [list(table._default_manager.order_by("pk").values()) for table in tables]


def test_the_link_asks_to_sign_in_and_comes_back(scene: Scene) -> None:
    path = link(scene.tickets[0])
    asked = Client().get(path)
    assert asked["Location"].startswith("/sign-in/?next=/choose/")
    assert Client().get(asked["Location"]).context["next"] == path, "what signing in leads to"


def test_it_shows_ticket_article_probability_in_words_and_why(scene: Scene) -> None:
    page = client_of(scene.agent).get(link(scene.tickets[0])).content.decode()
    for words in (
        "Locked out before the board meeting",
        "Account locked after failed sign-ins",
        "<b>likely</b>",
        "93\u00a0%",
        "both models agree",
        "hand it to Security",
        "Use this article",
    ):
        assert words in page


@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_looking_changes_nothing_whoever_looks(scene: Scene, method: str) -> None:
    clients = [Client(), *(client_of(one) for one in (scene.agent, scene.approver, scene.stranger))]
    before = everything()
    for client in clients:
        for ticket in (scene.tickets[0], scene.blind):
            for choice in suggesting.CHOICES:
                query = "&article=KB0002&follow=&note=printers&text_hash=" + ticket.text_hash
                getattr(client, method)(link(ticket, choice) + query)
    assert everything() == before


def test_a_post_without_session_form_token_or_permission_changes_nothing(scene: Scene) -> None:
    ticket = scene.tickets[0]
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(scene.agent, backend="django.contrib.auth.backends.ModelBackend")
    before = Review.objects.count()
    assert Client().post(link(ticket), form(ticket)).status_code == 302
    assert strict.post(link(ticket), form(ticket)).status_code == 403
    assert client_of(scene.approver).post(link(ticket), form(ticket)).status_code == 403
    assert client_of(scene.stranger).post(link(ticket), form(ticket)).status_code == 404
    assert client_of(scene.stranger).get(link(ticket)).status_code == 404
    assert Review.objects.count() == before
    assert "not decide it" in client_of(scene.approver).get(link(ticket)).content.decode()


def test_accepting_records_it_with_its_provenance_and_can_be_undone(scene: Scene) -> None:
    ticket, client = scene.tickets[0], client_of(scene.agent)
    done = client.post(link(ticket), form(ticket))
    said = Review.objects.get(ticket=ticket)
    assert (said.verdict, said.article, said.follow) == ("article", "KB0001", "keep")
    assert (said.person, said.provenance, said.blind) == (scene.agent, "note", False)
    assert Label.objects.get(review=said).provenance == "note"
    ticket.refresh_from_db()
    assert ticket.status == Ticket.Status.ANSWERED, "the agent goes on with it in the ITSM"
    page = client.get(done["Location"]).content.decode()
    assert "Bea Meyer" in page
    assert "KB0001 Account locked" in page
    assert reverse("review-undo", args=[said.pk]) in page
    client.post(reverse("review-undo", args=[said.pk]))
    ticket.refresh_from_db()
    assert ticket.status == Ticket.Status.NEEDS_REVIEW


def test_a_second_post_and_another_persons_meet_who_decided_what_and_when(scene: Scene) -> None:
    ticket, carl = scene.tickets[0], factories.member(scene.nordwind, username="dora", first_name="Dora")
    client_of(scene.agent).post(link(ticket), form(ticket))
    Review.objects.update(decided_at=timezone.now() - timedelta(minutes=5))
    for person, choice in ((scene.agent, "accept"), (carl, "other"), (carl, "none")):
        again = client_of(person).post(link(ticket, choice), form(ticket, note="something else", article="KB0002"))
        page = again.content.decode()
        assert again.status_code == 409
        assert "<b>Bea Meyer</b> decided this ticket by a link of the note, <time" in page
        assert "KB0001 Account locked" in page
    assert Review.objects.filter(ticket=ticket).count() == 1
    assert Writeback.objects.filter(ticket=ticket).count() == 1


def test_another_article_and_none_of_them(scene: Scene) -> None:
    client, (one, two, three) = client_of(scene.agent), scene.tickets[:3]
    page = client.get(link(one, "other")).content.decode()
    assert "KB0004" in page
    assert "Printer on the floor" in client.get(link(one, "other") + "?q=printer").content.decode()
    client.post(link(one, "other"), form(one, article="KB0007", follow=""))
    client.post(link(two, "none"), form(two, note="mail relay", follow="run"))
    refused = client.post(link(three, "none"), form(three, note=""))
    assert [(said.verdict, said.article, said.note) for said in Review.objects.order_by("pk")] == [
        ("article", "KB0007", ""),
        ("none", "", "mail relay"),
    ]
    one.refresh_from_db()
    assert one.status == Ticket.Status.RESOLVED
    assert (refused.status_code, "Say in a word or two" in refused.content.decode()) == (409, True)


@pytest.mark.parametrize("follow", ["run", "assign", "ask", "nonsense"])
def test_a_link_orders_no_run_and_nothing_else_that_its_page_does_not_offer(scene: Scene, follow: str) -> None:
    client_of(scene.agent).post(link(scene.tickets[0]), form(scene.tickets[0], follow=follow))
    assert not Review.objects.filter(follow=follow).exists()
    assert scene.tickets[0].runs.count() == 0


def test_a_link_for_another_text_records_nothing(scene: Scene) -> None:
    ticket, client = scene.tickets[0], client_of(scene.agent)
    path, old = link(ticket), form(ticket)
    Ticket.objects.filter(pk=ticket.pk).update(text_hash="f" * 64)
    assert "text has changed" in client.get(path).content.decode()
    for given in (old, {**old, "text_hash": "f" * 64}):
        answer = client.post(path, given)
        assert (answer.status_code, "text has changed" in answer.content.decode()) == (409, True)
    assert not Review.objects.exists()


@pytest.mark.parametrize("bad", ["accept/x", "run/", "accept%2f/"])
def test_other_addresses_lead_nowhere(scene: Scene, bad: str) -> None:
    path = link(scene.tickets[0], "other").removesuffix("other/")
    assert client_of(scene.agent).get(path + bad).status_code == 404
    short = path.replace(scene.tickets[0].text_hash[:16], scene.tickets[0].text_hash[:4])
    assert client_of(scene.agent).get(short + "accept/").status_code == 404


def test_a_sealed_ticket_shows_no_suggestion_and_leads_to_the_blind_answer(scene: Scene) -> None:
    client = client_of(scene.agent)
    for choice in suggesting.CHOICES:
        for query in ("", "?article=KB0005", "?q=second"):
            page = client.get(link(scene.blind, choice).partition("?")[0] + query).content.decode()
            assert "KB0005" not in page
            assert "97\u00a0%" not in page
            assert reverse("ticket", args=[scene.blind.uuid]) in page
        answer = client.post(link(scene.blind, choice), form(scene.blind, note="phones"))
        assert (answer.status_code, "blind check" in answer.content.decode()) == (409, True)
    assert not Review.objects.exists()


def test_what_another_said_of_a_sealed_ticket_is_told_only_when_it_stands(scene: Scene) -> None:
    ticket = scene.blind
    at = timezone.now()
    review.decide(ticket=ticket, person=scene.agent, verdict="article", article="KB0005", at=at)
    dora = client_of(factories.member(scene.nordwind, username="dora"))
    assert "KB0005" not in dora.get(link(ticket, "other")).content.decode()
    Review.objects.update(decided_at=at - timedelta(minutes=1))
    assert "KB0005 Second factor" in dora.get(link(ticket, "other")).content.decode()


def test_who_lost_the_role_meanwhile_decides_nothing(scene: Scene) -> None:
    client = client_of(scene.agent)
    Membership.objects.filter(person=scene.agent).update(role="auditor")
    assert client.post(link(scene.tickets[0]), form(scene.tickets[0])).status_code == 403
    assert not Review.objects.exists()
