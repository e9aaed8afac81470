"""Counts that pages read: what they say, and that passes lost, doubled or begun anew change nothing."""

from datetime import UTC, datetime, timedelta

import pytest

from tests import factories
from tests.factories import NOW
from triage import counting
from triage.models import ArticleCount, CertificateCount, Customer, Draw, HourCount, Person, Run, Target, Ticket

pytestmark = pytest.mark.django_db
HOUR = datetime(2026, 11, 20, 9, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


@pytest.fixture
def customer() -> Customer:
    return factories.customer()


@pytest.fixture
def person(customer: Customer) -> Person:
    return factories.member(customer)


@pytest.fixture
def target(customer: Customer) -> Target:
    return factories.target(customer)


def counts(customer: Customer) -> list[dict[str, object]]:
    return list(HourCount.objects.of(customer).order_by("hour").values("hour", *counting.COLUMNS))


def test_an_hour_says_how_its_tickets_came_where_they_stand(customer: Customer, person: Person, target: Target) -> None:
    source = factories.source(customer=customer)
    alone, ordered, said = (factories.ticket(source=source, status="resolved") for _ in range(3))
    leading = factories.run(alone, target, status="succeeded")
    factories.run(ordered, target, status="succeeded", ordered_by=person)
    factories.review(said, person)
    factories.ticket(source=source, status="resolved", linked_run=leading)
    for status in ("needs_review", "waiting_approval", "running", "observed", "withdrawn"):
        factories.ticket(source=source, status=status)
    factories.ticket(status="resolved")  # another customer's
    counting.keep(at=LATER)
    (found,) = counts(customer)
    wanted = {"by_itself": 2, "on_word": 1, "by_person": 1, "waiting": 2, "under_way": 1, "observed": 1, "withdrawn": 1}
    assert {name: found[name] for name in counting.OUTCOMES} == wanted
    assert found["hour"] == HOUR


def test_a_due_time_is_kept_by_the_first_verdict_not_by_what_happened_afterwards(
    customer: Customer, person: Person
) -> None:
    source = factories.source(customer=customer)
    late = NOW + timedelta(hours=2)
    due = {"source": source, "due_at": NOW + timedelta(hours=1), "status": "resolved", "changed_at": late}
    answered = factories.ticket(**due)
    factories.review(answered, person, decided_at=NOW + timedelta(minutes=5))
    factories.ticket(**due)
    factories.ticket(**due | {"status": "needs_review"})  # not decided yet: neither kept nor missed
    counting.keep(at=late)
    (found,) = counts(customer)
    assert (found["in_time"], found["too_late"]) == (1, 1)


def test_only_hours_whose_tickets_changed_are_counted_again_and_a_lost_pass_loses_nothing(customer: Customer) -> None:
    source = factories.source(customer=customer)
    old = factories.ticket(source=source, status="needs_review", received_at=NOW - timedelta(days=40))
    factories.ticket(source=source, status="needs_review", changed_at=NOW - counting.hours.OVERLAP)
    counting.keep(at=LATER)
    HourCount.objects.filter(hour=HOUR).update(observed=99)  # shows whether that hour is touched
    soon = LATER + timedelta(minutes=30)
    Ticket.objects.filter(pk=old.pk).update(status="resolved", changed_at=soon)
    counting.keep(at=soon + timedelta(seconds=1))
    first, second = counts(customer)
    assert (first["waiting"], first["by_person"]) == (0, 1)
    assert second["observed"] == 99
    counting.all_anew(at=soon + timedelta(minutes=1))
    assert counts(customer)[1]["observed"] == 0


def test_what_was_forgotten_without_a_sign_is_counted_no_more_when_its_day_has_its_turn(
    customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting.hours, "DAYS", 2)
    gone, _ = (
        factories.ticket(customer=customer, status="observed", changed_at=NOW - counting.hours.OVERLAP) for _ in "ab"
    )
    counting.keep(at=LATER)
    gone.delete()
    for step in (1, 2):
        counting.keep(at=LATER + step * counting.EVERY[counting.SLOW])
    assert [row["observed"] for row in counts(customer)] == [1]


def test_many_changes_are_counted_some_at_a_time(customer: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting.hours, "AT_ONCE", 2)
    source = factories.source(customer=customer)
    for days in range(6):
        at = NOW - timedelta(days=days)
        factories.ticket(source=source, status="observed", received_at=at, changed_at=at)
    counting.keep(at=LATER)
    assert 0 < len(counts(customer)) < 6
    for step in range(1, 4):
        counting.keep(at=LATER + step * counting.EVERY[counting.HOURS])
    assert [row["observed"] for row in counts(customer)] == [1] * 6


def test_passes_come_no_closer_than_they_should(customer: Customer) -> None:
    assert counting.keep(at=LATER)
    assert not counting.keep(at=LATER + timedelta(seconds=5))
    assert counting.keep(at=LATER + timedelta(seconds=10))


class TestCertificates:
    """What blind verdicts say of runs."""

    @pytest.fixture
    def run(self, customer: Customer, target: Target) -> Run:
        return self._run(customer, target, "verify")

    def _run(self, customer: Customer, target: Target, purpose: str, cluster: str = "") -> Run:
        release = customer.release_set.first() or factories.release(customer, status="in_force")
        certificate = release.certificate_set.first() or factories.certificate(release)
        ticket = factories.ticket(customer=customer, status="resolved")
        factories.draw(ticket, purpose, 0.05, **({"cluster": cluster} if cluster else {}))
        decision = factories.decision(
            ticket, "automate", article="KB0001", runbook="unlock_account", certificate=certificate,
            expires_at=NOW + timedelta(minutes=30),
        )  # fmt: skip
        run: Run = factories.run(
            ticket, target, status="succeeded", decision=decision, text_hash=ticket.text_hash,
            target_object=f"account-{ticket.pk}", parameters={"account": "ada"},
        )  # fmt: skip
        return run

    def _said(self, run: Run, person: Person, **values: object) -> tuple[int, int, int]:
        factories.review(run.ticket, person, **{"blind": True, "article": "KB0001", **values})
        return self._counted()

    def _counted(self) -> tuple[int, int, int]:
        counting.all_anew(at=LATER)
        count = CertificateCount.objects.get()
        return count.verified, count.wrong, count.missing

    def test_a_drawn_run_without_a_verdict_is_missing(self, run: Run) -> None:
        assert run.status == Run.Status.SUCCEEDED
        assert self._counted() == (0, 0, 1)

    @pytest.mark.parametrize(
        ("said", "wrong"),
        [
            ({}, 0),
            ({"article": "KB0002"}, 1),
            ({"article": "KB0002", "also_acceptable": ["KB0001"]}, 0),
            ({"article": "", "verdict": "none"}, 1),
            ({"verdict": "wrong_parameters"}, 1),
            ({"parameters": {"account": "grace"}}, 1),
            ({"parameters": {"account": "ada"}}, 0),
        ],
    )
    def test_a_blind_verdict_confirms_or_contradicts(
        self, run: Run, person: Person, said: dict[str, object], wrong: int
    ) -> None:
        assert self._said(run, person, **said) == (1, wrong, 0)

    def test_what_was_seen_or_undone_is_no_verdict(self, run: Run, person: Person) -> None:
        assert self._said(run, person, blind=False, article="KB0002") == (0, 0, 1)
        assert self._said(run, person, undone_at=NOW, article="KB0002") == (0, 0, 1)

    def test_only_what_was_drawn_for_verification_counts(
        self, customer: Customer, person: Person, target: Target
    ) -> None:
        assert self._said(self._run(customer, target, "none"), person, article="KB0002") == (0, 0, 0)
        # reopened tickets are looked at always, so their share of wrong ones is not that of all runs
        assert self._said(self._run(customer, target, "reopened"), person, article="KB0002") == (0, 0, 0)
        assert CertificateCount.objects.get().runs == 2

    def test_a_verdict_on_another_ticket_of_the_cluster_answers_for_the_run(
        self, customer: Customer, person: Person, target: Target
    ) -> None:
        run = self._run(customer, target, "verify", "c" * 64)
        linked = factories.ticket(customer=customer, status="resolved", linked_run=run, storm_key=run.ticket.storm_key)
        factories.draw(linked, "verify", 0.05, cluster="c" * 64)
        factories.review(linked, person, blind=True, article="KB0002")
        assert self._counted() == (1, 1, 0)

    def test_a_cluster_is_one_observation(self, customer: Customer, person: Person, target: Target) -> None:
        self._said(self._run(customer, target, "verify", "c" * 64), person)
        assert self._said(self._run(customer, target, "verify", "c" * 64), person, article="KB0002") == (1, 1, 0)


def test_articles_know_their_volume_verdicts_and_answered_draws(customer: Customer, person: Person) -> None:
    source = factories.source(customer=customer)
    factories.release(customer, status="in_force", trained_until=NOW - timedelta(days=1))
    plain, sealed, answered, old = (factories.ticket(source=source) for _ in range(4))
    for ticket, purpose in ((plain, "none"), (sealed, "holdout"), (answered, "holdout"), (old, "holdout")):
        factories.draw(ticket, purpose, 0.5, drawn_at=NOW)
        factories.decision(ticket, article="KB0001")
    Draw.objects.filter(ticket=old).update(drawn_at=NOW - timedelta(days=2))
    factories.review(plain, person, article="KB0001")
    factories.review(answered, person, article="KB0002", blind=True)
    factories.review(old, person, article="KB0001", blind=True)
    counting.all_anew(at=LATER)
    found = ArticleCount.objects.get()
    assert (found.article, found.tickets, found.draws) == ("KB0001", 1, 1)
    # the holdout's verdicts may certify: nobody is told how right we are there
    assert (found.verdicts, found.agreed) == (1, 1)
