"""Everything of one customer in one container: rows, what the lake holds, models; with counts that can be checked."""

from collections.abc import Callable, Iterator
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from django.db.models import Q, QuerySet

from triage import landing
from triage.lake import here, layout
from triage.lake.columns import COLUMNS
from triage.models import Customer, Delivery, Membership, Person
from triage.offboarding import belonging, container, shared
from triage.offboarding.belonging import Belonging
from triage.offboarding.container import Container, ExportBroken, Tick, never

FORMAT = 1
KEPT = {
    "runs/claims, runs/starts": "they keep a database that was restored from starting a run twice; hashes of ids",
    "answers of the API": "kept a day for their Idempotency-Key, with their token",
    "secrets": 'exported as "(set)" only',
}
Progress = Callable[[str], None]


def export(
    customer: Customer, path: Path, *, own: list[int], at: datetime, progress: Progress, tick: Tick = never
) -> dict[str, Any]:
    """Write everything of the customer's to `path` and check what was written; the manifest.

    `own`: its own sources. `tick` is called often. Nothing is changed. Raises ExportBroken, LakeError.
    """
    with Container(path) as out:
        people: set[int] = set(Membership.objects.filter(customer=customer).values_list("person_id", flat=True))
        counts = {table.name: _table(out, table, customer, people, tick) for table in belonging.tables()}
        counts["person"] = out.write("tables/person.jsonl", _people(people))
        progress(f"{sum(counts.values())} rows of {sum(map(bool, counts.values()))} tables")
        lake, mixed = _lake(out, customer, own, tick)
        progress(f"{sum(lake.values())} objects, lines and rows of the lake")
        out.finish(
            {
                "format": FORMAT,
                "customer": {"slug": customer.slug, "name": customer.name, "uuid": str(customer.uuid)},
                "made_at": at.isoformat(),
                "product": version("triage"),
                "rows": counts,
                "lake": lake,
                "kept": KEPT | ({shared.MIXED: f"{mixed} messages"} if mixed else {}),
            }
        )
    manifest = container.check(path, tick=tick)
    _landed_are_there(customer, manifest)
    return manifest


def counts(customer: int) -> dict[str, int]:
    """How many rows the customer has now, by table."""
    return {table.name: table.rows(customer).count() for table in belonging.tables()}


def _table(out: Container, table: Belonging, customer: Customer, people: set[int], tick: Tick) -> int:
    def lines() -> Iterator[bytes]:
        for batch in belonging.batches(table.rows(customer.pk)):
            tick()
            for found in batch:
                people.update(filter(None, (getattr(found, column) for column in table.person_columns)))
                yield belonging.line(belonging.row(table, found))

    return out.write(f"tables/{table.name}.jsonl", lines())


def _people(ids: set[int]) -> Iterator[bytes]:
    """Who is named in the rows: without anything that opens something."""
    for row in Person.objects.filter(pk__in=ids).order_by("pk"):
        names = ("id", "username", "email", "first_name", "last_name", "is_active")
        yield belonging.line({name: getattr(row, name) for name in names})


def _lake(out: Container, customer: Customer, own: list[int], tick: Tick) -> tuple[dict[str, int], int]:
    """What the lake holds of the customer; with it the messages that stay since others' tickets are in them."""
    store, uuid = here.store(), str(customer.uuid)
    found = {"raw": 0, "shared": 0, "models": 0}
    for key in list(store.list(layout.raw_prefix(customer=uuid))):
        tick()
        out.write(f"lake/{key}", [store.get(key)])
        found["raw"] += 1
    mixed = 0
    for source in shared.of(customer=customer.pk, own=own, mapped=shared.mappings_of(customer.pk)):
        lines: list[bytes] = []
        for pack in source.packs(store, tick=tick):
            lines += pack.mine
            mixed += pack.mixed
        lines += [landing.line_of(row) for row in source.waiting()]
        found["shared"] += out.write(f"lake/shared/{source.source.uuid}.jsonl", lines)
    for key in list(store.list(layout.models_prefix(uuid))):
        tick()
        out.write(f"lake/{key}", [store.get(key)])
        found["models"] += 1
    for name in COLUMNS:
        _, rows = here.tables().read(name, customer=uuid)
        found[name] = out.write(f"lake/tables/{name}.jsonl", (_delta(row) for row in rows))
    return found, mixed


def _delta(row: dict[str, object]) -> bytes:
    shown = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
    return belonging.line(shown)


def _landed_are_there(customer: Customer, manifest: dict[str, Any]) -> None:
    """Every delivery of the customer's own that landed lies in an object that was exported."""
    landed: QuerySet[Delivery] = Delivery.objects.filter(
        ~Q(lake_key=""), customer_id=customer.pk, landed_at__isnull=False
    )
    for key in landed.values_list("lake_key", flat=True).distinct():
        if f"lake/{key}" not in manifest["files"]:
            raise ExportBroken(f"the lake lacks {key}, which deliveries of {customer.slug} lie in: restore the object")
