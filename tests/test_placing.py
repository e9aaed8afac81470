"""Tickets are assigned and categorised where a customer allows it, by what was decided last, and never over a person."""

import json
from collections.abc import Iterator
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest

from tests import factories, past, trained
from tests.factories import NOW
from tests.itsm.fakes.server import serving
from tests.itsm.fakes.zendesk import Zendesk
from triage import automation, intake, prediction, review, writeback
from triage.itsm import placing as settings
from triage.itsm import zendesk
from triage.models import Article, Customer, Mode, Notification, Source, Ticket, Writeback

pytestmark = pytest.mark.django_db(transaction=True)
LATER = timedelta(seconds=14)
ALLOWED = {"may_assign": True, "may_categorise": True}
NETWORK = {"group": "98738", "labels": ["vpn"], "fields": {"27648": "network"}}


@pytest.fixture(scope="module")
def running() -> Iterator[Zendesk]:
    with serving(Zendesk()) as desk:
        yield desk


@pytest.fixture
def desk(running: Zendesk) -> Zendesk:
    url = running.url
    running.__init__()  # type: ignore[misc]  # the same server, as if it were new
    running.url = url
    return running


@pytest.fixture
def source(desk: Zendesk) -> Source:
    return connected(desk, factories.customer(slug="nordwind"))


def connected(desk: Zendesk, customer: Customer, allowed: dict[str, Any] | None = None, **rules: Any) -> Source:
    told = {"customers": {customer.slug: ALLOWED if allowed is None else allowed}, "articles": {"KB0001": NETWORK}}
    own = {"api_url": desk.url, "own_user": desk.own_user, "placing": deepcopy({**told, **rules})}
    return factories.source(
        customer=customer, kind="zendesk", settings=own, secrets=desk.secret, credentials=json.dumps(desk.credentials)
    )


def ticket(desk: Zendesk, source: Source, **values: Any) -> Ticket:
    """A ticket of the desk that waits for a person."""
    external_id = desk.add(subject="VPN", body="It drops.", changed=NOW)
    given = {"status": "needs_review", "external_id": external_id, **values}
    return factories.ticket(source=source, **given)


def decided(found: Ticket, **values: Any) -> Writeback | None:
    """A verdict, and what was placed by it once it stood."""
    assert found.customer
    if not Article.objects.filter(key="KB0001").exists():
        factories.article(key="KB0001")
    review.decide(
        ticket=found,
        person=factories.member(found.customer),
        **{"verdict": "article", "article": "KB0001", "at": NOW, **values},
    )
    writeback.deliver(at=NOW + LATER)
    return Writeback.objects.filter(ticket=found, what="place").last()


def test_a_verdict_places_the_ticket_and_the_row_says_what_was_set(desk: Zendesk, source: Source) -> None:
    found = ticket(desk, source)
    row = decided(found)
    assert row
    assert row.status == "done"
    assert row.reason == "Set: group 98738, labels vpn, 27648 network."
    assert desk.placed(found.external_id) == {"group": "98738", "labels": ["vpn"], "field:27648": "network"}
    assert "a person decided" in row.content["because"]


def test_what_a_person_set_in_the_itsm_stays_and_is_in_the_row(desk: Zendesk, source: Source) -> None:
    found = ticket(desk, source)
    desk.person_places(found.external_id)
    row = decided(found)
    assert row
    assert row.content["set"] == {"labels": ["vpn"]}
    assert row.reason == "Set: labels vpn. Left: group: somebody set 1; 27648: somebody set hardware."


def test_without_the_setting_or_the_customers_leave_nothing_is_asked(desk: Zendesk) -> None:
    for allowed, expected in (({}, None), ({"may_categorise": True}, {"labels": ["vpn"], "field:27648": "network"})):
        source = connected(desk, factories.customer(), allowed)
        row = decided(ticket(desk, source))
        assert (row and row.content["set"]) == expected
    source = connected(desk, factories.customer())
    Source.objects.filter(pk=source.pk).update(settings={"api_url": desk.url})
    assert decided(ticket(desk, Source.objects.get(pk=source.pk))) is None


