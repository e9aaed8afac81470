"""One customer leaves: stopped, exported, then deleted from lake and database. A Job row says how far it came.

Every step may be done again: a process that dies at any line leaves work that the same command goes on with. Nothing
is deleted before the export was checked, and the row that says so was committed in one transaction with the counts.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import ProtectedError, Q
from django.utils import timezone

from triage import landing, lifecycle
from triage.environment import environment
from triage.lake import forgetting, here, layout
from triage.lake.columns import COLUMNS
from triage.models import (
    ArticleFeed,
    AuditEvent,
    Customer,
    DeliveryKey,
    Job,
    Membership,
    Mode,
    Person,
    Run,
    Source,
    SourceMapping,
)
from triage.models.fields import english
from triage.offboarding import belonging, container, exporting, shared
from triage.offboarding.held import Held, OffboardRefused

EVENT = "offboarded"
TRIES = 3
ROUNDS = 5
UNDER_WAY = (Run.Status.STARTING, Run.Status.UNKNOWN)
Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Offboarded:
    """What became of it. `sha256`: of the ZIP file, or of a folder's manifest. `kept`: what stayed, and why."""

    export: str
    sha256: str
    rows: dict[str, int]
    lake: dict[str, int]
    kept: dict[str, str]
    deleted: bool


def export_only(customer: Customer, path: Path, *, at: datetime, progress: Progress) -> Offboarded:
    """Write and check the export; the customer goes on as before. Raises OffboardRefused where `path` is taken."""
    if path.exists():
        raise OffboardRefused(f"{path} is there already: name a new file or folder")
    manifest = exporting.export(customer, path, own=_own(customer.pk), at=at, progress=progress)
    return _result(manifest, path, container.digest_of(path), deleted=False)


def offboard(customer: Customer, path: Path, *, actor: str, progress: Progress) -> Offboarded:
    """Export the customer and delete it, or go on with what was begun.

    Raises OffboardRefused, ExportBroken, LakeError; each time the same command goes on later.
    """
    job = Held.claim(customer, progress=progress)
    try:
        return _through(job, customer, path, actor=actor, progress=progress)
    finally:
        job.release()


def _through(job: Held, customer: Customer, path: Path, *, actor: str, progress: Progress) -> Offboarded:
    if job.step == "begun":
        _stop(customer, actor=actor)
        ours = str(path) == job.told.get("written") and container.is_export(path)
        if path.exists() and not ours:
            raise OffboardRefused(f"{path} is there already: name a new file or folder")
        _export(job, customer, path, progress=progress)
    manifest = _checked(path, job)
    result = _result(manifest, path, str(job.told["sha256"]), deleted=True)
    for name, work in STEPS.items():
        job.beat()
        work(job, result)
        progress(name)
    _end(job, result, actor=actor)
    return result


def earlier(slug: str) -> AuditEvent | None:
    """What the log says of a customer of this name that has left."""
    return AuditEvent.objects.filter(event=EVENT, reason__startswith=f"{slug}: ").order_by("-id").first()


def _own(customer: int) -> list[int]:
    return list(Source.objects.filter(customer=customer).values_list("pk", flat=True))


def _stop(customer: Customer, *, actor: str) -> None:
    """Nothing starts, nothing is told and nothing comes in any more; refuses while a run is under way."""
    at = timezone.now()
    with transaction.atomic():
        Customer.objects.select_for_update(no_key=True).get(pk=customer.pk)  # starts under way end
        Customer.objects.filter(pk=customer.pk).update(automation_enabled=False, mode=Mode.OBSERVE, write_back=False)
        Source.objects.filter(customer=customer).update(enabled=False)
        mine = ArticleFeed.objects.filter(Q(customer=customer) | Q(source__customer=customer))
        mine.update(enabled=False, claim_until=None)  # a pass under way has lost its claim, and stores nothing more
        waiting = Run.objects.filter(customer=customer, status__in=[Run.Status.REQUESTED, Run.Status.CLAIMED])
        lifecycle.advance(waiting, to=Run.Status.VOID, at=at, actor=actor, reason="The customer leaves.")
        lifecycle.record(row=customer, event="offboarding begun", at=at, actor=actor)
    live = Run.objects.filter(customer=customer, status__in=UNDER_WAY).select_related("ticket").order_by("pk")
    if live:
        named = "; ".join(
            f"{run.runbook} for {run.ticket.external_id} is {english(run.Status(run.status).label).lower()}"
            for run in live
        )
        raise OffboardRefused(
            f"{customer.slug} has runs under way: {named}. Automation is off now; settle them, then offboard again."
        )


