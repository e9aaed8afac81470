"""Answers as an AWX does, as far as its clients need: prompts, surveys, dropped fields, jobs, output, cancelling.

Shapes and rules from ansible/awx: api/views (JobTemplateLaunch, UnifiedJobStdout), main/models/mixins.py (surveys),
docs/prompting.md, and issue 2024 (no filter on extra_vars).
"""

import base64
import json
import time
from datetime import UTC, datetime
from typing import Any

from tests.runbooks.job_server import TOKEN, Job, JobServer, Refused, Request

API = "/api/v2"
NEVER = 10_000.0
REVISION = "a" * 40
PROMPTS = ("limit", "inventory", "job_type", "variables")


def question(variable: str, kind: str = "text", **more: Any) -> dict[str, Any]:
    """One question of a survey."""
    told = {"question_name": variable, "required": False, "min": None, "max": None, "default": "", "choices": ""}
    return {**told, "variable": variable, "type": kind, **more}


class Template:
    """A job template, and how its jobs go."""

    def __init__(self, number: int, name: str) -> None:
        self.fields: dict[str, Any] = {
            "id": number,
            "type": "job_template",
            "name": name,
            "job_type": "run",
            "inventory": 7,
            "project": 3,
            "playbook": f"{name}.yml",
            "scm_branch": "",
            "forks": 0,
            "limit": "",
            "extra_vars": "---",
            "survey_enabled": True,
            "job_slice_count": 1,
            "execution_environment": None,
            "become_enabled": False,
            "description": "",
            **{f"ask_{prompt}_on_launch": False for prompt in PROMPTS},
        }
        self.survey: list[dict[str, Any]] = [question("triage_run"), question("user_name", required=True)]
        self.credentials = [11]
        self.passwords: list[str] = []
        self.needs: list[str] = []
        self.seconds = 0.0
        self.ends_as = "successful"
        self.lines = [f"PLAY [{name}]", "ok: [web1]"]
        self.cancel_seconds = 0.0
        self.pending = 0.0
        self.needs_credential = False
        self.explanation = ""


