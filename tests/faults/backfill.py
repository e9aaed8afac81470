"""An ITSM whose webhooks pass a proxy that drops some of them, and that can be pulled: is every loss found, once?

`python -m tests.faults.backfill --webhooks 2000 --json FILE` runs a whole product. The ITSM never sends a webhook twice;
a fifth of them change a ticket that is known. `seconds`: from the last webhook until nothing is missing any more.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import urllib3

from tests.faults import figures
from tests.faults.product import SETTINGS, Product
from tests.itsm.fakes import standard as fake
from triage import installation
from triage.embedded import Embedded
from triage.ports import free_ports

DROPPED, CHANGES = 0.05, 0.2
PERIOD = 15
SENDERS, PER_SECOND = 6, 60.0
PATIENCE = 180.0
SLUG = "itsm"
POOL = urllib3.PoolManager(maxsize=4 * SENDERS, retries=False, timeout=60)

Webhook = dict[str, Any]


@dataclass
class Stream:
    """The webhooks of an ITSM, in order: each new ticket, and changes of known ones."""

    itsm: fake.Itsm
    seed: int
    sent: list[Webhook] = field(default_factory=list)

    def events(self, count: int) -> Iterator[Webhook]:
        """Change the ITSM, once for each webhook."""
        rng, names = random.Random(self.seed), list[str]()
        for number in range(count):
            changes = bool(names) and rng.random() < CHANGES
            name = rng.choice(names) if changes else f"INC{number:06}"
            told = self.itsm.put(name, at=datetime.now(UTC), subject=f"Problem {number} with the printer of {name}")
            names += [] if changes else [name]
            self.sent.append(told)
            yield told


@dataclass
class Proxy:
    """Between ITSM and product: hands requests on, and breaks the connection of a share of them."""

    to: str
    seed: int
    dropped: list[Webhook] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def drops(self, told: Webhook) -> bool:
        """Whether this one is lost; the same ones for the same seed."""
        lost = random.Random(f"{self.seed} {told['subject']}").random() < DROPPED
        if lost:
            with self.lock:
                self.dropped.append(told)
        return lost


class _Between(BaseHTTPRequestHandler):
    proxy: Proxy

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.proxy.drops(json.loads(body)):
            self.close_connection = True
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        answer = POOL.request("POST", self.proxy.to, body=body, headers=headers)
        if answer.status != 202:
            with self.proxy.lock:
                self.proxy.refused.append(f"{answer.status} {answer.data[:200]!r}")
        self.send_response(answer.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """The figures are enough."""


@contextmanager
def proxied(proxy: Proxy) -> Iterator[str]:
    """Its address, until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Between", (_Between,), {"proxy": proxy}))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()


def counted(itsm: fake.Itsm, *, webhooks: list[Webhook], dropped: list[Webhook], seconds: float) -> dict[str, Any]:
    """What the database knows of what the ITSM holds. A state that was overtaken is found with the one after it."""
    from triage.models import AuditEvent, Ticket

    known = {row.external_id: row for row in Ticket.objects.all()}
    missing = [name for name, told in itsm.tickets.items() if not _stands(known.get(name), told)]
    lost = [told for told in dropped if told["external_id"] in missing]
    changes = Counter(told["external_id"] for told in webhooks)
    texts = Counter(
        AuditEvent.objects.filter(subject="ticket", event="text changed").values_list("subject_id", flat=True)
    )
    again = sum(max(0, texts[row.pk] + 1 - changes[row.external_id]) for row in known.values())
    return {
        "webhooks": len(webhooks),
        "tickets": len(itsm.tickets),
        "dropped": len(dropped),
        "found": len(dropped) - len(lost),
        "missing": len(missing),
        "duplicates": Ticket.objects.count() - len(itsm.tickets) + again,
        "seconds": round(seconds, 1),
    }


def _stands(row: Any, told: Webhook) -> bool:
    return row is not None and (row.subject, row.updated_at.isoformat()) == (told["subject"], told["updated_at"])


