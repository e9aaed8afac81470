"""What the storm and the switch are measured on: a product with one harmless runbook, and alerts that it runs for."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.faults.product import Product, at_home
from triage import installation
from triage.embedded import Embedded

if TYPE_CHECKING:
    from triage.demo.peer import Peer

CHIEF, PASSWORD = "chief", "a long enough password"
ROWS, SENDERS, PATIENCE = 2600, 4, 240.0


@dataclass
class Alerts:
    """The running product, the ticket system that sends to it, and the text of an alert that it runs for by itself."""

    product: Product
    peer: "Peer"
    text: dict[str, str]

    @property
    def base(self) -> str:
        """Where the product's pages are."""
        return f"http://127.0.0.1:{self.product.port}"

    def send(self, names: list[str], *, host: Callable[[int], str], per_second: float) -> threading.Thread:
        """Send one alert for each name, at a steady pace, from several senders; the thread ends with the last."""
        payloads = [_alert(name, self.text, host(number)) for number, name in enumerate(names)]

        def work() -> None:
            senders = [
                threading.Thread(
                    target=self.peer.stream,
                    args=(payloads[place::SENDERS],),
                    kwargs={
                        "to": f"{self.base}/webhooks/demo/",
                        "per_second": per_second / SENDERS,
                        "stop": threading.Event(),
                    },
                    daemon=True,
                )
                for place in range(SENDERS)
            ]
            for sender in senders:
                sender.start()
            for sender in senders:
                sender.join()

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread


@contextmanager
def running(home: Path, *, seed: int) -> Iterator[Alerts]:
    """A product that is up and has proved that it runs for an alert by itself."""
    with at_home(home) as (port, peer, address):
        candidates = _prepare(home, peer=peer, address=address, seed=seed)
        product = Product(home, port)
        product.start()
        try:
            yield Alerts(product, peer, _proved(Alerts(product, peer, {}), candidates))
        finally:
            product.stop()


def wait_until(done: Callable[[], bool], *, seconds: float = PATIENCE) -> bool:
    """Whether it came true in time; a database that does not answer yet is asked again."""
    from django.db import OperationalError

    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if done():
                return True
        except OperationalError:
            pass
        time.sleep(0.1)
    return False


def _prepare(home: Path, *, peer: "Peer", address: str, seed: int) -> list[dict[str, str]]:
    """Model, certificate and target, made before the product starts; texts of alerts that may be run for."""
    from django.contrib.auth.hashers import make_password
    from django.utils import timezone

    from triage import learning
    from triage.demo import tickets
    from triage.demo import world as worlds
    from triage.models import Customer, Person

    rows = [row for row in tickets.generate(seed=seed, n=ROWS, stream=False) if row.truth]
    file = home / "alerts.jsonl"
    told = [{"subject": row.subject, "text": row.body, "label": row.truth} for row in rows]
    file.write_text("".join(f"{json.dumps(one)}\n" for one in told), encoding="utf-8")
    own = Embedded(home)
    servers = own.start()
    before = dict(os.environ)
    installation.use_servers(servers)
    try:
        installation.start_django()
        installation.prepare_database()
        world = worlds.from_file(file=file, home=home, peer=address, secret=peer.secret, count=100)
        Customer.objects.update(holdout_share=0.0, verify_share=0.0)
        Person.objects.create(username=CHIEF, password=make_password(PASSWORD), is_superuser=True)
        release = learning.train(customer=world.customer, at=timezone.now(), rows=world.training, out_of_scope=[])
        learning.publish(release=release, actor="system:fault test", at=timezone.now())
        learning.certify(
            customer=world.customer, release=release, runbooks=world.pool, alpha=worlds.ALPHA,
            history=world.history, at=timezone.now(),
        )  # fmt: skip
    finally:
        own.stop()
        os.environ.clear()
        os.environ.update(before)
    return [{"subject": row.subject, "body": row.body} for row in rows if row.actor == "machine"][:40]


def _proved(alerts: Alerts, candidates: list[dict[str, str]]) -> dict[str, str]:
    """The first of these texts that was run for by itself."""
    from triage.models import Run, Ticket

    texts = {f"PROBE{number}": text for number, text in enumerate(candidates)}
    for name, text in texts.items():
        alerts.text = text
        alerts.send([name], host=lambda _, name=name: f"probe-{name}", per_second=50).join()  # type: ignore[misc]  # bound
    good = Ticket.objects.filter(runs__status=Run.Status.SUCCEEDED, runs__ordered_by=None, status="resolved")
    if not wait_until(good.exists):
        raise RuntimeError("no alert was run for: " + str(Ticket.objects.values_list("status", "reason")[:5]))
    wait_until(lambda: not Ticket.objects.filter(status__in=["received", "classified", "queued", "running"]).exists())
    return texts[good.order_by("pk")[0].external_id]


def _alert(name: str, text: dict[str, str], host: str) -> dict[str, Any]:
    at = datetime.now(UTC).isoformat()
    return {
        "external_id": name, **text, "requester": "monitoring@sample.example", "channel": "monitoring",
        "actor": "machine", "kind": "incident", "status": "new", "created_at": at, "updated_at": at,
        "fields": {"host": host},
    }  # fmt: skip
