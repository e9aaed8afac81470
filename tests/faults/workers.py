"""Kill workers, the supervisor, the broker and the lake while tickets arrive; count what is lost or doubled.

`python -m tests.faults.workers --tickets 1000 --kills 20 --json FILE`. A kill of a worker counts only where it left a
row claimed or a run STARTING. Effects are counted in the directory's own ledger, which no part of Triage writes.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from tests import quick
from tests.faults import figures
from tests.faults.product import Product, at_home
from triage import installation
from triage.embedded import Embedded

if TYPE_CHECKING:
    from triage.demo.peer import Peer
    from triage.demo.world import World

PER_SECOND = 20.0
SETTLE_SECONDS = 300.0
AHEAD = 2


@dataclass
class Faults:
    """What was killed, and when a kill counted."""

    wanted: int
    counted: dict[str, int] = field(default_factory=lambda: {"claimed": 0, "starting": 0})
    tried: int = 0
    others: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        return sum(self.counted.values())


def prepare(home: Path, *, tickets: int, peer: "Peer", address: str, seed: int) -> "World":
    """The sample company, its model and its certificate, made before the product starts."""
    from django.utils import timezone

    from triage import learning
    from triage.demo import world as worlds

    own = Embedded(home)
    servers = own.start()
    before = dict(os.environ)
    installation.use_servers(servers)
    try:
        installation.start_django()
        installation.prepare_database()
        world = worlds.samples(home=home, peer=address, secret=peer.secret, seed=seed, count=tickets)
        release = learning.train(
            customer=world.customer, at=timezone.now(), rows=world.training, out_of_scope=world.out_of_scope
        )
        learning.publish(release=release, actor="system:fault test", at=timezone.now())
        learning.certify(
            customer=world.customer, release=release, runbooks=world.pool, alpha=worlds.ALPHA,
            history=world.history, at=timezone.now(),
        )  # fmt: skip
        return world
    finally:
        own.stop()
        os.environ.clear()
        os.environ.update(before)


def kill_one(product: Product, faults: Faults, rng: random.Random) -> None:
    """Wait for a row in a worker's hands, kill that worker, and count it if the row is still as it was."""
    from triage.models import Run, Ticket

    claimed = Ticket.objects.filter(status=Ticket.Status.RECEIVED, claim_until__gt=datetime.now(UTC))
    starting = Run.objects.filter(status=Run.Status.STARTING)
    choices = [(starting, "runbooks", "starting"), (claimed, "classify", "claimed")]
    choices.sort(key=lambda choice: faults.counted[choice[2]])
    if faults.counted[choices[1][2]] - faults.counted[choices[0][2]] >= AHEAD:
        del choices[1]  # both kinds of loss are wanted: wait for the rarer
    held = ((rows.values_list("pk", flat=True).first(), rows, queue, name) for rows, queue, name in choices)
    row, rows, queue, name = next((found for found in held if found[0] is not None), (None, claimed, "", ""))
    workers = product.workers(queue) if row is not None else []
    if not workers:
        return
    faults.tried += 1
    for worker in [workers[0]] if rng.random() < 0.5 else workers[1:]:
        try:
            worker.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    time.sleep(0.05)
    if rows.filter(pk=row).exists():
        faults.counted[name] += 1
        time.sleep(0.5)


def settle_unknown(world: "World", home: Path) -> None:
    """What people do about a run that nobody knows of: look at the target, say so, and close the circuit."""
    from django.utils import timezone

    from runbooks.targets.directory import SqliteDirectory
    from triage import review
    from triage.models import Person, Run, RunbookState

    unknown = list(Run.objects.of(world.customer).filter(status=Run.Status.UNKNOWN))
    if not unknown:
        return
    person, _ = Person.objects.get_or_create(username="looks-at-the-target", defaults={"is_superuser": True})
    directory = SqliteDirectory(home / "targets" / "directory.sqlite3")
    for lost in unknown:
        happened = bool(directory.effects(str(lost.uuid)))
        review.settle_unknown(lost, person=person, succeeded=happened, note="looked at the ledger", at=timezone.now())
    directory.close()
    RunbookState.objects.of(world.customer).update(circuit_closed_at=timezone.now())


