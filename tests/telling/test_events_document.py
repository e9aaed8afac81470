"""docs/events.md and its schema say what is really sent."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from tests import factories
from triage import telling
from triage.models import EventEndpoint, Notification, Posting
from triage.telling import events
from triage.telling.kinds import EVENTS, KINDS

DOCS = Path(__file__).resolve().parents[2] / "docs"
SCHEMA = jsonschema_rs.validator_for(json.loads((DOCS / "events.schema.json").read_text()))
EXAMPLES = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", (DOCS / "events.md").read_text(), re.DOTALL)]


def test_every_event_has_an_example_that_fits_the_schema_and_one_of_its_kinds() -> None:
    assert {example["type"] for example in EXAMPLES} == set(EVENTS)
    assert set(json.loads((DOCS / "events.schema.json").read_text())["properties"]["type"]["enum"]) == set(EVENTS)
    for example in EXAMPLES:
        SCHEMA.validate(example)
        assert KINDS[example["data"]["kind"]].event == example["type"]


@pytest.mark.django_db
def test_what_is_sent_fits_the_schema_and_a_broken_one_does_not() -> None:
    ticket = factories.ticket(status="needs_review")
    assert ticket.customer
    EventEndpoint.objects.create(name="chat", url="https://hooks.example.org/", kinds=list(EVENTS))
    agent = factories.member(ticket.customer)
    given = {"verdict": "article", "article": "KB0001", "follow": "reply"}
    factories.prediction(ticket)
    factories.decision(ticket)
    telling.tell_verdict(factories.review(ticket, agent, **given), at=factories.NOW)
    telling.tell(
        kind="run_unknown", customer=ticket.customer, key="k", text="x", at=factories.NOW, runbook="r", ticket=ticket,
        data={"run": str(ticket.uuid), "status": "unknown"},
    )  # fmt: skip
    sent: list[dict[str, Any]] = [json.loads(events.payload(row)) for row in Posting.objects.order_by("pk")]
    assert [one["type"] for one in sent] == ["ticket.decided", "run.unknown"]
    for one in sent:
        SCHEMA.validate(one)
    del sent[0]["data"]["label"]
    assert not SCHEMA.is_valid(sent[0])
    assert Notification.objects.filter(desk=False).count() == 1
