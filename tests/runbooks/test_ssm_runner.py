"""Runs by AWS Automation documents against an account on loopback: once each, followed, found again, bounded."""

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from runbooks.base import Parameter, Runbook
from runbooks.outcome import Outcome
from runbooks.runners import remote, ssm, ssm_executions
from runbooks.runners.ssm_sources import DocumentPhases
from runbooks.targets import TargetError
from runbooks.watch import Watch
from tests.runbooks import remote_runs, ssm_server
from tests.runbooks.remote_runs import Workers
from tests.runbooks.ssm_server import Account

INSTANCE = "i-0123456789abcdef0"
INSTANCE_ID = {"type": "String", "allowedPattern": "^i-[0-9a-f]{8,17}$"}
RUN = [{"name": "work", "action": "aws:runCommand", "inputs": {"Parameters": {"commands": ["x {{ InstanceId }}"]}}}]
PHASES = ("pre_check", "action", "post_check", "undo", "undo_check")


class _Lost(Exception):
    """The worker is gone."""


@pytest.fixture(scope="module")
def server() -> Iterator[Account]:
    with ssm_server.serving() as account:
        yield account


@pytest.fixture
def account(server: Account, monkeypatch: pytest.MonkeyPatch) -> Account:
    """The account as if new, with a document for each phase; pauses are short."""
    for kept in (server.documents, server.executions, server.behaviours, server.asked):
        kept.clear()
    for counter in (server.throttle, server.drop, server.break_down):
        counter.clear()
    server.roles.clear()
    for phase in PHASES:
        server.put(f"Acme-{phase}", "3", parameters={"InstanceId": INSTANCE_ID}, mainSteps=RUN)
    monkeypatch.setattr(ssm_executions, "START_PAUSES", (0.01, 0.02, 0.03))
    monkeypatch.setattr(remote, "FIND_SECONDS", (0.01, 0.02))
    monkeypatch.setattr(remote, "LAUNCH_SECONDS", (0.01, 0.02))
    monkeypatch.setattr(remote, "POLL_SECONDS", (0.01,))
    return server


def runbook(tmp_path: Path, phases: Mapping[str, Any] | None = None, **changes: Any) -> Runbook:
    told = {
        phase: {"document": f"Acme-{phase}", "version": "3", "parameters": {"InstanceId": "{instance}"}}
        for phase in PHASES
    }
    table = DocumentPhases.model_validate_json(json.dumps({**told, **(phases or {})}))
    given: dict[str, Any] = {
        "key": "restart_instance", "title": "Restart an instance", "owner": "cloud", "tier": "medium",
        "reversible": True, "assurance": "none", "runner": "ssm", "target_kind": "ssm", "folder": tmp_path,
        "settings": table.model_dump(mode="json"),
        "parameters": (Parameter(name="instance", kind="text", title="the instance", fields=("instance",)),),
    }  # fmt: skip
    return Runbook(**{**given, **changes})


@pytest.fixture
def run(account: Account, tmp_path: Path) -> Callable[..., Outcome]:
    """Execute the runbook for one instance."""

    def execute(*, value: str = INSTANCE, **more: Any) -> Outcome:
        book = runbook(tmp_path, more.pop("phases", None), **more.pop("changes", {}))
        target = account.settings(**more.pop("settings", {}))
        given = {"parameters": {"instance": value}, "target": target, "run_id": "run-1", **more}
        return ssm.execute(book, **given)

    return execute


def names(account: Account) -> list[str]:
    return [one["request"]["DocumentName"].removeprefix("Acme-") for one in account.started()]


def test_a_run_starts_one_execution_a_phase_with_its_version_value_and_identity(
    account: Account, run: Callable[..., Outcome]
) -> None:
    account.behave("Acme-action", "Pending", "InProgress", "Success", output="2 units restarted")
    told: list[str] = []
    jobs: list[str] = []
    outcome = run(watch=Watch(on_phase=told.append, on_job=jobs.append, on_output=told.append))
    assert outcome.status == "succeeded", outcome.message
    assert names(account) == ["pre_check", "action", "post_check"]
    request = account.started("Acme-action")[0]["request"]
    assert request["DocumentVersion"] == "3"
    assert request["Parameters"] == {"InstanceId": [INSTANCE]}
    assert {"Key": "triage:run", "Value": "run-1"} in request["Tags"]
    assert "MaxErrors" not in request
    assert len({one["request"]["ClientToken"] for one in account.started()}) == 3
    assert "step work (aws:runCommand): InProgress\n" in outcome.output
    assert "Output: 2 units restarted" in outcome.output
    assert outcome.output.count("InProgress") == 1
    assert json.loads(jobs[-1])["job"] == account.started("Acme-post_check")[0]["id"]


