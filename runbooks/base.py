"""What a runbook is: its typed description, checked when it is made, and the digests that certificates hang on."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from runbooks import plain, source
from runbooks.environments import Environment, Rule

Tier = Literal["low", "medium", "high", "irreversible"]
LinkPurpose = Literal["set_password"]
Assurance = Literal["none", "monitored", "mail", "portal"]
ParameterKind = Literal[
    "account", "mailbox", "group", "host", "software", "ticket", "date", "size_mb", "choice", "text"
]
TargetList = Literal["services", "folders", "logs", "certificates"]

ASSURANCES: Final[tuple[Assurance, ...]] = ("none", "monitored", "mail", "portal")
"""How sure we are who is asking, from the least to the most."""

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
Sentence = Annotated[str, Field(min_length=1, max_length=300)]

ANY: Final = r"[^\x00-\x1f\x7f]+"
"""The pattern of a parameter that names none."""

_EXTRACTOR_FILES = (
    "catalogue.py",
    "dates.py",
    "hosts.py",
    "mentions.py",
    "names.py",
    "ownership.py",
    "parameters.py",
    "people.py",
    "plain.py",
    "rules.py",
    "search.py",
    "targets/lists.py",
)


def assurance_reaches(have: Assurance, need: Assurance) -> bool:
    """Say whether a channel's assurance is at least what a runbook asks for."""
    return ASSURANCES.index(have) >= ASSURANCES.index(need)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Parameter(_Frozen):
    """One value that a runbook needs, where it may come from and what it must look like.

    own: an account or mailbox that must be the requester's own; taken from the requester where the text names nobody.
    fields: names of structured ticket fields that are looked at before the text, in this order.
    choices: the allow-list of a `choice` or `software`; without it that of a `software` is the target's own, and so
    always that of a `group` or `host`. listed_by: a list of a target of the kind `host` that is a `choice`'s
    allow-list. aliases: other names that tickets use for a choice.
    pattern: must match the whole final value; for a `ticket` it says which references count.
    minimum and maximum: MiB, for `size_mb` only.
    """

    name: Name
    kind: ParameterKind
    title: Sentence
    required: bool = True
    own: bool = False
    fields: tuple[Annotated[str, Field(min_length=1, max_length=100)], ...] = ()
    choices: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = ()
    listed_by: TargetList | None = None
    aliases: Mapping[str, tuple[Annotated[str, Field(min_length=1, max_length=200)], ...]] = Field(default_factory=dict)
    pattern: str = ANY
    max_length: int = Field(default=200, ge=1, le=1000)
    minimum: int | None = Field(default=None, ge=1)
    maximum: int | None = Field(default=None, ge=1)

    @field_validator("pattern")
    @classmethod
    def _pattern_compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return pattern

    @model_validator(mode="after")
    def _fits_its_kind(self) -> "Parameter":
        self._has_its_list()
        if self.own and self.kind not in ("account", "mailbox"):
            raise ValueError("own belongs to the kinds 'account' and 'mailbox'")
        bounds = {bound is not None for bound in (self.minimum, self.maximum)}
        if bounds != {self.kind == "size_mb"}:
            raise ValueError("minimum and maximum belong to the kind 'size_mb', which needs both")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError("minimum is above maximum")
        if self.kind == "text" and not self.fields:
            raise ValueError("a 'text' is read from structured fields only: name at least one in fields")
        return self

    def _has_its_list(self) -> None:
        if self.choices and self.kind not in ("choice", "software"):
            raise ValueError("choices belong to the kind 'choice', and to 'software'")
        if self.listed_by and (self.kind != "choice" or self.choices):
            raise ValueError("listed_by belongs to the kind 'choice', in the place of choices")
        if self.kind == "choice" and not self.choices and not self.listed_by:
            raise ValueError("choices belong to the kind 'choice', which needs at least one, or listed_by")
        for name in self.choices:
            if why := plain.trouble_with(name):
                raise ValueError(f"the choice {name!r} {why}, which no value may")
        if unknown := sorted(set(self.aliases) - set(self.choices)):
            raise ValueError(f"aliases: {unknown[0]!r} is none of the choices")


class Limits(_Frozen):
    """How much of one runbook may happen at one customer.

    The circuit opens when `circuit_failures` of the last `circuit_runs` finished runs went wrong.
    """

    runs_an_hour: int = Field(default=60, ge=1)
    concurrent: int = Field(default=4, ge=1)
    circuit_failures: int = Field(default=3, ge=1)
    circuit_runs: int = Field(default=10, ge=1)

    @model_validator(mode="after")
    def _circuit_can_open(self) -> "Limits":
        if self.circuit_failures > self.circuit_runs:
            raise ValueError("circuit_failures is above circuit_runs: the circuit could never open")
        return self


