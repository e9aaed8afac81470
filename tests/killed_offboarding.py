"""Offboard a customer in children that die at one line after the other, and say what there is in the end.

`python -m tests.killed_offboarding FOLDER` prints one JSON object; the environment names home and lake.
"""

import hashlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any


def die(*_: Any, **__: Any) -> None:
    """As kill -9 at this line."""
    os.kill(os.getpid(), signal.SIGKILL)


def after(real: Callable[..., Any], calls: int) -> Callable[..., Any]:
    """`real`, which dies when it was called so many times."""
    left = [calls]

    def counted(*arguments: Any, **named: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            die()
        return real(*arguments, **named)

    return counted


def in_child(work: Callable[[], object], result: Path | None = None) -> int:
    """Do the work in a forked child; the signal that ended it, 0 for none. Raises where it failed."""
    from django.db import connection

    connection.close()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            told = work()
            if result is not None:
                result.write_text(json.dumps(told))
            code = 0
        except Exception:  # noqa: BLE001 - whatever it was, the parent's test shows it
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit("a child failed")
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def start() -> None:
    """Django with its tables, and a lease that is over at once."""
    from triage import installation

    installation.start_django()
    from django.conf import settings
    from django.core.management import call_command

    settings.MIGRATION_MODULES = dict.fromkeys(["triage", "auth", "admin", "contenttypes", "sessions", "axes"])
    call_command("migrate", verbosity=0, run_syncdb=True)

    from triage.offboarding import held

    held.LEASE = timedelta(seconds=0.3)


def customers() -> None:
    """Two customers whose messages came through one shared source."""
    from tests import factories
    from tests.test_offboard import both

    both(factories.source(customer=None, slug="shared"))


def staying() -> str:
    """A digest of all that the customer has who stays."""
    from tests.test_offboard import everything
    from triage.models import Customer

    found = everything(Customer.objects.get(slug="staying"))
    history = found.pop("history")[:2]
    return hashlib.sha256(json.dumps([found, history], default=repr, sort_keys=True).encode()).hexdigest()


def offboard(export: Path) -> None:
    """As the command does."""
    from triage import offboarding
    from triage.models import Customer

    going = Customer.objects.get(slug="going")
    offboarding.offboard(going, export, actor="system:test", progress=lambda _: None)


def places() -> dict[str, tuple[Any, str, int]]:
    """Where to die: whose function, and in which of its calls."""
    from triage.lake import forgetting
    from triage.lake.store import ObjectStore
    from triage.models import AuditEvent
    from triage.offboarding import container, exporting, shared, steps

    return {
        "while it is written": (container.Container, "write", 9),
        "before it has its name": (container.Container, "finish", 0),
        "before it is checked": (container, "check", 0),
        "before deleting is committed": (exporting, "counts", 0),
        "before a row of a shared pack goes": (shared, "_drop", 0),
        "between a row and its line in a shared pack": (ObjectStore, "put", 0),
        "within the rows": (steps, "_delete", 20),
        "within the sources": (steps, "_delete_sources", 0),
        "within a table's log": (forgetting, "_scrub", 1),
        "before the last transaction": (steps, "_part_with_people", 0),
        "within the last transaction": (AuditEvent.objects, "create", 0),
    }


def left(export: Path) -> dict[str, Any]:
    """What there is in the end, and what the export says of itself."""
    from triage.models import AuditEvent, Customer, Job
    from triage.offboarding import container

    manifest = container.check(export)
    line = AuditEvent.objects.get(event="offboarded")
    return {
        "customers": list(Customer.objects.order_by("slug").values_list("slug", flat=True)),
        "jobs": Job.objects.filter(kind="offboard").count(),
        "tickets": manifest["rows"]["ticket"],
        "shared": manifest["lake"]["shared"],
        "named": container.digest_of(export) in line.reason,
        "left": sorted(one.name for one in export.parent.iterdir()),
    }


def main(folder: Path) -> None:
    """Each place in turn, then the rest, then what is left."""
    start()
    export, before, after_it = folder / "going.zip", folder / "before", folder / "after"

    def dying(owner: Any, name: str, calls: int) -> Callable[[], None]:
        def work() -> None:
            setattr(owner, name, after(getattr(owner, name), calls))
            offboard(export)

        return work

    in_child(customers)
    in_child(staying, before)
    ended = {where: in_child(dying(*place)) for where, place in places().items()}
    in_child(lambda: offboard(export))
    in_child(staying, after_it)
    told = {"ended": ended, "same": before.read_text() == after_it.read_text(), **left(export)}
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
