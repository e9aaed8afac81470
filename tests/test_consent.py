"""A group that has an owner is joined with the owner's yes only, whoever else approves and whatever is certified."""

import json
from pathlib import Path

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from runbooks.registry import RUNBOOKS
from runbooks.targets.directory import Account, Group, SqliteDirectory, create
from tests import factories
from triage import approvals, automation, consent, execution, openid, people
from triage.environment import environment
from triage.models import Approval, Customer, Mode, Person, Run, Target, Ticket
from triage.review.ordering import order

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("lake")]
GROUPS = (
    Group("Open", "For whoever asks", self_service=True, owners=("o.wner",)),
    Group("Payroll", "Personnel files", owners=("o.wner", "second.owner")),
)
VALUES = {"account": "a.sker", "group": "Payroll"}


@pytest.fixture
def customer(tmp_path: Path) -> Customer:
    accounts = [
        Account(uid=uid, display_name=uid, mail=f"{uid}@example.org")
        for uid in ("a.sker", "o.wner", "second.owner", "o.ther")
    ]
    create(tmp_path / "directory.sqlite", accounts, groups=GROUPS)
    found = factories.customer(mode=Mode.APPROVE)
    factories.target(found, settings=json.dumps({"path": str(tmp_path / "directory.sqlite")}))
    return found


def ticket(customer: Customer, *, status: str) -> Ticket:
    return factories.ticket(customer=customer, status=status, requester="a.sker@example.org", channel="portal")


def asked(customer: Customer, *, people_needed: int = 1, **values: str) -> Approval:
    row = ticket(customer, status=Ticket.Status.CLASSIFIED)
    decision = factories.decision(row, mode=Mode.APPROVE, runbook="add_to_group", parameters={**VALUES, **values})
    approval = approvals.ask(ticket=row, decision=decision, people_needed=people_needed, at=timezone.now())
    assert approval is not None
    return approval


def called(uid: str) -> Person:
    return factories.person(email=f"{uid}@Example.org")


def grant(approval: Approval, person: Person) -> Run | None:
    approval.refresh_from_db()
    return automation.grant(approval, person=person, at=timezone.now())


def test_only_an_owners_yes_counts_and_theirs_is_enough(customer: Customer) -> None:
    approval = asked(customer)
    with pytest.raises(approvals.ApprovalRefused, match=r"Payroll is joined with its owner's yes only: o.wner, second"):
        grant(approval, called("o.ther"))
    assert not Run.objects.exists()
    run = grant(approval, called("second.owner"))
    assert run is not None
    assert execution.execute(run.pk, at=timezone.now())
    run.refresh_from_db()
    assert run.status == Run.Status.SUCCEEDED
    path = json.loads(Target.objects.get().settings)["path"]
    assert SqliteDirectory(Path(path)).known("a.sker").groups == ("Payroll",)


def test_nobody_is_an_owner_by_a_display_name(customer: Customer) -> None:
    with pytest.raises(approvals.ApprovalRefused, match="its owner's yes"):
        grant(asked(customer), factories.person(first_name="o.wner", email="somebody@example.com"))


def test_a_name_or_address_that_nobody_verified_is_no_owners_proof(customer: Customer) -> None:
    at = timezone.now()
    chief, root = factories.member(customer, "admin"), factories.person(is_superuser=True)
    forged, _new = people.add(
        by=chief,
        username="second.owner",
        mail="o.wner@example.org",
        name="",
        customer=customer,
        roles=["approver"],
        at=at,
    )
    assert consent.proofs(forged) == set()
    with pytest.raises(approvals.ApprovalRefused, match=r"its owner's yes .* that nobody has verified"):
        grant(asked(customer), forged)
    people.confirm_address(forged, by=root, at=at)
    assert consent.proofs(forged) == {"o.wner@example.org"}, "the name is still one that a customer chose"
    assert grant(asked(customer), forged) is not None
    with pytest.raises(PermissionDenied):
        people.confirm_address(forged, by=chief, at=at)
    people.rename(forged, values={"email": "second.owner@example.org"}, by=chief, at=at)
    assert consent.proofs(forged) == set(), "another address is to be confirmed again"
    ours, _new = people.add(by=root, username="o.wner", mail="", name="", customer=customer, roles=["agent"], at=at)
    assert consent.proofs(ours) == {"o.wner"}