def _export(job: Held, customer: Customer, path: Path, *, progress: Progress) -> None:
    """Write the export until it holds all that there is, then say in one transaction that deleting begins."""
    own, mapped = _own(customer.pk), shared.mappings_of(customer.pk)
    for _ in range(TRIES):
        job.beat(written=str(path))
        container.remove(path)
        for source in shared.of(customer=customer.pk, own=own, mapped=mapped):
            landing.land_source(source.source.pk, at=timezone.now())
        manifest = exporting.export(customer, path, own=own, at=timezone.now(), progress=progress, tick=job.tick)
        told = {name: count for name, count in manifest["rows"].items() if name != "person"}
        with transaction.atomic():
            Customer.objects.select_for_update(no_key=True).get(pk=customer.pk)
            now = exporting.counts(customer.pk)
            if now == told:
                people = list(Membership.objects.filter(customer=customer).values_list("person_id", flat=True))
                job.beat(step="deleting", sha256=container.digest_of(path), own=own, mapped=mapped, people=people)
                SourceMapping.objects.filter(customer=customer).delete()  # nothing new comes in by them
                return
        grown = sorted(name for name in now if now[name] != told.get(name))
    raise OffboardRefused(f"{customer.slug} is still worked on ({', '.join(grown)} changed): try again in a minute")


def _checked(path: Path, job: Held) -> dict[str, Any]:
    """The manifest of the export that the deletion rests on, whole and unchanged."""
    if not path.exists():
        raise OffboardRefused(
            f"deleting has begun on the strength of {job.told.get('written')}, which is not at {path}: name that file"
        )
    manifest = container.check(path, tick=job.tick)
    if container.digest_of(path) != job.told["sha256"]:
        raise OffboardRefused(f"{path} is not the export that deleting began with: name that one")
    return manifest


def _forget_shared(job: Held, _: Offboarded) -> None:
    for source in shared.of(customer=job.customer, own=job.told["own"], mapped=job.told["mapped"]):
        shared.forget(source, here.store(), tick=job.tick)
        job.beat()


def _forget_rows(job: Held, _: Offboarded) -> None:
    """Every row but the customer's own; again where a worker that was still busy wrote another one."""
    tables = belonging.tables()[:-1]
    for last in range(ROUNDS):
        try:
            for table in tables:
                _delete(job, table)
        except ProtectedError:
            if last == ROUNDS - 1:
                raise
        else:
            return


def _delete(job: Held, table: belonging.Belonging) -> None:
    if table.model is Source:
        _delete_sources(job)
        return
    rows = table.rows(job.customer)
    while keys := list(rows.values_list("pk", flat=True)[: belonging.BATCH]):
        with transaction.atomic():
            table.model._default_manager.filter(pk__in=keys).delete()
        job.beat()


def _delete_sources(job: Held) -> None:
    """A source that another's rows hang on stays, switched off and nobody's."""
    for source in Source.objects.filter(pk__in=job.told["own"]):
        with transaction.atomic():
            DeliveryKey.objects.filter(source_id=source.pk).delete()
            if belonging.foreign(source, job.customer):
                Source.objects.filter(pk=source.pk).update(customer=None, enabled=False, secrets="", credentials="")
            else:
                source.delete()


def _sweep(job: Held, result: Offboarded) -> None:
    """What a worker that was still busy wrote meanwhile."""
    _forget_rows(job, result)
    here.store().delete(list(here.store().list(layout.raw_prefix(customer=str(job.told["uuid"])))))


def _forget_lake(job: Held, _: Offboarded) -> None:
    """Raw deliveries, rows of the tables, models: in the lake and on this machine."""
    store, name = here.store(), str(job.told["uuid"])
    for table in COLUMNS:
        forgetting.forget(here.tables(), store, table, customer=name)
        job.beat()
    for prefix in (layout.raw_prefix(customer=name), layout.models_prefix(name)):
        store.delete(list(store.list(prefix)))
        job.beat()
    shutil.rmtree(environment().home / "models" / name, ignore_errors=True)


STEPS: dict[str, Callable[[Held, Offboarded], None]] = {
    "messages of shared sources are without the customer's": _forget_shared,
    "rows are deleted": _forget_rows,
    "the lake is without the customer's objects": _forget_lake,
    "nothing came after": _sweep,
}


def _end(job: Held, result: Offboarded, *, actor: str) -> None:
    """The customer's row goes, its people with no other customer, and the job; what stays is one line in the log."""
    at = timezone.now()
    slug = str(job.told["slug"])
    rows = sum(result.rows.values())
    with transaction.atomic():
        _part_with_people(job)
        AuditEvent.objects.filter(customer_id=job.customer).delete()
        Customer.objects.filter(pk=job.customer).delete()
        Job.objects.filter(pk=job.row.pk).delete()
        AuditEvent.objects.create(
            at=at,
            customer_id=None,
            subject="customer",
            subject_id=job.customer,
            event=EVENT,
            actor=actor,
            reason=f"{slug}: {rows} rows ({result.rows.get('ticket', 0)} tickets) and {sum(result.lake.values())} "
            f"parts of the lake exported and deleted; export SHA-256 {result.sha256}",
        )


def _part_with_people(job: Held) -> None:
    """Accounts that belonged to this customer alone; one that others' rows name is closed instead."""
    only = Person.objects.filter(pk__in=job.told["people"], is_superuser=False, membership__isnull=True)
    for person in only:
        try:
            with transaction.atomic():
                person.delete()
        except ProtectedError:
            Person.objects.filter(pk=person.pk).update(is_active=False)


def _result(manifest: dict[str, Any], path: Path, sha256: str, *, deleted: bool) -> Offboarded:
    return Offboarded(
        export=str(path),
        sha256=sha256,
        rows=manifest["rows"],
        lake=manifest["lake"],
        kept=manifest["kept"],
        deleted=deleted,
    )
