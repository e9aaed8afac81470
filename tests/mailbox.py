"""A real SMTP server on loopback that keeps what it is given, and may refuse."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from triage.ports import free_ports


@dataclass
class Mailbox:
    """letters: (to, mail) in the order they came. refuse: answered in the place of an acceptance."""

    port: int
    letters: list[tuple[str, EmailMessage]] = field(default_factory=list)
    refuse: str = ""
    close_after_data: bool = False

    @property
    def url(self) -> str:
        """What stands in TRIAGE_MAIL_URL."""
        return f"smtp://127.0.0.1:{self.port}"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - the name it calls
        """Take one mail."""
        if self.refuse:
            return self.refuse
        mail = message_from_bytes(envelope.original_content or b"", policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.letters += [(to, mail) for to in envelope.rcpt_tos]
        if self.close_after_data and server.transport is not None:
            server.transport.close()
        return "250 taken as 4711"

    def clear(self) -> None:
        """Forget everything."""
        self.letters.clear()
        self.refuse, self.close_after_data = "", False


@contextmanager
def running() -> Iterator[Mailbox]:
    """A server, ended afterwards."""
    (port,) = free_ports(1)
    mailbox = Mailbox(port)
    controller = Controller(mailbox, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()