class Resources(_Frozen):
    """What one run's process may use. Seconds of CPU and MiB hold for each process, `processes` for all."""

    cpu_seconds: int = Field(default=30, ge=1)
    memory_mb: int = Field(default=512, ge=64)
    file_mb: int = Field(default=1024, ge=1)
    processes: int = Field(default=32, ge=1)


class Runbook(_Frozen):
    """What can be done for an article: a folder with `runbook.toml`, read by `runbooks.definition`, and its action.

    folder: where what is run lies. For the runner `python` that is steps.py with pre_check, action, post_check and,
    when reversible, undo and undo_check, each taking the context. time_limit and undo_time_limit: seconds of wall
    clock. runner: a key of `runbooks.runners.RUNNERS`. settings: what that runner needs besides, the table of its
    name. target_kind: a key of `runbooks.targets.TARGETS`. environments: where it may `run` by itself, where a person
    must `approve`, where it runs `never`; by itself where nothing is said. link: the purpose of a one-time link that
    is made for each run and handed to it; it opens once the run has succeeded, and never otherwise.
    """

    key: Name
    title: Sentence
    owner: Sentence
    article_keys: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = ()
    parameters: tuple[Parameter, ...] = ()
    tier: Tier
    reversible: bool
    time_limit: int = Field(default=30, ge=1, le=840)
    undo_time_limit: int = Field(default=30, ge=1, le=840)
    assurance: Assurance
    runner: Name = "python"
    folder: Path
    settings: Mapping[str, JsonValue] = Field(default_factory=dict)
    target_kind: Name
    link: LinkPurpose | None = None
    limits: Limits = Limits()
    environments: Mapping[Environment, Rule] = Field(default_factory=dict)
    resources: Resources = Resources()

    @model_validator(mode="after")
    def _holds_together(self) -> "Runbook":
        names = [parameter.name for parameter in self.parameters]
        if len(set(names)) != len(names):
            raise ValueError("two parameters have the same name")
        if len(set(self.article_keys)) != len(self.article_keys):
            raise ValueError("an article key stands twice in article_keys")
        if (self.tier == "irreversible") == self.reversible:
            raise ValueError("tier 'irreversible' and reversible=False belong together")
        if self.link and (self.runner, self.target_kind) != ("python", "directory"):
            raise ValueError("link belongs to runner 'python' and target_kind 'directory'")
        return self

    @property
    def longest_seconds(self) -> int:
        """The most seconds of wall clock that one run can take, the undo included."""
        return self.time_limit + (self.undo_time_limit if self.reversible else 0)

    @property
    def steps(self) -> source.Steps:
        """The steps as they were when this process first read them; SourceError when they cannot be used.

        A phase that has a table of its own in the settings, such as a job of another system, is that table too.
        """
        read = source.read(self.folder, runner=self.runner, reversible=self.reversible)
        told = {
            name: json.dumps(self.settings[name], sort_keys=True) for name in source.PHASES if name in self.settings
        }
        return replace(read, functions={**read.functions, **told}) if told else read

    @property
    def selection_digest(self) -> str:
        """sha256 over what decides that this runbook is chosen and with what: belongs to the gate.

        Article keys, parameter schema, extractor and pre-check; with them whatever the phases share.
        """
        schema = [parameter.model_dump(mode="json") for parameter in self.parameters]
        return source.digest(
            [
                "selection",
                self.key,
                *sorted(self.article_keys),
                json.dumps(schema, sort_keys=True),
                self.assurance,
                extractor(),
                self._settings,
                self.steps.shared,
                self.steps.functions.get("pre_check", ""),
            ]
        )

    @property
    def action_digest(self) -> str:
        """sha256 over what is done: action, checks after it, undo, their shared code, runner, its engine, target."""
        functions = self.steps.functions
        after = [functions[name] for name in source.PHASES[1:] if name in functions]
        told = [self.key, self.runner, self.target_kind, self._settings, self.steps.shared]
        engine = source.engine(self.runner)
        extra = [text for text in (engine, f"link {self.link}" if self.link else "") if text]
        return source.digest(["action", *told, *after, *extra])

    @property
    def _settings(self) -> str:
        """What the settings say to all phases."""
        shared = {name: value for name, value in self.settings.items() if name not in source.PHASES}
        return json.dumps(shared, sort_keys=True)


@cache
def extractor() -> str:
    """Return the extractor's version: a sha256 over its source text, so that no change can be forgotten."""
    folder = Path(__file__).parent
    texts = [(folder / name).read_text(encoding="utf-8").replace("\r\n", "\n") for name in _EXTRACTOR_FILES]
    return source.digest(["extractor", *texts])
