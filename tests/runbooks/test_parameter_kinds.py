"""Hosts, mailboxes, software, services and other tickets: a value is what the target or the runbook knows, or a person is asked."""

from typing import Any

import pytest

from runbooks import parameters
from runbooks.base import Parameter, Runbook
from runbooks.parameters import Extraction, ParameterError
from runbooks.registry import RUNBOOKS
from runbooks.targets import TargetError, lists
from runbooks.targets.directory import SqliteDirectory
from runbooks.targets.lists import Lists

JANE = "jane.smith@corp.example"
KNOWN = Lists(
    hosts=("web1.corp.example", "web2.corp.example", "web2.lab.example", "DB-Prod-1", "mail", "10.0.0.7"),
    services=("nginx", "app-worker"),
    logs=("app",),
    software={
        "Visio": ("Microsoft Visio", "ビジオ"),
        "Visual Studio Code": ("VS Code",),
        "Visual Studio": (),
        "C++ Tools": (),
    },
)
HOST = Parameter(name="host", kind="host", title="the host", fields=("host", "cmdb_ci"))
MAILBOX = Parameter(name="mailbox", kind="mailbox", title="the mailbox", own=True, fields=("mailbox",))
SHARED = MAILBOX.model_copy(update={"own": False})
SOFTWARE = Parameter(name="software", kind="software", title="the software", fields=("software",))
TICKET = Parameter(name="ticket", kind="ticket", title="the other ticket", fields=("related",))


def made(*of: Parameter) -> Runbook:
    return RUNBOOKS["record_only"].model_copy(update={"parameters": of})


def read(parameter: Parameter, body: str = "", **more: Any) -> Extraction:
    given: dict[str, Any] = {"subject": "", "fields": {}, "requester": JANE, "lists": KNOWN} | more
    return parameters.extract(made(parameter), body=body, **given)


def value(parameter: Parameter, body: str = "", **more: Any) -> str:
    found = read(parameter, body, **more)
    assert found.complete, found.problems
    return found.values[parameter.name]


def asked(parameter: Parameter, body: str = "", **more: Any) -> tuple[str, tuple[str, ...]]:
    found = read(parameter, body, **more)
    assert found.values == {}
    return found.problems[0], found.candidates[parameter.name]


@pytest.mark.parametrize(
    "body",
    [
        "the disk of web1 is full",
        "Platte voll auf WEB1.CORP.EXAMPLE.",
        "le serveur web1 ne répond plus",
        "サーバーweb1のディスクが一杯です",
        "ｗｅｂ１ のディスク",
        "[web1] (web1) web1: web1's disk, **web1**",
        "https://web1.corp.example:8443/health is down",
        "ssh web1, then look; not the database",
        "web1-Server neu starten",
        "host: web1",
    ],
)
def test_a_host_is_found_by_name_or_first_label_and_spelt_as_the_target_does(body: str) -> None:
    assert value(HOST, body) == "web1.corp.example"


def test_a_host_in_a_field_is_one_name_and_nothing_else() -> None:
    assert value(HOST, fields={"cmdb_ci": "db-prod-1"}) == "DB-Prod-1"
    assert value(HOST, fields={"host": "mail"}) == "mail"
    for given, offered in (
        ("web1, db9", ("web1.corp.example",)),
        ("web1 web2.lab.example", ("web1.corp.example", "web2.lab.example")),
        ("web1.other.example", ("web1.corp.example",)),
        ("web2", ("web2.corp.example", "web2.lab.example")),
        ("db9", ()),
    ):
        problem, candidates = asked(HOST, "about web1", fields={"host": given})
        assert candidates == offered
        assert all(name in problem for name in offered)


@pytest.mark.parametrize(
    ("body", "offered"),
    [
        ("web1 and DB-Prod-1 are slow", ("DB-Prod-1", "web1.corp.example")),
        ("web2 is slow", ("web2.corp.example", "web2.lab.example")),
        ("web1.other.example is slow", ("web1.corp.example",)),
        ("web1 is slow, and so is web2.gone.example", ("web1.corp.example", "web2.corp.example", "web2.lab.example")),
        ("my mail does not open", ("mail",)),
        ("web1* is slow", ("web1.corp.example",)),
        ("web1[0-9] is slow", ("web1.corp.example",)),
        ("web1, 2 and 3 are slow", ("web1.corp.example",)),
        ("host: db-prod-9, perhaps also web1", ("web1.corp.example",)),
        ("written by jane@web1.corp.example", ("web1.corp.example",)),
    ],
)
def test_a_host_that_is_not_surely_the_one_is_asked_for_with_candidates(body: str, offered: tuple[str, ...]) -> None:
    problem, candidates = asked(HOST, body)
    assert candidates == offered
    assert all(name in problem for name in offered)


