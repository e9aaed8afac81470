"""How long forty customers take to be set up from one file, and one with many tickets to leave.

`python -m tests.benchmarks.customers --tickets 5000 --json FILE`; `--postgres` on a PostgreSQL of its own.
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
import uuid
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests import servers

PEOPLE = 3
POLICIES = ("unlock_account", "reset_password", "restart_service", "rotate_logs", "add_to_group", "free_disk_space")


def document(customers: int) -> str:
    """Each with a source, a mapping, three people and six policies."""
    lines = ["defaults:", "  customer:", "    runbooks:"]
    lines += [f"      {key}: {{enabled: true, runs_an_hour: 10}}" for key in POLICIES]
    lines.append("customers:")
    for n in range(customers):
        roles = f"{{agent: [a{n}], approver: [b{n}], steward: [c{n}]}}"
        lines.append(f"  - {{slug: c{n}, name: Customer {n}, people: {roles}}}")
    lines.append("sources:")
    lines += [f"  - {{slug: s{n}, mappings: [{{company: Company {n}, customer: c{n}}}]}}" for n in range(customers)]
    return "\n".join(lines)


def apply(customers: int, folder: Path) -> dict[str, Any]:
    """Seconds of the first and the second time, with what each changed."""
    from triage import applying

    file = folder / "customers.yaml"
    file.write_text(document(customers), encoding="utf-8")
    told: dict[str, Any] = {"customers": customers}
    for name in ("first", "second"):
        begun = time.perf_counter()
        read = applying.load(file)
        shown = applying.plan(read)
        applying.carry_out(read, shown=shown, prune=False, actor="system:benchmark", at=datetime.now(UTC))
        told[f"{name}_seconds"] = round(time.perf_counter() - begun, 2)
        told[f"{name}_changes"] = len(shown.changes)
    return told


def filled(slug: str, tickets: int) -> Any:
    """A customer with tickets, and for each a delivery in the lake, a prediction, a decision, a review and a label."""
    from tests import factories
    from triage import landing
    from triage.models import AuditEvent, Decision, Delivery, Label, Prediction, Review, Ticket

    customer = factories.customer(slug=slug)
    source = factories.source(customer=customer)
    person = factories.member(customer)
    at = factories.NOW
    numbers = range(tickets)
    given = {"customer": customer, "source": source, "created_at": at, "updated_at": at, "received_at": at}
    Ticket.objects.bulk_create(
        Ticket(external_id=f"{slug}-{n}", subject=f"Account locked {n}", body="It says locked. " * 10, text_hash=f"{n:064}",
               storm_key=f"{n:064}", changed_at=at, **given) for n in numbers)  # fmt: skip
    rows = list(Ticket.objects.filter(customer=customer).order_by("pk"))
    said: dict[str, Any] = {"customer": customer}
    Prediction.objects.bulk_create(
        Prediction(ticket_id=one.pk, text_hash=one.text_hash, release="1", matches=[], probability=0.9, score=0.9,
                   evidence={}, reason="words", made_at=at, **said) for one in rows)  # fmt: skip
    Decision.objects.bulk_create(
        Decision(ticket=one, text_hash=one.text_hash, mode="suggest", reason="suggested", made_at=at, **said)
        for one in rows
    )
    Review.objects.bulk_create(
        Review(ticket=one, person=person, verdict="none", text_hash=one.text_hash, decided_at=at, **said)
        for one in rows
    )
    Label.objects.bulk_create(
        Label(ticket=one, subject=one.subject, body=one.body, provenance="desk", made_at=at, **said) for one in rows
    )
    AuditEvent.objects.bulk_create(
        AuditEvent(
            at=at, customer_id=customer.pk, subject="ticket", subject_id=one.pk, event="status", actor="system:x"
        )
        for one in rows
    )
    bodies = [json.dumps({"external_id": one.external_id, "subject": one.subject}).encode() for one in rows]
    Delivery.objects.bulk_create(
        Delivery(uuid=uuid.uuid4(), source_id=source.pk, customer_id=customer.pk, key=str(n), received_at=at,
                 sha256=hashlib.sha256(body).hexdigest(), size=len(body), body=body)
        for n, body in enumerate(bodies))  # fmt: skip
    landing.land(at=datetime.now(UTC) + timedelta(hours=1))
    while landing.carry_labels(at=datetime.now(UTC)):
        pass
    return customer


def offboard(tickets: int, folder: Path) -> dict[str, Any]:
    """Seconds for one with so many tickets, and whether all of another one stayed as it was."""
    from tests.test_offboard import everything
    from triage import offboarding
    from triage.models import Ticket

    going, staying = filled("going", tickets), filled("staying", max(1, tickets // 10))

    def digest() -> str:
        found = json.dumps(everything(staying, history=False), default=repr, sort_keys=True)
        return hashlib.sha256(found.encode()).hexdigest()

    before, pk, begun = digest(), going.pk, time.perf_counter()
    done = offboarding.offboard(going, folder / "going.zip", actor="system:benchmark", progress=lambda _: None)
    seconds = time.perf_counter() - begun
    return {
        "tickets": tickets,
        "rows": sum(done.rows.values()),
        "seconds": round(seconds, 1),
        "megabytes": round((folder / "going.zip").stat().st_size / 1e6, 1),
        "left": Ticket.objects.filter(customer=pk).count(),
        "other_customer_the_same": before == digest(),
    }


def main() -> None:
    """Both, in an installation of their own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=40)
    parser.add_argument("--tickets", type=int, default=5000)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tri-")))
        endpoints = stack.enter_context(servers.embedded())
        url = {"TRIAGE_DATABASE_URL": stack.enter_context(servers.postgres())} if asked.postgres else {}
        os.environ.update({**endpoints.environment(), **url, "TRIAGE_HOME": str(folder)})
        from triage import installation

        installation.use_home(folder)
        with installation.ready():
            from django.db import connections

            stack.callback(connections.close_all)  # the server would wait for them
            told = {"apply": apply(asked.customers, folder), "offboard": offboard(asked.tickets, folder)}
    sys.stdout.write(json.dumps(told, indent=1) + "\n")
    if asked.json:
        asked.json.write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main()
