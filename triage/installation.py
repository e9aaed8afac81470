"""One installation on one machine: its home folder, its database, its processes and its first administrator."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from triage.embedded import Embedded, Endpoints
from triage.environment import environment
from triage.supervisor import Child, Supervisor

POOLS: Mapping[str, tuple[tuple[str, ...], int]] = {
    # name -> (queues, processes); production runs one pool for each queue, on as many hosts as needed
    "classify": (("classify",), 1),
    "runbooks": (("runbooks",), 2),
    "background": (("landing", "writeback"), 2),
    "learning": (("learning",), 1),  # of its own: a training takes long, and nobody's answer may wait for it
}


def use_home(home: Path) -> None:
    """Make `home` this process's installation; before Django's settings are read."""
    os.environ["TRIAGE_HOME"] = str(home)
    environment.cache_clear()


def use_servers(endpoints: Endpoints) -> None:
    """Make the embedded parts this process's, where the environment names no others."""
    for name, value in endpoints.environment().items():
        os.environ.setdefault(name, value)
    environment.cache_clear()


def start_django() -> None:
    """Read the settings; raises EnvironmentInvalid where one is bad."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "triage.settings")
    import django

    django.setup()


@contextmanager
def servers() -> Iterator[None]:
    """The broker and lake that this process's environment names, or the embedded ones, started if they do not run."""
    found = environment()
    external = os.environ.get("TRIAGE_BROKER_URL") and os.environ.get("TRIAGE_LAKE_ENDPOINT")
    running = None if external else Embedded.running(found.home)
    if running:
        use_servers(running)
    if external or running:
        yield
        return
    own = Embedded(found.home)
    use_servers(own.start())
    try:
        yield
    finally:
        own.stop()


def prepare_database() -> None:
    """Bring the tables to this version and make sure that there is a customer."""
    from django.core.management import call_command

    from triage.lake import here
    from triage.models import Customer

    call_command("migrate", verbosity=0, interactive=False)
    here.store().ensure_bucket()
    if not Customer.objects.exists():
        Customer.objects.create(slug="default", name="Default")


def first_sign_in(*, at: datetime) -> str | None:
    """A one-time sign-in link for the first administrator; None where somebody can sign in already."""
    from triage.models import Person
    from triage.web.signin import make_sign_in_link

    if Person.objects.filter(is_superuser=True, last_login__isnull=False).exists():
        return None
    person, created = Person.objects.get_or_create(
        username="admin",
        defaults={"is_superuser": True, "is_staff": True, "first_name": "First", "last_name": "Administrator"},
    )
    if created:
        person.set_unusable_password()
        person.save(update_fields=["password"])
    return environment().base_url + make_sign_in_link(person, at=at)


def children(*, port: int) -> list[Child]:
    """The product's processes for one machine, for a supervisor."""
    env = dict(os.environ)
    env["TRIAGE_HOME"] = str(environment().home)
    env["PYTHONUNBUFFERED"] = "1"
    return [_web(env, port), *(_pool(name, env) for name in POOLS), _reconciler(env)]


def _web(env: Mapping[str, str], port: int) -> Child:
    found = environment()
    run = found.home / "run"
    run.mkdir(parents=True, exist_ok=True)
    argv = [
        *(
            sys.executable,
            "-m",
            "gunicorn",
            "--config",
            "python:triage.gunicorn",
            "triage.wsgi:application",
            "--bind",
            f"127.0.0.1:{port}",
        ),
        *("--workers", str(found.web_processes), "--threads", str(found.web_threads), "--worker-class", "gthread"),
        *("--no-control-socket", "--worker-tmp-dir", str(run), "--timeout", "60", "--graceful-timeout", "20"),
        *("--max-requests", "100000", "--log-level", "warning"),
    ]
    return Child("web", argv, env, grace=25)


def _pool(name: str, env: Mapping[str, str]) -> Child:
    queues, processes = POOLS[name]
    argv = [
        *(sys.executable, "-m", "celery", "-A", "triage.celery", "worker", "--queues", ",".join(queues)),
        *("--concurrency", str(processes), "--hostname", f"{name}@localhost", "--loglevel", "WARNING"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    ]
    if name == "runbooks":
        # early-acknowledged tasks are lost by the soft shutdown, so a plain SIGTERM waits for the longest runbook
        return Child(name, argv, env, grace=900)
    return Child(name, argv, {**env, "REMAP_SIGTERM": "SIGQUIT"}, grace=30)


def _reconciler(env: Mapping[str, str]) -> Child:
    return Child("reconcile", [sys.executable, "-m", "triage", "reconcile"], env, grace=10)


@contextmanager
def ready() -> Iterator[None]:
    """Servers, settings and tables for one command; the embedded parts are started where none run."""
    with servers():
        start_django()
        prepare_database()
        yield


def up(*, port: int, tell: Callable[[str], None]) -> None:
    """Run the product in the foreground until SIGTERM or SIGINT."""
    os.environ.setdefault("TRIAGE_BASE_URL", f"http://127.0.0.1:{port}")
    environment.cache_clear()
    own = None
    if not (os.environ.get("TRIAGE_BROKER_URL") and os.environ.get("TRIAGE_LAKE_ENDPOINT")):
        own = Embedded(environment().home)
        use_servers(own.start())
    try:
        start_django()
        prepare_database()
        from django.utils import timezone

        link = first_sign_in(at=timezone.now())
        tell(f"Triage runs at {environment().base_url} with its data in {environment().home}")
        if link:
            tell(f"Sign in once as the first administrator: {link}")
        supervisor(port=port, parts=own).run()
    finally:
        if own:
            own.stop()


def supervisor(*, port: int, parts: Embedded | None) -> Supervisor:
    """A supervisor of the product's processes, started."""
    keeper = Supervisor(children(port=port), logs=environment().home / "log", parts=parts, stale=_stale)
    keeper.start()
    return keeper


def _stale() -> set[str]:
    """Children whose queues have fallen silent."""
    from django.db import Error, close_old_connections
    from django.utils import timezone

    from triage import recovery

    close_old_connections()  # this process lives through many restarts of the database
    try:
        silent = recovery.silent_queues(at=timezone.now())
    except Error:  # a database that does not answer says nothing about the workers
        return set()
    reconciler = {"reconcile"} if recovery.RECONCILER in silent else set()
    return reconciler | {name for name, (queues, _) in POOLS.items() if silent.intersection(queues)}
