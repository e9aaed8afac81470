"""What an author of a runbook with AWS Automation documents writes down, and what such a document may not do with it.

Systems Manager pastes `{{ parameter }}` into the text of commands before a shell reads it, so a document is read before
it is started, and a ticket's word goes into it only where both sides bound what it may be.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from runbooks import lint
from runbooks.rules import short

DocumentName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_\-.:/]{3,128}$")]
Version = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,8}$")]
ParameterName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,50}$")]
Value = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f]+$")]

REFERENCE: Final = re.compile(r"\{([a-z][a-z0-9_]{0,59})\}")

HARMLESS: Final = frozenset(
    f"aws:{action}"
    for action in (
        "approve", "assertAwsResourceProperty", "branch", "changeInstanceState", "copyImage", "createImage",
        "createTags", "deleteImage", "deleteStack", "loop", "pause", "sleep", "updateVariable",
        "waitForAwsResourceProperty",
    )
)  # fmt: skip
"""Actions that take values as values: no shell, script, template or other document reads them."""

SAFE: Final = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./:@+=-]*")
"""What may be pasted into a command: nothing that a shell, PowerShell or a script reads as more than a name."""

_PASTED = re.compile(r"\{\{([^{}]*)\}\}")
_PLAIN_TYPES = ("Boolean", "Integer")
_CLOSED_TYPES = ("MapList", "StringMap")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _whole(value: str) -> str:
    if ("{" in value or "}" in value) and not REFERENCE.fullmatch(value):
        raise ValueError(f'{short(value)}: write "{{name}}" for a parameter of the runbook, and nothing around it')
    return value


class Targets(_Frozen):
    """What a rate-controlled execution works on.

    parameter: the document's parameter that takes one target. key: `ParameterValues` with the values themselves, or
    `tag:<key>` or `ResourceGroup`, where the target's settings allow it. max_errors: so many may go wrong; it stops at
    the next one. Each as a number or a percentage.
    """

    parameter: ParameterName
    key: Annotated[str, Field(pattern=r"^(ParameterValues|ResourceGroup|tag:[^=\s]{1,128})$")] = "ParameterValues"
    values: tuple[Value, ...] = Field(min_length=1, max_length=50)
    max_concurrency: Annotated[str, Field(pattern=r"^([1-9][0-9]{0,5}|[1-9][0-9]?%|100%)$")] = "1"
    max_errors: Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,5}|[0-9]%|[1-9][0-9]%|100%)$")] = "0"

    @field_validator("values")
    @classmethod
    def _references(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_whole(value) for value in values)

    @model_validator(mode="after")
    def _groups_are_named(self) -> "Targets":
        if self.key != "ParameterValues" and any(REFERENCE.fullmatch(value) for value in self.values):
            raise ValueError("a parameter of the runbook may be a target by ParameterValues, and no group of them")
        return self


class DocumentPhase(_Frozen):
    """One phase: the document, its fixed version, and what its parameters get: `"{name}"` or a text of the author's."""

    document: DocumentName
    version: Version
    parameters: Mapping[ParameterName, Value] = Field(default_factory=dict, max_length=200)
    targets: Targets | None = None

    @field_validator("parameters")
    @classmethod
    def _references(cls, parameters: Mapping[str, str]) -> Mapping[str, str]:
        return {name: _whole(value) for name, value in parameters.items()}

    @model_validator(mode="after")
    def _target_once(self) -> "DocumentPhase":
        if self.targets and self.targets.parameter in self.parameters:
            raise ValueError(f"{self.targets.parameter}: is given by targets: take it out of parameters")
        return self

    def references(self) -> frozenset[str]:
        """The runbook's parameters that this phase uses."""
        texts = [*self.parameters.values(), *(self.targets.values if self.targets else ())]
        return frozenset(found[1] for text in texts if (found := REFERENCE.fullmatch(text)))


class DocumentPhases(_Frozen):
    """The table [ssm] of a runbook.toml: a document for each phase; undo and undo_check where it can be undone."""

    pre_check: DocumentPhase
    action: DocumentPhase
    post_check: DocumentPhase
    undo: DocumentPhase | None = None
    undo_check: DocumentPhase | None = None

    @model_validator(mode="after")
    def _holds_together(self, info: ValidationInfo) -> "DocumentPhases":
        if (self.undo is None) != (self.undo_check is None):
            raise ValueError("undo and undo_check belong together: add the one that is missing")
        context = info.context or {}
        undone = context.get("reversible")
        if isinstance(undone, bool) and undone != (self.undo is not None):
            mend = "add undo and undo_check" if undone else "take undo and undo_check out"
            raise ValueError(f"reversible is {str(undone).lower()}: {mend}, or change it")
        if "parameters" in context:
            self._agrees(tuple(context["parameters"]))
        return self

    def _agrees(self, parameters: tuple[str, ...]) -> None:
        used = frozenset[str]().union(*(phase.references() for phase in self.by_name().values()))
        unknown, idle = sorted(used - set(parameters)), [name for name in parameters if name not in used]
        if unknown:
            has = ", ".join(parameters) or "none"
            raise ValueError(f"{unknown[0]}: the runbook has no such parameter; it has {has}")
        if idle:
            raise ValueError(f"{idle[0]}: no document gets this parameter: name it, or take it out of the runbook")

    @model_serializer(mode="wrap")
    def _without_what_there_is_not(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: phase for name, phase in dump(self).items() if phase is not None}

    def by_name(self) -> dict[str, DocumentPhase]:
        """The phases that there are, in their order."""
        found = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: phase for name, phase in found.items() if phase is not None}


