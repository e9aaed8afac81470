"""Gunicorn's hooks: `gunicorn --config python:triage.gunicorn triage.wsgi:application`."""

from typing import Any

from triage.processes import die_with_parent


def post_fork(server: Any, worker: Any) -> None:  # noqa: ARG001 - gunicorn calls it with both
    """A web worker ends with its arbiter at once instead of when it next looks."""
    die_with_parent(server.pid)
