"""A directory with people, groups and policies, a journal, and a way to run steps that misbehave."""

import importlib
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from runbooks import process
from runbooks.base import Resources, Runbook
from runbooks.outcome import Outcome
from runbooks.runners import python
from runbooks.targets import directory as directories
from runbooks.targets import journal as journals
from runbooks.targets.directory import Account, Group, Policy, SqliteDirectory
from runbooks.targets.journal import Journal
from tests.runbooks import slapd
from tests.runbooks.remote_runs import Workers

HERE = Path(__file__).parent
LOCKED: Mapping[str, Any] = {"locked": True, "lock_reason": "failed_logins"}

ACCOUNTS = (
    Account("j.smith", "Jane Smith", "jane.smith@corp.example", **LOCKED, groups=("Staff",)),
    Account("bjones", "Bob Jones", "bob.jones@corp.example", groups=("Staff",), quota_used_mb=9_000),
    Account("m.muster", "Max Müller-Muster", "max.muster@corp.example", **LOCKED),
    Account("t.yamada", "山田 太郎", "taro.yamada@corp.example"),
    Account("jsmith2", "Jane Smith", "jane.smith2@corp.example"),
    Account("p.admin", "Petra Admin", "p.admin@corp.example", **LOCKED, privileged=True),
    Account("g.one", "Gone Person", "g.one@corp.example", **LOCKED, enabled=False),
    Account("s.held", "Sam Held", "s.held@corp.example", locked=True, lock_reason="security"),
    Account("x.pired", "Xenia Pired", "x.pired@corp.example", locked=True, lock_reason="expired"),
    Account("r.phone", "Rita Phone", "r.phone@corp.example", **LOCKED),
    Account("c.apped", "Carl Apped", "c.apped@corp.example"),
)
GROUPS = (
    Group("Finance-Readers", "Read the finance share", self_service=True),
    Group("Finance", "The finance team", self_service=True),
    Group("VPN Users", "May use the VPN", self_service=True),
    Group("All-Berlin", "Everybody in Berlin, by a rule", self_service=True),
    Group("Domain Admins", "Administrators", self_service=True, privileged=True),
    Group("Payroll", "Personnel files"),
)
POLICIES = (
    Policy("quota_cap", "c.apped", 20_480),
    Policy("locks_again", "r.phone"),
    Policy("membership_rule", "All-Berlin"),
)


@pytest.fixture(scope="session")
def new_directory(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A directory's file as it is made: once, since that waits for the disk."""
    path = tmp_path_factory.mktemp("made") / "directory.sqlite"
    directories.create(path, ACCOUNTS, groups=GROUPS, policies=POLICIES)
    return path.read_bytes()


@pytest.fixture
def directory_path(tmp_path: Path, new_directory: bytes) -> Path:
    path = tmp_path / "directory.sqlite"
    path.write_bytes(new_directory)
    return path


@pytest.fixture
def directory(directory_path: Path) -> Iterator[SqliteDirectory]:
    opened = SqliteDirectory(directory_path)
    yield opened
    opened.close()


@pytest.fixture
def journal_path(tmp_path: Path) -> Path:
    path = tmp_path / "journal.sqlite"
    journals.create(path)
    return path


@pytest.fixture
def journal(journal_path: Path) -> Iterator[Journal]:
    opened = Journal(journal_path)
    yield opened
    opened.close()


@pytest.fixture
def ldap_server() -> Iterator[slapd.Slapd]:
    """A real LDAP server, fresh for each test."""
    yield from slapd.fresh()


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    """Workers that are killed in the middle of a run."""
    started = Workers()
    yield started
    started.end()


@pytest.fixture
def misbehaving(monkeypatch: pytest.MonkeyPatch) -> Runbook:
    """A runbook whose phases do what its parameters say."""
    monkeypatch.syspath_prepend(HERE)
    odd: Runbook = importlib.import_module("misbehaving.lost_worker").ODD
    return odd


@pytest.fixture
def behave(misbehaving: Runbook, journal_path: Path) -> Iterator[Callable[..., Outcome]]:
    """Run the misbehaving steps; afterwards nothing of any run may be alive."""
    runs: list[str] = []

    def run(
        *,
        reversible: bool = True,
        resources: Resources | None = None,
        target: Mapping[str, str] | None = None,
        options: Mapping[str, Any] | None = None,
        **phases: str,
    ) -> Outcome:
        changes: dict[str, Any] = {"resources": resources or Resources()}
        if not reversible:
            changes |= {"reversible": False, "tier": "irreversible"}
        runs.append(str(uuid.uuid4()))
        return python.execute(
            misbehaving.model_copy(update=changes),
            parameters=phases,
            target={"path": str(journal_path), **(target or {})},
            run_id=runs[-1],
            **(options or {}),
        )

    yield run
    assert {run_id: process.marked(run_id) for run_id in runs} == {run_id: [] for run_id in runs}


@pytest.fixture
def worker(misbehaving: Runbook) -> list[str]:
    """The command of a worker in a process of its own; add journal, run id and behaviour."""
    script = f"import sys; sys.path[:0] = {[str(HERE), str(HERE.parents[1])]!r}; import runpy; "
    return [sys.executable, "-c", script + "runpy.run_module('misbehaving.lost_worker', run_name='__main__')"]