def test_a_failing_check_refuses_or_undoes_and_says_what_aws_said(
    account: Account, run: Callable[..., Outcome]
) -> None:
    account.behave("Acme-pre_check", "Failed", failure="the instance is protected")
    refused = run()
    assert (refused.status, names(account)) == ("refused", ["pre_check"])
    assert "the instance is protected" in refused.message
    account.behave("Acme-pre_check")
    account.behave("Acme-post_check", "TimedOut")
    undone = run(run_id="run-2")
    assert (undone.status, names(account)[1:]) == ("undone", list(PHASES))
    assert "ended as TimedOut at step work" in undone.message


def test_a_lost_answer_and_a_server_that_broke_down_never_make_a_second_execution(
    account: Account, run: Callable[..., Outcome]
) -> None:
    account.drop["StartAutomationExecution"] = 2
    outcome = run()
    assert outcome.status == "succeeded", outcome.message
    assert names(account) == ["pre_check", "action", "post_check"]
    assert account.asked["StartAutomationExecution"] == 5
    account.break_down["StartAutomationExecution"] = 1
    assert run(run_id="run-2").status == "succeeded"
    assert len(account.started()) == 6


def test_throttling_is_waited_out_and_what_was_never_taken_is_no_unknown(
    account: Account, run: Callable[..., Outcome]
) -> None:
    account.throttle["StartAutomationExecution"] = 2
    account.throttle["GetAutomationExecution"] = 1
    assert run().status == "succeeded"
    account.throttle["StartAutomationExecution"] = 1000
    outcome = run(run_id="run-2")
    assert outcome.changed_nothing
    assert "ThrottlingException" in outcome.message
    assert len(account.started()) == 3


def test_answers_that_never_come_are_looked_up_by_the_runs_tags(
    account: Account, run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssm_executions, "START_PAUSES", ())
    for number in range(12):
        tags = [{"Key": "triage:run", "Value": f"other-{number}"}, {"Key": "triage:phase", "Value": "pre_check"}]
        given = {"DocumentName": "Acme-pre_check", "DocumentVersion": "3", "ClientToken": str(uuid.uuid4())}
        account.StartAutomationExecution({**given, "Tags": tags, "Parameters": {"InstanceId": [INSTANCE]}})
    account.drop["StartAutomationExecution"] = 1
    outcome = run()
    assert outcome.status == "succeeded", outcome.message
    assert names(account)[12:] == ["pre_check", "action", "post_check"]
    assert account.asked["DescribeAutomationExecutions"] == 2, "13 executions of the document, ten a page"


def test_a_token_that_belongs_to_another_request_is_not_started_again(
    account: Account, run: Callable[..., Outcome]
) -> None:
    assert run().status == "succeeded"
    outcome = run(value="i-0123456789abcdef1")
    assert outcome.status == "succeeded"
    assert len(account.started()) == 3, "the checks and the action of this run were started before"


@pytest.mark.parametrize("known", [False, True])
def test_another_worker_goes_on_with_a_run_whose_worker_was_lost(
    known: bool, account: Account, run: Callable[..., Outcome]
) -> None:
    jobs: list[str] = []

    def told(job: str) -> None:
        jobs.append(job)
        state = json.loads(job)
        if state["phase"] == "action" and state["job"]:
            raise _Lost

    account.behave("Acme-action", "InProgress", "Success")
    with pytest.raises(_Lost):
        run(watch=Watch(on_job=told))
    asked = account.asked["StartAutomationExecution"]
    started: list[str] = []
    outcome = run(job=jobs[-1 if known else -2], watch=Watch(on_start=lambda: started.append("again")))
    assert outcome.status == "succeeded", outcome.message
    assert started == []
    assert account.asked["StartAutomationExecution"] == asked + 1, "the post-check's"
    assert names(account) == ["pre_check", "action", "post_check"]


TABLE = "".join(
    f"""
[ssm.{phase}]
document = "Acme-{phase}"
version = "3"
parameters = {{ User = "{{account}}" }}
"""
    for phase in PHASES
)


