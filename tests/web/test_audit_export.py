"""The log: narrowed by who, what, which and when; taken away as a file that no spreadsheet program obeys."""

import csv
import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests import factories
from tests.web.conftest import client_of
from tests.web.scene import Scene
from triage import lifecycle
from triage.models import AuditEvent, Customer, Person, Role
from triage.queries import log
from triage.web import audit, spreadsheet

pytestmark = pytest.mark.django_db


def _event(customer: Customer | None, **values: Any) -> AuditEvent:
    given = {"at": timezone.now(), "subject": "ticket", "subject_id": 7, "event": "noted", "actor": "system:intake"}
    return AuditEvent.objects.create(customer_id=customer.pk if customer else None, **{**given, **values})


def _rows(client: Client, **search: str) -> list[dict[str, str]]:
    answer = client.post("/audit/export/", {"form": "csv", **search})
    assert answer.status_code == 200, answer.content
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]  # a streamed answer
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text[1:], newline="")))


@pytest.fixture
def customer() -> Customer:
    return factories.customer(slug="nordwind", name="Nordwind AG")


@pytest.fixture
def auditor(customer: Customer) -> Person:
    return factories.member(customer, Role.AUDITOR, username="audra")


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_no_cell_begins_like_a_formula(auditor: Person, customer: Customer, first: str) -> None:
    hostile = f'{first}cmd|" /C calc"!A0,"x"'
    _event(customer, reason=hostile, event=f"{first}HYPERLINK(1)", actor=f"{first}system")
    row = next(row for row in _rows(client_of(auditor)) if row["object_id"] == "7")
    assert row["reason"] == f"'{hostile}"
    assert not any(value.startswith(spreadsheet.BEGINS_A_FORMULA) for value in row.values())
    assert "calc" in row["reason"], "what was said is still there"


def test_what_is_harmless_stays_as_it_is() -> None:
    assert [spreadsheet.cell(value) for value in ("a=b", "", None, -5, 'ä, "quoted"', " =1")] == [
        "a=b",
        "",
        "",
        -5,
        'ä, "quoted"',
        " =1",
    ]
    written = "".join(spreadsheet.lines(("a", "b"), [["x\r\ny", 'say "hi"']]))
    assert list(csv.reader(io.StringIO(written[1:], newline=""))) == [["a", "b"], ["x\r\ny", 'say "hi"']]


def test_an_export_has_the_customers_own_events_and_stands_in_its_log(auditor: Person, customer: Customer) -> None:
    elsewhere = factories.customer(slug="contoso")
    mine = _event(customer, reason="mine")
    _event(elsewhere, reason="theirs")
    _event(None, reason="nobody's")
    rows = _rows(client_of(auditor))
    assert [row["id"] for row in rows if row["event"] == "noted"] == [str(mine.pk)]
    assert rows[0]["customer"] == "nordwind"
    noted = AuditEvent.objects.get(event="log exported")
    assert (noted.customer_id, noted.actor) == (customer.pk, f"person:{auditor.pk}")
    assert noted.reason == "1 events as csv: everything"
    assert noted.pk in [entry.event.pk for entry in log.page(auditor, filters=log.LogFilters(), at=timezone.now())[0]]


def test_json_lines_are_whole_and_as_they_were(auditor: Person, customer: Customer) -> None:
    _event(customer, reason='=1+1 "ä" \u2028 <script>', before="received", after="classified", event="status")
    answer = client_of(auditor).post("/audit/export/", {"form": "jsonl", "subject": "ticket"})
    assert answer["Content-Disposition"].endswith('.jsonl"')
    lines = b"".join(answer.streaming_content).decode().splitlines()  # type: ignore[attr-defined]  # a streamed answer
    parts = [json.loads(line) for line in lines]
    assert parts[0]["reason"].startswith('=1+1 "ä"')
    assert (parts[0]["before"], parts[0]["after"], parts[0]["customer"]) == ("received", "classified", "nordwind")


def test_an_export_is_read_in_chunks_and_misses_and_repeats_nothing(auditor: Person, customer: Customer) -> None:
    at = timezone.now()
    AuditEvent.objects.bulk_create(
        AuditEvent(at=at, customer_id=customer.pk, subject="run", subject_id=n, event="noted", actor="system:x")
        for n in range(25)
    )
    found = list(log.export(auditor, filters=log.LogFilters(subject="run"), at=at, chunk=7))
    assert [entry.event.subject_id for entry in found] == list(range(24, -1, -1))


