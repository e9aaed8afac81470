"""What the API changes: verdicts, articles and models; once for each Idempotency-Key, and never behind one's back."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests import factories, trained
from tests.api.caller import Caller, problem
from tests.web import scene as scenes
from triage.api import front
from triage.models import Article, AuditEvent, KeptAnswer, Label, Release, Review, Role, Run, Ticket

pytestmark = pytest.mark.django_db
NEW = {"title": "Screen stays black", "symptoms": "No picture", "body": "Check the cable.", "aliases": ["monitor"]}


def verdict(ticket: Ticket, **values: Any) -> dict[str, Any]:
    return {
        "ticket": str(ticket.uuid),
        "text_hash": ticket.text_hash,
        "verdict": "article",
        "article": "KB0002",
        **values,
    }


def test_a_verdict_is_given_as_on_the_desk_and_undone(scene: scenes.Scene) -> None:
    caller, ticket = Caller(scene.agent), scene.tickets[2]
    made = caller.post("/reviews/", verdict(ticket, also=["KB0007"], note="his\x00 router"))
    assert made.status_code == 201, made.content
    told = made.json()
    ticket.refresh_from_db()
    assert (told["article"], told["also"], told["blind"], ticket.status) == ("KB0002", ["KB0007"], False, "resolved")
    assert Label.objects.get(ticket=ticket).article == "KB0002"
    assert told["note"] == "his router"
    assert caller.get(made["Location"].removeprefix("/api")).json() == told
    assert caller.get(f"/reviews/?ticket={ticket.uuid}").json()["items"] == [told]
    assert "decided this ticket already" in problem(caller.post("/reviews/", verdict(ticket)), 409)
    assert caller.post(f"/reviews/{told['id']}/undo").json()["undone_at"]
    ticket.refresh_from_db()
    assert ticket.status == Ticket.Status.NEEDS_REVIEW


def test_the_desks_rules_hold_for_verdicts(scene: scenes.Scene) -> None:
    ticket = scene.tickets[2]
    assert "one of these roles" in problem(Caller(scene.approver).post("/reviews/", verdict(ticket)), 403)
    caller = Caller(scene.agent)
    assert "changed since" in problem(caller.post("/reviews/", verdict(ticket, text_hash="0" * 64)), 409)
    assert "no article" in problem(caller.post("/reviews/", verdict(ticket, article="KB9999")), 409)
    assert "Say in a word" in problem(caller.post("/reviews/", verdict(ticket, verdict="none")), 409)
    assert "verdict" in problem(caller.post("/reviews/", verdict(ticket, verdict="maybe")), 422)
    problem(Caller(scene.stranger).post("/reviews/", verdict(ticket)), 404)
    assert "reviews:write" in problem(Caller(scene.agent, "reviews:read").post("/reviews/", verdict(ticket)), 403)
    words_only = Caller(scene.agent, "reviews:write")
    assert "runs:order" in problem(words_only.post("/reviews/", verdict(ticket, follow="run")), 403)
    assert not Review.objects.exists()


def test_a_verdict_orders_its_run(scene: scenes.Scene) -> None:
    said = verdict(scene.tickets[0], article="KB0001", follow="run", parameters={"account": "ada.lovelace"})
    assert Caller(scene.agent).post("/reviews/", said).status_code == 201
    assert Run.objects.get(ticket=scene.tickets[0]).ordered_by == scene.agent


def test_a_blind_verdict_stays_its_givers_until_the_seal_is_open(scene: scenes.Scene) -> None:
    made = Caller(scene.agent).post("/reviews/", verdict(scene.blind, article="KB0005", follow="reply"))
    assert (made.status_code, made.json()["blind"], made.json()["article"]) == (201, True, "KB0005")
    other = Caller(factories.member(scene.nordwind))
    hidden = other.get(f"/reviews/{made.json()['id']}")
    assert (hidden.json()["sealed"], hidden.json()["article"], hidden.json()["verdict"]) == (True, None, None)
    assert "KB0005" not in hidden.content.decode()
    Review.objects.update(decided_at=timezone.now() - timedelta(minutes=1))
    assert other.get(f"/reviews/{made.json()['id']}").json()["article"] == "KB0005"


def test_a_post_with_a_key_acts_once(scene: scenes.Scene) -> None:
    caller, said = Caller(scene.agent), verdict(scene.tickets[2])
    first = caller.post("/reviews/", said, Idempotency_Key="k-1")
    again = caller.post("/reviews/", said, Idempotency_Key="k-1")
    assert (again.status_code, again.content, again["Location"]) == (201, first.content, first["Location"])
    assert again["Idempotency-Replayed"] == "true"
    assert Review.objects.count() == 1
    other = caller.post("/reviews/", {**said, "note": "x"}, Idempotency_Key="k-1")
    assert "another request" in problem(other, 409)
    refused = caller.post("/reviews/", said, Idempotency_Key="k-2")
    assert problem(caller.post("/reviews/", said, Idempotency_Key="k-2"), 409) == problem(refused, 409)
    theirs = Caller(factories.member(scene.nordwind)).post("/reviews/", said, Idempotency_Key="k-1")
    assert "Idempotency-Replayed" not in theirs, "another token's keys are its own"
    KeptAnswer.objects.update(made_at=timezone.now() - front.KEPT - timedelta(seconds=1))
    assert "decided this ticket already" in problem(caller.post("/reviews/", said, Idempotency_Key="k-1"), 409)
    problem(caller.post("/reviews/", said, Idempotency_Key="x" * 201), 422)


def test_a_key_under_way_waits_and_a_lost_one_is_taken_over(scene: scenes.Scene) -> None:
    caller, said = Caller(scene.agent), verdict(scene.tickets[2])
    caller.post("/reviews/", said, Idempotency_Key="k")
    KeptAnswer.objects.update(status=None)
    waits = caller.post("/reviews/", said, Idempotency_Key="k")
    assert "under way" in problem(waits, 409)
    assert waits["Retry-After"]
    KeptAnswer.objects.update(made_at=timezone.now() - front.LOST - timedelta(seconds=1))
    assert "decided this ticket already" in problem(caller.post("/reviews/", said, Idempotency_Key="k"), 409)


def test_an_article_is_written_changed_and_retired(scene: scenes.Scene) -> None:
    steward = factories.member(scene.nordwind, Role.STEWARD)
    caller, path = Caller(steward), "/articles/NW-1?customer=nordwind"
    made = caller.put(path, NEW, If_None_Match="*")
    assert (made.status_code, made.json()["label"], made.json()["customer"]) == (201, "NW-1", "nordwind")
    assert made["ETag"] == caller.get(path)["ETag"]
    problem(caller.put(path, NEW, If_None_Match="*"), 412)
    assert "If-Match" in problem(caller.put(path, NEW), 428)
    changed = caller.put(path, {**NEW, "body": "Change the cable."}, If_Match=made["ETag"])
    assert (changed.status_code, changed.json()["body"]) == (200, "Change the cable.")
    assert changed["ETag"] == caller.get(path)["ETag"] != made["ETag"]
    assert "Read it again" in problem(caller.put(path, NEW, If_Match=made["ETag"]), 412)
    retired = caller.put(path, {**NEW, "retired": True}, If_Match="*")
    assert retired.json()["retired_at"]
    assert [item["key"] for item in caller.get("/articles/?customer=nordwind&retired=true").json()["items"]] == ["NW-1"]
    assert caller.get("/articles/?customer=nordwind").json()["items"] == []
    problem(caller.put("/articles/NW-2?customer=nordwind", NEW, If_Match='"x"'), 412)
    row = Article.objects.get(key="NW-1")
    events = AuditEvent.objects.filter(subject="article", subject_id=row.pk).order_by("pk")
    assert [event.event for event in events] == ["added", "changed", "retired"]
    assert {event.actor for event in events} == {f"person:{steward.pk}"}


def test_articles_are_not_everybodys_to_write(scene: scenes.Scene) -> None:
    problem(Caller(scene.agent).put("/articles/NW-1?customer=nordwind", NEW), 403)
    steward = Caller(factories.member(scene.nordwind, Role.STEWARD))
    assert "share" in problem(steward.put("/articles/KB0001", NEW, If_Match="*"), 403)
    problem(steward.put("/articles/X1?customer=contoso", NEW), 404)
    provider = Caller(factories.person(is_superuser=True))
    tag = provider.get("/articles/KB0001")["ETag"]
    assert provider.put("/articles/KB0001", NEW, If_Match=tag).status_code == 200
    for wrong in ({"title": ""}, {**NEW, "title": " "}, {**NEW, "runbook": "no_such"}, {**NEW, "label": "a b"}):
        problem(provider.put("/articles/KB0002", wrong, If_Match="*"), 422)
    problem(provider.put("/articles/a%20b", NEW), 422)
    assert Article.objects.get(key="KB0002").title == "VPN does not connect from home"


def test_a_steward_publishes_and_goes_back(scene: scenes.Scene) -> None:
    first = trained.release(scene.nordwind, version="one")
    second = trained.release(scene.nordwind, version="two", status=Release.Status.CANDIDATE, in_force_at=None)
    caller = Caller(factories.member(scene.nordwind, Role.STEWARD))
    problem(Caller(scene.agent).post("/models/nordwind/two/publish"), 403)
    assert "cannot be" in problem(caller.post("/models/nordwind/two/publish"), 409)
    Release.objects.filter(pk=first.pk).update(status=Release.Status.RETIRED)
    published = caller.post("/models/nordwind/two/publish")
    assert (published.status_code, published.json()["status"]) == (200, "in_force")
    back = caller.post("/models/nordwind/rollback")
    assert (back.json()["version"], back.json()["status"]) == ("one", "in_force")
    assert [item["version"] for item in caller.get("/models/?status=in_force").json()["items"]] == ["one"]
    assert caller.get(f"/models/nordwind/{second.version}").json()["status"] == "retired"


def test_what_cannot_be_read_is_refused_in_one_form(scene: scenes.Scene) -> None:
    caller = Caller(scene.agent)
    assert "2 MiB" in problem(caller.send("POST", "/predict", b" " * (front.MOST_BYTES + 1)), 413)
    assert "application/json" in problem(caller.send("POST", "/reviews/", b"a=1", "text/plain"), 415)
    problem(caller.send("POST", "/reviews/", b"{"), 400)
    gone = caller.send("DELETE", "/tickets/", None)
    assert problem(gone, 405)
    assert gone["Allow"] == "GET"
    problem(caller.send("POST", "/nothing", b"{}"), 404)
    answer = caller.get("/tickets/")
    assert answer["RateLimit-Policy"] == '"token";q=600;w=60'
    assert answer["RateLimit"].startswith('"token";r=')
    assert answer["Cache-Control"] == "no-store"
