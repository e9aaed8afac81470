"""Who somebody is that an OpenID provider vouches for, and which roles their groups give them here.

The claims come in verified. The provider's (issuer, subject) pair names a person for good; a mail address counts once,
at the first sign-in, and only where the provider has verified it.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils.translation import gettext as _

from triage import lifecycle
from triage.consent import TOUCHED
from triage.environment import environment, roles_by_group
from triage.models import AuditEvent, Customer, Identity, Membership, Person, Role, Token

log = logging.getLogger(__name__)
ACTOR = "system:openid"


class Stranger(Exception):
    """The provider knows this person and we do not, or no longer; the message says what to do."""


@dataclass(frozen=True)
class Claims:
    """What we use of the provider's claims. `mail` is empty unless the provider has verified it."""

    issuer: str
    subject: str
    name: str = ""
    mail: str = ""
    given_name: str = ""
    family_name: str = ""
    groups: frozenset[str] = frozenset()


def read(claims: Mapping[str, Any]) -> Claims:
    """The claims that count, by the installation's settings; ValueError without issuer or subject."""
    settings = environment()
    issuer, subject = _text(claims, "iss", 300), _text(claims, "sub", 255)
    if not issuer or not subject:
        raise ValueError("the provider names no issuer or no subject")
    groups = claims.get(settings.oidc_groups_claim)
    verified = claims.get("email_verified") is True or claims.get("email_verified") == "true"  # Cognito sends text
    return Claims(
        issuer=issuer,
        subject=subject,
        name=_text(claims, settings.oidc_name_claim, 150),
        mail=_text(claims, settings.oidc_mail_claim, 254) if verified else "",
        given_name=_text(claims, "given_name", 150),
        family_name=_text(claims, "family_name", 150),
        groups=frozenset(str(group) for group in groups) if isinstance(groups, list) else frozenset(),
    )


def arrive(claims: Claims, *, at: datetime) -> Person:
    """The person, with the roles that their groups give them; Stranger where nobody here is meant."""
    try:
        return _arrive(claims, at=at)
    except IntegrityError:  # the same person's first sign-in in another window was faster
        return _arrive(claims, at=at)


def _arrive(claims: Claims, *, at: datetime) -> Person:
    with transaction.atomic():
        known = Identity.objects.filter(issuer=claims.issuer, subject=claims.subject).select_related("person").first()
        person = known.person if known else _first_time(claims, at=at)
        if not person.is_active:
            raise Stranger(_("Your account here is switched off. Ask an administrator."))
        Identity.objects.filter(issuer=claims.issuer, subject=claims.subject).update(used_at=at)
        _follow_groups(person, claims.groups, at=at)
    return person


def unlink(identity: Identity, *, actor: str, at: datetime) -> None:
    """Forget who somebody is there, so that their next sign-in is a first one."""
    with transaction.atomic():
        lifecycle.record(row=identity.person, event="OpenID account unlinked", at=at, actor=actor, reason=f"{identity}")
        identity.delete()


def roles() -> dict[str, frozenset[tuple[str, str]]]:
    """The (customer's slug, role) pairs of each group that counts."""
    return roles_by_group(environment().oidc_roles)


def unknown_roles() -> list[str]:
    """Pairs of the setting whose role there is not."""
    pairs = {pair for each in roles().values() for pair in each}
    return sorted(f"{slug}:{role}" for slug, role in pairs if role not in Role.values)


def _first_time(claims: Claims, *, at: datetime) -> Person:
    person = _by_mail(claims) if environment().oidc_link_by_mail else None
    if person is None:
        if not environment().oidc_create:
            raise Stranger(_("Nobody here is known by your account. Ask an administrator to invite you."))
        person = _new_person(claims, at=at)
    elif _was_made_by_a_customer(person):
        _close_other_ways(person, at=at)
    Identity.objects.create(person=person, issuer=claims.issuer, subject=claims.subject, linked_at=at, used_at=at)
    lifecycle.record(row=person, event="OpenID account linked", at=at, actor=ACTOR, reason=f"{claims.subject}")
    return person


