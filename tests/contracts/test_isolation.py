"""Every address there is, asked for another customer's things by every role of a stranger, by nobody, and by tokens.

The addresses come from Django's own resolver: one whose parameters no rule below can fill with another customer's
object fails the test, and so does one that leads to a new room.
"""

import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.db.models import Model
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from tests import factories
from tests.api.caller import Caller
from tests.web import scene as scenes
from tests.web.conftest import client_of
from triage import api, tokens
from triage.api import access
from triage.models import (
    AuditEvent,
    Delivery,
    EventEndpoint,
    Gap,
    Membership,
    Person,
    Release,
    Role,
    SavedFilter,
    Source,
    Suspect,
)

pytestmark = pytest.mark.django_db
SECRETS = (
    *("Nordwind", "nordwind", "ada.lovelace", "board meeting", "grace.hopper", "alan.turing", "Bea Meyer"),
    *("bea@desk.example", "Postfach voll", "VPN drops"),
)
ROOMS = ("admin/", "api/", "sagemaker/", "webhooks/")
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


@dataclass(frozen=True)
class Address:
    """One address: its route as one text, and the names of its parameters."""

    route: str
    names: tuple[str, ...]

    @property
    def room(self) -> str:
        return next((room for room in ROOMS if self.route.startswith(room)), "")


def _addresses() -> list[Address]:
    return sorted(set(_under(get_resolver().url_patterns, "")), key=lambda one: one.route)


def _under(patterns: list[Any], before: str) -> Iterator[Address]:
    for one in patterns:
        route = before + re.sub(r"^\^|\$$|/\?\$?$", "", str(one.pattern))
        if isinstance(one, URLResolver):
            yield from _under(one.url_patterns, route)
        elif isinstance(one, URLPattern):
            route = re.sub(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)", r"<\1>", route)
            yield Address(route, tuple(re.findall(r"<(?:\w+:)?(\w+)>", route)))


@dataclass(frozen=True)
class World:
    """Two customers; what each part of an address means when it names the first one's things."""

    scene: scenes.Scene
    rules: tuple[tuple[str, dict[str, Any]], ...]

    def path(self, address: Address) -> str | None:
        """The address with the first customer's things in it; None where no rule knows what would fit."""
        known: dict[str, Any] = {}
        for begins, values in self.rules:
            if address.route.startswith(begins):
                known |= values
        if not set(address.names) <= known.keys():
            return None
        path = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(known[found[1]]), address.route)
        return "/" + path


@pytest.fixture
def world(tmp_path: Path) -> World:
    access.buckets.cache_clear()
    scene = scenes.build(at=timezone.now(), folder=tmp_path)
    own = factories.article(customer=scene.nordwind, key="NW1", title="Nordwind only", translation_group="NW1")
    said = factories.review(scene.tickets[4], scene.agent)
    source = Source.objects.get(slug="nordwind-snow")
    tokens.issue(person=scene.agent, name="Bea Meyer's", scopes=["runs:read"], days="30", at=timezone.now())
    kept = SavedFilter.objects.create(person=scene.agent, name="Nordwind's", query={"status": "all"})
    release = factories.release(scene.nordwind, version="nw-1", status=Release.Status.IN_FORCE)
    certificate = factories.certificate(release)
    delivery = Delivery.objects.create(
        uuid=uuid.uuid4(),
        source_id=source.pk,
        customer_id=scene.nordwind.pk,
        key="nordwind-1",
        sha256="0" * 64,
        size=2,
        received_at=timezone.now(),
        body=b"{}",
    )
    EventEndpoint.objects.create(customer=scene.nordwind, name="Nordwind's chat", url="https://hooks.example.org/")
    mapping = factories.mapping(source=source, customer=scene.nordwind)
    feed = apps.get_model("triage", "ArticleFeed").objects.create(
        slug="nordwind-kb", kind="folder", name="Nordwind's wiki", customer=scene.nordwind
    )
    ticket = scene.tickets[0]
    at = timezone.now()
    moments = {"first_at": at, "last_at": at, "made_at": at, "grouped_at": at}
    gap = Gap.objects.create(customer=scene.nordwind, words="Nordwind's badges", size=1, **moments)
    label = factories.label(scene.nordwind, article="KB0001")
    suspect = Suspect.objects.create(
        customer=scene.nordwind, release=release, label=label, text_key="0" * 16, given="KB0001", likely="KB0004",
        probability=0.9, self_confidence=0.1, place=0,
    )  # fmt: skip
    rules: list[tuple[str, dict[str, Any]]] = [
        ("", {"slug": "nordwind", "key": "unlock_account", "source": source.slug, "customer": "nordwind"}),
        ("tickets/", {"uuid": ticket.uuid}),
        ("choose/", {"uuid": ticket.uuid, "text": ticket.text_hash[:16], "choice": "accept"}),
        ("queue/alike/", {"pk": ticket.pk}),
        ("queue/saved/", {"pk": kept.pk}),
        ("reviews/", {"review_id": said.pk}),
        ("approvals/", {"uuid": scene.waiting.approvals.get().uuid}),
        ("runs/", {"uuid": scene.lost.uuid}),
        ("articles/", {"pk": own.pk}),
        ("articles/feeds/", {"pk": feed.pk}),
        ("knowledge/gaps/", {"pk": gap.pk}),
        ("knowledge/labels/", {"pk": suspect.pk}),
        ("sources/", {"slug": source.slug, "uuid": delivery.uuid, "pk": mapping.pk}),
        ("people/", {"pk": scene.agent.pk, "slug": "nordwind"}),
        ("tokens/", {"pk": tokens.of(scene.agent)[0].pk}),
        ("me/tokens/", {"pk": tokens.of(scene.agent)[0].pk}),
        ("certificates/", {"uuid": certificate.uuid}),
        ("models/", {"version": "nw-1"}),
        ("sign-in/", {"secret": "guessed"}),
        ("set-password/", {"secret": "guessed"}),
        ("sagemaker/", {"customer": "nordwind"}),
        ("admin/r/", {"content_type_id": 1, "object_id": 1}),
        ("admin/", {"app_label": "triage", "url": "nowhere"}),
        ("api/tickets/", {"uuid": ticket.uuid}),
        ("api/approvals/", {"uuid": scene.waiting.approvals.get().uuid}),
        ("api/runs/", {"uuid": scene.lost.uuid}),
        ("api/reviews/", {"number": said.pk}),
        ("api/articles/", {"key": "NW1"}),
        ("api/certificates/", {"uuid": certificate.uuid}),
        ("api/models/", {"customer": "nordwind", "version": "nw-1"}),
        ("api/runbooks/", {"key": "unlock_account"}),
    ]
    for model in admin.site._registry:
        rows = _of(model, scene)
        place = f"admin/{model._meta.app_label}/{model._meta.model_name}/"
        rules.append((place, {"object_id": rows[0]["pk"] if rows else 1, "id": rows[0]["pk"] if rows else 1}))
    return World(scene, tuple(rules))


