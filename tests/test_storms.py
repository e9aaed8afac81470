"""A storm of equal alerts is one run, however its alerts come; equal text on different hosts is never one storm."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests import factories
from tests.runs import ACTOR, Scene
from triage import approvals, automation, execution, storms
from triage.intake import storm_key
from triage.models import Approval, Decision, Mode, Notification, Role, Run, Ticket, Writeback
from triage.queries import asked as open_requests

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("lake")]
T = Ticket.Status


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def alerts(scene: Scene, number: int, **values: object) -> list[tuple[Ticket, Decision]]:
    given = {"actor": Ticket.Actor.MACHINE, "storm_key": "5" * 64, **values}
    return [(ticket, scene.decide(ticket)) for ticket in (scene.new_ticket(**given) for _ in range(number))]


def statuses(plans: list[tuple[Ticket, Decision]]) -> list[str]:
    keys = [ticket.pk for ticket, _ in plans]
    return list(Ticket.objects.filter(pk__in=keys).order_by("pk").values_list("status", flat=True))


def request_all(scene: Scene, plans: list[tuple[Ticket, Decision]]) -> list[Run]:
    return automation.request_all(plans, at=timezone.now(), actor=ACTOR)


def test_a_hundred_equal_alerts_are_one_run_and_resolve_with_it(scene: Scene) -> None:
    plans = alerts(scene, 100)
    with CaptureQueriesContext(connection) as few:
        runs = request_all(scene, plans[:20])
    with CaptureQueriesContext(connection) as many:
        assert request_all(scene, plans[20:]) == []
    assert len(many) <= len(few) + 6, "the cost of a storm must not grow with it"
    assert statuses(plans) == [T.QUEUED] + [T.LINKED] * 99
    assert execution.execute(runs[0].pk, at=timezone.now())
    assert statuses(plans) == [T.RESOLVED] * 100
    assert (Run.objects.count(), scene.effects(), Writeback.objects.count()) == (1, 1, 100)


def test_alerts_of_a_run_that_waits_longer_than_a_storm_lasts_are_linked_to_it(scene: Scene) -> None:
    first, later = alerts(scene, 1), alerts(scene, 2)
    (run,) = request_all(scene, first)
    Run.objects.filter(pk=run.pk).update(requested_at=scene.at - storms.WINDOW * 3)
    assert request_all(scene, later) == []
    assert statuses(later) == [T.LINKED] * 2


def test_an_alert_that_is_delivered_after_the_run_ended_is_resolved_with_it(scene: Scene) -> None:
    (run,) = request_all(scene, alerts(scene, 1))
    assert execution.execute(run.pk, at=timezone.now())
    raised_before = alerts(scene, 3)
    assert request_all(scene, raised_before) == []
    assert statuses(raised_before) == [T.RESOLVED] * 3
    Run.objects.update(finished_at=scene.at - storms.WINDOW * 2)
    raised_anew = alerts(scene, 2, created_at=timezone.now())
    assert len(request_all(scene, raised_anew)) == 1
    assert statuses(raised_anew) == [T.QUEUED, T.LINKED]


def test_of_alerts_raised_before_and_after_the_runs_end_only_the_later_ones_run_anew(scene: Scene) -> None:
    (run,) = request_all(scene, alerts(scene, 1))
    assert execution.execute(run.pk, at=timezone.now())
    before, after = alerts(scene, 2), alerts(scene, 2, created_at=timezone.now() + timedelta(seconds=1))
    assert len(request_all(scene, [*before, *after])) == 1
    assert statuses([*before, *after]) == [T.RESOLVED, T.RESOLVED, T.QUEUED, T.LINKED]


def test_where_the_storms_run_went_wrong_no_other_is_tried(scene: Scene) -> None:
    first = alerts(scene, 3)
    (run,) = request_all(scene, first)
    Run.objects.filter(pk=run.pk).update(status=Run.Status.UNDONE, finished_at=timezone.now(), reason="It came back.")
    run.refresh_from_db()
    Ticket.objects.filter(pk=run.ticket_id).update(status=T.RUNNING)
    automation.settle(run, at=timezone.now(), actor=ACTOR)
    assert statuses(first) == [T.NEEDS_REVIEW] * 3
    later = alerts(scene, 5)
    assert request_all(scene, later) == []
    assert statuses(later) == [T.NEEDS_REVIEW] * 5
    said = Ticket.objects.get(pk=later[4][0].pk).reason
    assert said == f"The run for the same alert, ticket {run.ticket.external_id}, went wrong: look there first."
    assert Notification.objects.count() == 1


def test_equal_text_on_different_hosts_is_never_one_storm(scene: Scene) -> None:
    source = scene.source
    text = {"subject": "Disk full", "body": "The disk of {host} is full at 97 %.", "requester": ""}
    keys = {
        storm_key(source=source, actor="machine", fields={}, **{**text, "body": text["body"].format(host=host)})
        for host in ("web-1", "web-2", "db7.example.org", "10.0.0.7")
    }
    assert len(keys) == 4
    plans = [plan for key in "5678" for plan in alerts(scene, 2, storm_key=key * 64)]
    for number, (_, decision) in enumerate(plans):
        decision.parameters = {"account": f"host{number // 2}"}
        decision.save()
    assert len(request_all(scene, plans)) == 4
    assert statuses(plans) == [T.QUEUED, T.LINKED] * 4


def test_what_people_write_is_never_a_storm(scene: Scene) -> None:
    plans = alerts(scene, 2, actor=Ticket.Actor.PERSON)
    assert len(request_all(scene, plans)) == 1
    assert statuses(plans) == [T.QUEUED, T.NEEDS_REVIEW]


def test_a_ticket_that_was_run_for_before_does_not_follow_its_storm(scene: Scene) -> None:
    plans = alerts(scene, 3)
    factories.run(plans[1][0], scene.target, status=Run.Status.VOID)
    assert len(request_all(scene, plans)) == 1
    assert statuses(plans) == [T.QUEUED, T.CLASSIFIED, T.LINKED]  # the batch hands the second to a person


def asked(plans: list[tuple[Ticket, Decision]]) -> None:
    for ticket, decision in plans:
        Decision.objects.filter(pk=decision.pk).update(mode=Mode.APPROVE)
        decision.refresh_from_db()
        automation.ask(ticket=ticket, decision=decision, people_needed=1, at=timezone.now(), actor=ACTOR)


def test_a_storm_asks_once_and_one_yes_answers_all_of_it(scene: Scene) -> None:
    plans, elsewhere = alerts(scene, 20), alerts(scene, 2, storm_key="6" * 64)
    asked([*plans, *elsewhere])
    person = factories.member(scene.customer, Role.APPROVER)
    assert statuses(plans) == [T.WAITING_APPROVAL] * 20
    shown = open_requests.leading(Approval.objects.visible_to(person))
    assert [approval.ticket for approval in shown.order_by("pk")] == [plans[0][0], elsewhere[0][0]]
    assert Notification.objects.filter(kind="approval_waiting").count() == 2
    run = automation.grant(shown.order_by("pk")[0], person=person, at=timezone.now())
    assert run is not None
    assert statuses(plans) == [T.QUEUED] + [T.LINKED] * 19
    assert statuses(elsewhere) == [T.WAITING_APPROVAL] * 2
    late = alerts(scene, 1)
    asked(late)
    assert statuses(late) == [T.LINKED], "the word was given for this storm"
    assert execution.execute(run.pk, at=timezone.now())
    assert statuses([*plans, *late]) == [T.RESOLVED] * 21
    assert (Run.objects.count(), scene.effects()) == (1, 1)


def test_one_no_answers_the_whole_storm(scene: Scene) -> None:
    plans = alerts(scene, 3)
    asked(plans)
    person = factories.member(scene.customer, Role.APPROVER)
    approvals.refuse(Approval.objects.earliest("pk"), person=person, reason="planned work", at=timezone.now())
    assert statuses(plans) == [T.NEEDS_REVIEW] * 3
    assert set(Approval.objects.values_list("status", "refusal")) == {("refused", "planned work")}


def test_what_people_write_is_asked_for_one_by_one(scene: Scene) -> None:
    plans = alerts(scene, 2, actor=Ticket.Actor.PERSON)
    asked(plans)
    assert open_requests.leading(Approval.objects.all()).count() == 2
    automation.grant(Approval.objects.earliest("pk"), person=factories.person(), at=timezone.now())
    assert statuses(plans) == [T.QUEUED, T.WAITING_APPROVAL]
