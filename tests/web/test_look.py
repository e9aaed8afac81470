"""The language, zone and theme that a person chose, on every page."""

import re

import pytest
from django.test import Client

from tests import factories
from tests.web.conftest import client_of
from triage.models import Person

pytestmark = pytest.mark.django_db


def _html(client: Client, path: str = "/me/", **headers: str) -> str:
    found = re.search(r"<html[^>]*>", client.get(path, headers=headers).content.decode())
    assert found
    return found[0]


def test_pages_speak_the_persons_language_before_the_browsers() -> None:
    person = factories.person()
    client = client_of(person)
    assert 'lang="ja"' in _html(client, **{"Accept-Language": "ja,en;q=0.5"})
    assert client.post("/me/", {"language": "de", "zone": "Europe/Berlin", "theme": ""}).status_code == 302
    answer = client.get("/me/", headers={"Accept-Language": "ja"})
    assert 'lang="de"' in answer.content.decode()
    assert answer["Content-Language"] == "de"
    assert "Dieses Feld ist zwingend erforderlich" in client.post("/me/", {"new_password1": ""}).content.decode()
    assert Person.objects.get(pk=person.pk).zone == "Europe/Berlin"


def test_who_has_not_signed_in_is_met_in_the_browsers_language() -> None:
    assert 'lang="de"' in _html(Client(), "/sign-in/", **{"Accept-Language": "de-AT,de;q=0.9"})
    assert 'lang="en"' in _html(Client(), "/sign-in/", **{"Accept-Language": "xx"})


def test_a_theme_stands_on_the_page_and_none_leaves_it_to_the_system() -> None:
    client = client_of(factories.person())
    assert "data-theme" not in _html(client)
    client.post("/me/", {"theme": "dark", "zone": "UTC", "language": ""})
    assert 'data-theme="dark"' in _html(client)


@pytest.mark.parametrize("field", ["language", "theme", "zone"])
def test_what_is_not_offered_is_refused_by_name_and_nothing_changes(field: str) -> None:
    person = factories.person()
    client = client_of(person)
    choice = {"zone": "Asia/Tokyo", "language": "de", "theme": "dark", field: "<klingon>"}
    page = client.post("/me/", choice, follow=True).content.decode()
    assert "&lt;klingon&gt;" in page
    person.refresh_from_db()
    assert (person.zone, person.language, person.theme) == ("UTC", "", "")
