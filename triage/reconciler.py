"""The reconciler's loop: under a lease, sweep, ring what was found, and ask each pool to prove itself."""

import logging
import signal
import threading
import time
import uuid
from typing import TypeAlias

from django.db import Error, close_old_connections
from django.utils import timezone

from triage import bell, recovery
from triage.celery import POOLS
from triage.environment import environment
from triage.stuck import Sweep

log = logging.getLogger(__name__)
Bell: TypeAlias = tuple[str, tuple[int, ...]]
BEAT_SECONDS = 20.0
AGAIN_SECONDS = 15.0
"""These bells are not rung again sooner: while one waits for a worker, the broker must not fill with its likes."""
SLOW = frozenset(
    {"execute_run", "learn", "look_elsewhere", "pull_sources", "sync_articles", "tell_people", "write_back"}
)


def run() -> None:
    """Sweep until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    holder = uuid.uuid4()
    next_beat = time.monotonic()
    rung: dict[Bell, float] = {}
    while not stop.is_set():
        close_old_connections()
        try:
            if recovery.hold_lease(holder, at=timezone.now()):
                once(rung)
                if time.monotonic() >= next_beat:
                    next_beat = time.monotonic() + BEAT_SECONDS
                    for queue in POOLS:
                        bell.ask_for_beat(queue)
        except Error:
            log.exception("the database does not answer; the next sweep tries again")
        stop.wait(min(environment().reconcile_seconds, BEAT_SECONDS))


def once(rung: dict[Bell, float] | None = None) -> Sweep:
    """One sweep and its bells; `rung` remembers from sweep to sweep when a bell for slow work was last rung."""
    found = recovery.sweep(at=timezone.now())
    rung, now = {} if rung is None else rung, time.monotonic()
    for one in [one for one, then in rung.items() if now - then > AGAIN_SECONDS]:
        del rung[one]
    for task, arguments in found.bells:
        if (task, arguments) not in rung and bell.ring_now(task, *arguments) and task in SLOW:
            rung[task, arguments] = now
    if found.unknown or found.returned or found.handed_over:
        log.warning(
            "%s runs unknown, %s claims returned, %s rows handed over", found.unknown, found.returned, found.handed_over
        )
    return found
