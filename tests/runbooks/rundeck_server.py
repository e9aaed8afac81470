"""Answers as a Rundeck does, as far as its clients need: definitions, nodes, options, executions, output, abort.

Shapes and rules from rundeck/docs: docs/api/index.md and the job-json format of version 44.
"""

import re
import time
from typing import Any

from tests.runbooks.job_server import TOKEN, Job, JobServer, Refused, Request

API = r"/api/(?:44|47)"
NEVER = 10_000.0
NAMES = ("pre_check", "action", "post_check", "undo", "undo_check")
UUIDS = {name: f"0000000{number}-aaaa-4bbb-8ccc-000000000000" for number, name in enumerate(NAMES)}


def option(name: str, **more: Any) -> dict[str, Any]:
    """One option of a job, as in its definition."""
    return {"name": name, "required": False, **more}


class Definition:
    """A job's definition, and how its executions go."""

    def __init__(self, name: str) -> None:
        self.told: dict[str, Any] = {
            "uuid": UUIDS[name],
            "id": UUIDS[name],
            "name": name,
            "group": "desk",
            "description": "",
            "executionEnabled": True,
            "loglevel": "INFO",
            "nodeFilterEditable": False,
            "options": [option("triage_run"), option("account", required=True, regex=r"[a-z][a-z0-9.]{0,40}")],
            "sequence": {"commands": [{"exec": "unlock ${option.account}"}], "keepgoing": False},
        }
        self.project = "desk"
        self.seconds = 0.0
        self.ends_as = "succeeded"
        self.lines = [f"running {name}", "done"]
        self.cancel_seconds = 0.0


