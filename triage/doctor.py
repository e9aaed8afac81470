"""Looks at every part of an installation and says what is wrong and how to mend it."""

import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta

from triage import installation
from triage.embedded import EmbeddedError
from triage.environment import environment


@dataclass(frozen=True)
class Finding:
    """What one look found."""

    part: str
    good: bool
    words: str

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


class Bad(Exception):
    """A look that found something wrong; the message says how to mend it."""


def examine() -> list[Finding]:
    """Every part in turn; a part that cannot even be looked at is a finding too."""
    findings = [_look("home folder", _home), _look("disk", _disk)]
    with _servers(findings):
        looks: list[tuple[str, Callable[[], str]]] = [
            ("database", _database),
            ("broker", _broker),
            ("lake", _lake),
            ("models", _models),
            ("certificates", _certificates),
            ("workers", _workers),
            ("sources", _sources),
            ("targets", _targets),
            ("runbooks", _runbooks),
            ("mail", _mail),
            ("sign-in", _sign_in),
            ("event endpoints", _endpoints),
        ]
        findings += [_look(part, look) for part, look in looks]
    return findings


def _look(part: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(part, True, look())
    except Exception as error:  # noqa: BLE001 - whatever a part throws is what the doctor reports
        return Finding(part, False, (str(error) or type(error).__name__)[:500])


@contextmanager
def _servers(findings: list[Finding]) -> Iterator[None]:
    try:
        with installation.servers():
            installation.start_django()
            findings.append(Finding("servers", True, f"broker {_where(environment().broker_url)}"))
            yield
    except EmbeddedError as error:
        findings.append(Finding("servers", False, str(error)))


def _where(url: str) -> str:
    return url.rsplit("@", 1)[-1]


def _home() -> str:
    home = environment().home
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    mode = stat.S_IMODE(home.stat().st_mode)
    if mode & 0o077:
        raise Bad(f"{home} can be read by others (mode {mode:o}): chmod 700 {home}")
    return f"{home}, for its owner only"


def _disk() -> str:
    free = shutil.disk_usage(environment().home).free / 2**30
    if free < 5:
        raise Bad(f"{free:.1f} GB free at {environment().home}: free some space, 5 GB is the least to run well")
    return f"{free:.0f} GB free"


def _database() -> str:
    from django.core.management import call_command
    from django.db import connection

    try:
        call_command("migrate", check_unapplied=True, verbosity=0)
    except SystemExit:
        raise Bad("its tables are not of this version: run `triage up` or `python manage.py migrate`") from None
    return f"{connection.vendor}, tables up to date"


def _broker() -> str:
    from triage.celery import app

    with app.connection_for_read(connect_timeout=5) as connection:
        connection.ensure_connection(max_retries=1, timeout=5)
    return "answers"


def _lake() -> str:
    from triage.lake import here

    store = here.store()
    store.put("inbox/.doctor", b"ok")
    if store.get("inbox/.doctor") != b"ok":
        raise Bad("gave back other bytes than it was given: check the endpoint")
    return f"bucket {environment().lake_bucket} takes and gives"


def _models() -> str:
    from triage import serving
    from triage.models import Customer, Release

    missing = []
    for customer in Customer.objects.all():
        if Release.objects.of(customer).filter(status=Release.Status.IN_FORCE).exists():
            serving.in_force(customer)
        else:
            missing.append(customer.slug)
    return f"no model yet for {', '.join(missing)}: run `triage train`" if missing else "all in force load and verify"


def _certificates() -> str:
    from django.utils import timezone

    from triage.models import Certificate

    now = timezone.now()
    valid = Certificate.objects.filter(revoked_at__isnull=True, expires_at__gt=now)
    soon = valid.filter(expires_at__lt=now + timedelta(days=14)).count()
    return f"{valid.count()} valid, {soon} expire within 14 days"


def _workers() -> str:
    from django.utils import timezone

    from triage import recovery
    from triage.models import WorkerBeat

    if not WorkerBeat.objects.exists():
        return "none has run yet"
    silent = recovery.silent_queues(at=timezone.now())
    if silent:
        names = ", ".join(sorted(silent))
        raise Bad(f"silent for over a minute: {names}. Is `triage up` running? See log/ in the home folder")
    return "all queues prove themselves"


def _runbooks() -> str:
    from runbooks import process, registry

    if trouble := process.trouble_with_user(environment().run_as):
        raise Bad(f"no Python runbook can run: {trouble}: set TRIAGE_RUN_AS")
    troubles = registry.troubles()
    if troubles:
        named = "; ".join(f"{trouble.key} is unavailable: {trouble.problems[0]}" for trouble in troubles)
        raise Bad(f"{named}. All of it: triage runbook check")
    own = len(registry.RUNBOOKS) - len(registry.SHIPPED)
    return f"{len(registry.SHIPPED)} shipped, {own} of your own"


def _mail() -> str:
    from triage.models import Posting
    from triage.telling import mail

    if not environment().mail_url.get_secret_value():
        return "none: TRIAGE_MAIL_URL is empty, people are told on the desk only"
    connection = mail.backend()
    try:
        connection.open()
        connection.close()
    except OSError as error:
        raise Bad(f"the mail server does not take us ({type(error).__name__}): see TRIAGE_MAIL_URL") from error
    waiting = Posting.objects.exclude(address="").filter(status=Posting.Status.WAITING).count()
    return f"the mail server takes us, {waiting} mails wait"


def _sign_in() -> str:
    from triage import openid
    from triage.models import Person, SecondFactor
    from triage.web import openid as provider

    if unknown := openid.unknown_roles():
        raise Bad(f"TRIAGE_OIDC_ROLES names roles that there are not: {', '.join(unknown)}")
    if trouble := provider.trouble():
        raise Bad(f"the OpenID provider cannot be used ({trouble}): see TRIAGE_OIDC_ISSUER")
    rule = environment().second_factor
    chiefs = Person.objects.filter(is_superuser=True, is_active=True)
    without = chiefs.exclude(pk__in=SecondFactor.objects.filter(confirmed_at__isnull=False).values("person")).count()
    ways = "OpenID Connect" if provider.offered() else ""
    ways += " and " * bool(ways and environment().local_passwords) + "passwords" * environment().local_passwords
    advice = f", {without} administrators have none: TRIAGE_SECOND_FACTOR=admins demands it" if without else ""
    return f"{ways}; second factor {rule}{advice if rule == 'optional' else ''}"


def _endpoints() -> str:
    from triage.models import EventEndpoint

    failing = EventEndpoint.objects.filter(enabled=True, failing_since__isnull=False)
    if failing.exists():
        named = ", ".join(f"{row.name} since {row.failing_since:%Y-%m-%d %H:%M}" for row in failing)
        raise Bad(f"{named} UTC: look at them on /admin/triage/eventendpoint/")
    off = EventEndpoint.objects.filter(enabled=False).count()
    return f"{EventEndpoint.objects.filter(enabled=True).count()} in use, {off} switched off"


def _sources() -> str:
    from triage.models import Source

    said, amiss = [], []
    for source in Source.objects.filter(enabled=True).order_by("slug"):
        if source.in_setup:
            said.append(f"{source.slug}: being set up")
            continue
        signed, pulled = bool(source.signing_secrets()), source.pull_every is not None
        if pulled and source.pull_failure:
            amiss.append(f"{source.slug} is not pulled ({source.pull_failures} times in a row): {source.pull_failure}")
        elif not (signed or pulled):
            amiss.append(f"{source.slug} brings no tickets: set a signing secret, or pull_every to pull it")
        until = f"{source.pulled_until:%Y-%m-%d %H:%M} UTC" if source.pulled_until else "not yet"
        ways = {(True, False): "webhooks only", (True, True): f"webhooks and pull, until {until}"}
        said.append(f"{source.slug}: {ways.get((signed, pulled), f'pull only, until {until}')}")
    if amiss:
        raise Bad("; ".join(amiss))
    return "; ".join(said) or "none set up"


def _targets() -> str:
    from triage import targets
    from triage.models import Target

    said, amiss = [], []
    for target in Target.objects.order_by("pk"):
        try:
            said.append(targets.look(target))
        except Exception as error:  # noqa: BLE001 - one target that is amiss must not hide another
            amiss.append(f"{target.key}: {str(error) or type(error).__name__}")
    if amiss:
        raise Bad("; ".join(amiss))
    return "; ".join(said) or "none set up"
