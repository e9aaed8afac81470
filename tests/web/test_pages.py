"""What every page keeps to: a strict policy, escaped texts, a constant number of queries, no copies in caches."""

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from tests import factories
from tests.web.conftest import client_of
from tests.web.scene import Scene, busy
from triage.models import Ticket

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "'><svg/onload=alert(1)>",
    "{{ user.password }}{% load static %}",
    "javascript:alert(1)",
    "\u202egnp.exe",
    "__label__KB0001 </s>",
)


def _paths(scene: Scene) -> list[str]:
    return [
        reverse("queue"),
        reverse("ticket", args=[scene.tickets[0].uuid]),
        reverse("ticket", args=[scene.blind.uuid]),
        reverse("approvals"),
        reverse("approval", args=[scene.waiting.approvals.get().uuid]),
        reverse("runs"),
        reverse("run", args=[scene.lost.uuid]),
        reverse("overview"),
        reverse("articles"),
        reverse("notifications"),
        reverse("me"),
        "/nothing-here/",
    ]


def test_every_page_has_a_strict_policy_and_keeps_to_it(scene: Scene) -> None:
    busy(scene, at=timezone.now())
    client = client_of(scene.agent)
    for path in [*_paths(scene), reverse("sign-in"), reverse("sign-in-link", args=["x" * 43])]:
        answer = client.get(path)
        policy = answer["Content-Security-Policy"]
        assert "script-src 'self'" in policy
        assert "style-src 'self'" in policy
        assert "unsafe" not in policy
        page = answer.content.decode()
        assert not re.search(r"<style|\sstyle=|<script(?![^>]*\ssrc=)|\son[a-z]+=|https?://", page), path


def test_pages_with_customers_data_are_not_cached(scene: Scene) -> None:
    client = client_of(scene.agent)
    for path in _paths(scene)[:-1]:
        assert "no-store" in client.get(path)["Cache-Control"], path


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_and_not_obeyed(scene: Scene, text: str) -> None:
    ticket = scene.tickets[0]
    Ticket.objects.filter(pk=ticket.pk).update(
        subject=text,
        body=text,
        requester=text,
        language=text[:16],
        reason=text,
        fields={text: text},
        attachments=[{"name": text, "type": text}],
        channel=text[:40],
        priority=text[:20],
    )
    factories.article(key="KB0001-de", title=text, body=f"1. {text}", translation_group="KB0001", language="de")
    client = client_of(scene.agent)
    for path in (reverse("queue"), reverse("ticket", args=[ticket.uuid]), reverse("approvals")):
        page = client.get(path).content.decode()
        assert "<script>alert" not in page
        assert not re.search(r"<(img src=x|svg/onload)", page)
        assert not re.search(r"""<[^>]*\son(error|mouseover|load)=""", page)
        assert 'lang="' + text[:4] not in page
        assert text in html.unescape(page) or path == reverse("approvals")


def test_found_values_are_marked_without_opening_a_hole(scene: Scene) -> None:
    ticket = scene.tickets[0]
    Ticket.objects.filter(pk=ticket.pk).update(body="<b>ada.lovelace</b> & friends")
    page = client_of(scene.agent).get(reverse("ticket", args=[ticket.uuid])).content.decode()
    assert "&lt;b&gt;<mark>ada.lovelace</mark>&lt;/b&gt; &amp; friends" in page


def _queries(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as caught:
        assert client.get(path).status_code == 200
    return len(caught)


def _fill(scene: Scene, number: int) -> None:
    for place in range(number):
        ticket = factories.ticket(
            source=scene.tickets[0].source,
            status="needs_review",
            subject=f"Number {place}",
            held_by=scene.approver,
            held_until=timezone.now() + timedelta(minutes=5) if place % 2 else None,
        )
        factories.prediction(ticket, label=f"KB000{1 + place % 7}")
        factories.draw(ticket, "holdout" if place % 5 == 0 else "none")


def test_the_queue_takes_as_many_queries_for_sixty_tickets_as_for_ten(scene: Scene) -> None:
    client = client_of(scene.agent)
    few = _queries(client, reverse("queue"))
    _fill(scene, 60)
    many = _queries(client, reverse("queue"))
    assert many == few <= 16


def test_the_queue_goes_on_over_pages_without_losing_or_repeating(scene: Scene) -> None:
    _fill(scene, 120)
    client, path, seen = client_of(scene.agent), reverse("queue"), []
    for _ in range(9):
        page = client.get(path).content.decode()
        seen += re.findall(r'id="t(\d+)"', page)
        onward = re.search(r'href="(\?[^"]*)" rel="next"', page)
        if not onward:
            break
        path = reverse("queue") + onward[1].replace("&amp;", "&")
    wanted = Ticket.objects.filter(customer=scene.nordwind, status__in=["needs_review", "waiting_approval"])
    assert len(seen) == len(set(seen)) == wanted.count()


def test_the_most_urgent_comes_first_and_what_is_never_due_last(scene: Scene) -> None:
    page = client_of(scene.agent).get(reverse("queue")).content.decode()
    keys = [int(key) for key in re.findall(r'id="t(\d+)"', page)]
    rows = [Ticket.objects.get(pk=key).due_at for key in keys]
    due = [row for row in rows if row]
    assert rows == sorted(due) + [None] * (len(rows) - len(due))


@pytest.mark.parametrize(
    "after",
    [
        "x",
        "!!!!",
        "AAAA",
        "bnVsbA",
        "fjk5OTk5OTk5OTk5OTk5OTk5OTk5OTk",
        "MDAwMS0wMS0wMVQwMDowMDowMCsxNDowMH4x",
        "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5fjE",
    ],
)
def test_a_damaged_link_into_the_queue_is_explained(scene: Scene, after: str) -> None:
    answer = client_of(scene.agent).get(reverse("queue"), {"after": after})
    assert answer.status_code == 400
    assert "open the queue again" in answer.content.decode()


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("text=Postfach", {1}),
        ("text=ada.lovelace+board", {0}),
        ("text=nowhere-at-all", set()),
        ("status=waiting_approval", set()),
        ("customer=contoso", set()),
    ],
)
def test_the_queue_is_narrowed(scene: Scene, query: str, wanted: set[int]) -> None:
    page = client_of(scene.agent).get(reverse("queue") + "?" + query).content.decode()
    shown = {place for place, ticket in enumerate(scene.tickets) if f'id="t{ticket.pk}"' in page}
    assert shown == wanted


def test_htmx_gets_the_rows_alone(scene: Scene) -> None:
    page = client_of(scene.agent).get(reverse("queue"), headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in page
    assert f'id="t{scene.tickets[0].pk}"' in page


def test_a_wrong_password_is_refused_and_five_lock_the_name(scene: Scene, client: Client) -> None:
    form = {"username": "bea", "password": "wrong"}
    answers = [client.post(reverse("sign-in"), form) for _ in range(5)]
    assert "do not go together" in answers[0].content.decode()
    assert answers[-1].status_code == 429
    right: Any = client.post(reverse("sign-in"), {"username": "bea", "password": "a long enough password"})
    assert right.status_code == 429
    assert "Too many tries" in right.content.decode()
