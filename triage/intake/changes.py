"""What a message means for a ticket that is already known: new text, solved or taken elsewhere, reopened.

A message is a full or partial state, never an instruction: an older one changes nothing, and one that comes while the
runbook runs is kept until the run has ended.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db import transaction
from django.db.models import Q

from classifier.text import Document, text_hash
from triage import lifecycle
from triage.intake import attached
from triage.intake.owners import ACTOR, Owners, give
from triage.intake.plans import supersede, void_plans
from triage.intake.storms import storm_key
from triage.itsm.base import REOPENED, IncomingTicket, is_elsewhere, is_own_user, is_settled
from triage.itsm.payload import AUTHOR_FIELD, GROUP_FIELD
from triage.models import Customer, Draw, Run, Source, Ticket

T = Ticket.Status
ABOUT_TO_ACT = frozenset({T.CLASSIFIED, T.QUEUED, T.LINKED, T.WAITING_APPROVAL})
COLUMNS = {
    **{name: name for name in ("subject", "body", "requester", "channel", "actor", "language", "kind", "priority")},
    **{name: name for name in ("due_at", "created_at")},
    "status": "itsm_status",
    "group": "itsm_group",
}
# what a plan for the ticket may rest on besides its text
GROUNDS = frozenset({"requester", "channel", "actor", "fields", "attachments"})
WATCHED = timedelta(days=30)
"""So long after a run a ticket that comes back counts as a word about that run."""
PASSING = frozenset({AUTHOR_FIELD, GROUP_FIELD, attached.FIELD})


class Result(StrEnum):
    """What one message did to one ticket."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    OLDER = "older"
    KEPT = "kept"
    MISPLACED = "misplaced"


@dataclass(frozen=True)
class Move:
    """A change of status, and whether it is a new occasion for the same runbook."""

    to: str
    reason: str
    occasion: bool = False


def change(
    ticket: Ticket,
    incoming: IncomingTicket,
    *,
    source: Source,
    customer: Customer | None,
    at: datetime,
    pulled: bool = False,
) -> Result:
    """Apply a message to a ticket whose row the caller has locked, inside the caller's transaction.

    `pulled`: the message tells a state that a webhook may have told before, in other words: an equal one is the same.
    """
    if _older(incoming, updated_at=ticket.updated_at, sequence=ticket.sequence):
        return Result.OLDER
    if pulled and not is_news(incoming, ticket):
        alone = attached.take_alone(ticket, incoming, source=source, at=at)
        return Result.UPDATED if alone else Result.UNCHANGED
    if customer is not None and ticket.customer_id not in (None, customer.pk):
        return _misplaced(ticket, at=at)
    own = is_own_user(source, incoming.author)
    if own or incoming.comment:
        incoming = incoming.without_content()
    columns = _columns(ticket, incoming, source=source)
    if ticket.status == T.RUNNING and not own:
        return _keep(ticket, incoming) if columns else Result.UNCHANGED
    given = give(ticket, customer=customer, at=at) if ticket.customer_id is None else False
    move = None if own else _move(ticket, incoming, columns, source=source)
    newest = {"updated_at": incoming.updated_at, "sequence": _later(incoming.sequence, ticket.sequence)}
    _apply(ticket, {**columns, **newest}, move, at=at)
    attached.learn(ticket, incoming, source=source, at=at)
    return Result.UPDATED if columns or move or given else Result.UNCHANGED


def apply_waiting_update(ticket: Ticket, at: datetime) -> bool:
    """Apply the change that came while the runbook ran; True where the ticket now waits for the model again.

    Call it when the run has ended; before that, and where nothing was kept, it changes nothing.
    """
    with transaction.atomic():
        row = (
            Ticket.objects.select_for_update(of=("self",))
            .select_related("source__customer", "customer")
            .get(pk=ticket.pk)
        )
        if row.waiting_update is None or row.status == T.RUNNING:
            return False
        incoming = IncomingTicket.from_json(bytes(row.waiting_update))
        Ticket.objects.filter(pk=row.pk).update(waiting_update=None)
        customer = Owners(row.source, [incoming.owner]).of(incoming.owner)
        change(row, incoming, source=row.source, customer=customer, at=at)
        return Ticket.objects.filter(pk=row.pk, status=T.RECEIVED).exists()


