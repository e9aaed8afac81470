"""One-time links: made for one run and handed to it alone; they open once, for whoever has the mail, after its success.

Nothing of a link is stored but its hash, and nothing of a password at all.
"""

import hashlib
import logging
import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from email.utils import parseaddr
from urllib.parse import urlsplit

from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet

from runbooks import mail
from runbooks.base import Runbook
from runbooks.targets import OpenDirectory, TargetError
from runbooks.targets.accounts import Account, PasswordRefused
from triage import lifecycle, targets
from triage.environment import environment
from triage.models import OneTimeLink, Run
from triage.telling import tell

log = logging.getLogger(__name__)
ACTOR = "system:links"
PATH = "set-password"
LIVES = timedelta(hours=1)
MOST_TRIES = 5
MAIL_SECONDS = 5.0

TEXT = """Hello {name},

the password of the account {uid} was changed at {when} UTC, with the link that was sent to this address.

If that was not you, call your service desk now.

This mail was written by a program. Nobody reads answers to it.
"""


class Dead(Exception):
    """This link does not open: it never was, is too old, was used, gave way to another, or its run did not succeed."""


class Away(Exception):
    """The directory could not be asked; the link still opens."""


def trouble(runbook: Runbook) -> str | None:
    """Why no link can be sent for this runbook from this installation; None where one can, or none is needed."""
    if runbook.link is None:
        return None
    if not environment().mail_url.get_secret_value():
        return "No mail server is set up, so no link can be sent: set TRIAGE_MAIL_URL and TRIAGE_MAIL_FROM."
    parts = urlsplit(environment().base_url)
    if parts.scheme != "https" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        return "A password must not travel in the clear: TRIAGE_BASE_URL must begin with https://."
    return None


def prepare(run: Run, runbook: Runbook, *, at: datetime) -> dict[str, str]:
    """Make the link that the run is to send, in the place of an older one; what the run is handed, and nobody else.

    An empty answer for runbooks that need none. The link does not open before the run has succeeded.
    """
    if runbook.link is None:
        return {}
    secret = secrets.token_urlsafe(32)
    until = at + LIVES
    with transaction.atomic():
        same = OneTimeLink.objects.filter(target=run.target_id, account=run.target_object, purpose=runbook.link)
        same.filter(used_at__isnull=True, revoked_at__isnull=True).update(revoked_at=at)
        OneTimeLink.objects.create(
            customer=run.customer,
            run=run,
            purpose=runbook.link,
            target=run.target,
            account=run.target_object,
            digest=digest_of(secret),
            created_at=at,
            expires_at=until,
        )
    return {
        "link": f"{environment().base_url}/{PATH}/{secret}/",
        "link_until": until.isoformat(),
        "mail_url": environment().mail_url.get_secret_value(),
        "mail_from": environment().mail_from,
    }


def digest_of(secret: str) -> str:
    """What is stored of a secret. It has 256 random bits, so a plain hash cannot be searched."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def alive(secret: str, *, at: datetime) -> OneTimeLink:
    """The link of this secret, where it opens now; Dead for every other, in one query whatever the reason."""
    rows = _open(at).filter(digest=digest_of(secret), run__status=Run.Status.SUCCEEDED)
    found = rows.select_related("customer", "run__ticket", "target").first()
    if found is None:
        raise Dead
    return found


def set_password(link: OneTimeLink, *, password: str, at: datetime) -> None:
    """Use the link up and set the password of its account. Of several at one moment one goes on, the others are Dead.

    PasswordRefused with the directory's reason, or Away: then the link opens again, while tries are left.
    """
    claim = _open(at).filter(pk=link.pk, tries=link.tries)
    if not claim.update(used_at=at, tries=F("tries") + 1):
        raise Dead
    link.refresh_from_db(fields=["tries"])
    with _given_back(link, at=at), _directory(link) as directory:
        account = directory.known(link.account)
        directory.set_password(link.account, password, run_id=str(link.run.uuid))
    _record(link, "password set through the link", at=at)
    _tell_owner(link, account, at=at)


def tries_left(link: OneTimeLink) -> int:
    """How many more passwords the link's page takes."""
    return max(0, MOST_TRIES - link.tries)


def _open(at: datetime) -> QuerySet[OneTimeLink]:
    """Every condition is one of the row itself: only so does a conditional UPDATE let just one of two through."""
    return OneTimeLink.objects.filter(
        purpose=OneTimeLink.Purpose.SET_PASSWORD,
        used_at__isnull=True,
        revoked_at__isnull=True,
        expires_at__gt=at,
        tries__lt=MOST_TRIES,
    )


@contextmanager
def _directory(link: OneTimeLink) -> Iterator[OpenDirectory]:
    client = targets.directory(link.target)
    if client is None:
        raise TargetError(f"{link.target.key} is no directory any more")
    with closing(client):
        yield client


@contextmanager
def _given_back(link: OneTimeLink, *, at: datetime) -> Iterator[None]:
    """Whatever goes wrong with the directory: the link opens again. A password that was set can be set once more."""
    try:
        yield
    except PasswordRefused as error:
        _give_back(link, at=at)
        _record(link, "password refused by the directory", at=at, reason=str(error))
        raise
    except Exception as error:
        _give_back(link, at=at)
        log.warning("the password of link %s could not be set: %s", link.uuid, error)
        _record(link, "password not set", at=at, reason=str(error) if isinstance(error, TargetError) else "")
        raise Away from error


def _give_back(link: OneTimeLink, *, at: datetime) -> None:
    try:
        with transaction.atomic():
            OneTimeLink.objects.filter(pk=link.pk, used_at=at).update(used_at=None)
    except IntegrityError:
        log.info("link %s stays used: another one took its place meanwhile", link.uuid)


def _record(link: OneTimeLink, event: str, *, at: datetime, reason: str = "") -> None:
    lifecycle.record(row=link.run, event=event, at=at, actor=ACTOR, reason=reason)


def _tell_owner(link: OneTimeLink, account: Account, *, at: datetime) -> None:
    """Tell the contact on file; where that fails somebody must, since it is how a thief is noticed."""
    server, sender = environment().mail_url.get_secret_value(), environment().mail_from
    try:
        letter = mail.letter(
            sender=sender,
            to=account.contact,
            subject=f"The password of {account.uid} was changed",
            text=TEXT.format(name=account.display_name, uid=account.uid, when=f"{at:%Y-%m-%d %H:%M}"),
            message_id=f"<{link.uuid}.changed@{parseaddr(sender)[1].partition('@')[2]}>",
            at=at,
        )
        mail.send(server, letter, sender=sender, to=account.contact, seconds=MAIL_SECONDS)
    except mail.MailError as error:
        log.warning("link %s: the change could not be told: %s", link.uuid, error)
        tell(
            kind="password_change_untold",
            customer=link.customer,
            key=f"link-{link.uuid}-untold",
            text=f"The password of {account.uid} was changed through a link, and the mail that says so to the "
            f"contact on file did not go out: {error}",
            link=f"/tickets/{link.run.ticket.uuid}/",
            runbook=link.run.runbook,
            ticket=link.run.ticket,
            at=at,
        )
