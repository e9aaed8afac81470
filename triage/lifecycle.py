"""The transition tables and `advance()`, the only writer of a status.

A change is one conditional UPDATE per call over a set of rows, with its AuditEvents in bulk, in one transaction. A row
whose status has moved on meanwhile is left alone: the caller sees from the answer which rows it won.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import models, transaction
from django.db.models import Case, QuerySet, Value, When

from triage.models import Approval, AuditEvent, Customer, Delivery, Release, Run, Ticket

T, R = Ticket.Status, Run.Status
LONGEST_REASON = 1000

TICKET: Mapping[str, frozenset[str]] = {
    T.RECEIVED: frozenset({T.CLASSIFIED, T.NEEDS_REVIEW, T.WITHDRAWN}),
    T.CLASSIFIED: frozenset(
        {T.QUEUED, T.LINKED, T.WAITING_APPROVAL, T.NEEDS_REVIEW, T.OBSERVED, T.RECEIVED, T.WITHDRAWN}
    ),
    T.OBSERVED: frozenset({T.RECEIVED, T.NEEDS_REVIEW, T.WITHDRAWN}),
    T.QUEUED: frozenset({T.RUNNING, T.NEEDS_REVIEW, T.RECEIVED, T.WITHDRAWN}),
    T.LINKED: frozenset({T.RESOLVED, T.NEEDS_REVIEW, T.RECEIVED, T.WITHDRAWN}),
    T.WAITING_APPROVAL: frozenset({T.QUEUED, T.LINKED, T.NEEDS_REVIEW, T.RECEIVED, T.WITHDRAWN}),
    T.RUNNING: frozenset({T.RESOLVED, T.NEEDS_REVIEW}),
    T.NEEDS_REVIEW: frozenset({T.ANSWERED, T.QUEUED, T.WAITING_APPROVAL, T.RESOLVED, T.RECEIVED, T.WITHDRAWN}),
    T.ANSWERED: frozenset({T.RESOLVED, T.NEEDS_REVIEW, T.RECEIVED, T.WITHDRAWN}),
    T.RESOLVED: frozenset({T.NEEDS_REVIEW}),
    T.WITHDRAWN: frozenset({T.RECEIVED}),
}
RUN: Mapping[str, frozenset[str]] = {
    R.REQUESTED: frozenset({R.CLAIMED, R.VOID}),
    R.CLAIMED: frozenset({R.STARTING, R.REQUESTED, R.VOID}),
    R.STARTING: frozenset({R.SUCCEEDED, R.FAILED, R.UNDONE, R.UNDO_FAILED, R.UNKNOWN}),
    R.UNKNOWN: frozenset({R.SUCCEEDED, R.FAILED}),
    R.SUCCEEDED: frozenset(),
    R.FAILED: frozenset(),
    R.UNDONE: frozenset(),
    R.UNDO_FAILED: frozenset(),
    R.VOID: frozenset(),
}
APPROVAL: Mapping[str, frozenset[str]] = {
    Approval.Status.ASKED: frozenset(
        {Approval.Status.GRANTED, Approval.Status.REFUSED, Approval.Status.EXPIRED, Approval.Status.VOID}
    ),
    Approval.Status.GRANTED: frozenset({Approval.Status.VOID, Approval.Status.EXPIRED}),
    Approval.Status.REFUSED: frozenset(),
    Approval.Status.EXPIRED: frozenset(),
    Approval.Status.VOID: frozenset(),
}
DELIVERY: Mapping[str, frozenset[str]] = {
    Delivery.Status.STORED: frozenset({Delivery.Status.APPLIED, Delivery.Status.QUARANTINED}),
    Delivery.Status.APPLIED: frozenset(),
    Delivery.Status.QUARANTINED: frozenset({Delivery.Status.APPLIED}),
}
S = Release.Status
RELEASE: Mapping[str, frozenset[str]] = {
    S.CANDIDATE: frozenset({S.SHADOW, S.IN_FORCE, S.RETIRED}),
    S.SHADOW: frozenset({S.CANARY, S.RETIRED}),
    S.CANARY: frozenset({S.IN_FORCE, S.RETIRED}),
    S.IN_FORCE: frozenset({S.RETIRED}),
    S.RETIRED: frozenset({S.IN_FORCE}),
}
TABLES: Mapping[type[models.Model], Mapping[str, frozenset[str]]] = {
    Ticket: TICKET,
    Run: RUN,
    Approval: APPROVAL,
    Delivery: DELIVERY,
    Release: RELEASE,
}


class TransitionInvalid(Exception):
    """No row of this table may ever reach the wanted status from where the caller says it stands."""


def advance(
    rows: QuerySet[Any],
    *,
    to: str,
    at: datetime,
    actor: str,
    reason: str | Mapping[int, str] = "",
    changes: Mapping[str, Any] | None = None,
) -> list[int]:
    """Move those of `rows` that may go there to status `to`; the primary keys of the rows that moved, in order.

    `rows` may filter by anything: the caller's preconditions hold at the moment of the move. `changes` are further
    columns to set in the same UPDATE. Rows in a status that does not lead to `to` stay untouched. `reason` is one for
    all rows, or one for each primary key.
    """
    if isinstance(reason, str):
        reason = reason[:LONGEST_REASON]  # with another program's error in it, it may be of any length
    table = TABLES[rows.model]
    allowed = [status for status, onward in table.items() if to in onward]
    if not allowed:
        raise TransitionInvalid(f"no {rows.model.__name__} can ever become {to!r}")
    with transaction.atomic():
        # FOR UPDATE on PostgreSQL; on SQLite the IMMEDIATE transaction already holds the only write lock
        won = list(
            rows.filter(status__in=allowed)
            .order_by("pk")
            .select_for_update()
            .values_list("pk", "status", "customer_id")
        )
        keys = [pk for pk, _, _ in won]
        for chunk in _chunks(keys):
            said = reason if isinstance(reason, str) else _each(reason, chunk)
            rows.model._default_manager.filter(pk__in=chunk).update(
                status=to, **_columns(rows.model, at=at, reason=said), **(changes or {})
            )
        _log(rows.model, won, to=to, at=at, actor=actor, reason=reason)
    return keys


def _log(
    model: type[models.Model],
    won: Sequence[tuple[int, str, int | None]],
    *,
    to: str,
    at: datetime,
    actor: str,
    reason: str | Mapping[int, str],
) -> None:
    """One AuditEvent for each (primary key, status before, customer) that moved."""
    events = [
        AuditEvent(
            at=at,
            customer_id=customer,
            subject=model._meta.model_name or "",
            subject_id=pk,
            event="status",
            before=before,
            after=to,
            actor=actor,
            reason=reason if isinstance(reason, str) else reason.get(pk, ""),
        )
        for pk, before, customer in won
    ]
    AuditEvent.objects.bulk_create(events, batch_size=500)


def _each(reasons: Mapping[int, str], keys: list[int]) -> Case | str:
    """The reasons of these rows as one expression, so that one UPDATE serves all."""
    alike: dict[str, list[int]] = {}
    for key in keys:
        alike.setdefault(reasons.get(key, ""), []).append(key)
    if len(alike) == 1:
        return next(iter(alike))
    each = (When(pk__in=same, then=Value(reason)) for reason, same in alike.items())
    return Case(*each, output_field=models.CharField())


def _columns(model: type[models.Model], *, at: datetime, reason: str | Case) -> dict[str, Any]:
    """The columns that every change of status sets, where the table has them."""
    if model is Ticket:
        return {"changed_at": at, "reason": reason}
    if model in (Run, Delivery, Release) and reason:
        return {"reason": reason}
    return {}


def _chunks(keys: list[int], size: int = 500) -> list[list[int]]:
    return [keys[start : start + size] for start in range(0, len(keys), size)]


def record(*, row: models.Model, event: str, at: datetime, actor: str, reason: str = "", after: str = "") -> None:
    """One AuditEvent for something that changed no status."""
    AuditEvent.objects.create(
        at=at,
        customer_id=row.pk if isinstance(row, Customer) else getattr(row, "customer_id", None),
        subject=row._meta.model_name or "",
        subject_id=row.pk,
        event=event,
        after=after,
        actor=actor,
        reason=reason[:LONGEST_REASON],
    )


def diagram(table: Mapping[str, frozenset[str]]) -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2"]
    lines += [f"    {before} --> {after}" for before, onward in table.items() for after in sorted(onward)]
    return "\n".join(lines)
