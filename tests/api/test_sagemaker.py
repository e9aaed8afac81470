"""SageMaker's contract over the installation's own address: a token, one's own customers, and sealed texts sealed."""

import json
from typing import Any

import pytest
from django.test import Client

from tests import factories, past, trained
from tests.api.caller import Caller, problem
from triage.models import Customer, Person

pytestmark = pytest.mark.django_db
TEXT = "hello, my account is locked after too many failed sign-ins regards"


@pytest.fixture
def customer(db: None) -> Customer:
    made = factories.customer(slug="nordwind")
    trained.release(made)
    return made


def ask(person: Person, path: str, body: object = None, kind: str = "application/json", scope: str = "predict") -> Any:
    secret = Caller(person, scope).secret
    content = body if isinstance(body, str) else json.dumps(body) if body is not None else ""
    return Client().generic(
        "GET" if body is None else "POST",
        f"/sagemaker/{path}",
        content,
        content_type=kind if body is not None else "",
        headers={"Authorization": f"Bearer {secret}"},
    )


def test_the_model_in_force_answers_as_blazingtext_does(customer: Customer) -> None:
    agent = factories.member(customer)
    assert ask(agent, "nordwind/ping").status_code == 200
    answer = ask(agent, "nordwind/invocations", {"instances": [TEXT], "configuration": {"k": 2}})
    (told,) = answer.json()
    assert answer["Content-Type"] == "application/json"
    assert told["label"][0] == "__label__unlock-account"
    assert len(told["prob"]) == 2
    lines = ask(agent, "nordwind/invocations", json.dumps({"source": TEXT}) + "\n", "application/jsonlines")
    assert lines["Content-Type"] == "application/jsonlines"
    assert json.loads(lines.content) == {"label": told["label"][:1], "prob": told["prob"][:1]}


def test_nobody_else_gets_an_answer(customer: Customer) -> None:
    stranger = factories.member(factories.customer(slug="contoso"), "admin")
    body = {"instances": [TEXT]}
    problem(ask(stranger, "nordwind/invocations", body), 404)
    problem(ask(stranger, "nordwind/ping"), 404)
    assert "in force" in problem(ask(stranger, "contoso/ping"), 503)
    problem(ask(factories.member(customer), "nordwind/invocations", body, scope="tickets:read"), 403)
    problem(Client().post("/sagemaker/nordwind/invocations", body, content_type="application/json"), 401)
    agent = factories.member(customer)
    problem(ask(agent, "nordwind/invocations"), 405)
    problem(ask(agent, "nordwind/invocations", "a", "text/csv"), 415)
    problem(ask(agent, "nordwind/invocations", {"instances": []}), 400)
    problem(ask(agent, "nordwind/invocations", {"instances": ["a"] * 1001}), 413)


def test_a_text_under_a_blind_check_gets_no_labels(customer: Customer) -> None:
    subject, body = "Locked", TEXT
    ticket = factories.ticket(source=factories.source(customer=customer), subject=subject, body=body)
    factories.draw(ticket, "holdout", 0.5)
    other = past.PROBLEMS["printer"][0]
    answer = ask(factories.member(customer), "nordwind/invocations", {"instances": [f"{subject} {body}", other]})
    sealed, open_ = answer.json()
    assert sealed == {"label": [], "prob": []}
    assert open_["label"] == ["__label__printer"]