class Awx(JobServer):
    """An AWX with five templates, one project and two inventories: 7 with web1 alone, 8 with many hosts."""

    header = "authorization"
    expected = f"Bearer {TOKEN}"
    routes = (
        ("GET", rf"{API}/job_templates/", "find_templates"),
        ("GET", rf"{API}/job_templates/(\d+)/", "template"),
        ("GET", rf"{API}/job_templates/(\d+)/launch/", "prompts"),
        ("POST", rf"{API}/job_templates/(\d+)/launch/", "launch"),
        ("GET", rf"{API}/job_templates/(\d+)/survey_spec/", "survey"),
        ("GET", rf"{API}/job_templates/(\d+)/credentials/", "credentials"),
        ("GET", rf"{API}/job_templates/(\d+)/jobs/", "template_jobs"),
        ("GET", rf"{API}/projects/(\d+)/", "project"),
        ("GET", rf"{API}/execution_environments/(\d+)/", "environment"),
        ("GET", rf"{API}/inventories/(\d+)/", "inventory"),
        ("GET", rf"{API}/inventories/(\d+)/(hosts|groups|inventory_sources)/", "members"),
        ("GET", rf"{API}/jobs/(\d+)/", "job"),
        ("GET", rf"{API}/jobs/(\d+)/stdout/", "stdout"),
        ("GET", rf"{API}/jobs/(\d+)/cancel/", "can_cancel"),
        ("POST", rf"{API}/jobs/(\d+)/cancel/", "cancel"),
    )

    def __init__(self) -> None:
        super().__init__()
        names = ("pre_check", "action", "post_check", "undo", "undo_check")
        self.templates = {number: Template(number, name) for number, name in enumerate(names, 41)}
        self.projects = {
            3: {
                "id": 3,
                "name": "playbooks",
                "scm_type": "git",
                "scm_url": "https://git.example/x.git",
                "scm_branch": "main",
                "scm_revision": REVISION,
                "scm_update_on_launch": False,
                "default_environment": 5,
            }
        }
        self.environments = {5: {"id": 5, "image": "quay.example/ee:1", "pull": "missing", "name": "ee"}}
        self.inventories: dict[int, dict[str, Any]] = {
            7: {"hosts": [{"name": "web1", "enabled": True}], "groups": [], "inventory_sources": []},
            8: {
                "hosts": [{"name": f"web{number}", "enabled": number != 9} for number in range(1, 31)]
                + [{"name": "all", "enabled": True}],
                "groups": [{"name": "web5"}],
                "inventory_sources": [],
            },
        }
        self.drops: set[str] = set()
        self.rewrites: dict[str, Any] = {}
        self.ignores: dict[str, Any] = {}
        self.most_shown = 1 << 20

    def named(self, name: str) -> Template:
        """The template of this name."""
        return next(each for each in self.templates.values() if each.fields["name"] == name)

    def _template(self, number: str) -> Template:
        if int(number) not in self.templates:
            raise Refused(404, {"detail": "No JobTemplate matches the given query."})
        return self.templates[int(number)]

    def find_templates(self, request: Request) -> tuple[int, Any]:
        found = [each.fields for each in self.templates.values() if each.fields["name"] == request.query.get("name")]
        return 200, _page(found, request)

    def template(self, _: Request, number: str) -> tuple[int, Any]:
        return 200, self._template(number).fields

    def prompts(self, _: Request, number: str) -> tuple[int, Any]:
        template = self._template(number)
        enabled = template.fields["survey_enabled"] and bool(template.survey)
        return 200, {
            **{name: value for name, value in template.fields.items() if name.startswith("ask_")},
            "survey_enabled": enabled,
            "passwords_needed_to_start": template.passwords,
            "variables_needed_to_start": template.needs
            + [each["variable"] for each in template.survey if each["required"] and enabled],
            "credential_needed_to_start": template.needs_credential,
            "inventory_needed_to_start": template.fields["inventory"] is None,
            "can_start_without_user_input": False,
            "defaults": {},
        }

    def survey(self, _: Request, number: str) -> tuple[int, Any]:
        return 200, {"name": "", "description": "", "spec": self._template(number).survey}

    def credentials(self, request: Request, number: str) -> tuple[int, Any]:
        return 200, _page([{"id": each} for each in self._template(number).credentials], request)

    def launch(self, request: Request, number: str) -> tuple[int, Any]:
        template = self._template(number)
        fields, given = template.fields, dict(request.body or {})
        variables = given.pop("extra_vars", {})
        asked = {each["variable"]: each for each in template.survey} if fields["survey_enabled"] else {}
        errors = [why for name, each in asked.items() if (why := _violation(each, variables))]
        if errors or template.passwords:
            raise Refused(400, {"variables_needed_to_start": errors, "passwords_needed_to_start": template.passwords})
        accepted: dict[str, Any] = {}
        ignored: dict[str, Any] = {}
        for name, value in variables.items():
            takes = name in asked or fields["ask_variables_on_launch"]
            (accepted if takes and name not in self.drops else ignored)[name] = value
        job = {name: fields[name] for name in ("inventory", "limit", "job_type")}
        dropped: dict[str, Any] = {"extra_vars": ignored} if ignored else {}
        for name, value in given.items():
            if fields.get(f"ask_{name}_on_launch") and name not in self.drops:
                job[name] = value
            else:
                dropped[name] = value
        if job["inventory"] is None:
            raise Refused(400, {"inventory": ["needed"]})
        job |= {"extra_vars": json.dumps(accepted), "job_template": int(number), **self.rewrites}
        self.jobs.append(
            Job(
                number=1000 + len(self.jobs),
                phase_of=fields["name"],
                seconds=template.seconds + template.pending,
                ends_as=template.ends_as,
                lines=list(template.lines),
                given=job,
                cancel_seconds=template.cancel_seconds,
            )
        )
        made = self.jobs[-1]
        return 201, {"job": made.number, "ignored_fields": dropped | self.ignores, **self._told(made)}

    def _told(self, job: Job) -> dict[str, Any]:
        template = self.named(job.phase_of)
        waiting = time.time() < job.began + template.pending
        status = "pending" if waiting else "running"
        started: str | None = None if waiting else _stamp(job.began + template.pending)
        if job.ended():
            status = "canceled" if job.was_cancelled() else job.ends_as
            if job.was_cancelled() and job.cancelled and job.cancelled < job.began + template.pending:
                started = None
        return {
            "id": job.number,
            "type": "job",
            "status": status,
            "started": started,
            "created": _stamp(job.began),
            "job_explanation": template.explanation if status in ("failed", "error") else "",
            "event_processing_finished": True,
            "scm_revision": REVISION,
            "related": {"stdout": "http://169.254.169.254/latest/meta-data/"},
            **job.given,
        }

    def _job(self, number: str) -> Job:
        found = [job for job in self.jobs if job.number == int(number)]
        if not found:
            raise Refused(404, {"detail": "Not found."})
        return found[0]

    def job(self, _: Request, number: str) -> tuple[int, Any]:
        return 200, self._told(self._job(number))

    def template_jobs(self, request: Request, number: str) -> tuple[int, Any]:
        if any("extra_vars" in name for name in request.query):
            raise Refused(403, {"detail": "Filtering on extra_vars is not allowed."})
        since = datetime.fromisoformat(request.query["created__gt"]).timestamp()
        found = [self._told(job) for job in self.jobs if job.given["job_template"] == int(number) and job.began > since]
        return 200, _page(found[:: -1 if request.query.get("order_by") == "-id" else 1], request)

    def stdout(self, request: Request, number: str) -> tuple[int, Any]:
        job = self._job(number)
        shown = job.lines if job.ended() else job.lines[:-1]
        if sum(len(line) + 1 for line in shown) > self.most_shown:
            content = f"Standard Output too large to display, only download supported for sizes over {self.most_shown}."
            return 200, {"range": {"start": 0, "end": 1, "absolute_end": 1}, "content": content}
        first, last = int(request.query["start_line"]), int(request.query["end_line"])
        text = "".join(f"\x1b[0;32m{line}\x1b[0m\r\n" for line in shown[first:last])
        content = base64.b64encode(text.encode()).decode()
        return 200, {
            "range": {"start": first, "end": min(last, len(shown)), "absolute_end": len(shown)},
            "content": content,
        }

    def can_cancel(self, _: Request, number: str) -> tuple[int, Any]:
        return 200, {"can_cancel": not self._job(number).ended()}

    def cancel(self, _: Request, number: str) -> tuple[int, Any]:
        job = self._job(number)
        if job.ended():
            raise Refused(405, {"detail": "Method not allowed."})
        if job.cancelled is None:
            job.cancelled = time.time() + job.cancel_seconds
        return 202, {}

    def project(self, _: Request, number: str) -> tuple[int, Any]:
        return 200, self.projects[int(number)]

    def environment(self, _: Request, number: str) -> tuple[int, Any]:
        return 200, self.environments[int(number)]

    def inventory(self, _: Request, number: str) -> tuple[int, Any]:
        return 200, {"id": int(number), "total_hosts": len(self.inventories[int(number)]["hosts"])}

    def members(self, request: Request, number: str, kind: str) -> tuple[int, Any]:
        found = self.inventories[int(number)][kind]
        if "name" in request.query:
            found = [each for each in found if each["name"] == request.query["name"]]
        if request.query.get("update_on_launch") == "true":
            found = [each for each in found if each["update_on_launch"]]
        return 200, _page(found, request)


