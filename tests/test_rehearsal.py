"""What `triage runbook try` shows: what was found and where, what is in the way, the certificate, the pre-check alone."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from django.utils import timezone

from runbooks import registry
from runbooks.base import Parameter, Runbook
from runbooks.targets.directory import Account, Group, SqliteDirectory, create
from tests import factories, past, trained
from tests.factories import NOW
from tests.runbooks import folders
from triage import prediction, rehearsal, serving
from triage.cli import cli
from triage.embedded import Endpoints
from triage.environment import environment
from triage.models import (
    Article,
    AuditEvent,
    Certificate,
    Customer,
    Decision,
    Mode,
    Release,
    Run,
    RunbookState,
    Source,
    Ticket,
)
from triage.rehearsal import NotRehearsed, Rehearsal

pytestmark = pytest.mark.django_db(transaction=True)

LOCKED = {"subject": "unlock office", "body": "hello, my account is locked after too many failed sign-ins regards"}
LOCK = {"locked": True, "lock_reason": "failed_logins"}


class Scene:
    """A customer with a model, articles and a directory, and tickets of its one source."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "directory.sqlite3"
        ada = Account("ada", "Ada Lovelace", "ada@example.org", **LOCK)  # type: ignore[arg-type]  # a mixed mapping
        create(self.path, [ada, Account("bob", "Bob Byron", "bob@example.org")], groups=[Group("VPN", "", True)])
        self.customer: Customer = factories.customer(mode=Mode.AUTOMATE)
        self.source: Source = factories.source(customer=self.customer)
        for label in past.PROBLEMS:
            factories.article(key=label, runbook="unlock_account" if label == "unlock-account" else "")
        factories.target(self.customer, key="corp", settings=json.dumps({"path": str(self.path)}))
        self.release: Release = trained.release(self.customer)

    def ticket(self, **values: object) -> Ticket:
        return factories.ticket(**{"source": self.source, "channel": "portal", **LOCKED, **values})

    def certificate(self) -> Certificate:
        book = registry.get("unlock_account")
        with serving.offered(self.customer) as articles:
            gate = serving.gate(serving.load(self.release), pool=[book], articles=articles).hash
        return factories.certificate(self.release, gate=gate, action_digests={book.key: book.action_digest})

    def effects(self) -> int:
        directory = SqliteDirectory(self.path)
        try:
            return len(directory.effects())
        finally:
            directory.close()


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Path]:
    """A folder for runbooks of an operator's own, forgotten afterwards."""
    yield tmp_path / "own"
    registry.use("", packages=False)


def rehearse(ticket: Ticket, key: str = "unlock_account") -> Rehearsal:
    return rehearsal.rehearse(ticket=ticket, runbook=registry.get(key), actor="system:test", at=NOW)


def test_everything_about_a_run_is_shown_and_nothing_is_done(scene: Scene) -> None:
    scene.certificate()
    ticket = scene.ticket()
    done = rehearse(ticket)
    (account,) = done.found
    assert (account.value, account.source, account.problem) == ("ada", "requester", "")
    assert (done.complete, done.assurance, done.assured) == (True, "portal", True)
    assert (done.target, done.obstacles) == ("directory corp, ada", ())
    assert done.decided.covered
    assert (done.decided.mode, "covers this run" in done.decided.reason) == (Mode.AUTOMATE, True)
    assert done.pre_check is not None
    assert done.pre_check.passed
    assert scene.effects() == 0
    before = ticket.status, ticket.claim
    ticket.refresh_from_db()
    assert (ticket.status, ticket.claim) == before
    assert not Run.objects.exists()
    assert not Decision.objects.exists()
    event = AuditEvent.objects.get(event="rehearsed")
    assert (event.subject_id, event.actor, event.reason) == (ticket.pk, "system:test", "unlock_account")


def test_the_decision_shown_is_the_one_that_is_made_afterwards(scene: Scene) -> None:
    scene.certificate()
    tickets = [scene.ticket(), scene.ticket(channel="phone"), scene.ticket(body="is bob or ada locked?", subject="?")]
    shown = [rehearse(ticket).decided for ticket in tickets]
    prediction.classify_batch(at=NOW, limit=10)
    made = [Decision.objects.get(ticket=ticket) for ticket in tickets]
    assert [(each.mode, each.reason) for each in shown] == [(each.mode, each.reason) for each in made]
    assert len({each.mode for each in made}) == 3


def test_the_real_pre_check_says_no_and_only_it_is_run(scene: Scene) -> None:
    done = rehearse(scene.ticket(requester="bob@example.org"))
    assert done.pre_check is not None
    assert (done.pre_check.passed, done.pre_check.message) == (False, "bob is already unlocked")
    assert scene.effects() == 0


