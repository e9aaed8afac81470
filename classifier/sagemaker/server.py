"""A model folder behind /ping and /invocations on one port, as SageMaker starts and asks a container; plain WSGI."""

import json
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication

from classifier.artifact import load
from classifier.estimator import ArticleClassifier
from classifier.sagemaker import formats
from classifier.sagemaker.formats import InvocationInvalid

Start = Callable[[str, list[tuple[str, str]]], object]
Wsgi = Callable[[dict[str, Any], Start], Iterable[bytes]]
BATCH = 1_000
AT_ONCE = 4


def application(model: ArticleClassifier) -> Wsgi:
    """The model as a WSGI application. It serves as many requests at once as AT_ONCE; further ones get 503."""
    free = threading.BoundedSemaphore(AT_ONCE)

    def serve(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        try:
            content, kind = _answer(model, environ, free)
            return _send(start, 200, content, kind)
        except InvocationInvalid as error:
            return _send(start, error.status, json.dumps({"message": str(error)}).encode(), formats.JSON)

    return serve


def _answer(model: ArticleClassifier, environ: dict[str, Any], free: threading.BoundedSemaphore) -> tuple[bytes, str]:
    asked_for = (environ["REQUEST_METHOD"], environ.get("PATH_INFO", ""))
    if asked_for in (("GET", "/ping"), ("HEAD", "/ping")):
        return b"", "text/plain"
    if asked_for[1] not in ("/ping", "/invocations"):
        raise InvocationInvalid("There are /ping and /invocations.", 404)
    if asked_for != ("POST", "/invocations"):
        raise InvocationInvalid("GET /ping or POST /invocations.", 405)
    length = environ.get("CONTENT_LENGTH") or ""
    if length.isdigit() and int(length) > formats.MOST_BYTES:
        raise InvocationInvalid(f"At most {formats.MOST_BYTES >> 20} MiB a request; send it in parts.", 413)
    body = environ["wsgi.input"].read(formats.MOST_BYTES + 1)
    asked = formats.parse(environ.get("CONTENT_TYPE", ""), body)
    if not free.acquire(timeout=30):
        raise InvocationInvalid("Busy. Send it again.", 503)
    try:
        documents = asked.documents
        parts = (documents[start : start + BATCH] for start in range(0, len(documents), BATCH))
        rankings = [ranking for part in parts for ranking in model.rank(part, k=asked.most)]
    finally:
        free.release()
    return formats.render(asked, rankings), asked.content_type


def _send(start: Start, status: int, content: bytes, kind: str) -> list[bytes]:
    headers = [("Content-Type", kind), ("Content-Length", str(len(content)))]
    start(f"{status} {HTTPStatus(status).phrase}", headers)
    return [content]


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """One process with threads, since a model is large; it ends what is under way within 25 s of SIGTERM."""

    def __init__(self, folder: Path, *, key: bytes, port: int, threads: int, host: str) -> None:
        self._bind, self._threads = f"{host}:{port}", threads
        # loaded before the first /ping is answered: a container that answers is one that can be asked
        self._application = application(load(folder, key=key))
        super().__init__()

    def load_config(self) -> None:
        """What gunicorn is to do."""
        settings = {"bind": self._bind, "workers": 1, "threads": self._threads, "worker_class": "gthread"}
        settings |= {"timeout": 60, "graceful_timeout": 25, "control_socket_disable": True, "loglevel": "warning"}
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Wsgi:
        """The application, for gunicorn."""
        return self._application
