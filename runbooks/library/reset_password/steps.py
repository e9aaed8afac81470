"""Mail a one-time link to the contact on file. The password is not touched here: its owner sets it, on the link's page.

The link opens only once this run is recorded as succeeded. So a run that is undone, lost or ended some other way has
made nothing that anybody could use: that is the undo, and there is nothing else to take back.
"""

from datetime import UTC, datetime, timedelta
from email.utils import parseaddr

from runbooks import mail
from runbooks.context import Context, NotDone, Refused
from runbooks.targets.accounts import LOCKED_BY_FAILED_LOGINS, LOCKED_FOR_SECURITY, Account, Directory

LEAST = timedelta(minutes=20)
"""A link that opens for less than this is no help."""

TEXT = """Hello {name},

the service desk was asked to let you set a new password for the account {uid}. Nothing has been changed.

This page lets you choose the new password. It opens once and until {until}:

{link}

If you asked for nothing, do nothing, and tell your service desk: without this link nobody can change your password
in this way.

This mail was written by a program. Nobody reads answers to it.
"""


def _masked(address: str) -> str:
    """Enough of an address for its owner to know it, and no more: it goes into the run's record."""
    name, _, domain = address.partition("@")
    return f"{name[:1]}***@{domain}"


def _trouble(account: Account) -> str:
    """Why this account gets no link, or an empty text."""
    if account.privileged:
        return f"{account.uid} is privileged: only a person may reset its password"
    if not account.enabled:
        return f"{account.uid} is disabled: a new password would not help and enabling is not ours"
    if account.lock_reason == LOCKED_FOR_SECURITY:
        return f"{account.uid} is held for a security investigation"
    if account.locked and account.lock_reason != LOCKED_BY_FAILED_LOGINS:
        return f"{account.uid} is locked for another reason: {account.lock_reason or 'none given'}"
    if not account.contact:
        return f"the directory has no contact on file for {account.uid}, or several: a person must see who is asking"
    if not mail.is_address(account.contact):
        return f"the contact on file of {account.uid} is not one plain mail address"
    return ""


def pre_check(context: Context[Directory]) -> None:
    """Refuse accounts that no link may be sent for, and to send where nothing can be sent."""
    uid = context.text("account")
    account = context.target.account(uid)
    if account is None:
        raise Refused(f"the directory has no account {uid}")
    if trouble := _trouble(account) or context.handed.get("trouble", ""):
        raise Refused(trouble)


def action(context: Context[Directory]) -> None:
    """Send one mail, to the contact on file and nowhere else."""
    account = context.target.known(context.text("account"))
    if trouble := _trouble(account):
        raise NotDone(trouble)
    until = datetime.fromisoformat(context.handed["link_until"])
    sender = context.handed["mail_from"]
    letter = mail.letter(
        sender=sender,
        to=account.contact,
        subject=f"A new password for {account.uid}",
        text=TEXT.format(
            name=account.display_name, uid=account.uid, until=f"{until:%H:%M} UTC", link=context.handed["link"]
        ),
        message_id=f"<{context.run_id}.link@{parseaddr(sender)[1].partition('@')[2]}>",
        at=datetime.now(UTC),
    )
    context.remember("contact", _masked(account.contact))
    accepted = mail.send(context.handed["mail_url"], letter, sender=sender, to=account.contact)
    context.remember("mail_server_said", accepted)


def post_check(context: Context[Directory]) -> None:
    """The mail server has taken it, the account is still one that gets a link, and the link opens for long enough."""
    if "mail_server_said" not in context.memory:
        raise NotDone("the mail server did not accept the mail, or its answer was lost")
    account = context.target.known(context.text("account"))
    if trouble := _trouble(account):
        raise NotDone(trouble)
    if _masked(account.contact) != context.memory["contact"]:
        raise NotDone(f"{account.uid} has another contact on file than a moment ago")
    if datetime.fromisoformat(context.handed["link_until"]) - datetime.now(UTC) < LEAST:
        raise NotDone("the link would not open for long enough")
    print(f"a link to set a new password for {account.uid} went to {context.memory['contact']}")


def undo(context: Context[Directory]) -> None:
    """Say what holds: the link opens for a run that succeeded only, and this one did not."""
    print(f"the link for {context.text('account')} does not open, since this run has not succeeded")


def undo_check(context: Context[Directory]) -> None:
    """No step of this run changes the directory; the account must still be there to say so."""
    if context.target.account(context.text("account")) is None:
        raise NotDone(f"{context.text('account')} is no longer in the directory")
