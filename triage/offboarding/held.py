"""The Job row of an offboarding: who works on it, under a lease that a killed process loses, and how far it came."""

import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from triage.models import Customer, Job

KIND = "offboard"
LEASE = timedelta(seconds=60)
BEAT = 5.0
PATIENCE = 5.0


class OffboardRefused(Exception):
    """The customer cannot leave now; the message says why and what to do first."""


class Held:
    """The job row while this process works on it."""

    def __init__(self, row: Job, holder: uuid.UUID) -> None:
        self.row, self.holder = row, holder
        self.told: dict[str, Any] = row.settings
        self._beaten = time.monotonic()

    @property
    def step(self) -> str:
        """begun, or deleting: once the export stands."""
        return str(self.told["step"])

    @property
    def customer(self) -> int:
        """The customer's primary key, which may be gone already."""
        return int(self.told["customer"])

    @classmethod
    def claim(cls, customer: Customer, *, progress: Callable[[str], None]) -> "Held":
        """Take the job up; where another process holds it, once that one has been silent for its lease."""
        told = {"customer": customer.pk, "uuid": str(customer.uuid), "slug": customer.slug, "step": "begun"}
        name = f"{KIND}-{customer.uuid}"
        Job.objects.get_or_create(name=name, defaults={"kind": KIND, "settings": told, "changed_at": timezone.now()})
        said = False
        holder, give_up = uuid.uuid4(), time.monotonic() + LEASE.total_seconds() + PATIENCE
        while True:
            at = timezone.now()
            free = Q(holder=None) | Q(leased_until__lt=at)
            if Job.objects.filter(free, name=name).update(
                status=Job.Status.LEASED, holder=holder, leased_until=at + LEASE, changed_at=at
            ):
                return cls(Job.objects.get(name=name), holder)
            if time.monotonic() > give_up:
                raise OffboardRefused(f"another process is offboarding {customer.slug}: wait until it has ended")
            if not said:
                progress(f"waiting for another process, which was killed or still works: at most {LEASE.seconds} s")
                said = True
            time.sleep(0.2)

    def beat(self, **told: Any) -> None:
        """Keep the lease, and remember what is told; OffboardRefused where another process took it meanwhile."""
        at, self._beaten = timezone.now(), time.monotonic()
        self.told = {**self.told, **told}
        mine = Job.objects.filter(pk=self.row.pk, holder=self.holder)
        if not mine.update(settings=self.told, leased_until=at + LEASE, changed_at=at):
            raise OffboardRefused("another process took this offboarding over")

    def tick(self) -> None:
        """Keep the lease now and then; for calling often."""
        if time.monotonic() - self._beaten > BEAT:
            self.beat()

    def release(self) -> None:
        """Let the next command go on at once."""
        Job.objects.filter(pk=self.row.pk, holder=self.holder).update(holder=None, leased_until=None)