def test_what_an_openid_account_calls_itself_is_no_proof_and_its_verified_address_is(
    customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIAGE_OIDC_CREATE", "true")
    environment.cache_clear()
    at = timezone.now()
    stranger = openid.arrive(openid.Claims(issuer="https://id", subject="1", name="o.wner"), at=at)
    assert (stranger.get_username(), consent.proofs(stranger)) == ("o.wner", set())
    known = openid.Claims(issuer="https://id", subject="2", name="second.owner", mail="o.ther@example.org")
    assert consent.proofs(openid.arrive(known, at=at)) == {"o.ther@example.org"}
    chief = factories.member(customer, "admin")
    made, _new = people.add(
        by=chief, username="x", mail="x@example.org", name="", customer=customer, roles=["agent"], at=at
    )
    linked = openid.arrive(openid.Claims(issuer="https://id", subject="3", mail="x@example.org"), at=at)
    assert linked.pk == made.pk
    assert consent.proofs(linked) == {"x@example.org"}


def test_a_group_that_is_open_needs_nobody_in_particular(customer: Customer) -> None:
    assert grant(asked(customer, group="Open"), called("o.ther")) is not None


@pytest.mark.parametrize("order_of_yeses", [("o.wner", "o.ther"), ("o.ther", "o.wner")])
def test_of_two_people_one_is_an_owner(customer: Customer, order_of_yeses: tuple[str, str]) -> None:
    approval = asked(customer, people_needed=2)
    first, second = (called(uid) for uid in order_of_yeses)
    assert grant(approval, first) is None
    assert grant(approval, second) is not None


def test_two_people_who_own_nothing_are_not_enough(customer: Customer) -> None:
    approval = asked(customer, people_needed=2)
    grant(approval, called("o.ther"))
    with pytest.raises(approvals.ApprovalRefused, match="its owner's yes"):
        grant(approval, factories.person())


def test_an_owner_who_is_none_any_more_at_the_start_stops_the_run(customer: Customer, tmp_path: Path) -> None:
    run = grant(asked(customer), called("o.wner"))
    assert run is not None
    (tmp_path / "directory.sqlite").unlink()
    accounts = [Account(uid=uid, display_name=uid, mail=f"{uid}@example.org") for uid in ("a.sker", "o.wner", "n.ew")]
    create(tmp_path / "directory.sqlite", accounts, groups=[Group("Payroll", "", owners=("n.ew",))])
    assert not execution.execute(run.pk, at=timezone.now())
    run.refresh_from_db()
    assert (run.status, run.reason) == (Run.Status.VOID, "Payroll is joined with its owner's yes only: n.ew.")


def test_what_an_agent_orders_waits_for_the_owner_and_what_the_owner_orders_does_not(customer: Customer) -> None:
    for person, waits in ((called("o.ther"), True), (called("o.wner"), False)):
        row = ticket(customer, status=Ticket.Status.NEEDS_REVIEW)
        runbook = RUNBOOKS["add_to_group"]
        order(ticket=row, person=person, label="KB0002", runbook=runbook, parameters=VALUES, at=timezone.now())
        row.refresh_from_db()
        assert row.status == (Ticket.Status.WAITING_APPROVAL if waits else Ticket.Status.QUEUED)
        assert Run.objects.filter(ticket=row).exists() is not waits
        Run.objects.all().update(status=Run.Status.VOID)


def test_a_directory_that_cannot_be_asked_lets_nobody_say_yes(customer: Customer, tmp_path: Path) -> None:
    approval = asked(customer)
    (tmp_path / "directory.sqlite").unlink()
    with pytest.raises(approvals.ApprovalRefused, match="Whose yes this needs is not known now"):
        grant(approval, called("o.wner"))


def test_runbooks_without_a_group_ask_no_directory(customer: Customer) -> None:
    target = Target(customer=customer, kind="directory", settings='{"path": "/nowhere"}')
    assert consent.lacking(RUNBOOKS["unlock_account"], {"account": "a.sker"}, target=target, people=[]) == ""
