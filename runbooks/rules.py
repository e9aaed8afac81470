"""What one value of a parameter must fulfil: the runbook's schema, and what the directory says of it."""

import re

from runbooks import mentions
from runbooks.base import Parameter
from runbooks.targets.accounts import Account, Directory

SHOWN = 5


class Unfit(Exception):
    """Why a parameter has no usable value, in words; `candidates` are what could have been meant."""

    def __init__(self, message: str, candidates: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.candidates = candidates


def check_value(parameter: Parameter, value: str) -> None:
    """Raise Unfit unless the value has the length, form and range that the schema asks for."""
    if len(value) > parameter.max_length:
        raise Unfit(f"{short(value)} is longer than {parameter.max_length} characters")
    if not re.fullmatch(parameter.pattern, value):
        raise Unfit(f"{short(value)} does not have the form that {parameter.title} must have")
    if parameter.kind == "choice" and value not in parameter.choices:
        raise Unfit(f"{short(value)} is not one of {listed(parameter.choices)}", parameter.choices)
    if parameter.kind == "size_mb":
        if not re.fullmatch(r"[0-9]{1,9}", value):
            raise Unfit(f"{short(value)} is no whole number of MiB")
        low, high = parameter.minimum or 0, parameter.maximum or 0
        if not low <= int(value) <= high:
            raise Unfit(f"{int(value)} MiB is not within {low} to {high} MiB")


def check_target(parameter: Parameter, value: str, directory: Directory, requester: str | None) -> None:
    """Raise Unfit unless the directory knows the value and opens it to this requester.

    requester: None where nobody's own account is asked for (a monitored machine wrote the ticket).
    """
    if parameter.kind == "account":
        account = directory.account(value)
        if account is None:
            raise Unfit(f"the directory has no account {short(value)}")
        if parameter.own and requester is not None and account.uid != requesters_account(directory, requester).uid:
            raise Unfit(f"{account.uid} is not the requester's own account", (account.uid,))
    if parameter.kind == "group":
        group = next((group for group in directory.groups() if group.name == value), None)
        if group is None:
            raise Unfit(f"the directory has no group {short(value)}")
        if group.privileged or not group.self_service:
            raise Unfit(f"{group.name} can't be asked for by ticket", (group.name,))


def requesters_account(directory: Directory, requester: str) -> Account:
    """Return the account that the requester's mail address or uid stands for; Unfit where it is not one."""
    handle = mentions.bare(mentions.clean(requester))
    same = handle.casefold()
    # A display name is no proof of who asks: anybody can call themselves so.
    accounts = [
        account
        for account in directory.find([handle]).get(handle, ())
        if same in (account.uid.casefold(), account.mail.casefold())
    ]
    if len(accounts) != 1:
        raise Unfit(f"the requester {short(requester) or '(nobody)'} has no account of their own in the directory")
    return accounts[0]


def short(text: str) -> str:
    """Return untrusted text as it may stand in a sentence: printable, at most 60 characters."""
    text = "".join(c if c.isprintable() else "?" for c in text[:100])
    return text if len(text) <= 60 else f"{text[:57]}..."


def listed(names: tuple[str, ...]) -> str:
    """Return names as a list for a sentence, the first five of many."""
    shown = ", ".join(short(name) for name in names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"
