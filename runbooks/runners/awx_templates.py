"""Reads a phase's AWX job template before it is launched, and refuses what would not be carried out as it is sent.

AWX drops every launch field that its template does not prompt for and starts the job all the same (docs/prompting.md
in ansible/awx), on the whole inventory if that field was the limit. So all that is sent is compared with `/launch/`.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from runbooks import rules
from runbooks.runners import awx_survey
from runbooks.runners.awx_survey import Value
from runbooks.runners.exchange import Denied, Server
from runbooks.runners.job_settings import AwxSettings
from runbooks.runners.jobs import CHANGING, LaunchRefused
from runbooks.targets.job_systems import Awx

API = "/api/v2"
GROUPS = frozenset({"all", "ungrouped"})
"""The groups of every inventory, which no limit may mean."""

RUN = (
    *("id", "job_type", "inventory", "project", "playbook", "scm_branch", "forks", "limit", "verbosity", "extra_vars"),
    *("job_tags", "skip_tags", "start_at_task", "force_handlers", "timeout", "use_fact_cache", "execution_environment"),
    *("custom_virtualenv", "become_enabled", "diff_mode", "allow_simultaneous", "job_slice_count", "survey_enabled"),
    "prevent_instance_group_fallback",
)
"""What of a template decides what its jobs do."""
SOURCE = ("id", "scm_type", "scm_url", "scm_branch", "scm_refspec", "scm_revision", "default_environment")
ENVIRONMENT = ("id", "image", "pull")

_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


@dataclass(frozen=True)
class Wanted:
    """What a phase's job is to be, whatever its template says. values: its extra variables, fields: the rest."""

    fields: Mapping[str, Any]
    values: Mapping[str, Value]

    def differences(self, job: Mapping[str, Any]) -> list[str]:
        """Say in which of its fields a job is another."""
        found = [name for name, value in self.fields.items() if job.get(name) != value]
        given = variables(job)
        return found + [name for name, value in self.values.items() if str(given.get(name)) != str(value)]


