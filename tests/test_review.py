"""Verdicts: what they write, what they refuse, and how they are taken back."""

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection

from tests import factories
from tests.factories import NOW
from tests.web.scene import directory
from triage import lifecycle, review
from triage.models import (
    Approval,
    AuditEvent,
    Customer,
    Decision,
    Label,
    Notification,
    Person,
    Review,
    Run,
    Ticket,
    Writeback,
)
from triage.queries import blind
from triage.review import ReviewRefused

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(seconds=8)
TOO_LATE = NOW + timedelta(seconds=20)


@pytest.fixture
def ticket() -> Ticket:
    """A ticket that needs a person, with a suggestion."""
    factories.article(key="KB0001", runbook="unlock_account", title="Account locked", body="1. Unlock it.")
    factories.article(key="KB0777", title="Password forgotten")
    row = factories.ticket(status="received")
    lifecycle.advance(
        Ticket.objects.filter(pk=row.pk), to="needs_review", at=NOW, actor="system:prediction", reason="too unsure"
    )
    row.refresh_from_db()
    factories.draw(row)
    factories.prediction(row, evidence={"language": "de"})
    factories.decision(row)
    return row


@pytest.fixture
def agent(ticket: Ticket) -> Person:
    """An agent of the ticket's customer."""
    return factories.member(_customer(ticket), username="bea", first_name="Bea", last_name="Meyer")


def _decide(ticket: Ticket, person: Person, **values: Any) -> Review:
    given: dict[str, Any] = {"verdict": "article", "article": "KB0001", "at": NOW}
    return review.decide(ticket=ticket, person=person, **{**given, **values})


def _customer(ticket: Ticket) -> Customer:
    assert ticket.customer
    return ticket.customer


def _status(ticket: Ticket) -> str:
    ticket.refresh_from_db()
    return ticket.status


def test_accepting_writes_review_label_status_and_what_the_itsm_is_told(ticket: Ticket, agent: Person) -> None:
    said = _decide(ticket, agent, also=["KB0777", "KB0001"], note="called back")
    assert (said.verdict, said.article, said.also_acceptable) == ("article", "KB0001", ["KB0777"])
    assert _status(ticket) == "resolved"
    assert ticket.reason == "Bea Meyer: KB0001 Account locked (called back)"
    label = Label.objects.get()
    assert (label.article, label.subject, label.body) == ("KB0001", ticket.subject, ticket.body)
    assert (label.language, label.provenance, label.review) == ("de", "desk", said)
    told = Writeback.objects.get()
    assert (told.what, told.content["article"]) == ("resolve", "KB0001")
    assert told.next_at > NOW + blind.UNDO
    assert AuditEvent.objects.filter(event="verdict", actor=f"person:{agent.pk}").exists()


@pytest.mark.parametrize(
    ("verdict", "label", "status"),
    [
        ("none", "", "answered"),
        ("not_ours", "", "answered"),
        ("duplicate", None, "resolved"),
        ("two_problems", None, "answered"),
        ("wrong_parameters", "KB0001", "resolved"),
    ],
)
def test_only_verdicts_that_say_what_a_text_is_make_labels(
    ticket: Ticket, agent: Person, verdict: str, label: str | None, status: str
) -> None:
    _decide(ticket, agent, verdict=verdict, note="holiday calendar")
    assert list(Label.objects.values_list("article", flat=True)) == ([] if label is None else [label])
    assert _status(ticket) == status


@pytest.mark.parametrize(
    ("follow", "text", "public"),
    [
        ("reply", "Dear Ada\n\nAccount locked\n\n1. Unlock it.", True),
        ("assign", "To be assigned to: Dear Ada (KB0001 Account locked)", False),
        ("ask", "Dear Ada", True),
    ],
)
def test_what_follows_is_told_and_leaves_the_ticket_answered(
    ticket: Ticket, agent: Person, follow: str, text: str, public: bool
) -> None:
    _decide(ticket, agent, follow=follow, note="Dear Ada")
    assert _status(ticket) == "answered"
    told = Writeback.objects.get()
    assert (told.what, told.content["text"], told.content["public"]) == ("note", text, public)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"verdict": "perhaps"}, "no verdict 'perhaps'"),
        ({"article": ""}, "Say which article fits"),
        ({"article": "KB9999"}, "no article 'KB9999'"),
        ({"also": ["KB9999"]}, "no article 'KB9999'"),
        ({"verdict": "none", "note": " x "}, "in a word or two"),
        ({"follow": "ask"}, "Write the question"),
        ({"follow": "assign"}, "to whom"),
        ({"follow": "shout"}, "no next step"),
        ({"verdict": "none", "note": "no idea", "follow": "run"}, "Only an article"),
        ({"article": "KB0777", "follow": "run"}, "no runbook"),
    ],
)
def test_a_verdict_that_does_not_hold_together_is_refused_and_writes_nothing(
    ticket: Ticket, agent: Person, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ReviewRefused, match=message):
        _decide(ticket, agent, **values)
    assert _status(ticket) == "needs_review"
    assert not Review.objects.exists()
    assert not Label.objects.exists()


