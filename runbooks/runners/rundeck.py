"""Runs a runbook's phases as jobs of a Rundeck: run once each, followed to their end by whichever worker is there.

Rundeck has no key by which a job is run once only. So every execution gets the run's identity as an option, and a
launch whose answer was lost is looked for among its job's latest executions.
"""

import hashlib
import json
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from runbooks import parameters as values
from runbooks.base import Runbook
from runbooks.outcome import Outcome
from runbooks.runners import elsewhere, remote
from runbooks.runners.elsewhere import Reading
from runbooks.runners.exchange import Denied, Server
from runbooks.runners.job_settings import RundeckSettings
from runbooks.runners.jobs import LaunchLost, LaunchRefused, RemoteError, Seen
from runbooks.runners.rundeck_jobs import Definitions, Wanted
from runbooks.targets import job_systems
from runbooks.targets.sqlite import TargetError
from runbooks.watch import QUIET, Watch

LINES = 500
"""Lines of output that are asked for at once."""
PAGE, PAGES = 50, 10
"""How many of a job's latest executions are looked through for a lost one."""
RECENT_SECONDS = 86_400
ALARM_SECONDS = 20.0

_STATES: Mapping[str, Any] = {
    **dict.fromkeys(("running", "scheduled", "queued"), "running"),
    "succeeded": "succeeded",
    **dict.fromkeys(("failed", "timedout", "failed-with-retry", "missed", "incomplete", "other"), "failed"),
    "aborted": "canceled",
}


def execute(
    runbook: Runbook,
    *,
    parameters: Mapping[str, str],
    target: Mapping[str, str],
    run_id: str,
    handed: Mapping[str, str] | None = None,
    watch: Watch = QUIET,
    job: str = "",
    time_limit: float | None = None,
) -> Outcome:
    """Execute the runbook once, or go on with it where `job` says that it stands; see `runners.python.execute`.

    target: see `targets.job_systems.Rundeck`. handed: must be empty; Rundeck keeps what a job is given.
    """
    return elsewhere.carried_out(
        "Rundeck",
        runbook,
        lambda: RundeckJobs(runbook, parameters=parameters, target=target, run_id=run_id),
        target=target,
        run_id=run_id,
        handed=handed,
        watch=watch,
        job=job,
        time_limit=time_limit,
    )


def version(runbook: Runbook, *, target: Mapping[str, str]) -> str:
    """Return a sha256 (hex) over the definitions of all jobs that Rundeck would run for this runbook now.

    TargetError where Rundeck does not say, or where what it would run is not fixed.
    """
    settings = RundeckSettings.model_validate(dict(runbook.settings))
    system = job_systems.rundeck(target)
    definitions = Definitions(_server(system), system, settings)
    try:
        told = [definitions.version(phase) for phase in settings.phases()]
    except (RemoteError, Denied, LaunchRefused) as error:
        raise TargetError(f"what Rundeck would run cannot be known: {error}") from error
    return hashlib.sha256(json.dumps(["rundeck", system.project, told], sort_keys=True).encode()).hexdigest()


def plan(
    runbook: Runbook, *, parameters: Mapping[str, str], target: Mapping[str, str], run_id: str
) -> dict[str, object]:
    """What would be run for the action, as `runbooks.runners.PLANS` asks."""
    try:
        return RundeckJobs(runbook, parameters=parameters, target=target, run_id=run_id).planned("action")
    except (RemoteError, Denied, LaunchRefused, ValueError) as error:
        raise TargetError(f"the action would not be launched: {error}") from error


def look(target: Mapping[str, str]) -> str:
    """Say what there is, as `runbooks.runners.LOOKS` asks."""
    system = job_systems.rundeck(target)
    try:
        found = _server(system).table(f"/api/{system.api}/project/{quote(system.project, safe='')}")
    except (RemoteError, Denied) as error:
        raise TargetError(f"Rundeck cannot be reached as it should: {error}") from error
    return f"Rundeck answers; there is the project {found.get('name')}"


def _server(system: job_systems.Rundeck) -> Server:
    return Server(system, headers={"x-rundeck-auth-token": system.token.get_secret_value()})


