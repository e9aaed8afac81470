"""A database that comes back as it was a while ago: nothing that ran since is done twice, noticed or not.

SQLite, whose backup is a file. Twice: once as the product stands, and once with the tick forced to look right, so that
nothing but the lake's claims stands between the restored rows and a second effect.
"""

import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.faults.runbooks import books, world
from tests.faults.runbooks.crashes import AHEAD, measure
from tests.faults.runbooks.world import Dispatchers, World

SHARE = 10  # the restored runs are a tenth of the killed ones


def run(folder: Path, *, runs: int, seed: int, say: Any) -> dict[str, Any]:
    """The figures of both lives."""
    del seed
    size = max(6, runs // SHARE // 6)
    with world.installed(folder, postgres=False) as found, closing(Dispatchers()) as dispatchers:
        result: dict[str, Any] = {}
        for noticed in (True, False):
            result["noticed" if noticed else "unnoticed"] = _life(found, dispatchers, size, noticed=noticed)
        say("restored twice")
        return {**measure(found), **result}


def _life(found: World, dispatchers: Dispatchers, size: int, *, noticed: bool) -> dict[str, Any]:
    """Run some, keep the database, run more, bring the old one back, and go on as if nothing had happened."""
    from django.db import connections
    from django.utils import timezone

    from triage import failover, standing
    from triage.lake import here
    from triage.models import Run, Standing

    failover.tick(here.store(), at=timezone.now())
    waiting = found.request(size)  # in the backup as requested
    undecided = found.tickets(size)  # in the backup as decided only
    _execute(dispatchers, found.request(size))  # in the backup as done
    connections.close_all()
    backup = _copy(found.folder, "backup.sqlite3")
    for _ in range(3):
        failover.tick(here.store(), at=timezone.now())
    _execute(dispatchers, waiting)
    _execute(dispatchers, [found.again(ticket) for ticket in undecided])
    before = books.effects(found.ledger)
    connections.close_all()
    _bring_back(found.folder, backup)
    if not noticed:
        Standing.objects.update(tick=10**9)  # as a lake that had lost its tick would look
    _execute(dispatchers, waiting)
    _execute(dispatchers, [found.again(ticket) for ticket in undecided])
    held = Run.objects.filter(pk__in=waiting, status=Run.Status.REQUESTED).count()
    new_life = sum(books.effects(found.ledger).values()) - sum(before.values())
    recovered = failover.recover(here.store(), at=timezone.now(), actor="system:fault run")
    assert standing.now().automation_enabled
    left = list(Run.objects.filter(status=Run.Status.REQUESTED).values_list("pk", flat=True))
    Run.objects.filter(pk__in=left).update(hold_until=None)
    _execute(dispatchers, [*left, *found.request(size)])
    twice = Counter(books.effects(found.ledger).values())
    return {
        "restored": 2 * size,
        "held": held,
        "effects_of_the_new_life": new_life,
        "recovered": len(recovered.settled),
        "effects": sum(before.values()),
        "times": {str(count): number for count, number in twice.items()},
    }


def _execute(dispatchers: Dispatchers, runs: list[int]) -> None:
    answers = dispatchers.send([(number, {"run": run, "crash": None}) for run in runs for number in (0, 1)])
    answers += dispatchers.send([(0, {"sweep": AHEAD, "crash": None})])
    assert not [answer for answer in answers if answer["failed"]]


def _copy(folder: Path, name: str) -> Path:
    """A backup as SQLite makes it."""
    source, target = sqlite3.connect(folder / "home" / "triage.sqlite3"), sqlite3.connect(folder / name)
    with target:
        source.backup(target)
    source.close()
    target.close()
    return folder / name


def _bring_back(folder: Path, backup: Path) -> None:
    home = folder / "home"
    for name in ("triage.sqlite3", "triage.sqlite3-wal", "triage.sqlite3-shm"):
        (home / name).unlink(missing_ok=True)
    shutil.copy(backup, home / "triage.sqlite3")
