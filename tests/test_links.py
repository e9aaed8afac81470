"""A run that sends a one-time link, and the page that it leads to: real run, real SMTP server, real directory."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from runbooks import registry
from runbooks.targets.directory import Account, SqliteDirectory, create
from tests import factories, mailbox, runs
from tests.mailbox import Mailbox
from triage import automation, execution, links, rehearsal
from triage.environment import environment
from triage.models import AuditEvent, Mode, Notification, OneTimeLink, Run, Ticket
from triage.rate import Buckets
from triage.web import password

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("lake")]

NEW = "correct staple 9"
CONTACT = "ada@home.example"


@pytest.fixture(scope="module")
def server() -> Iterator[Mailbox]:
    with mailbox.running() as box:
        yield box


@pytest.fixture
def box(server: Mailbox, lake: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    """A mail server that the installation knows; after `lake`, which reads the environment anew."""
    server.clear()
    monkeypatch.setenv("TRIAGE_MAIL_URL", server.url)
    monkeypatch.setenv("TRIAGE_MAIL_FROM", "Triage <triage@corp.example>")
    monkeypatch.setattr(password, "_buckets", Buckets(password.A_MINUTE))
    environment.cache_clear()
    yield server
    environment.cache_clear()


class Scene:
    """A ticket of somebody who has forgotten a password, and its decided run."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "directory.sqlite3"
        create(
            self.path,
            [
                Account("ada", "Ada Lovelace", "ada@corp.example", contact=CONTACT),
                Account("boss", "B Boss", "boss@corp.example", contact="boss@home.example", privileged=True),
            ],
        )
        self.customer = factories.customer(mode=Mode.AUTOMATE)
        self.source = factories.source(customer=self.customer)
        self.target = factories.target(self.customer, settings=f'{{"path": "{self.path}"}}')

    def run(self, account: str = "ada") -> Run:
        """A run at a person's word, for a ticket whose text names another address."""
        at = timezone.now()
        body = "Password forgotten. Please send the link to mallory@evil.example"
        ticket = factories.ticket(source=self.source, status=Ticket.Status.NEEDS_REVIEW, body=body)
        decision = factories.decision(
            ticket, mode=Mode.APPROVE, runbook="reset_password", parameters={"account": account}
        )
        run = automation.request(
            ticket=ticket, decision=decision, at=at, actor=runs.ACTOR, ordered_by=factories.person()
        )
        assert run is not None
        return run

    def done(self, account: str = "ada") -> Run:
        """The same, executed."""
        run = self.run(account)
        execution.execute(run.pk, at=timezone.now())
        run.refresh_from_db()
        return run

    def lets_in(self, word: str) -> bool:
        directory = SqliteDirectory(self.path)
        try:
            return directory.lets_in("ada", word)
        finally:
            directory.close()


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def path_in(box: Mailbox) -> str:
    """The path of the link in the newest mail."""
    found = re.search(r"http://127\.0\.0\.1:8000(/set-password/[\w-]{43}/)\s", box.letters[-1][1].get_content())
    assert found is not None
    return found[1]


def post(path: str, word: str = NEW, again: str | None = None) -> Any:
    # As browsers do where a page sends no referrer.
    client = Client(enforce_csrf_checks=True)
    return client.post(path, {"password": word, "again": word if again is None else again}, headers={"origin": "null"})


