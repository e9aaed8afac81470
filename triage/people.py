"""Accounts and roles, as administrators change them. Every rule about who may is in `triage.permissions`.

Nobody changes their own standing here, and the last of the provider's administrators cannot be taken away.
"""

import re
import uuid
from collections.abc import Collection, Mapping
from datetime import datetime
from email.utils import parseaddr

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils.translation import gettext as _

from runbooks import mail as post
from triage import lifecycle, second_factor
from triage.environment import environment
from triage.models import Customer, Identity, Membership, Person, Role, Token
from triage.permissions import administered, check_can_administer, check_can_govern, check_is_provider

MAIL_SECONDS = 5.0
_NAME = re.compile(r"[\w.@+-]{1,150}")


class PersonRefused(Exception):
    """This change is not made; the message says why and what to do instead."""


def add(
    *, by: Person, username: str, mail: str, name: str, customer: Customer | None, roles: Collection[str], at: datetime
) -> tuple[Person, bool]:
    """An account with roles at one customer, and whether it is new; PermissionDenied or PersonRefused.

    Who has the mail address already gets the roles, and nothing else of theirs is touched or told. Nobody but the
    provider gives them to an account that no customer of theirs knows: whoever made it may hold its link or password,
    and an address proves nothing before mail went there.
    """
    _check_invitation(by=by, mail=mail, customer=customer, roles=roles)
    found = Person.objects.filter(email__iexact=mail).order_by("-is_active", "pk").first() if mail else None
    if found and not _is_known(found, by=by):
        raise PersonRefused(
            _("Somebody else made an account with this mail address. Ask the provider's administrators for the roles.")
        )
    with transaction.atomic():
        person = found or _new(by=by, username=username, mail=mail, name=name, at=at)
        if customer:
            for role in sorted(set(roles)):
                _give(person, customer, role, by=by, at=at)
    return person, found is None


def set_roles(person: Person, customer: Customer, roles: Collection[str], *, by: Person, at: datetime) -> list[str]:
    """Exactly these roles at this customer; what changed, as role names."""
    check_can_administer(by, customer)
    unknown = set(roles) - set(Role.values)
    if unknown:
        raise PersonRefused(_("There is no role %(role)s.") % {"role": repr(min(unknown)[:40])})
    had = set(Membership.objects.filter(person=person, customer=customer).values_list("role", flat=True))
    if person.pk == by.pk and Role.ADMIN in had - set(roles) and not by.is_superuser:
        raise PersonRefused(_("You cannot stop being an administrator yourself; another administrator can do that."))
    with transaction.atomic():
        for role in sorted(had - set(roles)):
            row = Membership.objects.filter(person=person, customer=customer, role=role).first()
            if row:
                _record(row, "role taken", by=by, at=at, reason=f"{role} of {person}")
                row.delete()
        for role in sorted(set(roles) - had):
            _give(person, customer, role, by=by, at=at)
    return sorted(had ^ set(roles))


def set_provider(person: Person, *, provider: bool, by: Person, at: datetime) -> bool:
    """Make somebody an administrator of the whole installation, or no longer; False where it stood so already."""
    check_is_provider(by)
    if person.pk == by.pk:
        raise PersonRefused(_("You cannot change your own standing; another administrator can do that."))
    with transaction.atomic():
        rows = Person.objects.filter(pk=person.pk, is_superuser=not provider)
        changed = rows.update(is_superuser=provider, is_staff=provider)
        if changed:
            if not provider:
                keep_an_administrator()
            event = "made administrator of the installation" if provider else "no longer administrator"
            _record(person, event, by=by, at=at)
            if provider:
                end_unproved(person, at=at)
    return bool(changed)


