"""Tasks are thin: each does its one call and rings for what follows, on a real broker."""

import os
import time
from pathlib import Path

import pytest
from django.utils import timezone
from kombu import Connection

from tests import factories
from tests.runs import Scene
from tests.test_bell import heard
from triage import bell, reconciler, tasks
from triage.bell import Ringer
from triage.celery import POOLS, app
from triage.embedded import Endpoints
from triage.itsm.base import IncomingTicket
from triage.models import Run, Ticket, WorkerBeat, Writeback

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def broker(lake: Endpoints, monkeypatch: pytest.MonkeyPatch) -> str:
    """The embedded broker with empty queues, and a ringer of this test's own."""
    monkeypatch.setitem(app.conf, "broker_url", lake.broker_url)
    monkeypatch.setitem(app.conf, "broker_write_url", lake.broker_url)
    monkeypatch.setattr(bell, "_ringer", (os.getpid(), Ringer()))
    with Connection(lake.broker_url, transport_options=app.conf.broker_transport_options) as connection:
        for queue in POOLS:
            connection.SimpleQueue(queue).clear()
    return lake.broker_url


def test_every_task_has_a_queue_of_its_own_that_some_pool_serves() -> None:
    mine = {name for name in app.tasks if name.startswith("triage.tasks.")}
    assert mine == set(app.conf.task_routes)
    assert {route["queue"] for route in app.conf.task_routes.values()} <= set(POOLS)


def test_a_run_is_acknowledged_early_and_never_retried() -> None:
    assert tasks.execute_run.acks_late is False
    assert tasks.execute_run.max_retries == 0
    assert tasks.execute_run.time_limit is None, "the runner keeps the time: a killed worker makes a run unknown"


def test_an_executed_run_rings_for_its_note_and_applies_what_came_meanwhile(broker: str, tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    run = scene.request()
    change = IncomingTicket(
        external_id=scene.ticket.external_id,
        body="Now the printer is on fire too.",
        created_at=scene.at,
        updated_at=scene.at,
        stated=frozenset({"body"}),
    )
    Ticket.objects.filter(pk=scene.ticket.pk).update(waiting_update=change.to_json())
    tasks.execute_run(run.pk)
    scene.ticket.refresh_from_db()
    assert (scene.ticket.status, scene.ticket.occasion) == (Ticket.Status.NEEDS_REVIEW, 2)
    assert scene.ticket.body == "Now the printer is on fire too."
    assert heard(broker, "writeback") == [("triage.tasks.write_back", [])]
    tasks.execute_run(run.pk)
    assert heard(broker, "writeback", wait=0.3) == [], "a doubled message rings for nothing"
    assert scene.effects() == 1


def test_a_pass_of_write_backs_that_leaves_some_rings_for_the_next(broker: str) -> None:
    ticket = factories.ticket(status=Ticket.Status.RESOLVED)
    now = timezone.now()
    common = {"customer": ticket.customer, "ticket": ticket, "what": "note", "content": {"text": "x"}}
    Writeback.objects.bulk_create(
        [Writeback(**common, key=f"note-{number}", next_at=now, created_at=now) for number in range(101)]
    )
    tasks.write_back()
    assert heard(broker, "writeback") == [("triage.tasks.write_back", [])]
    tasks.write_back()
    assert heard(broker, "writeback", wait=0.3) == []


def test_a_run_that_waits_for_a_worker_is_not_rung_for_at_every_sweep(broker: str, tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    run = scene.request()
    rung: dict[reconciler.Bell, float] = {}
    for _ in range(3):
        reconciler.once(rung)
    assert heard(broker, "runbooks") == [("triage.tasks.execute_run", [run.pk])]
    rung["execute_run", (run.pk,)] = time.monotonic() - reconciler.AGAIN_SECONDS - 1
    reconciler.once(rung)
    assert heard(broker, "runbooks") == [("triage.tasks.execute_run", [run.pk])]
    Run.objects.filter(pk=run.pk).update(status=Run.Status.VOID)
    Ticket.objects.update(status=Ticket.Status.NEEDS_REVIEW)
    reconciler.once(rung)
    assert heard(broker, "runbooks", wait=0.3) == []


def test_a_beat_is_written_in_the_database() -> None:
    tasks.beat("runbooks")
    first = WorkerBeat.objects.get(name="runbooks")
    tasks.beat("runbooks")
    second = WorkerBeat.objects.get(name="runbooks")
    assert second.at > first.at
    assert second.pid == os.getpid()
