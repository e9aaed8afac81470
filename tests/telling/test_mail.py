"""Who is mailed what: by role and runbook, as they chose, never more than they can read, never with a ticket's text."""

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests import factories
from tests.mailbox import Mailbox
from triage import recovery, telling
from triage.models import Customer, MailChoice, Notification, Posting, Role, RunbookOwner, Ticket
from triage.telling import watch

pytestmark = pytest.mark.django_db


@pytest.fixture
def customer() -> Customer:
    return factories.customer(name="Nordwind AG")


def ticket(customer: Customer, **values: Any) -> Ticket:
    return factories.ticket(customer=customer, **values)


def lost(customer: Customer, about: Ticket, key: str = "lost", at: datetime | None = None) -> Notification | None:
    """Tell that nobody knows of a run."""
    return telling.tell(
        kind="run_unknown",
        customer=customer,
        key=key,
        text=f"Unlock an account for {about.external_id}: nobody knows whether it happened.",
        link="/runs/1/",
        runbook="unlock_account",
        ticket=about,
        at=at or timezone.now(),
    )


def waiting(customer: Customer, key: str, about: Ticket | None = None) -> None:
    telling.tell(
        kind="approval_waiting", customer=customer, key=key, text=f"Run {key}", link="/approvals/", ticket=about,
        at=timezone.now(),
    )  # fmt: skip


def addressed(post: Mailbox) -> list[str]:
    telling.deliver(at=timezone.now())
    return sorted(to for to, _ in post.letters)


def test_the_runbooks_owner_gets_a_plain_mail_with_a_link_and_others_do_not(post: Mailbox, customer: Customer) -> None:
    owner = factories.member(customer, email="Olga@Example.org")
    factories.member(customer, Role.ADMIN, email="admin@example.org")
    RunbookOwner.objects.create(customer=customer, runbook="unlock_account", mail="team@example.org").people.add(owner)
    about = ticket(customer, subject="SECRET SUBJECT", body="SECRET BODY")
    lost(customer, about)
    assert lost(customer, about) is None, "once for one occasion"
    assert addressed(post) == ["olga@example.org", "team@example.org"]
    letter = next(letter for to, letter in post.letters if to == "olga@example.org")
    text = letter.get_content()
    assert about.external_id in letter["Subject"]
    assert "http://127.0.0.1:8000/runs/1/" in text
    assert "Nordwind AG" in text
    assert "you own this runbook" in text
    assert "SECRET" not in letter.as_string()
    assert letter.get_content_type() == "text/plain"
    assert (letter["Auto-Submitted"], letter["From"]) == ("auto-generated", "Triage <triage@example.org>")
    assert addressed(post) == ["olga@example.org", "team@example.org"], "nothing is sent twice"


def test_a_customers_own_owner_comes_before_the_owner_for_all(post: Mailbox, customer: Customer) -> None:
    RunbookOwner.objects.create(runbook="unlock_account", mail="all@example.org")
    lost(customer, ticket(customer), key="a")
    assert addressed(post) == ["all@example.org"]
    RunbookOwner.objects.create(customer=customer, runbook="unlock_account", mail="own@example.org")
    lost(customer, ticket(customer), key="b")
    assert addressed(post) == ["all@example.org", "own@example.org"]


def test_nobody_is_mailed_of_a_customer_that_they_cannot_see(post: Mailbox, customer: Customer) -> None:
    stranger = factories.member(factories.customer(), Role.ADMIN, email="stranger@example.org")
    gone = factories.member(customer, email="gone@example.org", is_active=False)
    RunbookOwner.objects.create(runbook="unlock_account").people.add(stranger, gone)
    factories.member(customer, Role.ADMIN, email="admin@example.org")
    lost(customer, ticket(customer))
    assert addressed(post) == ["admin@example.org"], "without an owner who may see it, the administrators hear"


def test_approvers_hear_but_for_the_requester_and_each_chooses(post: Mailbox, customer: Customer) -> None:
    factories.member(customer, Role.APPROVER, email="ada@example.org")
    factories.member(customer, Role.APPROVER, email="carl@example.org")
    silent = factories.member(customer, Role.APPROVER, email="silent@example.org")
    MailChoice.objects.create(person=silent, kind="approval_waiting", wanted=False)
    waiting(customer, "x", ticket(customer, requester="Ada@example.org"))
    assert addressed(post) == ["carl@example.org"]


def test_what_is_off_unless_chosen_comes_to_those_who_chose_it(post: Mailbox, customer: Customer) -> None:
    factories.member(customer, Role.ADMIN, email="usual@example.org")
    wants = factories.member(customer, Role.ADMIN, email="wants@example.org")
    MailChoice.objects.create(person=wants, kind="run_failed", wanted=True)
    telling.tell(kind="run_failed", customer=customer, key="f", text="It failed", at=timezone.now())
    assert addressed(post) == ["wants@example.org"]


def test_without_a_customer_the_provider_hears(post: Mailbox) -> None:
    factories.person(is_superuser=True, email="root@example.org")
    factories.member(factories.customer(), Role.ADMIN, email="admin@example.org")
    telling.tell(kind="signature", customer=None, key="s", text="A signature was wrong", at=timezone.now())
    assert addressed(post) == ["root@example.org"]