def measure(*, home: Path, webhooks: int, seed: int) -> dict[str, Any]:
    """The figures of a running product that pulls every 15 seconds."""
    installation.use_home(home)
    os.environ.update(SETTINGS)
    port = free_ports(1)[0]
    os.environ["TRIAGE_BASE_URL"] = f"http://127.0.0.1:{port}"
    installation.start_django()
    from triage.itsm.standard import new_secret

    secret = new_secret()
    with fake.running() as itsm:
        _prepare(home, itsm=itsm, secret=secret)
        product = Product(home, port)
        product.start()
        try:
            return _measured(itsm, port=port, secret=secret, webhooks=webhooks, seed=seed)
        finally:
            product.stop()


def _measured(itsm: fake.Itsm, *, port: int, secret: str, webhooks: int, seed: int) -> dict[str, Any]:
    proxy = Proxy(f"http://127.0.0.1:{port}/webhooks/{SLUG}/", seed)
    stream = Stream(itsm, seed)
    _wait_until(lambda: POOL.request("GET", f"http://127.0.0.1:{port}/").status < 500)
    with proxied(proxy) as address:
        _send(stream, webhooks, to=address, secret=secret)
    last = time.monotonic()

    def so_far() -> dict[str, Any]:
        return counted(itsm, webhooks=stream.sent, dropped=proxy.dropped, seconds=time.monotonic() - last)

    _wait_until(lambda: not so_far()["missing"])
    seconds = time.monotonic() - last
    time.sleep(2 * PERIOD)  # what comes twice would come in the passes after
    return {**so_far(), "seconds": round(seconds, 1), "period": PERIOD, "refused": len(proxy.refused)}


def _send(stream: Stream, count: int, *, to: str, secret: str) -> None:
    """At a steady pace; a ticket's webhooks keep their order, since each ticket has one sender."""
    from triage.itsm.standard import signed_headers

    lanes: list[list[Webhook]] = [[] for _ in range(SENDERS)]
    ended = threading.Event()

    def work(lane: list[Webhook]) -> None:
        while lane or not ended.is_set():
            if not lane:
                time.sleep(0.01)
                continue
            told = lane.pop(0)
            body = json.dumps(told).encode()
            key = f"msg_{told['subject'].split()[1]}"
            headers = signed_headers(secret, key=key, body=body, at=datetime.now(UTC))
            headers["content-type"] = "application/json"
            try:
                POOL.request("POST", to, body=body, headers=headers)
            except urllib3.exceptions.HTTPError:
                continue  # dropped: this ITSM never sends again

    senders = [threading.Thread(target=work, args=(lane,), daemon=True) for lane in lanes]
    for sender in senders:
        sender.start()
    began = time.monotonic()
    for number, told in enumerate(stream.events(count)):
        lanes[hash(told["external_id"]) % SENDERS].append(told)
        time.sleep(max(0.0, began + number / PER_SECOND - time.monotonic()))
    ended.set()
    for sender in senders:
        sender.join()


def _prepare(home: Path, *, itsm: fake.Itsm, secret: str) -> None:
    """The one source of an empty installation."""
    own = Embedded(home)
    before = dict(os.environ)
    installation.use_servers(own.start())
    try:
        installation.prepare_database()
        from triage.models import Customer, Source

        Source.objects.create(
            slug=SLUG, name="ITSM", kind="standard", customer=Customer.objects.get(), secrets=secret,
            credentials=itsm.credentials(), settings={"pull_url": itsm.pull_url}, pull_every=PERIOD,
        )  # fmt: skip
    finally:
        own.stop()
        os.environ.clear()
        os.environ.update(before)


def _wait_until(done: Callable[[], bool]) -> None:
    from django.db import OperationalError

    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            if done():
                return
        except (OperationalError, urllib3.exceptions.HTTPError):
            pass
        time.sleep(0.2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--webhooks", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tri-backfill-", ignore_cleanup_errors=True) as folder:
        result = measure(home=Path(folder), webhooks=options.webhooks, seed=options.seed)
    figures.tell(result, file=options.json)
    good = result["found"] == result["dropped"] > 0 and not (result["missing"] or result["duplicates"])
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
