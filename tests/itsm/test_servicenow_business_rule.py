"""The Business Rule that we ship: run by node on as much of the platform as it uses, its message read by our door."""

import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests import factories
from triage.itsm import servicenow
from triage.models import Source

RULE = Path(__file__).parents[2] / "docs" / "servicenow" / "business_rule.js"
PLATFORM = Path(__file__).with_name("servicenow_platform.js")
ROW = {
    "sys_id": "9d385017c611228701d22104cc95c371",
    "sys_class_name": "incident",
    "number": "INC0010001",
    "short_description": 'Drucker "Löwe" druckt nicht 🖨',
    "description": "Seit heute früh.\nBitte prüfen.",
    "state": "2",
    "priority": "3",
    "contact_type": "self-service",
    "caller_id": "a" * 32,
    "company": "c" * 32,
    "sys_created_on": "2026-11-20 09:00:00",
    "sys_updated_on": "2026-11-20 09:30:00",
    "sys_updated_by": "ada",
    "sys_mod_count": "4",
    "u_host": "web01",
    "work_notes": "nobody outside may read this",
}

node = shutil.which("node")
pytestmark = pytest.mark.skipif(node is None, reason="node is not installed")


def run(**given: Any) -> dict[str, Any]:
    """What the rule sent, and its warnings."""
    platform = {
        "row": ROW,
        "shown": {"company": "ACME Ltd", "state": "In Bearbeitung"},
        "people": {"a" * 32: {"email": "ada@example.org", "user_name": "ada"}},
        "properties": {
            "triage.webhook.url": "https://triage.example.org/webhooks/snow/",
            "triage.webhook.secret": factories.SECRET,
        },
        **given,
    }
    assert node is not None
    command = [node, str(PLATFORM), str(RULE)]
    done = subprocess.run(command, input=json.dumps(platform).encode(), capture_output=True, check=True, timeout=20)
    return dict(json.loads(done.stdout))


def test_the_message_of_the_rule_is_signed_as_our_door_wants_it_and_tells_the_ticket() -> None:
    sla = {"task": ROW["sys_id"], "active": "true", "stage": "in_progress"}
    ends = [{**sla, "planned_end_time": f"2026-11-20 {hour}:00:00"} for hour in (17, 13)]
    sent = run(task_sla=ends)
    source = Source(slug="snow", secrets=factories.SECRET)
    body = sent["body"].encode()
    key = servicenow.verify(source=source, headers=sent["headers"], body=body)
    assert key == f"{ROW['sys_id']}_4_20261120093000"
    assert (sent["method"], sent["url"]) == ("POST", "https://triage.example.org/webhooks/snow/")
    found = servicenow.parse(body=body, content_type="application/json", at=datetime.now(UTC)).tickets[0][1]
    assert (found.subject, found.body) == (ROW["short_description"], ROW["description"])
    assert (found.status, found.requester, found.channel) == ("in progress", "ada@example.org", "portal")
    assert found.owner == {"company": "ACME Ltd"}
    assert found.due_at == datetime(2026, 11, 20, 13, tzinfo=UTC)
    assert found.updated_at - found.created_at == timedelta(minutes=30)
    assert (found.sequence, found.fields["u_host"], found.fields["number"]) == (4, "web01", "INC0010001")
    assert b"nobody outside" not in body
    assert body.isascii()


def test_the_requester_of_a_catalogue_task_is_found_over_its_item() -> None:
    row = {**ROW, "sys_class_name": "sc_task", "state": "3", "request_item": "b" * 32}
    del row["caller_id"]
    people = {"b" * 32: {"requested_for": "e" * 32}, "e" * 32: {"email": "eve@example.org"}}
    body = run(row=row, people=people)["body"].encode()
    found = servicenow.parse(body=body, content_type="application/json", at=datetime.now(UTC)).tickets[0][1]
    assert (found.requester, found.kind, found.status) == ("eve@example.org", "task", "completed")


def test_without_a_secret_nothing_is_sent_and_the_log_says_what_to_set() -> None:
    sent = run(properties={"triage.webhook.url": "https://triage.example.org/"})
    assert "body" not in sent
    assert "triage.webhook.secret" in sent["warnings"][0]


def test_a_triage_that_does_not_answer_never_stops_the_ticket() -> None:
    assert "timed out" in run(fails=True)["warnings"][0]
