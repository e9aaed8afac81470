"""`triage offboard`: one customer is exported whole and deleted whole, and nothing of another's changes by a byte."""

import json
import zipfile
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests import factories, servers
from triage import installation, intake, landing, offboarding
from triage.cli import cli
from triage.embedded import Endpoints
from triage.environment import environment
from triage.intake import pages
from triage.itsm import IncomingTicket, Page
from triage.lake import forgetting, here, layout
from triage.lake.store import ObjectStore
from triage.models import (
    ArticleFeed,
    AuditEvent,
    Customer,
    Delivery,
    Job,
    Person,
    Run,
    RunPiece,
    Source,
    SourceMapping,
    Ticket,
)
from triage.offboarding import belonging, container, exporting, held

pytestmark = pytest.mark.django_db
WORD = "zebrafinch"
AT = datetime(2026, 11, 20, 9, tzinfo=UTC)


@pytest.fixture
def whole_way() -> None:
    """The command looks after database and servers itself."""


@pytest.fixture(autouse=True)
def _ready_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """One test goes the command's whole way; for the others database and servers are looked after already."""
    if "whole_way" not in request.fixturenames:
        monkeypatch.setattr(installation, "ready", nullcontext)


@pytest.fixture(autouse=True)
def store(lake: Endpoints) -> ObjectStore:
    found = servers.store(lake)
    found.delete(list(found.list("")))
    return found


def triage(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(one) for one in arguments])


def message(source: Source, *tickets: dict[str, Any], key: str) -> None:
    """A delivery of the standard kind, as the door stores it."""
    lines = []
    for one in tickets:
        given = {
            "subject": f"{WORD} {one['external_id']}",
            "body": "It does not work.",
            "created_at": "2026-11-20T09:00:00Z",
        }
        lines.append(json.dumps({**given, "updated_at": given["created_at"], **one}))
    body = "\n".join(lines).encode()
    content_type = "application/x-ndjson" if len(lines) > 1 else "application/json"
    at = datetime.now(UTC)
    headers = {"content-type": content_type}
    told = intake.accept(source=source, key=key, body=body, headers=headers, content_type=content_type, at=at)
    assert told.created == len(tickets), told


def scene(slug: str, *, shared: Source) -> Customer:
    """A customer with rows in every kind of table, deliveries and labels in the lake, and a model."""
    customer = factories.customer(slug=slug, name=slug.title())
    source = factories.source(customer=customer, slug=f"own-{slug}")
    factories.mapping(source=shared, customer=customer, value=slug.upper())
    message(source, {"external_id": f"{slug}-1"}, key=f"{slug}-1")
    message(shared, {"external_id": f"{slug}-2", "fields": {"company": slug.upper()}}, key=f"{slug}-2")
    person = factories.member(customer, username=f"agent-{slug}", email=f"{slug}@example.org")
    ticket = Ticket.objects.get(external_id=f"{slug}-1")
    certificate = factories.certificate(factories.release(customer, version="v1"))
    decision = factories.decision(ticket, certificate=certificate)
    factories.prediction(ticket)
    review = factories.review(ticket, person)
    factories.label(customer, ticket=ticket, review=review, subject=f"{WORD} {slug}")
    target = factories.target(customer)
    run = factories.run(ticket, target, status=Run.Status.SUCCEEDED, output=f"{WORD} done", decision=decision)
    RunPiece.objects.create(run=run, at=factories.NOW, text=WORD)
    factories.approval(ticket, decision, status="granted")
    factories.article(customer=customer, key=f"KB-{slug}")
    folder = environment().home / "models" / str(customer.uuid) / "v1"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.bin").write_bytes(slug.encode())
    here.store().put(layout.model_prefix(str(customer.uuid), "v1") + "model.bin", slug.encode() * 1000)
    return customer


def both(shared: Source) -> tuple[Customer, Customer]:
    """Two customers whose messages came through one shared source, partly in one message and one pulled page."""
    going, staying = scene("going", shared=shared), scene("staying", shared=shared)
    owners = [{"external_id": f"{slug}-3", "fields": {"company": slug.upper()}} for slug in ("going", "staying")]
    message(shared, *owners, key="mixed")
    page = tuple(_incoming(f"{slug}-4", slug.upper()) for slug in ("going", "staying"))
    pages.accept_page(source=shared, page=Page(tickets=page, raw=b'[{"id": "going-4"}, {"id": "staying-4"}]'), at=AT)
    only = (_incoming("staying-5", "STAYING"),)  # news of one alone, in an answer that tells of both
    pages.accept_page(source=shared, page=Page(tickets=only, raw=b'[{"id": "going-4"}, {"id": "staying-5"}]'), at=AT)
    landing.land(at=datetime.now(UTC) + timedelta(minutes=10))
    return going, staying