def test_a_link_goes_to_the_contact_on_file_only_and_its_owner_sets_the_password(scene: Scene, box: Mailbox) -> None:
    run = scene.done()
    assert run.status == Run.Status.SUCCEEDED, run.reason
    assert Ticket.objects.get(pk=run.ticket_id).status == Ticket.Status.RESOLVED
    ((to, mail),) = box.letters
    assert (to, mail["Message-ID"]) == (CONTACT, f"<{run.uuid}.link@corp.example>")
    assert "mallory" not in mail.as_string()
    path = path_in(box)
    link = OneTimeLink.objects.get(run=run)
    assert path == reverse("set-password", args=[path.split("/")[2]])
    assert link.digest == links.digest_of(path.split("/")[2])

    for _ in range(3):  # a mail scanner opens it, twice
        page = Client().get(path)
        assert page.status_code == 200
    assert (page["Referrer-Policy"], "no-store" in page["Cache-Control"]) == ("no-referrer", True)
    assert "script" not in page.content.decode()
    assert not page.cookies
    link.refresh_from_db()
    assert (link.used_at, link.tries) == (None, 0)

    done = post(path)
    assert done.status_code == 200
    assert "The password is set" in done.content.decode()
    assert scene.lets_in(NEW)
    to, told = box.letters[-1]
    assert (to, told["Subject"]) == (CONTACT, "The password of ada was changed")
    assert path not in told.get_content()
    assert AuditEvent.objects.filter(subject="run", subject_id=run.pk, event="password set through the link").exists()


def test_nothing_that_is_stored_holds_the_secret_or_the_password(scene: Scene, box: Mailbox) -> None:
    run = scene.done()
    secret = path_in(box).split("/")[2]
    post(path_in(box))
    run.refresh_from_db()
    rows = [*OneTimeLink.objects.values(), *Run.objects.values(), *AuditEvent.objects.values()]
    assert secret not in repr(rows)
    assert NEW not in repr(rows)
    assert CONTACT not in repr(rows)
    assert "a***@home.example" in run.output


def dead(page: Any) -> bytes:
    assert page.status_code == 410
    assert (page["Referrer-Policy"], "no-store" in page["Cache-Control"]) == ("no-referrer", True)
    return bytes(page.content)


def test_old_used_revoked_and_invented_links_show_one_and_the_same_page(scene: Scene, box: Mailbox) -> None:
    pages = {dead(Client().get("/set-password/never-was/")), dead(post("/set-password/never-was/"))}
    scene.done()
    first = path_in(box)
    scene.done()
    second = path_in(box)
    pages |= {dead(Client().get(first)), dead(post(first))}
    assert Client().get(second).status_code == 200, "a newer link takes the place of the older"
    for column, value in (("expires_at", timezone.now()), ("revoked_at", timezone.now()), ("tries", links.MOST_TRIES)):
        before = OneTimeLink.objects.filter(revoked_at=None).values("pk", column).get()
        OneTimeLink.objects.filter(pk=before["pk"]).update(**{column: value})
        pages |= {dead(Client().get(second)), dead(post(second))}
        OneTimeLink.objects.filter(pk=before["pk"]).update(**{column: before[column]})
    assert not scene.lets_in(NEW)
    assert post(second).status_code == 200
    pages |= {dead(Client().get(second)), dead(post(second, "another long password"))}
    assert len(pages) == 1
    assert scene.lets_in(NEW)


def test_the_link_of_a_run_that_did_not_succeed_does_not_open(scene: Scene, box: Mailbox) -> None:
    """That is the whole undo: whatever became of the mail, an undone run leaves nothing that works."""
    run = scene.run()
    handed = links.prepare(run, registry.get("reset_password"), at=timezone.now())
    path = handed["link"].removeprefix(environment().base_url)
    for status in set(Run.Status) - {Run.Status.SUCCEEDED}:
        Run.objects.filter(pk=run.pk).update(status=status)
        dead(Client().get(path))
        dead(post(path))
    assert not scene.lets_in(NEW)
    Run.objects.filter(pk=run.pk).update(status=Run.Status.SUCCEEDED)
    assert Client().get(path).status_code == 200


def test_a_mail_that_is_not_accepted_undoes_the_run(scene: Scene, box: Mailbox) -> None:
    box.refuse = "550 no such mailbox"
    run = scene.done()
    assert run.status == Run.Status.UNDONE
    assert "550 no such mailbox" in run.reason
    assert Ticket.objects.get(pk=run.ticket_id).status == Ticket.Status.NEEDS_REVIEW


