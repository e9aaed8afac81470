"""A program with one token, and what every error must look like."""

import json
from typing import Any

from django.test import Client
from django.utils import timezone

from triage import tokens
from triage.models import Person

ALL = tuple(tokens.SCOPES)


class Caller:
    """A program with one token."""

    def __init__(self, person: Person, *scopes: str) -> None:
        self.secret = tokens.issue(person=person, name="test", scopes=scopes or ALL, days="30", at=timezone.now())

    def get(self, path: str, **headers: str) -> Any:
        return self.send("GET", path, None, **headers)

    def post(self, path: str, body: object = None, **headers: str) -> Any:
        return self.send("POST", path, json.dumps(body or {}), **headers)

    def put(self, path: str, body: object, **headers: str) -> Any:
        return self.send("PUT", path, json.dumps(body), **headers)

    def send(
        self, method: str, path: str, body: str | bytes | None, kind: str = "application/json", **headers: str
    ) -> Any:
        """`headers`: with underscores for dashes."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return Client().generic(
            method,
            f"/api{path}",
            body or b"",
            content_type=kind if body is not None else "",
            headers={"Authorization": f"Bearer {self.secret}", **given},
        )


def problem(answer: Any, status: int) -> str:
    """The detail of a problem; everything about its form is checked."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    told = answer.json()
    assert set(told) == {"type", "title", "status", "detail"}
    assert told["status"] == status
    return str(told["detail"])
