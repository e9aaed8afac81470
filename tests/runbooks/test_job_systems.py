"""Targets that are an AWX or a Rundeck, and the tables of runbooks that use them, read strictly."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runbooks import checking
from runbooks.definition import DefinitionError
from runbooks.runners import LOOKS, RESUMABLE, RUNNERS, exchange, job_settings
from runbooks.runners.exchange import Server
from runbooks.runners.jobs import LaunchLost, RemoteError
from runbooks.targets import TargetError, connect, job_systems, lists
from tests.runbooks.awx_server import Awx
from tests.runbooks.job_server import TOKEN, Fault, serving
from tests.runbooks.remote_runs import HEAD, write
from tests.runbooks.rundeck_server import UUIDS, Rundeck
from tests.runbooks.test_awx_runner import PHASES as AWX
from tests.runbooks.test_rundeck_runner import PHASES as RUNDECK

SETTINGS = {"url": "https://awx.example.org", "token": TOKEN, "inventory": "7"}
PROJECT = {"url": "https://rundeck.example.org", "token": TOKEN, "project": "desk"}
LOCK = "irreversible"


@pytest.fixture
def server() -> Iterator[Awx]:
    system = Awx()
    with serving(system):
        yield system


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody else vouches for, with its key."""
    folder = tmp_path_factory.mktemp("tls")
    asked = ["-subj", "/CN=awx", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    made = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "key", "-out", "cert"]
    subprocess.run(["openssl", "req", "-x509", *made, *asked], cwd=folder, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_bytes((folder / "key").read_bytes() + (folder / "cert").read_bytes())
    return both


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"url": "http://awx.example.org"}, "url: http:// sends the token in plain"),
        ({"url": "ftp://awx.example.org"}, "is no address"),
        ({"url": "https://user:pw@awx.example.org"}, "more than an address"),
        ({"url": "https://awx.example.org/?next=1"}, "more than an address"),
        ({"url": "https://awx.example.org/#x"}, "more than an address"),
        ({"url": "https://[bad"}, "is no address"),
        ({"url": "https://awx:99999"}, "is no address"),
        ({"token": "short"}, "token: is no token"),
        ({"token": "with a space"}, "token: is no token"),
        ({"token": "line\nbreak-token"}, "token: is no token"),
        ({"inventory": "web"}, "inventory: Input should be a valid integer"),
        ({"inventory": "0"}, "inventory"),
        ({"max_hosts": "0"}, "max_hosts"),
        ({"hosts": '["a b"]'}, "hosts.0"),
        ({"hosts": '"web1"'}, "hosts"),
        ({"ca_file": "/nowhere/ca.pem"}, "ca_file: is no file"),
        ({"verify": "false"}, "verify: Extra inputs are not permitted"),
    ],
)
def test_settings_that_do_not_fit_are_named_and_no_value_is_repeated(change: dict[str, str], words: str) -> None:
    with pytest.raises(TargetError, match=words.replace("(", r"\(")) as caught:
        job_systems.parse("awx", {**SETTINGS, **change})
    assert TOKEN not in str(caught.value)
    assert "pw@" not in str(caught.value)


@pytest.mark.parametrize("gone", ["url", "token", "inventory"])
def test_what_is_missing_is_named(gone: str) -> None:
    with pytest.raises(TargetError, match=f"{gone}: Field required"):
        job_systems.parse("awx", {name: value for name, value in SETTINGS.items() if name != gone})


def test_a_rundeck_has_a_project_and_a_version_of_its_api() -> None:
    assert job_systems.rundeck({**PROJECT, "api": "47"}).api == 47
    for change in ({"api": "41"}, {"project": "../x"}, {"project": "a/b"}):
        with pytest.raises(TargetError, match=next(iter(change))):
            job_systems.parse("rundeck", {**PROJECT, **change})
    with pytest.raises(TargetError, match="kind 'host'"):
        job_systems.parse("host", PROJECT)


def test_the_token_is_in_no_repr() -> None:
    assert TOKEN not in repr(job_systems.awx(SETTINGS))


