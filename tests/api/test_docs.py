"""Every example of docs/api.md is run by a shell with the real curl against a real server, and works."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

from tests import factories, trained
from tests.api.caller import Caller
from tests.web import scene as scenes
from triage import api, tokens
from triage.models import Article, Membership, Review, Role, Run

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
pytestmark = pytest.mark.django_db(transaction=True)


def examples() -> list[str]:
    """The shell blocks of the page."""
    return re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_every_example_works(live_server: LiveServer, tmp_path: Path) -> None:
    scene = scenes.build(at=timezone.now(), folder=tmp_path)
    factories.certificate(trained.release(scene.nordwind))
    person = factories.member(scene.nordwind, Role.STEWARD)
    Membership.objects.create(person=person, customer=scene.nordwind, role=Role.APPROVER)
    ticket = scene.tickets[2]
    given = {
        "PATH": os.environ["PATH"],
        "TRIAGE": live_server.url,
        "TOKEN": Caller(person).secret,
        "TICKET": str(ticket.uuid),
        "TEXT_HASH": ticket.text_hash,
        "APPROVAL": str(scene.waiting.approvals.get().uuid),
    }
    script = "set -eu\n" + "\n".join(examples())
    ran = subprocess.run(
        ["bash", "-o", "pipefail", "-c", script], env=given, capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    assert script.count("curl") >= 20
    assert Review.objects.get(ticket=ticket, person=person).article == "KB0002"
    assert Run.objects.filter(ticket=scene.waiting).exists()
    assert Article.objects.get(key="NW-100").retired_at is not None
    assert '"__label__printer"' in ran.stdout


def test_the_page_names_every_noun_and_scope() -> None:
    page = PAGE.read_text(encoding="utf-8")
    schema = api.api.get_openapi_schema()
    for noun in {path.split("/")[2] for path in schema["paths"]}:
        assert f"/api/{noun}" in page
    for scope in tokens.SCOPES:
        assert f"`{scope}`" in page
