"""The transition tables are complete, every status is written through them, and a change is won once."""

import ast
import threading
from pathlib import Path

import pytest
from django.db import connection, models

from tests import factories
from triage import lifecycle
from triage.models import AuditEvent, Run, Ticket

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("model", list(lifecycle.TABLES))
def test_the_table_names_every_status_and_reaches_it(model: type[models.Model]) -> None:
    table = lifecycle.TABLES[model]
    field = model._meta.get_field("status")
    assert isinstance(field, models.CharField)
    statuses = {value for value, _ in field.choices or ()}
    assert set(table) == statuses
    reached = set().union(*table.values()) | {field.default}
    assert reached == statuses


@pytest.mark.parametrize("model", list(lifecycle.TABLES))
def test_the_table_can_be_drawn(model: type[models.Model]) -> None:
    table = lifecycle.TABLES[model]
    drawing = lifecycle.diagram(table)
    assert drawing.startswith("stateDiagram-v2\n")
    assert drawing.count("-->") == sum(len(onward) for onward in table.values())


def test_only_the_lifecycle_writes_a_status() -> None:
    tables = {model.__name__ for model in lifecycle.TABLES}
    found = []
    for file in (ROOT / "triage").rglob("*.py"):
        if "migrations" in file.parts or file.name == "lifecycle.py":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "update"):
                continue
            words = ast.unparse(node)
            if any(word.arg == "status" for word in node.keywords) and any(
                f"{name}.objects" in words for name in tables
            ):
                found.append(f"{file.name}:{node.lineno}")
    assert found == []


@pytest.mark.django_db
def test_a_change_moves_only_rows_that_may_go_there_and_logs_each() -> None:
    received, resolved = factories.ticket(), factories.ticket(status=Ticket.Status.RESOLVED)
    moved = lifecycle.advance(
        Ticket.objects.filter(pk__in=[received.pk, resolved.pk]),
        to=Ticket.Status.CLASSIFIED,
        at=factories.NOW,
        actor="system:test",
        reason="because",
    )
    assert moved == [received.pk]
    resolved.refresh_from_db()
    assert resolved.status == Ticket.Status.RESOLVED
    event = AuditEvent.objects.get(subject="ticket", subject_id=received.pk)
    assert (event.before, event.after, event.actor, event.reason) == (
        "received",
        "classified",
        "system:test",
        "because",
    )
    assert event.customer_id == received.customer_id


@pytest.mark.django_db
def test_a_status_that_nothing_leads_to_is_an_error_of_the_caller() -> None:
    with pytest.raises(lifecycle.TransitionInvalid, match="Run"):
        lifecycle.advance(Run.objects.all(), to="resolved", at=factories.NOW, actor="system:test")


@pytest.mark.django_db(transaction=True)
def test_of_many_that_want_the_same_change_one_wins() -> None:
    ticket = factories.ticket()
    wins: list[list[int]] = []
    start = threading.Barrier(8)

    def change() -> None:
        start.wait()
        wins.append(
            lifecycle.advance(
                Ticket.objects.filter(pk=ticket.pk), to=Ticket.Status.CLASSIFIED, at=factories.NOW, actor="system:test"
            )
        )
        connection.close()

    threads = [threading.Thread(target=change) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, wins)) == [0] * 7 + [1]
    assert AuditEvent.objects.filter(subject_id=ticket.pk).count() == 1
