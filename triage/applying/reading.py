"""From the file's text to a checked document: every problem at once, each with its line and what to mend."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from triage.applying import text
from triage.applying.document import Customer, Document
from triage.applying.text import Text, YamlInvalid

PLAINER = {
    "string_type": "this must be text: put it in quotes",
    "bool_type": "this must be true or false",
    "int_type": "this must be a whole number",
    "float_type": "this must be a number",
    "list_type": "this must be a list",
    "dict_type": "this must be a mapping of names and values",
    "model_type": "this must be a mapping of names and values",
    "model_attributes_type": "this must be a mapping of names and values",
}


class DocumentInvalid(Exception):
    """The file cannot be applied; one line for each problem, with file and line."""


@dataclass(frozen=True)
class Problem:
    """Something to mend, at a path of the document."""

    path: tuple[str | int, ...]
    message: str


@dataclass(frozen=True)
class Read:
    """A document that fits, and where its parts stand."""

    document: Document
    file: str
    written: Text

    def refuse(self, problems: Iterable[Problem]) -> None:
        """Raise DocumentInvalid where there is any problem."""
        said = sorted({(_line(self.written, one.path), one.message) for one in problems})
        if said:
            raise DocumentInvalid("\n".join(f"{self.file}:{line}: {message}" for line, message in said))


def read(content: str, *, file: str) -> Read:
    """The document in the text of `file`; DocumentInvalid with every problem that its form shows."""
    try:
        written = text.read(content)
    except YamlInvalid as error:
        raise DocumentInvalid(f"{file}:{error.line}: {error}") from None
    empty = Read(Document(), file, written)
    if not isinstance(written.data, dict):
        empty.refuse([Problem((), "the file must be a mapping: begin with customers: and a list")])
    merged, wrong = _with_defaults(written.data)
    empty.refuse(wrong)
    try:
        found = Document.model_validate(merged)
    except ValidationError as error:
        empty.refuse(_problems(error, merged))
        raise AssertionError("unreachable: a validation error is a problem") from error
    result = Read(found, file, written)
    result.refuse(_doubles(found))
    return result


def load(path: Path) -> Read:
    """`read` of a file; DocumentInvalid where it cannot be opened."""
    try:
        return read(path.read_text(encoding="utf-8"), file=path.name)
    except UnicodeDecodeError:
        raise DocumentInvalid(f"{path.name}: this is no UTF-8 text") from None
    except OSError as error:
        raise DocumentInvalid(f"{path}: {error.strerror}") from None


def nearest(word: str, known: Iterable[str]) -> str:
    """What to write instead of an unknown name: the nearest known one, else all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else f"there are: {', '.join(names) or 'none yet'}"


def _with_defaults(data: dict[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """The document with `defaults` put into each customer and source; what is wrong with the defaults' own form."""
    rest = {name: value for name, value in data.items() if name != "defaults"}
    defaults = data.get("defaults") or {}
    if not isinstance(defaults, dict):
        return rest, [Problem(("defaults",), "this must be a mapping with customer and source")]
    wrong = [
        Problem(("defaults", name), f"there is no {name} in defaults; {nearest(str(name), ['customer', 'source'])}")
        for name in defaults
        if name not in ("customer", "source")
    ]
    for one, many in (("customer", "customers"), ("source", "sources")):
        given = defaults.get(one) or {}
        if not isinstance(given, dict):
            wrong.append(Problem(("defaults", one), "this must be a mapping of names and values"))
        elif isinstance(rest.get(many), list):
            rest[many] = [_merged(given, own) if isinstance(own, dict) else own for own in rest[many]]
    return rest, wrong


def _merged(default: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """`own` over `default`: mappings name by name, everything else as a whole."""
    result = dict(default)
    for name, value in own.items():
        below = result.get(name)
        result[name] = _merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result


def _problems(error: ValidationError, data: Any) -> Iterator[Problem]:
    for one in error.errors(include_url=False, include_input=False):
        path = _real(one["loc"], data)
        if one["type"] == "extra_forbidden":
            name = str(one["loc"][-1])
            known = _model_at(one["loc"][:-1]).model_fields
            yield Problem(path, f"there is no {name} here; {nearest(name, known)}")
        elif one["type"] == "missing":
            yield Problem(path, f"{one['loc'][-1]} is missing")
        else:
            said = PLAINER.get(one["type"], one["msg"].removeprefix("Value error, "))
            name = ".".join(str(part) for part in path if not isinstance(part, int)) or "the file"
            yield Problem(path, f"{name}: {said[:1].lower()}{said[1:]}")


def _real(location: tuple[str | int, ...], data: Any) -> tuple[str | int, ...]:
    """The location without the parts that name a choice of the schema and stand in no file."""
    found: list[str | int] = []
    for number, part in enumerate(location):
        inside = isinstance(data, dict) and part in data
        inside = inside or (isinstance(data, list) and isinstance(part, int) and part < len(data))
        if inside:
            data = data[part]
            found.append(part)
        elif number == len(location) - 1 and isinstance(data, dict) and isinstance(part, str):
            found.append(part)  # the name that is missing
    return tuple(found)


def _model_at(location: Iterable[str | int]) -> type[BaseModel]:
    model: type[BaseModel] = Document
    for part in location:
        if isinstance(part, str) and part in model.model_fields:
            model = _inner(model.model_fields[part].annotation) or model
    return model


def _inner(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _inner(part))), None)


def _doubles(document: Document) -> Iterator[Problem]:
    """Names that stand twice: which of the two was meant?"""
    for many, names in (
        ("people", [one.name for one in document.people]),
        ("customers", [one.slug for one in document.customers]),
        ("sources", [one.slug for one in document.sources]),
        ("events", [one.name for one in document.events]),
    ):
        yield from _twice(names, (many,))
    for number, customer in enumerate(document.customers):
        at = ("customers", number)
        yield from _twice([one.name for one in customer.events], (*at, "events"))
        yield from _twice([(one.runbook, one.target, one.each) for one in customer.limits], (*at, "limits"))
        yield from _policies(customer, at)
    for number, source in enumerate(document.sources):
        yield from _twice([one.owner for one in source.mappings], ("sources", number, "mappings"))


def _twice(names: list[Any], path: tuple[str | int, ...]) -> Iterator[Problem]:
    seen: set[Any] = set()
    for number, name in enumerate(names):
        if name in seen:
            said = name if isinstance(name, str) else " ".join(str(part) for part in name if part) or "the same"
            yield Problem((*path, number), f"{said} stands here for the second time: keep one")
        seen.add(name)


def _policies(customer: Customer, at: tuple[str | int, ...]) -> Iterator[Problem]:
    if customer.allowed_runbooks is None:
        return
    for key, policy in customer.runbooks.items():
        if "enabled" in policy.model_fields_set and policy.enabled != (key in customer.allowed_runbooks):
            yield Problem((*at, "runbooks", key), f"{key}: enabled and allowed_runbooks say different things")


def _line(written: Text, path: tuple[str | int, ...]) -> int:
    """The line of a path; where the value came out of the defaults, the line there."""
    line, found = written.line_of(path)
    if found < len(path) and path[:1] in (("customers",), ("sources",)) and len(path) > 2:
        other, deeper = written.line_of(("defaults", str(path[0])[:-1], *path[2:]))
        if deeper > found:
            return other
    return line