def test_another_customers_article_is_no_article_here(ticket: Ticket, agent: Person) -> None:
    factories.article(key="OTHER", translation_group="OTHER", customer=factories.customer())
    with pytest.raises(ReviewRefused, match="no article 'OTHER'"):
        _decide(ticket, agent, article="OTHER")


def test_an_auditor_decides_nothing(ticket: Ticket) -> None:
    with pytest.raises(PermissionDenied):
        _decide(ticket, factories.member(_customer(ticket), "auditor"))
    assert not Review.objects.exists()


def test_the_second_agent_learns_who_was_first(ticket: Ticket, agent: Person) -> None:
    _decide(ticket, agent)
    with pytest.raises(ReviewRefused, match="Bea Meyer has decided this ticket already, at 09:30 UTC"):
        _decide(ticket, factories.member(_customer(ticket)), article="KB0777")
    assert Review.objects.count() == 1


def test_a_text_that_changed_while_it_was_read_is_not_labelled(ticket: Ticket, agent: Person) -> None:
    Ticket.objects.filter(pk=ticket.pk).update(text_hash="f" * 64)
    with pytest.raises(ReviewRefused, match="text has changed"):
        _decide(ticket, agent)
    assert not Label.objects.exists()


@pytest.mark.parametrize("status", ["running", "queued", "withdrawn", "observed", "received"])
def test_a_ticket_that_needs_no_verdict_takes_none(ticket: Ticket, agent: Person, status: str) -> None:
    Ticket.objects.filter(pk=ticket.pk).update(status=status)
    with pytest.raises(ReviewRefused, match="needs no verdict now"):
        _decide(ticket, agent)


@pytest.mark.django_db(transaction=True)
def test_of_two_agents_at_one_moment_one_wins(ticket: Ticket, agent: Person) -> None:
    people = [agent, factories.member(_customer(ticket))]
    start, outcomes = threading.Barrier(2), []

    def decide(person: Person) -> None:
        start.wait()
        try:
            _decide(Ticket.objects.select_related("customer").get(pk=ticket.pk), person)
            outcomes.append("won")
        except ReviewRefused:
            outcomes.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=decide, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused", "won"]
    assert Review.objects.count() == Label.objects.count() == Writeback.objects.count() == 1


def test_while_one_holds_a_ticket_nobody_else_decides_it(ticket: Ticket, agent: Person) -> None:
    other = factories.member(_customer(ticket))
    assert review.hold(ticket, person=agent, at=NOW)
    assert review.hold(ticket, person=agent, at=NOW)
    assert not review.hold(ticket, person=other, at=NOW + timedelta(minutes=4))
    assert ticket.held_by == agent
    with pytest.raises(ReviewRefused, match="Bea Meyer has this ticket open"):
        _decide(ticket, other, at=NOW + timedelta(minutes=4))
    review.release(ticket, person=other)
    assert not review.hold(ticket, person=other, at=NOW + timedelta(minutes=4))
    assert review.hold(ticket, person=other, at=NOW + timedelta(minutes=6))


def test_a_hold_ends_with_the_verdict_and_with_release(ticket: Ticket, agent: Person) -> None:
    review.hold(ticket, person=agent, at=NOW)
    review.release(ticket, person=agent)
    ticket.refresh_from_db()
    assert ticket.held_by is None
    review.hold(ticket, person=agent, at=NOW)
    _decide(ticket, agent)
    ticket.refresh_from_db()
    assert ticket.held_by is None


