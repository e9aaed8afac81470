"""The settings of hosts: what fits, what is refused with which words, and what reaches a run."""

import json
from typing import Any

import pytest

from runbooks.definition import DefinitionError
from runbooks.runners import ansible
from runbooks.targets import TargetError, connect, host
from tests.runbooks.hosts.conftest import LOCAL, Execute, Write
from tests.runbooks.hosts.sshd import Sshd

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPE5UxxIPhD0s2gkjOcz334wwhQ5BhzUw3g8xE8"
SSH: dict[str, Any] = {"address": "192.0.2.7", "host_key": KEY}


def parsed(**settings: Any) -> host.HostSettings:
    return host.parse(
        {name: value if isinstance(value, str) else json.dumps(value) for name, value in settings.items()}
    )


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "hosts: Field required"),
        ({"hosts": {}}, "hosts: Dictionary should have at least 1 item"),
        ({"hosts": "{no json"}, "hosts: must be a table, as JSON"),
        ({"hosts": {"all": LOCAL}}, "name of a group in every inventory"),
        ({"hosts": {"web[1:3]": LOCAL}}, "hosts.web"),
        ({"hosts": {"a": LOCAL | {"become": True}}}, "become does not work with connection 'local'"),
        ({"hosts": {"a": {"address": "192.0.2.7"}}}, "host_key is missing"),
        ({"hosts": {"a": SSH}}, "0 private keys are given and 1 wanted"),
        ({"hosts": {"a": SSH}, "private_key": "k", "private_key_file": "/k"}, "2 private keys are given"),
        ({"hosts": {"a": LOCAL}, "private_key": "k"}, "1 private keys are given and 0 wanted"),
        ({"hosts": {"a": SSH | {"address": "-oProxyCommand=x"}}, "private_key": "k"}, "hosts.a.address"),
        ({"hosts": {"a": SSH | {"user": "-l root"}}, "private_key": "k"}, "hosts.a.user"),
        ({"hosts": {"a": LOCAL | {"python": "/bin/sh -c x"}}}, "hosts.a.python"),
        ({"hosts": {"a": LOCAL}, "folders": {"f": {"path": "/etc/x", "older_than_days": 7}}}, "folder of the system"),
        ({"hosts": {"a": LOCAL}, "folders": {"f": {"path": "/var/../etc", "older_than_days": 7}}}, "plain path"),
        ({"hosts": {"a": LOCAL}, "folders": {"f": {"path": "/home", "older_than_days": 7}}}, "below another"),
        ({"hosts": {"a": LOCAL}, "folders": {"f": {"path": "/srv/cache", "older_than_days": 0}}}, "older_than_days"),
        ({"hosts": {"a": LOCAL}, "processes": {"users": ["root"]}}, "never ended"),
        ({"hosts": {"a": LOCAL}, "secrets": {"word": "short"}}, "fewer than 8 characters"),
        ({"hosts": {"a": LOCAL}, "colour": "red"}, "colour: there is no such setting"),
    ],
)
def test_settings_that_do_not_fit_are_named(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(TargetError, match=sentence.replace("(", r"\(")) as raised:
        parsed(**settings)
    assert "short" not in str(raised.value)


def test_a_host_is_known_by_its_key_and_port() -> None:
    settings = parsed(hosts={"a": SSH | {"port": 2222}}, private_key_file="/etc/triage/key")
    assert host.known_hosts(settings.hosts["a"]) == f"[192.0.2.7]:2222 {KEY}\n"


def test_a_host_with_another_key_is_not_trusted(write: Write, execute: Execute, ssh_server: Sshd) -> None:
    other = ssh_server.host(host_key=KEY)
    outcome = execute(
        write(pre_check="- ansible.builtin.ping:\n"),
        hosts={"here": other},
        settings={"private_key": ssh_server.private_key},
    )
    assert (outcome.status, outcome.changed_nothing) == ("failed", True)
    assert "Host key verification failed" in outcome.message + outcome.output


def test_an_environment_admits_only_the_runbooks_that_it_names(write: Write, execute: Execute) -> None:
    hosts = {"here": LOCAL | {"environment": "production"}}
    closed = execute(write(), hosts=hosts, settings={"runbooks": {"production": ["collect_diagnostics"]}})
    assert (closed.status, closed.phase) == ("refused", "start")
    assert "here is a production host, where sample may not run" in closed.message


def test_hosts_are_for_the_ansible_runner_only() -> None:
    with pytest.raises(TargetError, match='runner = "ansible" only'):
        connect("host", {"hosts": json.dumps({"a": dict(LOCAL)})})


def test_without_ansible_a_run_says_what_is_missing(
    write: Write, execute: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ansible, "engine", lambda _runner: "")
    outcome = execute(write())
    assert (outcome.status, outcome.phase) == ("failed", "start")
    assert "install Triage with the extra 'ansible'" in outcome.message


def test_a_folder_without_a_phase_is_refused_when_read(write: Write) -> None:
    runbook = write()
    (runbook.folder / "post_check.yml").unlink()
    from runbooks import definition

    with pytest.raises(DefinitionError, match=r"post_check.yml: is missing"):
        definition.read(runbook.folder)


def test_settings_are_looked_at_before_they_are_stored() -> None:
    from triage.targets import trouble_with

    assert trouble_with("host", json.dumps({"hosts": {"a": LOCAL}})) == ""
    assert "host_key is missing" in trouble_with("host", json.dumps({"hosts": {"a": {}}}))


def test_two_runs_on_one_host_work_on_the_same_thing() -> None:
    from runbooks import registry
    from triage.models import Ticket
    from triage.targets import object_of

    for number, key in enumerate(("restart_service", "free_disk_space")):
        ticket = Ticket(pk=number, actor=Ticket.Actor.MACHINE, storm_key=str(number) * 16)
        assert object_of(registry.get(key), parameters={"host": "web1"}, ticket=ticket) == "web1"
