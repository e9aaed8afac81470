"""What a message means for a ticket that is known: new text, solved elsewhere, reopened, or a change while it runs."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from classifier.text import Document, text_hash
from tests import factories
from triage import intake, lifecycle, recovery
from triage.intake import Result
from triage.models import Approval, AuditEvent, Decision, DeliveryKey, Draw, Prediction, Run, Source, Ticket
from triage.queries import blind

pytestmark = pytest.mark.django_db
AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
T, R, A = Ticket.Status, Run.Status, Approval.Status
BEFORE_ACTION = [T.CLASSIFIED, T.OBSERVED, T.QUEUED, T.LINKED, T.WAITING_APPROVAL, T.NEEDS_REVIEW, T.ANSWERED]


def known(status: str = T.RECEIVED, **values: Any) -> Ticket:
    """A ticket that stands somewhere, with a prediction and a decision in force."""
    given: dict[str, Any] = {"external_id": "INC1", "subject": "Locked", "body": "out", "itsm_status": "new"}
    settings = values.pop("settings", {})
    source = values.pop("source", None) or factories.source(settings=settings)
    ticket = factories.ticket(source=source, status=status, **{**given, **values})
    factories.prediction(ticket)
    factories.decision(ticket)
    return ticket


def tell(ticket: Ticket, **values: Any) -> Result:
    """One more message about the ticket; the row is read again afterwards."""
    told = {"external_id": ticket.external_id, "updated_at": (AT - timedelta(hours=1)).isoformat(), **values}
    if {"subject", "body", "status", "attachments"}.isdisjoint(told):
        told["status"] = ticket.itsm_status
    accepted = intake.accept(
        source=Source.objects.get(pk=ticket.source_id),
        key=f"msg_{DeliveryKey.objects.count()}",
        body=json.dumps(told).encode(),
        headers={},
        content_type="application/json",
        at=AT,
    )
    ticket.refresh_from_db()
    return accepted.tickets[0].result


def run_of(ticket: Ticket, status: str = R.REQUESTED) -> Run:
    assert ticket.customer is not None
    return Run.objects.create(
        customer=ticket.customer, ticket=ticket, runbook="unlock_account", target=factories.target(ticket.customer),
        target_object="ada", text_hash=ticket.text_hash, action_digest="0" * 64, requested_at=AT, status=status,
        occasion=ticket.occasion,
    )  # fmt: skip


def approval_of(ticket: Ticket, status: str = A.ASKED) -> Approval:
    assert ticket.customer is not None
    return Approval.objects.create(
        customer=ticket.customer, ticket=ticket, decision=Decision.objects.get(ticket=ticket), runbook="unlock_account",
        binding="0" * 64, status=status, asked_at=AT, expires_at=AT,
    )  # fmt: skip


def in_force(ticket: Ticket) -> int:
    rows = Decision.objects.filter(ticket=ticket, in_force=True).count()
    return rows + Prediction.objects.filter(ticket_id=ticket.pk, in_force=True).count()


@pytest.mark.parametrize("status", BEFORE_ACTION)
def test_a_new_text_sends_the_ticket_back_to_the_model(status: str) -> None:
    ticket = known(status, attempts=2, claim_until=AT)
    assert tell(ticket, body="still out") == Result.UPDATED
    assert (ticket.status, ticket.body, ticket.attempts, ticket.claim_until) == (T.RECEIVED, "still out", 0, None)
    assert ticket.text_hash == text_hash(Document("Locked", "still out"))
    assert in_force(ticket) == 0
    assert "text has changed" in ticket.reason


def test_a_new_text_takes_a_waiting_ticket_from_the_worker_that_classifies_the_old_one() -> None:
    ticket = known(T.RECEIVED, claim="12345678-1234-1234-1234-123456789012", claim_until=AT, attempts=1)
    tell(ticket, body="still out")
    assert (ticket.status, ticket.claim, ticket.attempts) == (T.RECEIVED, None, 0)
    assert in_force(ticket) == 0


@pytest.mark.parametrize("body", ["out", "  OUT\n"])
def test_the_same_text_written_otherwise_changes_no_decision(body: str) -> None:
    ticket = known(T.NEEDS_REVIEW)
    tell(ticket, body=body)
    assert (ticket.status, ticket.body) == (T.NEEDS_REVIEW, body)
    assert in_force(ticket) == 2


@pytest.mark.parametrize("status", [R.REQUESTED, R.CLAIMED])
def test_a_run_that_has_not_started_is_voided_with_its_occasion(status: str) -> None:
    ticket = known(T.QUEUED)
    run = run_of(ticket, status)
    tell(ticket, body="still out")
    run.refresh_from_db()
    assert (run.status, ticket.status, ticket.occasion) == (R.VOID, T.RECEIVED, 2)


@pytest.mark.parametrize("status", [A.ASKED, A.GRANTED])
def test_an_approval_of_the_old_text_is_voided(status: str) -> None:
    ticket = known(T.WAITING_APPROVAL)
    approval = approval_of(ticket, status)
    tell(ticket, body="still out")
    approval.refresh_from_db()
    assert (approval.status, ticket.status) == (A.VOID, T.RECEIVED)


def test_tickets_linked_to_a_voided_run_are_decided_again() -> None:
    ticket = known(T.QUEUED)
    linked = known(T.LINKED, source=ticket.source, external_id="INC2", linked_run=run_of(ticket))
    tell(ticket, status="closed")
    linked.refresh_from_db()
    assert (ticket.status, linked.status, linked.linked_run) == (T.WITHDRAWN, T.RECEIVED, None)
    assert in_force(linked) == 0


@pytest.mark.parametrize(
    "changed",
    [{"fields": {"account": "bob"}}, {"requester": "bob@example.org"}, {"channel": "mail"}, {"actor": "machine"}],
)
def test_a_plan_ends_when_what_it_rested_on_changes(changed: dict[str, Any]) -> None:
    ticket = known(T.QUEUED, fields={"account": "ada"})
    run = run_of(ticket)
    tell(ticket, **changed)
    run.refresh_from_db()
    assert (run.status, ticket.status) == (R.VOID, T.RECEIVED)
    waiting = known(T.NEEDS_REVIEW, external_id="INC2")
    tell(waiting, **changed)
    assert waiting.status == T.NEEDS_REVIEW, "where nothing was planned nothing has to be decided again"


def test_a_plan_stands_when_only_who_wrote_last_or_the_priority_changes() -> None:
    ticket = known(T.QUEUED, fields={"account": "ada"})
    tell(ticket, priority="1", fields={"updated_by": "bob", "assignment_group": "Desk"})
    assert (ticket.status, ticket.priority, ticket.itsm_group) == (T.QUEUED, "1", "Desk")


@pytest.mark.parametrize("status", [T.RECEIVED, *BEFORE_ACTION])
def test_a_ticket_solved_by_others_is_withdrawn(status: str) -> None:
    ticket = known(status)
    tell(ticket, status="Solved")
    assert (ticket.status, ticket.itsm_status) == (T.WITHDRAWN, "Solved")


def test_a_ticket_taken_by_another_group_is_withdrawn() -> None:
    ticket = known(T.NEEDS_REVIEW, settings={"our_groups": ["Service Desk"]})
    tell(ticket, fields={"assignment_group": "Service Desk"})
    assert ticket.status == T.NEEDS_REVIEW
    tell(ticket, fields={"assignment_group": "Network"})
    assert ticket.status == T.WITHDRAWN
    tell(ticket, fields={"assignment_group": "Service Desk"})
    assert (ticket.status, ticket.occasion) == (T.RECEIVED, 2)


def test_a_source_has_its_own_words_for_solved() -> None:
    ticket = known(T.NEEDS_REVIEW, settings={"settled_statuses": ["6", "Erledigt"]})
    tell(ticket, status="closed")
    assert ticket.status == T.NEEDS_REVIEW
    tell(ticket, status="erledigt")
    assert ticket.status == T.WITHDRAWN


def test_a_withdrawn_ticket_that_is_open_again_is_classified_anew() -> None:
    ticket = known(T.WITHDRAWN, itsm_status="closed")
    tell(ticket, priority="1", status="closed")
    assert ticket.status == T.WITHDRAWN
    tell(ticket, status="open")
    assert (ticket.status, ticket.occasion) == (T.RECEIVED, 2)
    assert in_force(ticket) == 0


@pytest.mark.parametrize(("before", "status"), [("solved", "open"), ("new", "Reopened")])
def test_a_resolved_ticket_that_is_reopened_goes_to_a_person_as_a_new_occasion(before: str, status: str) -> None:
    ticket = known(T.RESOLVED, itsm_status=before)
    tell(ticket, status=status)
    assert (ticket.status, ticket.occasion) == (T.NEEDS_REVIEW, 2)
    assert "reopened" in ticket.reason


@pytest.mark.parametrize(
    ("ended", "before", "after"),
    [
        (timedelta(days=3), Draw.Purpose.NONE, Draw.Purpose.REOPENED),
        (timedelta(days=31), Draw.Purpose.NONE, Draw.Purpose.NONE),
        (timedelta(days=3), Draw.Purpose.VERIFY, Draw.Purpose.VERIFY),
    ],
)
def test_a_ticket_that_comes_back_soon_after_its_run_is_always_answered_blind(
    ended: timedelta, before: str, after: str
) -> None:
    ticket = known(T.RESOLVED, itsm_status="solved")
    Run.objects.filter(pk=run_of(ticket, R.SUCCEEDED).pk).update(finished_at=AT - ended)
    Draw.objects.update_or_create(
        ticket=ticket, defaults={"customer": ticket.customer, "cluster": "0" * 64, "purpose": before,
                                 "probability": 0.25, "drawn_at": AT - ended},
    )  # fmt: skip
    tell(ticket, status="open")
    draw = Draw.objects.get(ticket=ticket)
    assert (draw.purpose, draw.probability) == (after, 1.0 if after == Draw.Purpose.REOPENED else 0.25)
    assert bool(blind.sealed([ticket], at=AT)) == (after != Draw.Purpose.NONE)


def test_a_resolved_ticket_whose_text_changes_goes_to_a_person() -> None:
    ticket = known(T.RESOLVED)
    tell(ticket, body="and now the printer")
    assert (ticket.status, ticket.occasion) == (T.NEEDS_REVIEW, 2)


def test_a_resolved_ticket_that_is_still_open_over_there_is_not_reopened() -> None:
    ticket = known(T.RESOLVED)
    tell(ticket, status="in progress", priority="1")
    assert (ticket.status, ticket.priority) == (T.RESOLVED, "1")
    tell(ticket, status="closed")
    assert ticket.status == T.RESOLVED


def test_what_our_own_user_does_never_changes_text_or_status() -> None:
    ticket = known(T.NEEDS_REVIEW, settings={"own_user": "Triage.Bot"})
    assert tell(ticket, body="We suggest KB1", status="solved", fields={"updated_by": "triage.bot"}) == Result.UPDATED
    assert (ticket.status, ticket.body, ticket.itsm_status) == (T.NEEDS_REVIEW, "out", "solved")
    assert in_force(ticket) == 2


def test_our_own_solving_makes_a_later_way_back_a_reopening() -> None:
    ticket = known(T.RESOLVED, settings={"own_user": "bot"})
    tell(ticket, status="solved", fields={"updated_by": "bot"})
    assert ticket.status == T.RESOLVED
    tell(ticket, status="open", fields={"updated_by": "ada"})
    assert (ticket.status, ticket.occasion) == (T.NEEDS_REVIEW, 2)


def test_an_agents_comment_never_changes_the_text() -> None:
    ticket = known(T.NEEDS_REVIEW)
    tell(ticket, kind="comment", subject="Re: Locked", body="try again", requester="agent@example.org", priority="2")
    assert (ticket.subject, ticket.body, ticket.kind) == ("Locked", "out", "incident")
    assert (ticket.requester, ticket.priority, ticket.status) == ("ada@example.org", "2", T.NEEDS_REVIEW)


def test_a_ticket_whose_run_is_unknown_stays_with_the_person_who_settles_it() -> None:
    ticket = known(T.NEEDS_REVIEW)
    run_of(ticket, R.UNKNOWN)
    tell(ticket, body="still out")
    assert (ticket.status, ticket.body) == (T.NEEDS_REVIEW, "still out")
    tell(ticket, status="closed")
    assert ticket.status == T.NEEDS_REVIEW


class TestWhileRunning:
    """A change that comes while the runbook runs is kept and handled when the run ends."""

    def running(self) -> Ticket:
        return known(T.RUNNING, fields={"host": "web01", "account": "ada"})

    def ended(self, ticket: Ticket, status: str) -> bool:
        lifecycle.advance(Ticket.objects.filter(pk=ticket.pk), to=status, at=AT, actor="system:test")
        again = intake.apply_waiting_update(ticket, at=AT)
        ticket.refresh_from_db()
        return again

    def test_a_new_text_waits_and_then_goes_to_the_model(self) -> None:
        ticket = self.running()
        assert tell(ticket, body="still out") == Result.KEPT
        assert (ticket.status, ticket.body) == (T.RUNNING, "out")
        assert in_force(ticket) == 2
        assert not intake.apply_waiting_update(ticket, at=AT), "not before the run has ended"
        assert self.ended(ticket, T.NEEDS_REVIEW)
        assert (ticket.status, ticket.body, ticket.waiting_update) == (T.RECEIVED, "still out", None)
        assert not intake.apply_waiting_update(ticket, at=AT)

    def test_a_new_text_of_a_ticket_that_the_run_resolved_goes_to_a_person(self) -> None:
        ticket = self.running()
        tell(ticket, body="still out")
        assert not self.ended(ticket, T.RESOLVED)
        assert (ticket.status, ticket.occasion) == (T.NEEDS_REVIEW, 2)

    @pytest.mark.parametrize(("end", "after"), [(T.NEEDS_REVIEW, T.WITHDRAWN), (T.RESOLVED, T.RESOLVED)])
    def test_solved_meanwhile_counts_unless_the_run_solved_it(self, end: str, after: str) -> None:
        ticket = self.running()
        assert tell(ticket, status="solved") == Result.KEPT
        self.ended(ticket, end)
        assert (ticket.status, ticket.itsm_status) == (after, "solved")

    def test_several_changes_are_laid_over_one_another(self) -> None:
        ticket = self.running()
        tell(ticket, kind="comment", body="looking", updated_at="2026-11-20T10:01:00Z", priority="1")
        tell(ticket, body="still out", fields={"account": "bob"}, updated_at="2026-11-20T10:02:00Z")
        assert tell(ticket, body="older", updated_at="2026-11-20T10:00:00Z") == Result.OLDER
        tell(ticket, kind="comment", body="done", updated_at="2026-11-20T10:03:00Z", priority="2")
        self.ended(ticket, T.NEEDS_REVIEW)
        assert (ticket.body, ticket.priority, ticket.kind) == ("still out", "2", "incident")
        assert ticket.fields == {"host": "web01", "account": "bob"}
        assert ticket.updated_at == datetime(2026, 11, 20, 10, 3, tzinfo=UTC)

    def test_what_says_nothing_new_is_not_kept(self) -> None:
        ticket = self.running()
        assert tell(ticket, body="out") == Result.UNCHANGED
        assert ticket.waiting_update is None

    def test_a_change_whose_run_ended_with_its_worker_is_found(self) -> None:
        ticket = self.running()
        tell(ticket, body="still out")
        assert intake.apply_left_waiting(at=AT) == 0
        lifecycle.advance(Ticket.objects.filter(pk=ticket.pk), to=T.NEEDS_REVIEW, at=AT, actor="system:test")
        assert intake.apply_left_waiting(at=AT) == 1
        ticket.refresh_from_db()
        assert ticket.status == T.RECEIVED


def test_every_move_is_in_the_log_with_its_reason() -> None:
    ticket = known(T.QUEUED)
    tell(ticket, body="still out")
    moved = AuditEvent.objects.get(subject="ticket", event="status")
    assert (moved.before, moved.after, moved.actor) == (T.QUEUED, T.RECEIVED, "system:intake")
    assert AuditEvent.objects.filter(subject="ticket", event="text changed").exists()


def test_the_draw_made_at_intake_stays_whatever_the_text_becomes() -> None:
    ticket = known(T.RECEIVED)
    draw = factories.draw(ticket, "holdout", 0.5)
    tell(ticket, body="something else entirely")
    ticket.refresh_from_db()
    assert ticket.draw == draw
    assert ticket.draw.purpose == "holdout"


def test_the_reconciler_applies_what_a_lost_worker_left() -> None:
    ticket = known(T.RUNNING)
    tell(ticket, body="still out")
    lifecycle.advance(Ticket.objects.filter(pk=ticket.pk), to=T.NEEDS_REVIEW, at=AT, actor="system:test")
    recovery.sweep(at=AT)
    ticket.refresh_from_db()
    assert (ticket.status, ticket.body) == (T.RECEIVED, "still out")
