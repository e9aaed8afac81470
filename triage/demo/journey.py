"""`triage demo`: from an empty folder to a working product with a stream of signed webhooks, and the truth about it."""

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triage import installation
from triage.embedded import Embedded
from triage.environment import environment
from triage.ports import free_ports

if TYPE_CHECKING:
    from triage.demo.peer import Peer
    from triage.demo.world import World
    from triage.supervisor import Supervisor

PER_SECOND = 20.0
LONGEST = 900.0
SETTINGS = {"TRIAGE_RECONCILE_SECONDS": "1", "TRIAGE_LANDING_SECONDS": "2", "TRIAGE_LOG_LEVEL": "WARNING"}


def run(
    *, home: Path, once: bool, tickets: int, data: Path | None, port: int, seed: int, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Run the demo; with `once` until every ticket is decided and no run is under way. Returns the figures for `--json`."""
    began = time.monotonic()
    clock = _Clock(tell)
    port = port or free_ports(1)[0]
    own = _bring_up(home, port=port)
    clock.done("broker and lake")
    try:
        installation.start_django()
        installation.prepare_database()
        from triage.demo.peer import Peer
        from triage.itsm.standard import new_secret

        clock.done("database")
        peer = Peer(secret=new_secret())
        address = peer.start()
        try:
            return _play(
                own, peer, address, once=once, count=tickets, data=data, port=port, seed=seed, clock=clock, began=began
            )
        finally:
            peer.stop()
    finally:
        own.stop()


class _Clock:
    """Says how long each step took."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.tell = tell
        self.last = time.monotonic()

    def done(self, step: str) -> None:
        """A step has ended."""
        now = time.monotonic()
        self.tell(f"{now - self.last:6.1f} s  {step}")
        self.last = now


def _bring_up(home: Path, *, port: int) -> Embedded:
    installation.use_home(home.resolve())
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    os.environ["TRIAGE_BASE_URL"] = f"http://127.0.0.1:{port}"
    own = Embedded(home.resolve())
    installation.use_servers(own.start())
    return own


def _play(
    own: Embedded,
    peer: "Peer",
    address: str,
    *,
    once: bool,
    count: int,
    data: Path | None,
    port: int,
    seed: int,
    clock: _Clock,
    began: float,
) -> dict[str, Any]:
    from django.utils import timezone

    from triage.demo import world as worlds

    home = environment().home
    if data:
        world = worlds.from_file(file=data, home=home, peer=address, secret=peer.secret, count=count)
    else:
        world = worlds.samples(home=home, peer=address, secret=peer.secret, seed=seed, count=count)
        _keep_past(world)
    clock.done(f"{len(world.training)} past tickets to learn from, {len(world.history)} to certify with")
    notes = _learn(world, clock=clock)
    keeper = installation.supervisor(port=port, parts=own)
    try:
        _await_web(keeper, port=port)
        clock.done("web server and workers")
        link = installation.first_sign_in(at=timezone.now())
        clock.tell(f"The desk: {environment().base_url}/  One-time sign-in: {link}")
        _stream(keeper, peer, world, port=port, clock=clock)
        result = {**_figures(world), **notes, "seconds": round(time.monotonic() - began, 1)}
        _say(result, peer, clock.tell)
        if not once:
            clock.tell("Everything keeps running for you to look at. Stop with Ctrl-C.")
            keeper.run()
    finally:
        keeper.stop()
    return result


def _keep_past(world: "World") -> None:
    """The past tickets are the customer's labels as well, so that its steward can train the next model."""
    from django.utils import timezone

    from triage import history

    past = list(world.training)
    past += [(document, history.NONE) for document in world.out_of_scope]
    lines = [
        json.dumps({"subject": document.subject, "body": document.body, "article": label})
        for document, label in past
        if document.subject.strip() or document.body.strip()
    ]
    raw = "\n".join(lines).encode()
    history.bring_in(customer=world.customer, raw=raw, actor="system:demo", at=timezone.now())


def _learn(world: "World", *, clock: _Clock) -> dict[str, Any]:
    """Train, publish and certify; what could not be certified is said and runs nothing by itself."""
    from django.utils import timezone

    from triage import learning
    from triage.demo import tickets
    from triage.demo import world as worlds

    release = learning.train(
        customer=world.customer, at=timezone.now(), rows=world.training, out_of_scope=world.out_of_scope
    )
    learning.publish(release=release, actor="system:demo", at=timezone.now())
    clock.done(f"model trained and in force: accuracy {release.accuracy:.3f} on rows that it had not seen")
    notes: dict[str, Any] = {}
    try:
        certificate = learning.certify(
            customer=world.customer,
            release=release,
            runbooks=world.pool,
            alpha=worlds.ALPHA,
            history=world.history,
            at=timezone.now(),
        )
        clock.done("certificate")
        clock.tell(f"          {certificate.sentence}")
    except learning.NotCertified as error:
        notes["not_certified"] = str(error)
        clock.done(f"no certificate, so nothing runs by itself: {error}")
    texts = [f"{one.payload['subject']}\n{one.payload['body']}" for one in world.stream]
    notes["near_duplicate_share"] = tickets.near_duplicate_share(
        [f"{document.subject}\n{document.body}" for document, _ in world.training], texts
    )
    return notes


def _await_web(keeper: "Supervisor", *, port: int) -> None:
    import urllib3

    pool = urllib3.PoolManager(timeout=2, retries=False)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        keeper.tick()
        try:
            if pool.request("GET", f"http://127.0.0.1:{port}/sign-in/").status == 200:
                return
        except urllib3.exceptions.HTTPError:
            time.sleep(0.1)
    raise TimeoutError(f"the web server did not answer within 60 s; see {environment().home / 'log' / 'web.log'}")


def _stream(keeper: "Supervisor", peer: "Peer", world: "World", *, port: int, clock: _Clock) -> None:
    """Send the tickets from a thread and look after the processes meanwhile, until all is decided."""
    from triage.demo import truth
    from triage.models import Ticket

    stop = threading.Event()
    sender = threading.Thread(
        target=peer.stream,
        args=([one.payload for one in world.stream],),
        kwargs={"to": f"http://127.0.0.1:{port}/webhooks/demo/", "per_second": PER_SECOND, "stop": stop},
        daemon=True,
    )
    sender.start()
    began = said = time.monotonic()
    try:
        while True:
            keeper.tick()
            time.sleep(0.2)
            busy = truth.under_way(world.customer)
            if not sender.is_alive() and not busy and Ticket.objects.of(world.customer).count() >= peer.sent:
                break
            if time.monotonic() - said > 5:
                said = time.monotonic()
                clock.tell(f"          {peer.sent} of {len(world.stream)} sent, {busy} under way")
            if time.monotonic() - began > LONGEST:
                clock.tell(f"          gave up after {LONGEST:.0f} s with {busy} tickets under way")
                break
    finally:
        stop.set()
    clock.done(f"{peer.sent} webhooks sent and decided, {len(peer.refused)} refused")


def _figures(world: "World") -> dict[str, Any]:
    from triage.demo import truth
    from triage.demo import world as worlds

    return truth.measure(world.customer, world.stream, alpha=worlds.ALPHA)


def _say(result: dict[str, Any], peer: "Peer", tell: Callable[[str], None]) -> None:
    tell(
        f"received {result['received']}: automated {result['automated']}, approval asked {result['approved']}, "
        f"suggested {result['suggested']}, observed {result['observed']}"
    )
    tell(f"resolved {result['resolved']}, waiting for people {result['needs_review']}, lost {result['lost']}")
    tell(
        f"wrong runs {result['wrong_runs']} of {result['automated']} (allowed rate {result['alpha']}); "
        f"accuracy {result['accuracy']}; near-duplicates of training {result['near_duplicate_share']:.1%}"
    )
    tell(f"told the ticket system of {len(peer.replies)} outcomes; runs: {result['runs']}")
    for problem in peer.refused[:5]:
        tell(f"refused: {problem}")