def test_a_value_of_the_text_is_shown_in_its_place(scene: Scene) -> None:
    ticket = scene.ticket(
        subject="VPN", body="please give Ada\x07 Lovelace\x1b[31m (ada@example.org) the group vpn now"
    )
    account, group = rehearse(ticket, "add_to_group").found
    assert (account.value, account.source) == ("ada", "text")
    assert "(ada@example.org) the group" in account.excerpt
    assert "\x1b" not in account.excerpt
    assert (group.value, group.source) == ("VPN", "text")
    quota = rehearse(scene.ticket(body="raise my mailbox from tiny to 50 GB please"), "raise_mailbox_quota").found[1]
    assert (quota.value, quota.source, "to 50 GB please" in quota.excerpt) == ("51200", "text", True)
    field = rehearse(scene.ticket(fields={"Account": "ada"})).found[0]
    assert (field.value, field.source, field.excerpt) == ("ada", "field account", "")


def test_a_host_and_a_date_of_the_text_are_shown_in_their_place(scene: Scene) -> None:
    hosts = {"hosts": {"web1.corp.example": {"connection": "local"}}}
    factories.target(scene.customer, key="hosts", kind="host", settings=json.dumps(hosts))
    needed = (
        Parameter(name="host", kind="host", title="the host"),
        Parameter(name="until", kind="date", title="the last day"),
        Parameter(name="note", kind="text", title="the note", fields=("note",)),
    )
    runbook = registry.get("collect_diagnostics").model_copy(update={"parameters": needed})
    ticket = scene.ticket(body="The server WEB1 is slow, keep it quiet until 31 December 2026 please")
    host, until, note = rehearsal.rehearse(ticket=ticket, runbook=runbook, actor="test", at=timezone.now()).found
    assert (host.value, "server WEB1 is slow" in host.excerpt) == ("web1.corp.example", True)
    assert (until.value, "until 31 December 2026 please" in until.excerpt) == ("2026-12-31", True)
    assert note.question == "What is the note?"


def test_what_is_missing_is_asked_for_and_no_pre_check_runs(scene: Scene) -> None:
    done = rehearse(scene.ticket(body="unlock ada@example.org and bob@example.org"))
    (account,) = done.found
    assert (account.value, done.complete, done.pre_check) == ("", False, None)
    assert "names ada, bob, and one is wanted" in account.problem
    assert account.question == "What is the account to unlock? (ada, bob?)"


def test_whatever_stands_in_the_way_now_is_named(scene: Scene) -> None:
    ticket = scene.ticket(channel="phone", status=Ticket.Status.RESOLVED)
    RunbookState.objects.create(customer=scene.customer, runbook="unlock_account", enabled=False)
    target = scene.customer.target_set.get()
    factories.run(scene.ticket(), target, target_object="ada")
    done = rehearse(ticket)
    assert done.obstacles == (
        "The ticket is resolved.",
        "This runbook is switched off.",
        "Another run on ada is under way.",
    )
    assert not done.assured
    scene.customer.target_set.update(kind="journal")
    done = rehearse(scene.ticket())
    assert "Not exactly one directory is set up for this customer." in done.obstacles
    assert (done.target, done.pre_check) == ("", None)


def test_no_certificate_and_another_choice_of_the_model_are_said(scene: Scene) -> None:
    done = rehearse(scene.ticket())
    assert not done.decided.covered
    assert "No certificate covers this runbook" in done.decided.why
    scene.certificate()
    Customer.objects.update(mode=Mode.SUGGEST)
    done = rehearse(rehearsal.ticket_called(str(scene.ticket().uuid), customer=None))
    assert (done.decided.covered, done.decided.mode) == (True, Mode.SUGGEST)
    other = rehearse(scene.ticket(subject="printer", body="the printer on our floor shows a paper jam"))
    assert other.decided.why == "The model finds article printer, which leads to no runbook."


def test_a_drawn_ticket_stays_sealed(scene: Scene) -> None:
    ticket = scene.ticket()
    factories.draw(ticket, "verify", 0.5)
    with pytest.raises(NotRehearsed, match="drawn for a blind answer"):
        rehearse(ticket)
    assert not AuditEvent.objects.filter(event="rehearsed").exists()


def test_a_ticket_is_found_within_its_customer_only(scene: Scene) -> None:
    mine = scene.ticket(external_id="INC1")
    other = factories.customer()
    theirs = factories.ticket(source=factories.source(customer=other), external_id="INC1")
    with pytest.raises(NotRehearsed, match="say whose with --customer"):
        rehearsal.ticket_called("INC1", customer=None)
    assert rehearsal.ticket_called("INC1", customer=scene.customer.slug) == mine
    assert rehearsal.ticket_called("INC1", customer=other.slug) == theirs
    assert rehearsal.ticket_called(str(theirs.uuid), customer=None) == theirs
    with pytest.raises(NotRehearsed, match=f"The customer {other.slug} has no ticket"):
        rehearsal.ticket_called(str(mine.uuid), customer=other.slug)
    with pytest.raises(NotRehearsed, match="There is no customer 'nobody'"):
        rehearsal.ticket_called("INC1", customer="nobody")
    unmapped = factories.ticket(source=factories.source(customer=None), customer=None, external_id="INC2")
    assert unmapped.customer is None
    with pytest.raises(NotRehearsed, match="No customer has a ticket INC2"):
        rehearsal.ticket_called("INC2", customer=None)


