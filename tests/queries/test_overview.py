"""The control room's figures."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tests import factories
from tests.factories import NOW
from triage import counting
from triage.models import CertificateCount, Customer, Membership, Person, Ticket
from triage.queries import certificates, outcomes, overview, storms

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(minutes=1)


@pytest.fixture
def customer() -> Customer:
    """A customer whose runs save a quarter of an hour each."""
    return factories.customer(minutes_a_ticket=15)


@pytest.fixture
def person(customer: Customer) -> Person:
    """An agent there."""
    return factories.member(customer)


def test_a_range_adds_up_by_outcome_and_by_step(customer: Customer, person: Person) -> None:
    source, target = factories.source(customer=customer), factories.target(customer)
    for hours in (0, 1, 30, 24 * 8):
        at = NOW - timedelta(hours=hours)
        ticket = factories.ticket(source=source, status="resolved", received_at=at, changed_at=at)
        factories.run(ticket, target, status="succeeded")
    factories.ticket(source=source, status="needs_review")
    factories.ticket(status="needs_review")  # another customer's
    counting.keep(at=LATER)
    found = {key: outcomes.span(person, customer=None, key=key, at=LATER) for key in outcomes.RANGES}
    assert {key: span.total for key, span in found.items()} == {"24h": 3, "7d": 4, "30d": 5, "90d": 5}
    assert [len(span.steps) for span in found.values()] == [24, 7, 30, 90]
    assert found["24h"].by_itself == pytest.approx(2 / 3)
    assert found["30d"].saved_hours == 1.0
    assert sum(one.share for one in found["7d"].outcomes) == pytest.approx(1)


def test_days_are_the_readers_own(customer: Customer, person: Person) -> None:
    source = factories.source(customer=customer)
    at = datetime(2026, 11, 19, 16, 30, tzinfo=ZoneInfo("UTC"))  # already the 20th in Tokyo
    factories.ticket(source=source, status="observed", received_at=at, changed_at=at)
    counting.keep(at=LATER)
    with timezone.override(ZoneInfo("Asia/Tokyo")):
        steps = outcomes.span(person, customer=None, key="7d", at=LATER).steps
    assert [step.begins.day for step in steps if sum(step.counts)] == [20]


def test_a_day_on_which_the_clocks_change_is_one_day(customer: Customer, person: Person) -> None:
    with timezone.override(ZoneInfo("Europe/Berlin")):
        span = outcomes.span(person, customer=None, key="30d", at=NOW)
    assert [step.begins.hour for step in span.steps] == [0] * 30
    assert len({step.begins.date() for step in span.steps}) == 30


def test_ages_of_what_waits_are_exact(customer: Customer, person: Person) -> None:
    source = factories.source(customer=customer)
    received = [NOW - timedelta(minutes=minutes) for minutes in range(0, 400, 10)]
    for at in received:
        factories.ticket(source=source, status="needs_review", received_at=at, changed_at=at, due_at=at)
    factories.ticket(source=source, status="resolved", received_at=NOW - timedelta(days=3))
    factories.ticket(status="needs_review", received_at=NOW - timedelta(days=3))
    counting.keep(at=LATER)
    found = outcomes.waiting(person, customer=None, at=LATER)
    assert (found.count, found.overdue) == (40, 40)
    ranked = sorted(received)
    assert (found.oldest, found.median, found.p95) == (ranked[0], ranked[19], ranked[1])


def test_nothing_waits_and_nothing_was_counted(person: Person) -> None:
    found = outcomes.waiting(person, customer=None, at=NOW)
    assert (found.count, found.median, found.oldest) == (0, None, None)
    assert counting.counted_at() is None
    assert outcomes.span(person, customer=None, key="7d", at=NOW).by_itself is None


@pytest.mark.parametrize(
    ("values", "state", "valid"),
    [
        ({}, "valid", True),
        ({"expires_at": NOW + timedelta(days=10)}, "soon", True),
        ({"issued_at": NOW - timedelta(days=9), "expires_at": NOW}, "expired", False),
        ({"revoked_at": NOW}, "revoked", False),
    ],
)
def test_a_certificate_says_how_it_stands(
    customer: Customer, person: Person, values: dict[str, object], state: str, valid: bool
) -> None:
    factories.certificate(factories.release(customer, status="in_force"), **values)
    card = certificates.cards(person, customer=None, at=NOW)[0]
    assert (card.state, card.valid) == (state, valid)


def test_a_certificate_of_a_retired_release_is_not_valid(customer: Customer, person: Person) -> None:
    factories.certificate(factories.release(customer, status="retired"))
    assert not certificates.cards(person, customer=None, at=NOW)[0].valid


def test_the_share_of_wrong_runs_has_its_exact_interval(customer: Customer, person: Person) -> None:
    made = factories.certificate(factories.release(customer, status="in_force"))
    CertificateCount.objects.create(certificate=made, verified=40, wrong=2)
    card = certificates.cards(person, customer=None, at=NOW)[0]
    assert card.wrong == 0.05
    assert card.interval == pytest.approx((0.006114, 0.169197), abs=1e-6)  # Clopper and Pearson, any table


class TestStorms:
    """Many equal alerts at once."""

    def _alerts(self, customer: Customer, count: int, **values: object) -> list[Ticket]:
        source = factories.source(customer=customer)
        given: dict[str, Any] = {"source": source, "actor": "machine", "subject": "Disk full on web-1", **values}
        return [factories.ticket(**given) for _ in range(count)]

    def test_who_and_how_many_and_which_run(self, customer: Customer, person: Person) -> None:
        first = self._alerts(customer, 1)[0]
        run = factories.run(first, factories.target(customer))
        self._alerts(customer, storms.FEWEST - 1, linked_run=run)
        (found,) = storms.going_on(person, customer=None, at=LATER)
        assert (found.first, found.alerts, found.linked, found.run) == (first, storms.FEWEST, storms.FEWEST - 1, run)
        stranger = factories.member(factories.customer())
        assert storms.going_on(stranger, customer=None, at=LATER) == []
        assert storms.going_on(person, customer=None, at=NOW + 2 * storms.WINDOW) == []

    def test_a_few_are_none_and_people_are_none(self, customer: Customer, person: Person) -> None:
        self._alerts(customer, storms.FEWEST - 1)
        self._alerts(customer, storms.FEWEST, actor="person", subject="Wifi is down")
        assert storms.going_on(person, customer=None, at=LATER) == []

    def test_a_storm_under_a_blind_check_does_not_tell_its_run(self, customer: Customer, person: Person) -> None:
        first = self._alerts(customer, 1)[0]
        factories.draw(first, "verify", 0.05)
        run = factories.run(first, factories.target(customer))
        self._alerts(customer, storms.FEWEST, linked_run=run)
        (found,) = storms.going_on(person, customer=None, at=LATER)
        assert (found.run, found.linked) == (None, 0)


def test_switches_of_many_customers_take_as_many_queries_as_those_of_one(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    person = factories.member(factories.customer())
    for wanted in (1, 8):
        for _ in range(wanted - 1):
            Membership.objects.create(person=person, customer=factories.customer(), role="agent")
        with django_assert_num_queries(6):
            cards = overview.customers(person, at=NOW)
        assert len(cards) == wanted
        assert all(card.can_stop and not card.can_start for card in cards)