@dataclass(frozen=True)
class Given:
    """What a document's parameter gets. ticketed: it is a value of the runbook's, which a ticket's words decide."""

    values: tuple[str, ...]
    ticketed: bool


def given(phase: DocumentPhase, parameters: Mapping[str, str]) -> dict[str, Given]:
    """Return what each parameter of the phase's document gets; where a value is missing, nothing: its default holds."""
    lists: dict[str, tuple[str, ...]] = {name: (text,) for name, text in phase.parameters.items()}
    if phase.targets and phase.targets.key == "ParameterValues":
        lists[phase.targets.parameter] = phase.targets.values
    found = {}
    for name, texts in lists.items():
        pairs = [(REFERENCE.fullmatch(text), text) for text in texts]
        if all(not ref or ref[1] in parameters for ref, _ in pairs):
            values = tuple(parameters[ref[1]] if ref else text for ref, text in pairs)
            found[name] = Given(values, any(ref for ref, _ in pairs))
    return found


def problems(content: Mapping[str, Any], gets: Mapping[str, Given], *, rated: str = "") -> Iterator[str]:
    """Yield why a document may not be started with these values, a sentence each.

    content: the document as JSON, schema 0.3. rated: the parameter that Systems Manager fills for each target itself.
    """
    declared = content.get("parameters") or {}
    working = [step for step in _steps(content.get("mainSteps")) if step["action"] not in HARMLESS]
    pasted = _pasted(working)
    for name, what in gets.items():
        if not isinstance(declared.get(name), Mapping):
            yield f"it has no parameter {name}"
        else:
            every = pasted is None or name in pasted
            yield from _misfits(name, what, declared[name], working=bool(working), pasted=every)
    for name, one in declared.items():
        if isinstance(one, Mapping) and "default" not in one and name not in gets and name != rated:
            yield f"its parameter {name} has no default and gets no value"


def documents(content: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Return name and version (empty: the default one) of the documents that a document's steps name."""
    inputs = [step.get("inputs") or {} for step in _steps(content.get("mainSteps"))]
    named = [(one.get("DocumentName"), one.get("DocumentVersion") or "") for one in inputs if isinstance(one, Mapping)]
    return {
        (name, version if isinstance(version, str) and "{{" not in version else "")
        for name, version in named
        if isinstance(name, str) and "{{" not in name
    }


def _steps(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every step, those within loops too."""
    if isinstance(value, Mapping):
        if isinstance(value.get("action"), str):
            yield value
        for inner in value.values():
            yield from _steps(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _steps(inner)


def _pasted(steps: list[Mapping[str, Any]]) -> frozenset[str] | None:
    """The parameters that stand in what steps execute; None where it may be any, through a variable or an output."""
    found = set()
    for step in steps:
        inputs = step.get("inputs")
        if step["action"] == "aws:executeScript" and isinstance(inputs, Mapping):
            # A script gets its payload as data and not as text.
            inputs = {name: value for name, value in inputs.items() if name != "InputPayload"}
        for name in _names(inputs):
            if name.startswith(("global:", "automation:")):
                continue
            if ":" in name or "." in name:
                return None
            found.add(name)
    return frozenset(found)


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from (name.strip() for name in _PASTED.findall(value))
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _names(key)
            yield from _names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _names(inner)


def _misfits(name: str, what: Given, declared: Mapping[str, Any], *, working: bool, pasted: bool) -> Iterator[str]:
    kind, allowed, pattern = declared.get("type"), declared.get("allowedValues"), declared.get("allowedPattern")
    if kind in _CLOSED_TYPES:
        yield f"{name} is a {kind}, into which no value is put"
        return
    bounded = kind in _PLAIN_TYPES or isinstance(allowed, list) or _anchored(pattern)
    if what.ticketed and working and not bounded:
        yield f"{name} needs an allowedPattern from ^ to $, or allowedValues, since its steps execute text"
        return
    if isinstance(pattern, str) and (why := _unreadable(pattern)):
        yield f"the allowedPattern of {name} {why}"
        return
    for value in what.values:
        fits = _of_kind(kind, value) and (not isinstance(allowed, list) or value in [str(each) for each in allowed])
        if not fits or (isinstance(pattern, str) and not re.fullmatch(pattern, value)):
            yield f"{name} does not take {short(value)}"
        elif what.ticketed and "{{" in value:
            yield f"{name}: {short(value)} would be replaced by something else, such as a stored secret"
        elif what.ticketed and pasted and not SAFE.fullmatch(value):
            yield f"{name}: {short(value)} has a character that a shell or script could read as more than a name"


def _of_kind(kind: object, value: str) -> bool:
    if kind == "Boolean":
        return value in ("true", "false")
    return kind != "Integer" or re.fullmatch(r"-?[0-9]{1,18}", value) is not None


def _anchored(pattern: object) -> bool:
    return isinstance(pattern, str) and pattern.startswith("^") and pattern.endswith("$") and pattern[-2:-1] != "\\"


def _unreadable(pattern: str) -> str:
    """Why a value cannot be compared with the pattern here; empty where it can."""
    try:
        re.compile(pattern)
    except re.error:
        return "cannot be read here: write it without what only Java knows"
    return "can take for ever: write it without a repetition within a repetition" if lint.can_hang(pattern) else ""