class TestUndo:
    """Within ten seconds a verdict leaves nothing behind but its trace."""

    def test_it_puts_everything_back(self, ticket: Ticket, agent: Person) -> None:
        said = _decide(ticket, agent)
        review.undo(said, person=agent, at=LATER)
        said.refresh_from_db()
        assert said.undone_at == LATER
        assert (_status(ticket), ticket.reason) == ("needs_review", "too unsure")
        assert Label.objects.get().withdrawn_at == LATER
        assert Writeback.objects.get().status == "given_up"
        _decide(ticket, agent, article="KB0777", at=LATER)
        assert _status(ticket) == "resolved"

    def test_it_is_for_the_person_who_said_it_and_once(self, ticket: Ticket, agent: Person) -> None:
        said = _decide(ticket, agent)
        with pytest.raises(ReviewRefused, match="Only the person"):
            review.undo(said, person=factories.member(_customer(ticket), "admin"), at=LATER)
        review.undo(said, person=agent, at=LATER)
        with pytest.raises(ReviewRefused, match="undone already"):
            review.undo(said, person=agent, at=LATER)

    def test_it_ends_after_ten_seconds(self, ticket: Ticket, agent: Person) -> None:
        said = _decide(ticket, agent)
        with pytest.raises(ReviewRefused, match="10 seconds"):
            review.undo(said, person=agent, at=TOO_LATE)
        assert _status(ticket) == "resolved"

    def test_it_ends_when_the_itsm_is_being_told(self, ticket: Ticket, agent: Person) -> None:
        said = _decide(ticket, agent)
        Writeback.objects.update(claim_until=LATER + timedelta(seconds=60))
        with pytest.raises(ReviewRefused, match="ITSM has been told"):
            review.undo(said, person=agent, at=LATER)
        assert _status(ticket) == "resolved"
        assert Label.objects.get().withdrawn_at is None

    def test_it_ends_when_the_ticket_has_moved_on(self, ticket: Ticket, agent: Person) -> None:
        said = _decide(ticket, agent)
        lifecycle.advance(
            Ticket.objects.filter(pk=ticket.pk), to="needs_review", at=LATER, actor="system:intake", reason="reopened"
        )
        with pytest.raises(ReviewRefused, match="moved on"):
            review.undo(said, person=agent, at=LATER)
        assert (_status(ticket), ticket.reason) == ("needs_review", "reopened")


class TestOrders:
    """Accept and run."""

    @pytest.fixture(autouse=True)
    def target(self, ticket: Ticket, tmp_path: Path) -> None:
        """The customer's directory."""
        factories.target(_customer(ticket), settings=f'{{"path": "{directory(tmp_path)}"}}')

    def _order(self, ticket: Ticket, person: Person, **values: Any) -> Review:
        return _decide(ticket, person, **{"follow": "run", "parameters": {"account": "ada.lovelace"}, **values})

    def test_an_order_queues_exactly_what_was_confirmed(self, ticket: Ticket, agent: Person) -> None:
        self._order(ticket, agent)
        run = Run.objects.get()
        assert (run.runbook, run.parameters, run.target_object) == (
            "unlock_account",
            {"account": "ada.lovelace"},
            "ada.lovelace",
        )
        assert run.ordered_by == agent
        assert _status(ticket) == "queued"
        decision = Decision.objects.get(in_force=True)
        assert (decision.mode, decision.article, run.decision) == ("approve", "KB0001", decision)
        assert not Writeback.objects.exists()
        assert Label.objects.get().article == "KB0001"

    def test_a_second_order_is_a_new_occasion(self, ticket: Ticket, agent: Person) -> None:
        self._order(ticket, agent)
        Run.objects.update(status="failed")
        Ticket.objects.update(status="needs_review")
        ticket.refresh_from_db()
        self._order(ticket, agent, at=LATER)
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
        self, ticket: Ticket, agent: Person, parameters: dict[str, str], message: str
    ) -> None:
        with pytest.raises(ReviewRefused, match=message):
            self._order(ticket, agent, parameters=parameters)
        assert not Run.objects.exists()
        assert not Review.objects.exists()
        assert _status(ticket) == "needs_review"

    def test_the_kill_switch_stops_orders_too(self, ticket: Ticket, agent: Person) -> None:
        assert ticket.customer
        review.switch_automation(ticket.customer, on=False, person=agent, reason="something is wrong", at=NOW)
        with pytest.raises(ReviewRefused, match="switched off"):
            self._order(ticket, agent)
        assert not Review.objects.exists()

    def test_a_busy_account_is_left_alone(self, ticket: Ticket, agent: Person) -> None:
        other = factories.ticket(source=ticket.source, status="running")
        busy = factories.target(_customer(ticket), kind="journal")
        factories.run(other, busy, status="starting", target_object="ada.lovelace")
        Run.objects.update(target=_customer(ticket).target_set.get(kind="directory"))
        with pytest.raises(ReviewRefused, match="Another run on ada.lovelace"):
            self._order(ticket, agent)
        assert not Review.objects.exists()
        assert _status(ticket) == "needs_review"

    def test_nobody_orders_for_themselves(self, ticket: Ticket) -> None:
        asker = factories.member(_customer(ticket), email=ticket.requester)
        with pytest.raises(PermissionDenied, match="raised this ticket yourself"):
            self._order(ticket, asker)
        assert not Review.objects.exists()

    def test_other_values_than_were_found_are_recorded_as_such(self, ticket: Ticket, agent: Person) -> None:
        Decision.objects.update(runbook="unlock_account", parameters={"account": "grace.hopper"})
        said = self._order(ticket, agent)
        assert (said.verdict, said.parameters) == ("wrong_parameters", {"account": "ada.lovelace"})

    def test_undo_voids_a_run_that_has_not_started(self, ticket: Ticket, agent: Person) -> None:
        said = self._order(ticket, agent)
        review.undo(said, person=agent, at=LATER)
        assert Run.objects.get().status == "void"
        assert _status(ticket) == "needs_review"
        assert Decision.objects.get(in_force=True).mode == "suggest"

    def test_undo_refuses_once_the_run_has_started(self, ticket: Ticket, agent: Person) -> None:
        said = self._order(ticket, agent)
        Run.objects.update(status="starting")
        with pytest.raises(ReviewRefused, match="has started already"):
            review.undo(said, person=agent, at=LATER)
        assert Label.objects.get().withdrawn_at is None

    @pytest.mark.parametrize(("tier", "people"), [("high", 1), ("irreversible", 2)])
    def test_higher_risks_wait_for_others(
        self, ticket: Ticket, agent: Person, monkeypatch: pytest.MonkeyPatch, tier: str, people: int
    ) -> None:
        from runbooks.registry import RUNBOOKS

        riskier = RUNBOOKS["unlock_account"].model_copy(update={"tier": tier, "reversible": tier == "high"})
        for module in ("triage.queries.articles.RUNBOOKS", "triage.approvals.RUNBOOKS"):
            monkeypatch.setattr(module, {"unlock_account": riskier})
        said = self._order(ticket, agent)
        assert Approval.objects.get().people_needed == people
        assert _status(ticket) == "waiting_approval"
        assert not Run.objects.exists()
        review.undo(said, person=agent, at=LATER)
        assert Approval.objects.get().status == "void"
        assert _status(ticket) == "needs_review"


