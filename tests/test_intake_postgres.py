"""Intake and landing on PostgreSQL, where messages really arrive at the same moment."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import servers

WORK = """
import json, os, threading
from datetime import UTC, datetime, timedelta
import django
django.setup()
from django.core.management import call_command
from django.db import connections
call_command("migrate", verbosity=0)
from tests import factories
from triage import intake, landing
from triage.lake import here
from triage.models import AuditEvent, Delivery, Draw, Run, Ticket

AT = datetime.now(UTC)
source = factories.source(slug="racing", customer=factories.customer(slug="racing", holdout_share=0.5))

def at_once(work, count=8):
    start, found, failed = threading.Barrier(count), [], []
    def one(number):
        start.wait()
        try:
            found.append(work(number))
        except Exception as error:
            failed.append(repr(error))
        finally:
            connections.close_all()
    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert not failed, failed
    return found

def send(key, *tickets):
    body = "\\n".join(json.dumps(ticket) for ticket in tickets).encode()
    return intake.accept(source=source, key=key, body=body, headers={}, content_type="application/x-ndjson", at=AT)

told = {"races": 0, "created": 0, "duplicates": 0}
for turn in range(4):
    # half of the senders repeat one message, half tell of the same new ticket under keys of their own
    found = at_once(lambda n: send(f"same{turn}" if n % 2 else f"own{turn}.{n}", {"external_id": f"T{turn}", "subject": "a"}))
    told["races"] += 1
    told["created"] += sum(one.created for one in found)
    told["duplicates"] += sum(one.duplicate for one in found)
told["tickets"], told["draws"] = Ticket.objects.count(), Draw.objects.count()

# a new text meets a worker that claims the run, eight times
from triage import lifecycle
target = factories.target(source.customer)
told["both"] = 0
for turn in range(8):
    ticket = factories.ticket(source=source, status="queued", external_id=f"R{turn}", updated_at=AT - timedelta(hours=1))
    run = Run.objects.create(customer=source.customer, ticket=ticket, runbook="unlock_account", target=target,
        target_object=f"a{turn}", text_hash=ticket.text_hash, action_digest="0", requested_at=AT)
    def start_or_change(n):
        if n:
            return send(f"new{turn}", {"external_id": f"R{turn}", "subject": "another text"})
        return lifecycle.advance(Run.objects.filter(pk=run.pk, status="requested"), to="claimed", at=AT, actor="t")
    at_once(start_or_change, 2)
    run.refresh_from_db()
    told["both"] += run.status != "void"

at_once(lambda n: landing.land(at=AT + timedelta(minutes=5)), 4)
keys = set(Delivery.objects.values_list("lake_key", flat=True))
told["landed"] = sum(len(list(landing.deliveries_in(here.store().get(key)))) for key in keys)
told["deliveries"] = Delivery.objects.filter(landed_at__isnull=False, body__isnull=True).count()
# a source goes live while its messages arrive: each becomes a ticket, by whoever of the two comes second
from triage import connecting
person = factories.person(is_superuser=True)
source = factories.source(slug="arriving", customer=source.customer, in_setup=True)
def arrive_or_go_live(n):
    if n == 3:
        return connecting.go_live(source, person=person, at=AT)
    return [send(f"L{n}.{one}", {"external_id": f"L{n}.{one}", "subject": "a"}) for one in range(6)]
at_once(arrive_or_go_live)
connecting.apply_left(at=AT)
mine = Delivery.objects.filter(source_id=source.pk)
told["arrived"] = [mine.count(), mine.filter(status="applied").count(), Ticket.objects.filter(source=source).count()]
source = factories.source(customer=source.customer)
awkward = send("odd", {"external_id": "N", "subject": "x\\u0000y"}, {"external_id": "S", "subject": "\\ud800"})
told["quarantined"] = awkward.quarantined
print(json.dumps(told))
"""


@pytest.mark.usefixtures("lake")
def test_races_on_postgresql_lose_and_double_nothing(tmp_path: Path) -> None:
    with servers.postgres() as url:
        env = {
            **os.environ,
            "TRIAGE_HOME": str(tmp_path),
            "TRIAGE_DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "triage.settings",
        }
        done = subprocess.run(
            [sys.executable, "-c", WORK],
            env=env,
            cwd=Path(__file__).parent.parent,
            capture_output=True,
            check=False,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["created"] == told["draws"] == 4
    assert told["tickets"] == 4
    assert told["duplicates"] == 12
    assert told["both"] == 0, "a run of the old text that was only claimed is void, whoever was first"
    assert told["landed"] == told["deliveries"] == 4 * 5 + 8
    assert told["quarantined"] == 2
    assert told["arrived"] == [42, 42, 42]