def test_more_than_may_be_exported_is_said_before_and_not_cut(
    auditor: Person, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "MOST_LINES", 2)
    for _number in range(3):
        _event(customer)
    refused = client_of(auditor).post("/audit/export/", {"form": "csv"}, follow=True)
    assert "More than 2 events fit" in refused.content.decode()
    assert not AuditEvent.objects.filter(event="log exported").exists()


def test_a_ticket_under_a_blind_check_tells_a_file_no_more_than_the_page(scene: Scene) -> None:
    steward = factories.member(scene.nordwind, Role.STEWARD)
    at = timezone.now()
    said = "decided by secret words"
    lifecycle.record(row=scene.blind, event="status", at=at, actor="system:routing", reason=said, after="classified")
    rows = _rows(client_of(steward), row=scene.blind.external_id)
    hidden = [row for row in rows if row["event"] == ""]
    assert hidden
    assert all(row["reason"] == log.HIDDEN and not row["after"] and not row["before"] for row in hidden)
    for search in ({"text": "secret"}, {"event": "classified"}, {"event": "status"}):
        found = _rows(client_of(steward), **search)
        assert not [row for row in found if row["object_id"] == str(scene.blind.pk) and row["object"] == "ticket"], (
            search
        )
    assert said not in json.dumps(rows)


def test_the_log_is_narrowed_by_who_what_which_and_when(auditor: Person, customer: Customer) -> None:
    at = timezone.now()
    bea = factories.member(customer, first_name="Bea", last_name="Meyer")
    ticket = factories.ticket(customer=customer, external_id="INC77")
    by_bea = _event(customer, actor=f"person:{bea.pk}", event="verdict given")
    moved = _event(customer, event="status", after="resolved")
    of_ticket = _event(customer, subject_id=ticket.pk)
    old = _event(customer, at=at - timedelta(days=40))
    client = client_of(auditor)

    def found(**search: str) -> set[int]:
        return {int(row["id"]) for row in _rows(client, **search) if row["event"] != "log exported"}

    assert found(person="meyer") == {by_bea.pk}
    assert found(event="resolved") == {moved.pk}
    assert found(event="verdict") == {by_bea.pk}
    assert found(row="INC77") == {of_ticket.pk}
    assert found(until=f"{at - timedelta(days=30):%Y-%m-%d}") == {old.pk}
    assert found(since=f"{at - timedelta(days=30):%Y-%m-%dT%H:%M}", person="meyer", event="verdict") == {by_bea.pk}


def test_times_are_in_the_readers_zone(auditor: Person, customer: Customer) -> None:
    Person.objects.filter(pk=auditor.pk).update(zone="Asia/Tokyo")
    at = timezone.now().replace(year=2026, month=3, day=1, hour=20, minute=30)  # the second of March in Tokyo
    event = _event(customer, at=at)
    client = client_of(auditor)
    assert [row["id"] for row in _rows(client, since="2026-03-02", until="2026-03-03")] == [str(event.pk)]
    assert not [row for row in _rows(client, since="2026-03-01", until="2026-03-02") if row["event"] == "noted"]


def test_a_time_that_cannot_be_read_is_named(auditor: Person) -> None:
    client = client_of(auditor)
    for text in ("<b>soon</b>", "2026-02-31", "99999-01-01"):
        page = client.get("/audit/", {"since": text})
        assert page.status_code == 422
        assert "is no time" in page.content.decode()
        assert "<b>soon" not in page.content.decode()
        assert client.post("/audit/export/", {"since": text}).status_code == 302


def test_digits_that_are_no_number_find_nothing_and_break_nothing(auditor: Person, customer: Customer) -> None:
    _event(customer, reason="disk full")
    client = client_of(auditor)
    for name in ("text", "customer", "row", "before"):
        assert client.get("/audit/", {name: "²"}).status_code == 200
    assert len(_rows(client, customer="9" * 20)) == len(_rows(client, customer="²")) - 1
    assert _rows(client, text="³")[0]["event"] == "log exported"
    assert client.get("/runs/", {"before": "²"}).status_code == 200
    assert client.post(reverse("notifications-seen"), {"which": "²"}).status_code == 302


def test_who_may_not_read_the_log_takes_none_of_it_and_no_link_does(customer: Customer, auditor: Person) -> None:
    assert client_of(factories.member(customer)).post("/audit/export/").status_code == 403
    assert client_of(auditor).get("/audit/export/").status_code == 405
    assert not AuditEvent.objects.filter(event="log exported").exists()
