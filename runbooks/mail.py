"""Sends one mail to one address through one SMTP server (RFC 5321), and tells what the server said.

Standard library only: loaded in the child process of runs that write to somebody.
"""

import ipaddress
import re
import smtplib
import ssl
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from urllib.parse import parse_qs, unquote, urlsplit

FORM = "smtp://user:password@host:587/?starttls=1, or smtps://user:password@host:465"
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
_PORTS = {"smtp": 25, "smtps": 465}


class MailError(Exception):
    """No mail went out, as far as is known; the message says why and never holds a password.

    perhaps: the whole mail had been handed over, and the server's answer to it was lost.
    """

    def __init__(self, message: str, *, perhaps: bool = False) -> None:
        super().__init__(message)
        self.perhaps = perhaps


@dataclass(frozen=True)
class Server:
    """An SMTP server. tls: from the first byte; starttls: after the greeting."""

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    starttls: bool = False


def is_address(text: str) -> bool:
    """Say whether this is one plain mail address, with nothing that could be read as two or as a header."""
    return _ADDRESS.fullmatch(text) is not None


def server(url: str) -> Server:
    """Return the server of an address; MailError, which repeats nothing of it, where it is none."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
        asked = parse_qs(parts.query, strict_parsing=bool(parts.query))
    except (ValueError, KeyError):
        raise MailError(f"the mail server's address must look like {FORM}") from None
    if not parts.hostname or parts.path.strip("/") or parts.fragment or set(asked) - {"starttls"}:
        raise MailError(f"the mail server's address must look like {FORM}")
    found = Server(
        parts.hostname,
        port,
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        tls=parts.scheme == "smtps",
        starttls=asked.get("starttls", ["0"])[-1] not in ("0", "false", "no"),
    )
    if found.password and not (found.tls or found.starttls or _loopback(found.host)):
        raise MailError("the mail server's address has a password and no TLS: add ?starttls=1, or use smtps://")
    return found


def letter(*, sender: str, to: str, subject: str, text: str, message_id: str, at: datetime) -> EmailMessage:
    """Return a plain text mail that asks other programs not to answer it (RFC 3834). MailError for no plain address."""
    if not is_address(to):
        raise MailError("the address to write to is not one plain mail address")
    made = EmailMessage(policy=SMTP)
    made["From"], made["To"], made["Subject"] = sender, to, subject
    made["Date"], made["Message-ID"] = format_datetime(at), message_id
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(text)
    return made


def send(url: str, made: EmailMessage, *, sender: str, to: str, seconds: float = 10.0) -> str:
    """Hand the mail over, once; return the server's words of acceptance. MailError where it did not accept."""
    if not is_address(to):
        raise MailError("the address to write to is not one plain mail address")
    where = server(url)
    handed = False
    try:
        with closing(_connected(where, seconds)) as smtp:
            for said in (smtp.mail(parseaddr(sender)[1]), smtp.rcpt(to)):
                _accepted(where, *said)
            handed = True
            reply = _accepted(where, *smtp.data(made.as_bytes()))
            with suppress(smtplib.SMTPException, OSError):  # it has the mail; how it says good-bye changes nothing
                smtp.quit()
            return reply
    except smtplib.SMTPResponseException as error:  # an answer, so nothing is in doubt
        raise MailError(_told(where, error.smtp_code, error.smtp_error)) from None
    except (smtplib.SMTPException, OSError, ValueError) as error:
        what = type(error).__name__ if isinstance(error, ValueError) else error
        raise MailError(f"the mail server at {where.host}:{where.port} failed: {what}", perhaps=handed) from None


def _connected(where: Server, seconds: float) -> smtplib.SMTP:
    context = ssl.create_default_context()
    if where.tls:
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(where.host, where.port, timeout=seconds, context=context)
    else:
        smtp = smtplib.SMTP(where.host, where.port, timeout=seconds)
    try:
        if where.starttls:
            smtp.starttls(context=context)
        smtp.ehlo_or_helo_if_needed()
        if where.user:
            smtp.login(where.user, where.password)
    except BaseException:
        smtp.close()
        raise
    return smtp


def _accepted(where: Server, code: int, words: bytes) -> str:
    if not 200 <= code < 300:
        raise MailError(_told(where, code, words))
    return f"{code} {_plain(words)}"


def _told(where: Server, code: int, words: bytes | str) -> str:
    return f"the mail server at {where.host}:{where.port} refused: {code} {_plain(words)}"


def _plain(words: bytes | str) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return "".join(c if c.isprintable() else " " for c in text[:200]).strip()


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.casefold() == "localhost"
