"""Whatever is lost, late or doubled is found again: each kind of stuck row, with real rows and killed processes."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from runbooks import process
from tests import factories
from tests.runs import Scene
from triage import installation, recovery
from triage.celery import POOLS
from triage.embedded import Endpoints
from triage.itsm.base import IncomingTicket
from triage.models import (
    Certificate,
    DeliveryKey,
    Job,
    Notification,
    Run,
    Ticket,
    WorkerBeat,
    Writeback,
)

pytestmark = pytest.mark.django_db(transaction=True)
T = Ticket.Status
STUCK = timedelta(minutes=2)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def status(ticket: Ticket) -> str:
    ticket.refresh_from_db()
    return ticket.status


def test_a_worker_killed_while_its_runbook_acts_leaves_an_unknown_run_and_no_process(
    scene: Scene, lake: Endpoints
) -> None:
    run = scene.request()
    busy = sqlite3.connect(scene.path, isolation_level=None)
    busy.execute("BEGIN EXCLUSIVE")  # the runbook waits for its directory, as long as it may
    work = "import django; django.setup(); from django.utils.timezone import now; from triage import execution; "
    work += f"execution.execute({run.pk}, at=now())"
    environment = {
        **os.environ,
        **lake.environment(),
        "TRIAGE_DATABASE_URL": f"sqlite:///{settings.DATABASES['default']['NAME']}",
    }
    worker = subprocess.Popen([sys.executable, "-c", work], env=environment, cwd=Path(__file__).parent.parent)
    try:
        until = time.monotonic() + 20
        while not process.marked(str(run.uuid)) and time.monotonic() < until:
            time.sleep(0.02)
        assert process.marked(str(run.uuid)), "the runbook never began"
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    later = timezone.now() + timedelta(minutes=5)
    assert recovery.sweep(at=later).unknown == 1
    busy.close()
    run.refresh_from_db()
    assert (run.status, status(scene.ticket)) == (Run.Status.UNKNOWN, T.NEEDS_REVIEW)
    assert run.finished_at == later, "a lost run counts for the circuit"
    assert process.marked(str(run.uuid)) == []
    assert scene.effects() == 0
    assert Notification.objects.filter(kind="run_unknown").count() == 1


def test_a_lost_run_of_a_runbook_that_is_gone_stops_nothing(scene: Scene) -> None:
    long_ago = scene.at - STUCK
    run = factories.run(
        scene.ticket, scene.target, runbook="a_former_one", status=Run.Status.STARTING, claim_until=long_ago
    )
    Ticket.objects.filter(pk=scene.ticket.pk).update(status=T.RUNNING)
    other = factories.ticket()
    found = recovery.sweep(at=scene.at)
    run.refresh_from_db()
    assert (found.unknown, run.status, status(scene.ticket)) == (1, Run.Status.UNKNOWN, T.NEEDS_REVIEW)
    assert ("classify_waiting", ()) in found.bells, f"{other} waits"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"status": T.QUEUED}, "run is gone"),
        ({"status": T.RUNNING}, "run is gone"),
        ({"status": T.LINKED}, "linked to is gone"),
        ({"status": T.WAITING_APPROVAL}, "could not be requested"),
        ({"status": T.CLASSIFIED}, "never decided"),
    ],
)
def test_a_ticket_that_no_row_speaks_for_goes_to_a_person(values: dict[str, Any], words: str) -> None:
    ticket = factories.ticket(**values)
    recovery.sweep(at=factories.NOW + timedelta(seconds=30))
    assert status(ticket) == values["status"], "what just moved is left alone"
    recovery.sweep(at=factories.NOW + STUCK)
    assert status(ticket) == T.NEEDS_REVIEW
    assert words in ticket.reason


def test_a_ticket_that_some_row_speaks_for_is_left_alone(scene: Scene) -> None:
    waits = factories.ticket(status=T.WAITING_APPROVAL)
    factories.approval(waits, factories.decision(waits, mode="approve"))
    scene.request()
    linked = scene.new_ticket()
    Ticket.objects.filter(pk=linked.pk).update(status=T.LINKED, linked_run=Run.objects.get())
    recovery.sweep(at=factories.NOW + STUCK)
    assert [status(ticket) for ticket in (waits, scene.ticket, linked)] == [T.WAITING_APPROVAL, T.QUEUED, T.LINKED]


def test_a_ticket_linked_while_its_storms_run_was_ending_follows_it(scene: Scene) -> None:
    run = scene.request()
    Run.objects.filter(pk=run.pk).update(status=Run.Status.SUCCEEDED, finished_at=scene.at)
    linked = factories.ticket(source=scene.source, status=T.LINKED, linked_run=run)
    recovery.sweep(at=scene.at)
    assert status(linked) == T.RESOLVED
    assert Writeback.objects.filter(ticket=linked, what="resolve").count() == 1


def test_a_change_kept_while_the_runbook_ran_is_applied_when_its_worker_died(scene: Scene) -> None:
    run = scene.request()
    claim = {"claim_until": scene.at - STUCK, "started_at": scene.at - STUCK}
    Run.objects.filter(pk=run.pk).update(status=Run.Status.STARTING, **claim)
    change = IncomingTicket(
        external_id=scene.ticket.external_id,
        status="closed",
        created_at=scene.at,
        updated_at=scene.at,
        stated=frozenset({"status"}),
    )
    Ticket.objects.filter(pk=scene.ticket.pk).update(status=T.RUNNING, waiting_update=change.to_json())
    recovery.sweep(at=scene.at)
    scene.ticket.refresh_from_db()
    assert scene.ticket.waiting_update is None
    assert scene.ticket.itsm_status == "closed"


def test_one_row_that_cannot_be_handled_keeps_no_other_waiting() -> None:
    factories.ticket(status=T.NEEDS_REVIEW, waiting_update=b"not a message")
    factories.ticket()
    assert ("classify_waiting", ()) in recovery.sweep(at=factories.NOW).bells


def test_runs_held_by_a_switch_never_keep_others_from_being_rung_for(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "RUNS_AT_ONCE", 3)
    held = {"hold_until": factories.NOW - STUCK, "requested_at": timezone.now()}
    for _ in range(4):
        factories.run(scene.new_ticket(), scene.target, **held)
    fresh = factories.run(scene.new_ticket(), scene.target, requested_at=timezone.now())
    bells = recovery.sweep(at=factories.NOW).bells
    assert ("execute_run", (fresh.pk,)) in bells
    assert len([task for task, _ in bells if task == "execute_run"]) == 3


def test_a_training_whose_bell_or_worker_was_lost_is_rung_for_again() -> None:
    at, owner = factories.NOW, factories.customer()
    common: dict[str, Any] = {"kind": "train", "customer": owner, "changed_at": at}
    waiting = Job.objects.create(name="waits", **common)
    lost = Job.objects.create(name="lost", status=Job.Status.LEASED, leased_until=at - STUCK, **common)
    Job.objects.create(name="busy", status=Job.Status.LEASED, leased_until=at + STUCK, **common)
    Job.objects.create(name="done", status=Job.Status.DONE, **common)
    bells = recovery.sweep(at=at).bells
    assert [bell for bell in bells if bell[0] == "learn"] == [("learn", (waiting.pk,)), ("learn", (lost.pk,))]


def test_people_hear_once_of_a_certificate_that_ends(scene: Scene) -> None:
    recovery.sweep(at=scene.at)
    assert not Notification.objects.exists(), "90 days are left"
    Certificate.objects.update(expires_at=scene.at + timedelta(days=13))
    for _ in range(2):
        recovery.sweep(at=scene.at)
    assert [row.kind for row in Notification.objects.all()] == ["certificate_expires"]
    Certificate.objects.update(revoked_at=scene.at, revoked_because="drift")
    recovery.sweep(at=scene.at)
    assert Notification.objects.filter(kind="certificate_revoked", text__contains="drift").count() == 1


def test_delivery_keys_are_forgotten_after_thirty_days_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "KEYS_AT_ONCE", 2)
    for number, days in enumerate((29, 31, 32, 33)):
        seen = factories.NOW - timedelta(days=days)
        DeliveryKey.objects.create(source_id=1, key=str(number), delivery=uuid.uuid4(), seen_at=seen)
    recovery.sweep(at=factories.NOW)
    assert set(DeliveryKey.objects.values_list("key", flat=True)) == {"0", "1"}
    recovery.sweep(at=factories.NOW)
    assert set(DeliveryKey.objects.values_list("key", flat=True)) == {"0"}


def test_ended_sessions_and_old_tries_to_sign_in_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "KEYS_AT_ONCE", 2)
    for hours in (-3, -2, -1, 1):
        ends = factories.NOW + timedelta(hours=hours)
        Session.objects.create(session_key=f"s{hours}", session_data="", expire_date=ends)
    for days in (31, 29):
        row = AccessAttempt.objects.create(username=f"u{days}", ip_address="192.0.2.1", failures_since_start=1)
        AccessAttempt.objects.filter(pk=row.pk).update(attempt_time=factories.NOW - timedelta(days=days))
    recovery.sweep(at=factories.NOW)
    assert set(Session.objects.values_list("pk", flat=True)) == {"s-1", "s1"}
    assert [row.username for row in AccessAttempt.objects.all()] == ["u29"]
    recovery.sweep(at=factories.NOW)
    assert [row.pk for row in Session.objects.all()] == ["s1"]


def test_a_sweep_reads_no_table_from_end_to_end(scene: Scene) -> None:
    """What grows without end is found by index only: a sweep comes every second."""
    with CaptureQueriesContext(
        connection,
    ) as asked:
        recovery.sweep(at=scene.at)
    growing = ("triage_ticket", "triage_run", "triage_writeback", "triage_approval", "triage_delivery", "triage_label")
    few = ("ticket_has_update", "delivery_waits_for_lake", "label_waits_for_lake")  # hold only what waits
    scans = []
    for query in asked.captured_queries:
        if not query["sql"].startswith("SELECT"):
            continue
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN QUERY PLAN " + query["sql"])
            plan = [row[3] for row in cursor.fetchall()]
        whole = [step for step in plan if step.startswith("SCAN ") and step.split()[1] in growing]
        scans += [step for step in whole if not step.endswith(few)]
    assert scans == []


def test_one_reconciler_holds_the_lease_until_it_falls_silent() -> None:
    first, second = uuid.uuid4(), uuid.uuid4()
    assert recovery.hold_lease(first, at=factories.NOW)
    assert not recovery.hold_lease(second, at=factories.NOW + timedelta(seconds=5))
    assert recovery.hold_lease(first, at=factories.NOW + timedelta(seconds=20))
    assert recovery.hold_lease(second, at=factories.NOW + timedelta(seconds=51))
    assert not recovery.hold_lease(first, at=factories.NOW + timedelta(seconds=52))


def test_a_pool_that_never_or_no_longer_proves_itself_is_named_unless_it_is_busy(scene: Scene) -> None:
    at = scene.at
    assert recovery.silent_queues(at=at) == set(), "nobody was asked yet"
    recovery.hold_lease(uuid.uuid4(), at=at)
    for queue in POOLS[:-1]:
        WorkerBeat.objects.create(name=queue, pid=1, at=at - timedelta(seconds=30))
    assert recovery.silent_queues(at=at) == {POOLS[-1]}
    WorkerBeat.objects.filter(name="runbooks").update(at=at - timedelta(seconds=61))
    assert recovery.silent_queues(at=at) == {POOLS[-1], "runbooks"}
    run = scene.request()
    Run.objects.filter(pk=run.pk).update(status=Run.Status.STARTING, claim_until=at + timedelta(seconds=9))
    assert recovery.silent_queues(at=at) == {POOLS[-1]}
    WorkerBeat.objects.filter(name__in=["landing", "writeback"]).update(at=at - timedelta(seconds=61))
    assert recovery.silent_queues(at=at) == {POOLS[-1], "landing", "writeback"}
    common = {"customer": scene.customer, "ticket": scene.ticket, "content": {}, "next_at": at, "created_at": at}
    Writeback.objects.create(key="k", what="note", claim_until=at + timedelta(seconds=9), **common)
    assert recovery.silent_queues(at=at) == {POOLS[-1]}, "an ITSM that is slow to answer is no worker's fault"
    assert recovery.silent_queues(at=at + timedelta(minutes=5)) == {"reconciler"}


def test_the_supervisor_restarts_the_pool_of_a_silent_queue_or_the_reconciler_itself() -> None:
    at = timezone.now()
    assert installation._stale() == set()
    recovery.hold_lease(uuid.uuid4(), at=at)
    for queue in POOLS:
        WorkerBeat.objects.create(name=queue, pid=1, at=at - (STUCK if queue == "landing" else timedelta()))
    assert installation._stale() == {"background"}
    Job.objects.update(leased_until=at - STUCK)
    assert installation._stale() == {"reconcile"}
    children = {child.name for child in installation.children(port=1)}
    assert {"background", "reconcile"} <= children
    assert {queue for queues, _ in installation.POOLS.values() for queue in queues} == set(POOLS)
