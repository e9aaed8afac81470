"""A ticket filed in a ticket system that others wrote comes to its end there: told by webhook, and only pulled."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

from runbooks.registry import RUNBOOKS
from runbooks.targets.directory import LOCKED_BY_FAILED_LOGINS, Account, SqliteDirectory, create
from tests import factories, past, ticket_system, trained
from tests.ticket_system import PASSWORD, Tracker, roundup
from triage import execution, itsm, prediction, pulling, review, serving, writeback
from triage.models import Mode, Review, Run, Source, Ticket
from triage.queries.blind import GRACE, UNDO

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("lake"),
    pytest.mark.skipif(not ticket_system.is_installed(), reason=ticket_system.MISSING),
]
SUBJECT = "unlock office"
TEXT = "hello, my account is locked after too many failed sign-ins in the office regards"


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[SqliteDirectory]:
    """Where ada's account is locked."""
    path = tmp_path / "directory.sqlite3"
    ada = Account("ada", "Ada Lovelace", "ada@example.org", locked=True, lock_reason=LOCKED_BY_FAILED_LOGINS)
    create(path, [ada])
    opened = SqliteDirectory(path)
    yield opened
    opened.close()


@pytest.fixture
def source(directory: SqliteDirectory, tmp_path: Path) -> Source:
    """A connection whose customer has a model, articles, that directory and a certificate for unlocking."""
    at = timezone.now()
    customer = factories.customer(mode=Mode.AUTOMATE)
    for label in past.PROBLEMS:
        factories.article(key=label, runbook="unlock_account" if label == "unlock-account" else "")
    factories.target(customer, settings=json.dumps({"path": str(tmp_path / "directory.sqlite3")}))
    release = trained.release(customer)
    runbook = RUNBOOKS["unlock_account"]
    with serving.offered(customer) as articles:
        gate = serving.gate(serving.load(release), pool=[runbook], articles=articles).hash
    digests = {"unlock_account": runbook.action_digest}
    times = {"issued_at": at, "expires_at": at + timedelta(days=9), "window_from": at, "window_until": at}
    factories.certificate(release, gate=gate, action_digests=digests, **times)
    return factories.source(
        customer=customer,
        slug="roundup",
        kind="roundup",
        assurance={"roundup": "portal"},
        credentials=json.dumps({"kind": "basic", "user": "triage", "password": PASSWORD}),
    )


def connect(source: Source, tracker: Tracker) -> None:
    source.settings = {"api_url": tracker.url, "comments": "all", "own_user": "triage"}
    source.save()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline, "it did not come within 10 s"
        time.sleep(0.05)


def run_what_is_due() -> None:
    """What the workers do: classify, run, and tell the ticket system."""
    for run in prediction.classify_batch(at=timezone.now(), limit=10).runs:
        assert execution.execute(run, at=timezone.now())
    told = writeback.deliver(at=timezone.now() + UNDO + GRACE)
    assert not told.failed


def test_a_ticket_told_by_webhook_is_solved_in_the_ticket_system(
    live_server: LiveServer, source: Source, directory: SqliteDirectory, tmp_path: Path
) -> None:
    door = f"{live_server.url}/webhooks/roundup/"
    with roundup(tmp_path, webhook=door, secret=factories.SECRET) as tracker:
        connect(source, tracker)
        issue = tracker.file(SUBJECT, TEXT)
        until(lambda: Ticket.objects.filter(external_id=issue).exists())
        ticket = Ticket.objects.get(external_id=issue)
        assert (ticket.subject, ticket.body, ticket.requester) == (SUBJECT, TEXT, "ada@example.org")
        run_what_is_due()
        ticket.refresh_from_db()
        assert ticket.status == Ticket.Status.RESOLVED, ticket.reason
        assert Run.objects.get().status == Run.Status.SUCCEEDED
        assert [effect.account for effect in directory.effects()] == ["ada"]
        assert tracker.status(issue) == "resolved"
        assert len(tracker.messages(issue)) == 2
        assert "done and checked" in tracker.messages(issue)[1]
        until(lambda: Ticket.objects.get(external_id=issue).itsm_status == "resolved")
        assert Ticket.objects.get().status == Ticket.Status.RESOLVED, "what our own user wrote opens nothing again"


def test_a_ticket_that_is_only_pulled_is_answered_in_the_ticket_system(source: Source, tmp_path: Path) -> None:
    with roundup(tmp_path) as tracker:
        connect(source, tracker)
        filed = [
            tracker.file(f"{SUBJECT} {number}", "the printer on our floor shows a paper jam") for number in range(3)
        ]
        pulled = pulling.pull(source.pk, at=timezone.now(), by_hand=True)
        assert pulled is not None
        assert (pulled.failure, pulled.created, pulled.complete) == ("", 3, True)
        run_what_is_due()
        ticket = Ticket.objects.get(external_id=filed[1])
        assert ticket.status == Ticket.Status.NEEDS_REVIEW
        assert source.customer is not None
        agent = factories.member(source.customer)
        review.decide(
            ticket=ticket,
            person=agent,
            verdict=Review.Verdict.ARTICLE,
            at=timezone.now(),
            article="printer",
            note="Open tray two.",
            follow="reply",
        )
        run_what_is_due()
        assert len(tracker.messages(filed[0])) == 1
        first, answer = tracker.messages(filed[1])
        assert "paper jam" in first
        assert "Open tray two." in answer
        connector = itsm.SOURCES["roundup"]
        for _ in range(2):
            connector.reply(source, external_id=filed[1], key="again", what="resolve", content={"text": "All done."})
        assert tracker.messages(filed[1])[2:] == ["All done."]
        assert tracker.status(filed[1]) == "resolved"
        seen = connector.read(source, filed[1])
        assert seen is not None
        assert seen.closed
        assert seen.text_hash == ticket.text_hash
        check_placing(source, filed[0], closed=filed[1])
        again = pulling.pull(source.pk, at=timezone.now(), by_hand=True)
        assert again is not None
        assert (again.failure, again.created) == ("", 0)
        assert Ticket.objects.get(external_id=filed[1]).status != Ticket.Status.RECEIVED


def check_placing(source: Source, issue: str, *, closed: str) -> None:
    """An assignee is set where nobody is assigned, once, and nobody's choice is overwritten."""

    def place(external_id: str, name: str) -> itsm.Placed:
        order = itsm.Order("place-1", {"assignee": name, "group": "x"}, {})
        return itsm.SOURCES["roundup"].place(source, external_id=external_id, order=order)

    assert "no user nobody" in place(issue, "nobody").left["assignee"]
    first = place(issue, "triage")
    assert (first.set, set(first.left)) == ({"assignee": "triage"}, {"group"})
    seen = itsm.SOURCES["roundup"].read(source, issue)
    assert seen is not None
    assert first.echo.items() <= seen.incoming.fields.items()
    assert not place(issue, "triage").set
    assert place(issue, "admin").left["assignee"] == "somebody set triage"
    assert not place(closed, "triage").set


def test_a_detector_without_its_settings_keeps_nobody_from_filing(tmp_path: Path) -> None:
    with roundup(tmp_path, webhook=" ", secret=" ") as tracker:
        assert tracker.status(tracker.file(SUBJECT, TEXT)) == "unread"
