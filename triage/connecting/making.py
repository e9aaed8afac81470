"""Making and changing a source: every change by a person, checked first, recorded with names and never with secrets."""

import hmac
import json
import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.text import slugify
from django.utils.translation import gettext as _

from triage import keys, lifecycle
from triage.connecting.vendors import Setting, vendor_of
from triage.itsm import SOURCES, addresses, calling, credentials, standard
from triage.models import Customer, Person, Source
from triage.models.source import Assurance
from triage.permissions import check_can_keep_source

MOST_SECRETS = 3
SHORTEST_SECRET, LONGEST_SECRET = 16, 500
LONGEST_VALUE, MOST_VALUES = 500, 100
PULLS = (60, 120, 300, 900, 3600)
RESERVED = frozenset({"new"})


class ConnectRefused(Exception):
    """What a person asked for is not possible; the message says why and how to mend it."""


def create(*, person: Person, kind: str, name: str, customer: Customer | None, at: datetime) -> Source:
    """A source that is being set up: it keeps what comes, and nothing becomes a ticket. It has a signing secret.

    Raises ConnectRefused, and PermissionDenied where the person may not keep such a source.
    """
    check_can_keep_source(person, customer)
    name = " ".join(name.split())
    if kind not in SOURCES:
        raise ConnectRefused(_("Choose which system it is."))
    if not name or len(name) > 200:
        raise ConnectRefused(_("Give the source a name of 1 to 200 characters."))
    vendor = vendor_of(kind)
    with transaction.atomic():
        source = Source.objects.create(
            slug=_slug(name, kind),
            kind=kind,
            name=name,
            customer=customer,
            in_setup=True,
            secrets="" if vendor.theirs else _made(kind),
            settings={"comments": "none"} if any(one.name == "comments" for one in vendor.settings) else {},
        )
        lifecycle.record(row=source, event="added", at=at, actor=_by(person), reason=f"{kind}, being set up")
    return source


def _slug(name: str, kind: str) -> str:
    """Part of the webhook's address; with some chance in it where the plain one is taken, by whomever."""
    plain = (slugify(name)[:30].strip("-_") or kind)[:30]
    while plain in RESERVED or Source.objects.filter(slug=plain).exists():
        plain = f"{plain[:30]}-{secrets.token_hex(3)}"
    return plain


def _made(kind: str) -> str:
    return standard.new_secret() if vendor_of(kind).signing == "whsec" else secrets.token_urlsafe(32)


def add_secret(source: Source, *, person: Person, given: str = "", at: datetime) -> str:
    """Put a new secret first, made here unless the vendor's own is given; the older ones stay until they are retired.

    The secret is returned, to be shown once. Raises ConnectRefused.
    """
    check_can_keep_source(person, source.customer)
    given = given.strip()
    if vendor_of(source.kind).theirs and not given:
        raise ConnectRefused(_("Enter the secret that the other side shows."))
    if given:
        _check_secret(source, given)
    with transaction.atomic():
        row = Source.objects.select_for_update().get(pk=source.pk)
        known = row.signing_secrets()
        if given in known:
            raise ConnectRefused(_("This secret is known already."))
        if len(known) >= MOST_SECRETS:
            raise ConnectRefused(_("Retire an old secret first: three are the most at a time."))
        new = given or _made(source.kind)
        _write(source, row, [new, *known])
        lifecycle.record(row=source, event="secret added", at=at, actor=_by(person), after=name_of(new))
    return new


def _check_secret(source: Source, given: str) -> None:
    if not given.isprintable() or not SHORTEST_SECRET <= len(given) <= LONGEST_SECRET:
        raise ConnectRefused(_("A secret has 16 to 500 printable characters, in one line."))
    if vendor_of(source.kind).signing == "whsec" and not standard.is_secret(given):
        raise ConnectRefused(_("The secret begins with whsec_, followed by at least 24 random bytes in base64."))