def test_leave_that_was_taken_back_meanwhile_counts(desk: Zendesk, source: Source) -> None:
    found = ticket(desk, source)
    assert found.customer
    factories.article(key="KB0001")
    review.decide(ticket=found, person=factories.member(found.customer), verdict="article", article="KB0001", at=NOW)
    source.settings["placing"]["customers"]["nordwind"]["may_assign"] = False
    source.save()
    writeback.deliver(at=NOW + LATER)
    row = Writeback.objects.get(what="place")
    assert "group" not in row.content["set"]
    assert "group: the customer does not allow it (may_assign)" in row.reason


def test_an_undone_verdict_places_nothing(desk: Zendesk, source: Source) -> None:
    found = ticket(desk, source)
    assert found.customer
    agent = factories.member(found.customer)
    factories.article(key="KB0001")
    said = review.decide(ticket=found, person=agent, verdict="article", article="KB0001", at=NOW)
    review.undo(said, person=agent, at=NOW + timedelta(seconds=5))
    writeback.deliver(at=NOW + LATER)
    assert desk.placed(found.external_id)["labels"] == []


def test_assign_goes_to_the_group_that_the_agents_words_name(desk: Zendesk) -> None:
    source = connected(desk, factories.customer(), groups={"Network Team": "55"})
    found = ticket(desk, source)
    row = decided(found, follow="assign", note=" network  team ")
    assert row
    assert desk.placed(found.external_id)["group"] == "55"
    other = ticket(desk, source)
    row = decided(other, follow="assign", note="whoever is free")
    assert row
    assert desk.tickets[other.external_id]["group_id"] is None
    assert "no group of the source's settings is called 'whoever is free'" in row.reason


def test_in_observe_mode_nothing_is_written(desk: Zendesk, source: Source) -> None:
    Customer.objects.update(mode=Mode.OBSERVE)
    found = ticket(desk, source)
    row = decided(Ticket.objects.get(pk=found.pk))
    assert row
    assert "observe mode" in row.reason
    assert not desk.writes()


def test_the_model_places_by_itself_from_the_allowed_probability_on_but_no_drawn_ticket(desk: Zendesk) -> None:
    label = next(iter(past.PROBLEMS))
    rules = {"articles": dict.fromkeys(past.PROBLEMS, NETWORK)}
    source = connected(desk, factories.customer(), {**ALLOWED, "from_probability": 0.5}, **rules)
    careful = connected(desk, factories.customer(), ALLOWED, **rules)
    document = next(text for text, name in past.tickets(60, seed=5) if name == label)
    text = {"subject": document.subject, "body": document.body, "status": "received"}
    for name in past.PROBLEMS:
        factories.article(key=name)
    for one in (source, careful):
        assert one.customer
        trained.release(one.customer)
    free, drawn, unasked = ticket(desk, source, **text), ticket(desk, source, **text), ticket(desk, careful, **text)
    factories.draw(drawn, "holdout", 0.5)
    while prediction.classify_batch(at=NOW, limit=50).more:
        pass
    writeback.deliver(at=NOW)
    assert [row.ticket_id for row in Writeback.objects.filter(what="place")] == [free.pk]
    assert desk.placed(free.external_id)["group"] == "98738"
    assert [desk.tickets[one.external_id]["group_id"] for one in (drawn, unasked)] == [None, None]


def test_a_persons_verdict_overtakes_what_the_model_wanted(desk: Zendesk, source: Source) -> None:
    found = ticket(desk, source)
    decision = factories.decision(found)
    content = {"wanted": {"group": "1"}, "because": "the model", "decision": decision.pk}
    given = {"what": "place", "key": "place-decision-1", "content": content, "next_at": NOW + LATER, "created_at": NOW}
    assert found.customer
    waiting = Writeback.objects.create(ticket=found, customer=found.customer, **given)
    decided(found)
    waiting.refresh_from_db()
    assert (waiting.status, waiting.reason) == ("given_up", "A later decision places the ticket.")
    assert desk.placed(found.external_id)["group"] == "98738"


