"""What an Ansible action would do on a real host is shown before anybody runs it: in check mode, with its diff."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from runbooks import registry
from tests import factories
from tests.runbooks.hosts import sshd
from triage import targets
from triage.cli import cli
from triage.models import AuditEvent, Run, Ticket

pytestmark = pytest.mark.django_db(transaction=True)
DEFINITION = """
key = "write_note"
title = "Write a note"
owner = "tests"
tier = "irreversible"
reversible = false
time_limit = 60
assurance = "none"
runner = "ansible"
target_kind = "host"

[[parameters]]
name = "host"
kind = "host"
title = "the host"
fields = ["host"]
"""
HOLDS = "- ansible.builtin.assert: {that: true, quiet: true}\n"
SECRET = "hush-hush-4711"


def write(folder: Path, note: Path) -> None:
    home = folder / "write_note"
    home.mkdir(parents=True)
    (home / "runbook.toml").write_text(DEFINITION, encoding="utf-8")
    action = f"- ansible.builtin.copy: {{content: \"now \\e[31m {{{{ parameters.host }}}}\\n\", dest: {note}, mode: '600'}}\n"
    for phase, text in (("pre_check", HOLDS), ("action", action), ("post_check", HOLDS)):
        (home / f"{phase}.yml").write_text(text, encoding="utf-8")


def test_the_changes_of_an_action_are_shown_with_secrets_masked_and_none_is_made(tmp_path: Path) -> None:
    if sshd.binary() is None:
        pytest.skip("no sshd: apt-get install openssh-server")
    note = tmp_path / "note"
    note.write_text(f"{SECRET}\n", encoding="utf-8")
    write(tmp_path / "own", note)
    registry.use(str(tmp_path / "own"))
    (tmp_path / "sshd").mkdir()
    with sshd.running(tmp_path / "sshd") as server:
        settings = {
            "hosts": {"web1": server.host()}, "private_key": server.private_key, "secrets": {"note": SECRET},
        }  # fmt: skip
        customer = factories.customer()
        target = factories.target(customer, key="hosts", kind="host", settings=json.dumps(settings))
        assert targets.trouble_with("host", target.settings) == ""
        source = factories.source(customer=customer)
        factories.ticket(source=source, external_id="INC9", status=Ticket.Status.CLASSIFIED, fields={"host": "web1"})
        report = tmp_path / "tried.json"
        told = CliRunner().invoke(cli, ["runbook", "try", "write_note", "--ticket", "INC9", "--json", str(report)])
        registry.use("", packages=False)
    assert told.exit_code == 0, told.output
    assert "action         would: Nothing was changed; the output says what would be." in told.output
    assert "    -****" in told.output
    assert "    +now ?[31m web1" in told.output
    assert SECRET not in told.output + report.read_text(encoding="utf-8")
    assert json.loads(report.read_text(encoding="utf-8"))["action"]["known"]
    assert note.read_text(encoding="utf-8") == f"{SECRET}\n"
    assert not Run.objects.exists()
    assert AuditEvent.objects.filter(event="rehearsed").count() == 1
