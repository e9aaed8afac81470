"""Delta tables on a real S3 server: what is written is read, by one customer only, whoever else writes meanwhile."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from django.db.models import Model

from tests import servers
from tests.lake.wire import wire
from triage.embedded import Embedded, Endpoints
from triage.lake import columns as columns_module
from triage.lake.columns import COLUMNS
from triage.lake.errors import AccessDenied, LakeError, LakeUnavailable, NotThere
from triage.lake.store import ObjectStore
from triage.lake.tables import NO_TABLE, Tables
from triage.models import Decision, Label, Prediction, Run, Ticket

AT = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)
VALUES: Mapping[str, object] = {
    "text": "naïve 日本 \0 line\nline",
    "number": 0.25,
    "whole": 3,
    "moment": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    "json": {"b": [1, None, "é"], "a": {}},
}


def tables_of(endpoints: Endpoints) -> Tables:
    return Tables(
        endpoint=endpoints.s3_endpoint,
        bucket=endpoints.bucket,
        access_key=endpoints.s3_access_key,
        secret_key=endpoints.s3_secret_key,
    )


def label(article: str, **more: object) -> dict[str, object]:
    return {"uuid": uuid.uuid4(), "subject": "s", "article": article, "made_at": AT, **more}


def run(program: str, endpoints: Endpoints, **environment: str) -> "subprocess.Popen[str]":
    given = {
        "endpoint": endpoints.s3_endpoint,
        "bucket": endpoints.bucket,
        "access_key": endpoints.s3_access_key,
        "secret_key": endpoints.s3_secret_key,
    }
    start = f"import json, os, sys, uuid\nfrom datetime import datetime, UTC\nfrom triage.lake.tables import Tables\ntables = Tables(**json.loads({json.dumps(given)!r}))\nat = datetime(2026, 1, 31, tzinfo=UTC)\n"
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", start + program],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(child: "subprocess.Popen[str]") -> str:
    out, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    return out


def test_a_table_that_was_never_written_is_empty_at_version_minus_one(tables: Tables) -> None:
    assert tables.read("labels", customer="acme") == (NO_TABLE, [])
    assert tables.read("labels", customer="acme", version=NO_TABLE) == (NO_TABLE, [])
    assert tables.append("labels", customer="acme", rows=[], at=AT) == NO_TABLE
    assert tables.compact("labels") == NO_TABLE


@pytest.mark.parametrize("name", COLUMNS)
def test_every_column_of_every_table_comes_back_as_it_went(tables: Tables, name: str) -> None:
    key = uuid.uuid4()
    full = {column: VALUES[kind] for column, kind in COLUMNS[name].items()} | {"uuid": key}
    bare = {"uuid": uuid.UUID(int=0)}
    version = tables.append(name, customer="acme", rows=[full, bare], at=AT)
    read, rows = tables.read(name, customer="acme")
    assert read == version == 0
    nothing = dict.fromkeys(COLUMNS[name])
    assert rows == [
        {**nothing, "uuid": str(uuid.UUID(int=0)), "written_at": AT},
        {**full, "uuid": str(key), "written_at": AT},
    ]


def test_tables_keep_only_what_the_database_knows() -> None:
    def fields(*models: type[Model]) -> set[str]:
        return {field.name for model in models for field in model._meta.get_fields()}

    assert COLUMNS["labels"].keys() <= fields(Label)
    assert COLUMNS["tickets"].keys() <= fields(Ticket)
    assert COLUMNS["runs"].keys() <= fields(Run)
    assert COLUMNS["predictions"].keys() - {"uuid"} <= fields(Prediction, Decision)


def test_a_row_appended_again_is_one_row_and_the_last_written_counts(tables: Tables) -> None:
    made = label("vpn")
    first = tables.append("labels", customer="acme", rows=[made], at=AT)
    tables.append("labels", customer="acme", rows=[made], at=AT)
    withdrawn = {**made, "withdrawn_at": AT}
    tables.append("labels", customer="acme", rows=[withdrawn], at=AT + timedelta(days=40))
    tables.append("labels", customer="acme", rows=[made], at=AT)  # a late repeat of the first carries no weight
    _, rows = tables.read("labels", customer="acme")
    assert [row["withdrawn_at"] for row in rows] == [AT]
    _, rows = tables.read("labels", customer="acme", version=first)
    assert [row["withdrawn_at"] for row in rows] == [None]


def test_rows_written_at_one_moment_are_settled_the_same_way_in_any_order(tables: Tables) -> None:
    made = label("vpn")
    for customer, rows in (("a", [made, {**made, "article": "mail"}]), ("b", [{**made, "article": "mail"}, made])):
        for row in rows:
            tables.append("labels", customer=customer, rows=[row], at=AT)
    assert tables.read("labels", customer="a")[1] == tables.read("labels", customer="b")[1]


def test_a_version_never_changes_and_one_that_is_not_there_says_so(tables: Tables) -> None:
    version = tables.append("labels", customer="acme", rows=[label("vpn"), label("mail")], at=AT)
    before = tables.read("labels", customer="acme", version=version)
    for _ in range(4):
        tables.append("labels", customer="acme", rows=[label("disk")], at=AT)
    compacted = tables.compact("labels")
    assert tables.read("labels", customer="acme", version=version) == before
    assert compacted == version + 5
    assert len(tables.read("labels", customer="acme")[1]) == 6
    with pytest.raises(NotThere, match="no such version"):
        tables.read("labels", customer="acme", version=compacted + 1)


def test_customers_see_their_own_rows_in_folders_by_customer_and_month_of_writing(
    tables: Tables, store: ObjectStore
) -> None:
    shared = label("vpn")
    tables.append("labels", customer="acme", rows=[shared], at=AT.astimezone(timezone(timedelta(hours=9))))
    tables.append("labels", customer="globex", rows=[{**shared, "article": "mail"}], at=AT + timedelta(hours=1))
    assert [row["article"] for row in tables.read("labels", customer="acme")[1]] == ["vpn"]
    assert [row["article"] for row in tables.read("labels", customer="globex")[1]] == ["mail"]
    assert tables.read("labels", customer="other") == (1, [])
    folders = {key.rsplit("/", 1)[0] for key in store.list("tables/labels/customer")}
    assert folders == {
        "tables/labels/customer=acme/month=2026-01",
        "tables/labels/customer=globex/month=2026-02",
    }


@pytest.mark.parametrize("customer", ["x' OR '1'='1", "", "a/b", "_shared"])
def test_a_customer_that_is_no_plain_name_reads_and_writes_nothing(tables: Tables, customer: str) -> None:
    with pytest.raises(ValueError, match="customer"):
        tables.read("labels", customer=customer)
    with pytest.raises(ValueError, match="customer"):
        tables.append("labels", customer=customer, rows=[label("vpn")], at=AT)


@pytest.mark.parametrize(
    ("name", "row", "named"),
    [
        ("labels", {"uuid": "u", "colour": "red"}, "no column colour"),
        ("labels", {"article": "vpn"}, "uuid is missing"),
        ("labels", {"uuid": "u", "made_at": "today"}, "made_at: str is not moment"),
        ("labels", {"uuid": "u", "made_at": datetime(2026, 1, 1)}, "made_at: .*no time zone"),  # noqa: DTZ001
        ("labels", {"uuid": "u", "draw_probability": "1"}, "draw_probability: str is not number"),
        ("labels", {"uuid": "u", "article": 5}, "article: int is not text"),
        ("runs", {"uuid": "u", "occasion": 2**63}, "occasion: .* 64 bits"),
        ("runs", {"uuid": "u", "occasion": True}, "occasion: bool is not whole"),
        ("runs", {"uuid": "u", "parameters": {"a": float("nan")}}, "parameters: "),
        ("runs", {"uuid": "u", "parameters": {"a": AT}}, "parameters: "),
        ("orders", {"uuid": "u"}, "no table 'orders'"),
    ],
)
def test_a_row_that_does_not_fit_is_named_and_none_of_its_fellows_is_written(
    tables: Tables, name: str, row: dict[str, object], named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        tables.append(name, customer="acme", rows=[{"uuid": "good"}, row], at=AT)
    if name in COLUMNS:
        assert tables.read(name, customer="acme") == (NO_TABLE, [])


def test_half_a_surrogate_pair_in_a_ticket_does_not_stop_its_pack(tables: Tables) -> None:
    tables.append("labels", customer="acme", rows=[label("vpn", body="a\ud800b")], at=AT)
    assert [row["body"] for row in tables.read("labels", customer="acme")[1]] == ["a?b"]


def test_appends_of_four_processes_all_survive_the_first_ones_that_make_the_table_too(endpoints: Endpoints) -> None:
    program = (
        "tables.read('runs', customer='acme'); print('ready', flush=True); sys.stdin.readline()\n"
        "for n in range(8): tables.append('runs', customer='acme', rows=[{'uuid': uuid.uuid4()}], at=at)\n"
    )
    children = [run(program, endpoints) for _ in range(4)]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        finished(child)
    version, rows = tables_of(endpoints).read("runs", customer="acme")
    assert len(rows) == 32
    assert version == 31


def test_a_table_outlives_its_checkpoint_with_every_version(tables: Tables, store: ObjectStore) -> None:
    for number in range(22):
        tables.append("labels", customer="acme", rows=[{"uuid": f"{number:03}"}], at=AT)
    assert "tables/labels/_delta_log/_last_checkpoint" in store.list("tables/labels/_delta_log/")
    assert len(tables.read("labels", customer="acme")[1]) == 22
    assert len(tables.read("labels", customer="acme", version=7)[1]) == 8


def test_a_column_added_later_is_empty_in_what_was_written_before(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = {column: kind for column, kind in COLUMNS["labels"].items() if column != "withdrawn_at"}
    with monkeypatch.context() as patch:
        patch.setattr(columns_module, "COLUMNS", {**COLUMNS, "labels": older})
        tables.append("labels", customer="acme", rows=[{"uuid": "1"}], at=AT)
    assert tables.read("labels", customer="acme")[1][0]["withdrawn_at"] is None
    tables.append("labels", customer="acme", rows=[{"uuid": "2", "withdrawn_at": AT}], at=AT)
    assert [row["withdrawn_at"] for row in tables.read("labels", customer="acme")[1]] == [None, AT]


def test_wrong_credentials_and_a_missing_bucket_are_not_taken_for_an_outage(endpoints: Endpoints) -> None:
    denied = tables_of(replace(endpoints, s3_secret_key="wrong"))
    lost = tables_of(replace(endpoints, bucket=endpoints.bucket + "-other"))
    with pytest.raises(AccessDenied):
        denied.read("labels", customer="acme")
    with pytest.raises(AccessDenied):
        denied.append("labels", customer="acme", rows=[label("vpn")], at=AT)
    with pytest.raises(LakeError, match="NoSuchBucket") as caught:
        lost.read("labels", customer="acme")
    assert not isinstance(caught.value, LakeUnavailable)


def test_an_outage_is_unavailable_and_everything_is_there_after_the_restart(home: Path) -> None:
    embedded = Embedded(home)
    try:
        tables = tables_of(embedded.start())
        tables.append("labels", customer="acme", rows=[label("vpn")], at=AT)
        (lake,) = (part for part in embedded.parts if part.name == "lake")
        assert lake.process is not None
        os.kill(lake.process.pid, signal.SIGKILL)
        lake.process.wait()
        began = time.monotonic()
        with pytest.raises(LakeUnavailable):
            tables.read("labels", customer="acme")
        with pytest.raises(LakeUnavailable):
            tables.append("labels", customer="acme", rows=[label("mail")], at=AT)
        assert time.monotonic() - began < 10
        embedded.restart_dead()
        embedded._await(lake)
        tables.append("labels", customer="acme", rows=[label("mail")], at=AT)
        assert len(tables.read("labels", customer="acme")[1]) == 2
    finally:
        servers.end(embedded)


def test_a_line_that_breaks_while_rows_are_written_is_unavailable_and_nothing_half_is_seen(
    endpoints: Endpoints, tables: Tables
) -> None:
    tables.append("labels", customer="acme", rows=[label("vpn")], at=AT)
    with wire(endpoints.s3_endpoint, request=lambda data: None if data.startswith(b"PUT") else data) as endpoint:
        broken = tables_of(replace(endpoints, s3_endpoint=endpoint))
        with pytest.raises(LakeUnavailable):
            broken.append("labels", customer="acme", rows=[label("mail"), label("disk")], at=AT)
    version, rows = tables.read("labels", customer="acme")
    assert version == 0
    assert [row["article"] for row in rows] == ["vpn"]


def test_a_child_forked_after_its_parent_used_the_tables_is_told_so(endpoints: Endpoints) -> None:
    program = (
        "from triage.lake.errors import LakeError\n"
        "tables.read('labels', customer='acme')\n"
        "pid = os.fork()\n"
        "if not pid:\n"
        "    try: tables.read('labels', customer='acme')\n"
        "    except LakeError as error: os._exit(7 if 'forked' in str(error) else 1)\n"
        "    os._exit(2)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    assert finished(run(program, endpoints)) == "7\n"


def test_children_forked_from_a_parent_that_only_made_the_tables_may_use_them(endpoints: Endpoints) -> None:
    program = (
        "pids = []\n"
        "assert 'deltalake' not in sys.modules\n"
        "for n in range(2):\n"
        "    pid = os.fork()\n"
        "    if not pid:\n"
        "        tables.append('labels', customer='acme', rows=[{'uuid': uuid.uuid4()}], at=at); os._exit(0)\n"
        "    pids.append(pid)\n"
        "assert not any(os.waitpid(pid, 0)[1] for pid in pids)\n"
        "print(len(tables.read('labels', customer='acme')[1]))\n"
    )
    assert finished(run(program, endpoints)) == "2\n"


def test_the_surroundings_own_aws_settings_and_proxy_change_nothing(endpoints: Endpoints) -> None:
    child = run(
        "tables.append('labels', customer='acme', rows=[{'uuid': 'u'}], at=at)\n"
        "print(len(tables.read('labels', customer='acme')[1]))",
        endpoints,
        AWS_PROFILE="absent",
        AWS_ENDPOINT_URL="http://127.0.0.1:9",
        AWS_ENDPOINT_URL_S3="http://127.0.0.1:9",
        AWS_SESSION_TOKEN="other",
        AWS_SKIP_SIGNATURE="true",
        AWS_VIRTUAL_HOSTED_STYLE_REQUEST="true",
        HTTP_PROXY="http://127.0.0.1:9",
        http_proxy="http://127.0.0.1:9",
    )
    assert finished(child) == "1\n"


def test_a_session_token_of_somebody_else_is_not_sent_to_a_lake_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "other")
    with pytest.raises(LakeError, match="AWS_SESSION_TOKEN"):
        Tables(endpoint="https://s3.example.org", bucket="lake", access_key="a", secret_key="b")
