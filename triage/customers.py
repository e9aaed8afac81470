"""What administrators decide about a customer: how far Triage may go for it, and how much of it is checked."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from triage import lifecycle
from triage.models import Customer, Mode, Person
from triage.permissions import check_can_administer, check_is_provider

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")


class CustomerRefused(Exception):
    """This is not saved; the message says what to mend."""


def add(*, by: Person, slug: str, name: str, at: datetime) -> Customer:
    """A new customer. It begins with observing: nothing is shown or done before somebody says so."""
    check_is_provider(by)
    if not _SLUG.fullmatch(slug):
        raise CustomerRefused(_("The short name has small letters, digits and single dashes only, 40 at most."))
    name = _named(name)
    try:
        with transaction.atomic():
            customer = Customer.objects.create(slug=slug, name=name, mode=Mode.OBSERVE)
            lifecycle.record(row=customer, event="added", at=at, actor=f"person:{by.pk}")
    except IntegrityError:
        raise CustomerRefused(_("There is a customer with the short name %(slug)s already.") % {"slug": slug}) from None
    return customer


def change(customer: Customer, values: Mapping[str, str], *, by: Person, at: datetime) -> list[str]:
    """Save what the form says; the columns that changed. Shares come in percent, tiers' alphas too or empty."""
    check_can_administer(by, customer)
    new = _read(values)
    with transaction.atomic():
        held = Customer.objects.select_for_update().get(pk=customer.pk)
        changed = sorted(column for column, value in new.items() if getattr(held, column) != value)
        if changed:
            Customer.objects.filter(pk=customer.pk).update(**{column: new[column] for column in changed})
            said = ", ".join(f"{column} {getattr(held, column)} -> {new[column]}" for column in changed)
            lifecycle.record(row=held, event="settings changed", at=at, actor=f"person:{by.pk}", reason=said)
    return changed


def _read(values: Mapping[str, str]) -> dict[str, Any]:
    name = _named(values.get("name", ""))
    mode = values.get("mode", "")
    if mode not in Mode.values:
        raise CustomerRefused(_("Choose one of the modes."))
    minutes = values.get("minutes_a_ticket", "").strip()
    if not (minutes.isascii() and minutes.isdigit() and len(minutes) < 4):
        raise CustomerRefused(_("The minutes that a run saves are a whole number from 0 to 999."))
    return {
        "name": name,
        "mode": mode,
        "holdout_share": _percent(values.get("holdout_share", ""), _("The share of the holdout")),
        "verify_share": _percent(values.get("verify_share", ""), _("The share that is verified")),
        "minutes_a_ticket": int(minutes),
        "write_back": bool(values.get("write_back")),
    }


def _named(given: str) -> str:
    name = given.strip()
    if not name or len(name) > 200:
        raise CustomerRefused(_("Give the customer a name, of 200 characters at most."))
    return name


def _percent(given: str, what: str) -> float:
    """A share from a number in percent, with a point or a comma; CustomerRefused outside 0 to 100."""
    text = given.strip().replace(",", ".")
    if not re.fullmatch(r"\d{1,3}(\.\d{1,4})?", text) or float(text) > 100:
        raise CustomerRefused(_("%(what)s is a number of percent from 0 to 100, such as 5 or 2.5.") % {"what": what})
    return round(float(text) / 100, 6)
