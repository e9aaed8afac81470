"""Every operation that the description names, as every role of another customer: nothing is shown, nothing changes."""

import json
from functools import cache
from typing import Any

import pytest
from django.test import Client

from tests import factories
from tests.api.caller import Caller
from tests.web import scene as scenes
from triage import api
from triage.models import Approval, Article, AuditEvent, Label, Panel, Release, Review, Role, Run, Ticket, Token

pytestmark = pytest.mark.django_db
SECRETS = ("Nordwind", "nordwind", "ada.lovelace", "board meeting", "grace.hopper", "alan.turing", "Bea Meyer", "NW1")


@cache
def _operations() -> list[tuple[str, str]]:
    schema = api.api.get_openapi_schema()
    return sorted((method.upper(), path) for path, found in schema["paths"].items() for method in found)


def _objects(scene: scenes.Scene) -> dict[str, Any]:
    """What stands for the parameters of each noun's addresses: the first customer's own things."""
    factories.article(customer=scene.nordwind, key="NW1", title="Nordwind only", translation_group="NW1")
    release = factories.release(scene.nordwind, version="nw-1", status=Release.Status.IN_FORCE)
    said = factories.review(scene.tickets[4], scene.agent)
    Panel.objects.create(source=scene.tickets[0].source, enabled=True, origins=["https://nordwind.service-now.com"])
    return {
        "tickets": {"uuid": scene.tickets[0].uuid},
        "approvals": {"uuid": scene.waiting.approvals.get().uuid},
        "runs": {"uuid": scene.lost.uuid},
        "reviews": {"number": said.pk},
        "articles": {"key": "NW1"},
        "certificates": {"uuid": factories.certificate(release).uuid},
        "models": {"customer": "nordwind", "version": "nw-1"},
        "runbooks": {"key": "unlock_account"},
        "predict": {},
        "panel-tokens": {},
    }


def _bodies(scene: scenes.Scene) -> dict[str, Any]:
    """A body that each noun would take."""
    ticket = scene.tickets[2]
    said = {"ticket": str(ticket.uuid), "text_hash": ticket.text_hash, "verdict": "not_ours", "note": "because"}
    whole = {
        "predict": {"customer": "nordwind", "body": "account locked"},
        "reviews": said,
        "articles": {"title": "Taken over"},
        "approvals": {"reason": "because"},
        "models": {},
        "panel-tokens": {"source": "nordwind-snow", "ticket": ticket.external_id, "agent": "bea"},
    }
    return {noun: json.dumps(body).encode() for noun, body in whole.items()}


def _state() -> list[Any]:
    tables = (Ticket, Approval, Run, Review, Label, Article, Release, AuditEvent)
    return [list(table.objects.order_by("pk").values()) for table in tables[:-1]] + [
        list(AuditEvent.objects.exclude(subject="token").order_by("pk").values())
    ]


@pytest.mark.parametrize("role", list(Role))
def test_no_role_of_another_customer_sees_or_changes_anything(scene: scenes.Scene, role: str) -> None:
    objects, body = _objects(scene), _bodies(scene)
    caller = Caller(factories.member(scene.contoso, role))
    before = _state()
    for method, template in _operations():
        noun = template.split("/")[2]
        path = template.removeprefix("/api").format(**objects[noun])
        for query in ("", "?customer=nordwind&text=Nordwind") if method == "GET" else ("?customer=nordwind",):
            answer = caller.send(method, path + query, None) if method == "GET" else (
                caller.send(method, path + query, body[noun], If_Match="*")
            )  # fmt: skip
            text = answer.content.decode()
            leaked = [secret for secret in SECRETS if secret in text and secret not in path]
            assert not leaked, f"{role} {method} {path}{query} told {leaked}"
            if method != "GET" or ("{" in template and noun != "runbooks"):
                assert answer.status_code in (403, 404), f"{role} {method} {path}{query}: {answer.status_code}"
    assert _state() == before


def test_without_a_token_every_operation_is_closed(scene: scenes.Scene) -> None:
    objects = _objects(scene)
    for method, template in _operations():
        path = template.format(**objects[template.split("/")[2]])
        answer = Client().generic(method, path, b"{}", content_type="application/json")
        assert answer.status_code == 401, f"{method} {path}"


def test_every_operation_needs_a_scope_of_its_own(scene: scenes.Scene) -> None:
    objects, body = _objects(scene), _bodies(scene)
    provider = factories.person(is_superuser=True)
    before = _state()
    for method, template in _operations():
        noun = template.split("/")[2]
        scope = "runs:read" if noun != "runs" else "tickets:read"
        answer = Caller(provider, scope).send(
            method, template.removeprefix("/api").format(**objects[noun]), None if method == "GET" else body[noun]
        )
        assert answer.status_code == 403, f"{method} {template}: {answer.content!r}"
        assert b"This token was not made for" in answer.content
        Token.objects.all().delete()
    assert _state() == before