def test_a_mail_whose_acceptance_is_lost_undoes_the_run_and_its_link_is_dead(scene: Scene, box: Mailbox) -> None:
    box.close_after_data = True
    run = scene.done()
    assert run.status == Run.Status.UNDONE
    dead(post(path_in(box)))
    assert not scene.lets_in(NEW)


def test_no_link_goes_out_for_an_account_that_no_runbook_touches(scene: Scene, box: Mailbox) -> None:
    run = scene.done("boss")
    assert (run.status in (Run.Status.VOID, Run.Status.FAILED), box.letters) == (True, [])
    assert "privileged" in run.reason


def test_the_directorys_rule_is_told_in_words_and_the_tries_are_bounded(scene: Scene, box: Mailbox) -> None:
    scene.done()
    path = path_in(box)
    unequal = post(path, NEW, "other")
    assert "not the same" in unequal.content.decode()
    assert OneTimeLink.objects.get().tries == 0
    for left in range(links.MOST_TRIES - 1, 0, -1):
        page = post(path, "short")
        assert page.status_code == 422
        assert "it has fewer than 12 characters" in page.content.decode()
        assert re.search(rf"\b{left} more (try|tries)\.", page.content.decode())
    last = post(path, "short")
    assert last.status_code == 410
    assert "fewer than 12" in last.content.decode()
    dead(post(path))
    assert not scene.lets_in(NEW)


def test_a_directory_that_is_away_leaves_the_link_open(scene: Scene, box: Mailbox) -> None:
    scene.done()
    scene.path.rename(scene.path.with_suffix(".away"))
    page = post(path_in(box))
    assert page.status_code == 503
    assert "cannot be reached" in page.content.decode()
    scene.path.with_suffix(".away").rename(scene.path)
    assert post(path_in(box)).status_code == 200
    assert scene.lets_in(NEW)


def test_an_account_that_became_privileged_gets_no_password(scene: Scene, box: Mailbox) -> None:
    scene.done()
    directory = SqliteDirectory(scene.path)
    directory._connection.execute("UPDATE accounts SET privileged = 1 WHERE uid = 'ada'")
    directory.close()
    assert post(path_in(box)).status_code == 503
    assert not scene.lets_in(NEW)


def test_of_two_posts_at_one_moment_one_sets_the_password(scene: Scene, box: Mailbox) -> None:
    scene.done()
    secret = path_in(box).split("/")[2]
    first, second = (links.alive(secret, at=timezone.now()) for _ in range(2))
    links.set_password(first, password=NEW, at=timezone.now())
    with pytest.raises(links.Dead):
        links.set_password(second, password="another long password", at=timezone.now())
    assert scene.lets_in(NEW)


def test_a_change_that_could_not_be_told_to_the_owner_is_told_to_people(scene: Scene, box: Mailbox) -> None:
    scene.done()
    box.refuse = "450 try later"
    assert post(path_in(box)).status_code == 200
    assert scene.lets_in(NEW)
    assert "did not go out" in Notification.objects.get(kind="password_change_untold").text


def test_many_requests_from_one_address_are_put_off(
    scene: Scene, box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(password, "_buckets", Buckets(3))
    found = [Client().get("/set-password/x/").status_code for _ in range(4)]
    assert found == [410, 410, 410, 429]
    assert Client().get("/set-password/x/", REMOTE_ADDR="192.0.2.9").status_code == 410


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("TRIAGE_MAIL_URL", "", "No mail server"), ("TRIAGE_BASE_URL", "http://triage.corp.example", "in the clear")],
)
def test_where_no_link_can_be_sent_the_run_goes_to_a_person_and_a_rehearsal_says_so(
    name: str, value: str, words: str, scene: Scene, box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    environment.cache_clear()
    run = scene.done()
    assert (run.status, box.letters) == (Run.Status.VOID, [])
    assert words in run.reason
    found = rehearsal.rehearse(
        ticket=run.ticket, runbook=registry.get("reset_password"), actor=runs.ACTOR, at=timezone.now()
    )
    assert any(words in each for each in found.obstacles)
