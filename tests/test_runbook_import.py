"""`triage runbook import awx` from outside: a table, one JSON object, drafts on disk, and mends for what is wrong."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests import factories
from tests.runbooks.awx_server import question
from tests.runbooks.job_server import TOKEN, serving
from tests.runbooks.test_importing import Catalogue
from triage.cli import cli
from triage.models import Target

pytestmark = pytest.mark.django_db


def test_the_command_writes_drafts_and_lists_what_each_lacks(tmp_path: Path) -> None:
    customer, other = factories.customer(), factories.customer()
    with serving(system := Catalogue()):
        settings = {"url": system.url, "token": TOKEN, "insecure": True, "inventory": 7}
        for one in (customer, other):
            Target.objects.create(customer=one, key="tower", kind="awx", settings=json.dumps(settings))
        system.templates = {}
        system.add(1, "Restart\x1b[2J app", question("app"))
        argv = ["runbook", "import", "awx", "--target", "tower", "--out", str(tmp_path / "books")]
        unsaid = CliRunner().invoke(cli, argv)
        assert (unsaid.exit_code, "several customers have a target 'tower'" in unsaid.output) == (2, True)
        told = CliRunner().invoke(cli, [*argv, "--customer", customer.slug])
        assert told.exit_code == 0, told.output
        lines = told.stdout.splitlines()
        assert lines[1].split() == ["new", "restart_2j_app", "1", "8", "1", "Restart", "[2J", "app"]
        assert any("awx.pre_check: no job looks beforehand" in line for line in lines)
        assert "1 new; in" in told.stderr
        assert "TRIAGE_RUNBOOKS does not name" in told.stderr
        assert TOKEN not in told.output
        again = CliRunner().invoke(cli, [*argv, "--customer", customer.slug, "--json", "-"])
        result = json.loads(again.stdout)
        assert (result["counts"], result["address"]) == ({"unchanged": 1}, system.url)
        assert (result["templates"][0]["key"], len(result["templates"][0]["lacks"])) == ("restart_2j_app", 8)
        checked = CliRunner().invoke(cli, ["runbook", "check", str(tmp_path / "books")])
        assert checked.exit_code == 0
        assert checked.stdout.startswith("draft restart_2j_app (")
        assert "lacks: article_keys: no article is named" in checked.stdout
        Target.objects.update(settings=json.dumps({**settings, "token": "tok-another-4711"}))
        refused = CliRunner().invoke(cli, [*argv, "--customer", customer.slug])
        assert (refused.exit_code, "give the target a token that is valid" in refused.stderr) == (1, True)


def test_a_target_of_another_kind_or_of_nobody_is_bad_usage() -> None:
    Target.objects.create(customer=factories.customer(), key="people", kind="directory", settings="{}")
    for argv, said in (
        (["--target", "people"], "is of the kind directory, not awx"),
        (["--target", "nowhere"], "there is no target 'nowhere'"),
        (["--target", "people", "--customer", "nobody"], "there is no customer 'nobody'"),
    ):
        ended = CliRunner().invoke(cli, ["runbook", "import", "awx", *argv])
        assert (ended.exit_code, said in ended.output) == (2, True)
