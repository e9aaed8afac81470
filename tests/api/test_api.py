"""The API does what the desk does, through the same rules: tokens, scopes, customers apart, sealed tickets sealed."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests import factories
from tests.api.caller import Caller, problem
from tests.web import scene as scenes
from tests.web.conftest import client_of
from triage import tokens
from triage.environment import environment
from triage.models import Person, Run, Ticket, Token

pytestmark = pytest.mark.django_db


def test_an_approval_is_read_and_granted_once(scene: scenes.Scene) -> None:
    caller = Caller(scene.approver)
    (item,) = caller.get("/approvals/?status=asked").json()["items"]
    assert (item["runbook"], item["parameters"], item["sealed"]) == (
        "unlock_account", {"account": "grace.hopper"}, False,
    )  # fmt: skip
    path = f"/approvals/{item['id']}"
    assert caller.get(path).json() == item
    answer = caller.post(f"{path}/grant")
    assert answer.status_code == 200
    run = Run.objects.get(ticket=scene.waiting)
    assert answer.json()["run"] == str(run.uuid)
    assert answer.json()["approval"]["status"] == "granted"
    assert run.ordered_by == scene.approver
    assert "answered already" in problem(caller.post(f"{path}/grant"), 409)
    assert caller.get(f"/runs/{run.uuid}").json()["status"] == "requested"
    assert Run.objects.filter(ticket=scene.waiting).count() == 1


def test_a_no_needs_its_reason(scene: scenes.Scene) -> None:
    caller, path = Caller(scene.approver), f"/approvals/{scene.waiting.approvals.get().uuid}/refuse"
    assert "reason" in problem(caller.post(path), 422)
    assert problem(caller.post(path, {"reason": "     "}), 409)
    assert caller.post(path, {"reason": "not her account"}).json()["status"] == "refused"


def test_the_desks_rules_hold(scene: scenes.Scene) -> None:
    path = f"/approvals/{scene.waiting.approvals.get().uuid}/grant"
    assert "one of these roles" in problem(Caller(scene.agent).post(path), 403)
    own = factories.member(scene.nordwind, "approver", email="grace@nordwind.example")
    assert problem(Caller(own).post(path), 403)
    account = factories.member(scene.nordwind, "approver", username="grace.hopper")
    assert "account is yours" in problem(Caller(account).post(path), 409)
    assert not Run.objects.filter(ticket=scene.waiting).exists()


def test_nothing_of_another_customer_is_there(scene: scenes.Scene) -> None:
    caller = Caller(factories.member(scene.contoso, "admin"))
    assert caller.get("/approvals/").json() == {"items": [], "next": None}
    assert caller.get("/runs/").json() == {"items": [], "next": None}
    approval = scene.waiting.approvals.get()
    for answer in (
        caller.get(f"/approvals/{approval.uuid}"),
        caller.post(f"/approvals/{approval.uuid}/grant"),
        caller.post(f"/approvals/{approval.uuid}/refuse", {"reason": "because"}),
        caller.get(f"/runs/{scene.lost.uuid}"),
    ):
        problem(answer, 404)
    assert problem(caller.get("/runs/?cursor=made-up"), 404)


def test_sealed_tickets_stay_sealed(scene: scenes.Scene) -> None:
    for ticket in (scene.waiting, Ticket.objects.get(pk=scene.lost.ticket_id)):
        factories.draw(ticket, "verify", 0.05)
    caller, approval = Caller(scene.approver), scene.waiting.approvals.get()
    answers = [
        caller.get(path)
        for path in ("/approvals/", f"/approvals/{approval.uuid}", "/runs/", f"/runs/{scene.lost.uuid}")
    ]
    for answer in answers:
        assert answer.status_code == 200
        text = answer.content.decode()
        assert '"sealed": true' in text
        assert not [word for word in ("unlock_account", "grace.hopper", "alan.turing", "nordwind-ad") if word in text]
    assert "blind" in problem(caller.post(f"/approvals/{approval.uuid}/grant"), 409)
    assert not Run.objects.filter(ticket=scene.waiting).exists()


def test_a_token_opens_only_what_it_was_made_for(scene: scenes.Scene) -> None:
    reader, uuid = Caller(scene.approver, "approvals:read"), scene.waiting.approvals.get().uuid
    assert reader.get(f"/approvals/{uuid}").status_code == 200
    assert "approvals:answer" in problem(reader.post(f"/approvals/{uuid}/grant"), 403)
    assert "runs:read" in problem(reader.get("/runs/"), 403)


@pytest.mark.parametrize("why", ["none", "wrong", "expired", "revoked", "inactive", "a link", "a session"])
def test_without_a_token_in_force_nothing_opens(scene: scenes.Scene, why: str) -> None:
    caller, at = Caller(scene.approver), timezone.now()
    rows = Token.objects.filter(person=scene.approver)
    if why == "expired":
        rows.update(expires_at=at - timedelta(seconds=1))
    if why == "revoked":
        assert tokens.revoke(rows.get(), at=at)
        assert not tokens.revoke(rows.get(), at=at)
    if why == "inactive":
        Person.objects.filter(pk=scene.approver.pk).update(is_active=False)
    if why == "a link":
        rows.update(purpose=Token.Purpose.SIGN_IN)
    if why == "wrong":
        caller.secret += "x"
    answer = caller.get("/approvals/")
    if why == "none":
        answer = Client().get("/api/approvals/")
    if why == "a session":
        answer = client_of(scene.approver).get("/api/approvals/")
    assert "Bearer" in problem(answer, 401)
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_a_token_that_asks_too_often_is_told_to_wait(scene: scenes.Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIAGE_API_RATE", "2")
    environment.cache_clear()
    try:
        caller = Caller(scene.approver)
        answers = [caller.get("/runs/") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert problem(answers[-1], 429)
        assert int(answers[-1]["Retry-After"]) >= 1
    finally:
        monkeypatch.undo()
        environment.cache_clear()


def test_lists_come_a_page_at_a_time(scene: scenes.Scene) -> None:
    for _ in range(4):
        factories.run(factories.ticket(source=scene.waiting.source), scene.target, status="succeeded")
    caller, seen, path = Caller(scene.agent), [], "/runs/?limit=2"
    while path:
        page = caller.get(path).json()
        seen += [item["id"] for item in page["items"]]
        path = f"/runs/?limit=2&cursor={page['next']}" if page["next"] else ""
    assert len(seen) == len(set(seen)) == 5
    assert caller.get("/runs/?status=unknown").json()["items"][0]["id"] == str(scene.lost.uuid)
    assert problem(caller.get("/runs/?limit=1000"), 422)
    assert problem(caller.get("/runs/?status=odd"), 422)


def test_it_describes_itself_as_openapi_3_1() -> None:
    told = Client().get("/api/openapi.json").json()
    assert told["openapi"].startswith("3.1")
    assert {path.split("/")[2] for path in told["paths"]} == {
        "approvals", "articles", "certificates", "models", "panel-tokens", "predict", "reviews", "runbooks", "runs", "tickets",
    }  # fmt: skip
    for operations in told["paths"].values():
        for operation in operations.values():
            assert operation["security"], "no operation is open to all"
            assert {"401", "404", "429"} <= {str(code) for code in operation["responses"]}


def test_what_is_not_there_is_a_problem_too(scene: scenes.Scene) -> None:
    assert problem(Caller(scene.agent).get("/nothing/here"), 404)
    assert problem(Caller(scene.agent).get("/runs/not-a-uuid"), 422)


def test_a_token_is_shown_once_and_stored_hashed(scene: scenes.Scene) -> None:
    client = client_of(scene.agent)
    page = client.post("/me/tokens/", {"name": "chat bot", "scope": ["runs:read"], "days": "30"}).content.decode()
    secret = page.split("<code>")[1].split("</code>")[0]
    assert secret.startswith(tokens.PREFIX)
    assert len(secret) > 45
    assert secret not in str(list(Token.objects.values()))
    assert secret not in client.get("/me/").content.decode()
    assert Client().get("/api/runs/", headers={"Authorization": f"Bearer {secret}"}).status_code == 200
    token = tokens.of(scene.agent).get()
    assert token.used_at is not None
    client.post(f"/me/tokens/{token.pk}/revoke/")
    assert Client().get("/api/runs/", headers={"Authorization": f"Bearer {secret}"}).status_code == 401


@pytest.mark.parametrize(
    "form",
    [
        {"name": "", "scope": ["runs:read"], "days": "30"},
        {"name": "x", "days": "30"},
        {"name": "x", "scope": ["runs:read", "everything"], "days": "30"},
        {"name": "x", "scope": ["runs:read"], "days": "100000"},
    ],
)
def test_no_odd_token_is_made(scene: scenes.Scene, form: dict[str, Any]) -> None:
    client_of(scene.agent).post("/me/tokens/", form)
    assert not Token.objects.exists()
