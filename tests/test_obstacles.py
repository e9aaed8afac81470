"""Limits of a runbook, a target, a customer and a single object; environments; and switches, before every start."""

import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from runbooks.environments import strictest
from runbooks.registry import RUNBOOKS
from tests import factories
from tests.runs import ACTOR, Scene
from triage import automation, execution, obstacles, standing
from triage.models import Limit, Run, RunbookState, Ticket
from triage.review import ReviewRefused, ordering

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("lake")]
UNLOCK = RUNBOOKS["unlock_account"]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def started(scene: Scene, minutes: int = 10, **values: object) -> Run:
    """A run that ended well and counts against the hour."""
    at = timezone.now() - timedelta(minutes=minutes)
    given = {"status": Run.Status.SUCCEEDED, "started_at": at, "finished_at": at, **values}
    return factories.run(scene.new_ticket(), given.pop("target", scene.target), **given)  # type: ignore[arg-type]  # a row


def found(scene: Scene, target_object: str = "a.locked") -> obstacles.Obstacle | None:
    return obstacles.find(
        customer=scene.customer, runbook=UNLOCK, at=timezone.now(), target=scene.target, target_object=target_object
    )


@pytest.mark.parametrize(
    ("limit", "counts", "named"),
    [
        ({}, {"runbook": "record_only"}, "all runbooks at Customer"),
        ({"runbook": "unlock_account"}, {}, "Unlock an account"),
        ({"target": True}, {"runbook": "record_only"}, "all runbooks on target-"),
        ({"each": True}, {"target_object": "a.locked"}, "all runbooks on a.locked"),
    ],
)
def test_each_limit_counts_what_it_names_and_says_until_when(
    scene: Scene, limit: dict[str, object], counts: dict[str, Any], named: str
) -> None:
    limit |= {"target": scene.target} if "target" in limit else {}
    Limit.objects.create(customer=scene.customer, runs_an_hour=1, **limit)
    assert found(scene) is None
    run = started(scene, **counts)
    full = found(scene)
    assert full is not None
    assert named in full.reason
    assert run.started_at is not None
    assert full.until == run.started_at + timedelta(hours=1)
    assert f"until {full.until:%H:%M:%S} UTC" in full.reason


def test_a_limit_does_not_count_what_it_does_not_name(scene: Scene) -> None:
    Limit.objects.create(customer=scene.customer, each=True, runs_an_hour=1)
    Limit.objects.create(customer=scene.customer, runbook="record_only", runs_an_hour=1)
    Limit.objects.create(customer=scene.customer, target=factories.target(scene.customer, kind="journal"), concurrent=1)
    other = factories.customer()
    Limit.objects.create(customer=other, runs_an_hour=1)
    started(scene, target_object="b.boss")
    started(scene, minutes=61, target_object="a.locked")
    assert found(scene) is None


def test_only_so_many_runs_on_a_target_are_live_at_one_moment(scene: Scene) -> None:
    Limit.objects.create(customer=scene.customer, target=scene.target, concurrent=1)
    lost = started(scene, status=Run.Status.UNKNOWN, runbook="record_only")
    assert "1 run is live of all runbooks on target" in getattr(found(scene), "reason", "")
    run = scene.request()
    assert not execution.execute(run.pk, at=timezone.now())
    Run.objects.filter(pk=lost.pk).update(status=Run.Status.SUCCEEDED)
    Run.objects.filter(pk=run.pk).update(hold_until=None)
    assert execution.execute(run.pk, at=timezone.now())


def test_a_customer_changes_a_runbooks_own_limits(scene: Scene) -> None:
    RunbookState.objects.create(customer=scene.customer, runbook=UNLOCK.key, concurrent=0)
    assert "0 may be at the same moment" in getattr(found(scene), "reason", "")


def test_a_run_that_waits_for_an_hour_is_looked_at_every_minute(scene: Scene) -> None:
    Limit.objects.create(customer=scene.customer, runs_an_hour=1)
    started(scene)
    full, at = found(scene), timezone.now()
    assert full is not None
    assert full.changes(at=at) == {"hold_until": at + obstacles.LONGEST_HOLD}


def test_the_strictest_rule_of_runbook_and_customer_counts() -> None:
    assert strictest("production") == "run"
    assert strictest("production", {"production": "approve"}, {"production": "run"}) == "approve"
    assert strictest("production", {"production": "approve"}, {"production": "never"}) == "never"
    assert strictest("test", {"production": "never"}, {}) == "run"
    assert strictest("test", {"test": "sometimes"}) == "never"