def test_hosts_of_a_job_system_can_be_named_in_tickets_and_steps_get_no_client() -> None:
    given = {**SETTINGS, "hosts": '["web1", "db1"]', "software": '{"Visio": []}'}
    assert lists.read("awx", given).hosts == ("web1", "db1")
    assert lists.read("rundeck", {**PROJECT, "hosts": '["web1"]'}).hosts == ("web1",)
    for kind in ("awx", "rundeck"):
        with pytest.raises(TargetError, match=f"the runner '{kind}' alone"):
            connect(kind, given)


def test_a_look_says_what_there_is_and_changes_nothing(server: Awx) -> None:
    given = {**SETTINGS, "url": server.url, "insecure": "true"}
    assert LOOKS["awx"](given) == "AWX answers; inventory 7 has 1 hosts"
    with pytest.raises(TargetError, match="give the target a token that is valid") as caught:
        LOOKS["awx"]({**given, "token": "another-token"})
    assert "no such token: Bearer ****" in str(caught.value)
    assert {each.method for each in server.requests} == {"GET"}
    rundeck = Rundeck()
    with serving(rundeck):
        given = {**PROJECT, "url": rundeck.url, "insecure": "true"}
        assert LOOKS["rundeck"](given) == "Rundeck answers; there is the project desk"
        with pytest.raises(TargetError, match="answered 404"):
            LOOKS["rundeck"]({**given, "project": "other"})


def _server(url: str, **more: Any) -> Server:
    system = job_systems.awx({**SETTINGS, "url": url, "insecure": "true", **more})
    return Server(system, headers={"authorization": f"Bearer {TOKEN}"})


def test_a_server_is_trusted_by_its_certificate_alone(certificate: Path) -> None:
    system = Awx()
    with serving(system, certificate=certificate):
        with pytest.raises(RemoteError, match=r"(?i)certificate"):
            _server(system.url).launch("/api/v2/job_templates/42/launch/", {})
        assert system.requests == []
        known = _server(system.url, ca_file=str(certificate))
        assert known.table("/api/v2/inventories/7/")["total_hosts"] == 1
        with pytest.raises(RemoteError, match=r"(?i)certificate|hostname"):
            _server(system.url.replace("127.0.0.1", "localhost"), ca_file=str(certificate)).get(
                "/api/v2/inventories/7/"
            )


def test_an_answer_that_drips_is_given_up_at_the_deadline(server: Awx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "WHOLE_SECONDS", 0.3)
    server.faults = [Fault("GET", "drip"), Fault("POST", "drip")]
    with pytest.raises(RemoteError, match=r"not complete after 0.3 s"):
        _server(server.url).get("/api/v2/inventories/7/")
    with pytest.raises(LaunchLost, match=r"not complete after 0.3 s"):
        _server(server.url).launch("/api/v2/job_templates/42/launch/", {})


def test_an_answer_is_bounded_and_whole(server: Awx) -> None:
    for how, words in (
        ("huge", "more than 4194304 bytes"),
        ("cut", "IncompleteRead"),
        ("drop", "does not answer"),
    ):
        server.faults = [Fault("GET", how)]
        with pytest.raises(RemoteError, match=words):
            _server(server.url).get("/api/v2/inventories/7/")


