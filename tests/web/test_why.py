"""Why this article and not that one, and tickets that read alike: what the page fetches, and what it never tells."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests import factories, trained
from tests.web import weighed
from tests.web.conftest import client_of
from tests.web.scene import Scene
from triage import serving
from triage.models import Release, Ticket

BODY = "hello, my account is locked after too many failed sign-ins, the printer is fine"


@pytest.fixture
def made(scene: Scene) -> Release:
    """The release in force at the first customer."""
    return weighed.release(scene.nordwind)


@pytest.fixture
def asked(scene: Scene, made: Release) -> Ticket:
    """A ticket about a locked account that waits for a person."""
    return weighed.ticket(scene.tickets[0].source, made, "Account locked", BODY)


def _get(client: Client, name: str, ticket: Ticket, **query: Any) -> str:
    answer = client.get(reverse(name, args=[ticket.uuid]), query)
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_the_words_that_decided_are_told_and_marked(scene: Scene, asked: Ticket) -> None:
    page = _get(client_of(scene.agent), "ticket-why", asked)
    assert "Why KB1001 and not KB10" in page
    sentence = re.search(r"sentence-small\">(.*?)</p>", page)
    assert sentence is not None
    assert "“locked”" in sentence[1]
    assert "KB1001 Account locked after failed sign-ins rather than" in sentence[1]
    subject, body = page.split('hx-swap-oob="innerHTML:#ticket-subject"')[1].split('innerHTML:#ticket-text"')
    assert re.search(r'<mark class="for s[123]">[^<]*[Ll]ocked', subject)
    assert re.search(r'<mark class="for s[123]">[^<]*locked', body)
    text = re.search(r'<div class="text"[^>]*>(.*?)</div>', body, re.DOTALL)
    assert text is not None
    assert re.sub(r"<[^>]+>", "", text[1]) == BODY


def test_another_article_can_be_compared_with(scene: Scene, asked: Ticket) -> None:
    page = _get(client_of(scene.agent), "ticket-why", asked, against="printer")
    assert "Why KB1001 and not KB1002" in page
    assert re.search(r"“printer”[^<]* speaks? for KB1002", page)
    assert re.search(r'<mark class="against s[123]">[^<]*printer', page)
    anything = _get(client_of(scene.agent), "ticket-why", asked, against="<nonsense>")
    assert anything == _get(client_of(scene.agent), "ticket-why", asked)


def test_hostile_text_is_escaped_between_the_marks(scene: Scene, made: Release) -> None:
    hostile = '<script>alert(\'locked account\')</script> <mark class="for s3">locked</mark> \u202eaccount & "><img src=x onerror=alert(1)>'
    row = weighed.ticket(scene.tickets[0].source, made, "<b>account</b> locked <script>x</script>", hostile)
    factories.article(
        key="<i>KB</i>", title="<script>t</script>", translation_group="unlock-account", customer=scene.nordwind
    )
    client = client_of(scene.agent)
    weighed.solved(scene.tickets[0].source, scene.agent, at=timezone.now(), count=4)
    Ticket.objects.filter(status="resolved").update(subject="<script>s</script>")
    page = _get(client, "ticket-why", row) + _get(client, "ticket-similar", row)
    assert "<script" not in page
    assert "<img" not in page
    assert "<b>" not in page
    assert "<i>" not in page
    assert "&lt;" in page
    tags = set(re.findall(r"<([a-z0-9]+)", page))
    assert tags <= {"section", "h2", "p", "span", "mark", "div", "button", "ul", "li", "a"}
    assert not re.search(r"\sstyle=|\son[a-z]+=", re.sub(r">[^<]*<", "><", page))


def test_a_value_for_the_runbook_stays_marked_as_such(scene: Scene, made: Release) -> None:
    row = weighed.ticket(scene.tickets[0].source, made, "Locked", "account ada.lovelace is locked, unlock ada.lovelace")
    row.decisions.update(parameters={"account": "ada.lovelace"})
    page = _get(client_of(scene.agent), "ticket-why", row)
    values = re.findall(r'<mark class="found">(.*?)</mark>(?!</mark>)', page)
    assert page.count('<mark class="found">') == 2
    assert "ada" in values[0]


def test_similar_tickets_are_shown_with_what_solved_them(scene: Scene, asked: Ticket) -> None:
    at = timezone.now()
    weighed.solved(scene.tickets[0].source, scene.agent, at=at)
    twin = factories.ticket(source=asked.source, subject=asked.subject, body=BODY, status="resolved")
    factories.review(twin, scene.agent, article="unlock-account", decided_at=at - timedelta(hours=3))
    page = _get(client_of(scene.agent), "ticket-similar", asked)
    rows = re.findall(r"<li>(.*?)</li>", page, re.DOTALL)
    assert 2 <= len(rows) <= 5
    assert twin.external_id in rows[0]
    assert reverse("ticket", args=[twin.uuid]) in rows[0]
    assert "KB1001" in rows[0]
    assert "Bea Meyer, 3 h ago" in rows[0]
    assert "nearly the same (100\xa0%)" in rows[0]


def test_a_ticket_that_its_runbook_solved_says_so(scene: Scene, asked: Ticket) -> None:
    twin = factories.ticket(source=asked.source, subject=asked.subject, body=BODY, status="resolved")
    decision = factories.decision(twin, article="unlock-account")
    at = timezone.now() - timedelta(minutes=5)
    factories.run(twin, scene.target, status="succeeded", decision=decision, requested_at=at, finished_at=at)
    page = _get(client_of(scene.agent), "ticket-similar", asked)
    assert twin.external_id in page
    assert "by the runbook “Unlock an account that failed sign-ins have locked”, 5 min ago" in page


def test_neither_other_customers_nor_undone_verdicts_are_shown(scene: Scene, asked: Ticket) -> None:
    foreign = factories.ticket(customer=scene.contoso, subject=asked.subject, body=BODY, status="resolved")
    factories.review(foreign, scene.stranger, article="unlock-account")
    undone = factories.ticket(source=asked.source, subject=asked.subject, body=BODY, status="resolved")
    factories.review(undone, scene.agent, article="unlock-account", undone_at=timezone.now())
    later_none = factories.ticket(source=asked.source, subject=asked.subject, body=BODY + " again", status="answered")
    factories.review(later_none, scene.agent, article="unlock-account")
    factories.review(later_none, scene.agent, verdict="none", article="", note="something else")
    scene.agent.is_superuser = True  # may see both customers, and still is shown one customer's tickets only
    scene.agent.save(update_fields=["is_superuser"])
    page = _get(client_of(scene.agent), "ticket-similar", asked)
    for row in (foreign, undone, later_none):
        assert row.external_id not in page
    assert "No resolved ticket reads like this one." in page


def test_a_sealed_ticket_tells_neither_words_nor_neighbours_until_its_verdict(scene: Scene, asked: Ticket) -> None:
    client, at = client_of(scene.agent), timezone.now()
    weighed.solved(scene.tickets[0].source, scene.agent, at=at)
    factories.draw(asked, "holdout", 0.5)
    page = client.get(reverse("ticket", args=[asked.uuid])).content.decode()
    assert reverse("ticket-why", args=[asked.uuid]) not in page
    assert reverse("ticket-similar", args=[asked.uuid]) not in page
    for name in ("ticket-why", "ticket-similar"):
        page = _get(client, name, asked)
        assert "drawn for a blind check" in page
        assert "KB10" not in page
        assert "<mark" not in page
        assert "<li>" not in page
    factories.review(asked, scene.agent, article="vpn", decided_at=at - timedelta(minutes=5))
    assert "Why KB1001" in _get(client, "ticket-why", asked)
    assert "<li>" in _get(client, "ticket-similar", asked)


def test_a_sealed_ticket_is_nobodys_neighbour(scene: Scene, asked: Ticket) -> None:
    twin = factories.ticket(source=asked.source, subject=asked.subject, body=BODY, status="resolved")
    factories.draw(twin, "verify", 0.05)
    decision = factories.decision(twin, article="unlock-account")
    factories.run(twin, scene.target, status="succeeded", decision=decision)
    page = _get(client_of(scene.agent), "ticket-similar", asked)
    assert twin.external_id not in page
    factories.review(twin, scene.agent, article="unlock-account", decided_at=timezone.now() - timedelta(minutes=5))
    assert twin.external_id in _get(client_of(scene.agent), "ticket-similar", asked)


def test_the_model_that_made_the_suggestion_explains_it_while_it_can_be_had(scene: Scene, asked: Ticket) -> None:
    Release.objects.filter(customer=scene.nordwind).update(status="retired")
    newer = trained.release(scene.nordwind)
    client = client_of(scene.agent)
    assert "Told by the model in force" not in _get(client, "ticket-why", asked)
    old = Release.objects.exclude(pk=newer.pk).get()
    old.delete()
    page = _get(client, "ticket-why", asked)
    assert f"Told by the model in force, {newer.version}" in page
    assert old.version in page
    assert "Why KB1001" in page


def test_without_a_model_a_plain_sentence_stands_there(scene: Scene, lake: Any) -> None:
    client, row = client_of(scene.agent), scene.tickets[0]
    assert "no model is in force for this customer" in _get(client, "ticket-why", row)
    gone = factories.release(scene.nordwind, status="in_force")  # its files are nowhere
    for name in ("ticket-why", "ticket-similar"):
        page = _get(client, name, row)
        assert f"The model {gone.version} is damaged or incomplete" in page
        assert "<mark" not in page


def test_without_a_suggestion_there_is_nothing_to_weigh(scene: Scene, made: Release) -> None:
    row = factories.ticket(source=scene.tickets[0].source, status="needs_review")
    assert "no suggestion" in _get(client_of(scene.agent), "ticket-why", row)
    assert reverse("ticket-why", args=[row.uuid]) not in _get(client_of(scene.agent), "ticket", row)


def test_labels_that_the_model_in_force_does_not_know_are_named(scene: Scene, made: Release) -> None:
    page = _get(client_of(scene.agent), "ticket-why", scene.tickets[0])  # predicted by a release that is no more
    assert "the model in force does not know KB0001 any more" in page
    assert serving.in_force(scene.nordwind) is not None


def test_a_long_text_is_marked_at_its_end_too(scene: Scene, made: Release) -> None:
    body = "good morning. " * 900 + "my account is locked, please unlock my account"
    row = weighed.ticket(scene.tickets[0].source, made, "", body)
    page = _get(client_of(scene.agent), "ticket-why", row)
    start, rest = page.split("<details>")
    assert re.search(r'<mark class="for s3">[^<]*locked', rest)
    assert "(no subject)" in start


def test_the_page_asks_as_many_questions_for_many_neighbours_as_for_one(
    scene: Scene, asked: Ticket, django_assert_max_num_queries: Any
) -> None:
    client, at = client_of(scene.agent), timezone.now()
    weighed.solved(scene.tickets[0].source, scene.agent, at=at, count=60)
    _get(client, "ticket-similar", asked)
    with django_assert_max_num_queries(22):
        _get(client, "ticket-similar", asked)