class TestBlind:
    """Drawn tickets."""

    @pytest.fixture(autouse=True)
    def drawn(self, ticket: Ticket) -> None:
        """The ticket was drawn into the holdout."""
        ticket.draw.purpose, ticket.draw.probability = "holdout", 0.25
        ticket.draw.save()

    def test_the_first_verdict_is_blind_and_carries_the_draw(self, ticket: Ticket, agent: Person) -> None:
        assert blind.sealed_for(ticket, person=agent, at=NOW)
        assert _decide(ticket, agent).blind
        label = Label.objects.get()
        assert (label.draw_purpose, label.draw_probability, label.provenance) == ("holdout", 0.25, "desk-blind")

    def test_an_undrawn_ticket_is_never_blind(self, ticket: Ticket, agent: Person) -> None:
        ticket.draw.purpose = "none"
        ticket.draw.save()
        assert not _decide(ticket, agent).blind
        assert Label.objects.get().draw_purpose == "none"

    def test_who_looked_first_is_not_blind(self, ticket: Ticket, agent: Person) -> None:
        review.reveal(ticket, person=agent, at=NOW)
        assert not blind.sealed_for(ticket, person=agent, at=NOW)
        assert blind.sealed_for(ticket, person=factories.member(_customer(ticket)), at=NOW)
        assert not _decide(ticket, agent).blind

    def test_the_seal_opens_when_the_verdict_stands(self, ticket: Ticket, agent: Person) -> None:
        _decide(ticket, agent)
        assert blind.sealed([ticket], at=LATER)
        assert not blind.sealed([ticket], at=TOO_LATE)

    def test_an_undone_verdict_leaves_it_sealed(self, ticket: Ticket, agent: Person) -> None:
        review.undo(_decide(ticket, agent), person=agent, at=LATER)
        assert blind.sealed([ticket], at=TOO_LATE)
        ticket.refresh_from_db()
        assert _decide(ticket, agent, at=TOO_LATE).blind

    def _resolve(self, ticket: Ticket, **values: Any) -> None:
        decision = Decision.objects.get()
        factories.run(ticket, factories.target(_customer(ticket)), status="succeeded", decision=decision, **values)
        Ticket.objects.update(status="resolved")
        ticket.refresh_from_db()

    def test_a_ticket_that_was_run_is_answered_for_and_stays_resolved(self, ticket: Ticket, agent: Person) -> None:
        self._resolve(ticket, parameters={"account": "ada"})
        assert ticket in blind.to_verify(Ticket.objects.all())
        said = _decide(ticket, agent, parameters={"account": "ada"})
        assert said.blind
        assert _status(ticket) == "resolved"
        assert not Writeback.objects.exists()
        assert not blind.to_verify(Ticket.objects.all()).exists()

    @pytest.mark.parametrize(
        "values",
        [{"article": "KB0777"}, {"parameters": {"account": "eve"}}, {"verdict": "none", "note": "a joke"}],
    )
    def test_a_contradiction_brings_the_ticket_back(
        self, ticket: Ticket, agent: Person, values: dict[str, Any]
    ) -> None:
        self._resolve(ticket, parameters={"account": "ada"})
        _decide(ticket, agent, **values)
        assert _status(ticket) == "needs_review"
        assert "contradicts what was run (KB0001)" in ticket.reason
        assert Notification.objects.get().kind == "verification_contradicts"

    def test_an_acceptable_second_article_is_no_contradiction(self, ticket: Ticket, agent: Person) -> None:
        self._resolve(ticket)
        _decide(ticket, agent, article="KB0777", also=["KB0001"])
        assert _status(ticket) == "resolved"

    def test_who_has_seen_the_run_does_not_verify_it(self, ticket: Ticket, agent: Person) -> None:
        self._resolve(ticket)
        review.reveal(ticket, person=agent, at=NOW)
        with pytest.raises(ReviewRefused, match="somebody else has to answer blind"):
            _decide(ticket, agent)

    def test_a_cluster_is_answered_once(self, ticket: Ticket, agent: Person) -> None:
        self._resolve(ticket)
        twin = factories.ticket(source=ticket.source, status="resolved")
        factories.draw(twin, "verify", cluster=ticket.draw.cluster)
        assert blind.to_verify(Ticket.objects.all()).count() == 2
        _decide(ticket, agent)
        assert not blind.to_verify(Ticket.objects.all()).exists()