def variables(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return the extra variables of a job; none where they cannot be read."""
    try:
        given = json.loads(job.get("extra_vars") or "{}")
    except (ValueError, TypeError, RecursionError):
        return {}
    return given if isinstance(given, dict) else {}


def identity(number: object) -> int:
    """Return a number of AWX's, which goes into paths; Denied where it is none."""
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise Denied("AWX gave something else than a number for one of its own things")
    return number


class Templates:
    """The templates of one runbook at one customer."""

    def __init__(self, server: Server, system: Awx, settings: AwxSettings) -> None:
        self._server = server
        self._system = system
        self._settings = settings

    def wanted(self, phase: str, *, parameters: Mapping[str, str | int], mark: str) -> Wanted:
        """What the phase's job is to be. mark: the run's identity."""
        given = {name: parameters[own] for name, own in self._settings.given(phase).items() if own in parameters}
        fields: dict[str, Any] = {"inventory": self._system.inventory}
        if self._settings.limit is not None:
            fields["limit"] = str(parameters.get(self._settings.limit, ""))
        trial = self._settings.of(phase).job_type
        if trial or phase in CHANGING:
            fields["job_type"] = trial or "run"
        return Wanted(fields, {**given, self._settings.run_variable: mark})

    def prepared(self, phase: str, wanted: Wanted) -> tuple[int, dict[str, Any]]:
        """Return the template's number and what to send to it.

        LaunchRefused where AWX would not do exactly what is wanted; RemoteError where it cannot be asked.
        """
        try:
            template = self.template(phase)
            launch = self._server.table(f"{API}/job_templates/{template['id']}/launch/")
            _one_job(template)
            self._project(template)
            body: dict[str, Any] = {"extra_vars": self._answers(template, launch, wanted.values)}
            self._few_hosts(wanted)
        except Denied as error:
            raise LaunchRefused(str(error)) from error
        for name, value in wanted.fields.items():
            if name == "limit" or template.get(name) != value:
                if launch.get(f"ask_{name}_on_launch") is not True:
                    raise LaunchRefused(
                        f"{_named(template)} does not prompt for {name}, and AWX would drop it: tick Prompt on launch"
                    )
                body[name] = value
        _nothing_missing(template, launch, body)
        return template["id"], body

    def template(self, phase: str) -> dict[str, Any]:
        """The phase's template as AWX has it now; LaunchRefused where there is not exactly one of this name."""
        wanted = self._settings.of(phase).template
        if isinstance(wanted, str):
            found = _rows(self._server.table(f"{API}/job_templates/", name=wanted, page_size=2))
            found = [each for each in found if each.get("name") == wanted]
            if len(found) != 1:
                how_many = "several job templates are" if found else "no job template is"
                raise LaunchRefused(f"{how_many} called {rules.short(wanted)}: write its number for the {phase}")
            wanted = identity(found[0].get("id"))
        template = self._server.table(f"{API}/job_templates/{wanted}/")
        if identity(template.get("id")) != wanted:
            raise LaunchRefused(f"AWX gave another job template than {wanted}")
        return template

    def version(self, phase: str) -> list[Any]:
        """All that AWX would run for the phase now. LaunchRefused where that is not fixed; RemoteError, Denied."""
        template = self.template(phase)
        _one_job(template)
        project = self._project(template)
        place = f"{API}/job_templates/{template['id']}"
        credentials = self._server.table(f"{place}/credentials/", page_size=200)
        if credentials.get("next"):
            raise LaunchRefused(f"{_named(template)} has more credentials than can be compared: take some out")
        survey = self._server.table(f"{place}/survey_spec/") if template.get("survey_enabled") else {}
        return [
            phase,
            {name: template.get(name) for name in RUN},
            {name: project.get(name) for name in SOURCE},
            sorted(identity(each.get("id")) for each in _rows(credentials)),
            survey,
            self._environment(template.get("execution_environment") or project.get("default_environment")),
        ]

    def _environment(self, number: object) -> dict[str, Any]:
        if number is None:
            return {}
        found = self._server.table(f"{API}/execution_environments/{identity(number)}/")
        return {name: found.get(name) for name in ENVIRONMENT}

    def _project(self, template: Mapping[str, Any]) -> dict[str, Any]:
        """The template's project, which must be of one revision that stays until somebody updates it."""
        if template.get("project") is None:
            raise LaunchRefused(f"{_named(template)} has no project: give it one")
        project = self._server.table(f"{API}/projects/{identity(template['project'])}/")
        name = f"project {project.get('id')} ({rules.short(str(project.get('name')))})"
        if project.get("scm_update_on_launch") is not False:
            raise LaunchRefused(
                f"{name} updates itself on launch, so that nobody has seen what would run: switch off Update revision"
                " on launch, and update it when its change was looked at"
            )
        if not project.get("scm_type") or not project.get("scm_revision"):
            raise LaunchRefused(f"{name} has no revision: keep its playbooks under source control, and update it once")
        branch = template.get("scm_branch") or ""
        if branch and not _COMMIT.fullmatch(branch):
            raise LaunchRefused(
                f"{_named(template)} takes {rules.short(branch)} for its branch, which may have moved: write a commit"
            )
        return project

    def _answers(
        self, template: Mapping[str, Any], launch: Mapping[str, Any], given: Mapping[str, Value]
    ) -> dict[str, Value]:
        questions: dict[str, dict[str, Any]] = {}
        if launch.get("survey_enabled"):
            spec = self._server.table(f"{API}/job_templates/{template['id']}/survey_spec/").get("spec") or []
            questions = {str(each.get("variable")): each for each in spec if isinstance(each, dict)}
        answers: dict[str, Value] = {}
        for name, value in given.items():
            if name not in questions and launch.get("ask_variables_on_launch") is not True:
                raise LaunchRefused(
                    f"{_named(template)}: no survey asks for {name}, and AWX would drop it: add it to the survey"
                )
            try:
                plain = awx_survey.literal(value)
                answers[name] = awx_survey.answer(questions[name], plain) if name in questions else plain
            except awx_survey.Unfit as error:
                raise LaunchRefused(f"{_named(template)}, {name}: {error}") from error
        if missing := awx_survey.open_questions(questions, answers):
            raise LaunchRefused(f"{_named(template)}: its survey wants {', '.join(missing)} besides: give a parameter")
        return answers

    def _few_hosts(self, wanted: Wanted) -> None:
        """Refuse a job that could work on more than the one host, or than few."""
        place = f"{API}/inventories/{self._system.inventory}"
        if "limit" not in wanted.fields:
            self._few(place)
            return
        host = wanted.fields["limit"]
        if not _HOST.fullmatch(host) or host in GROUPS:
            raise LaunchRefused(f"{rules.short(host)} is no name of one host, as a limit must be")
        if self._system.hosts and host not in self._system.hosts:
            raise LaunchRefused(f"{host} is none of the target's {len(self._system.hosts)} hosts")
        found = _rows(self._server.table(f"{place}/hosts/", name=host, page_size=2))
        if [each.get("name") for each in found] != [host]:
            raise LaunchRefused(f"inventory {self._system.inventory} has no host that is called exactly {host}")
        if found[0].get("enabled") is not True:
            raise LaunchRefused(f"{host} is switched off in inventory {self._system.inventory}")
        if self._server.table(f"{place}/groups/", name=host, page_size=1).get("count") != 0:
            raise LaunchRefused(f"{host} is a group too, and a limit would mean all of its hosts: rename the group")

    def _few(self, place: str) -> None:
        total = self._server.table(f"{place}/").get("total_hosts")
        if not isinstance(total, int) or not 1 <= total <= self._system.max_hosts:
            raise LaunchRefused(
                f"inventory {self._system.inventory} has {total} hosts and a job may work on 1 to"
                f" {self._system.max_hosts}: set limit to a parameter, or max_hosts in the target"
            )
        growing = self._server.table(f"{place}/inventory_sources/", update_on_launch="true", page_size=1)
        if growing.get("count") != 0:
            raise LaunchRefused(
                f"inventory {self._system.inventory} updates itself on launch, so that nobody knows how many hosts it"
                " will have: set limit to a parameter, or switch that off"
            )


def _rows(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [each for each in answer.get("results") or [] if isinstance(each, dict)]


def _one_job(template: Mapping[str, Any]) -> None:
    """Refuse a template whose jobs are several: only one is followed."""
    if template.get("job_slice_count", 1) != 1:
        raise LaunchRefused(f"{_named(template)} is cut in slices, which are several jobs: set job slicing to 1")


def _nothing_missing(template: Mapping[str, Any], launch: Mapping[str, Any], body: Mapping[str, Any]) -> None:
    """Refuse what AWX would wait for, or refuse itself, since nobody is there to answer."""
    needed: Iterable[str] = launch.get("passwords_needed_to_start") or ()
    missing = [f"the password {name}" for name in needed]
    missing += [name for name in launch.get("variables_needed_to_start") or () if name not in body["extra_vars"]]
    missing += ["a credential"] if launch.get("credential_needed_to_start") else []
    missing += ["an inventory"] if launch.get("inventory_needed_to_start") and "inventory" not in body else []
    if missing:
        raise LaunchRefused(f"{_named(template)} asks for {', '.join(missing)}, which nobody gives: set it there")


def _named(template: Mapping[str, Any]) -> str:
    return f"job template {template.get('id')} ({rules.short(str(template.get('name')))})"
