"""The API as a whole: its nouns, how errors are told, and where its description lies."""

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.openapi.docs import Redoc

from triage.api import approvals, problems, runs
from triage.api.access import TokenAuth

api = NinjaAPI(
    title="Triage",
    version="1",
    description="What waits for a person and what was run. Every request carries `Authorization: Bearer <token>`; "
    "tokens are made on the page of one's own person. Errors are problem details (RFC 9457).",
    urls_namespace="api",
    docs=Redoc(),
    docs_url=None,
    auth=TokenAuth(),
)
api.add_router("/approvals", approvals.router)
api.add_router("/runs", runs.router)
problems.register(api)


def nowhere(_: HttpRequest) -> HttpResponse:
    """Whatever else lies under /api/."""
    return problems.answer(404, "There is nothing at this address; see /api/openapi.json.")
