"""The link in a mail opens a page, signs in and acts by POST, once; looking changes nothing, whoever looks."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests import factories
from tests.web.conftest import client_of
from tests.web.scene import Scene
from triage.models import Approval, AuditEvent, Notification, Person, Posting, Run, Target, Ticket


def _state() -> list[object]:
    tables = (Approval, Run, Ticket, Notification, Posting, AuditEvent)
    return [list(table.objects.order_by("pk").values()) for table in tables]


def _link(scene: Scene) -> str:
    return Notification.objects.get(kind="approval_waiting").link


def test_the_link_leads_a_stranger_to_sign_in_and_then_to_the_request(scene: Scene) -> None:
    Person.objects.filter(pk=scene.approver.pk).update(password=factories._hashed())
    client = Client()
    first = client.get(_link(scene))
    assert first["Location"] == f"/sign-in/?next={_link(scene)}"
    page = client.get(first["Location"]).content.decode()
    assert f'name="next" value="{_link(scene)}"' in page
    form = {"username": scene.approver.username, "password": "a long enough password", "next": _link(scene)}
    signed_in = client.post("/sign-in/", form)
    assert signed_in["Location"] == _link(scene)
    assert 'value="grant"' in client.get(_link(scene)).content.decode()


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example/", "/\\evil.example"])
def test_signing_in_leads_nowhere_else(scene: Scene, elsewhere: str) -> None:
    Person.objects.filter(pk=scene.approver.pk).update(password=factories._hashed())
    form = {"username": scene.approver.username, "password": "a long enough password", "next": elsewhere}
    assert Client().post("/sign-in/", form)["Location"] == "/"


@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_looking_changes_nothing_signed_in_or_not(scene: Scene, method: str) -> None:
    approval = scene.waiting.approvals.get()
    before = _state()
    for client in (Client(), client_of(scene.approver)):
        for path in (_link(scene), f"{_link(scene)}?answer=grant", reverse("approval-answer", args=[approval.uuid])):
            getattr(client, method)(path)
        getattr(client, method)(reverse("approval-rehearse", args=[approval.uuid]))
    assert _state() == before


def test_a_post_without_a_session_or_its_form_changes_nothing(scene: Scene) -> None:
    path = reverse("approval-answer", args=[scene.waiting.approvals.get().uuid])
    before = _state()
    Client().post(path, {"answer": "grant"})
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(scene.approver, backend="django.contrib.auth.backends.ModelBackend")
    assert strict.post(path, {"answer": "grant"}).status_code == 403
    assert _state() == before


def test_a_yes_sent_twice_acts_once(scene: Scene) -> None:
    client, path = client_of(scene.approver), reverse("approval-answer", args=[scene.waiting.approvals.get().uuid])
    for _ in range(2):
        client.post(path, {"answer": "grant"})
    client.post(path, {"answer": "refuse", "reason": "no, wait"})
    assert scene.waiting.approvals.get().status == "granted"
    assert Run.objects.filter(ticket=scene.waiting).count() == 1


@pytest.mark.parametrize(
    ("requester", "approver"),
    [
        ("Grace@Nordwind.example", {"email": "grace@nordwind.example"}),
        ("grace.hopper", {"username": "Grace.Hopper"}),
        ("grace.hopper", {"email": "grace@nordwind.example"}),  # one account of the directory has both
        ("grace@nordwind.example", {"username": "grace.hopper", "email": "g.private@example.org"}),
        ("Grace Hopper", {"email": "grace@nordwind.example"}),
    ],
)
@pytest.mark.parametrize("answer", [{"answer": "grant"}, {"answer": "refuse", "reason": "not me"}])
def test_the_requesters_own_is_refused_by_mail_name_and_account(
    scene: Scene, requester: str, approver: dict[str, str], answer: dict[str, str]
) -> None:
    Ticket.objects.filter(pk=scene.waiting.pk).update(requester=requester)
    own = factories.member(scene.nordwind, "approver", **approver)
    client_of(own).post(reverse("approval-answer", args=[scene.waiting.approvals.get().uuid]), answer)
    assert scene.waiting.approvals.get().status == "asked"
    assert not Run.objects.filter(ticket=scene.waiting).exists()


def test_a_directory_that_is_away_keeps_nobody_else_from_answering(scene: Scene) -> None:
    factories.target(scene.nordwind, kind="directory", key="gone", settings='{"path": "/nowhere/at/all.sqlite3"}')
    Target.objects.filter(pk=scene.target.pk).update(kind="journal")  # the run's own target is another matter
    approval = scene.waiting.approvals.get()
    from triage import approvals

    approvals.check_not_own(approval, person=scene.approver)


def test_the_page_says_what_would_happen_who_asks_and_until_when(scene: Scene) -> None:
    page = client_of(scene.approver).get(_link(scene)).content.decode()
    for said in ("Unlock", "grace.hopper", "nordwind-ad", "Asked by the model", "runs out", "Try it"):
        assert said in page
    factories.review(scene.waiting, scene.agent, follow="run")
    assert "Asked by Bea Meyer" in client_of(scene.approver).get(_link(scene)).content.decode()


def test_a_request_that_no_longer_holds_says_so_before_anybody_says_yes(scene: Scene) -> None:
    scene.target.settings = '{"path": "/another/directory.sqlite3"}'
    scene.target.save()
    assert "has changed since" in client_of(scene.approver).get(_link(scene)).content.decode()
    client_of(scene.approver).post(
        reverse("approval-answer", args=[scene.waiting.approvals.get().uuid]), {"answer": "grant"}
    )
    assert not Run.objects.filter(ticket=scene.waiting).exists(), (
        "another directory under the same name is another target"
    )


def test_the_pre_check_is_asked_on_demand_and_changes_nothing_but_the_log(scene: Scene) -> None:
    path = reverse("approval-rehearse", args=[scene.waiting.approvals.get().uuid])
    said = client_of(scene.approver).post(path, headers={"HX-Request": "true"}).content.decode()
    assert "found nothing against it" in said
    assert "cannot be tried without doing them" in said
    assert "<html" not in said
    assert AuditEvent.objects.filter(event="rehearsed", actor=f"person:{scene.approver.pk}").count() == 1
    assert scene.waiting.approvals.get().status == "asked"
    assert client_of(scene.agent).post(path).status_code == 403


def test_two_people_means_that_the_second_hears_of_it(scene: Scene) -> None:
    from triage import automation

    approval = scene.waiting.approvals.get()
    Approval.objects.filter(pk=approval.pk).update(people_needed=2)
    approval.refresh_from_db()
    automation.grant(approval, person=scene.approver, at=timezone.now())
    assert Notification.objects.filter(key=f"approval-{approval.uuid}-second", text__contains="second person").exists()
