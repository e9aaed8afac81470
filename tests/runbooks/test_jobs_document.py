"""docs/jobs.md keeps its word: both examples are taken out, written down, checked, and run on servers as it asks for."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from runbooks import checking, definition
from runbooks.base import Runbook
from runbooks.runners import RUNNERS
from runbooks.targets import job_systems
from tests.runbooks.awx_server import Awx, question
from tests.runbooks.job_server import TOKEN, serving
from tests.runbooks.remote_runs import RUN, quicken
from tests.runbooks.rundeck_server import Rundeck

TEXT = (Path(__file__).parents[2] / "docs" / "jobs.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    found: list[str] = re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    return found


def example(where: Path, number: int) -> Runbook:
    text = blocks("toml")[number]
    folder = where / text.split('"')[1]
    folder.mkdir()
    (folder / "runbook.toml").write_text(text, encoding="utf-8")
    (checked,) = checking.folders([folder])
    assert (checked.errors, checked.warnings) == ((), ())
    return definition.read(folder)


def target(number: int, url: str) -> dict[str, str]:
    given: dict[str, Any] = json.loads(blocks("json")[number]) | {"url": url, "token": TOKEN, "insecure": True}
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}


def test_the_awx_example_runs_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quicken(monkeypatch)
    runbook = example(tmp_path, 0)
    server = Awx()
    names = {41: "IIS: can be restarted", 42: "restart", 43: "IIS: answers", 44: "undo"}
    del server.templates[45]
    for number, name in names.items():
        template = server.templates[number]
        template.fields |= {"name": name, "ask_limit_on_launch": True}
        template.survey = [question("triage_run"), question("app_pool", "multiplechoice", choices="Intranet\nOther")]
    server.templates[44].survey.append(question("reason"))
    server.templates[42].ends_as = "failed"
    with serving(server):
        outcome = RUNNERS["awx"](
            runbook, parameters={"machine": "web1", "pool": "Intranet"}, target=target(0, server.url), run_id=RUN
        )
    assert outcome.status == "succeeded"
    assert [job.phase_of for job in server.jobs] == [names[41], names[42], names[43]]
    assert {job.given["limit"] for job in server.jobs} == {"web1"}


def test_the_rundeck_example_runs_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quicken(monkeypatch)
    runbook = example(tmp_path, 1)
    server = Rundeck()
    with serving(server):
        outcome = RUNNERS["rundeck"](
            runbook, parameters={"account": "j.smith"}, target=target(1, server.url), run_id=RUN
        )
    assert outcome.status == "succeeded"
    assert len(server.jobs) == 3


def test_the_targets_of_the_page_fit() -> None:
    for number, kind in enumerate(job_systems.KINDS):
        system = job_systems.parse(kind, target(number, "https://jobs.example.org") | {"insecure": "false"})
        assert (system.url, system.token.get_secret_value()) == ("https://jobs.example.org", TOKEN)
