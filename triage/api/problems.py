"""Errors as problem details (RFC 9457), `application/problem+json`: what was wrong and how to mend it."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI, Schema
from ninja.errors import AuthenticationError, HttpError, ValidationError

from triage.approvals import ApprovalRefused
from triage.knowledge import ArticleRefused
from triage.learning import PublishRefused, RollbackRefused
from triage.review import ReviewRefused

log = logging.getLogger(__name__)
LONGEST = 300
KIND = "application/problem+json"
SEND_TOKEN = "Send a token that is in force: Authorization: Bearer triage_..."  # noqa: S105 - a sentence
BEARER = 'Bearer realm="triage"'


class Problem(Schema):
    """What every error looks like."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


PROBLEMS: Mapping[int, type[Schema]] = dict.fromkeys(
    (400, 401, 403, 404, 405, 409, 412, 413, 415, 422, 428, 429, 500, 503), Problem
)


class Refused(Exception):
    """The answer to a request that goes no further."""

    def __init__(self, status: int, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def answer(status: int, detail: str, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """One error."""
    told = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return HttpResponse(json.dumps(told), status=status, content_type=KIND, headers=dict(headers or {}))


def register(api: NinjaAPI) -> None:
    """Tell every error in this form."""

    def tell(error: type[Exception], how: Callable[[Any], HttpResponse]) -> None:
        api.add_exception_handler(error, lambda _, exc: how(exc))

    tell(Refused, refused)
    for kind in (ApprovalRefused, ReviewRefused, PublishRefused, RollbackRefused):
        tell(kind, lambda exc: answer(409, str(exc)))
    tell(ArticleRefused, lambda exc: answer(422, str(exc)))
    tell(PermissionDenied, lambda exc: answer(403, str(exc) or "You may not do this."))
    tell(Http404, lambda _: answer(404, "There is nothing like this, or it is not yours to see."))
    tell(ValidationError, lambda exc: answer(422, _invalid(exc)))
    tell(HttpError, lambda exc: answer(exc.status_code, str(exc)))
    tell(AuthenticationError, lambda _: unknown())
    api.add_exception_handler(Exception, broken)


def refused(exc: Refused) -> HttpResponse:
    """The answer that a refusal stands for."""
    return answer(exc.status, str(exc), exc.headers)


def unknown() -> HttpResponse:
    """No token that is in force came."""
    return answer(401, SEND_TOKEN, {"WWW-Authenticate": BEARER})


def broken(request: HttpRequest, error: Exception | type[Exception]) -> HttpResponse:
    """Something of ours failed: the log says what, the answer does not."""
    log.error("a request to %s failed", request.path, exc_info=error if isinstance(error, Exception) else True)
    return answer(500, "Something went wrong here, and it was logged. Try again later.")


def _invalid(error: ValidationError) -> str:
    """Which field was wrong and how; what was sent is not repeated."""
    said = [f"{_place(one['loc'])}: {one['msg']}" for one in error.errors]
    return "; ".join(said)[:LONGEST]


def _place(parts: Sequence[object]) -> str:
    """Where in the request; what the validator calls its own steps says nothing to a sender."""
    return ".".join(str(part) for part in parts if "(" not in str(part))