def _page(rows: list[Any], request: Request) -> dict[str, Any]:
    size, page = min(int(request.query.get("page_size", 25)), 200), int(request.query.get("page", 1))
    after = rows[page * size :]
    return {"count": len(rows), "next": "?page" if after else None, "results": rows[(page - 1) * size : page * size]}


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _violation(asked: dict[str, Any], given: dict[str, Any]) -> str:
    """What AWX's own validation of one answer says."""
    name, kind = asked["variable"], asked["type"]
    if name not in given:
        return f"'{name}' value missing" if asked["required"] else ""
    value = given[name]
    if kind in ("text", "textarea", "password"):
        if not isinstance(value, str):
            return f"Value {value} for '{name}' expected to be a string."
        size: float = len(value)
    elif kind == "integer":
        if type(value) is not int:
            return f"Value {value} for '{name}' expected to be an integer."
        size = value
    elif kind == "multiplechoice":
        offered = asked["choices"].split("\n") if isinstance(asked["choices"], str) else asked["choices"]
        return "" if value in offered else f"Value {value} for '{name}' expected to be one of {offered}."
    else:
        return ""
    if asked["min"] not in ("", None) and size < int(asked["min"]):
        return f"'{name}' value {value} is too small"
    if asked["max"] not in ("", None) and size > int(asked["max"]):
        return f"'{name}' value {value} is too large"
    return ""
