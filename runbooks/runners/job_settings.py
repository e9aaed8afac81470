"""The tables [awx] and [rundeck] of a runbook.toml: which job each phase is, and which values it is given."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from runbooks.source import NEEDED, PHASES

Parameter = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,99}$")]
Option = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]

RESERVED = frozenset(
    {"group_names", "groups", "hostvars", "inventory_dir", "inventory_file", "inventory_hostname"}
    | {"inventory_hostname_short", "omit", "play_hosts", "playbook_dir", "role_name", "role_path", "role_names", "vars"}
)
"""What Ansible calls its own things, besides those that OWN begins."""
OWN = ("ansible_", "awx_", "tower_")
"""How the variables begin by which Ansible and AWX say where and as whom a job works."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Phases(_Frozen, ABC):
    """What both tables share; `given` and `parameters_of` are the same of either."""

    @abstractmethod
    def given(self, phase: str) -> Mapping[str, str]:
        """The values that a phase's job gets: name in the job -> parameter."""

    @abstractmethod
    def host(self) -> str | None:
        """The parameter that names the one host to work on."""

    @abstractmethod
    def mark(self) -> str:
        """The name under which the job gets the run's identity."""

    def phases(self) -> list[str]:
        """The phases that there are."""
        return [name for name in PHASES if getattr(self, name) is not None]

    @model_validator(mode="after")
    def _holds_together(self, info: ValidationInfo) -> "_Phases":
        found = [f"{name}: is missing: say which job it is" for name in NEEDED if getattr(self, name) is None]
        context = info.context or {}
        if "parameters" in context:
            found += [*_undoing(self, reversible=context.get("reversible")), *_unused(self, context["parameters"])]
        for phase in self.phases():
            if self.mark() in self.given(phase):
                found.append(f"{self.mark()}: holds the run's identity, and no parameter may")
        if found:
            raise ValueError("; ".join(found))
        return self


def _undoing(settings: _Phases, *, reversible: object) -> Iterator[str]:
    for name in (phase for phase in PHASES if phase not in NEEDED):
        if reversible is True and getattr(settings, name) is None:
            yield f"{name}: is missing, and reversible is true: say which job it is"
        elif reversible is False and getattr(settings, name) is not None:
            yield f"{name}: never runs, since reversible is false: take it out"


def _unused(settings: _Phases, parameters: tuple[str, ...]) -> Iterator[str]:
    used = {name for phase in settings.phases() for name in settings.given(phase).values()}
    if (host := settings.host()) is not None:
        used.add(host)
    for name in sorted(used - set(parameters)):
        yield f"{name}: the runbook has no such parameter; it has {', '.join(parameters) or 'none'}"
    for name in parameters:
        if name not in used:
            yield f"{name}: no job is given this parameter: name it, or take it out of the runbook"


class Template(_Frozen):
    """An AWX job template, by number or exact name. job_type: `check` launches it as a trial that changes nothing.

    variables: as in AwxSettings, for this phase alone.
    """

    template: Annotated[int, Field(ge=1)] | Annotated[str, Field(min_length=1, max_length=512)]
    job_type: Literal["check"] | None = None
    variables: dict[Variable, Parameter] | None = None


class AwxSettings(_Phases):
    """The table [awx].

    variables: name in the survey, or of an extra variable, -> parameter, for every phase that says nothing else.
    run_variable: the name under which each job gets the run's identity. limit: the parameter with the one host.
    """

    variables: dict[Variable, Parameter] = {}
    run_variable: Variable = "triage_run"
    limit: Parameter | None = None
    pre_check: Template | None = None
    action: Template | None = None
    post_check: Template | None = None
    undo: Template | None = None
    undo_check: Template | None = None

    @field_validator("variables", "run_variable")
    @classmethod
    def _are_nobodys(cls, given: dict[str, str] | str) -> dict[str, str] | str:
        for name in [given] if isinstance(given, str) else given:
            _free(name)
        return given

    @field_validator("pre_check", "action", "post_check", "undo", "undo_check")
    @classmethod
    def _theirs_too(cls, template: Template | None) -> Template | None:
        for name in (template and template.variables) or ():
            _free(name)
        return template

    @model_validator(mode="after")
    def _changes_something(self) -> "AwxSettings":
        for name in ("action", "undo"):
            template: Template | None = getattr(self, name)
            if template is not None and template.job_type == "check":
                raise ValueError(f"{name}.job_type: a trial changes nothing, and this phase must: take it out")
        return self

    def of(self, phase: str) -> Template:
        """The template of a phase; KeyError where the runbook has none."""
        template = getattr(self, phase, None) if phase in PHASES else None
        if not isinstance(template, Template):
            raise KeyError(phase)
        return template

    def given(self, phase: str) -> Mapping[str, str]:
        """See `_Phases`."""
        own = self.of(phase).variables
        return self.variables if own is None else own

    def host(self) -> str | None:
        """See `_Phases`."""
        return self.limit

    def mark(self) -> str:
        """See `_Phases`."""
        return self.run_variable


def _free(name: str) -> None:
    if name.lower().startswith(OWN) or name in RESERVED:
        raise ValueError(f"{name}: is Ansible's own, and would change where or how the job works: choose another")


class Job(_Frozen):
    """A Rundeck job, by its UUID. options: as in RundeckSettings, for this phase alone."""

    job: str
    options: dict[Option, Parameter] | None = None

    @field_validator("job")
    @classmethod
    def _is_a_uuid(cls, job: str) -> str:
        try:
            return str(UUID(job))
        except ValueError:
            raise ValueError("is no UUID: copy it from the job's page") from None


class RundeckSettings(_Phases):
    """The table [rundeck].

    options: name of an option -> parameter, for every phase that says nothing else. run_option: the option in which
    each job gets the run's identity. node: the parameter with the one node, where jobs have none of their own.
    """

    options: dict[Option, Parameter] = {}
    run_option: Option = "triage_run"
    node: Parameter | None = None
    pre_check: Job | None = None
    action: Job | None = None
    post_check: Job | None = None
    undo: Job | None = None
    undo_check: Job | None = None

    def of(self, phase: str) -> Job:
        """The job of a phase; KeyError where the runbook has none."""
        job = getattr(self, phase, None) if phase in PHASES else None
        if not isinstance(job, Job):
            raise KeyError(phase)
        return job

    def given(self, phase: str) -> Mapping[str, str]:
        """See `_Phases`."""
        own = self.of(phase).options
        return self.options if own is None else own

    def host(self) -> str | None:
        """See `_Phases`."""
        return self.node

    def mark(self) -> str:
        """See `_Phases`."""
        return self.run_option
