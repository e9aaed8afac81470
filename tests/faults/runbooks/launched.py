"""Systems elsewhere that write down what they are sent, and whether a launch says what it is to say and nothing more."""

import contextlib
import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from runbooks.base import Runbook
from runbooks.outcome import Outcome
from runbooks.runners import RUNNERS, remote
from tests.faults.runbooks import hostile
from tests.runbooks import ssm_server
from tests.runbooks.awx_server import Awx, question
from tests.runbooks.job_server import TOKEN, serving
from tests.runbooks.rundeck_server import Rundeck, option

PLAIN = {**{name: f"plain-{name}" for name in hostile.NAMES}, "machine": "web1"}
HOSTS_SHARE = {"awx": 1, "rundeck": 1, "ssm": 10}
"""One of so many payloads is also given as the host: Systems Manager takes nearly any, which is a whole run each."""
SYSTEMS = ("awx", "rundeck", "ssm")

Sent = list[list[Any]]
"""Of each launch, in their order: where it went to, and what was sent."""


class System:
    """One system elsewhere, its runbook, and what a launch of harmless values looks like there."""

    def __init__(self, runbook: Runbook, target: Mapping[str, str], taken: Callable[[], Sent]) -> None:
        self.runbook = runbook
        self._target = target
        self._taken = taken
        outcome, self._plain = self._run(PLAIN)
        assert outcome.status == "succeeded", outcome
        assert len(self._plain) == len(hostile.PHASES), self._plain

    def launch(self, given: Mapping[str, str]) -> tuple[bool, bool]:
        """Whether a run with these values launched anything, and whether exactly what it should have."""
        outcome, sent = self._run({**PLAIN, **given})
        if not sent:
            assert outcome.status in ("refused", "failed"), outcome
            assert outcome.changed_nothing, outcome
            return False, True
        new = {PLAIN[name]: value for name, value in given.items()}
        wanted = [[where, _swapped(body, new)] for where, body in self._plain]
        return True, outcome.status == "succeeded" and sent == wanted

    def _run(self, values: Mapping[str, str]) -> tuple[Outcome, Sent]:
        run_id = str(uuid.uuid4())
        outcome = RUNNERS[self.runbook.runner](self.runbook, parameters=values, target=self._target, run_id=run_id)
        return outcome, json.loads(json.dumps(self._taken()).replace(run_id, "RUN"))


def _swapped(body: Any, new: Mapping[str, str]) -> Any:
    """The same body with the new values in the place of the plain ones, wherever those stand as a whole."""
    if isinstance(body, dict):
        return {name: _swapped(value, new) for name, value in body.items()}
    if isinstance(body, list):
        return [_swapped(value, new) for value in body]
    return new.get(body, body) if isinstance(body, str) else body


@contextlib.contextmanager
def system(name: str, folder: Path) -> Iterator[System]:
    """A system of this kind on loopback, that asks for nothing which would keep a value out."""
    pauses = {"POLL_SECONDS": (0.001, 0.005), "FIND_SECONDS": (0.001,), "LAUNCH_SECONDS": (0.001,)}
    kept = {name: getattr(remote, name) for name in pauses}
    for pause, seconds in pauses.items():
        setattr(remote, pause, seconds)
    try:
        with _SYSTEMS[name](folder) as made:
            yield made
    finally:
        for pause, seconds in kept.items():
            setattr(remote, pause, seconds)


@contextlib.contextmanager
def _awx(folder: Path) -> Iterator[System]:
    server = Awx()
    for template in server.templates.values():
        template.survey = [question("triage_run"), *map(question, hostile.NAMES[:20])]
        template.fields["ask_variables_on_launch"] = True
        template.fields["ask_limit_on_launch"] = True
    with serving(server):
        target = {"url": server.url, "token": TOKEN, "inventory": "7", "insecure": "true"}
        yield System(hostile.awx(folder), target, lambda: _posted(server, "/launch/$"))


@contextlib.contextmanager
def _rundeck(folder: Path) -> Iterator[System]:
    server = Rundeck()
    for definition in server.definitions.values():
        definition.told |= {
            "nodeFilterEditable": True,
            "nodefilters": {"filter": "name: lone", "dispatch": {}},
            "options": [option("triage_run"), *(option(name, regex=r"[\s\S]*") for name in hostile.NAMES)],
        }
    with serving(server):
        target = {"url": server.url, "token": TOKEN, "project": "desk", "insecure": "true"}
        yield System(hostile.rundeck(folder), target, lambda: _posted(server, "/run$"))


def _posted(server: Awx | Rundeck, where: str) -> Sent:
    sent = [[request.path, request.body] for request in server.asked(f"^POST .*{where}")]
    others = [request for request in server.requests if request.method != "GET"]
    assert len(others) == len(sent), others
    server.requests.clear()
    server.jobs.clear()
    return sent


@contextlib.contextmanager
def _ssm(folder: Path) -> Iterator[System]:
    tags = [{"Key": name, "Value": f"{{{{ {name} }}}}"} for name in hostile.NAMES]
    inputs = {"ResourceIds": ["{{ Target }}"], "Tags": tags}
    step = [{"name": "work", "action": "aws:createTags", "inputs": inputs}]
    with ssm_server.serving() as account:
        for phase in hostile.PHASES:
            declared = {name: {"type": "String"} for name in (*hostile.NAMES, "Target")}
            account.put(f"Acme-{phase}", "3", parameters=declared, mainSteps=step)

        def taken() -> Sent:
            sent = [[one["request"]["DocumentName"], dict(one["request"])] for one in account.started()]
            tokens = [body.pop("ClientToken") for _, body in sent]
            assert len(set(tokens)) == len(tokens)
            account.executions.clear()
            return sent

        yield System(hostile.ssm(folder), account.settings(), taken)


_SYSTEMS: Mapping[str, Callable[[Path], contextlib.AbstractContextManager[System]]] = {
    "awx": _awx,
    "rundeck": _rundeck,
    "ssm": _ssm,
}
