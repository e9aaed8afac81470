"""One-time sign-in links."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from tests import factories
from triage.models import AuditEvent, Token
from triage.web.signin import make_sign_in_link

pytestmark = pytest.mark.django_db


def _signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def test_a_link_signs_in_once() -> None:
    person = factories.person()
    path = make_sign_in_link(person, at=timezone.now())
    client = Client()
    assert client.post(path).status_code == 302
    assert _signed_in(client)
    again = Client()
    assert again.post(path).status_code == 410
    assert not _signed_in(again)
    assert AuditEvent.objects.get(event="signed in by link").actor == f"person:{person.pk}"


def test_opening_the_link_does_not_use_it_up() -> None:
    path = make_sign_in_link(factories.person(), at=timezone.now())
    client = Client()
    page = client.get(path)
    assert page.status_code == 200
    assert not _signed_in(client)
    assert page["Referrer-Policy"] == "same-origin"
    assert client.post(path).status_code == 302


def test_only_the_secrets_hash_is_stored() -> None:
    path = make_sign_in_link(factories.person(), at=timezone.now())
    secret = path.split("/")[2]
    assert len(secret) >= 43
    assert secret not in str(Token.objects.values())


@pytest.mark.parametrize("why", ["expired", "inactive", "unknown", "an API token"])
def test_a_link_that_must_not_work_does_not(why: str) -> None:
    person = factories.person()
    at = timezone.now() - timedelta(hours=25) if why == "expired" else timezone.now()
    path = make_sign_in_link(person, at=at)
    if why == "inactive":
        person.is_active = False
        person.save(update_fields=["is_active"])
    if why == "unknown":
        path = path[:-4] + "abc/"
    if why == "an API token":
        Token.objects.update(purpose=Token.Purpose.API)
    client = Client()
    assert client.post(path).status_code == 410
    assert not _signed_in(client)


def test_who_came_by_link_is_asked_for_a_password_and_can_set_one() -> None:
    person = factories.person()
    person.set_unusable_password()
    person.save()
    client = Client()
    assert client.post(make_sign_in_link(person, at=timezone.now()))["Location"] == "/me/"
    assert "Set a password now" in client.get("/me/").content.decode()
    new = "another quite long phrase"
    assert client.post("/me/", {"new_password1": new, "new_password2": new}).status_code == 302
    person.refresh_from_db()
    assert person.check_password(new)
    assert client.get("/").status_code == 200