@pytest.mark.parametrize(
    "body", ["wеb1 is slow", "web1-3", "web", "10 users wait", "web1x", "web12", "xweb1", "web1_old"]
)
def test_what_only_looks_like_a_host_is_none(body: str) -> None:
    assert "neither in a field nor in the text" in asked(HOST, body)[0]


def test_hosts_are_checked_against_the_target_again() -> None:
    def problems(host: str, known: Lists | None = KNOWN) -> tuple[str, ...]:
        return parameters.validate(made(HOST), Extraction({"host": host}), directory=None, lists=known, requester="")

    assert problems("web1.corp.example") == ()
    assert problems("web9") == ("host: the target has no host web9",)
    assert problems("web1") == ("host: the target has no host web1; its own spelling is web1.corp.example",)
    assert problems("web1.corp.example", Lists()) != ()
    assert "known to a target with hosts only" in asked(HOST, "web1", lists=None)[0]


@pytest.mark.parametrize(
    "body", ["open jane.smith@corp.example", "user: j.smith", "j.smith's mailbox", "my mailbox is full"]
)
def test_a_mailbox_is_the_address_on_file(directory: SqliteDirectory, body: str) -> None:
    assert value(MAILBOX, body, directory=directory) == "jane.smith@corp.example"


def test_a_mailbox_is_ones_own_unique_and_never_privileged(directory: SqliteDirectory) -> None:
    problem, candidates = asked(MAILBOX, "bjones", directory=directory)
    assert (problem, candidates) == (
        "mailbox: bob.jones@corp.example is not the requester's own mailbox",
        ("bob.jones@corp.example",),
    )
    assert value(SHARED, "the mailbox of Bob Jones", directory=directory) == "bob.jones@corp.example"
    problem, candidates = asked(SHARED, "the mailbox of Jane Smith", directory=directory)
    assert candidates == ("jane.smith@corp.example", "jane.smith2@corp.example")
    assert "privileged" in asked(SHARED, "p.admin", directory=directory)[0]
    assert "known to the directory only" in asked(SHARED, "jane.smith@corp.example")[0]

    def problems(mailbox: str) -> tuple[str, ...]:
        return parameters.validate(made(MAILBOX), Extraction({"mailbox": mailbox}), directory=directory, requester=JANE)

    assert problems("jane.smith@corp.example") == ()
    assert problems("Jane.Smith@corp.example") == (
        "mailbox: the directory writes Jane.Smith@corp.example as jane.smith@corp.example",
    )
    assert problems("no.body@corp.example") == ("mailbox: the directory has no mailbox no.body@corp.example",)
    assert problems("j.smith") != ()


@pytest.mark.parametrize("key", ["unlock_account", "add_to_group", "raise_mailbox_quota"])
def test_no_runbook_touches_a_privileged_account_not_even_the_requesters_own(
    directory: SqliteDirectory, key: str
) -> None:
    for body in ("p.admin to Finance, 50 GB", "my account to Finance, 50 GB"):
        found = parameters.extract(
            RUNBOOKS[key], subject="", body=body, requester="p.admin@corp.example", fields={}, directory=directory
        )
        assert found.problems == (
            "account: p.admin is a privileged account, which no runbook ever touches: do this by hand",
        )
    values = Extraction({"account": "p.admin", "group": "Finance", "quota_mb": "2048"})
    said = parameters.validate(RUNBOOKS[key], values, directory=directory, requester="", machine=True)
    assert any("privileged" in problem for problem in said)


@pytest.mark.parametrize(
    ("body", "software"),
    [
        ("please install Microsoft Visio", "Visio"),
        ("bitte visio installieren", "Visio"),
        ("installez VS-Code svp", "Visual Studio Code"),
        ("Visual Studio Code please", "Visual Studio Code"),
        ("Visioをインストールしてください", "Visio"),
        ("ビジオのインストールをお願いします", "Visio"),
        ("I need the C++ Tools", "C++ Tools"),
    ],
)
def test_software_is_found_by_its_names_in_any_language(body: str, software: str) -> None:
    assert value(SOFTWARE, body) == software


