"""What a page of the queue learns while somebody looks at it."""

import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests import factories
from tests.web.conftest import client_of
from tests.web.scene import Scene
from tests.web.test_queue import storm, waiting
from triage import review
from triage.models import Ticket


def look(client: Client, query: str = "status=") -> str:
    """What a browser that shows this page of the queue sends of its rows."""
    page = client.get(f"{reverse('queue')}?{query}").content.decode()
    return ",".join(f"{key}.{version}" for key, version in re.findall(r'data-row="(\d+)" data-version="(\w+)"', page))


def ask(client: Client, shown: str, *, etag: str = "", query: str = "status=") -> Any:
    """What has changed since."""
    headers = {"If-None-Match": etag} if etag else {}
    return client.get(f"{reverse('queue-changes')}?{query}&{urlencode({'shown': shown})}", headers=headers)


@pytest.fixture
def client(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Bea's browser, in a minute that does not end meanwhile."""
    at = timezone.now()
    monkeypatch.setattr("triage.web.queue.now", lambda: at)
    return client_of(scene.agent)


def test_nothing_is_sent_where_nothing_changed(scene: Scene, client: Client) -> None:
    shown = look(client)
    first = ask(client, shown)
    assert "<tr" not in first.content.decode()
    again = ask(client, shown, etag=first["ETag"])
    assert (again.status_code, again.content) == (304, b"")
    assert "no-store" in again["Cache-Control"]
    waiting(scene)
    assert ask(client, shown, etag=first["ETag"]).status_code == 200


def test_new_tickets_are_announced_and_not_shown(scene: Scene, client: Client) -> None:
    shown = look(client)
    late = waiting(scene, due_at=timezone.now() - timedelta(hours=9), subject="Brand new")
    waiting(scene)
    page = ask(client, shown).content.decode()
    assert "2 new tickets" in page
    assert "Brand new" not in page
    assert f'id="t{late.pk}"' in client.get(reverse("queue"), headers={"HX-Request": "true"}).content.decode()


def test_rows_that_move_up_from_the_next_page_are_not_new(scene: Scene, client: Client) -> None:
    Ticket.objects.update(status="withdrawn")
    rows = [waiting(scene, subject=f"Number {number}") for number in range(60)]
    shown = look(client)
    Ticket.objects.filter(pk__in=[row.pk for row in rows[:5]]).update(status="resolved")
    page = ask(client, shown).content.decode()
    assert " new ticket" not in page
    assert page.count('class="gone"') == 5


def test_what_somebody_else_holds_or_decides_changes_in_its_place(scene: Scene, client: Client) -> None:
    otto = factories.member(scene.nordwind, first_name="Otto", last_name="Ohm")
    held, decided, blind = scene.tickets[0], scene.tickets[1], scene.blind
    shown = look(client)
    review.hold(held, person=otto, at=timezone.now())
    review.decide(ticket=decided, person=otto, verdict="article", article="KB0003", at=timezone.now())
    review.decide(ticket=blind, person=otto, verdict="article", article="KB0005", at=timezone.now())
    page = ask(client, shown).content.decode()
    assert page.count("<tr") == 3
    assert re.search(rf'id="r{held.pk}".*?open with Otto Ohm', page, re.DOTALL)
    assert page.count("decided by Otto Ohm") == 2
    assert "KB0005" not in page


def test_a_group_that_grows_says_so_in_its_row(scene: Scene, client: Client) -> None:
    rows = storm(scene, 2)
    shown = look(client)
    waiting(scene, subject="Disk full on web9", alike=rows[0].alike)
    page = ask(client, shown).content.decode()
    assert "3 alike" in page
    assert "new ticket" not in page


def test_a_damaged_question_is_answered_all_the_same(scene: Scene, client: Client) -> None:
    for shown in ("", "x.y,..,1", "9" * 400, "-1.a,١.b", ",".join(f"{n}.a" for n in range(500))):
        assert ask(client, shown).status_code == 200
    assert ask(client, "", query="after=x").status_code == 400


def test_nobody_learns_of_another_customers_tickets(scene: Scene) -> None:
    shown = ",".join(f"{ticket.pk}.a" for ticket in scene.tickets)
    page = ask(client_of(scene.stranger), shown).content.decode()
    assert not [ticket for ticket in scene.tickets if ticket.external_id in page or f"r{ticket.pk}" in page]
