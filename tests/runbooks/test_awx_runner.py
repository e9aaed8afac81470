"""Runbooks that are job templates of an AWX: what is launched, what is refused, and what is followed to its end."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runbooks import rehearsal
from runbooks.base import Runbook
from runbooks.outcome import OUTPUT_LIMIT
from runbooks.runners import VERSIONS, awx, exchange, remote
from runbooks.targets import TargetError
from runbooks.watch import Watch
from tests.runbooks.awx_server import NEVER, Awx, question
from tests.runbooks.job_server import TOKEN, Fault, serving
from tests.runbooks.remote_runs import HEAD, RUN, Told, Workers, on, quicken, run, write

PHASES = """
[awx]
variables = { user_name = "account" }
[awx.pre_check]
template = 41
[awx.action]
template = "action"
[awx.post_check]
template = 43
[awx.undo]
template = 44
[awx.undo_check]
template = 45
"""
LIMITED = (
    HEAD
    + """
[[parameters]]
name = "machine"
kind = "text"
title = "the host"
fields = ["host"]
"""
)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quicken(monkeypatch)
    monkeypatch.setattr(awx, "ALARM_SECONDS", 0.6)
    monkeypatch.setattr(exchange, "READ_SECONDS", 3.0)


@pytest.fixture
def server() -> Iterator[Awx]:
    system = Awx()
    with serving(system):
        yield system


@pytest.fixture
def target(server: Awx) -> dict[str, str]:
    return {"url": server.url, "token": TOKEN, "inventory": "7", "insecure": "true"}


@pytest.fixture
def book(tmp_path: Path) -> Runbook:
    return write(tmp_path, "awx", PHASES)


@pytest.fixture
def limited(tmp_path: Path, server: Awx) -> Runbook:
    for template in server.templates.values():
        template.fields["ask_limit_on_launch"] = True
    return write(tmp_path, "awx", PHASES.replace("[awx]", '[awx]\nlimit = "machine"'), head=LIMITED)


def test_each_phase_is_one_job_with_the_values_and_the_runs_identity(
    book: Runbook, server: Awx, target: dict[str, str]
) -> None:
    told = Told()
    outcome = run(book, target, told)
    assert (outcome.status, outcome.phase, outcome.alarm) == ("succeeded", "post_check", False)
    assert [job.phase_of for job in server.jobs] == ["pre_check", "action", "post_check"]
    assert [json.loads(job.given["extra_vars"]) for job in server.jobs] == [
        {"user_name": "j.smith", "triage_run": f"{RUN}.{phase}"} for phase in ("pre_check", "action", "post_check")
    ]
    assert (told.phases, told.starts) == (["pre_check", "action", "post_check"], 1)
    assert "PLAY [action]\r\nok: [web1]" in outcome.output
    assert "".join(told.output) == outcome.output


def test_a_pre_check_that_fails_refuses_and_nothing_else_is_launched(
    book: Runbook, server: Awx, target: dict[str, str]
) -> None:
    server.named("pre_check").ends_as = "failed"
    server.named("pre_check").explanation = "the account is privileged"
    outcome = run(book, target)
    assert (outcome.status, outcome.changed_nothing) == ("refused", True)
    assert "the account is privileged" in outcome.message
    assert [job.phase_of for job in server.jobs] == ["pre_check"]


def test_a_post_check_that_fails_undoes(book: Runbook, server: Awx, target: dict[str, str]) -> None:
    server.named("post_check").ends_as = "failed"
    outcome = run(book, target)
    assert outcome.status == "undone"
    assert [job.phase_of for job in server.jobs] == ["pre_check", "action", "post_check", "undo", "undo_check"]


def test_a_job_lost_with_its_node_counts_as_failed_and_is_not_run_again(
    book: Runbook, server: Awx, target: dict[str, str]
) -> None:
    server.named("action").ends_as = "error"
    server.named("action").explanation = "Task was marked as running but was not present in the job queue"
    server.named("post_check").ends_as = "failed"
    outcome = run(book, target)
    assert outcome.status == "undone"
    assert len(server.launched("action")) == 1
    assert "not present in the job queue" in outcome.message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.named("action").survey.pop(0), "no survey asks for triage_run"),
        (lambda s: s.named("action").survey.pop(1), "no survey asks for user_name"),
        (lambda s: s.named("action").fields.update(survey_enabled=False), "no survey asks for user_name"),
        (lambda s: s.named("undo").survey.append(question("why", required=True)), "its survey wants why besides"),
        (lambda s: s.named("action").survey.append(question("user_name", "integer")), "wants a whole number"),
        (lambda s: s.named("action").survey.append(question("user_name", "password")), "asks for password"),
        (lambda s: s.named("action").survey.append(question("user_name", max=3)), "wants any to 3 characters"),
        (lambda s: s.named("action").survey.append(question("user_name", min=30)), "wants 30 to any characters"),
        (
            lambda s: s.named("action").survey.append(question("user_name", "multiplechoice", choices="a\nb")),
            "none of the survey's choices",
        ),
        (lambda s: s.named("action").passwords.append("ssh_password"), "asks for the password ssh_password"),
        (lambda s: s.named("action").needs.append("why"), "asks for why"),
        (lambda s: setattr(s.named("action"), "needs_credential", True), "asks for a credential"),
        (lambda s: s.named("action").fields.update(inventory=8), "does not prompt for inventory"),
        (lambda s: s.named("action").fields.update(inventory=None), "does not prompt for inventory"),
        (lambda s: s.named("action").fields.update(job_type="check"), "does not prompt for job_type"),
        (lambda s: s.named("action").fields.update(job_slice_count=3), "cut in slices"),
        (lambda s: s.named("action").fields.update(project=None), "has no project"),
        (lambda s: s.named("undo").fields.update(id=99), "gave another job template"),
        (lambda s: s.named("action").fields.update(scm_branch="main"), "which may have moved"),
        (lambda s: s.projects[3].update(scm_update_on_launch=True), "switch off Update revision on launch"),
        (lambda s: s.projects[3].update(scm_type=""), "keep its playbooks under source control"),
        (lambda s: s.projects[3].update(scm_revision=""), "update it once"),
        (lambda s: s.named("action").fields.update(name="actions"), "no job template is called"),
        (lambda s: s.named("undo").fields.update(name="action"), "several job templates are called"),
        (lambda s: s.templates.pop(45), "answered 404"),
        (lambda s: s.inventories[7]["hosts"].append({"name": "web2", "enabled": True}), "has 2 hosts"),
        (lambda s: s.inventories[7]["hosts"].clear(), "has 0 hosts"),
        (lambda s: s.inventories[7]["inventory_sources"].append({"update_on_launch": True}), "updates itself"),
    ],
)
def test_what_awx_would_drop_or_widen_is_refused_before_the_pre_check(
    book: Runbook, server: Awx, target: dict[str, str], change: Any, words: str
) -> None:
    change(server)
    outcome = run(book, target)
    assert (outcome.status, outcome.alarm) == ("refused", False)
    assert words in outcome.message
    assert server.jobs == []


@pytest.mark.parametrize(
    "value", ["{{ lookup('pipe', 'id') }}", "a{% if x %}", "{# no #}", "$encrypted$", "two\nlines", "two\u2028lines"]
)
def test_no_value_is_ever_a_template_or_a_placeholder(
    book: Runbook, server: Awx, target: dict[str, str], value: str
) -> None:
    outcome = run(book, target, parameters={"account": value})
    assert outcome.status in ("refused", "failed")
    assert outcome.changed_nothing
    assert server.asked("POST") == []


def test_a_value_reaches_the_survey_as_the_type_it_asks_for(
    tmp_path: Path, server: Awx, target: dict[str, str]
) -> None:
    sized = '[[parameters]]\nname = "size"\nkind = "size_mb"\ntitle = "size"\nminimum = 1\nmaximum = 900\n'
    runbook = write(tmp_path, "awx", PHASES.replace("}", ', size = "size" }', 1), head=HEAD + sized)
    for template in server.templates.values():
        template.survey.append(question("size", "text" if template.fields["name"] == "undo" else "integer", max=500))
    given = {"account": "j.smith", "size": "300"}
    assert run(runbook, target, parameters=given).status == "succeeded"
    assert json.loads(server.launched("action")[0].given["extra_vars"])["size"] == 300
    assert "wants any to 500" in run(runbook, target, parameters={"account": "j.smith", "size": "600"}).message


def test_variables_that_are_prompted_for_need_no_survey(book: Runbook, server: Awx, target: dict[str, str]) -> None:
    for template in server.templates.values():
        template.fields.update(survey_enabled=False, ask_variables_on_launch=True)
    assert run(book, target).status == "succeeded"


def test_the_customers_inventory_is_sent_where_the_template_asks_for_one(
    book: Runbook, server: Awx, target: dict[str, str]
) -> None:
    for template in server.templates.values():
        template.fields.update(inventory=8, ask_inventory_on_launch=True)
    assert run(book, target).status == "succeeded"
    assert {job.given["inventory"] for job in server.jobs} == {7}


def test_a_trial_of_the_actions_template_is_a_pre_check(tmp_path: Path, server: Awx, target: dict[str, str]) -> None:
    runbook = write(tmp_path, "awx", PHASES.replace("template = 41", 'template = "action"\njob_type = "check"'))
    assert "does not prompt for job_type" in run(runbook, target).message
    server.named("action").fields["ask_job_type_on_launch"] = True
    assert run(runbook, target).status == "succeeded"
    assert [job.given["job_type"] for job in server.launched("action")] == ["check", "run"]


def test_the_limit_is_one_host_of_the_inventory(limited: Runbook, server: Awx, target: dict[str, str]) -> None:
    for template in server.templates.values():
        template.fields["inventory"] = 8
    target["inventory"] = "8"
    assert run(limited, target, **on("web3")).status == "succeeded"
    assert [job.given["limit"] for job in server.jobs] == ["web3"] * 3


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("web99", "no host that is called exactly"),
        ("WEB3", "no host that is called exactly"),
        ("all", "is no name of one host"),
        ("ungrouped", "is no name of one host"),
        ("web5", "is a group too"),
        ("web9", "is switched off"),
        *[(pattern, "is no name of one host") for pattern in ("web1,web2", "web*", "web1:web2", "!web1", "&web1")],
        *[(pattern, "is no name of one host") for pattern in ("~web.*", "@file", "web[1:3]", "web1 web2", "-web1")],
        ("", "machine"),
    ],
)
def test_no_limit_is_a_pattern_a_group_or_a_host_of_elsewhere(
    limited: Runbook, server: Awx, target: dict[str, str], host: str, words: str
) -> None:
    for template in server.templates.values():
        template.fields["inventory"] = 8
    outcome = run(limited, {**target, "inventory": "8"}, **on(host))
    assert outcome.status in ("refused", "failed")
    assert words in outcome.message
    assert server.jobs == []


def test_only_hosts_on_the_targets_own_list_are_limits(limited: Runbook, server: Awx, target: dict[str, str]) -> None:
    assert "none of the target's 1 hosts" in run(limited, {**target, "hosts": '["db1"]'}, **on("web1")).message
    assert run(limited, {**target, "hosts": '["web1"]'}, **on("web1")).status == "succeeded"


def test_a_template_that_does_not_prompt_for_the_limit_is_refused(
    limited: Runbook, server: Awx, target: dict[str, str]
) -> None:
    server.named("post_check").fields["ask_limit_on_launch"] = False
    assert "does not prompt for limit" in run(limited, target, **on("web1")).message
    assert server.jobs == []


@pytest.mark.parametrize("drop", ["limit", "user_name"])
def test_a_field_that_is_dropped_all_the_same_ends_the_job_and_raises_the_alarm(
    limited: Runbook, server: Awx, target: dict[str, str], drop: str
) -> None:
    for template in server.templates.values():
        template.pending, template.seconds = NEVER, NEVER
    server.drops = {drop}
    outcome = run(limited, target, **on("web1"))
    assert outcome.alarm
    assert outcome.changed_nothing
    assert "ended before it began" in outcome.message
    assert [job.was_cancelled() for job in server.jobs] == [True]


def test_ignored_fields_raise_the_alarm_though_the_job_looks_as_it_should(
    book: Runbook, server: Awx, target: dict[str, str]
) -> None:
    server.ignores = {"extra_vars": {"user_name": "j.smith"}}
    server.named("pre_check").pending = server.named("pre_check").seconds = NEVER
    outcome = run(book, target)
    assert outcome.alarm
    assert "it dropped extra_vars" in outcome.message
    assert server.jobs[0].was_cancelled()


def test_a_dropped_limit_whose_job_had_begun_is_unknown_and_raises_the_alarm(
    limited: Runbook, server: Awx, target: dict[str, str]
) -> None:
    server.named("action").seconds = NEVER
    server.before_answer = lambda request: server.drops.update({"limit"} if server.launched("pre_check") else ())
    outcome = run(limited, target, **on("web1"))
    assert (outcome.status, outcome.alarm) == ("unknown", True)
    assert "ended after it had begun" in outcome.message
    assert server.launched("post_check") == []


def test_a_job_that_cannot_be_ended_is_said_to_go_on(limited: Runbook, server: Awx, target: dict[str, str]) -> None:
    server.named("pre_check").seconds = NEVER
    server.named("pre_check").cancel_seconds = NEVER
    server.drops = {"limit"}
    outcome = run(limited, target, **on("web1"))
    assert (outcome.status, outcome.alarm) == ("unknown", True)
    assert "could not be ended and may go on" in outcome.message


@pytest.mark.parametrize("rewrite", [{"inventory": 8}, {"limit": "all"}, {"job_type": "check"}, {"extra_vars": "{}"}])
def test_a_job_that_says_it_is_another_raises_the_alarm(
    limited: Runbook, server: Awx, target: dict[str, str], rewrite: dict[str, Any]
) -> None:
    def change(request: Any) -> None:
        server.rewrites = rewrite if server.launched("pre_check") else {}

    server.before_answer = change
    outcome = run(limited, target, **on("web1"))
    assert outcome.alarm
    assert outcome.status == "unknown"
    assert server.launched("post_check") == []


@pytest.mark.parametrize("how", ["drop", "cut", "garbage", "late", "huge"])
def test_a_lost_answer_to_the_action_is_found_by_its_identity_and_followed(
    book: Runbook, server: Awx, target: dict[str, str], how: str
) -> None:
    server.faults = [Fault("POST .*/42/launch/", how, status=504)]
    outcome = run(book, target)
    assert outcome.status == "succeeded"
    assert len(server.launched("action")) == 1


def test_a_slow_answer_is_a_lost_one(book: Runbook, server: Awx, target: dict[str, str]) -> None:
    server.faults = [Fault("POST .*/42/launch/", "slow", seconds=0.7)]
    assert run(book, target).status == "succeeded"
    assert len(server.launched("action")) == 1


def test_a_lost_answer_whose_job_is_not_found_is_unknown_and_never_launched_again(
    book: Runbook, server: Awx, target: dict[str, str]
) -> None:
    server.faults = [
        Fault("POST .*/42/launch/", "refuse", status=503),
    ]
    told = Told()
    outcome = run(book, target, told)
    assert (outcome.status, outcome.phase) == ("unknown", "action")
    assert "503" in outcome.message
    assert len(server.asked("POST .*/42/launch/")) == 1
    assert server.launched("post_check") == []


def test_a_lost_answer_whose_job_dropped_a_field_raises_the_alarm(
    limited: Runbook, server: Awx, target: dict[str, str]
) -> None:
    server.named("action").seconds = NEVER
    server.faults = [Fault("POST .*/42/launch/", "drop")]
    server.before_answer = lambda request: server.drops.update({"limit"} if server.launched("pre_check") else ())
    outcome = run(limited, target, **on("web1"))
    assert (outcome.status, outcome.alarm) == ("unknown", True)
    assert server.launched("action")[0].was_cancelled()


def test_two_jobs_of_one_identity_are_unknown(book: Runbook, server: Awx, target: dict[str, str]) -> None:
    def relaunch(request: Any) -> None:
        if request.method == "POST" and len(server.launched("action")) == 1:
            server.answer(request)

    server.faults = [Fault("POST .*/42/launch/", "drop")]
    server.before_answer = relaunch
    outcome = run(book, target)
    assert outcome.status == "unknown"
    assert "2 jobs are found" in outcome.message


def test_jobs_of_other_runs_and_phases_are_not_taken_for_the_lost_one(
    book: Runbook, server: Awx, target: dict[str, str]
) -> None:
    assert run(book, target, run_id="another-run").status == "succeeded"
    server.faults = [Fault("POST .*/42/launch/", "refuse", status=500)]
    assert run(book, target).status == "unknown"


def test_a_check_whose_launch_is_lost_is_launched_again(book: Runbook, server: Awx, target: dict[str, str]) -> None:
    server.faults = [
        Fault("POST .*/41/launch/", "refuse", status=503),
        Fault("POST .*/43/launch/", "refuse", status=503),
    ]
    assert run(book, target).status == "succeeded"
    assert [job.phase_of for job in server.jobs] == ["pre_check", "action", "post_check"]


@pytest.mark.parametrize("status", [425, 429])
def test_a_launch_that_was_put_off_for_certain_is_tried_again(
    book: Runbook, server: Awx, target: dict[str, str], status: int
) -> None:
    server.faults = [Fault("POST .*/42/launch/", "refuse", status=status)]
    assert run(book, target).status == "succeeded"
    assert len(server.launched("action")) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405])
def test_a_refused_action_is_no_failed_one_nothing_is_undone(
    book: Runbook, server: Awx, target: dict[str, str], status: int
) -> None:
    server.faults = [Fault("POST .*/42/launch/", "refuse", status=status)]
    outcome = run(book, target)
    assert (outcome.status, outcome.phase, outcome.changed_nothing) == ("failed", "pre_check", True)
    assert str(status) in outcome.message
    assert [job.phase_of for job in server.jobs] == ["pre_check"]


def test_redirects_are_not_followed(book: Runbook, server: Awx, target: dict[str, str]) -> None:
    server.faults = [Fault("GET .*/41/launch/", "redirect")]
    outcome = run(book, target)
    assert "redirects (302), which is not followed" in outcome.message
    assert server.asked("elsewhere") == []


def test_looks_that_fail_for_a_while_change_nothing(book: Runbook, server: Awx, target: dict[str, str]) -> None:
    server.faults = [
        Fault(r"GET .*/jobs/\d+/$", how, times=1, status=status)
        for how, status in (
            ("refuse", 502),
            ("refuse", 429),
            ("drop", 0),
            ("cut", 0),
            ("garbage", 0),
            ("huge", 0),
            ("refuse", 401),
        )
    ]
    assert run(book, target).status == "succeeded"


def test_a_server_that_is_not_there_refuses_nothing_and_changes_nothing(book: Runbook, target: dict[str, str]) -> None:
    outcome = run(book, {**target, "url": "http://127.0.0.1:1"})
    assert (outcome.status, outcome.changed_nothing) == ("failed", True)
    assert "does not answer" in outcome.message


def test_a_huge_output_is_cut_and_the_run_goes_on(book: Runbook, server: Awx, target: dict[str, str]) -> None:
    server.most_shown = 1 << 30
    server.named("action").lines = [f"{number:06} {'x' * 400}" for number in range(4_000)]
    outcome = run(book, target)
    assert outcome.status == "succeeded"
    assert len(outcome.output.encode()) <= OUTPUT_LIMIT
    assert "000000 x" in outcome.output
    read = [each for each in server.asked("stdout") if int(each.query["start_line"]) > 3_000]
    assert read == []


def test_an_output_that_awx_does_not_show_is_said_so_once(book: Runbook, server: Awx, target: dict[str, str]) -> None:
    server.most_shown = 1_000
    server.named("action").lines = ["x" * 100] * 20
    outcome = run(book, target)
    assert outcome.output.count("Standard Output too large") == 1


def test_output_is_told_while_the_job_runs_and_only_once(book: Runbook, server: Awx, target: dict[str, str]) -> None:
    server.named("action").seconds = 0.2
    told = Told()
    seen: list[bool] = []
    server.before_answer = lambda request: seen.append(
        "PLAY [action]" in "".join(told.output) and server.jobs[-1].phase_of == "action" and not server.jobs[-1].ended()
    )
    outcome = run(book, target, told)
    assert any(seen)
    assert outcome.output.count("PLAY [action]") == 1
    assert "\x1b" not in outcome.output


def test_a_job_that_never_ends_is_cancelled_at_the_time_limit(
    book: Runbook, server: Awx, target: dict[str, str]
) -> None:
    server.named("action").seconds = NEVER
    server.named("action").cancel_seconds = 0.1
    outcome = run(book, target, time_limit=0.6)
    assert (outcome.status, outcome.phase) == ("unknown", "action")
    assert "time limit of 0.6 s was reached" in outcome.message
    assert "could not be ended" not in outcome.message
    assert server.launched("action")[0].was_cancelled()


def test_a_job_that_cannot_be_cancelled_is_said_so(book: Runbook, server: Awx, target: dict[str, str]) -> None:
    server.named("action").seconds = NEVER
    server.named("action").cancel_seconds = NEVER
    outcome = run(book, target, time_limit=0.4)
    assert "could not be ended and may go on" in outcome.message


def test_a_person_ends_a_run_by_cancelling_its_job(book: Runbook, server: Awx, target: dict[str, str]) -> None:
    server.named("pre_check").seconds = NEVER
    outcome = run(book, target, Told(stop="a person ended it"))
    assert (outcome.status, outcome.changed_nothing) == ("failed", True)
    assert "a person ended it" in outcome.message
    assert server.jobs[0].was_cancelled()


def test_nobody_cancels_what_has_ended(book: Runbook, server: Awx, target: dict[str, str]) -> None:
    run(book, target)
    jobs = awx.AwxJobs(book, parameters={"account": "j.smith"}, target=target, run_id=RUN)
    jobs.cancel(str(server.jobs[0].number))
    assert server.asked("POST .*/cancel/") == []


def test_numbers_and_addresses_of_answers_lead_nowhere_else(book: Runbook, server: Awx, target: dict[str, str]) -> None:
    run(book, target)
    assert all(each.path.startswith("/api/v2/") for each in server.requests)
    jobs = awx.AwxJobs(book, parameters={"account": "j.smith"}, target=target, run_id=RUN)
    before = len(server.requests)
    for odd in ("../users/1", "1/../2", "", "-1", "1e3"):
        with pytest.raises(remote.RemoteError):
            jobs.look(odd)
    assert len(server.requests) == before


def test_the_token_stands_in_no_message_and_no_output(
    book: Runbook, server: Awx, target: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    server.named("action").lines = [f"debug: {TOKEN}", "more"]
    told = Told()
    outcomes = [run(book, target, told)]
    server.faults = [
        Fault("GET .*/42/launch/", "refuse", status=403),
        Fault("POST .*/41/launch/", "refuse", status=500),
    ]
    outcomes += [run(book, target, told), run(book, {**target, "token": f"{TOKEN}-no"}, told)]
    assert "give the target a token that is valid" in outcomes[2].message
    texts = [outcome.message + outcome.output for outcome in outcomes] + told.output + told.jobs + [caplog.text]
    assert not any(TOKEN in text for text in texts)
    assert "debug: ****" in outcomes[0].output


@pytest.mark.parametrize("at", [1, 2, 4, 5, 6])
def test_another_worker_goes_on_after_kill_9(
    book: Runbook, server: Awx, target: dict[str, str], workers: Workers, tmp_path: Path, at: int
) -> None:
    server.named("action").seconds = 0.1
    state = workers.killed(book, target, tmp_path / "states", at=at)
    told = Told()
    outcome = run(book, target, told, job=state)
    assert outcome.status == "succeeded"
    assert [len(server.launched(phase)) for phase in ("pre_check", "action", "post_check")] == [1, 1, 1]
    assert told.starts == (1 if at < 3 else 0)


def test_killed_before_the_action_was_launched_is_unknown(
    book: Runbook, server: Awx, target: dict[str, str], workers: Workers, tmp_path: Path
) -> None:
    state = workers.killed(book, target, tmp_path / "states", at=3)
    outcome = run(book, target, job=state)
    assert outcome.status == "unknown"
    assert server.launched("action") == []


def test_killed_between_the_launch_and_its_answer_is_found(
    book: Runbook, server: Awx, target: dict[str, str], workers: Workers, tmp_path: Path
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


def test_a_worker_that_lost_its_claim_launches_nothing_more(book: Runbook, server: Awx, target: dict[str, str]) -> None:
    class Lost(Exception):
        pass

    def fenced(text: str) -> None:
        if json.loads(text)["phase"] == "action":
            raise Lost

    with pytest.raises(Lost):
        awx.execute(book, parameters={"account": "j.smith"}, target=target, run_id=RUN, watch=Watch(on_job=fenced))
    assert [job.phase_of for job in server.jobs] == ["pre_check"]


def test_two_workers_that_follow_one_run_launch_its_action_once(
    book: Runbook, server: Awx, target: dict[str, str]
) -> None:
    told = Told()
    run(book, target, told)
    known = next(text for text in told.jobs if json.loads(text)["phase"] == "action" and json.loads(text)["job"])
    assert [run(book, target, job=known).status for _ in range(2)] == ["succeeded", "succeeded"]
    assert len(server.launched("action")) == 1


def test_an_unreachable_awx_after_the_action_is_unknown_and_undoes_nothing(
    book: Runbook, server: Awx, target: dict[str, str]
) -> None:
    def go_away(_: object) -> None:
        if server.launched("action"):
            server.faults = [Fault("GET .*/43/launch/", "refuse", status=503)]

    server.before_answer = go_away
    outcome = run(book, target)
    assert outcome.status == "unknown"
    assert "the job could not be launched" in outcome.message
    assert server.launched("undo") == []


def test_a_run_that_must_end_launches_nothing_more_and_waits_for_nothing(
    book: Runbook, server: Awx, target: dict[str, str]
) -> None:
    server.faults = [Fault("POST .*/41/launch/", "refuse", times=9, status=429)]
    outcome = run(book, target, Told(stop="a person ended it"))
    assert "a person ended it" in outcome.message
    assert len(server.asked("POST .*/41/launch/")) == 1


def test_a_worker_that_goes_on_late_still_looks_how_the_job_ended(
    book: Runbook, server: Awx, target: dict[str, str]
) -> None:
    told = Told()
    server.named("action").seconds = 0.3
    run(book, target, told, time_limit=0.2)
    known = next(text for text in told.jobs if json.loads(text)["phase"] == "action" and json.loads(text)["job"])
    server.named("action").seconds = 0.0
    server.launched("action")[0].cancelled = None
    assert json.loads(known)["ends_at"] < time.time() + 1
    server.launched("action")[0].seconds = time.time() - server.launched("action")[0].began + 0.3
    late = json.dumps(json.loads(known) | {"ends_at": 1.0})
    assert run(book, target, job=late).status == "succeeded"


@pytest.mark.parametrize("job", ["nonsense", "[]", '{"phase": "action", "what": 1}'])
def test_a_state_that_nobody_wrote_is_unknown(book: Runbook, server: Awx, target: dict[str, str], job: str) -> None:
    assert run(book, target, job=job).status == "unknown"
    assert server.requests == []


def test_a_target_that_no_longer_fits_leaves_a_begun_run_unknown(book: Runbook, target: dict[str, str]) -> None:
    broken = {**target, "inventory": "none"}
    assert run(book, broken).status == "failed"
    assert run(book, broken, job='{"phase": "pre_check"}').status == "failed"
    assert run(book, broken, job='{"phase": "action"}').status == "unknown"


def test_a_rehearsal_launches_the_pre_check_alone(book: Runbook, server: Awx, target: dict[str, str]) -> None:
    tried = rehearsal.pre_check(book, parameters={"account": "j.smith"}, target=target)
    assert tried.passed
    assert [job.phase_of for job in server.jobs] == ["pre_check"]


@pytest.mark.parametrize(
    ("change", "changes"),
    [
        (lambda s: s.projects[3].update(scm_revision="b" * 40), True),
        (lambda s: s.projects[3].update(scm_branch="next"), True),
        (lambda s: s.named("undo").fields.update(playbook="other.yml"), True),
        (lambda s: s.named("action").fields.update(extra_vars="force: true"), True),
        (lambda s: s.named("action").fields.update(become_enabled=True), True),
        (lambda s: s.named("action").fields.update(limit="web*"), True),
        (lambda s: s.named("pre_check").credentials.append(12), True),
        (lambda s: s.named("action").survey[1].update(default="root"), True),
        (lambda s: s.environments[5].update(image="quay.example/ee:2"), True),
        (lambda s: s.named("action").fields.update(description="words"), False),
        (lambda s: s.jobs.clear(), False),
    ],
)
def test_the_version_is_that_of_all_that_would_run(
    book: Runbook, server: Awx, target: dict[str, str], change: Any, changes: bool
) -> None:
    before = VERSIONS["awx"](book, target=target)
    change(server)
    assert (VERSIONS["awx"](book, target=target) != before) is changes
    assert server.asked("POST") == []


def test_the_version_is_the_inventorys_too(book: Runbook, target: dict[str, str]) -> None:
    assert awx.version(book, target=target) != awx.version(book, target={**target, "inventory": "8"})


def test_what_is_not_fixed_has_no_version(book: Runbook, server: Awx, target: dict[str, str]) -> None:
    server.projects[3]["scm_update_on_launch"] = True
    with pytest.raises(TargetError, match="Update revision"):
        awx.version(book, target=target)
    server.projects[3]["scm_update_on_launch"] = False
    server.named("undo").credentials = list(range(1, 302))
    with pytest.raises(TargetError, match="more credentials than can be compared"):
        awx.version(book, target=target)
    with pytest.raises(TargetError, match="does not answer"):
        awx.version(book, target={**target, "url": "http://127.0.0.1:1"})