def test_software_that_is_unknown_or_not_the_only_one_is_asked_for() -> None:
    assert asked(SOFTWARE, "Visio and VS Code")[1] == ("Visio", "Visual Studio Code")
    assert asked(SOFTWARE, "Photoshop")[1] == tuple(KNOWN.software)
    assert asked(SOFTWARE, "the C tools")[1] == tuple(KNOWN.software)
    problem, candidates = asked(SOFTWARE, "Visio", fields={"software": "Visio Pro"})
    assert problem.startswith("software: Visio Pro is not one of Visio, Visual Studio Code")
    assert candidates == ("Visio",)
    assert value(SOFTWARE, fields={"software": "microsoft visio"}) == "Visio"
    own = SOFTWARE.model_copy(update={"choices": ("Zoom",), "aliases": {"Zoom": ("ズーム",)}})
    assert value(own, "ズームを使いたい") == "Zoom"
    assert "not one of Zoom" in asked(own, fields={"software": "Visio"})[0]


def test_services_and_logs_are_those_of_the_target() -> None:
    restart = RUNBOOKS["restart_service"]
    given: dict[str, Any] = {"subject": "", "requester": "", "lists": KNOWN, "machine": True}
    found = parameters.extract(restart, body="nginx hangs on web1", fields={}, **given)
    assert found.values == {"host": "web1.corp.example", "service": "nginx"}
    found = parameters.extract(restart, body="", fields={"host": "web1", "service": "SSHD"}, **given)
    assert found.problems == ("service: SSHD is not one of nginx, app-worker",)
    said = parameters.validate(
        restart,
        Extraction({"host": "web1.corp.example", "service": "sshd"}),
        directory=None, lists=KNOWN, requester="",
    )  # fmt: skip
    assert said == ("service: the target has no service sshd",)
    found = parameters.extract(RUNBOOKS["rotate_logs"], body="", fields={"host": "web1", "log": "app"}, **given)
    assert found.complete


@pytest.mark.parametrize(
    ("body", "reference"),
    [
        ("same as inc0012345, see there", "INC0012345"),
        ("siehe OPS-123.", "OPS-123"),
        ("voir le ticket #1234", "#1234"),
        ("INC0012345の続きです", "INC0012345"),
        ("INC0099999: as in REQ0012345", "REQ0012345"),
        ("UTF-8 and SHA-256 in OPS-7, host web-01", "OPS-7"),
    ],
)
def test_another_ticket_is_found_by_its_shape(body: str, reference: str) -> None:
    assert value(TICKET, body, reference="INC0099999") == reference


def test_which_references_count_is_the_patterns_to_say() -> None:
    own = TICKET.model_copy(update={"pattern": r"HELP-[0-9]{4}"})
    assert value(own, "OPS-123 and help-0042") == "HELP-0042"
    assert asked(own, "HELP-0042, HELP-0043")[1] == ("HELP-0042", "HELP-0043")
    assert "neither" in asked(own, "INC0012345")[0]
    assert value(TICKET, fields={"related": "inc0012345"}) == "INC0012345"
    assert "does not have the form" in asked(TICKET, "OPS-1", fields={"related": "INC0012345; OPS-1"})[0]
    for wrong in ("HELP-42", "OPS-123", "#"):
        with pytest.raises(ParameterError, match="ticket: "):
            parameters.typed(made(own), {"ticket": wrong})


def test_a_targets_lists_are_read_from_its_settings_and_wrong_ones_are_named() -> None:
    host = '{"a.b": {"connection": "local"}}'
    read_ = lists.read("host", {"hosts": host, "software": '{"Visio": []}'})
    assert (read_.hosts, read_.software) == (("a.b",), {"Visio": ()})
    assert lists.read("directory", {"path": "/x"}) == Lists()
    for table in ("[]", "{", '{"a": "b"}', '{"--x": []}', '{"a/b": []}'):
        with pytest.raises(TargetError, match="software: "):
            lists.read("directory", {"software": table})


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"kind": "host", "choices": ("a",)}, "choices belong"),
        ({"kind": "choice", "choices": ("a",), "listed_by": "services"}, "in the place of choices"),
        ({"kind": "choice", "choices": ("../a",)}, "has the character /"),
        ({"kind": "choice", "choices": ("a",), "aliases": {"b": ("c",)}}, "none of the choices"),
        ({"kind": "host", "own": True}, "own belongs"),
    ],
)
def test_a_parameter_that_contradicts_itself_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Parameter(name="x", title="it", **given)
