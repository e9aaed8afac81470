"""ServiceNow: the contract, and the forms that only ServiceNow has."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest

from tests.itsm.contract import START, Contract
from tests.itsm.fakes.server import Desk, serving
from tests.itsm.fakes.servicenow import ServiceNow
from triage.itsm import IncomingTicket, servicenow
from triage.itsm.base import Connector
from triage.models import Source


class TestServiceNow(Contract):
    """ServiceNow keeps the contract."""

    adapter: ClassVar[Connector] = servicenow
    desk_kind: ClassVar[type[Desk]] = ServiceNow
    kind: ClassVar[str] = "servicenow"

    def signed_headers(self, headers: dict[str, str]) -> list[str]:
        return list(headers)


@pytest.fixture
def desk() -> Iterator[ServiceNow]:
    with serving(ServiceNow()) as found:
        yield found


@pytest.fixture
def source(desk: ServiceNow) -> Source:
    settings = {**desk.settings(), "tables": ["incident", "sc_task", "sc_req_item"]}
    return Source(slug="s", secrets=desk.secret, settings=settings, credentials=json.dumps(desk.credentials))


def everything(source: Source) -> list[IncomingTicket]:
    found: list[IncomingTicket] = []
    cursor = ""
    for _ in range(20):
        page = servicenow.pull(source, since=START, cursor=cursor)
        found += page.tickets
        if not (cursor := page.cursor):
            return found
    raise AssertionError("the pages never end")


def test_incidents_tasks_and_requests_are_pulled_one_table_after_the_other(desk: ServiceNow, source: Source) -> None:
    kinds = {}
    for table in ("sc_req_item", "incident", "sc_task"):
        kinds[desk.add(subject="a", body="b", changed=START, sys_class_name=table)] = table
    assert [kinds[ticket.external_id] for ticket in everything(source)] == ["incident", "sc_task", "sc_req_item"]


def test_a_change_made_while_tables_are_read_does_not_carry_the_mark_past_what_was_not_seen(
    desk: ServiceNow, source: Source
) -> None:
    desk.add(subject="a", body="b", changed=START)
    task = desk.add(subject="a", body="b", changed=START, sys_class_name="sc_task")
    first = servicenow.pull(source, since=START, cursor="")
    desk.edit(task, changed=datetime.now(UTC) + timedelta(seconds=2))
    assert len(first.tickets) == 1
    assert servicenow.pull(source, since=START, cursor=first.cursor).tickets == ()


def test_a_request_is_read_from_its_own_table(desk: ServiceNow, source: Source) -> None:
    external_id = desk.add(subject="a", body="b", changed=START, sys_class_name="sc_req_item", state="2")
    seen = servicenow.read(source, external_id)
    assert seen is not None
    assert (seen.incoming.kind, seen.incoming.status) == ("request", "in progress")
    servicenow.reply(source, external_id=external_id, key="k", what="resolve", content={"text": "done"})
    row = desk.row(external_id)
    assert (row["state"], row["close_notes"], "close_code" in row) == ("3", "done", False)


def test_rows_that_we_may_not_see_hide_no_other(desk: ServiceNow, source: Source) -> None:
    ids = [desk.add(subject="a", body="b", changed=START) for _ in range(350)]
    desk.hidden = set(ids[10:310])
    assert {ticket.external_id for ticket in everything(source)} == set(ids) - desk.hidden


def test_states_are_words_whatever_the_language_of_the_instance(desk: ServiceNow, source: Source) -> None:
    external_id = desk.add(subject="a", body="b", changed=START, state="6")
    body = desk.webhook(external_id)[1].replace(b'"Resolved"', b'"Gel\\u00f6st"')
    found = servicenow.parse(body=body, content_type="application/json", at=START).tickets[0][1]
    assert found.status == "resolved"
    desk.row(external_id)["state"] = "11"
    seen = servicenow.read(source, external_id)
    assert seen is not None
    assert seen.incoming.status == "11"  # the instance's own state keeps its own words


def test_without_a_due_date_of_its_own_the_first_running_sla_tells_it(desk: ServiceNow, source: Source) -> None:
    external_id = desk.add(subject="a", body="b", changed=START)
    for number, (hour, stage) in enumerate(((17, "in_progress"), (13, "in_progress"), (11, "cancelled"))):
        end = f"2026-11-20 {hour}:00:00"
        sla = {"task": external_id, "active": "true", "stage": stage, "planned_end_time": end}
        desk.tables["task_sla"][str(number)] = sla
    seen = servicenow.read(source, external_id)
    assert seen is not None
    assert seen.incoming.due_at == START.replace(hour=13, minute=0)
    assert [ticket.due_at for ticket in everything(source)] == [seen.incoming.due_at]


def test_an_incident_that_is_resolved_gets_a_close_code_and_notes(desk: ServiceNow, source: Source) -> None:
    external_id = desk.add(subject="a", body="b", changed=START)
    servicenow.reply(source, external_id=external_id, key="k", what="resolve", content={"text": "Unlocked."})
    row = desk.row(external_id)
    assert (row["state"], row["close_code"], row["close_notes"]) == ("6", "Solution provided", "Unlocked.")
    assert not row["assigned_to"]


def test_a_work_note_cannot_bring_markup(desk: ServiceNow, source: Source) -> None:
    external_id = desk.add(subject="a", body="b", changed=START)
    text = "[code]<img src=x onerror=alert(1)>[/code]"
    servicenow.reply(source, external_id=external_id, key="k", what="note", content={"text": text})
    assert "[code]" not in desk.notes(external_id)[0].text
    assert "[/code]" not in desk.notes(external_id)[0].text


def test_where_people_see_a_name_the_field_is_the_name_and_a_moment_is_no_local_time(desk: ServiceNow) -> None:
    external_id = desk.add(subject="a", body="b", changed=START, u_when_on="2026-11-21 08:00:00")
    found = servicenow.parse(body=desk.webhook(external_id)[1], content_type="application/json", at=START).tickets[0][1]
    assert found.fields["company"] == "ACME Ltd"
    assert found.fields["u_when_on"] == "2026-11-21 08:00:00"
    assert (found.updated_at, found.priority, found.fields["u_host"]) == (START, "3", "web01")


def test_a_mail_that_became_an_incident_loses_the_mail_that_it_answers(desk: ServiceNow) -> None:
    text = "It is back.\n\n-----Original Message-----\nFrom: Service Desk\nPlease restart it."
    external_id = desk.add(subject="RE: VPN", body=text, changed=START, contact_type="email")
    found = servicenow.parse(body=desk.webhook(external_id)[1], content_type="application/json", at=START).tickets[0][1]
    assert (found.body, found.channel) == ("It is back.", "mail")
