"""Waiting tickets are claimed, classified and decided once, whatever changes, crashes or is killed in between."""

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from pydantic import SecretStr

from classifier.text import Document
from runbooks.registry import RUNBOOKS
from runbooks.targets.directory import Account, create
from tests import factories, past, servers, trained
from tests.factories import NOW
from triage import prediction, serving
from triage.environment import environment
from triage.models import (
    Approval,
    AuditEvent,
    Certificate,
    Customer,
    Decision,
    Mode,
    Prediction,
    Release,
    Run,
    Source,
    Ticket,
    Writeback,
)
from triage.prediction import answers, claims
from triage.serving import Serving

pytestmark = pytest.mark.django_db(transaction=True)

LOCKED = Document("unlock office", "hello, my account is locked after too many failed sign-ins in the office regards")
PRINTER = Document("printer office", "hello, the printer on our floor shows a paper jam in the office thank you")


@dataclass
class Scene:
    """A customer with a model, articles and a directory, and tickets of its one source."""

    customer: Customer
    source: Source
    release: Release

    def ticket(self, document: Document = LOCKED, **values: object) -> Ticket:
        given = {"subject": document.subject, "body": document.body, "source": self.source, "channel": "portal"}
        return factories.ticket(**{**given, **values})

    def certificate(self, **values: object) -> Certificate:
        """One that holds for today's gate."""
        serving_now = serving.load(self.release)
        pool = [RUNBOOKS["unlock_account"]]
        with serving.offered(self.customer) as articles:
            gate = serving.gate(serving_now, pool=pool, articles=articles).hash
        digests = {"unlock_account": RUNBOOKS["unlock_account"].action_digest}
        return factories.certificate(self.release, **{"gate": gate, "action_digests": digests, **values})

    def set_mode(self, mode: str) -> None:
        Customer.objects.filter(pk=self.customer.pk).update(mode=mode)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    customer = factories.customer(mode=Mode.AUTOMATE)
    source = factories.source(customer=customer)
    for label in past.PROBLEMS:
        factories.article(key=label, runbook="unlock_account" if label == "unlock-account" else "")
    ada = Account(uid="ada", display_name="Ada Lovelace", mail="ada@example.org", locked=True)
    create(tmp_path / "directory.sqlite3", [ada])
    factories.target(customer, kind="directory", settings=f'{{"path": "{tmp_path / "directory.sqlite3"}"}}')
    return Scene(customer, source, trained.release(customer))


def classify(limit: int = 200, later: float = 0) -> prediction.Progress:
    return prediction.classify_batch(at=NOW + timedelta(seconds=later), limit=limit)


def journey(ticket: Ticket) -> list[str]:
    """The states that the ticket went through, from its audit events."""
    events = AuditEvent.objects.filter(subject="ticket", subject_id=ticket.pk, event="status").order_by("pk")
    return [event.after for event in events]


def test_under_a_certificate_a_ticket_is_queued_with_its_run_at_once(scene: Scene) -> None:
    certificate = scene.certificate()
    ticket = scene.ticket()
    progress = classify()
    run = Run.objects.get()
    decision = Decision.objects.get()
    ticket.refresh_from_db()
    assert (progress.decided, progress.runs, progress.more) == (1, [run.pk], False)
    assert (run.runbook, run.parameters, run.target_object) == ("unlock_account", {"account": "ada"}, "ada")
    assert (decision.mode, decision.certificate, decision.expires_at) == (
        Mode.AUTOMATE,
        certificate,
        NOW + timedelta(minutes=30),
    )
    assert journey(ticket) == [Ticket.Status.CLASSIFIED, Ticket.Status.QUEUED]
    assert (ticket.claim, ticket.claim_until, ticket.attempts) == (None, None, 0)


def test_a_certificate_laxer_than_the_customer_asks_of_the_tier_lets_nothing_run_by_itself(scene: Scene) -> None:
    scene.certificate(alpha=0.05)
    first = scene.ticket()
    modes = {}
    for bounds in ({"low": 0.02}, {"low": 0.05, "medium": 0.001}):
        Customer.objects.filter(pk=scene.customer.pk).update(alpha_by_tier=bounds)
        classify()
        modes[bounds["low"]] = Decision.objects.get(ticket=first, in_force=True)
        Decision.objects.filter(ticket=first).update(in_force=False)
        Approval.objects.all().delete()
        Ticket.objects.filter(pk=first.pk).update(status=Ticket.Status.RECEIVED)
    assert (modes[0.02].mode, modes[0.05].mode) == (Mode.APPROVE, Mode.AUTOMATE)
    assert modes[0.02].reason == "No certificate covers this runbook, so a person confirms the run."