def retire_secret(source: Source, *, name: str, person: Person, at: datetime) -> None:
    """Take one secret out of use at once; `name` is what `name_of` calls it. Raises ConnectRefused."""
    check_can_keep_source(person, source.customer)
    with transaction.atomic():
        row = Source.objects.select_for_update().get(pk=source.pk)
        known = row.signing_secrets()
        kept = [secret for secret in known if name_of(secret) != name]
        if len(kept) == len(known):
            raise ConnectRefused(_("This secret is retired already."))
        if not kept and not row.in_setup and row.pull_every is None:
            raise ConnectRefused(_("It is the only secret, and nothing is pulled: make another first."))
        _write(source, row, kept)
        lifecycle.record(row=source, event="secret retired", at=at, actor=_by(person), after=name)


def _write(source: Source, row: Source, known: list[str]) -> None:
    source.secrets = row.secrets = "\n".join(known)
    row.save(update_fields=["secrets"])


def name_of(secret: str) -> str:
    """What to call a secret where it must not be shown: eight digits that tell nothing of it without our key."""
    return hmac.digest(keys.derive("secret-names"), secret.encode(), "sha256").hex()[:8]


def set_credentials(source: Source, *, told: Mapping[str, str], person: Person, at: datetime) -> None:
    """Replace the credentials for the ITSM's API; kind `none` removes them. A ConnectRefused repeats none of them."""
    check_can_keep_source(person, source.customer)
    kind = told.get("kind", "")
    text = ""
    if kind != "none":
        text = json.dumps({name: value.strip() for name, value in told.items() if value.strip()})
        try:
            found = credentials.read(text)
        except ValueError:
            raise ConnectRefused(_("Fill in every field of the credentials, each in one line.")) from None
        if isinstance(found, credentials.OAuthClient):
            _check_address(found.token_url, person)
    source.credentials = text
    with transaction.atomic():
        row = Source.objects.select_for_update().get(pk=source.pk)
        source.public_hosts = _public_hosts(row, row.settings, text, entered=calling.token_urls(text), person=person)
        Source.objects.filter(pk=source.pk).update(credentials=text, public_hosts=source.public_hosts, pull_due_at=None)
        lifecycle.record(row=source, event="credentials replaced", at=at, actor=_by(person), after=kind[:40])


def set_settings(source: Source, *, told: Mapping[str, str], person: Person, at: datetime) -> bool:
    """Set those of the kind's settings that are told; an empty one is removed, others stay. Raises ConnectRefused.

    Whether the stored credentials were removed: they go to no host that they were not entered for.
    """
    check_can_keep_source(person, source.customer)
    read: dict[str, Any] = {}
    for setting in vendor_of(source.kind).settings:
        if setting.name in told:
            read[setting.name] = _read(setting, told[setting.name])
    known = Source.objects.values_list("settings", flat=True).get(pk=source.pk)
    for name, value in read.items():
        if name.endswith("_url") and value and value != known.get(name):
            _check_address(value, person)  # one that stays as it is was checked against who entered it
    with transaction.atomic():
        row = Source.objects.select_for_update().get(pk=source.pk)
        before = dict(row.settings)
        after = {name: value for name, value in {**before, **read}.items() if value not in ("", [], None)}
        changed = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
        source.settings = after
        if not changed:
            return False
        lost = bool(row.credentials) and calling.led_astray(before, after)
        source.credentials = secret = "" if lost else row.credentials
        entered = [str(after[name]) for name in changed if name.endswith("_url") and name in after]
        source.public_hosts = _public_hosts(row, after, secret, entered=entered, person=person)
        columns = {"settings": after, "public_hosts": source.public_hosts} | ({"credentials": ""} if lost else {})
        Source.objects.filter(pk=source.pk).update(**columns, pull_due_at=None)
        lifecycle.record(row=source, event="settings changed", at=at, actor=_by(person), reason=", ".join(changed))
        if lost:
            why = "the address names another host"
            lifecycle.record(row=source, event="credentials removed", at=at, actor=_by(person), reason=why)
    return lost