@pytest.mark.parametrize("at", [2, 3, 4])
def test_a_worker_killed_at_any_stored_state_leaves_one_execution_a_phase_at_most(
    at: int, account: Account, workers: Workers, tmp_path: Path
) -> None:
    for phase in PHASES:
        declared = {"User": {"type": "String", "allowedPattern": "^[a-z.]+$"}}
        account.put(f"Acme-{phase}", "3", parameters=declared, mainSteps=[])
    book = remote_runs.write(tmp_path, "ssm", TABLE)
    state = workers.killed(book, account.settings(), tmp_path / "states", at=at)
    outcome = remote_runs.run(book, account.settings(), job=state)
    # at 3 it is known that the action was to be started, and not whether it was
    assert outcome.status == ("unknown" if at == 3 else "succeeded"), outcome.message
    assert names(account) == (["pre_check"] if at == 3 else ["pre_check", "action", "post_check"])


def test_a_host_is_an_instance_that_the_target_names(account: Account, run: Callable[..., Outcome]) -> None:
    changes = {"parameters": (Parameter(name="instance", kind="host", title="the host"),)}
    hosts = {"hosts": json.dumps({"web1": INSTANCE})}
    assert run(value="web1", changes=changes, settings=hosts).status == "succeeded"
    assert account.started("Acme-action")[0]["request"]["Parameters"] == {"InstanceId": [INSTANCE]}
    refused = run(value="web2", changes=changes, settings=hosts, run_id="run-2")
    assert refused.changed_nothing
    assert "'web2' is none of the target's 1 hosts" in refused.message


def test_an_action_whose_launch_cannot_be_found_is_unknown_and_not_started(
    account: Account, run: Callable[..., Outcome]
) -> None:
    jobs: list[str] = []

    def told(job: str) -> None:
        jobs.append(job)
        if json.loads(job)["phase"] == "action":
            raise _Lost

    with pytest.raises(_Lost):
        run(watch=Watch(on_job=told))
    assert run(job=jobs[-1]).status == "unknown"
    assert names(account) == ["pre_check"]


def test_an_execution_that_waits_for_an_approval_is_shown_and_ends_with_the_time_limit(
    account: Account, run: Callable[..., Outcome]
) -> None:
    account.behave("Acme-action", "Waiting")
    shown: list[str] = []
    outcome = run(time_limit=0.4, watch=Watch(on_output=shown.append))
    assert outcome.status == "unknown"
    assert "time limit" in outcome.message
    assert "step work (aws:approve): waits for an approval in AWS" in "".join(shown)
    assert account.started("Acme-action")[0]["stopped"]
    looks = 0

    def approve() -> str:
        nonlocal looks
        looks += 1
        if looks == 3:
            account.approve("Acme-action")
        return ""

    account.behave("Acme-action", "Waiting")
    assert run(run_id="run-2", watch=Watch(stop=approve)).status == "succeeded"


def test_an_execution_that_does_not_stop_is_named(
    account: Account, run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "CANCEL_SECONDS", 0.2)
    account.behave("Acme-action", "InProgress", stubborn=True)
    outcome = run(watch=Watch(stop=lambda: "somebody asked" if account.started("Acme-action") else ""))
    assert outcome.status == "unknown"
    assert f"job {account.started('Acme-action')[0]['id']} could not be ended" in outcome.message


def test_a_document_that_would_paste_a_value_into_commands_stops_the_run_before_its_pre_check(
    account: Account, run: Callable[..., Outcome]
) -> None:
    account.put("Acme-post_check", "3", parameters={"InstanceId": {"type": "String"}}, mainSteps=RUN)
    outcome = run()
    assert outcome.status == "refused"
    assert "the document Acme-post_check version 3 for the post-check is not started: InstanceId" in outcome.message
    assert account.started() == []


def test_a_missing_parameter_a_wrong_version_and_another_kind_of_document_are_refused_before_anything_starts(
    account: Account, run: Callable[..., Outcome]
) -> None:
    account.put("Acme-action", "3", parameters={"InstanceId": INSTANCE_ID, "Reason": {"type": "String"}}, mainSteps=RUN)
    assert "its parameter Reason has no default and gets no value" in run().message
    account.put("Acme-action", "3", parameters={}, mainSteps=[])
    assert "it has no parameter InstanceId" in run(run_id="run-2").message
    account.put("Acme-action", "3", kind="Command", parameters={"InstanceId": INSTANCE_ID})
    assert "of the type Command" in run(run_id="run-3").message
    del account.documents["Acme-action"]["3"]
    outcome = run(run_id="run-4")
    assert outcome.changed_nothing
    assert "InvalidDocument" in outcome.message
    assert account.started() == []