def apply_left_waiting(*, at: datetime) -> int:
    """Apply changes whose run ended without anybody applying them (the worker died); how many wait for the model."""
    left = Ticket.objects.filter(waiting_update__isnull=False).exclude(status=T.RUNNING).order_by("pk")
    return sum(apply_waiting_update(ticket, at) for ticket in left)


def is_news(incoming: IncomingTicket, ticket: Ticket) -> bool:
    """Whether a pulled state is later than what is known of the ticket, a change that waits for a run included."""
    known = [(ticket.updated_at, ticket.sequence)]
    if ticket.waiting_update is not None:
        waiting = IncomingTicket.from_json(bytes(ticket.waiting_update))
        known.append((waiting.updated_at, waiting.sequence))
    return all(_newer(incoming, updated_at=moment, sequence=count) for moment, count in known)


def _newer(incoming: IncomingTicket, *, updated_at: datetime, sequence: int | None) -> bool:
    if incoming.sequence is not None and sequence is not None and incoming.sequence != sequence:
        return incoming.sequence > sequence
    return incoming.updated_at > updated_at


def _older(incoming: IncomingTicket, *, updated_at: datetime, sequence: int | None) -> bool:
    """The sender's own count decides where both messages have one, else its clock; equal is not older."""
    if incoming.sequence is not None and sequence is not None and incoming.sequence != sequence:
        return incoming.sequence < sequence
    return incoming.updated_at < updated_at


def _later(one: int | None, other: int | None) -> int | None:
    known = [number for number in (one, other) if number is not None]
    return max(known) if known else None


def _columns(ticket: Ticket, incoming: IncomingTicket, *, source: Source) -> dict[str, Any]:
    """The columns that this message changes, hashes included; the order columns not."""
    said: dict[str, Any] = {
        column: getattr(incoming, name) for name, column in COLUMNS.items() if name in incoming.stated
    }
    if "attachments" in incoming.stated:
        said["attachments"] = [dict(item) for item in incoming.attachments]
    if "fields" in incoming.stated:
        said["fields"] = {**ticket.fields, **incoming.fields}
    if attached.FIELD in incoming.stated and incoming.attached_article:
        said["fields"] = {**said.get("fields", ticket.fields), attached.FIELD: incoming.attached_article}
    changed = {column: value for column, value in said.items() if value != getattr(ticket, column)}

    def now(column: str) -> Any:
        return changed.get(column, getattr(ticket, column))

    if {"subject", "body"} & changed.keys():
        digest = text_hash(Document(now("subject"), now("body")))
        changed |= {"text_hash": digest} if digest != ticket.text_hash else {}
    if {"subject", "body", "requester", "actor", "fields"} & changed.keys():
        names = ("subject", "body", "requester", "actor", "fields")
        storm = storm_key(source=source, **{name: now(name) for name in names})
        changed |= {"storm_key": storm} if storm != ticket.storm_key else {}
    return changed


def _move(ticket: Ticket, incoming: IncomingTicket, columns: Mapping[str, Any], *, source: Source) -> Move | None:
    """Which way the ticket goes now, if any: what each status in the ITSM leads to."""
    status = columns.get("itsm_status", ticket.itsm_status)
    gone = _gone(source, status=status, group=columns.get("itsm_group", ticket.itsm_group))
    if _unknown(ticket):
        return None  # a person has to settle what happened; the ticket stays where they look
    if gone:
        return None if ticket.status in {T.RESOLVED, T.WITHDRAWN} else Move(T.WITHDRAWN, gone)
    if ticket.status == T.WITHDRAWN:
        back = {"status", "group"} & incoming.stated
        return Move(T.RECEIVED, "It is open again in the ITSM.", occasion=True) if back else None
    if ticket.status == T.RESOLVED:
        return _reopened(ticket, columns, status=status, source=source)
    if "text_hash" in columns and ticket.status != T.RECEIVED:
        return Move(T.RECEIVED, "Its text has changed in the ITSM.")
    if ticket.status in ABOUT_TO_ACT and _grounds_changed(ticket, columns):
        return Move(T.RECEIVED, "What its plan rested on has changed in the ITSM.")
    return None


def _reopened(ticket: Ticket, columns: Mapping[str, Any], *, status: str, source: Source) -> Move | None:
    """Resolved here is not yet solved there, so only a way back counts, a word for it, or a new text."""
    if "itsm_status" in columns and (status.casefold() in REOPENED or is_settled(source, ticket.itsm_status)):
        return Move(T.NEEDS_REVIEW, f"It was reopened in the ITSM (status {status}).", occasion=True)
    if "text_hash" in columns:
        return Move(T.NEEDS_REVIEW, "Its text changed after it was resolved.", occasion=True)
    return None