def test_an_environment_is_the_hosts_own_else_the_targets_else_production(scene: Scene) -> None:
    hosts = {"web-1": {"environment": "test"}, "web-2": {}}
    target = factories.target(scene.customer, kind="host", settings=json.dumps({"hosts": hosts}), environment="staging")
    assert obstacles.environment_of(target, "web-1") == "test"
    assert obstacles.environment_of(target, "web-2") == "staging"
    target.environment = ""
    assert obstacles.environment_of(target, "web-2") == "production"
    assert obstacles.environment_of(None, "web-2") == "production"
    target.settings = json.dumps({"hosts": {"web-1": {"environment": "development"}}})
    assert obstacles.environment_of(target, "web-1") == "development"


def test_what_an_environment_forbids_by_the_start_does_not_start(scene: Scene) -> None:
    run = scene.request()
    RunbookState.objects.create(customer=scene.customer, runbook=UNLOCK.key, environments={"production": "approve"})
    assert not execution.execute(run.pk, at=timezone.now())
    run.refresh_from_db()
    scene.ticket.refresh_from_db()
    assert (run.status, scene.ticket.status) == (Run.Status.VOID, Ticket.Status.NEEDS_REVIEW)
    assert "a person must approve" in scene.ticket.reason
    assert execution.execute(scene.order().pk, at=timezone.now())


def test_where_a_runbook_never_runs_nobody_can_order_it(scene: Scene) -> None:
    RunbookState.objects.create(customer=scene.customer, runbook=UNLOCK.key, environments={"production": "never"})
    Ticket.objects.filter(pk=scene.ticket.pk).update(status=Ticket.Status.NEEDS_REVIEW)
    with pytest.raises(ReviewRefused, match="never runs in the environment production"):
        ordering.order(
            ticket=scene.ticket, person=factories.member(scene.customer), label="KB0001", runbook=UNLOCK,
            parameters={"account": "a.locked"}, at=timezone.now(),
        )  # fmt: skip
    run = scene.order()
    assert not execution.execute(run.pk, at=timezone.now())
    scene.target.environment = "test"
    scene.target.save()
    Ticket.objects.filter(pk=scene.ticket.pk).update(status=Ticket.Status.NEEDS_REVIEW)
    assert execution.execute(scene.order().pk, at=timezone.now())


@pytest.mark.django_db(transaction=True)
def test_once_the_switch_for_all_is_committed_nothing_reaches_starting(scene: Scene) -> None:
    """Two threads start runs as fast as they can while a third switches off, and one each afterwards."""
    runs = []
    for number in range(16):
        ticket = scene.new_ticket()
        runs.append(scene.request(ticket, scene.decide(ticket, f"account{number}")).pk)
    RunbookState.objects.create(customer=scene.customer, runbook=UNLOCK.key, concurrent=100, runs_an_hour=100)
    claimed = [one for one in (execution._claim(run, at=timezone.now()) for run in runs) if one]
    under_way, switched, failed = threading.Event(), threading.Event(), []

    def start(mine: list[Run]) -> None:
        try:
            for run in mine:
                if run is mine[-1]:
                    assert switched.wait(20)
                execution._commit_starting(run, UNLOCK)
                under_way.set()
        except Exception as error:  # noqa: BLE001 - told to the test below
            failed.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=start, args=(claimed[place::2],)) for place in range(2)]
    for thread in threads:
        thread.start()
    assert under_way.wait(20)
    standing.switch(on=False, because="a drill", at=timezone.now(), actor=ACTOR)
    begun = set(Run.objects.filter(status=Run.Status.STARTING).values_list("pk", flat=True))
    switched.set()
    for thread in threads:
        thread.join()
    assert failed == []
    assert set(Run.objects.filter(status=Run.Status.STARTING).values_list("pk", flat=True)) == begun
    assert 1 <= len(begun) < len(runs)
    held = Run.objects.exclude(pk__in=begun).first()
    assert held is not None
    assert held.reason == "Automation is switched off for all customers: a drill"


def test_switching_off_twice_keeps_the_first_reason(scene: Scene) -> None:
    assert standing.switch(on=False, because="first", at=scene.at, actor=ACTOR)
    assert not standing.switch(on=False, because="second", at=scene.at, actor=ACTOR)
    assert standing.now().off_because == "first"
    assert standing.switch(on=True, because="done", at=scene.at, actor=ACTOR)
    assert standing.stopped() is None
    assert automation.obstacle(customer=scene.customer, runbook=UNLOCK, at=scene.at) is None
