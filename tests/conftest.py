"""What every test shares: a home of its own, real servers on loopback, and skips that CI turns into failures."""

import gc
import os
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

# the home must be set before Django's settings are read: a test never touches the person's own installation
_HOME = tempfile.TemporaryDirectory(prefix="triage-tests-", ignore_cleanup_errors=True)
os.environ["TRIAGE_HOME"] = _HOME.name
for name in ("TRIAGE_DATABASE_URL", "TRIAGE_BROKER_URL", "TRIAGE_LAKE_ENDPOINT", "TRIAGE_RUNBOOKS"):
    os.environ.pop(name, None)
# named here and not in pyproject.toml: pytest-django would read the settings before this file sets the home
os.environ["DJANGO_SETTINGS_MODULE"] = "triage.settings"

import django  # noqa: E402 - after the environment is set

django.setup()

import pytest  # noqa: E402 - after the environment is set
from django.conf import settings  # noqa: E402
from django.contrib.auth.hashers import PBKDF2PasswordHasher  # noqa: E402
from django.db.models.signals import post_migrate  # noqa: E402
from whitenoise.middleware import WhiteNoiseMiddleware  # noqa: E402

from triage.embedded import Endpoints  # noqa: E402

# no test cuts the power of this process: what the kernel has is kept, and a commit need not wait for the disk
settings.DATABASES["default"]["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
# nobody is given Django's own permissions, and making 240 of them anew took most of the time of emptying the database
assert post_migrate.disconnect(dispatch_uid="django.contrib.auth.management.create_permissions")
# hashing a password is slow on purpose: here it has the same form and one round
PBKDF2PasswordHasher.iterations = 1


def _listed(middleware: WhiteNoiseMiddleware) -> None:
    """The static files are looked through once: every client of a test would do it anew, in 40 ms."""
    if not _static:
        _list_files(middleware)
        _static.update(middleware.files)
    middleware.files.update(_static)


_static: dict[str, Any] = {}
_list_files = WhiteNoiseMiddleware.add_files_from_finders
WhiteNoiseMiddleware.add_files_from_finders = _listed

# a quarter of the tests' time went into looking again and again through what a test never lets go of
gc.set_threshold(10_000, 20, 20)

REQUIRE_ALL = os.environ.get("TRIAGE_TESTS_REQUIRE") == "all"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Three workers for all tests: two processors wait a third of the time. None for a part of them, which starts at once."""
    part = config.option.keyword or config.option.markexpr or config.option.lf or config.option.failedfirst
    return 0 if part or config.args_source is not pytest.Config.ArgsSource.TESTPATHS else 3


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Workers inherit no settings module: pytest-django would read them before a worker's own home is set."""
    del os.environ["DJANGO_SETTINGS_MODULE"]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Workers take files from the front: with the longest last, one would wait for the other."""
    if hasattr(config, "workerinput"):
        long = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: item.path not in long)


def pytest_collection_finish() -> None:
    """All that is imported now stays to the end: no collection need look at it."""
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Under TRIAGE_TESTS_REQUIRE=all a skipped test counts as failed."""
    report = yield
    if REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, but TRIAGE_TESTS_REQUIRE=all: {report.longrepr}"
    return report


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty installation folder with a short path."""
    return Path(tempfile.mkdtemp(prefix="tri-"))


@pytest.fixture(scope="session")
def lake_server() -> Iterator[Endpoints]:
    """The embedded lake and broker, started once for all tests that ask."""
    from tests import servers

    with servers.embedded() as endpoints:
        yield endpoints


@pytest.fixture
def lake(lake_server: Endpoints, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoints]:
    """The installation's lake and broker are the embedded ones for this test."""
    from tests import servers
    from triage.environment import environment
    from triage.lake import layout

    for name, value in lake_server.environment().items():
        monkeypatch.setenv(name, value)
    environment.cache_clear()
    # the database of the test before is gone: its tick would make this test's database seem restored
    servers.store(lake_server).delete([layout.TICK])
    yield lake_server
    environment.cache_clear()
