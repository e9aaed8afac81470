"""Ringing for workers: a hint that something waits in the database, never the thing itself.

A lost bell costs seconds, since the reconciler rings again for whatever it finds. A bell that waits for a broker which
does not answer would cost the web server, so `ring` leaves that to a thread of its own.
"""

import logging
import os
import threading
import time
from typing import Any

from kombu import Connection

from triage.celery import app

log = logging.getLogger(__name__)
GATHER_SECONDS = 0.1
TIMEOUT_SECONDS = 0.5
SILENT_SECONDS = 5.0
MOST_WAITING = 10_000

Bell = tuple[str, tuple[int | str, ...], str | None]


class Ringer:
    """One connection to the broker and the bells that wait for it; after a failure it is silent for 5 s."""

    def __init__(self) -> None:
        self._waiting: dict[Bell, None] = {}
        self._changed = threading.Condition()
        self._publishing = threading.Lock()
        self._connection: Connection | None = None
        self._silent_until = 0.0
        self._thread: threading.Thread | None = None

    def ring(self, bell: Bell) -> None:
        """Ring soon, from the thread; equal bells of one tenth of a second ring once."""
        with self._changed:
            if len(self._waiting) < MOST_WAITING:
                self._waiting[bell] = None
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="bell", daemon=True)
                self._thread.start()
            self._changed.notify()

    def ring_now(self, bell: Bell) -> bool:
        """Ring before returning; whether the broker took it."""
        with self._publishing:
            return self._publish(bell)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._waiting))
            time.sleep(GATHER_SECONDS)
            with self._changed:
                bells, self._waiting = list(self._waiting), {}
            with self._publishing:
                for bell in bells:
                    self._publish(bell)

    def _publish(self, bell: Bell) -> bool:
        if time.monotonic() < self._silent_until:
            return False
        task, arguments, queue = bell
        where: dict[str, Any] = {"queue": queue} if queue else {}
        try:
            if self._connection is None:
                self._connection = _connect()
            app.send_task(
                f"triage.tasks.{task}", args=list(arguments), connection=self._connection, retry=False, **where
            )
        except Exception as error:  # noqa: BLE001 - whatever the broker or its client does, a bell never stops anything
            self._silent_until = time.monotonic() + SILENT_SECONDS
            log.warning("the broker does not answer (%s); silent for %.0f s", error, SILENT_SECONDS)
            self._drop()
            return False
        return True

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.release()
            except Exception as error:  # noqa: BLE001 - a broken connection may fail in any way when it is let go
                log.debug("while letting the broker go: %s", error)


def _connect() -> Connection:
    """A connection of this ringer's own that fails within half a second and never tries again by itself."""
    options = {
        **app.conf.broker_transport_options,
        "socket_timeout": TIMEOUT_SECONDS,
        "socket_connect_timeout": TIMEOUT_SECONDS,
        "max_retries": 0,
    }
    return app.connection_for_write(transport_options=options, connect_timeout=TIMEOUT_SECONDS)


_ringer = (os.getpid(), Ringer())


def _mine() -> Ringer:
    """This process's ringer: threads and connections do not survive a fork."""
    global _ringer  # noqa: PLW0603 - one for the process, made anew after a fork
    if _ringer[0] != os.getpid():
        _ringer = (os.getpid(), Ringer())
    return _ringer[1]


def ring(task: str, *arguments: int) -> None:
    """Say that work waits for a task of `triage.tasks`; returns at once and never raises."""
    _mine().ring((task, arguments, None))


def ring_now(task: str, *arguments: int) -> bool:
    """The same, before returning, for processes that nobody waits for; whether the broker took it. Never raises."""
    return _mine().ring_now((task, arguments, None))


def ask_for_beat(queue: str) -> bool:
    """Ask one pool of workers to prove that it lives. Never raises."""
    return _mine().ring_now(("beat", (queue,), queue))