class RundeckJobs:
    """One run's executions, as `runbooks.runners.jobs.Jobs`."""

    def __init__(
        self, runbook: Runbook, *, parameters: Mapping[str, str], target: Mapping[str, str], run_id: str
    ) -> None:
        self._settings = RundeckSettings.model_validate(dict(runbook.settings))
        system = job_systems.rundeck(target)
        self._parameters = values.typed(runbook, parameters)
        self._run_id = run_id
        self._project = system.project
        self._server = _server(system)
        self._definitions = Definitions(self._server, system, self._settings)
        self._api = self._definitions.api
        self._read: dict[str, Reading] = {}

    def launch(self, phase: str) -> str:
        """Start the phase's job. The first launch looks at all phases: what a later one lacks is said before."""
        wanted = self._wanted(phase)
        body = self._definitions.prepared(wanted)
        for later in self._settings.phases()[1:] if phase == "pre_check" else ():
            self._definitions.prepared(self._wanted(later))
        try:
            answer = self._server.launch(f"{self._api}/job/{wanted.job}/run", body)
        except LaunchRefused as error:
            if error.status == 409:
                raise RemoteError(f"the job is running for somebody else: {error}") from error
            raise
        job = answer.get("id")
        if not isinstance(job, int) or isinstance(job, bool) or job < 1:
            raise LaunchLost("Rundeck gave no number for the execution")
        if wrong := wanted.differences(answer, self._project):
            raise self._ended(str(job), wrong)
        return str(job)

    def planned(self, phase: str) -> dict[str, object]:
        """What `launch` would send for the phase, after the same looks."""
        wanted = self._wanted(phase)
        return {"job": wanted.job, **self._definitions.prepared(wanted)}

    def find(self, phase: str) -> list[str]:
        """See `Jobs.find`: Rundeck has no filter on options, so the job's executions of the last day are read."""
        wanted = self._wanted(phase)
        found = {str(each.get("id")): each for each in self._latest(wanted.job) if self._is_mine(phase, each)}
        for number, execution in found.items():
            _number(number)
            if wrong := wanted.differences(execution, self._project):
                raise self._ended(number, wrong)
        return list(found)

    def look(self, job: str) -> Seen:
        """See `Jobs.look`."""
        told = self._execution(job)
        state = _STATES.get(str(told.get("status")))
        if state is None:
            raise RemoteError(f"Rundeck says that execution {job} is {str(told.get('status'))[:50]!r}")
        self._worked_there(job, told)
        message = "" if state in ("running", "succeeded") else f"execution {job} ended as {told.get('status')}"
        return Seen(state, message, self._output(job, whole=state != "running"))

    def cancel(self, job: str) -> None:
        """See `Jobs.cancel`."""
        status = self._server.ask(f"{self._api}/execution/{_number(job)}/abort", {})
        if not 200 <= status < 300:
            raise RemoteError(f"Rundeck answered {status} to aborting execution {job}")

    def _worked_there(self, job: str, told: Mapping[str, Any]) -> None:
        """An execution says only afterwards on which nodes it was."""
        nodes = {str(node) for part in ("successfulNodes", "failedNodes") for node in told.get(part) or ()}
        wanted = self._wanted("action").node
        if wanted is not None and not nodes <= {wanted}:
            others = ", ".join(sorted(nodes - {wanted})[:5])
            raise LaunchRefused(f"execution {job} was sent to {wanted} and worked on {others}", alarm=True, unsure=True)

    def _wanted(self, phase: str) -> Wanted:
        return self._definitions.wanted(phase, parameters=self._parameters, mark=self._mark(phase))

    def _mark(self, phase: str) -> str:
        """The identity of one phase of this run: two phases may be runs of one job."""
        return f"{self._run_id}.{phase}"

    def _is_mine(self, phase: str, execution: Mapping[str, Any]) -> bool:
        job = execution.get("job")
        options = job.get("options") if isinstance(job, dict) else None
        return isinstance(options, dict) and options.get(self._settings.run_option) == self._mark(phase)

    def _latest(self, job: str) -> list[dict[str, Any]]:
        """The job's executions since yesterday, as Rundeck lists them: the latest first."""
        since = (time.time() - RECENT_SECONDS) * 1000
        found: list[dict[str, Any]] = []
        for page in range(PAGES):
            try:
                answer = self._server.table(f"{self._api}/job/{job}/executions", max=PAGE, offset=page * PAGE)
            except Denied as error:
                raise RemoteError(str(error)) from error
            rows = [each for each in answer.get("executions") or [] if isinstance(each, dict)]
            found += rows
            if len(rows) < PAGE or _began(rows[-1]) < since:
                return found
        raise RemoteError(f"job {job} was run more than {PAGE * PAGES} times since yesterday: too many to look in")

    def _execution(self, job: str) -> dict[str, Any]:
        try:
            return self._server.table(f"{self._api}/execution/{_number(job)}")
        except Denied as error:
            raise RemoteError(str(error)) from error

    def _ended(self, job: str, wrong: list[str]) -> LaunchRefused:
        """End an execution that is another than was asked for; Rundeck starts at once, so something may be done."""
        give_up = time.monotonic() + ALARM_SECONDS
        said = f"execution {job} could not be ended and may go on"
        while time.monotonic() < give_up:
            try:
                self.cancel(job)
                status = self._execution(job).get("status")
            except RemoteError:
                status = None
            if status is not None and _STATES.get(str(status)) != "running":
                said = f"execution {job} was ended after it had begun"
                break
            time.sleep(remote.CANCEL_PAUSE)
        what = ", ".join(f"its {name} is another" for name in wrong)
        return LaunchRefused(f"Rundeck did not run what it was sent ({what}); {said}", alarm=True, unsure=True)

    def _output(self, job: str, *, whole: bool) -> str:
        reading = self._read.setdefault(job, Reading("Rundeck"))
        return reading.onward(lambda: self._lines(job, reading), whole=whole)

    def _lines(self, job: str, reading: Reading) -> str:
        told = self._server.table(
            f"{self._api}/execution/{_number(job)}/output", offset=reading.at, maxlines=LINES, format="json"
        )
        entries = [each for each in told.get("entries") or [] if isinstance(each, dict)]
        try:
            offset = int(str(told.get("offset")))
        except ValueError as error:
            raise Denied("Rundeck does not say how far the output goes") from error
        if offset <= reading.at:
            return ""
        reading.at = offset
        return reading.fitting("".join(f"{each.get('log', '')}\n" for each in entries))


def _number(job: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,17}", job):
        raise RemoteError(f"{job[:50]!r} is no execution of Rundeck")
    return int(job)


def _began(execution: Mapping[str, Any]) -> float:
    """Milliseconds since the epoch at which an execution began; now where it does not say."""
    began = execution.get("date-started")
    at = began.get("unixtime") if isinstance(began, dict) else None
    return float(at) if isinstance(at, (int, float)) else time.time() * 1000
