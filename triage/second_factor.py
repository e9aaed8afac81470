"""The second factor of people who sign in here: codes of an authenticator app, and codes for the day it is lost.

A try is counted before it is looked at, and a code is used up by a conditional UPDATE: many requests at once get no
more tries than one after the other, and no code opens twice (RFC 6238, section 5.2).
"""

import base64
import hmac
import re
import secrets
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from django.db import transaction
from django.db.models import Case, F, Q, Value, When
from django.utils.translation import gettext as _

from triage import keys, lifecycle
from triage.environment import environment
from triage.models import Membership, Person, RecoveryCode, Role, SecondFactor

STEP = 30
DRIFT = 1
"""Steps by which the phone's clock may be off, either way."""
MOST_TRIES = 5
PAUSE = timedelta(minutes=15)
RECOVERY_CODES = 10
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


class CodeRefused(Exception):
    """The code does not open; the message says what to do."""


def demanded(person: Person) -> bool:
    """Whether this person may not do without one, by the installation's setting."""
    wanted = environment().second_factor
    if wanted == "admins":
        return person.is_superuser or Membership.objects.filter(person=person.pk, role=Role.ADMIN).exists()
    return wanted == "everyone"


def of(person: Person) -> SecondFactor | None:
    """The person's confirmed second factor."""
    return SecondFactor.objects.filter(person=person, confirmed_at__isnull=False).first()


def begin(person: Person, *, at: datetime) -> SecondFactor:
    """A new secret, or the one that waits for its first code; CodeRefused where one is confirmed."""
    secret = base64.b32encode(secrets.token_bytes(20)).decode()
    factor, _made = SecondFactor.objects.get_or_create(person=person, defaults={"secret": secret, "started_at": at})
    if factor.confirmed_at:
        raise CodeRefused(_("You have a second factor already. Remove it first."))
    return factor


def address(factor: SecondFactor) -> str:
    """The otpauth:// address that authenticator apps read from a QR code."""
    return _totp(factor).get_provisioning_uri(factor.person.get_username(), "Triage")


def confirm(person: Person, code: str, *, at: datetime) -> list[str]:
    """Take the first code of the app: from now on it is asked for. The recovery codes, shown this once."""
    factor = SecondFactor.objects.filter(person=person, confirmed_at__isnull=True).first()
    if factor is None:
        raise CodeRefused(_("There is nothing to confirm. Begin again."))
    _count_try(factor, at=at)
    step = _step_of(factor, code, at=at)
    if step is None:
        raise CodeRefused(_("That is not the code that the app shows now. Look whether the phone's clock is right."))
    with transaction.atomic():
        fresh = SecondFactor.objects.filter(pk=factor.pk, confirmed_at__isnull=True)
        if not fresh.update(confirmed_at=at, last_step=step, failures=0, blocked_until=None):
            raise CodeRefused(_("You have a second factor already. Remove it first."))
        lifecycle.record(row=person, event="second factor set up", at=at, actor=f"person:{person.pk}")
        return _new_codes(factor)


def check(person: Person, code: str, *, at: datetime) -> None:
    """Use up a code of the app or a recovery code; CodeRefused for every other."""
    factor = of(person)
    if factor is None:
        raise CodeRefused(_("You have no second factor."))
    _count_try(factor, at=at)
    step = _step_of(factor, code, at=at)
    if step is not None:
        used = SecondFactor.objects.filter(pk=factor.pk, last_step__lt=step).update(last_step=step)
    else:
        used = RecoveryCode.objects.filter(factor=factor, digest=_digest(code), used_at__isnull=True).update(used_at=at)
    if not used:
        raise CodeRefused(
            _("That code does not open. Wait for the next one that the app shows, or use a recovery code.")
        )
    SecondFactor.objects.filter(pk=factor.pk).update(failures=0, blocked_until=None)
    if step is None:
        said = f"{codes_left(person)} left"
        lifecycle.record(row=person, event="recovery code used", at=at, actor=f"person:{person.pk}", reason=said)


def renew_codes(person: Person, *, at: datetime) -> list[str]:
    """New recovery codes in the place of all old ones, shown this once; CodeRefused without a second factor."""
    factor = of(person)
    if factor is None:
        raise CodeRefused(_("You have no second factor."))
    with transaction.atomic():
        lifecycle.record(row=person, event="recovery codes renewed", at=at, actor=f"person:{person.pk}")
        return _new_codes(factor)


def codes_left(person: Person) -> int:
    """Recovery codes that still open."""
    return RecoveryCode.objects.filter(factor__person=person, used_at__isnull=True).count()


def remove(person: Person, *, actor: str, at: datetime, reason: str = "") -> bool:
    """Do without from now on, or until a new one is set up; False where there was none."""
    with transaction.atomic():
        gone, _each = SecondFactor.objects.filter(person=person).delete()
        if gone:
            lifecycle.record(row=person, event="second factor removed", at=at, actor=actor, reason=reason)
    return bool(gone)


def _count_try(factor: SecondFactor, *, at: datetime) -> None:
    """Count a try before it is looked at; CodeRefused while too many were wrong."""
    open_now = Q(blocked_until__isnull=True) | Q(blocked_until__lte=at)
    counted = SecondFactor.objects.filter(open_now, pk=factor.pk).update(
        failures=Case(When(failures__gte=MOST_TRIES, then=Value(1)), default=F("failures") + 1),
        blocked_until=Case(When(failures=MOST_TRIES - 1, then=Value(at + PAUSE)), default=None),
    )
    if not counted:
        raise CodeRefused(_("Too many wrong codes. Wait a quarter of an hour, then try again."))
    if factor.failures == MOST_TRIES - 1:
        lifecycle.record(row=factor.person, event="last try of a second factor", at=at, actor="system:sign-in")


def _totp(factor: SecondFactor) -> TOTP:
    # SHA-1, 6 digits and 30 seconds are what every authenticator app can do; as a MAC, SHA-1 is not broken
    return TOTP(base64.b32decode(factor.secret), 6, SHA1(), STEP)  # noqa: S303 - see above


def _step_of(factor: SecondFactor, code: str, *, at: datetime) -> int | None:
    """The step, later than the last one used, whose code this is."""
    given = re.sub(r"\s", "", code)
    if not (len(given) == 6 and given.isascii() and given.isdigit()):
        return None
    totp = _totp(factor)
    now = int(at.timestamp()) // STEP
    steps = range(now - DRIFT, now + DRIFT + 1)
    alike = [step for step in steps if hmac.compare_digest(totp.generate(step * STEP), given.encode())]
    return next((step for step in alike if step > factor.last_step), None)


def _new_codes(factor: SecondFactor) -> list[str]:
    plain = [
        "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4)) for _ in range(RECOVERY_CODES)
    ]
    factor.recovery_codes.all().delete()
    RecoveryCode.objects.bulk_create(RecoveryCode(factor=factor, digest=_digest(code)) for code in plain)
    return plain


def _digest(code: str) -> str:
    """16 letters of 31 have 79 random bits; the key keeps a stolen table from being searched at all."""
    plain = re.sub(r"[^a-z0-9]", "", code.casefold())
    return hmac.digest(keys.derive("recovery-codes"), plain.encode(), "sha256").hex()