def _incoming(name: str, company: str) -> IncomingTicket:
    return IncomingTicket(
        external_id=name,
        subject=f"{WORD} {name}",
        body="Pulled.",
        created_at=AT,
        updated_at=AT,
        fields={"company": company},
        owner={"company": company},
    )


def everything(customer: Customer, *, history: bool = True) -> dict[str, Any]:
    """All that there is of one customer: rows and objects, byte by byte, and what the tables say, at each version."""
    rows = {table.name: [belonging.row(table, row) for row in table.rows(customer.pk)] for table in belonging.tables()}
    store, uuid = here.store(), str(customer.uuid)
    keys = [key for key in store.list("") if uuid in key]
    version, labels = here.tables().read("labels", customer=uuid)
    versions = range(version + 1) if history else ()
    said = [here.tables().read("labels", customer=uuid, version=number)[1] for number in versions]
    folder = environment().home / "models" / uuid
    files = {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    return {"rows": rows, "objects": {key: store.get(key) for key in keys}, "labels": labels,
            "history": said, "files": files}  # fmt: skip


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("whole_way")
def test_a_customer_is_exported_and_deleted_and_the_other_stays_as_it_is(tmp_path: Path, store: ObjectStore) -> None:
    shared = factories.source(customer=None, slug="shared")
    going, staying = both(shared)
    before, counts = everything(staying), offboarding.counts(going.pk)
    store.put(layout.CLAIMS + "a" * 64, b"{}")
    file = tmp_path / "going.zip"
    ended = triage("offboard", "going", "--export", file, "--yes", "going", "--json", "-")
    assert ended.exit_code == 0, (ended.output, ended.exception)
    told = json.loads(ended.stdout)

    now = everything(staying)
    assert now.pop("history")[: len(before["history"])] == before.pop("history")
    assert now == before
    after = everything(going, history=False)
    assert not any(after["rows"].values())
    assert (after["objects"], after["labels"], after["files"]) == ({}, [], {})
    left = {key: store.get(key) for key in store.list("")}
    assert layout.CLAIMS + "a" * 64 in left
    of_going = [key for key, body in left.items() if b"going" in body]
    assert len(of_going) == 1  # the message that both stand in, as it was signed
    assert b"staying-3" in left[of_going[0]]
    assert b"going-4" not in b"".join(left.values())
    assert all(word in b"".join(left.values()) for word in (b"staying-2", b"staying-4", b"staying-5"))
    for key, body in left.items():
        if key.startswith("raw/"):
            assert list(landing.packed_in(body))  # every line still matches its digest
    assert str(going.uuid).encode() in b"".join(left.values())  # the tables' logs keep the paths, and no words
    assert not Person.objects.filter(username="agent-going").exists()
    assert not Job.objects.filter(kind="offboard").exists()
    assert Source.objects.filter(slug="shared", enabled=True).exists()
    assert list(SourceMapping.objects.values_list("customer", flat=True)) == [staying.pk]

    line = AuditEvent.objects.get(event="offboarded")
    assert (line.customer_id, line.subject_id) == (None, going.pk)
    assert line.actor.startswith("system:command:")
    assert told["sha256"] in line.reason
    assert container.digest_of(file) == told["sha256"]
    manifest = container.check(file)
    assert {name: count for name, count in manifest["rows"].items() if name in counts and name != "auditevent"} == {
        name: count for name, count in counts.items() if name != "auditevent"
    }
    _holds_everything(file, going)
    again = triage("offboard", "going", "--export", file, "--yes", "going")
    assert (again.exit_code, "going left on" in again.stderr) == (0, True)


def _holds_everything(file: Path, customer: Customer) -> None:
    with zipfile.ZipFile(file) as archive:
        read: Callable[[str], list[dict[str, Any]]] = lambda name: [  # noqa: E731 - a short reader
            json.loads(line) for line in archive.read(name).splitlines()
        ]
        names = {one["external_id"] for one in read("tables/ticket.jsonl")}
        assert names == {"going-1", "going-2", "going-3", "going-4"}
        assert read("tables/run.jsonl")[0]["output"] == f"{WORD} done"
        assert read("tables/runpiece.jsonl")[0]["text"] == WORD
        for table in ("prediction", "decision", "review", "label", "approval", "certificate", "article", "release"):
            assert len(read(f"tables/{table}.jsonl")) == 1, table
        assert read("tables/person.jsonl")[0]["email"] == "going@example.org"
        assert read("tables/source.jsonl")[0]["secrets"] == "(set)"
        assert read("lake/tables/labels.jsonl")[0]["subject"] == f"{WORD} going"
        raw = [name for name in archive.namelist() if name.startswith("lake/raw/")]
        assert [b"going-1" in archive.read(name) for name in raw] == [True]
        shared = [name for name in archive.namelist() if name.startswith("lake/shared/") and archive.read(name)]
        assert len(shared) == 1
        text = archive.read(shared[0])
        assert b"going-2" in text
        assert b"going-4" in text
        assert not any(b"staying" in archive.read(name) for name in archive.namelist())
        assert not any(factories.SECRET.encode() in archive.read(name) for name in archive.namelist())
        assert archive.read(f"lake/models/{customer.uuid}/v1/model.bin") == b"going" * 1000


def test_words_of_the_customer_leave_the_tables_log_and_every_version(store: ObjectStore) -> None:
    going, staying = factories.customer(), factories.customer()
    for number in range(2):
        for customer, word in ((going, "gazelle"), (staying, "ostrich")):
            row = {"uuid": f"{word}-{number}", "subject": f"{word} {number}", "article": "KB1"}
            here.tables().append("labels", customer=str(customer.uuid), rows=[row], at=factories.NOW)
    here.tables().drop("labels", customer=str(factories.customer().uuid))  # a checkpoint that knows both
    kept = everything(staying)
    words = b"".join(store.get(key) for key in store.list("tables/"))
    assert b"gazelle" in words
    forgetting.forget(here.tables(), store, "labels", customer=str(going.uuid))
    words = b"".join(store.get(key) for key in store.list("tables/"))
    assert b"gazelle" not in words
    assert b"ostrich" in words
    assert everything(staying)["history"][: len(kept["history"])] == kept["history"]
    assert everything(staying)["objects"] == kept["objects"]
    assert here.tables().read("labels", customer=str(going.uuid))[1] == []
    assert forgetting.forget(here.tables(), store, "labels", customer=str(going.uuid)) == 0
    here.tables().append("labels", customer=str(staying.uuid), rows=[{"uuid": "new"}], at=factories.NOW)
    here.tables().compact("labels")
    assert len(here.tables().read("labels", customer=str(staying.uuid))[1]) == 3


def test_a_run_under_way_refuses_and_leaves_automation_off(tmp_path: Path) -> None:
    customer = factories.customer(slug="busy", mode="automate")
    ticket = factories.ticket(customer=customer, external_id="INC7")
    factories.run(ticket, factories.target(customer), status=Run.Status.STARTING)
    other = factories.ticket(customer=customer, source=ticket.source)
    waiting = factories.run(other, factories.target(customer))
    until = datetime.now(UTC) + timedelta(minutes=5)
    feeds = [
        ArticleFeed.objects.create(slug=f"kb-{number}", name="KB", kind="folder", customer=whose, claim_until=until)
        for number, whose in enumerate((customer, factories.customer()))
    ]
    ended = triage("offboard", "busy", "--export", tmp_path / "out", "--yes", "busy")
    assert isinstance(ended.exception, offboarding.OffboardRefused)
    assert "unlock_account for INC7 is started" in str(ended.exception)
    customer.refresh_from_db()
    waiting.refresh_from_db()
    assert (customer.automation_enabled, customer.mode, waiting.status) == (False, "observe", Run.Status.VOID)
    assert not (tmp_path / "out").exists()
    told = ArticleFeed.objects.filter(pk__in=[feed.pk for feed in feeds]).order_by("pk")
    assert [(feed.enabled, feed.claim_until is None) for feed in told] == [(False, True), (True, False)]
    Run.objects.filter(ticket=ticket).update(status=Run.Status.FAILED)
    ended = triage("offboard", "busy", "--export", tmp_path / "out", "--yes", "busy")  # a folder this time
    assert ended.exit_code == 0, ended.exception
    assert container.check(tmp_path / "out")["rows"]["run"] == 2


def test_it_asks_for_the_name_twice_and_exports_without_deleting_on_demand(tmp_path: Path) -> None:
    customer = factories.customer(slug="here")
    factories.ticket(customer=customer)
    assert triage("offboard", "here", "--export", tmp_path / "a.zip").exit_code == 2
    assert triage("offboard", "here", "--export", tmp_path / "a.zip", "--yes", "her").exit_code == 2
    assert triage("offboard", "nobody", "--export", tmp_path / "a.zip", "--yes", "nobody").exit_code == 2
    assert triage("offboard", "here", "--export", tmp_path / "a.zip", "--export-only").exit_code == 0
    customer.refresh_from_db()
    assert customer.automation_enabled
    taken = triage("offboard", "here", "--export", tmp_path / "a.zip", "--yes", "here")
    assert isinstance(taken.exception, offboarding.OffboardRefused)
    assert Ticket.objects.filter(customer=customer).exists()


@pytest.mark.parametrize("wrong", ["byte", "missing", "more"])
def test_an_export_that_is_not_whole_is_no_export(tmp_path: Path, wrong: str) -> None:
    factories.ticket(customer=factories.customer(slug="here"))
    folder = tmp_path / "out"
    assert triage("offboard", "here", "--export", folder, "--export-only").exit_code == 0
    part = folder / "tables" / "ticket.jsonl"
    if wrong == "byte":
        part.write_bytes(part.read_bytes().replace(b"locked", b"lockee"))
    elif wrong == "missing":
        part.unlink()
    else:
        (folder / "more.jsonl").write_text("{}\n")
    with pytest.raises(offboarding.ExportBroken):
        container.check(folder)


def test_a_delivery_that_the_lake_lost_stops_before_anything_is_deleted(tmp_path: Path, store: ObjectStore) -> None:
    customer = factories.customer(slug="here")
    source = factories.source(customer=customer)
    message(source, {"external_id": "T1"}, key="1")
    landing.land(at=datetime.now(UTC) + timedelta(minutes=10))
    store.delete([Delivery.objects.get().lake_key])
    ended = triage("offboard", "here", "--export", tmp_path / "a.zip", "--yes", "here")
    assert isinstance(ended.exception, offboarding.ExportBroken)
    assert Ticket.objects.filter(customer=customer).exists()


def test_rows_that_come_while_it_is_exported_are_exported_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    customer = factories.customer(slug="here")
    ticket = factories.ticket(customer=customer)
    real = exporting.export

    def busy(*arguments: Any, **named: Any) -> dict[str, Any]:
        manifest: dict[str, Any] = real(*arguments, **named)
        if Ticket.objects.filter(customer=customer).count() == 1:
            factories.ticket(source=ticket.source, external_id="LATE")
        return manifest

    monkeypatch.setattr(exporting, "export", busy)
    assert triage("offboard", "here", "--export", tmp_path / "out", "--yes", "here").exit_code == 0
    assert "LATE" in (tmp_path / "out" / "tables" / "ticket.jsonl").read_text()


def test_one_process_at_a_time_and_a_silent_one_loses_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    customer, said = factories.customer(slug="here"), list[str]()
    monkeypatch.setattr(held, "LEASE", timedelta(seconds=0.3))
    first = held.Held.claim(customer, progress=said.append)
    second = held.Held.claim(customer, progress=said.append)
    assert said == ["waiting for another process, which was killed or still works: at most 0 s"]
    with pytest.raises(offboarding.OffboardRefused, match="took this offboarding over"):
        first.beat(step="deleting")
    first.release()
    monkeypatch.setattr(held, "PATIENCE", -0.2)
    second.beat()
    with pytest.raises(offboarding.OffboardRefused, match="another process is offboarding here"):
        held.Held.claim(customer, progress=said.append)
    assert second.step == "begun"


def test_every_table_is_somebodys() -> None:
    """A new table that names a customer is exported and deleted without anybody thinking of it."""
    found = [table.model.__name__ for table in belonging.tables()]
    assert {"Ticket", "RunPiece", "Posting", "Delivery", "AuditEvent", "OneTimeLink", "Refusal"} <= set(found)
    assert not {"Person", "Token", "WorkerBeat", "Standing"} & set(found)
    assert found[-1] == "Customer"
    place = {name: number for number, name in enumerate(found)}
    for before, after in (("RunPiece", "Run"), ("Run", "Ticket"), ("Run", "Decision"), ("Decision", "Certificate"),
                          ("Label", "Review"), ("Ticket", "Source"), ("Posting", "EventEndpoint")):  # fmt: skip
        assert place[before] < place[after], (before, after)