class Rundeck(JobServer):
    """A Rundeck with the project desk: five jobs and thirty nodes."""

    header = "x-rundeck-auth-token"
    expected = TOKEN
    routes = (
        ("GET", rf"{API}/job/([^/]+)", "definition"),
        ("GET", rf"{API}/job/([^/]+)/info", "info"),
        ("POST", rf"{API}/job/([^/]+)/run", "launch"),
        ("GET", rf"{API}/job/([^/]+)/executions", "executions"),
        ("GET", rf"{API}/project/([^/]+)/resources", "nodes"),
        ("GET", rf"{API}/project/([^/]+)", "project"),
        ("GET", rf"{API}/execution/(\d+)", "execution"),
        ("GET", rf"{API}/execution/(\d+)/output", "output"),
        ("POST", rf"{API}/execution/(\d+)/abort", "abort"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.definitions = {UUIDS[name]: Definition(name) for name in NAMES}
        self.resources = [f"web{number}" for number in range(1, 31)] + ["db.1", "dbx1", "lone"]
        self.rewrites: dict[str, Any] = {}

    def named(self, name: str) -> Definition:
        """The definition of this name."""
        return self.definitions[UUIDS[name]]

    def _definition(self, uuid: str) -> Definition:
        if uuid not in self.definitions:
            raise Refused(404, {"error": True, "message": f"Job ID does not exist: {uuid}"})
        return self.definitions[uuid]

    def definition(self, request: Request, uuid: str) -> tuple[int, Any]:
        if request.query.get("format") != "json":
            raise Refused(406, {"error": True, "message": "xml is the default"})
        return 200, [self._definition(uuid).told]

    def info(self, _: Request, uuid: str) -> tuple[int, Any]:
        return 200, {"id": uuid, "project": self._definition(uuid).project, "enabled": True}

    def project(self, _: Request, name: str) -> tuple[int, Any]:
        if name != "desk":
            raise Refused(404, {"error": True, "message": "no such project"})
        return 200, {"name": name, "description": "the desk's jobs"}

    def nodes(self, request: Request, project: str) -> tuple[int, Any]:
        """A filter's value is a regular expression for the whole name; .* is every node."""
        chosen = request.query["filter"].removeprefix("name:").strip()
        found = [name for name in self.resources if re.fullmatch(chosen, name)] if project == "desk" else []
        return 200, {name: {"nodename": name, "hostname": "192.0.2.1"} for name in found}

    def launch(self, request: Request, uuid: str) -> tuple[int, Any]:
        definition = self._definition(uuid)
        body = dict(request.body)
        if not definition.told["executionEnabled"]:
            raise Refused(400, {"error": True, "message": "execution is disabled"})
        known = {each["name"]: each for each in definition.told["options"]}
        given = {name: value for name, value in body.get("options", {}).items() if name in known}
        for name, each in known.items():
            if each.get("required") and name not in given:
                raise Refused(400, {"error": True, "message": f"Option '{name}' is required."})
            if name in given and each.get("regex") and not re.fullmatch(each["regex"], given[name]):
                raise Refused(400, {"error": True, "message": f"Option '{name}' doesn't match regular expression"})
        told = {
            "project": definition.project,
            "filter": body.get("filter", "") if definition.told["nodeFilterEditable"] else "",
            "job": {"id": uuid, "name": definition.told["name"], "options": given},
            **self.rewrites,
        }
        self.jobs.append(
            Job(
                number=500 + len(self.jobs),
                phase_of=definition.told["name"],
                seconds=definition.seconds,
                ends_as=definition.ends_as,
                lines=list(definition.lines),
                given=told,
                cancel_seconds=definition.cancel_seconds,
            )
        )
        return 200, self._told(self.jobs[-1])

    def _told(self, job: Job) -> dict[str, Any]:
        status = ("aborted" if job.was_cancelled() else job.ends_as) if job.ended() else "running"
        return {
            "id": job.number,
            "href": "http://169.254.169.254/api/44/execution/1",
            "status": status,
            "date-started": {"unixtime": int(job.began * 1000)},
            **({"successfulNodes": self._nodes_of(job)} if job.ended() else {}),
            **job.given,
        }

    def _nodes_of(self, job: Job) -> list[str]:
        """Nodes of an override, where the job allows one; its own otherwise."""
        own = (self.named(job.phase_of).told.get("nodefilters") or {}).get("filter", "")
        return [(job.given["filter"] or own).removeprefix("name:").strip()]

    def _job(self, number: str) -> Job:
        found = [job for job in self.jobs if job.number == int(number)]
        if not found:
            raise Refused(404, {"error": True, "message": "Execution ID does not exist"})
        return found[0]

    def executions(self, request: Request, uuid: str) -> tuple[int, Any]:
        found = [self._told(job) for job in reversed(self.jobs) if job.given["job"]["id"] == uuid]
        first, most = int(request.query.get("offset", 0)), int(request.query.get("max", 20))
        rows = found[first : first + most]
        paging = {"count": len(rows), "total": len(found), "offset": first, "max": most}
        return 200, {"paging": paging, "executions": rows}

    def execution(self, _: Request, number: str) -> tuple[int, Any]:
        return 200, self._told(self._job(number))

    def output(self, request: Request, number: str) -> tuple[int, Any]:
        """Offsets are bytes of the log; entries that were not there yet come with a later offset."""
        job = self._job(number)
        shown = job.lines if job.ended() else job.lines[:-1]
        at, first, entries = 0, int(request.query["offset"]), list[dict[str, Any]]()
        for line in shown:
            if at >= first and len(entries) < int(request.query["maxlines"]):
                entries.append({"log": line, "level": "NORMAL", "node": "web1"})
                first = at + len(line) + 1
            at += len(line) + 1
        return 200, {"id": number, "offset": str(first), "completed": job.ended(), "entries": entries}

    def abort(self, _: Request, number: str) -> tuple[int, Any]:
        job = self._job(number)
        if job.ended():
            return 200, {"abort": {"status": "failed", "reason": "not running"}}
        if job.cancelled is None:
            job.cancelled = time.time() + job.cancel_seconds
        return 200, {"abort": {"status": "pending"}, "execution": {"id": number, "status": "running"}}
