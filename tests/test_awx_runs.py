"""An AWX at a customer: set up, looked at, tried for a ticket, and run once."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from django.utils import timezone

from runbooks import registry
from tests import factories
from tests.runbooks.awx_server import Awx
from tests.runbooks.job_server import TOKEN, serving
from tests.runbooks.remote_runs import HEAD, quicken, write
from tests.runbooks.test_awx_runner import PHASES
from tests.runs import Scene
from triage import automation, execution, targets, versions
from triage.cli import cli
from triage.embedded import Endpoints
from triage.models import Run, Target, Ticket

pytestmark = pytest.mark.django_db(transaction=True)
SETTINGS = {"token": TOKEN, "inventory": 7, "insecure": True}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Awx]:
    quicken(monkeypatch)
    write(tmp_path / "own", "awx", PHASES)
    registry.use(str(tmp_path / "own"))
    system = Awx()
    with serving(system):
        yield system
    registry.use("", packages=False)


def target_of(scene: Scene, server: Awx) -> Target:
    settings = json.dumps(SETTINGS | {"url": server.url})
    assert targets.trouble_with("awx", settings) == ""
    return factories.target(scene.customer, key="towers", kind="awx", settings=settings)


def test_settings_are_judged_before_they_are_stored_and_say_no_token() -> None:
    for kind, settings, words in (
        ("awx", SETTINGS | {"url": "http://awx.example.org", "insecure": False}, "http:// sends the token in plain"),
        ("rundeck", {"url": "https://rundeck.example.org", "token": TOKEN}, "project: Field required"),
    ):
        told = targets.trouble_with(kind, json.dumps(settings))
        assert words in told
        assert TOKEN not in told


def test_the_doctor_and_a_rehearsal_reach_it(server: Awx, lake: Endpoints, tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    target = target_of(scene, server)
    assert targets.look(target) == "towers: AWX answers; inventory 7 has 1 hosts"
    ticket = scene.new_ticket(external_id="INC7", fields={"account": "j.smith"})
    told = CliRunner().invoke(cli, ["runbook", "try", "unlock", "--ticket", "INC7"])
    assert told.exit_code == 0, told.output
    assert "yes: The pre-check found nothing against it." in told.output
    assert [job.phase_of for job in server.jobs] == ["pre_check"]
    assert "would: Nothing was launched; the action would be a job of awx." in told.output
    assert '"job template": 42' in told.output
    assert '"user_name": "j.smith"' in told.output
    assert TOKEN not in told.output
    ticket.refresh_from_db()
    assert ticket.status == Ticket.Status.CLASSIFIED


def test_a_run_by_a_persons_word_is_carried_out_once_and_its_token_is_in_no_row(
    server: Awx, lake: Endpoints, tmp_path: Path
) -> None:
    server.named("action").lines = [f"debug {TOKEN}"]
    scene = Scene(tmp_path)
    target_of(scene, server)
    assert versions.refresh(at=timezone.now()) == 1
    ticket = scene.new_ticket(fields={"account": "j.smith"})
    Ticket.objects.filter(pk=ticket.pk).update(status=Ticket.Status.NEEDS_REVIEW)
    decision = factories.decision(ticket, mode="approve", runbook="unlock", parameters={"account": "j.smith"})
    run = automation.request(
        ticket=ticket, decision=decision, at=timezone.now(), actor="system:test", ordered_by=factories.person()
    )
    assert run is not None
    assert execution.execute(run.pk, at=timezone.now())
    run.refresh_from_db()
    assert run.status == Run.Status.SUCCEEDED, run.reason
    assert not execution.execute(run.pk, at=timezone.now())
    assert len(server.launched("action")) == 1
    assert json.loads(server.jobs[0].given["extra_vars"])["triage_run"] == f"{run.uuid}.pre_check"
    assert TOKEN not in json.dumps([run.output, run.phases, run.job, run.reason])


def test_two_runs_on_one_limit_have_one_object(server: Awx, tmp_path: Path) -> None:
    head = HEAD + '[[parameters]]\nname = "machine"\nkind = "text"\ntitle = "host"\nfields = ["host"]\n'
    book = write(tmp_path / "more", "awx", PHASES.replace("[awx]", '[awx]\nlimit = "machine"'), head=head)
    ticket = factories.ticket(source=factories.source(customer=factories.customer()))
    given = {"account": "j.smith", "machine": "web1"}
    assert targets.object_of(book, parameters=given, ticket=ticket) == "web1"
    assert targets.object_of(registry.get("unlock"), parameters=given, ticket=ticket).startswith("ticket ")
