"""One run's executions in AWS Systems Manager: vetted, started once each, found again, followed and ended.

A start carries a ClientToken made from run and phase: repeated with the same token and the same parameters it is the
same execution, with others it is refused as IdempotentParameterMismatch. AWS does not say for how long it remembers a
token, so a start is repeated within two minutes only; what was lost earlier is looked up by its tags.
"""

import random
import time
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from runbooks.runners import ssm_sources
from runbooks.runners.jobs import LaunchLost, LaunchRefused, RemoteError, Seen, State
from runbooks.runners.ssm_sources import DocumentPhase, DocumentPhases
from runbooks.targets.ssm import SsmSettings

START_PAUSES: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between starts that are repeated, each up to a quarter longer by chance."""
FIND_BACK_SECONDS = 2 * 3600
FIND_MOST = 200
OUTPUT_MOST = 4000
ENDED_ALREADY = "InvalidAutomationStatusUpdateException"

SUCCEEDED = ("Success", "CompletedWithSuccess")
FAILED = ("Failed", "TimedOut", "Rejected", "CompletedWithFailure", "ChangeCalendarOverrideRejected", "Exited")
CANCELED = ("Cancelled",)
WAITING = ("Waiting", "PendingApproval", "PendingChangeCalendarOverride")

_NAMESPACE = uuid.UUID("5b4f0e62-7a0c-4c0e-9a55-0f5d8a2b6c31")


class Unanswered(LaunchLost):
    """No answer came to a start, which may be repeated."""


class Asked(Protocol):
    """The account's Systems Manager; see `runbooks.runners.ssm.Client`."""

    def ask(self, operation: str, **request: Any) -> dict[str, Any]:
        """Ask what may be asked twice; RemoteError."""

    def start(self, request: Mapping[str, Any]) -> str:
        """Start an execution with one request; its id. RemoteError, LaunchRefused or LaunchLost, such as Unanswered."""

    def document(self, name: str, wanted: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """What AWS says of a document, and its content; RemoteError."""


class Executions:
    """One run's executions, as `runbooks.runners.remote.Jobs`."""

    def __init__(
        self,
        client: Asked,
        phases: DocumentPhases,
        settings: SsmSettings,
        parameters: Mapping[str, str],
        *,
        run_id: str,
        runbook: str,
        job: str = "",
    ) -> None:
        self._phases = phases.by_name()
        self._settings = settings
        self._parameters = parameters
        self._run_id = run_id
        self._runbook = runbook
        self._client = client
        self._began = time.time()
        if job:
            # An earlier worker's state tells by when the run must end, so it began before that.
            self._began = min(self._began, State.of(job).ends_at)
        self._read = False
        self._told: dict[str, str] = {}

    def launch(self, phase: str) -> str:
        """Start the phase's document; all phases' documents are read first, so that none is refused half-way."""
        if not self._read:
            for name, one in self._phases.items():
                self._vetted(name, one)
            self._read = True
        return self._started(self._request(phase))

    def planned(self, phase: str) -> dict[str, object]:
        """What `launch` would send for the phase, after the same look at its document."""
        self._vetted(phase, self._phases[phase])
        return self._request(phase)

    def find(self, phase: str) -> list[str]:
        """The executions of the phase's document that carry the tags of this run and phase."""
        document = self._phases[phase]
        since = datetime.fromtimestamp(self._began - FIND_BACK_SECONDS, UTC)
        filters = [{"Key": "StartTimeAfter", "Values": [since.strftime("%Y-%m-%dT%H:%M:%SZ")]}]
        if ":" not in document.document:  # another account's, by its ARN, may be listed under another name
            filters.append({"Key": "DocumentNamePrefix", "Values": [document.document]})
        found: list[str] = []
        token, looked = None, 0
        while True:
            page = {"Filters": filters, "MaxResults": 50, **({"NextToken": token} if token else {})}
            listed = self._client.ask("describe_automation_executions", **page)
            for one in listed["AutomationExecutionMetadataList"]:
                if one.get("ParentAutomationExecutionId") or one.get("DocumentVersion") != document.version:
                    continue
                looked += 1
                if looked > FIND_MOST:
                    raise RemoteError(f"more than {FIND_MOST} executions of {document.document} to look through")
                if self._is_ours(one["AutomationExecutionId"], phase):
                    found.append(one["AutomationExecutionId"])
            token = listed.get("NextToken")
            if not token:
                return found

    def look(self, job: str) -> Seen:
        """How the execution stands; what its steps did since the last look is its output."""
        one = self._client.ask("get_automation_execution", AutomationExecutionId=job)["AutomationExecution"]
        status = one["AutomationExecutionStatus"]
        output = "".join(self._news(job, one))
        if status in SUCCEEDED:
            lost = _lost_targets(one)
            return Seen("failed", lost, output) if lost else Seen("succeeded", "", output)
        if status in FAILED:
            return Seen("failed", _why(one), output)
        return Seen("canceled" if status in CANCELED else "running", _why(one) if status in CANCELED else "", output)

    def cancel(self, job: str) -> None:
        """Ask that the execution stop; the step under way may go on until it ends."""
        try:
            self._client.ask("stop_automation_execution", AutomationExecutionId=job, Type="Cancel")
        except RemoteError as error:
            if ENDED_ALREADY not in str(error):
                raise

    def _vetted(self, name: str, phase: DocumentPhase) -> None:
        told, content = self._client.document(phase.document, phase.version)
        wrong = []
        if told.get("DocumentType") != "Automation" or told.get("Status", "Active") != "Active":
            wrong.append(f"it is {told.get('Status', 'Active')} and of the type {told.get('DocumentType')}")
        rated = phase.targets
        gets = ssm_sources.given(phase, self._parameters)
        if rated and rated.key == "ParameterValues" and rated.parameter not in gets:
            wrong.append("its targets get no value")
        if rated and not self._settings.admits(rated.key, rated.values):
            wrong.append(f"the target's settings allow no {len(rated.values)} targets by {rated.key}")
        wrong += ssm_sources.problems(content, gets, rated=rated.parameter if rated else "")
        if wrong:
            where = f"the document {phase.document} version {phase.version} for the {name.replace('_', '-')}"
            raise LaunchRefused(f"{where} is not started: {'; '.join(wrong)}")

    def _request(self, name: str) -> dict[str, Any]:
        phase = self._phases[name]
        gets = {key: list(what.values) for key, what in ssm_sources.given(phase, self._parameters).items()}
        tags = {"triage:run": self._run_id, "triage:phase": name, "triage:runbook": self._runbook}
        request: dict[str, Any] = {
            "DocumentName": phase.document,
            "DocumentVersion": phase.version,
            "ClientToken": str(uuid.uuid5(_NAMESPACE, f"{self._run_id} {name}")),
            "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        }
        if phase.targets:
            rated = phase.targets
            named = gets.pop(rated.parameter) if rated.key == "ParameterValues" else list(rated.values)
            request["TargetParameterName"] = rated.parameter
            request["Targets"] = [{"Key": rated.key, "Values": named}]
            request["MaxConcurrency"], request["MaxErrors"] = rated.max_concurrency, rated.max_errors
        return {**request, **({"Parameters": gets} if gets else {})}

    def _started(self, request: Mapping[str, Any]) -> str:
        """Start it; a start without an answer is repeated, which is the same start."""
        lost = ""
        for pause in (*START_PAUSES, 0.0):
            try:
                return self._client.start(request)
            except Unanswered as error:
                lost = lost or str(error)
            except (LaunchRefused, RemoteError) as error:
                if not lost:
                    raise
                # Refused now, yet the one without an answer may have been taken.
                if isinstance(error, LaunchRefused):
                    raise LaunchLost(f"{lost}, then {error}") from error
            time.sleep(pause * random.uniform(1, 1.25))  # noqa: S311 - keeps workers apart, no secret
        raise LaunchLost(lost)

    def _is_ours(self, execution: str, phase: str) -> bool:
        told = self._client.ask("list_tags_for_resource", ResourceType="Automation", ResourceId=execution)
        tags = {tag["Key"]: tag["Value"] for tag in told.get("TagList", [])}
        return (tags.get("triage:run"), tags.get("triage:phase")) == (self._run_id, phase)

    def _news(self, job: str, execution: Mapping[str, Any]) -> Iterator[str]:
        """A line for each step whose state is another than at the last look, and what it brought forth."""
        for number, step in enumerate(execution.get("StepExecutions") or []):
            status = step.get("StepStatus", "")
            key = f"{job} {step.get('StepExecutionId') or number}"
            if status in ("", "Pending") or self._told.get(key) == status:
                continue
            self._told[key] = status
            what = "waits for an approval in AWS" if status in WAITING else status
            yield f"step {step.get('StepName')} ({step.get('Action')}): {what}\n"
            if status in (*SUCCEEDED, *FAILED):
                texts = {**(step.get("Outputs") or {}), "failure": [step.get("FailureMessage") or ""]}
                for name, pieces in texts.items():
                    text = "\n".join(map(str, pieces)).strip()
                    yield f"  {name}: {text[:OUTPUT_MOST]}\n" if text else ""
        status = execution["AutomationExecutionStatus"]
        if status in WAITING and self._told.get(job) != status:
            yield "the execution waits for an approval in AWS\n"
        self._told[job] = status


def _why(execution: Mapping[str, Any]) -> str:
    """Why an execution did not succeed, with the step that it was."""
    wrong = [one for one in execution.get("StepExecutions") or [] if one.get("StepStatus") in (*FAILED, *CANCELED)]
    step = f" at step {wrong[0].get('StepName')}" if wrong else ""
    said = execution.get("FailureMessage") or (wrong[0].get("FailureMessage") if wrong else "") or "no reason given"
    return f"its execution ended as {execution['AutomationExecutionStatus']}{step}: {said}"


def _lost_targets(execution: Mapping[str, Any]) -> str:
    """What a rate-controlled execution that calls itself a success leaves undone; empty where nothing is."""
    if not execution.get("Targets"):
        return ""
    counted = execution.get("ProgressCounters") or {}
    lost = sum(counted.get(f"{kind}Steps") or 0 for kind in ("Failed", "Cancelled", "TimedOut"))
    return f"{lost} of {counted.get('TotalSteps')} targets did not succeed" if lost else ""
