"""A database that is older than the lake: noticed, everything off, and brought into agreement by a person's command."""

import uuid
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from django.db import connection
from django.utils import timezone

from tests import factories, servers
from tests.runs import Scene
from triage import cli, execution, failover, recovery, standing
from triage.embedded import Endpoints
from triage.lake import claims
from triage.lake.store import ObjectStore
from triage.models import AuditEvent, Notification, Run, Standing, Ticket

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("lake")]


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.fixture
def store(lake: Endpoints) -> ObjectStore:
    return servers.store(lake)


def restore(*rows: Run) -> None:
    """What a backup from before these runs holds: the runs as they were requested, their tickets queued."""
    for run in rows:
        Run.objects.filter(pk=run.pk).update(
            status=Run.Status.REQUESTED, fence=0, attempts=0, started_at=None, finished_at=None, claim_until=None,
            phases=[], output="", reason="", hold_until=None,
        )  # fmt: skip
        Ticket.objects.filter(pk=run.ticket_id).update(status=Ticket.Status.QUEUED)


def test_a_restored_database_is_noticed_by_its_tick_and_starts_nothing(scene: Scene, store: ObjectStore) -> None:
    at = timezone.now()
    assert not failover.tick(store, at=at)
    backup = Standing.objects.get().tick
    for later in range(1, 4):
        assert not failover.tick(store, at=at + timedelta(seconds=later))
    run = scene.request()
    Standing.objects.update(tick=backup)
    assert not execution.execute(run.pk, at=timezone.now())
    run.refresh_from_db()
    assert (run.status, scene.effects()) == (Run.Status.REQUESTED, 0)
    assert "triage recover --after-failover" in run.reason
    assert not standing.now().automation_enabled
    assert failover.tick(store, at=at + timedelta(seconds=9)), "the sweep sees it too, and never overtakes the lake"
    assert Standing.objects.get().tick == backup


def test_the_sweep_ticks_every_five_seconds_and_a_lake_that_is_away_stops_no_sweep(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from triage.environment import environment

    monkeypatch.setattr(recovery, "_tick_again", [0.0])  # another test's lake may have been away a moment ago
    at = timezone.now()
    for seconds in (0, 1, 2, 6):
        recovery.sweep(at=at + timedelta(seconds=seconds))
    assert Standing.objects.get().tick == 2
    with monkeypatch.context() as outage:
        outage.setenv("TRIAGE_LAKE_ENDPOINT", "http://127.0.0.1:9")
        environment.cache_clear()
        recovery.sweep(at=at + timedelta(seconds=20))
    environment.cache_clear()
    assert standing.now().automation_enabled


def test_an_action_that_was_started_in_a_lost_life_is_not_started_again(scene: Scene) -> None:
    run = scene.request()
    assert execution.execute(run.pk, at=timezone.now())
    assert scene.effects() == 1
    restore(run)
    assert not execution.execute(run.pk, at=timezone.now())
    run.refresh_from_db()
    assert (run.status, scene.effects()) == (Run.Status.UNKNOWN, 1)
    scene.ticket.refresh_from_db()
    assert scene.ticket.status == Ticket.Status.NEEDS_REVIEW
    assert Notification.objects.filter(key=f"run-{run.uuid}-unknown").exists()


def test_a_start_that_is_known_only_when_the_action_would_begin_leaves_the_run_unknown(
    scene: Scene, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = scene.request()
    monkeypatch.setattr(claims, "started", lambda *_: False)  # the other life starts a moment after this look
    assert claims.start(store, execution._lake_claim(run))
    assert execution.execute(run.pk, at=timezone.now())
    run.refresh_from_db()
    assert (run.status, scene.effects()) == (Run.Status.UNKNOWN, 0)


def test_recover_hands_what_was_started_in_the_lost_life_to_a_person_and_lets_automation_go_on(
    scene: Scene, store: ObjectStore
) -> None:
    failover.tick(store, at=timezone.now())
    known, started = scene.request(), None
    assert execution.execute(known.pk, at=timezone.now())
    other = scene.new_ticket()
    started = scene.request(other, scene.decide(other, "b.boss"))
    claim = execution._lake_claim(started)
    assert claims.take(store, claim)
    assert claims.start(store, claim)
    gone = scene.new_ticket()
    never = replace(claim, run=str(uuid.uuid4()), external_id=gone.external_id, target_object="c.gone")
    nowhere = replace(never, run=str(uuid.uuid4()), external_id="INC-of-the-lost-minutes")
    only_claimed = replace(never, run=str(uuid.uuid4()), external_id="INC-claimed", occasion=7)
    for one in (never, nowhere, only_claimed):
        assert claims.take(store, one)
    for one in (never, nowhere):
        assert claims.start(store, one)
    failover.tick(store, at=timezone.now())
    Standing.objects.update(tick=1)
    assert failover.tick(store, at=timezone.now())

    found = failover.recover(store, at=timezone.now(), actor="person:1")
    assert not found.automation_enabled, "a claim without a ticket is for somebody to look at first"
    assert set(found.settled) == {str(started.uuid), never.run}
    assert [one for one in found.unmatched if one.source == never.source] == [nowhere]
    assert known.uuid not in found.settled
    for uid, ticket in ((started.uuid, other), (never.run, gone)):
        row = Run.objects.get(uuid=uid)
        ticket.refresh_from_db()
        assert (row.status, ticket.status) == (Run.Status.UNKNOWN, Ticket.Status.NEEDS_REVIEW)
        assert Notification.objects.filter(key=f"run-{row.uuid}-unknown").exists()
    again = failover.recover(store, at=timezone.now(), actor="person:1", despite=True)
    assert again.automation_enabled
    assert not failover.tick(store, at=timezone.now()), "the database is ahead of the lake again"
    assert again.settled == []
    assert [one for one in again.unmatched if one.source == never.source] == [nowhere]
    assert scene.effects() == 1


def test_a_stop_that_a_person_set_outlives_a_recovery_and_a_run_asked_for_anew_is_handed_over(
    scene: Scene, store: ObjectStore
) -> None:
    run = scene.request()
    lost = replace(execution._lake_claim(run), run=str(uuid.uuid4()))
    assert claims.take(store, lost)
    assert claims.start(store, lost)
    standing.switch(on=False, because="a fire drill", at=timezone.now(), person=factories.person())
    found = failover.recover(store, at=timezone.now(), actor="person:1", despite=True)
    assert not found.automation_enabled
    run.refresh_from_db()
    assert (run.status, lost.run in found.settled) == (Run.Status.UNKNOWN, True)


def test_the_command_says_what_it_found(scene: Scene, store: ObjectStore) -> None:
    claim = replace(execution._lake_claim(scene.request()), external_id="INC-lost", run=str(uuid.uuid4()))
    assert claims.take(store, claim)
    assert claims.start(store, claim)
    connection.close()
    refused = CliRunner().invoke(cli.cli, ["recover"])
    assert refused.exit_code == 2
    told = CliRunner().invoke(cli.cli, ["recover", "--after-failover", "--despite-unmatched", "--json", "-"])
    assert told.exit_code == 0, told.output
    assert "INC-lost" in told.output
    assert AuditEvent.objects.filter(event="recovered").exists()
