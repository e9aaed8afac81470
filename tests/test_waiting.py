"""Runs outside their maintenance window wait, say until when, and are decided again as it opens."""

from datetime import datetime, time, timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from runbooks.registry import RUNBOOKS
from tests import factories
from tests.runs import ACTOR, Scene
from triage import approvals, automation, execution, recovery, review, waiting
from triage.models import Approval, Decision, Freeze, Mode, Role, Run, Ticket, Window
from triage.review import ordering

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("lake")]
UNLOCK = RUNBOOKS["unlock_account"]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def tomorrow(scene: Scene, **values: object) -> datetime:
    """A window of one hour that opens at this hour's beginning tomorrow, and never today; when it opens."""
    opens = (scene.at + timedelta(days=1)).replace(minute=0, second=0, microsecond=0)
    day = opens.strftime("%a")[:2].upper()
    begins, ends = time(opens.hour), time((opens.hour + 1) % 24)
    Window.objects.create(customer=scene.customer, days=f"FREQ=WEEKLY;BYDAY={day}", begins=begins, ends=ends, **values)
    return opens


def frozen(scene: Scene, hours: int = 8, **values: object) -> Freeze:
    given = {"customer": scene.customer, "reason": "year-end closing", **values}
    return Freeze.objects.create(begins=scene.at - timedelta(hours=1), ends=scene.at + timedelta(hours=hours), **given)


def test_a_run_waits_for_its_window_and_its_ticket_says_until_when(scene: Scene) -> None:
    opens = tomorrow(scene)
    run = scene.request()
    scene.ticket.refresh_from_db()
    assert (run.status, run.hold_until, scene.ticket.status) == (Run.Status.REQUESTED, opens, Ticket.Status.QUEUED)
    assert f"it goes on from {opens:%A %d %B %Y %H:%M} UTC" in scene.ticket.reason
    assert not execution.execute(run.pk, at=timezone.now())
    swept = recovery.sweep(at=scene.at + timedelta(hours=2))
    run.refresh_from_db()
    assert run.status == Run.Status.REQUESTED  # its decision expired meanwhile, and it goes to nobody
    assert ("execute_run", (run.pk,)) not in swept.bells
    assert scene.effects() == 0


def test_as_the_window_opens_the_ticket_and_what_was_linked_to_it_are_decided_again(scene: Scene) -> None:
    opens = tomorrow(scene)
    alerts = [scene.new_ticket(actor=Ticket.Actor.MACHINE, storm_key="5" * 64) for _ in range(2)]
    run = scene.request(alerts[0], scene.decide(alerts[0]))
    automation.request(ticket=alerts[1], decision=scene.decide(alerts[1]), at=scene.at, actor=ACTOR)
    assert recovery.sweep(at=opens - timedelta(seconds=1)).returned == 0
    swept = recovery.sweep(at=opens)
    assert ("classify_waiting", ()) in swept.bells
    assert ("execute_run", (run.pk,)) not in swept.bells
    run.refresh_from_db()
    assert run.status == Run.Status.VOID
    for alert in alerts:
        alert.refresh_from_db()
        assert (alert.status, alert.claim) == (Ticket.Status.RECEIVED, None)
        assert not Decision.objects.filter(ticket=alert, in_force=True).exists()
    Ticket.objects.filter(pk=alerts[0].pk).update(status=Ticket.Status.CLASSIFIED)  # as the model does
    alerts[0].refresh_from_db()
    again = automation.request(ticket=alerts[0], decision=scene.decide(alerts[0]), at=opens, actor=ACTOR)
    assert again is not None
    assert (again.occasion, again.window_at) == (2, None)


def test_a_worker_that_is_rung_as_the_window_opens_starts_nothing_on_the_old_decision(scene: Scene) -> None:
    freeze = frozen(scene)
    run = scene.request()
    Run.objects.filter(pk=run.pk).update(hold_until=None)
    freeze.delete()
    assert not execution.execute(run.pk, at=timezone.now())
    run.refresh_from_db()
    assert (run.status, run.attempts) == (Run.Status.REQUESTED, 0)


