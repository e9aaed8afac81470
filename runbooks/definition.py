"""Reads a runbook from its folder: `runbook.toml`, strictly, into the one value that everything else uses.

What the file says is data only. Nothing of it is imported, formatted into code or looked up by name, but the keys of
runners and targets.
"""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from runbooks import files
from runbooks.base import Runbook
from runbooks.files import DEFINITION
from runbooks.runners import RUNNERS, SETTINGS, TARGET_KINDS
from runbooks.source import SourceError
from runbooks.targets import TARGETS

SIZE_LIMIT = 256 * 1024
OURS = ("folder", "settings")
"""What a Runbook has besides its definition."""


class DefinitionError(ValueError):
    """A folder describes no runbook: `problems` are sentences, each with file, field and the mend."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def read(folder: Path) -> Runbook:
    """Return the runbook of a folder, its steps read; DefinitionError with all that is wrong with it."""
    path = folder / DEFINITION
    return of(table_of(path), path=path, folder=folder)


def of(table: dict[str, Any], *, path: Path, folder: Path) -> Runbook:
    """Return the runbook that a table, read from `path`, describes; DefinitionError with all that is wrong with it."""
    problems = [f"{path}: {problem}" for problem in _misfits(table, folder)]
    runner = table.get("runner", "python")
    known = isinstance(runner, str) and runner in RUNNERS
    settings, wrong = _settings(table.pop(runner, None), runner, table, folder) if known else ({}, [])
    problems += [f"{path}: {problem}" for problem in wrong]
    try:
        runbook = Runbook(**_tuples(table), folder=folder, settings=settings)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
        raise DefinitionError([*problems, *(f"{path}: {_told(detail, table)}" for detail in details)]) from None
    if not problems:
        try:
            _ = runbook.steps
        except SourceError as error:
            problems.append(str(error))
    if problems:
        raise DefinitionError(problems)
    return runbook


def table_of(path: Path) -> dict[str, Any]:
    """Return a definition's table as it stands; DefinitionError where it cannot be read."""
    try:
        data = files.plain(path)
    except FileNotFoundError:
        raise DefinitionError([f"{path}: no such file; a runbook's folder needs one"]) from None
    except (files.FolderError, OSError) as error:
        raise DefinitionError([str(error)]) from None
    if len(data) > SIZE_LIMIT:
        raise DefinitionError([f"{path}: larger than {SIZE_LIMIT >> 10} KiB, which no definition is: shorten it"])
    try:
        return tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise DefinitionError([f"{path}: byte {error.start} is no UTF-8: save the file as UTF-8"]) from None
    except (ValueError, RecursionError) as error:
        why = str(error) if isinstance(error, ValueError) else "it is nested too deep"
        raise DefinitionError([f"{path}: this is no TOML: {why}. Put texts in quotes, lists in [ ]"]) from None


def _misfits(table: dict[str, Any], folder: Path) -> list[str]:
    """What no schema of one file can know: the folder's name, and the runners and targets that there are."""
    found = [f"{name}: there is no such key: take it out" for name in OURS if name in table]
    for name in OURS:
        table.pop(name, None)
    key, runner, kind = table.get("key"), table.get("runner", "python"), table.get("target_kind")
    if isinstance(key, str) and key != folder.name:
        found.append(f"key: {_shown(key)} must be the folder's name, {folder.name!r}: rename one of them")
    if isinstance(runner, str) and runner not in RUNNERS:
        found.append(f"runner: there is no runner {_shown(runner)}: write one of {', '.join(RUNNERS)}")
    if isinstance(kind, str) and kind not in TARGETS:
        found.append(f"target_kind: there is no target {_shown(kind)}: write one of {', '.join(TARGETS)}")
    elif runner in RUNNERS and (wanted := TARGET_KINDS.get(str(runner), kind)) != kind:
        found.append(f"target_kind: the runner {runner} works on the kind {wanted!r}, and it is {_shown(kind)}")
    return found


def _settings(given: object, runner: str, rest: dict[str, Any], folder: Path) -> tuple[dict[str, Any], list[str]]:
    """The runner's own table, checked by the runner's own schema; `rest` is what stands beside it."""
    schema = SETTINGS.get(runner)
    if schema is None:
        return {}, [] if given is None else [f"{runner}: the runner {runner} takes no settings: take the table out"]
    given = {} if given is None else given
    try:
        checked = schema.model_validate(_tuples(given), context={"folder": folder, **_context(rest)})
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
        return {}, [f"{runner}.{_told(detail, given, schema.model_fields)}" for detail in details]
    return checked.model_dump(mode="json"), []


def _context(rest: dict[str, Any]) -> dict[str, Any]:
    """What a runner's settings are to agree with, as far as it can be read."""
    parameters = rest.get("parameters", [])
    names = [each.get("name") for each in parameters if isinstance(each, dict)] if isinstance(parameters, list) else []
    return {"parameters": tuple(map(str, names)), "reversible": rest.get("reversible")}


def _tuples(value: Any) -> Any:
    """TOML's lists as tuples: the strict schema takes what cannot be changed."""
    if isinstance(value, dict):
        return {name: _tuples(inner) for name, inner in value.items()}
    return tuple(_tuples(inner) for inner in value) if isinstance(value, list) else value


def _told(detail: ErrorDetails, table: object, known: Mapping[str, Any] = Runbook.model_fields) -> str:
    """One problem as a sentence: the field, what is wrong, the mend."""
    kind, what, location = detail["type"], detail["msg"].removeprefix("Value error, "), detail["loc"]
    field = _field(location, table)
    start = f"{field}: " if field else ""
    if kind == "missing":
        return f"{start}is missing: add it"
    if kind == "extra_forbidden":
        name = str(location[-1])
        near = difflib.get_close_matches(name, [*known, "limits", "resources"], 1) if len(location) == 1 else []
        return f"{start}there is no such key: " + (f"did you mean {near[0]}?" if near else "take it out")
    wanted = {
        "string_type": "write a text in quotes",
        "int_type": "write a whole number, without quotes",
        "bool_type": "write true or false, without quotes",
        "tuple_type": "write a list in [ ]",
        "model_type": "write a table",
        "dict_type": "write a table",
    }.get(kind, "correct it")
    return f"{start}{what}, and it is {_shown(detail['input'])}: {wanted}" if start else f"{what}: correct it"


def _field(location: tuple[int | str, ...], table: object) -> str:
    """`parameters[0] (account).pattern`: a parameter is found faster by its name than by counting."""
    told = ""
    for step in location:
        if isinstance(step, int):
            told += f"[{step}]"
            table = table[step] if isinstance(table, list) and step < len(table) else None
            name = table.get("name") if isinstance(table, dict) else None
            told += f" ({_shown(name)})" if isinstance(name, str) else ""
        else:
            told += f".{step}" if told else step
            table = table.get(step) if isinstance(table, dict) else None
    return told


def _shown(value: object) -> str:
    if isinstance(value, (dict, list, tuple)):
        return "a table" if isinstance(value, dict) else "a list"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