def test_routing_says_that_an_operators_runbook_is_unavailable_and_why(scene: Scene, own: Path) -> None:
    folders.write(own, definition=folders.DEFINITION.replace('"low"', '"x"'))
    registry.use(str(own))
    factories.article(customer=scene.customer, key="unlock-account", runbook="stamp")
    ticket = scene.ticket()
    prediction.classify_batch(at=NOW, limit=10)
    decision = Decision.objects.get(ticket=ticket)
    assert decision.mode == Mode.SUGGEST
    assert decision.reason.startswith("The runbook stamp is unavailable: runbook.toml: tier: Input should be")
    assert str(own) not in decision.reason


def test_an_operators_runbook_goes_the_whole_way(scene: Scene, own: Path, tmp_path: Path) -> None:
    folders.write(own)
    registry.use(str(own))
    book: Runbook = registry.get("stamp")
    from runbooks.targets import journal

    journal.create(tmp_path / "journal.sqlite3")
    factories.target(scene.customer, kind="journal", settings=json.dumps({"path": str(tmp_path / "journal.sqlite3")}))
    factories.article(customer=scene.customer, key="unlock-account", runbook="stamp")
    done = rehearse(scene.ticket(fields={"note": "no"}), "stamp")
    assert done.pre_check is not None
    assert done.pre_check.message == "the note says no"
    ticket = scene.ticket(fields={"note": "hello"})
    assert rehearse(ticket, book.key).decided.why.startswith("No certificate covers this runbook")
    prediction.classify_batch(at=NOW, limit=10)
    decision = Decision.objects.get(ticket=ticket)
    assert (decision.mode, decision.runbook, decision.parameters) == (Mode.APPROVE, "stamp", {"note": "hello"})


def test_the_command_shows_it_in_words_and_as_json(scene: Scene, lake: Endpoints) -> None:
    at = timezone.now()
    scene.ticket(external_id="INC7", updated_at=at, received_at=at - timedelta(minutes=1))
    told = CliRunner().invoke(cli, ["runbook", "try", "unlock_account", "--ticket", "INC7", "--dry-run"])
    assert told.exit_code == 0, told.output
    for words in (
        "a rehearsal: nothing is changed",
        "'ada', requester",
        "portal, and portal is needed: enough",
        "directory corp, ada",
        "60 runs an hour, 4 at the same moment",
        "does not cover it: No certificate covers this runbook",
        "approve: No certificate",
        "yes: The pre-check found nothing against it.",
    ):
        assert words in told.output
    argv = ["runbook", "try", "unlock_account", "--ticket", "INC7", "--customer", scene.customer.slug, "--json", "-"]
    result = json.loads(CliRunner().invoke(cli, argv).stdout)
    assert result["parameters"][0]["value"] == "ada"
    assert result["certificate"]["covers"] is False
    assert result["pre_check"] == {"passed": True, "message": "The pre-check found nothing against it."}
    assert scene.effects() == 0
    for argv, words in (
        (["nothing", "--ticket", "INC7"], "no runbook 'nothing'"),
        (["unlock_account", "--ticket", "INC8"], "No customer has a ticket INC8"),
    ):
        ended = CliRunner().invoke(cli, ["runbook", "try", *argv])
        assert (ended.exit_code, words in ended.output) == (2, True)


def test_article_keys_are_compared_with_the_customers_own_articles(scene: Scene, own: Path) -> None:
    folder = folders.write(own)
    elsewhere = factories.customer()
    factories.article(customer=elsewhere, key="KB0042", runbook="other")

    def warnings(*options: str) -> list[str]:
        told = CliRunner().invoke(cli, ["runbook", "check", str(folder), "--json", "-", *options])
        (found,) = json.loads(told.stdout)["runbooks"]
        return [str(each).partition("article_keys: ")[2] for each in found["warnings"]]

    # the command looks for the database where an installation has it
    (environment().home / "triage.sqlite3").touch()
    assert warnings() == ["article KB0042 names other: name stamp in it to make it run"]
    assert warnings("--customer", scene.customer.slug)[0].startswith("there is no live article KB0042")
    Article.objects.filter(key="KB0042").update(runbook="stamp")
    assert warnings("--customer", elsewhere.slug) == []