def test_our_own_earlier_choice_is_changed_by_a_later_one_and_a_persons_is_not(desk: Zendesk, source: Source) -> None:
    found = ticket(desk, source)
    decided(found, follow="reply")
    source.settings["placing"]["articles"]["KB0001"] = {"group": "77"}
    source.save()
    Ticket.objects.update(status="needs_review")
    row = decided(Ticket.objects.get(pk=found.pk), follow="reply", at=NOW + timedelta(seconds=1))
    assert row
    assert row.reason == "Set: group 77."
    assert desk.placed(found.external_id)["group"] == "77"


def test_what_we_set_comes_back_as_no_change_to_decide(desk: Zendesk, source: Source) -> None:
    external_id = desk.add(subject="VPN", body="It drops.", changed=NOW - timedelta(hours=1))
    intake.accept_page(source=source, page=_page(source, desk), at=NOW)
    found = Ticket.objects.get(external_id=external_id)
    Ticket.objects.update(status="needs_review")
    decided(Ticket.objects.get(pk=found.pk), follow="reply")
    Ticket.objects.update(status="waiting_approval")  # a state that a change of the fields would void
    desk.edit(external_id, changed=NOW + timedelta(minutes=5))
    page = intake.accept_page(source=source, page=_page(source, desk), at=NOW + timedelta(minutes=6))
    assert page.waiting == 0
    found.refresh_from_db()
    assert (found.status, found.fields["assignment_group"]) == ("waiting_approval", "98738")


def _page(source: Source, desk: Zendesk) -> Any:
    desk.exports = 0
    return zendesk.pull(source, since=NOW - timedelta(hours=2), cursor="")


def test_a_run_places_what_it_resolves_before_it_is_closed(desk: Zendesk) -> None:
    customer = factories.customer()
    source = connected(desk, customer, articles={"KB0001": {"group": "5"}}, runbooks={"unlock_account": {"group": "6"}})
    found = ticket(desk, source, status="running")
    run = factories.run(found, factories.target(customer), status="succeeded", decision=factories.decision(found))
    automation.settle(run, at=NOW, actor="system:automation")
    writeback.deliver(at=NOW)
    assert desk.tickets[found.external_id]["group_id"] == 6
    assert desk.tickets[found.external_id]["status"] == "solved"


def test_refused_credentials_lose_nothing_and_the_administrators_hear_once(desk: Zendesk, source: Source) -> None:
    good, source.credentials = source.credentials, json.dumps({"kind": "basic", "user": "x", "password": "old"})
    source.save()
    found = ticket(desk, source)
    row = decided(found)
    assert row
    assert row.status == "waiting"
    writeback.deliver(at=NOW + timedelta(hours=2))
    assert Notification.objects.filter(kind="credentials_refused").count() == 1
    source.credentials = good
    source.save()
    writeback.deliver(at=NOW + timedelta(hours=4))
    assert desk.placed(found.external_id)["group"] == "98738"
    assert len(desk.notes(found.external_id)) == 1


def test_the_itsms_pause_is_kept(desk: Zendesk, source: Source) -> None:
    found = ticket(desk, source)
    desk.refuse(429, times=9, retry_after="600")
    row = decided(found)
    assert row
    assert row.next_at == NOW + LATER + timedelta(seconds=600)


@pytest.mark.parametrize(
    ("told", "where"),
    [
        ([], "placing"),
        ({}, "placing.customers"),
        ({"customers": {"a": {"may_asign": True}}}, "placing.customers.a.may_asign"),
        ({"customers": {"a": {"from_probability": 0.2}}}, "placing.customers.a.from_probability"),
        ({"customers": {}, "articles": {"KB1": {"labels": "vpn"}}}, "placing.articles.KB1.labels"),
    ],
)
def test_a_wrong_setting_is_named_and_places_nothing(told: Any, where: str) -> None:
    assert [problem.partition(": ")[0].rstrip(".") for problem in settings.problems({"placing": told})] == [where]
    assert settings.of(Source(settings={"placing": told})) is None
    assert settings.problems({}) == []