def run(*, home: Path, tickets: int, kills: int, seed: int, say: bool = True) -> dict[str, Any]:
    """The whole fault run; the figures."""
    with at_home(home) as (port, peer, address):
        world = prepare(home, tickets=tickets, peer=peer, address=address, seed=seed)
        product = Product(home, port)
        product.start()
        faults = Faults(kills)
        began = time.monotonic()
        try:
            _play(product, peer, world, faults, random.Random(seed), say=say)
        finally:
            product.stop()
        return {**measure(world, home), "kills": faults.kills, "kills_tried": faults.tried, "counted": faults.counted,
                "others_killed": faults.others, "seconds": round(time.monotonic() - began, 1)}  # fmt: skip


def _play(product: Product, peer: "Peer", world: "World", faults: Faults, rng: random.Random, *, say: bool) -> None:
    from django.db import OperationalError

    from triage.demo import truth
    from triage.models import Ticket

    stop = threading.Event()
    sender = threading.Thread(
        target=peer.stream,
        args=([one.payload for one in world.stream],),
        kwargs={
            "to": f"http://127.0.0.1:{product.port}/webhooks/demo/",
            "per_second": PER_SECOND,
            "stop": stop,
        },
        daemon=True,
    )
    sender.start()
    total = len(world.stream)
    others = {"broker": total * 0.3, "lake": total * 0.5, "supervisor": total * 0.7}
    began = said = time.monotonic()
    settled_since = None
    try:
        while time.monotonic() - began < total / PER_SECOND + SETTLE_SECONDS:
            try:
                for name, when in list(others.items()):
                    if peer.sent >= when:
                        _kill_other(product, name)
                        faults.others.append(name)
                        del others[name]
                if faults.kills < faults.wanted and product.process and product.process.poll() is None:
                    kill_one(product, faults, rng)
                settle_unknown(world, product.home)
                busy = truth.under_way(world.customer)
                if say and time.monotonic() - said > 10:
                    said = time.monotonic()
                    print(f"{peer.sent} sent, {busy} under way, {faults.counted} kills", file=sys.stderr)
                if not sender.is_alive() and not busy and Ticket.objects.of(world.customer).count() >= peer.sent:
                    settled_since = settled_since or time.monotonic()
                    if time.monotonic() - settled_since > 3:
                        return
            except (OperationalError, psutil.NoSuchProcess):
                pass
            time.sleep(0.005 if faults.kills < faults.wanted else 0.2)
    finally:
        stop.set()
        sender.join(10)


def _kill_other(product: Product, name: str) -> None:
    if name == "supervisor":
        product.kill()
        product.start()
    else:
        product.part(name).kill()


def measure(world: "World", home: Path) -> dict[str, Any]:
    """Held against the truth and the directory's ledger."""
    from collections import Counter

    from runbooks.targets.directory import SqliteDirectory
    from triage.demo import truth
    from triage.models import Decision, Run

    found = truth.measure(world.customer, world.stream, alpha=0.05)
    in_force = Counter(Decision.objects.of(world.customer).filter(in_force=True).values_list("ticket_id", flat=True))
    directory = SqliteDirectory(home / "targets" / "directory.sqlite3")
    effects = Counter((effect.run_id, effect.what) for effect in directory.effects() if effect.run_id)
    directory.close()
    known = {str(run) for run in Run.objects.of(world.customer).values_list("uuid", flat=True)}
    return {
        "tickets": len(world.stream),
        "decided": len(in_force),
        "lost": found["lost"],
        "decisions_doubled": sum(count > 1 for count in in_force.values()),
        "double_effects": sum(count > 1 for count in effects.values()) + sum(run not in known for run, _ in effects),
        "effects": sum(effects.values()),
        "runs": found["runs"],
        "automated": found["automated"],
        "resolved": found["resolved"],
        "needs_review": found["needs_review"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickets", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="with a small model, trained in seconds")
    options = parser.parse_args()
    if options.quick:
        quick.install()
    with tempfile.TemporaryDirectory(prefix="tri-faults-", ignore_cleanup_errors=True) as folder:
        result = run(home=Path(folder), tickets=options.tickets, kills=options.kills, seed=options.seed)
    figures.tell(result, file=options.json)
    good = result["lost"] == 0 and result["double_effects"] == 0 and result["decided"] == result["tickets"]
    sys.exit(0 if good and result["kills"] >= options.kills else 1)


if __name__ == "__main__":
    main()
