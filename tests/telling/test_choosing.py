"""Owners and endpoints are set up by administrators, mail is chosen by each person, and the doctor looks at both."""

from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from tests import factories
from tests.mailbox import Mailbox
from tests.telling.conftest import Receiver
from tests.web.conftest import client_of
from triage import doctor, recovery, telling
from triage.models import AuditEvent, EventEndpoint, MailChoice, RunbookOwner
from triage.telling.kinds import CHOICES

pytestmark = pytest.mark.django_db


def admin() -> Any:
    return client_of(factories.person(is_superuser=True, is_staff=True, email="root@example.org"))


def test_each_person_ticks_what_comes_by_mail() -> None:
    person = factories.member(factories.customer(), email="bea@example.org")
    client = client_of(person)
    page = client.get("/me/").content.decode()
    assert 'value="approval_waiting" checked' in page
    assert 'value="run_failed" >' in page
    client.post(reverse("me-mail"), {"kind": ["run_failed", "nonsense"]})
    chosen = dict(MailChoice.objects.filter(person=person).values_list("kind", "wanted"))
    assert chosen == {kind: kind == "run_failed" for kind in CHOICES}
    assert 'value="run_failed" checked' in client.get("/me/").content.decode()


def test_an_administrator_names_a_runbooks_owner() -> None:
    customer = factories.customer()
    stranger = factories.person(email="x@example.org")
    path, client = reverse("admin:triage_runbookowner_add"), admin()
    form = {"customer": customer.pk, "runbook": "unlock_account", "people": [], "mail": ""}
    assert "Name people" in client.post(path, form).content.decode()
    assert "has no role" in client.post(path, {**form, "people": [stranger.pk]}).content.decode()
    assert client.post(path, {**form, "mail": "identity@example.org"}).status_code == 302
    assert "has an owner here already" in client.post(path, {**form, "mail": "b@example.org"}).content.decode()
    assert RunbookOwner.objects.get().mail == "identity@example.org"


def test_an_endpoints_secrets_are_written_and_never_shown() -> None:
    path, client = reverse("admin:triage_eventendpoint_add"), admin()
    form = {"customer": "", "name": "chat", "url": "https://hooks.example.org/x", "enabled": "on", "new_secret": ""}
    assert "Messages are signed" in client.post(path, form).content.decode()
    assert "whsec_ and at least" in client.post(path, {**form, "new_secret": "hunter2"}).content.decode()
    good = {**form, "new_secret": f"{factories.SECRET}\nwhsec_{'b2xk' * 10}", "kinds": ["run.unknown"]}
    assert "name and password" in client.post(path, {**good, "url": "https://a:b@example.org/"}).content.decode()
    assert client.post(path, good).status_code == 302
    row = EventEndpoint.objects.get()
    assert (len(row.signing_secrets()), row.kinds) == (2, ["run.unknown"])
    change = reverse("admin:triage_eventendpoint_change", args=[row.pk])
    assert factories.SECRET not in client.get(change).content.decode()
    EventEndpoint.objects.update(enabled=False, disabled_because="It failed.", failing_since=timezone.now())
    assert client.post(change, {**form, "kinds": []}).status_code == 302
    row.refresh_from_db()
    assert (row.enabled, row.disabled_because, row.failing_since) == (True, "", None)
    assert len(row.signing_secrets()) == 2, "an empty field keeps what is stored"
    assert "MfKQ9r8" not in str(list(AuditEvent.objects.values()))


def test_the_doctor_looks_at_mail_and_endpoints(post: Mailbox, receiver: Receiver) -> None:
    assert "takes us" in doctor._mail()
    assert "0 in use" in doctor._endpoints()
    EventEndpoint.objects.create(name="chat", url=receiver.url, failing_since=timezone.now())
    with pytest.raises(doctor.Bad, match="chat since"):
        doctor._endpoints()


def test_the_doctor_says_that_no_mail_is_sent() -> None:
    assert "TRIAGE_MAIL_URL is empty" in doctor._mail()


def test_a_sweep_rings_for_what_waits_to_be_told(post: Mailbox) -> None:
    customer = factories.customer()
    factories.member(customer, "approver", email="carl@example.org")
    assert ("tell_people", ()) not in recovery.sweep(at=timezone.now()).bells
    telling.tell(kind="approval_waiting", customer=customer, key="k", text="x", at=timezone.now())
    assert ("tell_people", ()) in recovery.sweep(at=timezone.now()).bells
