"""Another customer's things behind every address: which object each part of an address names."""

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.db.models import Model
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from tests import factories
from tests.web import scene as scenes
from triage import tokens
from triage.models import Delivery, EventEndpoint, Gap, Release, SavedFilter, Source, Suspect

ROOMS = ("admin/", "api/", "sagemaker/", "webhooks/")

Rule = tuple[str, dict[str, Any]]
"""How an address begins, and what its parameters are there: the first customer's things."""


@dataclass(frozen=True)
class Address:
    """One address: its route as one text, and the names of its parameters."""

    route: str
    names: tuple[str, ...]

    @property
    def room(self) -> str:
        return next((room for room in ROOMS if self.route.startswith(room)), "")


def addresses() -> list[Address]:
    """Every address there is."""
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
    rules: tuple[Rule, ...]

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


def world(folder: Path) -> World:
    """Two customers, the first with something behind every kind of address."""
    scene = scenes.build(at=timezone.now(), folder=folder)
    everywhere = {"slug": "nordwind", "key": "unlock_account", "source": "nordwind-snow", "customer": "nordwind"}
    made = [*_work(scene), *_knowledge(scene), *_connections(scene), *_people(scene), *_models(scene)]
    return World(scene, (("", everywhere), *made, *_settings(scene)))  # the settings know what all the others made


def _work(scene: scenes.Scene) -> list[Rule]:
    ticket, asked = scene.tickets[0], scene.waiting.approvals.get()
    said = factories.review(scene.tickets[4], scene.agent)
    kept = SavedFilter.objects.create(person=scene.agent, name="Nordwind's", query={"status": "all"})
    return [
        ("tickets/", {"uuid": ticket.uuid}),
        ("choose/", {"uuid": ticket.uuid, "text": ticket.text_hash[:16], "choice": "accept"}),
        ("queue/alike/", {"pk": ticket.pk}),
        ("queue/saved/", {"pk": kept.pk}),
        ("reviews/", {"review_id": said.pk}),
        ("approvals/", {"uuid": asked.uuid}),
        ("runs/", {"uuid": scene.lost.uuid}),
        ("api/tickets/", {"uuid": ticket.uuid}),
        ("api/approvals/", {"uuid": asked.uuid}),
        ("api/runs/", {"uuid": scene.lost.uuid}),
        ("api/reviews/", {"number": said.pk}),
    ]


def _knowledge(scene: scenes.Scene) -> list[Rule]:
    own = factories.article(customer=scene.nordwind, key="NW1", title="Nordwind only", translation_group="NW1")
    feed = apps.get_model("triage", "ArticleFeed").objects.create(
        slug="nordwind-kb", kind="folder", name="Nordwind's wiki", customer=scene.nordwind
    )
    at = timezone.now()
    moments = {"first_at": at, "last_at": at, "made_at": at, "grouped_at": at}
    gap = Gap.objects.create(customer=scene.nordwind, words="Nordwind's badges", size=1, **moments)
    return [
        ("articles/", {"pk": own.pk}),
        ("articles/feeds/", {"pk": feed.pk}),
        ("knowledge/gaps/", {"pk": gap.pk}),
        ("api/articles/", {"key": "NW1"}),
        ("api/runbooks/", {"key": "unlock_account"}),
    ]


def _connections(scene: scenes.Scene) -> list[Rule]:
    source = Source.objects.get(slug="nordwind-snow")
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
    return [("sources/", {"slug": source.slug, "uuid": delivery.uuid, "pk": mapping.pk})]


def _people(scene: scenes.Scene) -> list[Rule]:
    tokens.issue(person=scene.agent, name="Bea Meyer's", scopes=["runs:read"], days="30", at=timezone.now())
    return [
        ("people/", {"pk": scene.agent.pk, "slug": "nordwind"}),
        ("tokens/", {"pk": tokens.of(scene.agent)[0].pk}),
        ("me/tokens/", {"pk": tokens.of(scene.agent)[0].pk}),
        ("sign-in/", {"secret": "guessed"}),
        ("set-password/", {"secret": "guessed"}),
    ]


def _models(scene: scenes.Scene) -> list[Rule]:
    release = factories.release(scene.nordwind, version="nw-1", status=Release.Status.IN_FORCE)
    certificate = factories.certificate(release)
    label = factories.label(scene.nordwind, article="KB0001")
    suspect = Suspect.objects.create(
        customer=scene.nordwind, release=release, label=label, text_key="0" * 16, given="KB0001", likely="KB0004",
        probability=0.9, self_confidence=0.1, place=0,
    )  # fmt: skip
    return [
        ("knowledge/labels/", {"pk": suspect.pk}),
        ("certificates/", {"uuid": certificate.uuid}),
        ("models/", {"version": "nw-1"}),
        ("sagemaker/", {"customer": "nordwind"}),
        ("api/certificates/", {"uuid": certificate.uuid}),
        ("api/models/", {"customer": "nordwind", "version": "nw-1"}),
    ]


def _settings(scene: scenes.Scene) -> list[Rule]:
    rules: list[Rule] = [
        ("admin/r/", {"content_type_id": 1, "object_id": 1}),
        ("admin/", {"app_label": "triage", "url": "nowhere"}),
    ]
    for model in admin.site._registry:
        rows = rows_of(model, scene)
        place = f"admin/{model._meta.app_label}/{model._meta.model_name}/"
        rules.append((place, {"object_id": rows[0]["pk"] if rows else 1, "id": rows[0]["pk"] if rows else 1}))
    return rules


def rows_of(model: type[Model], scene: scenes.Scene) -> list[dict[str, Any]]:
    """The model's rows that are the first customer's, whole."""
    names = {field.attname for field in model._meta.concrete_fields}
    rows = [{"pk": row[model._meta.pk.attname], **row} for row in model._base_manager.order_by("pk").values()]
    mine = {"customer_id": scene.nordwind.pk, "person_id": scene.agent.pk}
    if model._meta.object_name in ("Customer", "Person"):
        wanted = scene.nordwind.pk if model._meta.object_name == "Customer" else scene.agent.pk
        return [row for row in rows if row["pk"] == wanted]
    owned = [name for name in mine if name in names]
    return [row for row in rows if any(row[name] == mine[name] for name in owned)]
