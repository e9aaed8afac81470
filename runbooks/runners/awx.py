"""Runs a runbook's phases as jobs of an AWX: launched once each, followed to their end by whichever worker is there.

AWX has no key by which a launch is done once only, and no filter on what a job was given. So every job gets the run's
identity as a variable, and a launch whose answer was lost is looked for among its template's latest jobs.
"""

import base64
import hashlib
import json
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from runbooks import parameters as values
from runbooks.base import Runbook
from runbooks.outcome import Outcome
from runbooks.runners import elsewhere, remote
from runbooks.runners.awx_templates import API, Templates, Wanted, identity, variables
from runbooks.runners.elsewhere import Reading
from runbooks.runners.exchange import Denied, Server
from runbooks.runners.job_settings import AwxSettings
from runbooks.runners.jobs import LaunchLost, LaunchRefused, RemoteError, Seen
from runbooks.targets import job_systems
from runbooks.targets.sqlite import TargetError
from runbooks.watch import QUIET, Watch

LINES = 500
"""Lines of output that are asked for at once."""
PAGE, PAGES = 50, 10
"""How many of a template's latest jobs are looked through for a lost one."""
RECENT = timedelta(days=1)
ALARM_SECONDS = 20.0
SETTLE_SECONDS = 3.0
"""How long AWX may take to store the last lines of a job that has ended."""

