"""The settings pages: write-only secrets, a log of changes, and only for the provider's administrators."""

import pytest
from django.urls import reverse

from tests import factories
from tests.web.conftest import client_of
from triage.models import AuditEvent, Person, Source, Target

pytestmark = pytest.mark.django_db


def _admin() -> Person:
    return factories.person(is_superuser=True, is_staff=True)


def test_a_stored_secret_is_never_shown_again_and_an_empty_field_keeps_it() -> None:
    source = factories.source()
    client = client_of(_admin())
    path = reverse("admin:triage_source_change", args=[source.pk])
    page = client.get(path).content.decode()
    assert factories.SECRET not in page
    form = {
        "slug": source.slug,
        "kind": "standard",
        "name": "Renamed",
        "customer": source.customer_id,
        "settings": "{}",
        "assurance": "{}",
        "enabled": "on",
        "new_secret": "",
        "mappings-TOTAL_FORMS": 0,
        "mappings-INITIAL_FORMS": 0,
        "panel-TOTAL_FORMS": 0,
        "panel-INITIAL_FORMS": 0,
    }
    assert client.post(path, form).status_code == 302
    source.refresh_from_db()
    assert (source.name, source.secrets) == ("Renamed", factories.SECRET)
    client.post(path, {**form, "new_secret": "whsec_bmV3"})
    source.refresh_from_db()
    assert source.secrets == "whsec_bmV3"
    event = AuditEvent.objects.filter(subject="source").latest("id")
    assert event.event == "changed"
    assert "new_secret" in event.reason
    assert "bmV3" not in event.reason


def test_a_target_is_added_with_its_credentials_unseen() -> None:
    customer = factories.customer()
    form = {"customer": customer.pk, "key": "ad", "kind": "directory", "new_secret": '{"path": "/far/away"}'}
    client = client_of(_admin())
    assert client.post(reverse("admin:triage_target_add"), form).status_code == 302
    target = Target.objects.get()
    assert target.settings == '{"path": "/far/away"}'
    assert "far/away" not in client.get(reverse("admin:triage_target_change", args=[target.pk])).content.decode()


def test_tables_with_a_status_cannot_be_edited_there() -> None:
    page = client_of(_admin()).get(reverse("admin:index")).content.decode()
    for name in ("ticket", "run", "approval", "release", "delivery", "certificate", "auditevent"):
        assert f"/admin/triage/{name}/" not in page


def test_others_do_not_get_in() -> None:
    source = factories.source()
    agent = client_of(factories.member(source.customer, "admin"))  # type: ignore[arg-type]  # a source of one customer
    assert agent.get(reverse("admin:index")).status_code == 302
    assert Source.objects.get().name == source.name


def test_credentials_for_an_itsm_are_written_once_and_never_shown() -> None:
    source = factories.source(pull_due_at=factories.NOW)
    client = client_of(_admin())
    path = reverse("admin:triage_source_change", args=[source.pk])
    form = {
        "slug": source.slug,
        "kind": "standard",
        "name": source.name,
        "customer": source.customer_id,
        "settings": "{}",
        "assurance": "{}",
        "enabled": "on",
        "pull_every": "60",
        "mappings-TOTAL_FORMS": 0,
        "mappings-INITIAL_FORMS": 0,
        "panel-TOTAL_FORMS": 0,
        "panel-INITIAL_FORMS": 0,
    }
    refused = client.post(path, {**form, "new_credentials": '{"kind": "bearer", "tokn": "hunter2"}'})
    assert "credentials: bearer.token: Field required" in refused.content.decode()
    assert "hunter2" not in refused.content.decode()
    stored = '{"kind": "bearer", "token": "hunter2"}'
    assert client.post(path, {**form, "new_credentials": stored}).status_code == 302
    assert client.post(path, form).status_code == 302, "an empty field keeps what is stored"
    source.refresh_from_db()
    assert (source.credentials, source.pull_every, source.pull_due_at) == (stored, 60, None)
    assert "hunter2" not in client.get(path).content.decode()
    assert "hunter2" not in "".join(AuditEvent.objects.values_list("reason", flat=True))
    moved = {**form, "settings": '{"read_url": "https://elsewhere.example.org/{external_id}"}'}
    assert "stored credentials were removed" in client.post(path, moved, follow=True).content.decode()
    source.refresh_from_db()
    assert source.credentials == "", "they were entered for no such host"
    assert AuditEvent.objects.filter(subject="source", event="credentials removed").count() == 1
    moved["settings"] = '{"read_url": "https://third.example.org/{external_id}"}'
    client.post(path, {**moved, "new_credentials": stored})
    source.refresh_from_db()
    assert source.credentials == stored


@pytest.mark.parametrize("kind", ["article", "customer"])
def test_what_the_past_speaks_of_is_not_deleted(kind: str) -> None:
    row = factories.customer() if kind == "customer" else factories.article()
    client = client_of(_admin())
    gone = client.post(reverse(f"admin:triage_{kind}_delete", args=[row.pk]), {"post": "yes"})
    many = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    client.post(reverse(f"admin:triage_{kind}_changelist"), many)
    assert gone.status_code == 403
    assert type(row).objects.filter(pk=row.pk).exists()
