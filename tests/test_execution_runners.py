"""A ticket's run from request to resolution with every runner: a host, a directory over LDAP, and jobs elsewhere."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from runbooks import registry
from tests import factories, runs, servers
from tests.runbooks import slapd, ssm_server
from tests.runbooks.awx_server import Awx
from tests.runbooks.hosts import sshd
from tests.runbooks.hosts.test_host_runbooks import Daemon
from tests.runbooks.job_server import TOKEN, serving
from tests.runbooks.remote_runs import HEAD, quicken, write
from tests.runbooks.rundeck_server import UUIDS, Rundeck
from triage import automation, execution, targets, versions
from triage.embedded import Endpoints
from triage.models import Certificate, Mode, Run, RunPiece, Ticket

pytestmark = pytest.mark.django_db(transaction=True)
PHASES = ("pre_check", "action", "post_check", "undo", "undo_check")


@pytest.fixture
def carry_out(lake: Endpoints, tmp_path: Path) -> Callable[..., Run]:
    """Request a run for a ticket that was decided to run by itself, and execute it, as a worker does.

    The ITSM is asked just before and says that the ticket is as it was.
    """

    def carried_out(key: str, parameters: Mapping[str, str], *, kind: str, settings: Mapping[str, Any]) -> Run:
        customer = factories.customer(mode=Mode.AUTOMATE)
        source = factories.source(customer=customer)
        target = factories.target(customer, kind=kind, settings=json.dumps(settings))
        assert targets.trouble_with(kind, target.settings) == ""
        certificate = runs.certificate(customer, at=timezone.now())
        Certificate.objects.filter(pk=certificate.pk).update(runbooks=[key])
        certificate.refresh_from_db()
        # What a system elsewhere would run has been read before, as sweeps do.
        versions.changed(customer, registry.get(key), target=targets.settings_of(target), at=timezone.now())
        ticket = factories.ticket(
            source=source, status=Ticket.Status.CLASSIFIED, requester=parameters.get("account", "")
        )
        decision = factories.decision(
            ticket, mode=Mode.AUTOMATE, runbook=key, parameters=dict(parameters), certificate=certificate,
            expires_at=timezone.now() + timedelta(minutes=30),
        )  # fmt: skip
        run = automation.request(ticket=ticket, decision=decision, at=timezone.now(), actor="system:test")
        assert run is not None
        told = {"external_id": ticket.external_id, "subject": ticket.subject, "body": ticket.body, "status": "new"}
        Ticket.objects.filter(pk=ticket.pk).update(itsm_status="new")
        with servers.files(tmp_path / "itsm", {ticket.external_id: json.dumps(told)}) as url:
            source.settings = {"read_url": f"{url}/{{external_id}}"}
            source.save()
            started = execution.execute(run.pk, at=timezone.now())
        assert started, Run.objects.filter(pk=run.pk).values("status", "reason")
        assert not execution.execute(run.pk, at=timezone.now()), "a run that has ended was started again"
        done: Run = Run.objects.select_related("ticket").get(pk=run.pk)
        assert not RunPiece.objects.filter(run=done).exists()
        return done

    return carried_out


def ended(run: Run) -> tuple[str, str]:
    return run.status, run.ticket.status


@pytest.fixture(scope="module")
def ssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Sshd]:
    if sshd.binary() is None:
        pytest.skip("no sshd: apt-get install openssh-server")
    with sshd.running(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = Daemon(tmp_path)
    yield made
    made.do("stop")


def on_host(server: sshd.Sshd, daemon: Daemon, *, broken: bool) -> dict[str, Any]:
    return {
        "hosts": {"web1": server.host()},
        "private_key": server.private_key,
        "services": {"web": daemon.settings(broken=broken)},
    }


def test_a_service_of_a_host_is_restarted_and_the_ticket_resolved(
    carry_out: Callable[..., Run], ssh_server: sshd.Sshd, daemon: Daemon
) -> None:
    daemon.do("restart")
    before = daemon.do("pid")
    settings = on_host(ssh_server, daemon, broken=False)
    run = carry_out("restart_service", {"host": "web1", "service": "web"}, kind="host", settings=settings)
    assert ended(run) == (Run.Status.SUCCEEDED, Ticket.Status.RESOLVED), (run.reason, run.output)
    assert daemon.do("pid") not in (0, before)
    assert [phase["phase"] for phase in run.phases] == ["pre_check", "action", "post_check"]
    assert ssh_server.private_key.splitlines()[1] not in json.dumps([run.output, run.phases, run.reason])


def test_a_service_that_does_not_come_up_is_undone_and_a_person_is_asked(
    carry_out: Callable[..., Run], ssh_server: sshd.Sshd, daemon: Daemon
) -> None:
    settings = on_host(ssh_server, daemon, broken=True)
    run = carry_out("restart_service", {"host": "web1", "service": "web"}, kind="host", settings=settings)
    assert ended(run) == (Run.Status.UNDONE, Ticket.Status.NEEDS_REVIEW), (run.reason, run.output)
    assert [phase["phase"] for phase in run.phases] == list(PHASES)
    assert "web does not stay up" in run.ticket.reason
    assert daemon.do("pid") == 0


def test_an_account_over_ldap_is_unlocked_and_the_ticket_resolved(carry_out: Callable[..., Run]) -> None:
    for server in slapd.fresh():
        server.fail_to_sign_in("j.smith")
        assert not server.lets_in("j.smith")
        run = carry_out("unlock_account", {"account": "j.smith"}, kind="directory", settings=server.settings())
        assert ended(run) == (Run.Status.SUCCEEDED, Ticket.Status.RESOLVED), run.reason
        assert server.lets_in("j.smith")
        assert [dn for dn, _ in server.changes(str(run.uuid))] == [slapd.person("j.smith")]
        assert slapd.SERVICE_PASSWORD not in json.dumps([run.output, run.phases, run.reason])


Elsewhere = Callable[[], AbstractContextManager[tuple[dict[str, Any], str, Callable[[], list[str]]]]]
"""Settings of a target there, the table of a runbook's definition, and the phases that were launched."""


