"""Hostile tickets: whatever they say, a value is one that schema and directory know, and reading takes linear time."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runbooks import mentions, parameters
from runbooks.registry import RUNBOOKS
from runbooks.targets import directory as directories
from runbooks.targets.directory import Account, Group, SqliteDirectory

UIDS = ("j.smith", "bjones", "u10293")
GROUPS = ("Finance", "Finance-Readers", "Payroll")
PIECES = st.sampled_from(
    [
        *UIDS,
        *GROUPS,
        "CORP\\",
        "@corp.example",
        "user: ",
        "50 GB",
        "10-",
        "Jane Smith",
        "山田太郎",
        "; rm -rf / ",
        "$(id)",
        "`id`",
        "{{ lookup('pipe','id') }}",
        "../../etc/passwd",
        "--force",
        "\x00",
        "\u202e",
        "\u200b",
        "\ud800",
        "\n",
        " ",
        "'",
        "%00",
        "' OR 1=1 --",
    ]
)
HOSTILE = st.one_of(
    st.text(max_size=200),
    st.lists(PIECES, max_size=12).map("".join),
    st.text(alphabet="j.smith@\\'-+%0129GBMo :=", max_size=120),
)
FIELD = st.one_of(HOSTILE, st.none(), st.integers(), st.booleans(), st.lists(HOSTILE, max_size=2))


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteDirectory]:
    path: Path = tmp_path_factory.mktemp("directory") / "d.sqlite"
    directories.create(
        path,
        [Account(uid, f"Person {number}", f"{uid}@corp.example") for number, uid in enumerate(UIDS)],
        groups=[Group(name, name, self_service=name != "Payroll") for name in GROUPS],
    )
    client = SqliteDirectory(path)
    yield client
    client.close()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    subject=HOSTILE,
    body=HOSTILE,
    requester=HOSTILE,
    fields=st.dictionaries(st.sampled_from(["account", "USER", "group", "quota", "quota_mb"]), FIELD, max_size=3),
    machine=st.booleans(),
    key=st.sampled_from(["unlock_account", "add_to_group", "raise_mailbox_quota"]),
)
def test_whatever_a_ticket_says_a_value_is_known_to_schema_and_directory(
    opened: SqliteDirectory,
    subject: str,
    body: str,
    requester: str,
    fields: dict[str, object],
    machine: bool,
    key: str,
) -> None:
    runbook = RUNBOOKS[key]
    asked: dict[str, Any] = {"requester": requester, "directory": opened, "machine": machine}
    found = parameters.extract(runbook, subject=subject, body=body, fields=fields, **asked)
    assert found.values.get("account", UIDS[0]) in UIDS
    assert found.values.get("group", "Finance") in ("Finance", "Finance-Readers")
    assert re.fullmatch(r"[0-9]{4,6}", found.values.get("quota_mb", "1024"))
    assert set(found.values) | {problem.split(":")[0] for problem in found.problems} == {
        parameter.name for parameter in runbook.parameters
    }
    assert parameters.validate(runbook, found, **asked) == found.problems
    for problem in found.problems:
        assert len(problem) < 600
        assert problem.isprintable()


@settings(max_examples=200, deadline=None)
@given(text=HOSTILE)
def test_cleaning_twice_is_cleaning_once_and_leaves_one_line(text: str) -> None:
    cleaned = mentions.clean(text)
    assert mentions.clean(cleaned) == cleaned
    assert not re.search(r"[\n\r\t\u200b\ud800-\udfff]", cleaned)


@pytest.mark.parametrize(
    "piece",
    [
        "a.",
        "@",
        "x@",
        "1",
        "1 ",
        "user:",
        "user id ",
        "山",
        "ab ",
        "\\a",
        "'",
        "a'",
        "-",
        "1.",
        "1,0",
        "9 G",
        "%+",
        "é",
    ],
)
def test_reading_takes_linear_time(opened: SqliteDirectory, piece: str) -> None:
    def seconds(length: int) -> float:
        body = piece * (length // len(piece))
        best = 10.0
        for _ in range(2):
            began = time.process_time()
            parameters.extract(
                RUNBOOKS["raise_mailbox_quota"], subject="", body=body, requester="j.smith", fields={}, directory=opened
            )
            best = min(best, time.process_time() - began)
        return best

    # Four times the text; a quadratic expression would take sixteen times as long.
    short, long = seconds(4_900), seconds(19_600)
    assert long < max(8 * short, 0.1)
    assert long < 1.5


@settings(max_examples=200, deadline=None)
@given(before=HOSTILE, after=HOSTILE)
def test_a_second_account_anywhere_in_the_text_is_never_overlooked(
    opened: SqliteDirectory, before: str, after: str
) -> None:
    body = f"{before} bjones {after}"
    found = parameters.extract(
        RUNBOOKS["unlock_account"], subject="", body=body, requester="j.smith", fields={}, directory=opened
    )
    assert found.values == {}
