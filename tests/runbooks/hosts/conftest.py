"""A host over ssh, this machine itself as a host, and runbooks written by a test."""

import json
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from runbooks import definition, process
from runbooks.base import Runbook
from runbooks.outcome import Outcome
from runbooks.runners import ansible
from tests.runbooks.hosts import sshd

DEFINITION = """
key = "sample"
title = "A sample"
owner = "tests"
tier = "{tier}"
reversible = {reversible}
time_limit = 60
assurance = "none"
runner = "ansible"
target_kind = "host"
"""
PARAMETER = """
[[parameters]]
name = "{name}"
kind = "text"
title = "{name}"
required = false
fields = ["{name}"]
pattern = '[\\s\\S]*'
max_length = 1000
"""
HOLDS = "- ansible.builtin.assert: {that: true, quiet: true}\n"
PING = "- ansible.builtin.ping:\n"
LOCAL: dict[str, Any] = {"connection": "local", "environment": "test"}

Write = Callable[..., Runbook]
Execute = Callable[..., Outcome]


@pytest.fixture(scope="session")
def ssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Sshd]:
    if sshd.binary() is None:
        pytest.skip("no sshd: apt-get install openssh-server")
    with sshd.running(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a runbook's folder and read it; phases that are not given do what is harmless."""

    def written(
        *, parameters: tuple[str, ...] = ("host",), files: Mapping[str, str] | None = None, **phases: str
    ) -> Runbook:
        folder = tmp_path / "runbooks" / uuid.uuid4().hex / "sample"
        folder.mkdir(parents=True)
        texts = "".join(PARAMETER.format(name=name) for name in parameters)
        undo = {"undo": HOLDS, "undo_check": HOLDS} if {"undo", "undo_check"} & set(phases) else {}
        text = DEFINITION.format(tier="low" if undo else "irreversible", reversible=str(bool(undo)).lower())
        (folder / "runbook.toml").write_text(text + texts, encoding="utf-8")
        given = {"pre_check": HOLDS, "action": HOLDS, "post_check": HOLDS} | undo | phases
        for name, text in {**{f"{phase}.yml": text for phase, text in given.items()}, **(files or {})}.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        return definition.read(folder)

    return written


@pytest.fixture
def ram(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where this test's runs have their folders, and nobody else's: in memory, as always; its path is short."""
    with tempfile.TemporaryDirectory(prefix="t-", dir=ansible._RAM) as folder:
        monkeypatch.setattr(ansible, "_RAM", Path(folder))
        yield Path(folder)


@pytest.fixture
def execute(ram: Path) -> Iterator[Execute]:
    """Run on a host, by default on this machine; afterwards nothing of any run may be alive, nor any folder of it."""
    runs: list[str] = []

    def run(
        runbook: Runbook,
        *,
        hosts: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        dry_run: bool = False,
        options: Mapping[str, Any] | None = None,
        **parameters: str,
    ) -> Outcome:
        runs.append(str(uuid.uuid4()))
        target = {"hosts": hosts or {"here": LOCAL}, **(settings or {})}
        plain = {name: value if isinstance(value, str) else json.dumps(value) for name, value in target.items()}
        runner = ansible.dry_run if dry_run else ansible.execute
        given = {"host": "here"} | parameters
        return runner(runbook, parameters=given, target=plain, run_id=runs[-1], **(options or {}))

    yield run
    assert {run_id: process.marked(run_id) for run_id in runs} == {run_id: [] for run_id in runs}
    assert list(ram.iterdir()) == []