@contextmanager
def awx() -> Iterator[tuple[dict[str, Any], str, Callable[[], list[str]]]]:
    table = '[awx]\nvariables = { user_name = "account" }\n' + "".join(
        f'[awx.{phase}]\ntemplate = "{phase}"\n' for phase in PHASES
    )
    server = Awx()
    with serving(server):
        settings = {"url": server.url, "token": TOKEN, "inventory": 7, "insecure": True}
        yield settings, table, lambda: [job.phase_of for job in server.jobs]


@contextmanager
def rundeck() -> Iterator[tuple[dict[str, Any], str, Callable[[], list[str]]]]:
    table = '[rundeck]\noptions = { account = "account" }\n' + "".join(
        f'[rundeck.{phase}]\njob = "{UUIDS[phase]}"\n' for phase in PHASES
    )
    server = Rundeck()
    with serving(server):
        settings = {"url": server.url, "token": TOKEN, "project": "desk", "insecure": True}
        yield settings, table, lambda: [job.phase_of for job in server.jobs]


@contextmanager
def ssm() -> Iterator[tuple[dict[str, Any], str, Callable[[], list[str]]]]:
    table = "".join(
        f'[ssm.{phase}]\ndocument = "Acme-{phase}"\nversion = "3"\nparameters = {{ User = "{{account}}" }}\n'
        for phase in PHASES
    )
    steps = [{"name": "work", "action": "aws:runCommand", "inputs": {"Parameters": {"commands": ["x {{ User }}"]}}}]
    declared = {"User": {"type": "String", "allowedPattern": "^[a-z.]{1,40}$"}}
    with ssm_server.serving() as account:
        for phase in PHASES:
            account.put(f"Acme-{phase}", "3", parameters=declared, mainSteps=steps)

        def names() -> list[str]:
            return [one["request"]["DocumentName"].removeprefix("Acme-") for one in account.started()]

        yield account.settings(), table, names


@pytest.mark.parametrize("elsewhere", [awx, rundeck, ssm], ids=["awx", "rundeck", "ssm"])
def test_jobs_elsewhere_are_launched_once_a_phase_and_the_ticket_resolved(
    carry_out: Callable[..., Run], elsewhere: Elsewhere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    quicken(monkeypatch)
    kind = request.node.callspec.id
    with elsewhere() as (settings, table, launched):
        write(tmp_path / "own", kind, f"\n{table}", head=HEAD)
        registry.use(str(tmp_path / "own"))
        try:
            run = carry_out("unlock", {"account": "j.smith"}, kind=kind, settings=settings)
        finally:
            registry.use("", packages=False)
        assert ended(run) == (Run.Status.SUCCEEDED, Ticket.Status.RESOLVED), run.reason
        assert launched() == ["pre_check", "action", "post_check"]
        secrets = (TOKEN, ssm_server.SECRET)
        assert not any(secret in json.dumps([run.output, run.phases, run.job, run.reason]) for secret in secrets)