def set_active(person: Person, *, active: bool, by: Person, at: datetime) -> bool:
    """Switch an account on or off; off ends its sessions and closes its tokens at once. False where it stood so."""
    check_can_govern(by, person)
    if person.pk == by.pk:
        raise PersonRefused(_("You cannot switch off your own account; another administrator can do that."))
    with transaction.atomic():
        changed = Person.objects.filter(pk=person.pk, is_active=not active).update(
            is_active=active, sessions_era=F("sessions_era") + 1
        )
        if changed:
            if not active and Person.objects.filter(pk=person.pk, is_superuser=True).exists():
                keep_an_administrator()
            _record(person, "switched on" if active else "switched off", by=by, at=at)
    return bool(changed)


def rename(person: Person, *, values: Mapping[str, str], by: Person, at: datetime) -> list[str]:
    """Change name and mail address; the columns that changed. An address counts at sign-in, so no other may have it."""
    check_can_govern(by, person)
    new = {column: values[column].strip()[:150] for column in ("first_name", "last_name") if column in values}
    if "email" in values:
        new["email"] = values["email"].strip()
        _check_mail(new["email"], person=person)
    changed = sorted(column for column, value in new.items() if getattr(person, column) != value)
    if "email" in changed and person.last_login and not by.is_superuser:  # it would open the account, like a link
        raise PersonRefused(_("Only the provider's administrators change the address of somebody who has signed in."))
    if changed:
        with transaction.atomic():
            Person.objects.filter(pk=person.pk).update(**{column: new[column] for column in changed})
            _record(person, "changed", by=by, at=at, reason=", ".join(changed))
    return changed


def confirm_address(person: Person, *, by: Person, at: datetime) -> None:
    """Say that the mail address is the person's own: from now on it counts where an owner is asked for a yes."""
    check_is_provider(by)
    if person.pk == by.pk:
        raise PersonRefused(_("You cannot change your own standing; another administrator can do that."))
    if not person.email:
        raise PersonRefused(_("This person has no mail address."))
    _record(person, "address confirmed", by=by, at=at, reason=person.email)


def end_sessions(person: Person, *, by: Person, at: datetime) -> None:
    """Sign the person out everywhere, this moment."""
    if person.pk != by.pk:
        check_can_govern(by, person)
    Person.objects.filter(pk=person.pk).update(sessions_era=F("sessions_era") + 1)
    _record(person, "all sessions ended", by=by, at=at)


def reset_second_factor(person: Person, *, by: Person, at: datetime) -> bool:
    """For who has lost phone and recovery codes; False where there is none."""
    check_can_govern(by, person)
    if person.pk == by.pk:
        raise PersonRefused(_("Remove your own second factor on your own page, with a code."))
    return second_factor.remove(person, actor=f"person:{by.pk}", at=at, reason="reset by an administrator")


def check_can_make_link(person: Person, *, by: Person) -> None:
    """Whether a sign-in link for the person may be shown to `by`: it opens their account to whoever holds it.

    A customer's administrator makes one for somebody who has never signed in; for others, the provider's do.
    """
    check_can_govern(by, person)
    if not person.is_active:
        raise PersonRefused(_("This account is switched off. Switch it on first."))
    if person.last_login is not None and not by.is_superuser:
        raise PersonRefused(
            _("This person has signed in before. Only the provider's administrators make another link for them.")
        )


def can_mail_link(person: Person) -> bool:
    """Whether the person has an address and the installation sends mail."""
    return bool(environment().mail_url.get_secret_value() and post.is_address(person.email))


def mail_link(person: Person, link: str, *, at: datetime) -> None:
    """Send a sign-in link to its owner, now: it is stored nowhere that a later try could take it from."""
    sender = environment().mail_from
    text = _(
        "Hello %(name)s,\n\nthis link signs you in to Triage once, within 24 hours:\n\n%(link)s\n\n"
        "Whoever opens it is signed in as you: pass it on to nobody.\n"
    )
    try:
        letter = post.letter(
            sender=sender,
            to=person.email,
            subject=_("Your sign-in link for Triage"),
            text=text % {"name": person.get_full_name() or person.get_username(), "link": link},
            message_id=f"<{uuid.uuid4()}@{parseaddr(sender)[1].rpartition('@')[2]}>",
            at=at,
        )
        server = environment().mail_url.get_secret_value()
        post.send(server, letter, sender=sender, to=person.email, seconds=MAIL_SECONDS)
    except post.MailError as error:
        raise PersonRefused(_("The mail did not go out: %(why)s") % {"why": error}) from error


