"""Runbooks that are jobs of a Rundeck: what is run, what is refused, and what is followed to its end."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runbooks import rehearsal
from runbooks.base import Runbook
from runbooks.outcome import OUTPUT_LIMIT
from runbooks.runners import VERSIONS, exchange, remote, rundeck
from runbooks.targets import TargetError
from tests.runbooks.job_server import TOKEN, Fault, serving
from tests.runbooks.remote_runs import HEAD, RUN, Told, Workers, on, quicken, run, write
from tests.runbooks.rundeck_server import NAMES, NEVER, UUIDS, Definition, Rundeck, option

PHASES = '\n[rundeck]\noptions = { account = "account" }\n' + "".join(
    f'[rundeck.{name}]\njob = "{uuid}"\n' for name, uuid in UUIDS.items()
)
ON_NODE = HEAD + '\n[[parameters]]\nname = "machine"\nkind = "text"\ntitle = "the host"\nfields = ["host"]\n'


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quicken(monkeypatch)
    monkeypatch.setattr(rundeck, "ALARM_SECONDS", 0.6)
    monkeypatch.setattr(exchange, "READ_SECONDS", 3.0)


@pytest.fixture
def server() -> Iterator[Rundeck]:
    system = Rundeck()
    with serving(system):
        yield system


@pytest.fixture
def target(server: Rundeck) -> dict[str, str]:
    return {"url": server.url, "token": TOKEN, "project": "desk", "insecure": "true"}


@pytest.fixture
def book(tmp_path: Path) -> Runbook:
    return write(tmp_path, "rundeck", PHASES)


@pytest.fixture
def on_node(tmp_path: Path, server: Rundeck) -> Runbook:
    for definition in server.definitions.values():
        definition.told |= {"nodeFilterEditable": True, "nodefilters": {"filter": "name: lone", "dispatch": {}}}
    return write(tmp_path, "rundeck", PHASES.replace("[rundeck]", '[rundeck]\nnode = "machine"'), head=ON_NODE)


def test_each_phase_is_one_execution_with_the_values_and_the_runs_identity(
    book: Runbook, server: Rundeck, target: dict[str, str]
) -> None:
    told = Told()
    outcome = run(book, target, told)
    assert (outcome.status, outcome.phase, outcome.alarm) == ("succeeded", "post_check", False)
    assert [job.phase_of for job in server.jobs] == ["pre_check", "action", "post_check"]
    assert [job.given["job"]["options"] for job in server.jobs] == [
        {"account": "j.smith", "triage_run": f"{RUN}.{phase}"} for phase in ("pre_check", "action", "post_check")
    ]
    assert all(set(each.body) == {"options"} for each in server.asked("POST .*/run"))
    assert "running action\ndone\n" in outcome.output
    assert "".join(told.output) == outcome.output


def test_checks_decide(book: Runbook, server: Rundeck, target: dict[str, str]) -> None:
    server.named("pre_check").ends_as = "failed"
    assert run(book, target).status == "refused"
    server.named("pre_check").ends_as = "succeeded"
    server.named("post_check").ends_as = "timedout"
    outcome = run(book, target)
    assert outcome.status == "undone"
    assert "ended as timedout" in outcome.message
    assert [job.phase_of for job in server.jobs[1:]] == list(NAMES)


def _options(server: Rundeck, name: str, **change: Any) -> None:
    server.named(name).told["options"][1] |= change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.named("action").told["options"].pop(0), "has no option triage_run: add it"),
        (lambda s: s.named("undo").told["options"].pop(1), "has no option account: add it"),
        (lambda s: s.named("action").told.pop("options"), "has no option account: add it"),
        (lambda s: _options(s, "action", regex=None), "takes any text"),
        (lambda s: _options(s, "action", regex=None, values=["j.smith"]), "takes any text"),
        (lambda s: _options(s, "action", regex="[0-9]+"), "does not fit its pattern"),
        (lambda s: _options(s, "action", regex=r"\p{Lower}+"), "a pattern that only Java reads"),
        (lambda s: _options(s, "action", enforced=True, values=["root"]), "none of its allowed values"),
        (lambda s: _options(s, "action", secure=True), "is secret"),
        (lambda s: _options(s, "action", type="file"), "is a file"),
        (lambda s: _options(s, "action", multivalued=True, delimiter="."), "takes several values"),
        (lambda s: _options(s, "action", multivalued=True), "takes several values"),
        (lambda s: s.named("action").told["options"].append(option("why", required=True)), "needs the option why"),
        (lambda s: s.named("action").told.update(retry={"retry": "2", "delay": "1s"}), "set its retry to 0"),
        (lambda s: s.named("action").told.update(retry="1"), "set its retry to 0"),
        (lambda s: s.named("action").told.update(executionEnabled=False), "is switched off"),
        (lambda s: setattr(s.named("action"), "project", "other"), "in another project"),
        (lambda s: s.definitions.pop(UUIDS["undo_check"]), "answered 404"),
        (lambda s: s.named("action").told.update(nodefilters={"filter": "name: web.*"}), "works on 30 nodes"),
        (lambda s: s.named("action").told.update(nodefilters={"filter": "name: nobody"}), "works on 0 nodes"),
        (
            lambda s: s.named("action").told.update(nodefilters={"filter": "name: ${option.account}"}),
            "chooses its nodes by an option",
        ),
        (lambda s: s.named("action").told.update(nodefilters={"dispatch": {}}), "does not say on which"),
    ],
)
def test_what_could_do_more_or_elsewhere_is_refused_before_the_pre_check(
    book: Runbook, server: Rundeck, target: dict[str, str], change: Any, words: str
) -> None:
    change(server)
    outcome = run(book, target)
    assert (outcome.status, outcome.alarm) == ("refused", False)
    assert words in outcome.message
    assert server.jobs == []


def test_an_allowed_value_and_a_fixed_node_are_let_through(
    book: Runbook, server: Rundeck, target: dict[str, str]
) -> None:
    for name in NAMES:
        _options(server, name, regex=None, enforced=True, values=["a", "j.smith"])
        server.named(name).told |= {"retry": "0", "nodefilters": {"filter": "name: lone"}}
    assert run(book, target).status == "succeeded"


@pytest.mark.parametrize("value", ["${option.other}", "@option.other@", "a\nb", "a\u2028b", "a;reboot"])
def test_no_value_is_put_in_for_another_or_passes_a_pattern(
    book: Runbook, server: Rundeck, target: dict[str, str], value: str
) -> None:
    if not value.startswith("a;"):
        for name in NAMES:
            _options(server, name, regex="(?s).*")
    outcome = run(book, target, parameters={"account": value})
    assert outcome.changed_nothing
    assert outcome.status in ("refused", "failed")
    assert server.asked("POST") == []


def test_the_node_is_exactly_one_of_the_project(on_node: Runbook, server: Rundeck, target: dict[str, str]) -> None:
    assert run(on_node, target, **on("web3")).status == "succeeded"
    assert [job.given["filter"] for job in server.jobs] == ["name: web3"] * 3


@pytest.mark.parametrize(
    ("node", "words"),
    [
        ("web99", "not exactly one node"),
        ("db.1", "not exactly one node"),
        *[
            (pattern, "is no name of one node")
            for pattern in (".*", "web1,web2", "web1 web2", "!web1", "/web/", "web1+")
        ],
    ],
)
def test_no_node_is_a_pattern_or_of_elsewhere(
    on_node: Runbook, server: Rundeck, target: dict[str, str], node: str, words: str
) -> None:
    outcome = run(on_node, target, **on(node))
    assert words in outcome.message
    assert server.jobs == []


@pytest.mark.parametrize("change", [{"nodeFilterEditable": False}, {"nodefilters": None}])
def test_a_job_whose_node_nobody_may_choose_is_refused(
    on_node: Runbook, server: Rundeck, target: dict[str, str], change: dict[str, Any]
) -> None:
    server.named("undo").told |= change
    assert "lets nobody choose its node" in run(on_node, target, **on("web1")).message
    assert server.jobs == []


def test_an_execution_that_worked_elsewhere_raises_the_alarm(
    on_node: Runbook, server: Rundeck, target: dict[str, str]
) -> None:
    def locks(_: object) -> None:
        server.named("action").told["nodeFilterEditable"] = len(server.asked("GET .*/resources")) < 6

    server.before_answer = locks
    outcome = run(on_node, target, **on("web1"))
    assert (outcome.status, outcome.alarm) == ("unknown", True)
    assert "was sent to web1 and worked on lone" in outcome.message


def test_only_hosts_on_the_targets_own_list_are_nodes(on_node: Runbook, target: dict[str, str]) -> None:
    assert "none of the target's 1 hosts" in run(on_node, {**target, "hosts": '["lone"]'}, **on("web1")).message


@pytest.mark.parametrize("rewrite", [{"project": "other"}, {"job": {"id": UUIDS["undo"]}}])
def test_an_execution_that_is_another_is_ended_and_raises_the_alarm(
    book: Runbook, server: Rundeck, target: dict[str, str], rewrite: dict[str, Any]
) -> None:
    server.named("action").seconds = NEVER

    def change(_: object) -> None:
        server.rewrites = rewrite if server.launched("pre_check") else {}

    server.before_answer = change
    outcome = run(book, target)
    assert (outcome.status, outcome.alarm) == ("unknown", True)
    assert server.launched("action")[0].was_cancelled()
    assert server.launched("post_check") == []


def test_an_option_that_did_not_arrive_raises_the_alarm(book: Runbook, server: Rundeck, target: dict[str, str]) -> None:
    server.rewrites = {"job": {"id": UUIDS["pre_check"], "options": {"triage_run": f"{RUN}.pre_check"}}}
    outcome = run(book, target)
    assert outcome.alarm
    assert "its option account is another" in outcome.message


@pytest.mark.parametrize("how", ["drop", "cut", "garbage", "late", "huge", "slow"])
def test_a_lost_answer_to_the_action_is_found_by_its_identity_and_followed(
    book: Runbook, server: Rundeck, target: dict[str, str], how: str
) -> None:
    server.faults = [Fault(f"POST .*{UUIDS['action']}/run", how, status=502, seconds=0.7)]
    assert run(book, target).status == "succeeded"
    assert len(server.launched("action")) == 1


def test_a_lost_answer_whose_execution_is_not_found_is_unknown(
    book: Runbook, server: Rundeck, target: dict[str, str]
) -> None:
    assert run(book, target, run_id="another").status == "succeeded"
    server.faults = [Fault(f"POST .*{UUIDS['action']}/run", "refuse", status=503)]
    assert run(book, target).status == "unknown"
    assert len(server.launched("action")) == 1


def test_a_job_that_runs_for_somebody_else_is_waited_for(
    book: Runbook, server: Rundeck, target: dict[str, str]
) -> None:
    server.faults = [Fault(f"POST .*{UUIDS['action']}/run", "refuse", status=409)]
    assert run(book, target).status == "succeeded"
    server.faults = [Fault(f"POST .*{UUIDS['action']}/run", "refuse", times=9, status=409)]
    outcome = run(book, target)
    assert (outcome.status, outcome.changed_nothing) == ("failed", True)
    assert "running for somebody else" in outcome.message


@pytest.mark.parametrize("status", [400, 403])
def test_a_refused_action_is_no_failed_one(book: Runbook, server: Rundeck, target: dict[str, str], status: int) -> None:
    server.faults = [Fault(f"POST .*{UUIDS['action']}/run", "refuse", status=status)]
    outcome = run(book, target)
    assert (outcome.status, outcome.changed_nothing) == ("failed", True)
    assert [job.phase_of for job in server.jobs] == ["pre_check"]


def test_looks_that_fail_for_a_while_change_nothing(book: Runbook, server: Rundeck, target: dict[str, str]) -> None:
    server.faults = [
        Fault(r"GET .*/execution/\d+$", how, status=503) for how in ("refuse", "drop", "garbage", "redirect")
    ]
    assert run(book, target).status == "succeeded"


def test_output_goes_on_where_it_was_left_and_is_bounded(
    book: Runbook, server: Rundeck, target: dict[str, str]
) -> None:
    server.named("action").seconds = 0.15
    server.named("action").lines = [f"{number:06} {'x' * 400}" for number in range(4_000)]
    outcome = run(book, target)
    assert outcome.status == "succeeded"
    assert outcome.output.count("000001 x") == 1
    assert len(outcome.output.encode()) <= OUTPUT_LIMIT
    assert not [each for each in server.asked("output") if int(each.query["offset"]) > 1_300_000]


def test_an_execution_that_never_ends_is_aborted_at_the_time_limit(
    book: Runbook, server: Rundeck, target: dict[str, str]
) -> None:
    server.named("action").seconds = NEVER
    server.named("action").cancel_seconds = 0.1
    outcome = run(book, target, time_limit=0.5)
    assert outcome.status == "unknown"
    assert "could not be ended" not in outcome.message
    assert server.launched("action")[0].was_cancelled()
    server.named("action").cancel_seconds = NEVER
    assert "could not be ended and may go on" in run(book, target, time_limit=0.4, run_id="two").message


@pytest.mark.parametrize("at", [1, 2, 3, 4, 5, 6])
def test_another_worker_goes_on_after_kill_9(
    book: Runbook, server: Rundeck, target: dict[str, str], workers: Workers, tmp_path: Path, at: int
) -> None:
    state = workers.killed(book, target, tmp_path / "states", at=at)
    outcome = run(book, target, job=state)
    assert outcome.status == ("unknown" if at == 3 else "succeeded")
    assert len(server.launched("action")) == (0 if at == 3 else 1)


def test_killed_between_the_launch_and_its_answer_is_found(
    book: Runbook, server: Rundeck, target: dict[str, str], workers: Workers, tmp_path: Path
) -> None:
    def kill(request: Any) -> None:
        if request.method == "POST" and server.launched("action"):
            server.before_answer = lambda later: None
            os.kill(int((tmp_path / "pid").read_text(encoding="utf-8")), signal.SIGKILL)

    server.before_answer = kill
    state = workers.killed(book, target, tmp_path / "states", at=0)
    assert json.loads(state)["job"] == ""
    assert run(book, target, job=state).status == "succeeded"
    assert len(server.launched("action")) == 1


def test_the_token_stands_in_no_message_and_no_output(book: Runbook, server: Rundeck, target: dict[str, str]) -> None:
    server.named("action").lines = [f"debug: {TOKEN}"]
    first = run(book, target)
    server.faults = [Fault("GET .*/info", "refuse", status=403)]
    outcomes = [first, run(book, target), run(book, {**target, "token": f"{TOKEN}-no"})]
    assert [outcome.status for outcome in outcomes] == ["succeeded", "refused", "refused"]
    assert not any(TOKEN in outcome.message + outcome.output for outcome in outcomes)


def test_numbers_of_answers_lead_nowhere_else(book: Runbook, server: Rundeck, target: dict[str, str]) -> None:
    jobs = rundeck.RundeckJobs(book, parameters={"account": "j.smith"}, target=target, run_id=RUN)
    for odd in ("../job/1", "", "0", "1/abort"):
        with pytest.raises(remote.RemoteError):
            jobs.look(odd)
    assert server.requests == []


def test_a_rehearsal_runs_the_pre_check_alone(book: Runbook, server: Rundeck, target: dict[str, str]) -> None:
    assert rehearsal.pre_check(book, parameters={"account": "j.smith"}, target=target).passed
    assert [job.phase_of for job in server.jobs] == ["pre_check"]


def _refer(server: Rundeck, to: object) -> None:
    server.named("action").told["sequence"]["commands"].append({"jobref": {"uuid": to, "name": "other"}})


@pytest.mark.parametrize(
    ("change", "changes"),
    [
        (lambda s: s.named("action").told["sequence"]["commands"].append({"exec": "id"}), True),
        (lambda s: s.named("undo").told["options"].append(option("more")), True),
        (lambda s: s.named("action").told.update(nodefilters={"filter": "name: lone"}), True),
        (lambda s: s.named("pre_check").told.update(notification={"onsuccess": {"plugin": {"type": "Hook"}}}), True),
        (lambda s: s.named("action").told.update(description="words", group="elsewhere"), False),
    ],
)
def test_the_version_is_that_of_all_definitions(
    book: Runbook, server: Rundeck, target: dict[str, str], change: Any, changes: bool
) -> None:
    before = VERSIONS["rundeck"](book, target=target)
    change(server)
    assert (VERSIONS["rundeck"](book, target=target) != before) is changes
    assert server.asked("POST") == []


def test_the_version_goes_into_the_jobs_that_a_job_refers_to(
    tmp_path: Path, server: Rundeck, target: dict[str, str]
) -> None:
    checks = "".join(part for part in PHASES.replace("reversible = true", "").split("[rundeck.undo]")[:1])
    head = HEAD.replace('tier = "low"\nreversible = true', 'tier = "irreversible"\nreversible = false')
    runbook = write(tmp_path, "rundeck", checks, head=head)
    _refer(server, UUIDS["undo"])
    _refer(server, UUIDS["action"])
    before = rundeck.version(runbook, target=target)
    server.named("undo").told["sequence"]["commands"].append({"exec": "id"})
    assert rundeck.version(runbook, target=target) != before


def test_a_job_of_too_many_others_or_another_than_asked_for_has_no_version(
    book: Runbook, server: Rundeck, target: dict[str, str]
) -> None:
    others = [f"0000000{number:02}"[-8:] + "-bbbb-4bbb-8ccc-000000000000" for number in range(25)]
    for uuid in others:
        server.definitions[uuid] = Definition("undo")
        server.definitions[uuid].told |= {"uuid": uuid}
        _refer(server, uuid)
    with pytest.raises(TargetError, match="refers to more than 20 jobs"):
        rundeck.version(book, target=target)
    server.named("action").told["uuid"] = others[0]
    with pytest.raises(TargetError, match="gave another job"):
        rundeck.version(book, target=target)


def test_a_lost_answer_whose_execution_is_another_raises_the_alarm(
    book: Runbook, server: Rundeck, target: dict[str, str]
) -> None:
    server.named("action").seconds = NEVER

    def change(_: object) -> None:
        server.rewrites = {"project": "other"} if server.launched("pre_check") else {}

    server.before_answer = change
    server.faults = [Fault(f"POST .*{UUIDS['action']}/run", "drop")]
    outcome = run(book, target)
    assert (outcome.status, outcome.alarm) == ("unknown", True)
    assert server.launched("action")[0].was_cancelled()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: _refer(s, None), "refer by UUID"),
        (
            lambda s: s.named("action").told["sequence"]["commands"].append({"scripturl": "https://x.example/a.sh"}),
            "put the script into the job",
        ),
    ],
)
def test_what_is_not_fixed_has_no_version(
    book: Runbook, server: Rundeck, target: dict[str, str], change: Any, words: str
) -> None:
    change(server)
    with pytest.raises(TargetError, match=words):
        rundeck.version(book, target=target)
