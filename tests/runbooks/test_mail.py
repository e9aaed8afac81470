"""One mail through a real SMTP server: what it accepts, what it refuses, and what nobody can know."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from runbooks import mail
from runbooks.mail import MailError
from tests import mailbox
from tests.mailbox import Mailbox

AT = datetime(2026, 11, 22, 5, 30, tzinfo=UTC)
TO = "jane@home.example"


@pytest.fixture(scope="module")
def server() -> Iterator[Mailbox]:
    with mailbox.running() as box:
        yield box


@pytest.fixture
def box(server: Mailbox) -> Mailbox:
    server.clear()
    return server


def send(box: Mailbox, to: str = TO, text: str = "Grüße\n") -> str:
    made = mail.letter(
        sender="Triage <triage@corp.example>", to=to, subject="Übung", text=text, message_id="<1@corp.example>", at=AT
    )
    return mail.send(box.url, made, sender="Triage <triage@corp.example>", to=to, seconds=5)


def test_an_accepted_mail_is_there_once_and_the_servers_word_comes_back(box: Mailbox) -> None:
    assert send(box) == "250 taken as 4711"
    ((to, made),) = box.letters
    assert (to, made["Subject"], made["Message-ID"], made.get_content().strip()) == (
        TO,
        "Übung",
        "<1@corp.example>",
        "Grüße",
    )
    assert made["Auto-Submitted"] == "auto-generated"


def test_a_refusal_is_told_in_the_servers_words_and_nothing_is_in_doubt(box: Mailbox) -> None:
    box.refuse = "552 mailbox full"
    with pytest.raises(MailError, match="refused: 552 mailbox full") as caught:
        send(box)
    assert not caught.value.perhaps


def test_an_answer_that_is_lost_leaves_it_in_doubt(box: Mailbox) -> None:
    box.close_after_data = True
    with pytest.raises(MailError) as caught:
        send(box)
    assert caught.value.perhaps
    assert len(box.letters) == 1


@pytest.mark.parametrize(
    "to", ["", "a@b,c@d", "a@b\nBcc: c@d", "<a@b>", "a b@c", "a@", "a@b c", "x" * 70 + "@b", "a@b; c@d"]
)
def test_what_could_be_read_as_two_addresses_or_a_header_is_no_address(to: str, box: Mailbox) -> None:
    assert not mail.is_address(to)
    with pytest.raises(MailError, match="not one plain mail address"):
        mail.send(
            box.url, mail.letter(sender="a@b", to=TO, subject="", text="", message_id="", at=AT), sender="a@b", to=to
        )


@pytest.mark.parametrize(
    "url",
    ["", "http://h", "smtp://", "smtp://h:x", "smtp://h/path", "smtp://h?tls=1", "smtp://u:secret-7@mail.example:25"],
)
def test_an_address_that_cannot_work_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(MailError) as caught:
        mail.server(url)
    assert "secret-7" not in str(caught.value)


def test_user_password_and_tls_are_read_from_the_address() -> None:
    found = mail.server("smtp://us%40er:p%2Fw@mail.example:587/?starttls=1")
    assert (found.host, found.port, found.user, found.password, found.starttls) == (
        "mail.example",
        587,
        "us@er",
        "p/w",
        True,
    )
    assert mail.server("smtps://mail.example").port == 465
    assert "p/w" not in repr(found)