class TestLostRuns:
    """UNKNOWN is settled by a person."""

    @pytest.fixture
    def lost(self, ticket: Ticket) -> Run:
        """A run whose worker was lost; its ticket came to the desk."""
        return factories.run(ticket, factories.target(_customer(ticket)), status="unknown")

    def test_it_happened(self, lost: Run, ticket: Ticket, agent: Person) -> None:
        linked = factories.ticket(source=ticket.source, status="linked", linked_run=lost)
        review.settle_unknown(lost, person=agent, succeeded=True, note="account is open", at=NOW)
        lost.refresh_from_db()
        assert (lost.status, lost.finished_at) == ("succeeded", NOW)
        assert "Bea Meyer looked: it happened. account is open" in lost.reason
        assert (_status(ticket), _status(linked)) == ("resolved", "resolved")
        assert Writeback.objects.filter(what="resolve").count() == 2
        assert not Label.objects.exists()

    def test_it_did_not_happen(self, lost: Run, ticket: Ticket, agent: Person) -> None:
        review.settle_unknown(lost, person=agent, succeeded=False, note="still locked", at=NOW)
        lost.refresh_from_db()
        assert lost.status == "failed"
        assert _status(ticket) == "needs_review"

    def test_it_is_settled_once_and_with_a_reason(self, lost: Run, agent: Person) -> None:
        with pytest.raises(ReviewRefused, match="how you know"):
            review.settle_unknown(lost, person=agent, succeeded=True, note="  ", at=NOW)
        with pytest.raises(ReviewRefused, match="happened or not"):
            review.settle_unknown(lost, person=agent, succeeded=None, note="looked", at=NOW)
        review.settle_unknown(lost, person=agent, succeeded=False, note="looked", at=NOW)
        with pytest.raises(ReviewRefused, match="settled already"):
            review.settle_unknown(lost, person=agent, succeeded=True, note="looked", at=NOW)


def test_the_switch_is_recorded_and_only_an_administrator_turns_it_back(ticket: Ticket, agent: Person) -> None:
    customer = ticket.customer
    assert customer
    assert review.switch_automation(customer, on=False, person=agent, reason="", at=NOW)
    assert not review.switch_automation(customer, on=False, person=agent, reason="", at=NOW)
    with pytest.raises(PermissionDenied):
        review.switch_automation(customer, on=True, person=agent, reason="fixed", at=NOW)
    admin = factories.member(customer, "admin")
    with pytest.raises(ReviewRefused, match="why it may start"):
        review.switch_automation(customer, on=True, person=admin, reason=" ", at=NOW)
    assert review.switch_automation(customer, on=True, person=admin, reason="fixed", at=NOW)
    events = AuditEvent.objects.filter(subject="customer").values_list("event", flat=True)
    assert list(events.order_by("id")) == ["automation stopped", "automation started"]
