"""Every rule of who may do what, for every role."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied

from tests import factories
from triage import permissions
from triage.models import Membership, Person, Role, Ticket

pytestmark = pytest.mark.django_db

ALLOWED = {
    "review": {"agent", "steward", "admin"},
    "order_run": {"agent", "steward", "admin"},
    "answer": {"approver", "admin"},
    "settle": {"agent", "approver", "admin"},
    "stop": {"agent", "approver", "steward", "admin"},
    "start": {"admin"},
    "close_circuit": {"approver", "admin"},
}


def _object(rule: str) -> Any:
    ticket = factories.ticket(status="needs_review")
    if rule in ("review", "order_run"):
        return ticket
    if rule == "answer":
        return factories.approval(ticket, factories.decision(ticket))
    if rule == "settle":
        return factories.run(ticket, factories.target(_customer(ticket)))
    return ticket.customer


def _customer(found: Any) -> Any:
    return getattr(found, "customer", found)


def _rule(name: str) -> tuple[Callable[..., None], Callable[..., bool]]:
    return getattr(permissions, f"check_can_{name}"), getattr(permissions, f"can_{name}")


@pytest.mark.parametrize("rule", ALLOWED)
@pytest.mark.parametrize("role", Role.values)
def test_each_role_may_do_exactly_what_it_is_for(rule: str, role: str) -> None:
    found = _object(rule)
    person = factories.member(_customer(found), role)
    check, can = _rule(rule)
    assert can(person, found) is (role in ALLOWED[rule])
    if role not in ALLOWED[rule]:
        with pytest.raises(PermissionDenied, match="roles"):
            check(person, found)


@pytest.mark.parametrize("rule", ALLOWED)
def test_a_role_at_one_customer_is_nothing_at_another(rule: str) -> None:
    found = _object(rule)
    person = factories.member(factories.customer(), Role.ADMIN)
    assert not _rule(rule)[1](person, found)


@pytest.mark.parametrize("rule", ALLOWED)
def test_the_provider_may_everywhere_and_an_ended_account_nowhere(rule: str) -> None:
    found = _object(rule)
    assert _rule(rule)[1](factories.person(is_superuser=True), found)
    assert not _rule(rule)[1](factories.person(is_superuser=True, is_active=False), found)


def test_several_roles_add_up_and_rows_are_seen_once() -> None:
    ticket = factories.ticket(status="needs_review")
    person = factories.member(_customer(ticket), Role.AGENT)
    Membership.objects.create(person=person, customer_id=_customer(ticket).pk, role=Role.APPROVER)
    assert permissions.can_review(person, ticket)
    assert permissions.can_answer(person, factories.approval(ticket, factories.decision(ticket)))
    assert Ticket.objects.visible_to(person).count() == 1


@pytest.mark.parametrize("requester", ["Ada@Example.org ", "ADA"])
def test_nobody_orders_or_approves_a_run_for_their_own_ticket(requester: str) -> None:
    ticket = factories.ticket(status="needs_review", requester=requester)
    person = factories.member(_customer(ticket), Role.ADMIN, username="ada", email="ada@example.org")
    assert permissions.can_review(person, ticket)
    with pytest.raises(PermissionDenied, match="raised this ticket yourself"):
        permissions.check_can_order_run(person, ticket)
    with pytest.raises(PermissionDenied, match="raised this ticket yourself"):
        permissions.check_can_answer(person, factories.approval(ticket, factories.decision(ticket)))


def test_an_empty_requester_is_nobody() -> None:
    ticket = factories.ticket(requester="")
    assert not permissions.is_requester(Person(username="x", email=""), ticket)


def test_who_ordered_a_run_does_not_approve_it() -> None:
    ticket = factories.ticket(status="waiting_approval")
    person = factories.member(_customer(ticket), Role.ADMIN)
    approval = factories.approval(ticket, factories.decision(ticket))
    said = factories.review(ticket, person, follow="run")
    with pytest.raises(PermissionDenied, match="ordered this run yourself"):
        permissions.check_can_answer(person, approval)
    said.undone_at = factories.NOW + timedelta(seconds=5)
    said.save(update_fields=["undone_at"])
    assert permissions.can_answer(person, approval)


def test_one_person_is_not_two() -> None:
    ticket = factories.ticket(status="waiting_approval")
    person = factories.member(_customer(ticket), Role.APPROVER)
    approval = factories.approval(ticket, factories.decision(ticket), people_needed=2, first_person=person)
    with pytest.raises(PermissionDenied, match="second person"):
        permissions.check_can_answer(person, approval)


def test_a_ticket_of_no_customer_cannot_be_decided() -> None:
    ticket = factories.ticket(source=factories.source(customer=None), customer=None)
    with pytest.raises(PermissionDenied, match="no customer yet"):
        permissions.check_can_review(factories.person(is_superuser=True), ticket)


@pytest.mark.parametrize("role", Role.values)
def test_the_log_is_open_to_some(role: str) -> None:
    person = factories.member(factories.customer(), role)
    assert permissions.can_read_log(person) is (role in {"auditor", "steward", "admin"})
