"""Every address there is, asked for another customer's things by every role of a stranger, by nobody, and by tokens.

The addresses come from Django's own resolver: one whose parameters no rule of `another` can fill with another customer's
object fails the test, and so does one that leads to a new room.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.test import Client

from tests import factories
from tests.api.caller import Caller
from tests.contracts import another
from tests.contracts.another import ROOMS, Address, World, addresses, rows_of
from tests.web import scene as scenes
from tests.web.conftest import client_of
from triage import api
from triage.api import access
from triage.models import (
    AuditEvent,
    Membership,
    Person,
    Role,
)

pytestmark = pytest.mark.django_db
SECRETS = (
    *("Nordwind", "nordwind", "ada.lovelace", "board meeting", "grace.hopper", "alan.turing", "Bea Meyer"),
    *("bea@desk.example", "Postfach voll", "VPN drops"),
)
OUTSIDE = {
    "webhooks/<source>": "a signature opens it: tests/itsm/contract.py, tests/test_webhooks.py",
    "panel/": "a pass opens it and no session: tests/web/test_panel.py",
    "sign-out/": "ends one's own session",
}
OPEN = {"api/", "api/openapi.json"}
"""The API's own description, which is everybody's. Runbooks that are shipped are too: the API's tests look at them."""

FORM = {
    "verdict": "article",
    "article": "KB0001",
    "answer": "grant",
    "found": "happened",
    "note": "because",
    "to": "off",
    "name": "Taken",
    "slug": "taken",
    "kind": "standard",
    "role": "admin",
    "part": "company",
    "value": "ACME",
    "mode": "automate",
    "username": "mallory",
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    access.buckets.cache_clear()
    return another.world(tmp_path)


def _state(scene: scenes.Scene) -> dict[str, list[dict[str, Any]]]:
    """All that is the first customer's; what was tried is written to nobody's log."""
    models = [model for model in apps.get_models() if model._meta.app_label == "triage"]
    return {model._meta.object_name or "": rows_of(model, scene) for model in models}


def _leaks(content: bytes, path: str) -> list[str]:
    text = content.decode(errors="replace").replace(path, "")
    return [secret for secret in SECRETS if secret in text and secret not in path]


def _walk(world: World, addresses: list[Address], ask: Callable[[Address, str], list[Any]], who: str) -> None:
    """Ask for each; another customer's object is refused at least once and never told, and nothing changes."""
    before = _state(world.scene)
    for address in addresses:
        path = world.path(address)
        assert path is not None, f"{address.route}: say in a rule which object of another customer stands there"
        answers = ask(address, path)
        statuses = {answer.status_code for answer in answers}
        assert max(statuses) < 500, f"{who}: {path} answered {statuses}"
        for answer in answers:
            content = b"".join(answer.streaming_content) if answer.streaming else answer.content
            assert not (leaked := _leaks(content, path)), f"{who}: {path} told {leaked}"
        if address.names and not path.startswith(("/sign-in/", "/set-password/")):
            assert not statuses & set(range(200, 300)), f"{who}: {path} answered {statuses}"
            refused = {302, 401, 403, 404} | ({422} if address.room else set())  # a body that does not fit comes first
            assert statuses & refused, f"{who}: {path} was never refused: {statuses}"
    assert _state(world.scene) == before, f"{who} changed something"


def _pages() -> list[Address]:
    return [one for one in addresses() if not one.room and not one.route.startswith(tuple(OUTSIDE))]


def test_every_address_is_in_a_room_that_is_walked_or_named_here() -> None:
    rest = {one.route for one in addresses() if one.room == "webhooks/" or one.route.startswith(tuple(OUTSIDE))}
    assert {route for route in rest if not route.startswith("panel/")} == {"webhooks/<source>", "sign-out/"}
    rooms = {one.room for one in addresses()}
    assert rooms == {"", *ROOMS}
    assert len(_pages()) > 60


@pytest.mark.parametrize("role", list(Role))
def test_no_role_of_another_customer_gets_into_a_page(world: World, role: str) -> None:
    client = client_of(factories.member(world.scene.contoso, role, username="eve", email="eve@contoso.example"))
    form = {
        **FORM,
        "customer": str(world.scene.nordwind.pk),
        "tickets": [str(ticket.pk) for ticket in world.scene.tickets],
    }

    def ask(_: Address, path: str) -> list[Any]:
        return [client.get(path), client.post(path, form)]

    _walk(world, _pages(), ask, role)


def test_nobody_gets_into_a_page_or_the_settings(world: World) -> None:
    def ask(_: Address, path: str) -> list[Any]:
        asked = [Client().get(path)]
        if path.startswith("/admin/") and path != "/admin/login/":
            assert asked[0].status_code in (302, 404), path
        return asked if path.startswith(("/sign-in/", "/admin/")) else [*asked, Client().post(path, FORM)]

    settings = [one for one in addresses() if one.room == "admin/"]
    _walk(world, [*_pages(), *settings], ask, "nobody")


def test_the_settings_are_closed_to_a_customers_own_administrators(world: World) -> None:
    person = factories.member(world.scene.contoso, Role.ADMIN, username="eve")
    client = client_of(person)

    def ask(_: Address, path: str) -> list[Any]:
        return [client.get(path)]

    settings = [one for one in addresses() if one.room == "admin/" and "login" not in one.route]
    assert len(settings) > 60
    _walk(world, [one for one in settings if "logout" not in one.route], ask, "an administrator in the settings")


def test_every_address_of_the_api_is_described_and_so_walked_by_the_tests_of_the_api() -> None:
    described = {re.sub(r"\{(\w+)\}", r"<\1>", path.lstrip("/")) for path in api.api.get_openapi_schema()["paths"]}
    there = {re.sub(r"<\w+:(\w+)>", r"<\1>", one.route) for one in addresses() if one.room == "api/"}
    assert there - described == OPEN
    assert described <= there


def test_a_token_with_every_scope_reads_nothing_of_another_customer(world: World) -> None:
    """What each scope alone may do is tests/api/test_leaks.py's."""
    person = factories.member(world.scene.contoso, Role.ADMIN, username="eve")
    Membership.objects.create(person=person, customer=world.scene.contoso, role=Role.STEWARD)
    there = [one for one in addresses() if one.room in ("api/", "sagemaker/")]
    there = [one for one in there if one.route not in OPEN and not one.route.startswith("api/runbooks/")]
    body = json.dumps({"instances": ["x"], "customer": "nordwind"})
    headers = {"Authorization": f"Bearer {Caller(person).secret}"}

    def ask(_: Address, path: str) -> list[Any]:
        sent = [Client().get(path, headers=headers)]
        return [*sent, Client().generic("POST", path, body, content_type="application/json", headers=headers)]

    _walk(world, there, ask, "a token with every scope")
    assert not Person.objects.filter(username="mallory").exists()
    assert not AuditEvent.objects.filter(actor=f"person:{person.pk}", customer_id=world.scene.nordwind.pk).exists()
