"""Switches and circuits on the pages: who may use them, what they do at once, and who, when and why for all to read."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from runbooks.registry import RUNBOOKS
from tests import factories
from tests.web.conftest import client_of
from tests.web.scene import Scene
from triage import automation, obstacles
from triage.models import AuditEvent, Customer, Freeze, Notification, Person, Role, Run, RunbookState, Standing, Target

pytestmark = pytest.mark.django_db
UNLOCK = RUNBOOKS["unlock_account"]


@pytest.fixture
def customer() -> Customer:
    return factories.customer(name="Nordwind <b>AG</b>")


def obstacle(customer: Customer) -> str | None:
    return automation.obstacle(customer=customer, runbook=UNLOCK, at=timezone.now())


def test_everything_is_stopped_with_a_reason_that_everybody_reads(customer: Customer) -> None:
    chief = factories.person(is_superuser=True, first_name="Ada", last_name="Chief")
    reader, path = client_of(factories.member(customer, Role.AUDITOR)), reverse("automation-switch-all")
    assert client_of(factories.member(customer, Role.ADMIN)).post(path, {"reason": "mine"}).status_code == 403
    assert client_of(chief).post(path, {"to": "off", "reason": " "}).status_code == 302
    assert obstacle(customer) is None  # without a reason nothing is stopped
    client_of(chief).post(path, {"to": "off", "reason": "a bad release"})
    assert obstacle(customer) == "Automation is switched off for all customers: a bad release"
    page = reader.get(reverse("overview")).content.decode()
    assert "Ada Chief" in page
    assert "a bad release" in page
    assert path not in page
    client_of(chief).post(path, {"to": "on", "reason": "rolled back"})
    assert obstacle(customer) is None
    told = AuditEvent.objects.filter(subject="standing").order_by("pk").values_list("after", "reason", "actor")
    assert list(told) == [("off", "a bad release", f"person:{chief.pk}"), ("on", "rolled back", f"person:{chief.pk}")]
    assert Standing.objects.get().off_by is None


def test_a_stopped_customer_shows_who_when_and_why(customer: Customer) -> None:
    agent = factories.member(customer, Role.AGENT, first_name="Bea", last_name="Agent")
    client_of(agent).post(
        reverse("automation-switch", args=[customer.slug]), {"to": "off", "reason": "odd <i>things</i>"}
    )
    page = client_of(agent).get(reverse("overview")).content.decode()
    assert "Bea Agent" in page
    assert "odd &lt;i&gt;things&lt;/i&gt;" in page
    assert AuditEvent.objects.get(event="automation stopped").customer_id == customer.pk


def test_one_runbook_is_stopped_by_anybody_there_and_allowed_by_administrators(customer: Customer) -> None:
    agent, admin = factories.member(customer, Role.AGENT), factories.member(customer, Role.ADMIN)
    path = reverse("runbook-switch", args=[customer.slug, UNLOCK.key])
    client_of(agent).post(path, {"to": "off", "reason": "unlocks the wrong ones"})
    assert obstacle(customer) == "This runbook is switched off."
    assert automation.obstacle(customer=factories.customer(), runbook=UNLOCK, at=timezone.now()) is None
    page = client_of(agent).get(reverse("runbook", args=[customer.slug, UNLOCK.key])).content.decode()
    assert "unlocks the wrong ones" in page
    assert client_of(agent).post(path, {"to": "on", "reason": "fine"}).status_code == 403
    client_of(admin).post(path, {"to": "on", "reason": "fine"})
    assert obstacle(customer) is None
    told = AuditEvent.objects.filter(subject="runbookstate", customer_id=customer.pk).values_list("event", flat=True)
    assert list(told) == ["runbook stopped", "runbook started"]


def open_circuit(customer: Customer, target: Target) -> None:
    source = factories.source(customer=customer)
    for number in range(UNLOCK.limits.circuit_failures):
        run = factories.run(
            factories.ticket(source=source), target, status=Run.Status.UNDONE,
            finished_at=timezone.now() - timedelta(minutes=number),
        )  # fmt: skip
    automation.settle(run, at=timezone.now(), actor="system:test")


def test_the_notification_of_a_circuit_leads_to_where_an_approver_closes_it(customer: Customer) -> None:
    open_circuit(customer, factories.target(customer))
    assert "circuit is open" in (obstacle(customer) or "")
    link = Notification.objects.get(kind="circuit_open").link
    agent, approver = (client_of(factories.member(customer, role)) for role in (Role.AGENT, Role.APPROVER))
    close = reverse("runbook-circuit", args=[customer.slug, UNLOCK.key])
    assert close in approver.get(link).content.decode()
    assert close not in agent.get(link).content.decode()
    assert agent.post(close, {"reason": "me"}).status_code == 403
    approver.post(close, {"reason": ""})
    assert "circuit is open" in (obstacle(customer) or "")
    approver.post(close, {"reason": "the directory was down"})
    assert obstacle(customer) is None
    event = AuditEvent.objects.get(event="circuit closed")
    assert (event.reason, event.customer_id) == ("the directory was down", customer.pk)
    again = approver.post(close, {"reason": "twice"}, follow=True).content.decode()
    assert "closed already" in again


def test_others_see_neither_page_nor_button(customer: Customer) -> None:
    stranger = client_of(factories.member(factories.customer(), Role.ADMIN))
    assert stranger.get(reverse("runbooks", args=[customer.slug])).status_code == 404
    for name in ("runbook-switch", "runbook-circuit"):
        assert stranger.post(reverse(name, args=[customer.slug, UNLOCK.key]), {"reason": "x"}).status_code == 404
    known = client_of(factories.member(customer))
    assert known.get(reverse("runbook", args=[customer.slug, "no_such"])).status_code == 404


def test_the_page_says_every_limit_that_is_in_force(customer: Customer) -> None:
    person: Person = factories.member(customer)
    RunbookState.objects.create(customer=customer, runbook=UNLOCK.key, runs_an_hour=7, environments={"test": "never"})
    page = client_of(person).get(reverse("runbooks", args=[customer.slug])).content.decode()
    assert f"at most 7 in an hour and {UNLOCK.limits.concurrent} at the same moment" in page
    assert "In the environment test it never runs." in page
    assert "Nordwind <b>" not in page
    assert obstacles.switched_off(customer, UNLOCK) is None


def test_who_orders_a_run_in_a_freeze_reads_until_when_it_waits(scene: Scene) -> None:
    at = timezone.now()
    ends = at + timedelta(hours=3)
    Freeze.objects.create(customer=scene.nordwind, begins=at, ends=ends, reason="the <b>closing</b>")
    path = reverse("ticket-run", args=[scene.tickets[0].uuid])
    page = client_of(scene.agent).post(path, {"article": "KB0001"}).content.decode()
    assert "a change freeze: the &lt;b&gt;closing&lt;/b&gt;: it goes on from" in page
    assert "as soon as you say yes" not in page
    assert ">Run it<" in page
