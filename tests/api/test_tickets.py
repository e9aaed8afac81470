"""Tickets over the API: every filter, one ticket as a whole, and nothing of a sealed one."""

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.utils import timezone

from tests import factories
from tests.api.caller import Caller, problem
from tests.web import scene as scenes
from triage.models import Ticket

pytestmark = pytest.mark.django_db


def listed(caller: Caller, query: str = "") -> list[dict[str, Any]]:
    answer = caller.get(f"/tickets/?{query}")
    assert answer.status_code == 200, answer.content
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_the_list_is_narrowed_by_each_filter(scene: scenes.Scene) -> None:
    caller, first = Caller(scene.agent), scene.tickets[0]
    everything = listed(caller)
    assert len(everything) == Ticket.objects.filter(customer=scene.nordwind).count()
    assert {item["customer"] for item in everything} == {"nordwind"}
    assert [item["external_id"] for item in listed(caller, "article=KB0001&status=needs_review")] == [first.external_id]
    assert [item["id"] for item in listed(caller, "text=board+meeting")] == [str(first.uuid)]
    assert [item["id"] for item in listed(caller, "status=waiting_approval")] == [str(scene.waiting.uuid)]
    assert listed(caller, "customer=contoso") == []
    assert len(listed(caller, "customer=nordwind&source=nordwind-snow")) == len(everything)
    assert listed(caller, "source=elsewhere") == []
    since = quote((timezone.now() - timedelta(minutes=30)).isoformat())
    recent = listed(caller, f"updated_since={since}")
    assert 0 < len(recent) < len(everything)
    assert str(first.uuid) not in {item["id"] for item in recent}
    for wrong in (
        "status=odd",
        "updated_since=yesterday",
        "updated_since=2026-01-01T00:00:00",
        "updated_since=0.5",
        "limit=0",
    ):
        problem(caller.get(f"/tickets/?{wrong}"), 422)
    assert "NUL" in problem(caller.get("/tickets/?text=a%00b"), 422)


def test_one_ticket_comes_with_decision_matches_and_history(scene: scenes.Scene) -> None:
    told = Caller(scene.agent).get(f"/tickets/{scene.tickets[0].uuid}").json()
    assert told["decision"]["article"] == "KB0001"
    assert told["decision"]["parameters"] == {"account": "ada.lovelace"}
    assert [match["label"] for match in told["matches"]] == ["KB0001", "KB0004", "KB0005"]
    assert told["matches"][0]["title"] == "Account locked after failed sign-ins"
    assert told["matches"][0]["probability"] == 0.93
    assert told["matches"][0]["runbook"] == "unlock_account"
    assert told["evidence"]["sufficient"] is True
    assert told["history"][0]["what"] == "received"
    assert told["sealed"] is False


def test_a_sealed_ticket_tells_nothing_of_what_we_think(scene: scenes.Scene) -> None:
    ticket = scene.tickets[0]
    ticket.draw.delete()
    factories.draw(ticket, "verify", 0.05)
    run = factories.run(ticket, scene.target, status="succeeded", target_object="nordwind-secret-target")
    caller = Caller(scene.agent)
    whole = caller.get(f"/tickets/{ticket.uuid}")
    told = whole.json()
    assert told["sealed"] is True
    assert (told["decision"], told["matches"], told["evidence"], told["runs"]) == (None, [], None, [])
    assert (told["reason"], told["mode"], told["article"], told["probability"], told["release"]) == (None,) * 5
    for word in ("unlock_account", "KB0001", "0.93", "96 %", str(run.uuid), "nordwind-secret-target"):
        assert word not in whole.content.decode()
    line = next(item for item in listed(caller) if item["id"] == str(ticket.uuid))
    assert (line["sealed"], line["reason"], line["article"], line["mode"]) == (True, None, None, None)
    assert str(ticket.uuid) not in {item["id"] for item in listed(caller, "article=KB0001")}, "a filter tells too"


def test_pages_do_not_shift_when_tickets_come_meanwhile(scene: scenes.Scene) -> None:
    caller = Caller(scene.agent)
    before = {item["id"] for item in listed(caller)}
    seen, path = [], "/tickets/?limit=3"
    while path:
        page = caller.get(path).json()
        seen += [item["id"] for item in page["items"]]
        factories.ticket(source=scene.tickets[0].source)
        path = f"/tickets/?limit=3&cursor={page['next']}" if page["next"] else ""
    assert len(seen) == len(set(seen))
    assert set(seen) == before
    cursor = caller.get("/tickets/?limit=3").json()["next"]
    assert "cursor" in problem(caller.get(f"/runs/?cursor={cursor}"), 404), "a cursor of another list"


def test_what_did_not_change_is_not_sent_again(scene: scenes.Scene) -> None:
    caller, path = Caller(scene.agent), f"/tickets/{scene.tickets[0].uuid}"
    first = caller.get(path)
    again = caller.get(path, If_None_Match=first["ETag"])
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    Ticket.objects.filter(pk=scene.tickets[0].pk).update(priority="low")
    assert caller.get(path, If_None_Match=first["ETag"]).status_code == 200
    head = caller.send("HEAD", path, None)
    assert (head.status_code, head["ETag"]) == (200, caller.get(path)["ETag"])
