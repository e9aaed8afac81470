"""Gunicorn's hooks: `gunicorn --config python:triage.gunicorn triage.wsgi:application`."""

import threading
from typing import Any

from triage.processes import die_with_parent

limit_request_line = 8190  # the longest query that the API describes, in a script whose letters take twelve characters


def post_fork(server: Any, worker: Any) -> None:  # noqa: ARG001 - gunicorn calls it with both
    """A web worker ends with its arbiter at once instead of when it next looks."""
    die_with_parent(server.pid)


def post_worker_init(worker: Any) -> None:  # noqa: ARG001 - gunicorn calls it with one
    """What draws charts loads aside, so that the first to open the control room does not wait for it."""
    from triage.web import charts

    threading.Thread(target=charts.warm, name="charts", daemon=True).start()