def test_a_freeze_that_begins_after_the_request_stops_the_start(scene: Scene) -> None:
    run = scene.request()
    claimed = execution._claim(run.pk, at=timezone.now())
    assert claimed is not None
    freeze = frozen(scene, customer=None)
    assert not execution._commit_starting(claimed, UNLOCK)
    run.refresh_from_db()
    scene.ticket.refresh_from_db()
    assert (run.status, run.attempts, run.window_at) == (Run.Status.REQUESTED, 0, freeze.ends)
    assert "year-end closing" in scene.ticket.reason


def test_a_freeze_that_is_lifted_or_moved_counts_at_once(scene: Scene) -> None:
    freeze = frozen(scene)
    run = scene.request()
    Freeze.objects.filter(pk=freeze.pk).update(ends=freeze.ends + timedelta(hours=3))
    assert waiting.go_on(at=scene.at) == 0
    run.refresh_from_db()
    assert run.window_at == freeze.ends + timedelta(hours=3)
    freeze.delete()
    assert waiting.go_on(at=scene.at) == 1


def test_an_ordered_run_waits_as_well_and_the_word_counts_from_the_opening(scene: Scene) -> None:
    freeze = frozen(scene)
    run = scene.order()
    assert run.window_at == freeze.ends
    recovery.sweep(at=freeze.ends - timedelta(minutes=1))
    swept = recovery.sweep(at=freeze.ends)
    assert ("execute_run", (run.pk,)) in swept.bells
    Freeze.objects.update(ends=timezone.now())  # the time has come
    Run.objects.update(window_at=timezone.now(), hold_until=None, requested_at=scene.at - timedelta(hours=8))
    assert execution.execute(run.pk, at=timezone.now())
    assert scene.effects() == 1


def test_a_word_is_not_good_half_an_hour_after_the_opening(scene: Scene) -> None:
    freeze = frozen(scene)
    run = scene.order()
    recovery.sweep(at=freeze.ends + timedelta(minutes=29))
    run.refresh_from_db()
    assert run.status == Run.Status.REQUESTED
    recovery.sweep(at=freeze.ends + timedelta(minutes=31))
    run.refresh_from_db()
    assert run.status == Run.Status.VOID


def test_an_approval_given_in_a_freeze_is_good_when_it_ends(scene: Scene) -> None:
    freeze = frozen(scene)
    scene.decision.mode, scene.decision.certificate, scene.decision.expires_at = Mode.APPROVE, None, None
    scene.decision.save()
    asked = approvals.ask(ticket=scene.ticket, decision=scene.decision, people_needed=1, at=scene.at)
    assert asked is not None
    run = automation.grant(asked, person=factories.person(), at=scene.at)
    assert run is not None
    expires = Approval.objects.get().expires_at
    assert expires == freeze.ends + approvals.GRANTED_FOR


def test_a_run_that_no_opening_is_in_sight_for_goes_to_a_person(scene: Scene) -> None:
    tomorrow(scene)
    freeze = frozen(scene, hours=24 * 400)
    assert automation.request(ticket=scene.ticket, decision=scene.decision, at=scene.at, actor=ACTOR) is None
    scene.ticket.refresh_from_db()
    assert scene.ticket.status == Ticket.Status.NEEDS_REVIEW
    assert "no opening is in sight" in scene.ticket.reason
    agent = factories.member(scene.customer, Role.AGENT)
    with pytest.raises(review.ReviewRefused, match="nearer the time"):
        ordering.order(
            ticket=scene.ticket, person=agent, label="KB0001", runbook=UNLOCK, parameters={"account": "a.locked"},
            at=scene.at,
        )  # fmt: skip
    freeze.delete()


def test_windows_of_another_runbook_target_or_customer_hold_nothing(scene: Scene) -> None:
    tomorrow(scene, runbook="record_only")
    tomorrow(scene, target=factories.target(scene.customer, kind="journal"))
    frozen(scene, customer=factories.customer())
    assert scene.request().window_at is None


def test_a_window_of_the_target_and_one_of_the_runbook_must_both_be_open(scene: Scene) -> None:
    opens = tomorrow(scene, target=scene.target)
    Window.objects.create(customer=scene.customer, runbook=UNLOCK.key, days="FREQ=DAILY", begins=time(0), ends=time(0))
    assert scene.request().window_at == opens