def test_without_a_certificate_one_person_is_asked_for_a_day(scene: Scene) -> None:
    ticket = scene.ticket()
    classify()
    approval = Approval.objects.get()
    decision = Decision.objects.get()
    assert (approval.people_needed, approval.parameters) == (1, {"account": "ada"})
    assert decision.expires_at == NOW + timedelta(hours=24)
    assert journey(ticket) == [Ticket.Status.CLASSIFIED, Ticket.Status.WAITING_APPROVAL]
    assert not Run.objects.exists()


def test_an_article_without_a_runbook_is_suggested_with_its_matches(scene: Scene) -> None:
    ticket = scene.ticket(PRINTER)
    classify()
    ticket.refresh_from_db()
    found = Prediction.objects.get()
    assert found.matches[0]["label"] == "printer"
    assert found.probability == found.matches[0]["probability"] > 0.5
    assert found.evidence["sufficient"] is True
    assert (found.release, found.text_hash, found.in_force) == (scene.release.version, ticket.text_hash, True)
    assert (ticket.status, ticket.reason) == (Ticket.Status.NEEDS_REVIEW, "Article printer has no runbook.")
    assert Decision.objects.get().mode == Mode.SUGGEST


@pytest.mark.parametrize("mode", [Mode.AUTOMATE, Mode.SUGGEST, Mode.OBSERVE])
def test_a_source_that_asks_gets_a_note_of_what_is_suggested_but_of_no_drawn_ticket(scene: Scene, mode: Mode) -> None:
    Source.objects.update(settings={"suggestion_notes": True})
    scene.set_mode(mode)
    ticket, drawn = scene.ticket(PRINTER), scene.ticket(PRINTER)
    factories.draw(drawn, "holdout")
    classify()
    told = list(Writeback.objects.values_list("ticket", "content"))
    assert told == ([] if mode == Mode.OBSERVE else [(ticket.pk, {"suggests": ticket.text_hash})])


@pytest.mark.parametrize(
    "change",
    [
        lambda scene: factories.article(key="other", translation_group="vpn", runbook="unlock_account"),
        lambda scene: Certificate.objects.update(gate="b" * 64),
        lambda scene: Certificate.objects.update(revoked_at=NOW),
        lambda scene: Certificate.objects.update(
            expires_at=NOW + timedelta(seconds=0), issued_at=NOW - timedelta(days=9)
        ),
        lambda scene: Certificate.objects.update(action_digests={"unlock_account": "0" * 64}),
        lambda scene: Certificate.objects.update(threshold=1.0),
    ],
    ids=["another article leads to it", "another gate", "revoked", "expired", "action changed", "below threshold"],
)
def test_whatever_voids_the_certificate_brings_a_person_in(scene: Scene, change: Callable[[Scene], object]) -> None:
    scene.certificate()
    change(scene)
    unsure = Document("unlock office", "hello, my account is locked or the printer on our floor is offline")
    scene.ticket(unsure if Certificate.objects.get().threshold == 1.0 else LOCKED)
    classify()
    assert Decision.objects.get().mode != Mode.AUTOMATE
    assert not Run.objects.exists()


def test_a_changed_action_runs_by_itself_again_after_enough_confirmed_runs(scene: Scene) -> None:
    scene.certificate(action_digests={"unlock_account": "0" * 64})
    target = scene.customer.target_set.get()
    for _ in range(20):
        done = scene.ticket(status=Ticket.Status.RESOLVED)
        decision = factories.decision(done, Mode.APPROVE)
        digest = RUNBOOKS["unlock_account"].action_digest
        factories.run(done, target, status=Run.Status.SUCCEEDED, decision=decision, action_digest=digest)
    scene.ticket()
    assert len(classify().runs) == 1


def test_the_kill_switch_leaves_the_runbook_to_the_agent(scene: Scene) -> None:
    scene.certificate()
    Customer.objects.update(automation_enabled=False)
    ticket = scene.ticket()
    classify()
    ticket.refresh_from_db()
    assert (ticket.status, ticket.reason) == (
        Ticket.Status.NEEDS_REVIEW,
        "Automation is switched off for this customer.",
    )


def test_a_channel_that_does_not_show_who_asks_needs_a_person(scene: Scene) -> None:
    scene.certificate()
    scene.ticket(channel="phone")
    classify()
    assert "who is asking" in Decision.objects.get().reason
    assert Approval.objects.get().people_needed == 1


