"""What only a person can say: whether a lost run happened, that a seal is broken."""

from datetime import datetime

from django.db import transaction
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce

from triage import automation, ended, lifecycle
from triage.models import Person, Run, Ticket
from triage.permissions import check_can_settle
from triage.queries.blind import REVEALED, has_looked
from triage.queries.log import name_of
from triage.review.refused import ReviewRefused


def settle_unknown(run: Run, *, person: Person, succeeded: bool | None, note: str, at: datetime) -> None:
    """Record what a person found at the target: the run becomes SUCCEEDED or FAILED, its tickets follow."""
    check_can_settle(person, run)
    note = note.strip()
    if succeeded is None:
        raise ReviewRefused("Say whether it happened or not.")
    if not note:
        raise ReviewRefused("Say in a few words how you know: what you found at the target.")
    actor = f"person:{person.pk}"
    found = "it happened" if succeeded else "it did not happen"
    with transaction.atomic():
        won = lifecycle.advance(
            Run.objects.filter(pk=run.pk, status=Run.Status.UNKNOWN),
            to=Run.Status.SUCCEEDED if succeeded else Run.Status.FAILED,
            at=at,
            actor=actor,
            reason=f"{name_of(person)} looked: {found}. {note}"[:1000],
            # when it ended is known already, and an old failure must not count as a new one
            changes={"finished_at": Coalesce(F("finished_at"), Value(at))},
        )
        if not won:
            raise ReviewRefused("This run is settled already. Reload the page.")
        run.refresh_from_db()
        automation.settle(run, at=at, actor=actor)
        if succeeded:
            _resolve(run, at=at, actor=actor)


def reveal(ticket: Ticket, *, person: Person, at: datetime) -> None:
    """Show the person what Triage thinks of a drawn ticket, on the record: their verdict no longer counts as blind."""
    if not has_looked(person, ticket):
        lifecycle.record(row=ticket, event=REVEALED, at=at, actor=f"person:{person.pk}")


def _resolve(run: Run, *, at: datetime, actor: str) -> None:
    """The lost run's ticket and its storm's came to the desk when the run was lost; now they are resolved there."""
    mine = Q(pk=run.ticket_id, text_hash=run.text_hash) | Q(linked_run=run)
    won = lifecycle.advance(
        Ticket.objects.filter(mine, status=Ticket.Status.NEEDS_REVIEW),
        to=Ticket.Status.RESOLVED,
        at=at,
        actor=actor,
        reason=run.reason,
    )
    ended.tell_itsm(run, won, at=at)