def _gone(source: Source, *, status: str, group: str) -> str:
    if is_settled(source, status):
        return f"It was finished in the ITSM (status {status})."
    return f"It was taken by the group {group}." if is_elsewhere(source, group) else ""


def _grounds_changed(ticket: Ticket, columns: Mapping[str, Any]) -> bool:
    found = GROUNDS & columns.keys()
    if found == {"fields"}:
        before, after = ticket.fields, columns["fields"]
        return any(before.get(name) != after[name] for name in after if name not in PASSING)
    return bool(found)


def _unknown(ticket: Ticket) -> bool:
    return ticket.status == T.NEEDS_REVIEW and Run.objects.filter(ticket=ticket, status=Run.Status.UNKNOWN).exists()


def _keep(ticket: Ticket, incoming: IncomingTicket) -> Result:
    """Lay the message over what waits already; the run's end applies both at once."""
    incoming = replace(incoming, comment=False)  # its content is left out already
    if ticket.waiting_update is not None:
        earlier = IncomingTicket.from_json(bytes(ticket.waiting_update))
        if _older(incoming, updated_at=earlier.updated_at, sequence=earlier.sequence):
            return Result.OLDER
        incoming = incoming.over(earlier)
    ticket.waiting_update = incoming.to_json()
    Ticket.objects.filter(pk=ticket.pk).update(waiting_update=ticket.waiting_update)
    return Result.KEPT


def _misplaced(ticket: Ticket, *, at: datetime) -> Result:
    """The ITSM now names another customer: nothing of one customer is ever handed to another, nor acted on."""
    if ticket.status not in {T.RUNNING, T.RESOLVED, T.WITHDRAWN, T.NEEDS_REVIEW}:
        reason = "The ITSM now says that this ticket belongs to another customer; an administrator has to settle it."
        void_plans(ticket, at=at, reason=reason)
        _advance(ticket, Move(T.NEEDS_REVIEW, reason), {}, at=at)
    return Result.MISPLACED


def _apply(ticket: Ticket, columns: dict[str, Any], move: Move | None, *, at: datetime) -> None:
    again = "text_hash" in columns or (move is not None and move.to == T.RECEIVED)
    if again:
        supersede([ticket.pk])
        columns |= {"claim": None, "claim_until": None, "attempts": 0}
    if "text_hash" in columns:
        lifecycle.record(row=ticket, event="text changed", at=at, actor=ACTOR, after=columns["text_hash"][:12])
    if move is None:
        Ticket.objects.filter(pk=ticket.pk).update(**columns)
    else:
        if ticket.status == T.RESOLVED:
            _verified(ticket, at=at)
        voided = void_plans(ticket, at=at, reason=move.reason)
        # a voided run never started, but its occasion is used up: one run for each ticket, runbook and occasion
        columns |= {"linked_run": None, "held_by": None, "held_until": None}
        columns |= {"occasion": ticket.occasion + 1} if move.occasion or voided else {}
        _advance(ticket, move, columns, at=at)
    for column, value in columns.items():
        setattr(ticket, column, value)


def _verified(ticket: Ticket, *, at: datetime) -> None:
    """A ticket that comes back after a run is verified always: what was not drawn before is drawn now, with certainty.

    A purpose of its own, since chance had no part in it: such rows count by themselves and are never mixed with the
    rest (step P10).
    """
    ran = Run.objects.filter(
        Q(ticket=ticket) | Q(linked_tickets=ticket), status=Run.Status.SUCCEEDED, finished_at__gt=at - WATCHED
    )
    if ran.exists():
        undrawn = Draw.objects.filter(ticket=ticket, purpose=Draw.Purpose.NONE)
        undrawn.update(purpose=Draw.Purpose.REOPENED, probability=1.0, drawn_at=at)


def _advance(ticket: Ticket, move: Move, columns: dict[str, Any], *, at: datetime) -> None:
    rows = Ticket.objects.filter(pk=ticket.pk)
    if lifecycle.advance(rows, to=move.to, at=at, actor=ACTOR, reason=move.reason, changes=columns):
        ticket.status = move.to
    elif columns:
        rows.update(**columns)
