"""The end of a run as its row: how it ended, what it wrote, and what that means for its tickets."""

import logging
import time
from dataclasses import asdict
from datetime import datetime

from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from runbooks.outcome import Outcome
from triage import automation, lifecycle, watching
from triage.models import Run
from triage.watching import mine

log = logging.getLogger(__name__)
ACTOR = "system:automation"
RECORD_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between tries to record an outcome; together shorter than `execution.MARGIN`, after which a run counts as
lost."""

FINAL = {
    "succeeded": Run.Status.SUCCEEDED,
    "refused": Run.Status.FAILED,
    "failed": Run.Status.FAILED,
    "undone": Run.Status.UNDONE,
    "undo_failed": Run.Status.UNDO_FAILED,
    "unknown": Run.Status.UNKNOWN,
}


def record_surely(run: Run, outcome: Outcome) -> None:
    """Record an outcome that is known: a database that restarts meanwhile must not make it an unknown one."""
    for pause in RECORD_PAUSES:
        try:
            return _record(run, outcome, at=timezone.now())
        except (OperationalError, InterfaceError) as error:
            log.warning("run %s ended as %s and is not recorded yet: %s", run.uuid, outcome.status, error)
            connection.close()
            time.sleep(pause)
    return _record(run, outcome, at=timezone.now())


def _record(run: Run, outcome: Outcome, *, at: datetime) -> None:
    with transaction.atomic():
        automation.lock(run)
        written = watching.written(run)
        won = lifecycle.advance(
            Run.objects.filter(mine(run, Run.Status.STARTING)),
            to=FINAL[outcome.status],
            at=at,
            actor=ACTOR,
            reason=outcome.message[:1000],
            changes={
                "finished_at": at,
                "phases": [asdict(phase) for phase in outcome.phases],
                "output": outcome.output or written,  # an action that was stopped at its door has none of its own
                "alarm": outcome.alarm,
            },
        )
        if not won:
            log.error("run %s ended as %s, but its row had moved on", run.uuid, outcome.status)
            return
        run.refresh_from_db()
        run.pieces.all().delete()  # the whole output stands in the run now
        automation.settle(run, at=at, actor=ACTOR)
