"""What the fault runs start from: a customer whose tickets are decided, a certificate, the ledger's runbook."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runbooks import registry
from tests.faults.runbooks import books, towers

if TYPE_CHECKING:
    from triage.models import Certificate, Customer, Source, Target

CHILDREN = 3
"""Children that one dispatcher has at the same moment."""
LAUNCHED_SHARE = 4
"""One of so many runs is jobs of an AWX."""
TOWER = "tower.jsonl"


@dataclass
class World:
    """The rows that tickets and runs are made from."""

    folder: Path
    ledger: Path
    customer: "Customer"
    source: "Source"
    target: "Target"
    certificate: "Certificate"
    tower: bool = False
    lines: list[str] = field(default_factory=list)

    def request(self, count: int) -> list[int]:
        """So many more tickets, decided and with a run requested; the runs."""
        return [self.again(ticket) for ticket in self.tickets(count)]

    def tickets(self, count: int) -> list[Any]:
        """So many more tickets, each with a decision in force to run by itself."""
        from django.utils import timezone

        from tests import factories
        from triage.models import Mode, Ticket

        made = []
        for number in range(count):
            ticket = factories.ticket(source=self.source, status=Ticket.Status.CLASSIFIED)
            line = f"line of {ticket.external_id}"
            key = books.LAUNCHED if self.tower and number % LAUNCHED_SHARE == 0 else books.KEY
            factories.decision(
                ticket, mode=Mode.AUTOMATE, runbook=key, parameters={"line": line},
                certificate=self.certificate, expires_at=timezone.now() + timedelta(days=1),
            )  # fmt: skip
            self.lines.append(line)
            made.append(ticket)
        return made

    def effects(self) -> Counter[str]:
        """How often each line was written, here or by a job elsewhere."""
        return books.effects(self.ledger) + towers.effects(self.folder / TOWER)

    def again(self, ticket: Any) -> int:
        """Request the run of the ticket's decision in force."""
        from django.utils import timezone

        from triage import automation
        from triage.models import Decision

        decision = Decision.objects.get(ticket=ticket, in_force=True)
        run = automation.request(ticket=ticket, decision=decision, at=timezone.now(), actor="system:fault run")
        assert run is not None, f"no run was requested for {ticket.external_id}"
        return int(run.pk)


@contextmanager
def installed(folder: Path, *, postgres: bool, tower: int | None = None) -> Iterator[World]:
    """A whole installation in this folder but for its processes, with the environment of this process changed.

    tower: the seed of an AWX that a share of the runs is launched in; None for none.
    """
    from tests import servers
    from triage import installation

    os.environ["TRIAGE_RUNBOOKS"] = str(books.write(folder))
    os.environ["TRIAGE_CLAIM_SECONDS"] = "10"
    os.environ["TRIAGE_LOG_LEVEL"] = "ERROR"
    installation.use_home(folder / "home")
    with ExitStack() as stack:
        endpoints = stack.enter_context(servers.embedded(folder / "home"))
        os.environ.update(endpoints.environment())
        if postgres:
            os.environ["TRIAGE_DATABASE_URL"] = stack.enter_context(servers.postgres())
        installation.start_django()
        installation.prepare_database()
        from django.db import connections

        try:
            url = "" if tower is None else stack.enter_context(towers.running(folder / TOWER, seed=tower))
            yield _rows(folder, url)
        finally:
            connections.close_all()  # PostgreSQL waits for its last visitor


def _rows(folder: Path, url: str) -> World:
    from django.utils import timezone

    from tests import factories, runs
    from triage import targets, versions
    from triage.models import Certificate, Customer, Mode

    ledger = books.ledger(folder)
    customer = factories.customer(mode=Mode.AUTOMATE)
    source = factories.source(customer=customer)
    target = factories.target(customer, key="ledger", kind="journal", settings=json.dumps({"path": str(ledger)}))
    certificate = runs.certificate(customer, at=timezone.now())
    Certificate.objects.filter(pk=certificate.pk).update(runbooks=[books.KEY, books.LAUNCHED])
    if url:
        awx = factories.target(customer, key="tower", kind="awx", settings=json.dumps(towers.settings(url)))
        # What AWX would run is read once before, as the sweeps of a running product do.
        versions.changed(customer, registry.get(books.LAUNCHED), target=targets.settings_of(awx), at=timezone.now())
    certificate.refresh_from_db()
    assert Customer.objects.filter(pk=customer.pk).exists()
    return World(folder, ledger, customer, source, target, certificate, tower=bool(url))


class Dispatchers:
    """Two dispatchers, each a process of its own, that are given messages and say what became of them."""

    def __init__(self, count: int = 2) -> None:
        command = [sys.executable, "-m", "tests.faults.runbooks.dispatcher", str(CHILDREN)]
        self.processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(count)
        ]

    def send(self, messages: Sequence[tuple[int, dict[str, Any]]]) -> list[dict[str, Any]]:
        """Give each (dispatcher, message), wait until all have ended, and return what was answered."""
        for number, message in messages:
            self._write(number, message)
        for number in range(len(self.processes)):
            self._write(number, {"wait": True})
        return [answer for process in self.processes for answer in self._answers(process)]

    def close(self) -> None:
        """End them."""
        for process in self.processes:
            if process.stdin:
                process.stdin.close()
        for process in self.processes:
            process.wait(60)
            if process.stdout:
                process.stdout.close()

    def _write(self, number: int, message: dict[str, Any]) -> None:
        pipe = self.processes[number].stdin
        assert pipe is not None
        pipe.write(json.dumps(message) + "\n")
        pipe.flush()

    @staticmethod
    def _answers(process: "subprocess.Popen[str]") -> Iterator[dict[str, Any]]:
        assert process.stdout is not None
        for line in process.stdout:
            answer: dict[str, Any] = json.loads(line)
            if "wait" in answer:
                return
            yield answer
        raise AssertionError("a dispatcher has ended")
