"""Pulling: passes with an overlap, one state however it came, failures that wait, and a source without webhooks."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from tests import factories, past, trained
from tests.itsm.fakes import standard as fake
from triage import doctor, intake, pulling, recovery, tasks
from triage.itsm.base import Page
from triage.models import Decision, Delivery, Notification, Source, Ticket

pytestmark = pytest.mark.django_db(transaction=True)
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def server() -> Iterator[fake.Itsm]:
    with fake.running() as found:
        yield found


@pytest.fixture
def peer(server: fake.Itsm) -> fake.Itsm:
    """The ITSM, empty, with no token given out."""
    for kept in (server.tickets, server.tokens, server.valid, server.asked, server.refuse):
        kept.clear()
    server.page = 100
    return server


def connected(peer: fake.Itsm, **values: Any) -> Source:
    given = {
        "secrets": "",
        "credentials": peer.credentials(),
        "pull_every": 60,
        "settings": {"pull_url": peer.pull_url},
    }
    return factories.source(**{**given, **values})


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def pull(source: Source, *, at: datetime | None = None, **values: Any) -> pulling.Pulled:
    found = pulling.pull(source.pk, at=at or now(), by_hand=True, **values)
    assert found is not None
    return found


def webhook(source: Source, told: dict[str, Any]) -> intake.Accepted:
    body = json.dumps(told).encode()
    key = f"msg_{told['external_id']}_{len(body)}_{told['updated_at'][-20:-6]}"
    return intake.accept(source=source, key=key, body=body, headers={}, content_type="application/json", at=now())


def test_tickets_are_found_page_by_page_and_land_with_the_answer_as_it_came(peer: fake.Itsm) -> None:
    source, peer.page = connected(peer), 2
    for number in range(5):
        peer.put(f"INC{number}", at=now() - (5 - number) * MINUTE)
    done = pull(source)
    assert (done.pages, done.created, done.complete, done.waiting) == (3, 5, True, True)
    assert set(Ticket.objects.values_list("external_id", flat=True)) == {f"INC{number}" for number in range(5)}
    bodies = [json.loads(bytes(row.body or b"")) for row in Delivery.objects.order_by("pk")]
    assert [len(body["tickets"]) for body in bodies] == [2, 2, 1]
    assert "INC0" in bodies[0]["answer"]
    source.refresh_from_db()
    assert source.pulled_until == max(Ticket.objects.values_list("updated_at", flat=True))
    assert (source.pull_cursor, source.pull_claim_until) == ("", None)


def test_what_is_known_leaves_no_trace_when_it_is_pulled_again(peer: fake.Itsm) -> None:
    source = connected(peer)
    peer.put("INC1", at=now() - MINUTE)
    assert pull(source).created == 1
    again = pull(source)
    assert (again.seen, again.created, again.updated) == (1, 0, 0)
    assert Delivery.objects.count() == 1


def test_a_state_that_a_webhook_brought_in_other_words_is_not_written_again(peer: fake.Itsm) -> None:
    source = connected(peer, secrets=factories.SECRET)
    told = peer.put("INC1", at=now() - MINUTE)
    webhook(source, {**told, "body": "My account is locked"})
    before = Ticket.objects.get()
    assert pull(source).updated == 0
    after = Ticket.objects.get()
    assert (after.body, after.text_hash) == (before.body, before.text_hash)


def test_an_older_state_never_overwrites_a_newer_one(peer: fake.Itsm) -> None:
    source = connected(peer, secrets=factories.SECRET)
    told = peer.put("INC1", at=now() - 2 * MINUTE)
    webhook(source, {**told, "subject": "Newer", "updated_at": (now() - MINUTE).isoformat()})
    pull(source)
    assert Ticket.objects.get().subject == "Newer"


def test_a_change_that_no_webhook_told_is_found(peer: fake.Itsm) -> None:
    source = connected(peer, secrets=factories.SECRET)
    webhook(source, peer.put("INC1", at=now() - 2 * MINUTE))
    peer.put("INC1", at=now() - MINUTE, subject="Printer on fire")
    assert pull(source).updated == 1
    assert Ticket.objects.get().subject == "Printer on fire"


def test_what_became_visible_late_is_found_within_the_overlap(peer: fake.Itsm) -> None:
    source = connected(peer)
    peer.put("INC2", at=now() - MINUTE)
    pull(source)
    peer.put("INC1", at=now() - 4 * MINUTE)
    assert pull(source).created == 1


def test_a_pass_that_is_cut_off_goes_on_and_only_its_end_moves_the_mark(peer: fake.Itsm) -> None:
    source, peer.page = connected(peer), 1
    for number in range(3):
        peer.put(f"INC{number}", at=now() - (9 - number) * MINUTE)
    first = pull(source, seconds=0.0)
    source.refresh_from_db()
    assert (first.pages, first.complete, source.pulled_until, source.pull_cursor) == (1, False, None, "1")
    assert pulling.due(at=now() + MINUTE) == [source.pk], "it goes on at once"
    assert pull(source).created == 2
    source.refresh_from_db()
    assert source.pulled_until is not None
    assert source.pull_from is None


def test_too_many_requests_wait_as_long_as_the_itsm_asks(peer: fake.Itsm) -> None:
    source, at = connected(peer), now()
    peer.refuse.append((429, {"Retry-After": "600"}))
    done = pull(source, at=at)
    source.refresh_from_db()
    assert (done.complete, done.wait, source.pull_failures) == (False, 600.0, 1)
    assert "429" in source.pull_failure
    assert pulling.due(at=at + 9 * MINUTE) == []
    assert pulling.due(at=at + 11 * MINUTE) == [source.pk]
    pull(source)
    source.refresh_from_db()
    assert (source.pull_failure, source.pull_failures, source.pull_failing_since) == ("", 0, None)


def test_failures_wait_longer_each_time_and_after_an_hour_people_hear_of_it_once(peer: fake.Itsm) -> None:
    source, at = connected(peer), now()
    peer.refuse += [(503, {})] * 5
    waits = [pull(source, at=at + 20 * number * MINUTE).wait for number in range(3)]
    assert waits == [30.0, 60.0, 120.0]
    assert not Notification.objects.exists()
    for number in (3, 4):
        pull(source, at=at + 20 * number * MINUTE)
    told = Notification.objects.get()
    assert (told.kind, told.customer) == ("pull_failing", source.customer)
    assert "503" in told.text


def test_two_workers_never_pull_one_source_at_once(peer: fake.Itsm) -> None:
    source = connected(peer)
    Source.objects.filter(pk=source.pk).update(pull_claim_until=now() + MINUTE)
    assert pulling.pull(source.pk, at=now()) is None
    assert pulling.pull(source.pk, at=now() + 2 * MINUTE) is not None, "the claim of a dead worker ends"


def test_a_bad_ticket_hides_no_other_and_is_put_aside_once(peer: fake.Itsm) -> None:
    source = connected(peer)
    peer.put("INC1", at=now() - 2 * MINUTE, requester="two\nlines")
    peer.put("INC2", at=now() - MINUTE)
    done = pull(source)
    assert (done.created, done.quarantined) == (1, 1)
    assert "control character" in Delivery.objects.get().reason
    for _ in range(3):
        pull(source)
    assert Delivery.objects.count() <= 2


def test_a_token_is_fetched_once_and_again_when_it_is_refused(peer: fake.Itsm) -> None:
    source = connected(peer)
    pull(source)
    pull(source)
    assert peer.tokens == ["token-1"]
    peer.valid.clear()
    assert pull(source).complete
    assert peer.tokens == ["token-1", "token-2"]


def test_wrong_credentials_are_named_and_never_shown(peer: fake.Itsm) -> None:
    source = connected(peer, credentials=peer.credentials().replace("s3cret", "other"))
    assert "401" in pull(source).failure
    Source.objects.filter(pk=source.pk).update(credentials='{"kind": "basic", "user": "ada", "passwort": "hunter2"}')
    failure = pull(source).failure
    assert "credentials: basic.password: Field required" in failure
    assert "hunter2" not in failure


def test_a_backfill_by_hand_begins_where_it_is_told_and_leaves_no_gap(peer: fake.Itsm) -> None:
    source = connected(peer)
    peer.put("OLD", at=now() - timedelta(days=9))
    peer.put("NEW", at=now() - MINUTE)
    assert pull(source).created == 1
    assert pull(source, since=now() - timedelta(days=10)).created == 1
    source.refresh_from_db()
    assert source.pulled_until is not None
    assert source.pulled_until >= now() - 2 * MINUTE, "the mark never goes back"


def test_the_reconciler_rings_for_sources_that_are_due(peer: fake.Itsm) -> None:
    source, quiet = connected(peer), connected(peer, pull_every=None)
    assert ("pull_sources", (source.pk,)) in recovery.sweep(at=now()).bells
    assert ("pull_sources", (quiet.pk,)) not in recovery.sweep(at=now()).bells
    pull(source)
    assert ("pull_sources", (source.pk,)) not in recovery.sweep(at=now()).bells
    assert ("pull_sources", (source.pk,)) in recovery.sweep(at=now() + 2 * MINUTE).bells


def test_a_page_that_comes_twice_at_the_same_moment_is_stored_once(peer: fake.Itsm) -> None:
    source = connected(peer)
    peer.put("INC1", at=now() - MINUTE)
    page = _page(source)
    intake.accept_page(source=source, page=page, at=now())
    twice = intake.accept_page(source=source, page=replace(page, raw=b"other bytes"), at=now())
    assert twice.duplicate
    assert (Ticket.objects.count(), Delivery.objects.count()) == (1, 1)


def _page(source: Source) -> Page:
    from triage.itsm import SOURCES

    return SOURCES[source.kind].pull(source, since=now() - timedelta(hours=1), cursor="")


def test_a_pull_alone_brings_a_ticket_from_an_empty_installation_to_a_decision(peer: fake.Itsm) -> None:
    customer = factories.customer()
    for label in past.PROBLEMS:
        factories.article(key=label)
    trained.release(customer)
    source = connected(peer, customer=customer)
    subject, body = past.tickets(1, seed=9)[0][0]
    peer.put("INC1", at=now() - MINUTE, subject=subject, body=body)
    assert ("pull_sources", (source.pk,)) in recovery.sweep(at=now()).bells
    tasks.pull_sources(source.pk)
    tasks.classify_waiting()
    ticket = Ticket.objects.get()
    assert ticket.status not in {"received", "classified"}
    assert Decision.objects.get().ticket == ticket


def test_a_source_without_secrets_refuses_webhooks_and_the_doctor_calls_it_pull_only(peer: fake.Itsm) -> None:
    source = connected(peer)
    answer = Client().post(f"/webhooks/{source.slug}/", data=b"{}", content_type="application/json")
    assert (answer.status_code, "only pulled" in answer.json()["error"]) == (401, True)
    assert not Notification.objects.exists(), "nobody has to compare secrets that do not exist"
    peer.put("INC1", at=now() - MINUTE)
    pull(source)
    assert f"{source.slug}: pull only, until " in doctor._sources()


def test_the_doctor_says_which_source_is_not_pulled_and_which_brings_nothing(peer: fake.Itsm) -> None:
    failing, idle = connected(peer), connected(peer, pull_every=None)
    peer.refuse.append((503, {}))
    pull(failing)
    with pytest.raises(doctor.Bad, match=f"{failing.slug} is not pulled .*503.*{idle.slug} brings no tickets"):
        doctor._sources()
