"""Hostile values for every parameter of every shipped runbook: what the door lets through, and what a run does with it.

Real child processes on a directory and a journal, real plays on this machine up to where the action would start.
"""

import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from functools import partial
from pathlib import Path
from typing import Any

from runbooks import parameters, registry, rehearsal
from runbooks.base import Parameter, Runbook
from runbooks.runners import RUNNERS
from runbooks.targets import directory as directories
from runbooks.targets import journal, lists
from runbooks.targets.accounts import Account, Group
from runbooks.targets.directory import SqliteDirectory

SHARE = 200
"""One of so many payloads is given to each parameter past the door: each is a run of its own."""
AT_ONCE = 2
GOOD = {
    "account": "q7.account", "group": "q7-group", "quota_mb": "20480", "host": "q7host", "service": "q7service",
    "log": "q7log", "certificate": "q7certificate", "pid": "4194303", "command": "q7command", "article": "Q7",
}  # fmt: skip
HOSTS = {
    "hosts": {"q7host": {"connection": "local"}},
    "services": {"q7service": {"pid": ["/bin/false"], "restart": ["/bin/false"], "stop": ["/bin/false"]}},
    "folders": {"q7folder": {"path": "/srv/q7/folder", "older_than_days": 3650}},
    "logs": {"q7log": {"config": "/nowhere/q7", "file": "/nowhere/q7log", "state": "/nowhere/q7state"}},
    "certificates": {
        "q7certificate": {
            "certificate": "/nowhere/c",
            "key": "/nowhere/k",
            "renew": ["/bin/false"],
            "reload": ["/bin/false"],
        }
    },
    "processes": {"users": ["nobody"], "cpu_percent": 20},
}

Bypassed = Callable[[], AbstractContextManager[None]]


class _Targets:
    """A target of each kind; what was done in them is counted."""

    def __init__(self, folder: Path) -> None:
        self.directory, self.journal = folder / "directory.sqlite", folder / "journal.sqlite"
        account = Account("q7.account", "Q Seven", "q7@corp.example", locked=True, lock_reason="failed_logins")
        directories.create(self.directory, [account], groups=[Group("q7-group", "Q7", self_service=True)])
        journal.create(self.journal)
        self.of: dict[str, dict[str, str]] = {
            "directory": {"path": str(self.directory)},
            "journal": {"path": str(self.journal)},
            "host": {name: json.dumps(value) for name, value in HOSTS.items()},
        }
        self.lists = lists.read("host", self.of["host"])

    def effects(self) -> int:
        """Changes of the directory, which no hostile value may make."""
        with closing(SqliteDirectory(self.directory)) as opened:
            return len(opened.effects())


def run(folder: Path, given: list[str], *, bypassed: Bypassed) -> dict[str, Any]:
    """refused: by the door. reached: let through, then run. started: plays whose pre-check a hostile value passed."""
    made = _Targets(folder)
    figures = {"parameters": 0, "tried": 0, "refused": 0, "reached": 0, "past": 0, "started": 0, "altered": 0}
    through: list[tuple[Runbook, dict[str, str]]] = []
    past: list[tuple[Runbook, dict[str, str]]] = []
    for runbook in registry.SHIPPED.values():
        for parameter in runbook.parameters:
            figures["parameters"] += 1
            figures["tried"] += len(given)
            found = {value for payload in given for value in _through(runbook, parameter, payload, made)}
            through += [(runbook, _with(runbook, parameter, value)) for value in sorted(found)]
            step = max(1, len(given) // max(1, len(given) // SHARE))
            past += [
                (runbook, _with(runbook, parameter, payload)) for payload in given[figures["parameters"] % step :: step]
            ]
    figures["reached"], figures["past"] = len(through), len(past)
    figures["refused"] = figures["tried"] - len(through)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        figures["started"] += sum(pool.map(partial(_run, made), through))
        with bypassed():
            figures["started"] += sum(pool.map(partial(_run, made), past))
    figures["altered"] = _altered(
        made, [values for runbook, values in (*through, *past) if runbook.key == "record_only"]
    )
    figures["effects"] = made.effects()
    return figures


def _with(runbook: Runbook, parameter: Parameter, value: str) -> dict[str, str]:
    return {one.name: GOOD[one.name] for one in runbook.parameters} | {parameter.name: value}


def _through(runbook: Runbook, parameter: Parameter, payload: str, made: _Targets) -> list[str]:
    """What the door makes of the payload, as a field and as the ticket's text, unless that is the good value."""
    found = []
    good = {one.fields[0]: GOOD[one.name] for one in runbook.parameters if one.fields and one.name != parameter.name}
    field = parameter.fields[0] if parameter.fields else parameter.name
    with closing(SqliteDirectory(made.directory)) as opened:
        account = opened if runbook.target_kind == "directory" else None
        known: dict[str, Any] = {"directory": account, "lists": made.lists if runbook.target_kind == "host" else None}
        for fields, text in (({**good, field: payload}, "x"), (good, payload)):
            extraction = parameters.extract(
                runbook, subject="x", body=text, requester="q7@corp.example", fields=fields, **known
            )
            problems = parameters.validate(runbook, extraction, requester="q7@corp.example", **known)
            value = extraction.values.get(parameter.name, "")
            # "007193" is a size as it is read: nothing but a number in bounds is left of it.
            number = parameter.kind == "size_mb" and value.isdecimal()
            if value and not number and value not in GOOD.values() and not problems:
                found.append(value)
    return found


def _run(made: _Targets, one: tuple[Runbook, dict[str, str]]) -> int:
    """1 where the pre-check of a play let a hostile value pass; what steps in Python did is in their target."""
    runbook, values = one
    target = made.of[runbook.target_kind]
    if runbook.runner == "ansible":  # never further than the pre-check: the host is this machine
        return int(rehearsal.pre_check(runbook, parameters=values, target=target).passed)
    outcome = RUNNERS[runbook.runner](runbook, parameters=values, target=target, run_id=str(uuid.uuid4()))
    return int(outcome.status == "succeeded" and runbook.key != "record_only")


def _altered(made: _Targets, recorded: list[dict[str, str]]) -> int:
    """How many articles stand otherwise in the journal than they were given."""
    with closing(journal.Journal(made.journal)) as opened:
        text = "\n".join(entry.detail for entry in opened.entries())
    return sum(values["article"] not in text for values in recorded if values["article"].isprintable())