def _of(model: type[Model], scene: scenes.Scene) -> list[dict[str, Any]]:
    """The model's rows that are the first customer's, whole."""
    names = {field.attname for field in model._meta.concrete_fields}
    rows = [{"pk": row[model._meta.pk.attname], **row} for row in model._base_manager.order_by("pk").values()]
    mine = {"customer_id": scene.nordwind.pk, "person_id": scene.agent.pk}
    if model._meta.object_name in ("Customer", "Person"):
        wanted = scene.nordwind.pk if model._meta.object_name == "Customer" else scene.agent.pk
        return [row for row in rows if row["pk"] == wanted]
    owned = [name for name in mine if name in names]
    return [row for row in rows if any(row[name] == mine[name] for name in owned)]


def _state(scene: scenes.Scene) -> dict[str, list[dict[str, Any]]]:
    """All that is the first customer's; what was tried is written to nobody's log."""
    models = [model for model in apps.get_models() if model._meta.app_label == "triage"]
    return {model._meta.object_name or "": _of(model, scene) for model in models}


def _leaks(content: bytes, path: str) -> list[str]:
    text = content.decode(errors="replace").replace(path, "")
    return [secret for secret in SECRETS if secret in text and secret not in path]


def _walk(world: World, addresses: list[Address], ask: Callable[[Address, str], list[Any]], who: str) -> None:
    """Ask for each; another customer's object is refused at least once and never told, and nothing changes."""
    before = _state(world.scene)
    for address in addresses:
        path = world.path(address)
        assert path is not None, f"{address.route}: say in `world` which object of another customer stands there"
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
    return [one for one in _addresses() if not one.room and not one.route.startswith(tuple(OUTSIDE))]


def test_every_address_is_in_a_room_that_is_walked_or_named_here() -> None:
    rest = {one.route for one in _addresses() if one.room == "webhooks/" or one.route.startswith(tuple(OUTSIDE))}
    assert {route for route in rest if not route.startswith("panel/")} == {"webhooks/<source>", "sign-out/"}
    rooms = {one.room for one in _addresses()}
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

    settings = [one for one in _addresses() if one.room == "admin/"]
    _walk(world, [*_pages(), *settings], ask, "nobody")


def test_the_settings_are_closed_to_a_customers_own_administrators(world: World) -> None:
    person = factories.member(world.scene.contoso, Role.ADMIN, username="eve")
    client = client_of(person)

    def ask(_: Address, path: str) -> list[Any]:
        return [client.get(path)]

    settings = [one for one in _addresses() if one.room == "admin/" and "login" not in one.route]
    assert len(settings) > 60
    _walk(world, [one for one in settings if "logout" not in one.route], ask, "an administrator in the settings")


def test_every_address_of_the_api_is_described_and_so_walked_by_the_tests_of_the_api() -> None:
    described = {re.sub(r"\{(\w+)\}", r"<\1>", path.lstrip("/")) for path in api.api.get_openapi_schema()["paths"]}
    there = {re.sub(r"<\w+:(\w+)>", r"<\1>", one.route) for one in _addresses() if one.room == "api/"}
    assert there - described == OPEN
    assert described <= there


def test_a_token_with_every_scope_reads_nothing_of_another_customer(world: World) -> None:
    """What each scope alone may do is tests/api/test_leaks.py's."""
    person = factories.member(world.scene.contoso, Role.ADMIN, username="eve")
    Membership.objects.create(person=person, customer=world.scene.contoso, role=Role.STEWARD)
    there = [one for one in _addresses() if one.room in ("api/", "sagemaker/")]
    there = [one for one in there if one.route not in OPEN and not one.route.startswith("api/runbooks/")]
    body = json.dumps({"instances": ["x"], "customer": "nordwind"})
    headers = {"Authorization": f"Bearer {Caller(person).secret}"}

    def ask(_: Address, path: str) -> list[Any]:
        sent = [Client().get(path, headers=headers)]
        return [*sent, Client().generic("POST", path, body, content_type="application/json", headers=headers)]

    _walk(world, there, ask, "a token with every scope")
    assert not Person.objects.filter(username="mallory").exists()
    assert not AuditEvent.objects.filter(actor=f"person:{person.pk}", customer_id=world.scene.nordwind.pk).exists()
