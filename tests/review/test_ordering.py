"""Accept and run."""

from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied

from tests import factories
from tests.factories import NOW
from tests.review.conftest import LATER, customer_of, status_of, verdict_of
from tests.web.scene import directory
from triage import review
from triage.models import (
    Approval,
    Decision,
    Label,
    Person,
    Review,
    Run,
    Ticket,
    Writeback,
)
from triage.review import ReviewRefused

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def target(ticket: Ticket, tmp_path: Path) -> None:
    """The customer's directory."""
    factories.target(customer_of(ticket), settings=f'{{"path": "{directory(tmp_path)}"}}')


def _order(ticket: Ticket, person: Person, **values: Any) -> Review:
    return verdict_of(ticket, person, **{"follow": "run", "parameters": {"account": "ada.lovelace"}, **values})


def test_an_order_queues_exactly_what_was_confirmed(ticket: Ticket, agent: Person) -> None:
    _order(ticket, agent)
    run = Run.objects.get()
    assert (run.runbook, run.parameters, run.target_object) == (
        "unlock_account",
        {"account": "ada.lovelace"},
        "ada.lovelace",
    )
    assert run.ordered_by == agent
    assert status_of(ticket) == "queued"
    decision = Decision.objects.get(in_force=True)
    assert (decision.mode, decision.article, run.decision) == ("approve", "KB0001", decision)
    assert not Writeback.objects.exists()
    assert Label.objects.get().article == "KB0001"


def test_a_second_order_is_a_new_occasion(ticket: Ticket, agent: Person) -> None:
    _order(ticket, agent)
    Run.objects.update(status="failed")
    Ticket.objects.update(status="needs_review")
    ticket.refresh_from_db()
    _order(ticket, agent, at=LATER)
    assert sorted(Run.objects.values_list("occasion", flat=True)) == [1, 2]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "missing"),
        ({"account": "nobody.here"}, "no account nobody.here"),
        ({"account": "ada; rm -rf /"}, "does not have the form"),
        ({"account": "ada.lovelace", "force": "yes"}, "no such parameter"),
    ],
)
def test_values_that_the_target_does_not_know_start_nothing(
    ticket: Ticket, agent: Person, parameters: dict[str, str], message: str
) -> None:
    with pytest.raises(ReviewRefused, match=message):
        _order(ticket, agent, parameters=parameters)
    assert not Run.objects.exists()
    assert not Review.objects.exists()
    assert status_of(ticket) == "needs_review"


def test_the_kill_switch_stops_orders_too(ticket: Ticket, agent: Person) -> None:
    assert ticket.customer
    review.switch_automation(ticket.customer, on=False, person=agent, reason="something is wrong", at=NOW)
    with pytest.raises(ReviewRefused, match="switched off"):
        _order(ticket, agent)
    assert not Review.objects.exists()


def test_a_busy_account_is_left_alone(ticket: Ticket, agent: Person) -> None:
    other = factories.ticket(source=ticket.source, status="running")
    busy = factories.target(customer_of(ticket), kind="journal")
    factories.run(other, busy, status="starting", target_object="ada.lovelace")
    Run.objects.update(target=customer_of(ticket).target_set.get(kind="directory"))
    with pytest.raises(ReviewRefused, match="Another run on ada.lovelace"):
        _order(ticket, agent)
    assert not Review.objects.exists()
    assert status_of(ticket) == "needs_review"


def test_nobody_orders_for_themselves(ticket: Ticket) -> None:
    asker = factories.member(customer_of(ticket), email=ticket.requester)
    with pytest.raises(PermissionDenied, match="raised this ticket yourself"):
        _order(ticket, asker)
    assert not Review.objects.exists()


def test_other_values_than_were_found_are_recorded_as_such(ticket: Ticket, agent: Person) -> None:
    Decision.objects.update(runbook="unlock_account", parameters={"account": "grace.hopper"})
    said = _order(ticket, agent)
    assert (said.verdict, said.parameters) == ("wrong_parameters", {"account": "ada.lovelace"})


def test_undo_voids_a_run_that_has_not_started(ticket: Ticket, agent: Person) -> None:
    said = _order(ticket, agent)
    review.undo(said, person=agent, at=LATER)
    assert Run.objects.get().status == "void"
    assert status_of(ticket) == "needs_review"
    assert Decision.objects.get(in_force=True).mode == "suggest"


def test_undo_refuses_once_the_run_has_started(ticket: Ticket, agent: Person) -> None:
    said = _order(ticket, agent)
    Run.objects.update(status="starting")
    with pytest.raises(ReviewRefused, match="has started already"):
        review.undo(said, person=agent, at=LATER)
    assert Label.objects.get().withdrawn_at is None


@pytest.mark.parametrize(("tier", "people"), [("high", 1), ("irreversible", 2)])
def test_higher_risks_wait_for_others(
    ticket: Ticket, agent: Person, monkeypatch: pytest.MonkeyPatch, tier: str, people: int
) -> None:
    from runbooks.registry import RUNBOOKS

    riskier = RUNBOOKS["unlock_account"].model_copy(update={"tier": tier, "reversible": tier == "high"})
    for module in ("triage.queries.articles.RUNBOOKS", "triage.approvals.RUNBOOKS"):
        monkeypatch.setattr(module, {"unlock_account": riskier})
    said = _order(ticket, agent)
    assert Approval.objects.get().people_needed == people
    assert status_of(ticket) == "waiting_approval"
    assert not Run.objects.exists()
    review.undo(said, person=agent, at=LATER)
    assert Approval.objects.get().status == "void"
    assert status_of(ticket) == "needs_review"