def test_a_drawn_ticket_waits_for_a_person_with_no_run(scene: Scene) -> None:
    scene.certificate()
    factories.draw(ticket := scene.ticket(), "holdout", 0.5)
    classify()
    ticket.refresh_from_db()
    assert ticket.status == Ticket.Status.NEEDS_REVIEW
    assert ticket.reason.startswith("Drawn by chance")


def test_observe_mode_records_and_hands_over_only_what_was_drawn(scene: Scene) -> None:
    scene.certificate()
    scene.set_mode(Mode.OBSERVE)
    plain, drawn = scene.ticket(), scene.ticket(PRINTER)
    factories.draw(drawn, "holdout", 0.5)
    classify()
    assert journey(plain) == [Ticket.Status.CLASSIFIED, Ticket.Status.OBSERVED]
    assert journey(drawn) == [Ticket.Status.CLASSIFIED, Ticket.Status.NEEDS_REVIEW]
    assert set(Decision.objects.values_list("mode", flat=True)) == {Mode.OBSERVE}
    assert Prediction.objects.count() == 2


def test_a_machines_ticket_with_a_problem_in_an_attachment_is_not_run(scene: Scene) -> None:
    scene.certificate()
    short = Document("unlock account locked sign-ins", "account is locked, please unlock")
    scene.ticket(short, attachments=[{"name": "screen.png", "type": "image/png"}])
    classify()
    assert "attachment" in Decision.objects.get().reason


def test_without_a_release_a_person_gets_the_ticket_and_learns_why(scene: Scene) -> None:
    Release.objects.update(status=Release.Status.RETIRED)
    ticket = scene.ticket()
    assert classify().decided == 1
    ticket.refresh_from_db()
    found = Prediction.objects.get()
    assert (ticket.status, ticket.reason) == (Ticket.Status.NEEDS_REVIEW, "There is no model yet for this customer.")
    assert (found.matches, found.release, found.probability, found.score) == ([], "", 0.0, 0.0)
    assert journey(ticket) == [Ticket.Status.NEEDS_REVIEW]


def test_a_ticket_that_no_customer_owns_yet_is_never_claimed(scene: Scene) -> None:
    ticket = scene.ticket(customer=None)
    assert classify() == prediction.Progress(decided=0, more=False, runs=[])
    ticket.refresh_from_db()
    assert (ticket.status, ticket.attempts) == (Ticket.Status.RECEIVED, 0)


def test_a_batch_is_of_one_customer_and_says_whether_others_wait(scene: Scene) -> None:
    other = factories.customer()
    first, second = scene.ticket(PRINTER), factories.ticket(customer=other)
    assert classify().more is True
    assert [Ticket.objects.get(pk=t.pk).status for t in (first, second)] == ["needs_review", "received"]
    assert classify().more is False
    assert "no model yet" in Ticket.objects.get(pk=second.pk).reason


def test_a_new_decision_supersedes_the_old_one_for_good(scene: Scene) -> None:
    ticket = scene.ticket(PRINTER)
    classify()
    Ticket.objects.filter(pk=ticket.pk).update(status=Ticket.Status.RECEIVED)
    classify(later=5)
    for table in (Prediction, Decision):
        assert list(table.objects.order_by("pk").values_list("in_force", flat=True)) == [False, True]


def test_a_run_that_was_already_tried_goes_to_a_person_and_not_nowhere(scene: Scene) -> None:
    scene.certificate()
    ticket = scene.ticket()
    factories.run(ticket, scene.customer.target_set.get(), status=Run.Status.FAILED)
    classify()
    ticket.refresh_from_db()
    assert (ticket.status, ticket.reason) == (
        Ticket.Status.NEEDS_REVIEW,
        "This runbook was already tried for this ticket.",
    )


@pytest.mark.parametrize(
    "change",
    [{"text_hash": "f" * 64, "body": "now something else"}, {"requester": "bob@example.org"}, {"fields": {"u": "1"}}],
    ids=["text", "requester", "fields"],
)
def test_a_ticket_that_changes_while_the_model_runs_is_not_decided_on_what_it_said(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, change: dict[str, object]
) -> None:
    changed, other = scene.ticket(PRINTER), scene.ticket(PRINTER)
    real = serving.in_force

    def meanwhile(customer: Customer) -> Serving | None:
        assert not connection.in_atomic_block
        Ticket.objects.filter(pk=changed.pk).update(**change)
        return real(customer)

    monkeypatch.setattr(serving, "in_force", meanwhile)
    assert classify().decided == 1
    changed.refresh_from_db()
    assert (changed.status, changed.claim, changed.claim_until, changed.attempts) == ("received", None, None, 0)
    assert not Prediction.objects.filter(ticket_id=changed.pk).exists()
    assert Ticket.objects.get(pk=other.pk).status == Ticket.Status.NEEDS_REVIEW


