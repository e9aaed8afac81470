"""The scene of a run: a customer with a real directory, a valid certificate, and a ticket that is to be run for."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.utils import timezone

from runbooks.targets.directory import LOCKED_BY_FAILED_LOGINS, LOCKED_FOR_SECURITY, Account, SqliteDirectory, create
from tests import factories
from triage import automation
from triage.models import Certificate, Customer, Decision, Mode, Registration, Release, Run, Ticket

ACTOR = "system:test"


class Scene:
    """A customer with a directory, a valid certificate and a ticket whose decision is to unlock an account."""

    def __init__(self, folder: Path, **decision: Any) -> None:
        self.at = timezone.now()
        self.path = folder / "directory.sqlite3"
        reason = LOCKED_BY_FAILED_LOGINS
        create(
            self.path,
            [
                Account("a.locked", "A Locked", "a@example.org", locked=True, lock_reason=reason),
                Account("b.boss", "B Boss", "b@example.org", locked=True, lock_reason=reason, privileged=True),
                Account("d.held", "D Held", "d@example.org", locked=True, lock_reason=LOCKED_FOR_SECURITY),
                Account("c.locked", "C Locked", "c@example.org", locked=True, lock_reason=reason),
                *(
                    Account(
                        f"limit{number}",
                        f"Limit {number}",
                        f"limit{number}@example.org",
                        locked=True,
                        lock_reason=reason,
                    )
                    for number in range(4)
                ),
            ],
        )
        self.customer = factories.customer(mode=Mode.AUTOMATE)
        self.source = factories.source(customer=self.customer)
        self.target = factories.target(self.customer, settings=json.dumps({"path": str(self.path)}))
        self.certificate = certificate(self.customer, at=self.at)
        self.ticket = self.new_ticket()
        self.decision = self.decide(self.ticket, **decision)

    def new_ticket(self, **values: Any) -> Ticket:
        return factories.ticket(source=self.source, status=Ticket.Status.CLASSIFIED, **values)

    def decide(self, ticket: Ticket, account: str = "a.locked", **values: Any) -> Decision:
        """The decision to unlock the account of who asks."""
        Ticket.objects.filter(pk=ticket.pk).update(requester=account)
        return factories.decision(
            ticket,
            mode=Mode.AUTOMATE,
            runbook="unlock_account",
            parameters={"account": account},
            certificate=self.certificate,
            expires_at=self.at + timedelta(minutes=30),
            **values,
        )

    def request(self, ticket: Ticket | None = None, decision: Decision | None = None) -> Run:
        run = automation.request(
            ticket=ticket or self.ticket, decision=decision or self.decision, at=self.at, actor=ACTOR
        )
        assert run is not None
        return run

    def order(self) -> Run:
        """The same run, at a person's word."""
        Ticket.objects.filter(pk=self.ticket.pk).update(status=Ticket.Status.NEEDS_REVIEW)
        run = automation.request(
            ticket=self.ticket, decision=self.decision, at=self.at, actor=ACTOR, ordered_by=factories.person()
        )
        assert run is not None
        return run

    def read_from(self, url: str) -> None:
        """The source can be asked how its tickets stand."""
        self.source.settings = {"read_url": f"{url}/{{external_id}}"}
        self.source.save()

    def effects(self) -> int:
        directory = SqliteDirectory(self.path)
        try:
            return len(directory.effects())
        finally:
            directory.close()


def certificate(customer: Customer, *, at: datetime) -> Certificate:
    release = factories.release(customer, status=Release.Status.IN_FORCE)
    common: dict[str, Any] = {
        "customer": customer, "release": release, "gate": "0" * 64, "runbooks": ["unlock_account"], "alpha": 0.05,
        "delta": 0.004, "basis": "history",
    }  # fmt: skip
    registration = Registration.objects.create(**common, gate_parts={}, plan={}, registered_at=at)
    return Certificate.objects.create(
        **common, registration=registration, threshold=0.9, n=200, errors=0, upper_bound=0.03, sentence="", breaks=[],
        action_digests={}, window_from=at, window_until=at, issued_at=at, expires_at=at + timedelta(days=90),
    )  # fmt: skip
