"""`triage pull` and `triage replay`: backfill by hand, with exit codes that a script can act on."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner, Result

from tests import factories
from tests.itsm.fakes import standard as fake
from triage import landing
from triage.cli import cli
from triage.models import AuditEvent, Delivery, DeliveryKey, Draw, Source, Ticket

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("lake")]


@pytest.fixture
def itsm() -> Iterator[fake.Itsm]:
    with fake.running() as found:
        yield found


@pytest.fixture
def source(itsm: fake.Itsm) -> Source:
    """A source with three tickets, one of them ten days old, two to a page."""
    itsm.page = 2
    for name, days in (("OLD", 10), ("INC1", 0), ("INC2", 0)):
        itsm.put(name, at=datetime.now(UTC) - timedelta(days=days, minutes=1))
    return factories.source(
        secrets="", credentials=itsm.credentials(), settings={"pull_url": itsm.pull_url}, pull_every=60
    )


def triage(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def test_a_pull_by_hand_tells_what_it_found_in_words_and_json(source: Source) -> None:
    ended = triage("pull", "--json", "-")
    assert ended.exit_code == 0, ended.output
    told = json.loads(ended.stdout)
    assert (told["pages"], told["seen"], told["created"], told["updated"]) == (1, 2, 2, 0)
    assert (told["sources"][0]["source"], told["sources"][0]["complete"]) == (source.slug, True)
    assert f"{source.slug}: 2 tickets in 1 pages, 2 new, 0 changed" in ended.stderr
    since = (datetime.now(UTC) - timedelta(days=20)).date().isoformat()
    further = json.loads(triage("pull", "--source", source.slug, "--since", since, "--json", "-").stdout)
    assert (further["pages"], further["seen"], further["created"]) == (2, 3, 1)


def test_a_failure_ends_with_1_and_bad_usage_with_2(source: Source, itsm: fake.Itsm) -> None:
    itsm.refuse.append((503, {}))
    failed = triage("pull", "--json", "-")
    assert failed.exit_code == 1
    assert "503" in json.loads(failed.stdout)["sources"][0]["failure"]
    assert (triage("pull", "--source", "nowhere").exit_code, triage("pull", "--since", "soon").exit_code) == (2, 2)
    assert triage("replay", "--source", source.slug).exit_code == 2


def test_a_replay_brings_back_what_a_restore_lost(source: Source) -> None:
    triage("pull")
    landing.land(at=datetime.now(UTC) + timedelta(minutes=10))
    for table in (Draw, AuditEvent, Ticket, Delivery, DeliveryKey):
        table.objects.all().delete()
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    ended = triage("replay", "--source", source.slug, "--since", since, "--json", "-")
    assert ended.exit_code == 0, ended.output
    told = json.loads(ended.stdout)
    assert (told["deliveries"], told["known"], told["applied"], told["created"]) == (1, 0, 1, 2)
    assert "1 applied: 2 tickets new, 0 changed" in ended.stderr