def test_of_a_sealed_ticket_neither_text_nor_recipient_tells_the_runbook(post: Mailbox, customer: Customer) -> None:
    RunbookOwner.objects.create(customer=customer, runbook="unlock_account", mail="identity@example.org")
    factories.member(customer, Role.ADMIN, email="admin@example.org")
    about = ticket(customer)
    factories.draw(about, "verify", 0.05)
    row = lost(customer, about)
    assert row is not None
    assert row.text == f"{about.external_id}: nobody knows whether a run for it happened."
    assert "unlock" not in str(row.data)
    assert addressed(post) == ["admin@example.org"]
    assert "nlock" not in post.letters[0][1].as_string()


def test_nothing_that_a_stranger_writes_becomes_a_header_or_a_second_line(post: Mailbox, customer: Customer) -> None:
    factories.member(customer, Role.ADMIN, email="admin@example.org")
    about = ticket(customer, external_id="INC1\r\nBcc: eve@example.org\u2028\r\n\r\nHello\u202e")
    lost(customer, about)
    assert addressed(post) == ["admin@example.org"]
    letter = post.letters[0][1]
    assert letter["Bcc"] is None
    assert letter.get_content().splitlines()[0].startswith("Unlock an account for INC1 Bcc: eve@example.org Hello")


def test_no_more_mails_an_hour_than_allowed_the_rest_in_one_digest(post: Mailbox, customer: Customer) -> None:
    factories.member(customer, Role.APPROVER, email="carl@example.org")
    for number in range(5):
        waiting(customer, f"first-{number}")
    assert telling.deliver(at=timezone.now()).mails == 3
    subjects = [letter["Subject"] for _, letter in post.letters]
    assert subjects == ["[Triage] Run first-0", "[Triage] Run first-1", "[Triage] 3 things need a look"]
    digest = post.letters[-1][1].get_content()
    assert all(f"Run first-{number}" in digest for number in (2, 3, 4))
    waiting(customer, "later")
    now = timezone.now()
    assert telling.deliver(at=now).mails == 0
    row = Posting.objects.get(status="waiting")
    assert now + timedelta(minutes=59) < row.next_at <= now + timedelta(hours=1)
    assert row.attempts == 0, "waiting for the hour is no try"
    assert telling.deliver(at=now + timedelta(hours=1, seconds=5)).mails == 1


def test_a_server_that_is_away_gets_it_later_and_one_address_that_is_refused_is_given_up(
    post: Mailbox, customer: Customer
) -> None:
    factories.member(customer, Role.APPROVER, email="carl@example.org")
    waiting(customer, "a")
    waiting(customer, "b")
    at = timezone.now()
    post.refuse = "451 come back later"
    assert telling.deliver(at=at).failed == 1, "what waits behind a failure is not tried in vain"
    assert sorted(Posting.objects.values_list("attempts", flat=True)) == [0, 1]
    assert not telling.deliver(at=at + timedelta(seconds=1)).mails
    post.refuse = ""
    assert telling.deliver(at=at + timedelta(minutes=2)).mails == 2
    post.refuse = "550 no such user"
    waiting(customer, "c")
    telling.deliver(at=timezone.now())
    assert Posting.objects.get(notification__key="c").status == "given_up"
    assert "does not arrive" in Notification.objects.get(kind="mail_given_up").text


def test_after_days_a_mail_is_given_up_in_sight(post: Mailbox, customer: Customer) -> None:
    factories.member(customer, Role.APPROVER, email="carl@example.org")
    post.refuse = "451 come back later"
    waiting(customer, "a")
    at, pauses = timezone.now(), []
    for _ in range(10):
        telling.deliver(at=at)
        row = Posting.objects.get()
        pauses.append(row.next_at - at)
        at = row.next_at
    assert timedelta(seconds=30) <= pauses[0] <= timedelta(seconds=36)
    assert timedelta(hours=1) <= pauses[-1] <= timedelta(hours=1.2)
    Posting.objects.update(created_at=at - timedelta(days=2, hours=23))
    telling.deliver(at=at)
    at = Posting.objects.get(status="waiting").next_at
    telling.deliver(at=at + timedelta(hours=1))
    assert Posting.objects.get().status == "given_up"
    assert "carl@example.org does not arrive" in Notification.objects.get(kind="mail_given_up").text


def test_a_row_that_another_worker_holds_is_left_alone(post: Mailbox, customer: Customer) -> None:
    factories.member(customer, Role.APPROVER, email="carl@example.org")
    waiting(customer, "a")
    at = timezone.now()
    Posting.objects.update(claim_until=at + timedelta(seconds=30))
    waiting(customer, "b")
    assert telling.deliver(at=at).mails == 0, "nor is the same person written to from two sides"
    assert telling.deliver(at=at + timedelta(seconds=31)).mails == 2


def test_where_no_mail_is_set_up_only_the_desk_is_told(customer: Customer) -> None:
    factories.member(customer, Role.APPROVER, email="carl@example.org")
    waiting(customer, "a")
    assert Notification.objects.count() == 1
    assert not Posting.objects.exists()


def test_a_reconciler_that_fell_silent_is_told_once(post: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    factories.person(is_superuser=True, email="root@example.org")
    at = timezone.now()
    recovery.hold_lease(uuid.uuid4(), at=at)
    monkeypatch.setattr(watch, "EACH_SECONDS", 0.0)
    assert telling.watch_reconciler(at=at + timedelta(minutes=2)) is None
    assert telling.watch_reconciler(at=at + timedelta(minutes=5)) is not None
    assert telling.watch_reconciler(at=at + timedelta(minutes=9)) is None
    telling.deliver(at=at + timedelta(minutes=9))
    assert [to for to, _ in post.letters] == ["root@example.org"]
