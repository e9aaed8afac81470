"""What no article answers: which tickets count, that grouping again changes nothing, and what people say of a gap."""

from datetime import datetime, timedelta

import pytest
from django.core.exceptions import PermissionDenied

from tests import factories
from tests.factories import NOW
from triage import learning, recovery
from triage.learning import gap_work, gaps
from triage.models import AuditEvent, Customer, Gap, GapMember, Job, Person, Review, Role, Source, Ticket, Writeback
from triage.queries import gaps as reads

pytestmark = pytest.mark.django_db
DISHES = ("monday", "tuesday", "wednesday", "thursday", "friday", "weekend", "holiday", "spring", "summer", "winter")


@pytest.fixture
def customer() -> Customer:
    return factories.customer()


@pytest.fixture
def source(customer: Customer) -> Source:
    return factories.source(customer=customer)


@pytest.fixture
def agent(customer: Customer) -> Person:
    return factories.member(customer)


@pytest.fixture
def steward(customer: Customer) -> Person:
    return factories.member(customer, Role.STEWARD)


def canteen(source: Source, agent: Person | None, count: int, *, first: int = 0, draw: str = "none") -> list[Ticket]:
    """Tickets about the canteen's menu that an agent answered with "none of these", where there is one."""
    return [
        _one(source, agent, f"canteen menu {word}", f"The canteen menu of {word} is not on the intranet page.", draw)
        for word in DISHES[first : first + count]
    ]


def badges(source: Source, agent: Person | None, count: int) -> list[Ticket]:
    return [
        _one(source, agent, f"door badge {word}", f"My door badge opens no gate since {word}, please replace it.")
        for word in DISHES[:count]
    ]


def _one(source: Source, agent: Person | None, subject: str, body: str, draw: str = "none") -> Ticket:
    ticket = factories.ticket(source=source, subject=subject, body=body, status="answered")
    factories.draw(ticket, draw, 1.0)
    if agent:
        factories.review(
            ticket, agent, verdict="none", article="", note="canteen menu" if "canteen" in subject else "badge"
        )
    return ticket


def regroup(source: Source, *, at: datetime) -> gaps.Regrouped:
    assert source.customer
    return gaps.regroup(customer=source.customer, at=at)


def members() -> set[int]:
    return set(GapMember.objects.values_list("ticket_id", flat=True))


def test_what_agents_found_no_article_for_is_grouped_named_and_counted(source: Source, agent: Person) -> None:
    menus, gates = canteen(source, agent, 6), badges(source, agent, 4)
    answered = _one(source, None, "canteen menu today", "The canteen menu is wrong.")
    factories.review(answered, agent, article="KB0001")
    made = regroup(source, at=NOW)
    assert (made.tickets, made.grouped, made.gaps) == (10, 10, 2)
    first, second = Gap.objects.order_by("-size")
    assert (first.words, first.size, first.notes) == ("canteen menu", 6, ["canteen menu"])
    assert set(first.members.values_list("ticket_id", flat=True)) == {ticket.pk for ticket in menus}
    assert {ticket.pk for ticket in gates} == set(second.members.values_list("ticket_id", flat=True))
    assert "canteen" in first.terms or "menu" in first.terms
    assert first.weeks == [0] * 11 + [6]


def test_grouping_again_changes_nothing_and_a_gap_that_grows_stays_the_same_gap(source: Source, agent: Person) -> None:
    canteen(source, agent, 5)
    for _ in range(2):
        regroup(source, at=NOW)
    before = Gap.objects.get()
    canteen(source, agent, 3, first=5)
    regroup(source, at=NOW + timedelta(days=1))
    after = Gap.objects.get()
    assert (after.pk, after.made_at, after.size) == (before.pk, NOW, 8)
    Review.objects.update(verdict="article", article="KB0001")
    regroup(source, at=NOW + timedelta(days=2))
    assert not Gap.objects.exists()


def test_sealed_tickets_and_other_customers_are_in_no_group(source: Source, agent: Person) -> None:
    mine = canteen(source, agent, 4)
    for ticket in canteen(source, None, 4, first=4, draw="holdout"):
        Ticket.objects.filter(pk=ticket.pk).update(status="withdrawn")
        factories.prediction(ticket, evidence={"sufficient": False})
    other = factories.customer()
    canteen(factories.source(customer=other), factories.member(other), 4)
    regroup(source, at=NOW)
    assert members() == {ticket.pk for ticket in mine}


def test_a_verdict_that_can_still_be_undone_opens_no_drawn_ticket(source: Source, agent: Person) -> None:
    drawn = canteen(source, agent, 4, draw="holdout")
    regroup(source, at=NOW + timedelta(seconds=5))
    assert members() == set()
    regroup(source, at=NOW + timedelta(seconds=30))
    assert members() == {ticket.pk for ticket in drawn}


