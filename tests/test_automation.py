"""Which run a ticket gets: its own, its storm's or none; and what stands in the way of any."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from runbooks.registry import RUNBOOKS
from runbooks.targets import journal
from tests import factories
from tests.runs import ACTOR, Scene
from triage import automation, execution
from triage.models import Certificate, Decision, Notification, Run, RunbookState, Ticket

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("lake")]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_a_second_ticket_for_the_same_account_goes_to_a_person_while_a_run_lives(scene: Scene) -> None:
    scene.request()
    second = scene.new_ticket()
    assert automation.request(ticket=second, decision=scene.decide(second), at=scene.at, actor=ACTOR) is None
    second.refresh_from_db()
    assert second.status == Ticket.Status.NEEDS_REVIEW
    assert "under way" in second.reason


def test_equal_machine_alerts_link_to_the_storms_run_and_resolve_with_it(scene: Scene) -> None:
    alerts = [scene.new_ticket(actor=Ticket.Actor.MACHINE, storm_key="5" * 64) for _ in range(4)]
    run = scene.request(alerts[0], scene.decide(alerts[0]))
    for alert in alerts[1:3]:
        automation.request(ticket=alert, decision=scene.decide(alert), at=scene.at, actor=ACTOR)
    execution.execute(run.pk, at=timezone.now())
    automation.request(ticket=alerts[3], decision=scene.decide(alerts[3]), at=scene.at, actor=ACTOR)
    statuses = set(Ticket.objects.filter(pk__in=[alert.pk for alert in alerts]).values_list("status", flat=True))
    assert statuses == {Ticket.Status.RESOLVED}
    assert Run.objects.count() == 1
    assert scene.effects() == 1


def test_an_alert_raised_after_the_run_ended_is_run_for_anew(scene: Scene) -> None:
    first, second = (scene.new_ticket(actor=Ticket.Actor.MACHINE, storm_key="5" * 64) for _ in range(2))
    run = scene.request(first, scene.decide(first))
    assert execution.execute(run.pk, at=timezone.now())
    Ticket.objects.filter(pk=second.pk).update(created_at=timezone.now())
    second.refresh_from_db()
    assert scene.request(second, scene.decide(second)).status == Run.Status.REQUESTED


def test_a_storm_whose_runbook_takes_no_account_is_answered_by_one_run(scene: Scene, tmp_path: Path) -> None:
    journal.create(tmp_path / "journal.sqlite3")
    factories.target(scene.customer, kind="journal", settings=json.dumps({"path": str(tmp_path / "journal.sqlite3")}))
    Certificate.objects.update(runbooks=["record_only"])
    alerts = [scene.new_ticket(actor=Ticket.Actor.MACHINE, storm_key=key * 64) for key in "556"]
    for alert in alerts:
        decision = scene.decide(alert)
        Decision.objects.filter(pk=decision.pk).update(runbook="record_only", parameters={})
        decision.refresh_from_db()
        automation.request(ticket=alert, decision=decision, at=scene.at, actor=ACTOR)
    assert [
        ticket.status for ticket in Ticket.objects.filter(pk__in=[alert.pk for alert in alerts]).order_by("pk")
    ] == [
        Ticket.Status.QUEUED,
        Ticket.Status.LINKED,
        Ticket.Status.QUEUED,
    ]


def test_the_run_that_opens_the_circuit_tells_people_once(scene: Scene) -> None:
    runbook = RUNBOOKS["unlock_account"]
    for number in range(runbook.limits.circuit_failures + 1):
        ticket = scene.new_ticket()
        run = factories.run(
            ticket, scene.target, status=Run.Status.UNDONE, finished_at=scene.at + timedelta(seconds=number)
        )
        automation.settle(run, at=scene.at, actor=ACTOR)
        told = Notification.objects.filter(kind="circuit_open").count()
        assert told == (1 if number + 1 >= runbook.limits.circuit_failures else 0)


def test_three_failures_open_the_circuit_and_a_person_closes_it(scene: Scene) -> None:
    runbook = RUNBOOKS["unlock_account"]
    at = timezone.now()
    for number in range(runbook.limits.circuit_failures):
        ticket = scene.new_ticket()
        Run.objects.create(
            customer=scene.customer, ticket=ticket, runbook=runbook.key, target=scene.target, text_hash="0" * 64,
            target_object=f"x{number}", action_digest=runbook.action_digest, status=Run.Status.UNDONE,
            requested_at=at, finished_at=at, phases=[{"phase": "undo_check"}],
        )  # fmt: skip
    assert "circuit is open" in (automation.obstacle(customer=scene.customer, runbook=runbook, at=at) or "")
    RunbookState.objects.create(customer=scene.customer, runbook=runbook.key, circuit_closed_at=at)
    assert automation.obstacle(customer=scene.customer, runbook=runbook, at=at) is None