def test_a_claim_that_was_taken_over_meanwhile_stores_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = scene.ticket(PRINTER)
    real, theirs = serving.in_force, uuid.uuid4()

    def meanwhile(customer: Customer) -> Serving | None:
        Ticket.objects.filter(pk=ticket.pk).update(claim=theirs)
        return real(customer)

    monkeypatch.setattr(serving, "in_force", meanwhile)
    assert classify().decided == 0
    ticket.refresh_from_db()
    assert (ticket.status, ticket.claim) == ("received", theirs)
    assert not Decision.objects.exists()


KILLED = """
import os, signal, sys
import django
django.setup()
from django.conf import settings
settings.DATABASES["default"]["NAME"] = sys.argv[1]
from datetime import datetime
from triage import prediction, serving
from triage.environment import environment
serving.in_force = lambda customer: os.kill(os.getpid(), signal.SIGKILL)
prediction.classify_batch(at=datetime.fromisoformat(sys.argv[2]), limit=200)
"""


def test_the_claim_of_a_killed_worker_is_taken_up_when_it_expires(scene: Scene) -> None:
    ticket = scene.ticket(PRINTER)
    name = str(connection.settings_dict["NAME"])
    died = subprocess.run(
        [sys.executable, "-c", KILLED, name, NOW.isoformat()],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "triage.settings"},
        check=False,
        capture_output=True,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    ticket.refresh_from_db()
    assert (ticket.status, ticket.attempts) == ("received", 1)
    assert classify(later=59) == prediction.Progress(decided=0, more=False, runs=[])
    assert classify(later=61).decided == 1
    ticket.refresh_from_db()
    assert (ticket.status, ticket.attempts) == ("needs_review", 0)
    assert Prediction.objects.get().matches[0]["label"] == "printer"


def test_a_ticket_tried_before_is_read_in_a_child_and_decided_as_any_other(scene: Scene) -> None:
    scene.certificate()
    ticket = scene.ticket(attempts=1)
    assert len(classify().runs) == 1
    found = Prediction.objects.get()
    assert found.score == trained.model().rank([Document(ticket.subject, ticket.body)])[0].score > 0.9


POISON = """
import json, os, runpy, signal, sys, time

def lines():
    yield sys.__stdin__.readline()
    for line in sys.__stdin__:
        if "kill" in json.loads(line)["body"]:
            os.kill(os.getpid(), signal.SIGKILL)
        if "hang" in json.loads(line)["body"]:
            time.sleep(60)
        yield line

class Reader:
    def __init__(self):
        self.rest = lines()
    def readline(self):
        return next(self.rest)
    def __iter__(self):
        return self.rest

sys.stdin = Reader()
sys.argv = ["classifier.alone", *sys.argv[1:]]
runpy.run_module("classifier.alone", run_name="__main__", alter_sys=True)
"""


def test_a_poison_among_tickets_of_a_lost_worker_is_found_in_one_pass(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "ALONE", (sys.executable, "-c", POISON))
    before = [scene.ticket(PRINTER, attempts=1) for _ in range(3)]
    poison = scene.ticket(Document("printer", "the text that must kill"), attempts=1)
    after = [scene.ticket(PRINTER, attempts=1) for _ in range(3)]
    assert classify().decided == 3
    attempts = dict(Ticket.objects.values_list("pk", "attempts"))
    assert [attempts[ticket.pk] for ticket in (*before, poison, *after)] == [0, 0, 0, 2, 1, 1, 1]
    assert classify().decided == 3, "the others did not wait for the poison's next try"
    assert classify().decided == 1
    poison.refresh_from_db()
    assert poison.status == Ticket.Status.NEEDS_REVIEW