def test_rates_are_sent_only_where_the_settings_say_so_and_within_what_the_target_allows(
    account: Account, run: Callable[..., Outcome]
) -> None:
    def action(**targets: Any) -> dict[str, Any]:
        rated = {"parameter": "InstanceId", "max_concurrency": "2", "max_errors": "3", **targets}
        return {"action": {"document": "Acme-action", "version": "3", "targets": rated}}

    assert run(phases=action(values=["{instance}"])).status == "succeeded"
    request = account.started("Acme-action")[0]["request"]
    assert request["Targets"] == [{"Key": "ParameterValues", "Values": [INSTANCE]}]
    assert (request["TargetParameterName"], request["MaxConcurrency"], request["MaxErrors"]) == ("InstanceId", "2", "3")
    assert "Parameters" not in request
    two = action(values=["{instance}", "i-0123456789abcdef1"])
    assert "allow no 2 targets" in run(run_id="run-2", phases=two).message
    assert run(run_id="run-3", phases=two, settings={"max_targets": "2"}).status == "succeeded"
    web = action(key="tag:Role", values=["web"])
    assert run(run_id="run-4", phases=web).status == "refused"
    groups = {"target_groups": '["tag:Role=web"]'}
    assert run(run_id="run-5", phases=web, settings=groups).status == "succeeded"
    account.behave("Acme-action", counters={"TotalSteps": 4, "FailedSteps": 1, "SuccessSteps": 3})
    outcome = run(run_id="run-6", phases=web, settings=groups)
    assert "1 of 4 targets did not succeed" in outcome.message
    with pytest.raises(ValueError, match="no group of them"):
        run(phases=action(key="tag:Role", values=["{instance}"]))


def test_a_role_is_taken_on_for_the_run_and_no_secret_is_ever_shown(
    account: Account, run: Callable[..., Outcome]
) -> None:
    role = {"role_arn": ssm_server.ROLE, "external_id": "our-id", "sts_endpoint_url": account.url}
    assert run(settings=role).status == "succeeded"
    assert [one["RoleSessionName"] for one in account.roles] == ["triage-run-1"]
    refused = run(run_id="run-2", settings={**role, "external_id": "another"})
    assert refused.changed_nothing
    assert "AccessDenied" in refused.message
    account.behave("Acme-pre_check", "Failed", failure=f"the key {ssm_server.SECRET} of {ssm_server.KEY} leaked")
    leaked = run(run_id="run-3")
    assert "the key **** of **** leaked" in leaked.message
    wrong = run(run_id="run-4", settings={"secret_access_key": "wrong-secret-4711"})
    assert wrong.changed_nothing
    assert "InvalidSignatureException" in wrong.message


def test_a_look_says_whether_the_account_lets_us_in(account: Account) -> None:
    assert ssm.look(account.settings()) == "signed in to AWS Systems Manager in eu-central-1"
    with pytest.raises(TargetError, match="InvalidSignatureException"):
        ssm.look(account.settings(secret_access_key="wrong-secret-4711"))
    assert account.started() == []


def test_the_version_is_that_of_all_documents_and_those_they_name(account: Account, tmp_path: Path) -> None:
    book = runbook(tmp_path)
    first = ssm.version(book, target=account.settings())
    assert first == ssm.version(book, target=account.settings())
    inner = [{**RUN[0], "inputs": {"DocumentName": "Acme-inner"}}]
    account.put("Acme-inner", "1", kind="Command", mainSteps=[])
    account.put("Acme-action", "3", parameters={"InstanceId": INSTANCE_ID}, mainSteps=inner)
    second = ssm.version(book, target=account.settings())
    account.put("Acme-inner", "2", kind="Command", mainSteps=["another"])
    third = ssm.version(book, target=account.settings())
    assert len({first, second, third}) == 3
    del account.documents["Acme-inner"]
    with pytest.raises(TargetError, match="InvalidDocument"):
        ssm.version(book, target=account.settings())


def test_an_account_that_nobody_serves_changes_nothing(run: Callable[..., Outcome]) -> None:
    outcome = run(settings={"endpoint_url": "http://127.0.0.1:1"})
    assert outcome.changed_nothing
    assert "AWS was not reached" in outcome.message