_STATES: Mapping[str, Any] = {
    **dict.fromkeys(("new", "pending", "waiting", "running"), "running"),
    "successful": "succeeded",
    **dict.fromkeys(("failed", "error"), "failed"),
    "canceled": "canceled",
}
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


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

    target: see `targets.job_systems.Awx`. handed: must be empty; AWX keeps what a job is given.
    """
    return elsewhere.carried_out(
        "AWX",
        runbook,
        lambda: AwxJobs(runbook, parameters=parameters, target=target, run_id=run_id),
        target=target,
        run_id=run_id,
        handed=handed,
        watch=watch,
        job=job,
        time_limit=time_limit,
    )


def version(runbook: Runbook, *, target: Mapping[str, str]) -> str:
    """Return a sha256 (hex) over all that AWX would run for this runbook now.

    Templates, surveys, credentials, the projects' revisions, execution environments. TargetError where AWX does not
    say, or where what it would run is not fixed.
    """
    settings = AwxSettings.model_validate(dict(runbook.settings))
    system = job_systems.awx(target)
    templates = Templates(_server(system), system, settings)
    try:
        told = [templates.version(phase) for phase in settings.phases()]
    except (RemoteError, Denied, LaunchRefused) as error:
        raise TargetError(f"what AWX would run cannot be known: {error}") from error
    return hashlib.sha256(json.dumps(["awx", system.inventory, told], sort_keys=True).encode()).hexdigest()


def plan(
    runbook: Runbook, *, parameters: Mapping[str, str], target: Mapping[str, str], run_id: str
) -> dict[str, object]:
    """What would be launched for the action, as `runbooks.runners.PLANS` asks."""
    try:
        return AwxJobs(runbook, parameters=parameters, target=target, run_id=run_id).planned("action")
    except (RemoteError, Denied, LaunchRefused, ValueError) as error:
        raise TargetError(f"the action would not be launched: {error}") from error


def look(target: Mapping[str, str]) -> str:
    """Say what there is, as `runbooks.runners.LOOKS` asks."""
    system = job_systems.awx(target)
    try:
        found = _server(system).table(f"{API}/inventories/{system.inventory}/")
    except (RemoteError, Denied) as error:
        raise TargetError(f"AWX cannot be reached as it should: {error}") from error
    return f"AWX answers; inventory {system.inventory} has {found.get('total_hosts')} hosts"


def _server(system: job_systems.Awx) -> Server:
    return Server(system, headers={"authorization": f"Bearer {system.token.get_secret_value()}"})


class AwxJobs:
    """One run's jobs, as `runbooks.runners.jobs.Jobs`."""

    def __init__(
        self, runbook: Runbook, *, parameters: Mapping[str, str], target: Mapping[str, str], run_id: str
    ) -> None:
        self._settings = AwxSettings.model_validate(dict(runbook.settings))
        system = job_systems.awx(target)
        self._parameters = values.typed(runbook, parameters)
        self._run_id = run_id
        self._server = _server(system)
        self._templates = Templates(self._server, system, self._settings)
        self._read: dict[str, Reading] = {}

    def launch(self, phase: str) -> str:
        """Start the phase's job. The first launch looks at all phases: what a later one lacks is said before."""
        wanted = self._wanted(phase)
        template, body = self._templates.prepared(phase, wanted)
        for later in self._settings.phases()[1:] if phase == "pre_check" else ():
            self._templates.prepared(later, self._wanted(later))
        answer = self._server.launch(f"{API}/job_templates/{template}/launch/", body)
        try:
            job = str(identity(answer.get("job", answer.get("id"))))
        except Denied as error:
            raise LaunchLost(str(error)) from error
        dropped = answer.get("ignored_fields")
        wrong = [f"it dropped {name}" for name in dropped] if isinstance(dropped, dict) else []
        wrong += [f"its {name} is another" for name in wanted.differences(answer)]
        if wrong:
            raise self._ended(job, wrong)
        return job

    def planned(self, phase: str) -> dict[str, object]:
        """What `launch` would send for the phase, after the same looks."""
        template, body = self._templates.prepared(phase, self._wanted(phase))
        return {"job template": template, **body}

    def find(self, phase: str) -> list[str]:
        """See `Jobs.find`: AWX refuses to filter by variables, so the template's jobs of the last day are read."""
        try:
            template = identity(self._templates.template(phase).get("id"))
            since = (datetime.now(UTC) - RECENT).isoformat(timespec="seconds")
            mine = [job for job in self._latest(template, since) if self._is_mine(phase, job)]
            found = {str(identity(job.get("id"))): job for job in mine}
        except (Denied, LaunchRefused) as error:
            raise RemoteError(str(error)) from error
        for number, job in found.items():
            if wrong := [f"its {name} is another" for name in self._wanted(phase).differences(job)]:
                raise self._ended(number, wrong)
        return list(found)

    def look(self, job: str) -> Seen:
        """See `Jobs.look`."""
        told = self._job(job)
        state = _STATES.get(str(told.get("status")))
        if state is None:
            raise RemoteError(f"AWX says that job {job} is {str(told.get('status'))[:50]!r}")
        if state != "running":
            self._settle(job, told)
        message = "" if state in ("running", "succeeded") else _why(job, told)
        return Seen(state, message, self._output(job, whole=state != "running"))

    def cancel(self, job: str) -> None:
        """See `Jobs.cancel`."""
        place = f"{API}/jobs/{_number(job)}/cancel/"
        try:
            can = self._server.table(place).get("can_cancel")
        except Denied as error:
            raise RemoteError(str(error)) from error
        if can is True and (status := self._server.ask(place, {})) not in (202, 405):
            raise RemoteError(f"AWX answered {status} to cancelling job {job}")

    def _wanted(self, phase: str) -> Wanted:
        return self._templates.wanted(phase, parameters=self._parameters, mark=self._mark(phase))

    def _mark(self, phase: str) -> str:
        """The identity of one phase of this run: two phases may be jobs of one template."""
        return f"{self._run_id}.{phase}"

    def _is_mine(self, phase: str, job: Mapping[str, Any]) -> bool:
        return variables(job).get(self._settings.run_variable) == self._mark(phase)

    def _latest(self, template: int, since: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for page in range(1, PAGES + 1):
            answer = self._server.table(
                f"{API}/job_templates/{template}/jobs/",
                created__gt=since,
                order_by="-id",
                page_size=PAGE,
                page=page,
            )
            found += [job for job in answer.get("results") or [] if isinstance(job, dict)]
            if not answer.get("next"):
                return found
        raise RemoteError(f"template {template} had more than {PAGE * PAGES} jobs since yesterday: too many to look in")

    def _job(self, job: str) -> dict[str, Any]:
        try:
            return self._server.table(f"{API}/jobs/{_number(job)}/")
        except Denied as error:
            raise RemoteError(str(error)) from error

    def _ended(self, job: str, wrong: list[str]) -> LaunchRefused:
        """End a job that AWX started as nobody wanted it, and say what may have come of it."""
        give_up = time.monotonic() + ALARM_SECONDS
        said, unsure = f"job {job} could not be ended and may go on", True
        while time.monotonic() < give_up:
            try:
                self.cancel(job)
                told = self._job(job)
            except RemoteError:
                told = {}
            if told and _STATES.get(str(told.get("status"))) != "running":
                began = told.get("started") is not None or told.get("status") != "canceled"
                said = f"job {job} was ended after it had begun" if began else f"job {job} was ended before it began"
                unsure = began
                break
            time.sleep(remote.CANCEL_PAUSE)
        return LaunchRefused(
            f"AWX did not launch what it was sent ({', '.join(wrong)}); {said}", alarm=True, unsure=unsure
        )

    def _settle(self, job: str, told: Mapping[str, Any]) -> None:
        give_up = time.monotonic() + SETTLE_SECONDS
        while told.get("event_processing_finished") is False and time.monotonic() < give_up:
            time.sleep(0.3)
            told = self._job(job)

    def _output(self, job: str, *, whole: bool) -> str:
        reading = self._read.setdefault(job, Reading("AWX"))
        return reading.onward(lambda: self._lines(job, reading), whole=whole)

    def _lines(self, job: str, reading: Reading) -> str:
        told = self._server.table(
            f"{API}/jobs/{_number(job)}/stdout/",
            format="json",
            content_format="ansi",
            content_encoding="base64",
            start_line=reading.at,
            end_line=reading.at + LINES,
        )
        try:
            end = int(told["range"]["end"])
            text = base64.b64decode(told["content"], validate=True).decode("utf-8", "replace")
        except (KeyError, TypeError, ValueError):
            # an output that AWX thinks too large for showing comes as a sentence
            text, end = f"\n[{str(told.get('content'))[:300]}]\n", 0
            reading.room = 0
        if end <= reading.at and reading.room:
            return ""
        reading.at = end
        return reading.fitting(_COLOURS.sub("", text)) if reading.room else text


def _number(job: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,17}", job):
        raise RemoteError(f"{job[:50]!r} is no job of AWX")
    return int(job)


def _why(job: str, told: Mapping[str, Any]) -> str:
    why = str(told.get("job_explanation") or "")[:500]
    return f"job {job} ended as {told.get('status')}{f': {why}' if why else ''}"