@pytest.mark.parametrize(("word", "why"), [("kill", "ended with SIGKILL"), ("hang", "longer than 2 s")])
def test_a_poison_ticket_ends_with_a_person_and_takes_no_other_along(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, word: str, why: str
) -> None:
    monkeypatch.setattr(answers, "ALONE", (sys.executable, "-c", POISON))
    monkeypatch.setattr(answers, "ALONE_SECONDS", 2 if word == "hang" else 60)
    poison = scene.ticket(Document("printer", f"the text that must {word}"), attempts=1)
    others = [scene.ticket(PRINTER)]
    for _ in range(2):
        classify()
    if word == "kill":
        others.append(scene.ticket(PRINTER, attempts=1))
        classify()
    poison.refresh_from_db()
    assert poison.status == Ticket.Status.NEEDS_REVIEW
    assert poison.reason.startswith("The text could not be classified in 3 tries.")
    assert why in poison.reason
    assert Prediction.objects.get(ticket_id=poison.pk).matches == []
    for other in others:
        assert Prediction.objects.get(ticket_id=other.pk).matches[0]["label"] == "printer"


def test_a_ticket_whose_worker_is_lost_on_every_try_ends_with_a_person(scene: Scene) -> None:
    ticket = scene.ticket(attempts=3, claim=uuid.uuid4(), claim_until=NOW - timedelta(seconds=1))
    assert classify().decided == 1
    ticket.refresh_from_db()
    assert ticket.status == Ticket.Status.NEEDS_REVIEW
    assert "Each time the worker was lost or failed" in ticket.reason


def test_a_batch_that_is_too_large_for_memory_is_tried_one_by_one(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = scene.ticket(PRINTER)
    model = serving.load(scene.release).classifier

    def full(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(model, "rank", full)
    assert claims.TRIES > 1
    claim = claims.take(at=NOW, limit=200, tried=False)
    assert claim is not None
    with pytest.raises(answers.TryAgain, match="not enough memory"):
        answers.ask(claim, at=NOW)
    claims.give_back(claim)
    assert classify().decided == 1
    assert Prediction.objects.get(ticket_id=ticket.pk).matches[0]["label"] == "printer"


def test_tickets_wait_while_the_lake_is_down_and_then_go_to_a_person(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment(), "lake_endpoint", "http://127.0.0.1:9")
    monkeypatch.setattr(environment(), "lake_access_key", "a")
    monkeypatch.setattr(environment(), "lake_secret_key", SecretStr("b"))
    serving.folder_of(scene.release).rename(serving.folder_of(scene.release).with_suffix(".away"))
    ticket = scene.ticket()
    assert classify(later=1).decided == 0
    ticket.refresh_from_db()
    assert (ticket.status, ticket.attempts, ticket.claim) == ("received", 0, None)
    assert ticket.claim_until == NOW + timedelta(seconds=16)
    assert classify(later=601).decided == 1
    ticket.refresh_from_db()
    assert "could not be fetched" in ticket.reason


def test_the_claim_is_committed_before_the_model_runs(scene: Scene) -> None:
    scene.ticket()
    claim = claims.take(at=NOW, limit=10, tried=False)
    assert claim is not None
    assert not connection.in_atomic_block
    row = Ticket.objects.get()
    assert (row.claim, row.claim_until, row.attempts) == (claim.id, NOW + timedelta(seconds=60), 1)
    assert claims.take(at=NOW, limit=10, tried=False) is None


CLAIMERS = """
import json, threading
import django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.db import connections, transaction
from tests import factories
from triage.prediction import claims

source = factories.source()
for _ in range(10):
    factories.ticket(source=source)
held, done, found = threading.Event(), threading.Event(), {}

def first():
    with transaction.atomic():  # keeps the rows locked, as a claimer does for a moment
        found["first"] = [ticket.pk for ticket in claims.take(at=factories.NOW, limit=4, tried=False).tickets]
        held.set()
        done.wait(20)
    connections.close_all()

thread = threading.Thread(target=first)
thread.start()
held.wait(20)
found["second"] = [ticket.pk for ticket in claims.take(at=factories.NOW, limit=4, tried=False).tickets]
found["still_held"] = thread.is_alive()
done.set()
thread.join()
found["third"] = [ticket.pk for ticket in claims.take(at=factories.NOW, limit=4, tried=False).tickets]
found["fourth"] = claims.take(at=factories.NOW, limit=4, tried=False)
print(json.dumps(found))
"""


def test_on_postgresql_claimers_pass_each_others_rows_by_without_waiting() -> None:
    with servers.postgres() as url:
        done = subprocess.run(
            [sys.executable, "-c", CLAIMERS],
            env={**os.environ, "TRIAGE_DATABASE_URL": url},
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert [len(found[name]) for name in ("first", "second", "third")] == [4, 4, 2]
    assert len({*found["first"], *found["second"], *found["third"]}) == 10
    assert found["still_held"] is True
    assert found["fourth"] is None
