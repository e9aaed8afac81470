"""The reconciler's loop: under a lease, sweep, ring what was found, and ask each pool to prove itself."""

import logging
import signal
import threading
import time
import uuid

from django.db import OperationalError, close_old_connections
from django.utils import timezone

from triage import bell, recovery
from triage.environment import environment

log = logging.getLogger(__name__)
BEAT_SECONDS = 20.0
QUEUES = ("classify", "runbooks", "landing", "writeback", "learning")


def run() -> None:
    """Sweep until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    holder = uuid.uuid4()
    next_beat = time.monotonic()
    while not stop.is_set():
        close_old_connections()
        try:
            if recovery.hold_lease(holder, at=timezone.now()):
                once()
                if time.monotonic() >= next_beat:
                    next_beat = time.monotonic() + BEAT_SECONDS
                    for queue in QUEUES:
                        bell.ask_for_beat(queue)
        except OperationalError:
            log.exception("the database does not answer; the next sweep tries again")
        stop.wait(environment().reconcile_seconds)


def once() -> recovery.Sweep:
    """One sweep and its bells."""
    found = recovery.sweep(at=timezone.now())
    for task, arguments in found.bells:
        bell.ring_now(task, *arguments)
    if found.unknown or found.returned or found.handed_over:
        log.warning(
            "%s runs unknown, %s claims returned, %s rows handed over", found.unknown, found.returned, found.handed_over
        )
    return found
