"""A person's word is asked for once, bound to what would happen, and never the requester's own."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from runbooks.targets.directory import Account, create
from tests import factories
from triage import approvals, automation, execution, lifecycle, recovery
from triage.embedded import Endpoints
from triage.models import Approval, Customer, Decision, Mode, Run, Target, Ticket

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def asked(tmp_path: Path) -> Approval:
    return ask(tmp_path, people_needed=1)


def ask(folder: Path, *, people_needed: int) -> Approval:
    path = folder / "directory.sqlite3"
    create(path, [Account(uid="a.locked", display_name="A", mail="a@example.org")])
    customer = factories.customer(mode=Mode.APPROVE)
    factories.target(customer, settings=json.dumps({"path": str(path)}))
    ticket = factories.ticket(customer=customer, status=Ticket.Status.CLASSIFIED, requester="ada@example.org")
    decision = factories.decision(
        ticket, mode=Mode.APPROVE, runbook="unlock_account", parameters={"account": "a.locked"}
    )
    approval = approvals.ask(ticket=ticket, decision=decision, people_needed=people_needed, at=timezone.now())
    assert approval is not None
    return approval


def test_a_yes_requests_the_run(asked: Approval) -> None:
    person = factories.person()
    run = automation.grant(asked, person=person, at=timezone.now())
    assert run is not None
    assert run.ordered_by == person
    asked.ticket.refresh_from_db()
    assert asked.ticket.status == Ticket.Status.QUEUED


def test_the_requester_never_approves_their_own_ticket(asked: Approval) -> None:
    with pytest.raises(approvals.ApprovalRefused, match="own ticket"):
        automation.grant(asked, person=factories.person(email="Ada@Example.org"), at=timezone.now())
    assert not Run.objects.exists()


def test_a_second_answer_is_refused(asked: Approval) -> None:
    automation.grant(asked, person=factories.person(), at=timezone.now())
    asked.refresh_from_db()
    with pytest.raises(approvals.ApprovalRefused, match="answered already"):
        automation.grant(asked, person=factories.person(), at=timezone.now())
    assert Run.objects.count() == 1


def test_two_people_means_two_different_people(tmp_path: Path) -> None:
    approval = ask(tmp_path, people_needed=2)
    first = factories.person()
    assert automation.grant(approval, person=first, at=timezone.now()) is None
    approval.refresh_from_db()
    with pytest.raises(approvals.ApprovalRefused, match="second person"):
        automation.grant(approval, person=first, at=timezone.now())
    assert automation.grant(approval, person=factories.person(), at=timezone.now()) is not None


def test_a_no_sends_the_ticket_to_a_person_with_the_reason(asked: Approval) -> None:
    approvals.refuse(asked, person=factories.person(), reason="on leave", at=timezone.now())
    asked.ticket.refresh_from_db()
    assert asked.ticket.status == Ticket.Status.NEEDS_REVIEW
    assert "on leave" in asked.ticket.reason
    assert not Run.objects.exists()


def test_a_target_that_changed_since_voids_the_yes(asked: Approval) -> None:
    Target.objects.all().delete()
    factories.target(Customer.objects.get(pk=asked.customer_id))
    with pytest.raises(approvals.ApprovalRefused, match="changed"):
        automation.grant(asked, person=factories.person(), at=timezone.now())
    asked.refresh_from_db()
    assert asked.status == Approval.Status.ASKED, "nothing of a refused yes is kept"


def test_nobody_answering_for_a_day_hands_the_ticket_over(asked: Approval) -> None:
    later: datetime = asked.asked_at + timedelta(hours=24, seconds=1)
    with pytest.raises(approvals.ApprovalRefused, match="expired"):
        automation.grant(asked, person=factories.person(), at=later)
    recovery.sweep(at=later)
    asked.refresh_from_db()
    asked.ticket.refresh_from_db()
    assert (asked.status, asked.ticket.status) == (Approval.Status.EXPIRED, Ticket.Status.NEEDS_REVIEW)


def test_an_order_whose_runbook_was_called_off_before_is_a_new_occasion(asked: Approval) -> None:
    called_off = factories.run(asked.ticket, Target.objects.get(), status=Run.Status.VOID)
    run = automation.grant(asked, person=factories.person(), at=timezone.now())
    assert run is not None
    assert (called_off.occasion, run.occasion) == (1, 2)
    asked.ticket.refresh_from_db()
    assert asked.ticket.status == Ticket.Status.QUEUED


def test_a_yes_for_an_alert_runs_although_an_equal_alert_was_just_run_for(asked: Approval) -> None:
    Ticket.objects.update(actor=Ticket.Actor.MACHINE)
    equal = factories.ticket(source=asked.ticket.source, storm_key=asked.ticket.storm_key)
    now = timezone.now()
    target = Target.objects.get()
    done = {"status": Run.Status.SUCCEEDED, "requested_at": now, "finished_at": now, "target_object": "a.locked"}
    factories.run(equal, target, **done)
    assert automation.grant(asked, person=factories.person(), at=now) is not None
    asked.ticket.refresh_from_db()
    assert asked.ticket.status == Ticket.Status.QUEUED


def test_a_request_for_a_decision_that_was_replaced_cannot_be_granted(asked: Approval) -> None:
    Decision.objects.update(in_force=False)
    with pytest.raises(approvals.ApprovalRefused, match="ticket has changed"):
        automation.grant(asked, person=factories.person(), at=timezone.now())
    assert not Run.objects.exists()


def test_an_approved_run_whose_approval_was_taken_back_does_not_start(asked: Approval, lake: Endpoints) -> None:
    run = automation.grant(asked, person=factories.person(), at=timezone.now())
    assert run is not None
    lifecycle.advance(Approval.objects.all(), to=Approval.Status.VOID, at=timezone.now(), actor="system:test")
    assert not execution.execute(run.pk, at=timezone.now())
    run.refresh_from_db()
    assert run.status == Run.Status.VOID
    assert "no longer stands" in run.reason