def close_links(person: Person, *, by: Person, at: datetime) -> int:
    """Take back the person's sign-in links that were not used; how many there were."""
    check_can_govern(by, person)
    rows = Token.objects.filter(person=person, purpose=Token.Purpose.SIGN_IN, used_at__isnull=True, expires_at__gt=at)
    closed = rows.update(used_at=at)
    if closed:
        _record(person, "sign-in links taken back", by=by, at=at)
    return closed


def identities(person: Person) -> list[Identity]:
    """Who the person is at OpenID providers."""
    return list(person.identities.order_by("issuer", "pk"))


def _is_known(person: Person, *, by: Person) -> bool:
    """Whether the account works for one of the customers that `by` administers, or `by` is the provider's."""
    theirs = Membership.objects.filter(person=person, customer__in=administered(by))
    return by.is_superuser or theirs.exists()


def _check_invitation(*, by: Person, mail: str, customer: Customer | None, roles: Collection[str]) -> None:
    if customer is None:
        check_is_provider(by)
    else:
        check_can_administer(by, customer)
        if not roles:
            raise PersonRefused(_("Choose at least one role at the customer."))
    if set(roles) - set(Role.values):
        raise PersonRefused(_("Choose roles from the list."))
    if mail:
        _check_mail(mail, person=None)


def _check_mail(mail: str, *, person: Person | None) -> None:
    try:
        if mail:
            validate_email(mail)
    except ValidationError:
        raise PersonRefused(_("%(mail)s is not a mail address.") % {"mail": repr(mail[:80])}) from None
    if person and mail and Person.objects.filter(email__iexact=mail).exclude(pk=person.pk).exists():
        raise PersonRefused(_("Another person has this mail address."))


def _new(*, by: Person, username: str, mail: str, name: str, at: datetime) -> Person:
    if not _NAME.fullmatch(username):
        raise PersonRefused(_("A sign-in name has letters, digits and @ . + - _ only, 150 at most."))
    first, _gap, last = name.strip().partition(" ")
    person = Person(username=username, email=mail, first_name=first[:150], last_name=last.strip()[:150])
    person.set_unusable_password()
    taken = _("The sign-in name %(name)s is taken. Choose another.") % {"name": username}
    if Person.objects.filter(username__iexact=username).exists():
        raise PersonRefused(taken)
    try:
        with transaction.atomic():
            person.save(force_insert=True)
    except IntegrityError:
        raise PersonRefused(taken) from None
    _record(person, "added", by=by, at=at)
    return person


def _give(person: Person, customer: Customer, role: str, *, by: Person, at: datetime) -> None:
    row, made = Membership.objects.get_or_create(person=person, customer=customer, role=role)
    if made:
        _record(row, "role given", by=by, at=at, reason=f"{role} to {person}")
        if role == Role.ADMIN:
            end_unproved(person, at=at)


def end_unproved(person: Person, *, at: datetime) -> None:
    """A session that began without a second factor ends where the new standing demands one."""
    if second_factor.demanded(person) and second_factor.of(person) is None:
        Person.objects.filter(pk=person.pk).update(sessions_era=F("sessions_era") + 1)
        reason = "the new role demands a second factor"
        lifecycle.record(row=person, event="all sessions ended", at=at, actor="system:sign-in", reason=reason)


def keep_an_administrator() -> None:
    """Raise PersonRefused where the transaction has taken away the last one who can administer the installation."""
    left = Person.objects.select_for_update().filter(is_superuser=True, is_active=True).values_list("pk", flat=True)
    if not list(left):
        raise PersonRefused(_("This is the last administrator of the installation. Make another one first."))


def _record(row: Person | Membership, event: str, *, by: Person, at: datetime, reason: str = "") -> None:
    lifecycle.record(row=row, event=event, at=at, actor=f"person:{by.pk}", reason=reason)
