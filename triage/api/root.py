"""The API as a whole: its nouns, how errors are told, and where its description lies."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver
from django.views.decorators.csrf import csrf_exempt
from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema

from triage.api import (
    approvals,
    articles,
    certificates,
    front,
    models,
    panels,
    predictions,
    problems,
    reviews,
    runbooks,
    runs,
    tickets,
)
from triage.api.access import TokenAuth

DESCRIPTION = """Tickets, what Triage makes of them, what waits for a person and what was run.

Every request carries `Authorization: Bearer <token>`; tokens are made on the page of one's own person (/me/), end after
30 to 365 days, and do of what their owner may do only what they were made for. Lists come newest first, `next` of a
page is the `cursor` of the next one. Errors are problem details (RFC 9457). A POST with an `Idempotency-Key` acts once.
"""


class Described(NinjaAPI):
    """The description says what errors really look like."""

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> OpenAPISchema:
        """OpenAPI 3.1, with problem details under their own media type and the headers that all operations share."""
        schema = super().get_openapi_schema(path_prefix=path_prefix, path_params=path_params)
        for operations in schema["paths"].values():
            for method, operation in operations.items():
                _describe(method, operation)
        return schema


def _describe(method: str, operation: dict[str, Any]) -> None:
    for status, response in operation["responses"].items():
        content = response.get("content", {})
        if int(status) >= 400 and "application/json" in content:
            content[problems.KIND] = content.pop("application/json")
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "query" and parameter["schema"].get("type") == "string":
            parameter["schema"].setdefault("pattern", front.ADDRESS)
    if method == "post":
        text = "The same key and request a second time within 24 hours: the first answer again, and nothing is done."
        key = {"name": "Idempotency-Key", "in": "header", "required": False, "description": text}
        schema = {"type": "string", "maxLength": front.LONGEST_KEY, "pattern": front.KEY}
        operation.setdefault("parameters", []).append({**key, "schema": schema})


api = Described(
    title="Triage",
    version="1",
    description=DESCRIPTION,
    urls_namespace="api",
    docs_url=None,
    auth=TokenAuth(),
)
api.add_router("/tickets", tickets.router)
api.add_router("/predict", predictions.router)
api.add_router("/reviews", reviews.router)
api.add_router("/approvals", approvals.router)
api.add_router("/runs", runs.router)
api.add_router("/articles", articles.router)
api.add_router("/runbooks", runbooks.router)
api.add_router("/certificates", certificates.router)
api.add_router("/models", models.router)
api.add_router("/panel-tokens", panels.router)
problems.register(api)


def urls() -> tuple[list[URLPattern | URLResolver], str, str]:
    """The addresses, for `path()`."""
    patterns, app, namespace = api.urls
    return front.guarded(patterns), app, namespace


@csrf_exempt
def nowhere(_: HttpRequest) -> HttpResponse:
    """Whatever else lies under /api/."""
    return problems.answer(404, "There is nothing at this address; see /api/openapi.json.")