def test_the_table_is_read_checked_and_shown(tmp_path: Path) -> None:
    for runner, table in (("awx", AWX), ("rundeck", RUNDECK)):
        book = write(tmp_path / runner, runner, table)
        found = next(iter(checking.folders([book.folder])))
        assert (found.errors, found.warnings) == ((), ())
        assert set(book.steps.functions) >= {"pre_check", "action", "post_check", "undo", "undo_check"}
        assert runner in RESUMABLE
        assert runner in RUNNERS


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("template = 41", ""), "pre_check.template: is missing"),
        (("template = 41", "template = 0"), "pre_check.template"),
        (("template = 41", 'template = 41\nlimit = "x"'), "there is no such key"),
        (("template = 41", 'template = 41\njob_type = "scan"'), "job_type"),
        (
            ('template = "action"', 'template = "action"\njob_type = "check"'),
            "action.job_type: a trial changes nothing",
        ),
        (("[awx.post_check]\ntemplate = 43\n", ""), "post_check: is missing: say which job it is"),
        (("[awx.undo]\ntemplate = 44\n", ""), "undo: is missing, and reversible is true"),
        (('user_name = "account"', 'user_name = "konto"'), "konto: the runbook has no such parameter; it has account"),
        (('variables = { user_name = "account" }\n', ""), "account: no job is given this parameter"),
        (("user_name =", "ansible_host ="), "ansible_host: is Ansible's own"),
        (("user_name =", "Ansible_User ="), "Ansible_User: is Ansible's own"),
        (("user_name =", "awx_job_id ="), "awx_job_id: is Ansible's own"),
        (("user_name =", "inventory_hostname ="), "inventory_hostname: is Ansible's own"),
        (("user_name =", '"{{ x }}" ='), "variables"),
        (("user_name =", "triage_run ="), "triage_run: holds the run's identity"),
        (
            ("template = 44", 'template = 44\nvariables = { ansible_user = "account" }'),
            "ansible_user: is Ansible's own",
        ),
        (("[awx]\n", '[awx]\nrun_variable = "ansible_run"\n'), "ansible_run: is Ansible's own"),
        (("[awx]\n", '[awx]\nlimit = "machine"\n'), "machine: the runbook has no such parameter"),
    ],
)
def test_a_table_that_does_not_fit_is_named_with_the_mend(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    assert change[0] in AWX
    with pytest.raises(DefinitionError) as caught:
        write(tmp_path, "awx", AWX.replace(change[0], change[1], 1))
    assert words in str(caught.value)
    assert "awx" in str(caught.value)


def test_a_rundeck_job_is_a_uuid_and_an_undo_that_never_runs_is_named(tmp_path: Path) -> None:
    for old, new, words in (
        (UUIDS["undo"], "unlock", "undo.job: is no UUID"),
        (UUIDS["undo"], "../../etc", "undo.job: is no UUID"),
        ("account =", '"a b" =', "options"),
    ):
        with pytest.raises(DefinitionError, match=words):
            write(tmp_path, "rundeck", RUNDECK.replace(old, new))
    head = HEAD.replace('tier = "low"\nreversible = true', f'tier = "{LOCK}"\nreversible = false')
    with pytest.raises(DefinitionError, match="undo: never runs, since reversible is false"):
        write(tmp_path, "rundeck", RUNDECK, head=head)


def test_the_kind_of_target_is_the_runners_own(tmp_path: Path) -> None:
    head = HEAD.replace('target_kind = "{runner}"', 'target_kind = "directory"')
    with pytest.raises(DefinitionError, match="the runner awx works on the kind 'awx'"):
        write(tmp_path, "awx", AWX, head=head)


def test_a_changed_action_keeps_the_certificate_and_a_changed_pre_check_does_not(tmp_path: Path) -> None:
    def digests(place: str, table: str) -> tuple[str, str]:
        book = write(tmp_path / place, "awx", table)
        return book.selection_digest, book.action_digest

    first = digests("a", AWX)
    for place, old, new, kept in (
        ("b", '"action"', '"actions"', (True, False)),
        ("c", "template = 45", "template = 46", (True, False)),
        ("d", "template = 41", "template = 47", (False, True)),
        ("e", "template = 43", 'template = 43\nvariables = { name = "account" }', (True, False)),
        ("f", "user_name", "login", (False, False)),
    ):
        now = digests(place, AWX.replace(old, new, 1))
        assert (now[0] == first[0], now[1] == first[1]) == kept, place


def test_settings_say_what_each_phase_is_given() -> None:
    table = {
        "variables": {"user": "account"},
        "pre_check": {"template": 1},
        "action": {"template": "a", "variables": {"login": "account"}},
        "post_check": {"template": 2},
    }
    settings = job_settings.AwxSettings.model_validate(json.loads(json.dumps(table)))
    assert settings.phases() == ["pre_check", "action", "post_check"]
    assert settings.given("action") == {"login": "account"}
    assert settings.given("post_check") == {"user": "account"}
    with pytest.raises(KeyError):
        settings.of("undo")