def test_tickets_solved_by_hand_elsewhere_count_where_the_model_knew_no_article(source: Source, agent: Person) -> None:
    rows = canteen(source, None, 9)
    for number, ticket in enumerate(rows):
        Ticket.objects.filter(pk=ticket.pk).update(status="withdrawn")
        factories.prediction(ticket, evidence={"sufficient": True, "in_scope": 0.05 if number < 5 else 0.9})
    regroup(source, at=NOW)
    assert members() == {ticket.pk for ticket in rows[:5]}
    assert "canteen" in Gap.objects.get().words


def test_a_dismissed_gap_comes_back_only_when_it_grows(source: Source, agent: Person, steward: Person) -> None:
    canteen(source, agent, 4)
    regroup(source, at=NOW)
    gap = Gap.objects.get()
    with pytest.raises(gap_work.GapRefused, match="few words"):
        gap_work.dismiss(gap, person=steward, because="  ", at=NOW)
    with pytest.raises(PermissionDenied):
        gap_work.dismiss(gap, person=agent, because="not IT", at=NOW)
    gap_work.dismiss(gap, person=steward, because="not IT", at=NOW)
    for count, shown in ((2, 0), (2, 1)):
        canteen(source, agent, count, first=Ticket.objects.count())
        regroup(source, at=NOW)
        assert reads.narrowed(agent, customer=None, show="open").count() == shown
        assert reads.narrowed(agent, customer=None, show="dismissed").count() == 1 - shown
    assert AuditEvent.objects.get(event="dismissed").reason == "not IT"


def test_an_article_that_is_written_takes_its_tickets_out_and_retired_gives_them_back(
    source: Source, agent: Person, steward: Person
) -> None:
    rows = canteen(source, agent, 5)
    regroup(source, at=NOW)
    article = factories.article(customer=source.customer)
    gap_work.link(Gap.objects.get(), article=article, person=steward, at=NOW)
    canteen(source, agent, 4, first=5)
    regroup(source, at=NOW)
    assert sorted(Gap.objects.values_list("size", "article")) == [(4, None), (5, article.pk)]
    type(article).objects.filter(pk=article.pk).update(retired_at=NOW)
    regroup(source, at=NOW)
    assert Gap.objects.get().size == len(rows) + 4
    other = factories.article(customer=factories.customer())
    with pytest.raises(gap_work.GapRefused, match="another customer"):
        gap_work.link(Gap.objects.get(), article=other, person=steward, at=NOW)


def test_a_draft_has_the_words_of_tickets_and_of_agents_and_none_of_drawn_tickets(
    source: Source, agent: Person
) -> None:
    canteen(source, agent, 3)
    secret = _one(
        source, agent, "canteen menu spring", "The canteen menu of the secret room is not on the page.", "verify"
    )
    review = Review.objects.filter(follow="").first()
    assert review
    Review.objects.filter(pk=review.pk).update(follow="ask")
    content = {"text": "Which canteen do you mean?", "public": True}
    Writeback.objects.create(
        customer=review.customer,
        ticket=review.ticket,
        key=f"review-{review.pk}",
        what="note",
        content=content,
        next_at=NOW,
        created_at=NOW,
    )
    regroup(source, at=NOW + timedelta(minutes=1))
    assert secret.pk in members()
    draft = gap_work.draft(Gap.objects.get(), at=NOW + timedelta(minutes=1))
    assert (draft.key, draft.title) == ("canteen-menu", "Canteen menu")
    assert "- The canteen menu of monday is not on the intranet page." in draft.symptoms
    assert "secret" not in draft.symptoms
    assert "Which canteen do you mean?" in draft.body
    factories.article(key="canteen-menu")
    assert gap_work.draft(Gap.objects.get(), at=NOW).key == f"canteen-menu-{Gap.objects.get().pk}"


def test_the_reconciler_asks_for_it_once_a_day_and_a_worker_does_it(
    source: Source, agent: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    canteen(source, agent, 4)
    monkeypatch.setattr(recovery, "_gaps_again", [0.0])
    assert ("learn", (_swept().pk,)) in recovery.sweep(at=NOW).bells
    job = Job.objects.get(kind="gaps")
    assert learning.run_job(job.pk, at=NOW)
    job.refresh_from_db()
    assert (job.status, job.progress) == ("done", "4 of 4 tickets that no article answered are in 1 groups")
    for hours, status in ((12, "done"), (36, "waiting")):
        monkeypatch.setattr(recovery, "_gaps_again", [0.0])
        Job.objects.filter(pk=job.pk, status="done").update(changed_at=NOW)
        recovery.sweep(at=NOW + timedelta(hours=hours))
        job.refresh_from_db()
        assert job.status == status


def _swept() -> Job:
    recovery.sweep(at=NOW)
    return Job.objects.get(kind="gaps")