def _by_mail(claims: Claims) -> Person | None:
    """The one active person with the verified address who is nobody else at this provider yet."""
    if not claims.mail:
        return None
    found = list(Person.objects.filter(email__iexact=claims.mail, is_active=True)[:2])
    if len(found) > 1:
        raise Stranger(_("Several people here have your mail address. Ask an administrator to mend that."))
    if found and found[0].identities.filter(issuer=claims.issuer).exists():
        raise Stranger(_("Your mail address belongs to another account here. Ask an administrator to unlink that one."))
    if not found and Person.objects.filter(email__iexact=claims.mail).exists():
        raise Stranger(_("Your account here is switched off. Ask an administrator."))
    return found[0] if found else None


def _was_made_by_a_customer(person: Person) -> bool:
    """Whether a customer's administrator made the account, gave it its address or had its link: no owner's proof."""
    events = AuditEvent.objects.filter(
        subject="person", subject_id=person.pk, event__in=TOUCHED, actor__startswith="person:"
    )
    actors = {int(actor.partition(":")[2]) for actor in events.values_list("actor", flat=True)}
    return Person.objects.filter(pk__in=actors - {person.pk}, is_superuser=False).exists()


def _close_other_ways(person: Person, *, at: datetime) -> None:
    """Whoever came in before may not have been the address's owner, and must not share what the owner gets now."""
    Person.objects.filter(pk=person.pk).update(password=make_password(None), sessions_era=F("sessions_era") + 1)
    mine = Token.objects.filter(person=person)
    mine.filter(purpose=Token.Purpose.SIGN_IN, used_at__isnull=True).update(used_at=at)
    mine.filter(purpose=Token.Purpose.API, revoked_at__isnull=True).update(revoked_at=at)
    said = "password, links and tokens from before the first sign-in by OpenID Connect"
    lifecycle.record(row=person, event="other ways in closed", at=at, actor=ACTOR, reason=said)
    person.refresh_from_db()


def _new_person(claims: Claims, *, at: datetime) -> Person:
    base = re.sub(r"[^\w.@+-]", "-", claims.name or claims.mail or "person")[:140]
    for number in range(1, 100):
        name = base if number == 1 else f"{base}-{number}"
        try:
            with transaction.atomic():
                person = Person(
                    username=name, email=claims.mail, first_name=claims.given_name, last_name=claims.family_name
                )
                person.set_unusable_password()
                person.save()
        except IntegrityError:
            continue
        lifecycle.record(row=person, event="added", at=at, actor=ACTOR, reason="first sign-in by OpenID Connect")
        return person
    raise Stranger(_("Too many people here are called like you. Ask an administrator to invite you."))


def _follow_groups(person: Person, groups: frozenset[str], *, at: datetime) -> None:
    """Roles that the setting names follow the groups; all others were given by hand and stay."""
    table = roles()
    if not table:
        return
    wanted = {pair for group in groups for pair in table.get(group, ())}
    managed = {pair for pairs in table.values() for pair in pairs}
    customers = {
        customer.slug: customer for customer in Customer.objects.filter(slug__in={slug for slug, _r in managed})
    }
    for slug, role in sorted(managed):
        if slug not in customers or role not in Role.values:
            log.warning("TRIAGE_OIDC_ROLES names %s:%s, which there is not", slug, role)
            continue
        given = Membership.objects.filter(person=person, customer=customers[slug], role=role)
        if (slug, role) in wanted and not given.exists():
            row = Membership.objects.create(person=person, customer=customers[slug], role=role)
            lifecycle.record(row=row, event="role given", at=at, actor=ACTOR, reason=f"{role} to {person}, by group")
        elif (slug, role) not in wanted:
            for row in given:
                lifecycle.record(
                    row=row, event="role taken", at=at, actor=ACTOR, reason=f"{role} of {person}, by group"
                )
                row.delete()


def _text(claims: Mapping[str, Any], name: str, most: int) -> str:
    """A claim as printable text; empty where it is none or too long, since a cut name would be another one."""
    value = claims.get(name)
    return value if isinstance(value, str) and len(value) <= most and value.isprintable() else ""
