"""The run's path on PostgreSQL, where workers, people and the ITSM really act at the same moment."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import servers

WORK = """
import json, sqlite3, sys, threading, time
from datetime import timedelta
from pathlib import Path
import django
django.setup()
from django.core.management import call_command
from django.db import connection, connections
call_command("migrate", verbosity=0)
from django.utils import timezone
from tests import factories
from tests.runs import ACTOR, Scene
from runbooks.registry import RUNBOOKS
from triage import approvals, automation, execution, intake, recovery, standing
from triage.models import Approval, Mode, Run, RunbookState, Ticket

scene = Scene(Path(sys.argv[1]))
told = {}

def at_once(*works):
    start, failed = threading.Barrier(len(works)), []
    def one(work):
        start.wait()
        try:
            work()
        except Exception as error:
            failed.append(repr(error))
        finally:
            connections.close_all()
    threads = [threading.Thread(target=one, args=(work,)) for work in works]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    return failed

def rewrite(ticket):
    told_by = {"external_id": ticket.external_id, "subject": "Something else entirely", "body": "New words."}
    intake.accept(source=scene.source, key=f"new-{ticket.pk}", body=json.dumps(told_by).encode(), headers={},
                  content_type="application/json", at=timezone.now())

def ask(ticket, account):
    decision = scene.decide(ticket, account)
    decision.mode, decision.certificate, decision.expires_at = Mode.APPROVE, None, None
    decision.save()
    return approvals.ask(ticket=ticket, decision=decision, people_needed=1, at=timezone.now())

def yes(approval, person):
    try:
        automation.grant(approval, person=person, at=timezone.now())
    except approvals.ApprovalRefused:
        pass

failed = []
# the text changes while a worker starts the run
for turn in range(4):
    ticket = scene.new_ticket(external_id=f"start{turn}")
    run = scene.request(ticket, scene.decide(ticket, f"nobody{turn}"))
    failed += at_once(lambda: execution.execute(run.pk, at=timezone.now()), lambda: rewrite(ticket))
    run.refresh_from_db(); ticket.refresh_from_db()
    ended = run.status == "failed" and (ticket.status == "needs_review")
    assert ended or (run.status == "void" and ticket.status == "received"), (run.status, ticket.status)

# the text changes, and two people say yes, at the same moment
people = [factories.person(), factories.person()]
for turn in range(6):
    ticket = scene.new_ticket(external_id=f"grant{turn}")
    approval = ask(ticket, f"somebody{turn}")
    failed += at_once(*(lambda p=p: yes(Approval.objects.get(pk=approval.pk), p) for p in people), lambda: rewrite(ticket))
    ticket.refresh_from_db()
    assert ticket.status == "received", ticket.status
    assert not Run.objects.filter(ticket=ticket).exclude(status="void").exists()
told["granted_twice"] = Run.objects.filter(ticket__external_id__startswith="grant", occasion__gt=1).count()

# four workers, and the limit lets one more run start
before = Run.objects.filter(started_at__isnull=False).count()
RunbookState.objects.create(customer=scene.customer, runbook="unlock_account", runs_an_hour=before + 1)
runs = []
for turn in range(4):
    ticket = scene.new_ticket()
    runs.append(scene.request(ticket, scene.decide(ticket, f"limit{turn}")))
failed += at_once(*(lambda run=run: execution.execute(run.pk, at=timezone.now()) for run in runs))
told["started"] = Run.objects.filter(started_at__isnull=False).count() - before
RunbookState.objects.all().delete()

# equal alerts are decided by several workers at once
alerts = [scene.new_ticket(actor="machine", storm_key="7" * 64) for _ in range(4)]
plans = [(alert, scene.decide(alert, "alerted")) for alert in alerts]
failed += at_once(*(
    lambda plan=plan: automation.request(ticket=plan[0], decision=plan[1], at=timezone.now(), actor=ACTOR)
    for plan in plans
))
told["storm"] = sorted(Ticket.objects.filter(pk__in=[a.pk for a in alerts]).values_list("status", flat=True))

# the switch for all goes off while two workers start what they have claimed
claimed = []
for turn in range(12):
    ticket = scene.new_ticket()
    run = scene.request(ticket, scene.decide(ticket, f"switch{turn}"))
    claimed.append(execution._claim(run.pk, at=timezone.now()))
RunbookState.objects.create(customer=scene.customer, runbook="unlock_account", concurrent=99, runs_an_hour=99)
before, seen, under_way = set(Run.objects.filter(started_at__isnull=False).values_list("pk", flat=True)), [], threading.Event()
def start(runs):
    for run in runs:
        execution._commit_starting(run, RUNBOOKS["unlock_account"])
        under_way.set()
def switch_off():
    under_way.wait(10)
    standing.switch(on=False, because="a drill", at=timezone.now(), actor=ACTOR)
    seen.extend(Run.objects.filter(started_at__isnull=False).exclude(pk__in=before).values_list("pk", flat=True))
failed += at_once(lambda: start(claimed[::2]), lambda: start(claimed[1::2]), switch_off)
begun = set(Run.objects.filter(started_at__isnull=False).exclude(pk__in=before).values_list("pk", flat=True))
told["after_the_switch"] = len(begun - set(seen))
assert 1 <= len(begun) < len(claimed), len(begun)
standing.switch(on=True, because="over", at=timezone.now(), actor=ACTOR)
Run.objects.filter(pk__in=begun).update(status="succeeded", started_at=None, finished_at=timezone.now())
RunbookState.objects.all().delete()

# the database drops every connection while the runbook acts
effects = scene.effects()
busy = sqlite3.connect(scene.path, isolation_level=None, check_same_thread=False)
busy.execute("BEGIN EXCLUSIVE")
run = scene.request()
def restart():
    while not Run.objects.filter(pk=run.pk, status="starting").exists():
        time.sleep(0.02)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                       " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'")
    busy.execute("ROLLBACK")
failed += at_once(lambda: execution.execute(run.pk, at=timezone.now()), restart)
connections.close_all()
run.refresh_from_db()
told["after_restart"] = run.status
told["effects"] = scene.effects() - effects
recovery.sweep(at=timezone.now())
told["failed"] = failed
print(json.dumps(told))
"""


@pytest.mark.skipif(servers.postgres_install() is None, reason="no PostgreSQL: neither the wheel nor Debian's is there")
@pytest.mark.usefixtures("lake")
def test_workers_people_and_the_itsm_at_one_moment_on_postgresql(tmp_path: Path) -> None:
    with servers.postgres() as url:
        env = {**os.environ, "TRIAGE_HOME": str(tmp_path), "TRIAGE_DATABASE_URL": url}
        done = subprocess.run(
            [sys.executable, "-c", WORK, str(tmp_path)], env=env, cwd=Path(__file__).parent.parent,
            capture_output=True, check=False, timeout=120,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert told == {
        "granted_twice": 0,
        "started": 1,
        "storm": ["linked", "linked", "linked", "queued"],
        "after_the_switch": 0,
        "after_restart": "succeeded",
        "effects": 1,
        "failed": [],
    }