def _public_hosts(
    row: Source, settings: Mapping[str, Any], secret: str, *, entered: Iterable[str], person: Person
) -> list[str]:
    """The hosts of the addresses in force that count as entered by a customer's administrator, now that these are."""
    named = {calling.host_of(url) for url in [*calling.urls_of(settings), *calling.token_urls(secret)]}
    new = {calling.host_of(url) for url in entered}
    before = set(row.public_hosts)
    return sorted((before - new if person.is_superuser else before | new) & named)


def _read(setting: Setting, text: str) -> str | list[str]:
    if setting.form == "list":
        parts = [part.strip() for part in text.replace(",", "\n").split("\n") if part.strip()]
        if len(parts) > MOST_VALUES or any(len(part) > LONGEST_VALUE or not part.isprintable() for part in parts):
            raise ConnectRefused(_("%(label)s: at most 100 values, one a line.") % {"label": setting.label})
        return parts
    text = text.strip()
    if isinstance(setting.form, tuple) and text not in setting.form:
        raise ConnectRefused(_("%(label)s: choose one of the list.") % {"label": setting.label})
    if len(text) > LONGEST_VALUE or not text.isprintable():
        raise ConnectRefused(_("%(label)s: one line of at most 500 characters.") % {"label": setting.label})
    return text


def _check_address(url: str, person: Person) -> None:
    """A customer's administrator may not make this installation call machines of the provider's own network."""
    try:
        addresses.allowed(url, internal=person.is_superuser, networks=calling.networks())
    except addresses.AddressRefused as error:
        raise ConnectRefused(_("This address may not be called: %(why)s") % {"why": error.why}) from None
    except OSError:
        raise ConnectRefused(_("The host of this address has no entry in the DNS. Compare its spelling.")) from None


def set_assurance(source: Source, *, told: Mapping[str, str], person: Person, at: datetime) -> None:
    """Say for channels how sure each is of who asks. Raises ConnectRefused."""
    check_can_keep_source(person, source.customer)
    for channel, level in told.items():
        if level not in Assurance.values or not 0 < len(channel) <= 40 or not channel.isprintable():
            raise ConnectRefused(_("Choose a level for each channel."))
    with transaction.atomic():
        row = Source.objects.select_for_update().get(pk=source.pk)
        after = {**row.assurance, **told}
        after = {channel: level for channel, level in after.items() if level != Assurance.NONE}
        source.assurance = after
        changed = sorted(name for name in {*row.assurance, *after} if row.assurance.get(name) != after.get(name))
        if not changed:
            return
        Source.objects.filter(pk=source.pk).update(assurance=after)
        said = ", ".join(f"{name}: {after.get(name, Assurance.NONE)}" for name in changed)
        lifecycle.record(row=source, event="assurance changed", at=at, actor=_by(person), reason=said)


def set_basics(source: Source, *, name: str, enabled: bool, pull: str, person: Person, at: datetime) -> None:
    """Name, whether it is in use, and how often it is pulled (seconds of PULLS, empty for never)."""
    check_can_keep_source(person, source.customer)
    name = " ".join(name.split())
    if not name or len(name) > 200:
        raise ConnectRefused(_("Give the source a name of 1 to 200 characters."))
    if pull and (not pull.isascii() or not pull.isdigit() or int(pull[:6]) not in {*PULLS, source.pull_every}):
        raise ConnectRefused(_("Choose how often it is pulled from the list."))
    wanted = {"name": name, "enabled": enabled, "pull_every": int(pull) if pull else None}
    with transaction.atomic():
        row = Source.objects.select_for_update().get(pk=source.pk)
        changed = {column: value for column, value in wanted.items() if getattr(row, column) != value}
        for column, value in wanted.items():
            setattr(source, column, value)
        if not changed:
            return
        Source.objects.filter(pk=source.pk).update(**changed, pull_due_at=None)
        said = ", ".join(f"{column}: {value}" for column, value in changed.items())
        lifecycle.record(row=source, event="changed", at=at, actor=_by(person), reason=said)


def _by(person: Person) -> str:
    return f"person:{person.pk}"
