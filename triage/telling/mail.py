"""One mail: plain text with links into the desk, over the SMTP server of the environment."""

import smtplib
import uuid
from collections.abc import Sequence
from email.utils import parseaddr
from typing import TYPE_CHECKING

from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend

from runbooks import mail as servers
from triage.environment import environment
from triage.telling.rows import plain

if TYPE_CHECKING:
    from triage.models import Posting

TIMEOUT_SECONDS = 15
LONGEST_SUBJECT = 120


class MailFailed(Exception):
    """It did not leave. `permanent`: this address will never take it."""

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent


def backend() -> EmailBackend:
    """A connection to the server of TRIAGE_MAIL_URL, not yet opened."""
    server = servers.server(environment().mail_url.get_secret_value())
    return EmailBackend(
        host=server.host,
        port=server.port,
        username=server.user,
        password=server.password,
        use_tls=server.starttls,
        use_ssl=server.tls,
        timeout=TIMEOUT_SECONDS,
    )


def message(rows: Sequence["Posting"], *, mail: uuid.UUID) -> EmailMessage:
    """One mail of one notification, or a digest of several; all rows go to one address."""
    first, base = rows[0], environment().base_url
    texts = [plain(row.notification.text) for row in rows]
    subject = texts[0] if len(rows) == 1 else f"{len(rows)} things need a look"
    parts = []
    for row, text in zip(rows, texts, strict=True):
        customer = plain(row.notification.customer.name) if row.notification.customer else "the installation"
        where = f"\n{base}{row.notification.link}" if row.notification.link else ""
        parts.append(f"{text}\n{customer}, {row.notification.created_at:%Y-%m-%d %H:%M} UTC{where}")
    why = "; ".join(dict.fromkeys(row.why for row in rows if row.why))
    foot = f"You get this mail since {why}.\nWhat comes by mail is chosen on {base}/me/"
    sender = parseaddr(environment().mail_from)[1]
    return EmailMessage(
        subject=f"[Triage] {subject}"[:LONGEST_SUBJECT],
        body="\n\n".join([*parts, f"-- \n{foot}\n"]),
        from_email=environment().mail_from,
        to=[first.address],
        headers={
            "Message-ID": f"<{mail}@{sender.rpartition('@')[2]}>",
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",
        },
    )


def send(rows: Sequence["Posting"], *, mail: uuid.UUID, connection: EmailBackend) -> None:
    """Send one mail; MailFailed where the server did not take it."""
    try:
        connection.send_messages([message(rows, mail=mail)])
    except smtplib.SMTPRecipientsRefused as error:
        code = max((code for code, _ in error.recipients.values()), default=0)
        raise MailFailed(f"the mail server refused the address ({code})", permanent=code >= 500) from error
    except smtplib.SMTPDataError as error:
        permanent = error.smtp_code >= 500
        raise MailFailed(f"the mail server refused the mail ({error.smtp_code})", permanent=permanent) from error
    except smtplib.SMTPAuthenticationError as error:
        said = f"the mail server refused name or password ({error.smtp_code}): see TRIAGE_MAIL_URL"
        raise MailFailed(said, permanent=False) from error
    except (smtplib.SMTPException, OSError) as error:
        raise MailFailed(f"the mail server does not take mail: {type(error).__name__}", permanent=False) from error
