"""The API's description as a page of our own: made from the same OpenAPI document, without scripts or styles inline."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from triage import tokens
from triage.api.root import DESCRIPTION, api
from triage.web.page import show

Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Field:
    """One parameter or one field of a body, in words."""

    name: str
    kind: str
    place: str
    required: bool
    about: str


@dataclass(frozen=True)
class Operation:
    """One operation, ready to be shown."""

    id: str
    method: str
    path: str
    about: str
    takes: list[Field]
    gives: list[Field]
    gives_status: str


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Every operation by its noun, with what it takes and gives."""
    paragraphs = [" ".join(part.split()) for part in DESCRIPTION.split("\n\n")]
    context = {"nouns": described(), "paragraphs": paragraphs, "scopes": tokens.SCOPES.items()}
    return show(request, "triage/api.html", context)


@lru_cache(maxsize=1)
def described() -> dict[str, list[Operation]]:
    """The operations by noun; they do not change while the process lives."""
    schema = api.get_openapi_schema(path_prefix="/api/")
    parts = schema["components"]["schemas"]
    nouns: dict[str, list[Operation]] = {}
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            shown = _operation(path, method.upper(), operation, parts)
            nouns.setdefault(operation["tags"][0], []).append(shown)
    return nouns


def _operation(path: str, method: str, operation: Schema, parts: Schema) -> Operation:
    taken = [
        Field(one["name"], _kind(one["schema"], parts), one["in"], one.get("required", False), _about(one))
        for one in operation.get("parameters", [])
    ]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body:
        taken += _fields(body, parts, "body")
    status = next(status for status in map(str, operation["responses"]) if status.startswith("2"))
    responses = {str(status): one for status, one in operation["responses"].items()}
    given = responses[status].get("content", {}).get("application/json", {}).get("schema", {})
    about = " ".join(operation.get("description", "").split())
    return Operation(
        operation["operationId"], method, path, about, taken, list(_fields(given, parts, "answer")), status
    )


def _about(one: Schema) -> str:
    return str(one.get("description") or one["schema"].get("description", ""))


def _fields(schema: Schema, parts: Schema, place: str) -> Iterator[Field]:
    found = _resolved(schema, parts)
    names: set[str] = set()
    for either in found.get("anyOf", []):  # each field once, as the first kind of body has it
        for field in _fields(either, parts, place):
            if field.name not in names:
                names.add(field.name)
                yield field
    needed = found.get("required", [])
    for name, one in found.get("properties", {}).items():
        yield Field(name, _kind(one, parts), place, name in needed, str(one.get("description", "")))


def _resolved(schema: Schema, parts: Schema) -> Schema:
    name = schema.get("$ref", "").rpartition("/")[2]
    found: Schema = parts.get(name, schema)
    return found


def _kind(schema: Schema, parts: Schema) -> str:
    """What a value looks like, in a few words."""
    if "$ref" in schema:
        inner = _resolved(schema, parts)
        return "{ " + ", ".join(inner.get("properties", {})) + " }"
    if "anyOf" in schema:
        return " or ".join(_kind(one, parts) for one in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(repr(one) if one == "" else str(one) for one in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}), parts)}"
    bounds = [
        f"{words} {schema[name]}"
        for name, words in (
            ("minLength", "at least"),
            ("maxLength", "at most"),
            ("minimum", "from"),
            ("maximum", "to"),
        )
        if name in schema
    ]
    kind = str(schema.get("format") or schema.get("type", "any"))
    return f"{kind} ({', '.join(bounds)})" if bounds else kind
