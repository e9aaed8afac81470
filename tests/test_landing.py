"""Deliveries and labels reach a real lake once, at whatever line the process dies."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests import factories
from triage import intake, landing
from triage.embedded import Endpoints
from triage.environment import environment
from triage.lake import here
from triage.lake.store import LakeUnavailable, ObjectStore
from triage.landing import PackDiffers, deliveries_in, land
from triage.models import Delivery, Label, Source

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("lake")]
AT = datetime(2026, 11, 20, 23, 59, tzinfo=UTC)
LATE = AT + timedelta(minutes=2)


class Killed(BaseException):
    """The process dies here."""


def deliver(source: Source, *bodies: bytes, at: datetime = AT) -> list[bytes]:
    """Messages of a source; most are no tickets and land all the same, from quarantine."""
    for body in bodies:
        intake.accept(
            source=source,
            key=hashlib.sha256(body).hexdigest(),
            body=body,
            headers={"webhook-id": "x", "content-type": "application/json"},
            content_type="application/json",
            at=at,
        )
    return list(bodies)


def keys() -> list[str]:
    return sorted(set(Delivery.objects.exclude(lake_key="").values_list("lake_key", flat=True)))


def in_lake() -> list[bytes]:
    """Every body that the objects of this database hold."""
    return [raw for key in keys() for _, raw in deliveries_in(here.store().get(key))]


def in_database() -> list[bytes]:
    return [bytes(row.body or b"") for row in Delivery.objects.filter(body__isnull=False)]


def die_at(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, *, after: bool) -> None:
    """The process dies just before or just after this call."""
    real = getattr(owner, name)

    def dying(*args: Any, **kwargs: Any) -> None:
        if after:
            real(*args, **kwargs)
        raise Killed

    monkeypatch.setattr(owner, name, dying)


def test_waiting_deliveries_become_one_object_a_source_and_leave_the_database() -> None:
    own, shared = factories.source(), factories.source(customer=None)
    bodies = deliver(own, b'{"external_id": "1", "subject": "a"}', b"{", b"\xff\xfe")
    deliver(shared, b"{}")
    landed = land(at=LATE)
    assert (landed.objects, landed.deliveries, landed.labels) == (2, 4, 0)
    assert in_database() == []
    first, second = sorted(keys(), key=lambda key: "_shared" in key)
    assert own.customer is not None
    assert first.startswith(f"raw/customer={own.customer.uuid}/source={own.uuid}/date=2026-11-21/")
    assert second.startswith(f"raw/customer=_shared/source={shared.uuid}/date=2026-11-21/")
    found = dict(deliveries_in(here.store().get(first)))
    assert list(found.values()) == bodies
    assert set(found) == {str(row.uuid) for row in Delivery.objects.filter(lake_key=first)}
    line = json.loads(here.store().get(first).split(b"\n")[0])
    assert line == {
        "id": next(iter(found)),
        "received_at": AT.isoformat(),
        "headers": {"webhook-id": "x", "content-type": "application/json"},
        "sha256": hashlib.sha256(bodies[0]).hexdigest(),
        "body": bodies[0].decode(),
    }
    assert land(at=LATE) == landing.Landed(0, 0, 0)


def test_a_pack_waits_until_it_is_full_or_its_oldest_delivery_is_old() -> None:
    source = factories.source()
    deliver(source, b"1")
    assert land(at=AT + timedelta(seconds=environment().landing_seconds - 1)).objects == 0
    assert land(at=AT + timedelta(seconds=environment().landing_seconds)).objects == 1


def test_a_full_pack_goes_at_once_and_holds_no_more_than_its_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing, "PACK_LINES", 3)
    bodies = deliver(factories.source(), *[str(number).encode() for number in range(7)])
    assert land(at=AT).deliveries == 6
    assert len(keys()) == 2
    assert sorted(in_lake() + in_database()) == sorted(bodies)


def test_an_object_stays_within_its_bytes_however_the_text_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing, "PACK_BYTES", 20_000)
    awkward = (b'"' * 6000, b"\x01" * 6000, b"\n" * 6000, "日本".encode() * 1000, b"\xff" * 6000)
    bodies = deliver(factories.source(), *awkward)
    land(at=LATE)
    assert sorted(in_lake()) == sorted(bodies)
    assert max(len(here.store().get(key)) for key in keys()) <= 20_000


@pytest.mark.parametrize(
    ("owner", "name", "after"),
    [
        (landing, "_assign_one", True),
        (ObjectStore, "put", False),
        (ObjectStore, "put", True),
        (landing, "_put", True),
    ],
)
def test_a_process_that_dies_while_landing_loses_and_doubles_nothing(
    owner: Any, name: str, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = deliver(factories.source(), b"1", b"2", b"3")
    with monkeypatch.context() as patch:
        die_at(patch, owner, name, after=after)
        with pytest.raises(Killed):
            land(at=LATE)
    assert sorted(in_database()) == bodies, "nothing is dropped before its object is known to be there"
    more = deliver(factories.source(), b"4")
    land(at=LATE + timedelta(minutes=2))
    assert sorted(in_lake()) == bodies + more
    assert in_database() == []
    assert land(at=LATE + timedelta(minutes=4)).objects == 0


def test_two_processes_that_land_at_once_write_one_object_of_each_pack(monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = deliver(factories.source(), b"1", b"2")
    (key,) = landing.assign(at=LATE)
    real = landing._put

    def meanwhile(*args: Any, **kwargs: Any) -> None:
        monkeypatch.setattr(landing, "_put", real)
        assert landing.finish(key, at=LATE) == 2  # the other process is faster
        real(*args, **kwargs)

    monkeypatch.setattr(landing, "_put", meanwhile)
    assert landing.finish(key, at=LATE) == 0
    assert in_lake() == bodies
    assert landing.assign(at=LATE) == []


def test_a_stranger_under_the_packs_key_stops_landing_and_loses_nothing() -> None:
    bodies = deliver(factories.source(), b"1")
    (key,) = landing.assign(at=LATE)
    here.store().put(key, b"something else")
    with pytest.raises(PackDiffers, match="holds something else"):
        land(at=LATE)
    assert in_database() == bodies
    here.store().delete([key])
    assert land(at=LATE).deliveries == 1


def test_a_lake_that_is_down_keeps_everything_where_it_was(monkeypatch: pytest.MonkeyPatch, lake: Endpoints) -> None:
    bodies = deliver(factories.source(), b"1")
    factories.label(factories.customer())
    monkeypatch.setenv("TRIAGE_LAKE_ENDPOINT", "http://127.0.0.1:1")
    environment.cache_clear()
    with pytest.raises(LakeUnavailable):
        land(at=LATE)
    assert in_database() == bodies
    monkeypatch.setenv("TRIAGE_LAKE_ENDPOINT", lake.s3_endpoint)
    environment.cache_clear()
    assert land(at=LATE) == landing.Landed(1, 1, 1)
    assert in_lake() == bodies


def test_a_pack_that_was_altered_is_noticed_by_its_reader() -> None:
    deliver(factories.source(), b"12345")
    land(at=LATE)
    (key,) = keys()
    with pytest.raises(ValueError, match="line 1 of the pack"):
        list(deliveries_in(here.store().get(key).replace(b"12345", b"12346")))


class TestLabels:
    """Labels go to the table; whatever happens twice, a reader sees each once and as it is now."""

    def read(self, label: Label) -> list[dict[str, object]]:
        return here.tables().read("labels", customer=str(label.customer.uuid))[1]

    def test_a_label_is_carried_once(self) -> None:
        label = factories.label(factories.customer(), draw_purpose="holdout", draw_probability=0.5)
        assert land(at=AT).labels == 1
        (row,) = self.read(label)
        assert (row["uuid"], row["article"], row["draw_probability"]) == (str(label.uuid), "KB0001", 0.5)
        label.refresh_from_db()
        assert label.landed_at == AT
        assert land(at=AT).labels == 0

    def test_customers_labels_are_kept_apart(self) -> None:
        one, other = (factories.label(factories.customer()) for _ in range(2))
        land(at=AT)
        assert [row["uuid"] for row in self.read(one)] == [str(one.uuid)]
        assert [row["uuid"] for row in self.read(other)] == [str(other.uuid)]

    def test_a_process_that_dies_between_append_and_mark_doubles_nothing_for_readers(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        label = factories.label(factories.customer())
        with monkeypatch.context() as patch:
            die_at(patch, type(here.tables()), "append", after=True)
            with pytest.raises(Killed):
                land(at=AT)
        label.refresh_from_db()
        assert label.landed_at is None
        assert len(self.read(label)) == 1
        land(at=LATE)
        assert len(self.read(label)) == 1

    def test_a_label_that_was_withdrawn_is_told_as_withdrawn(self) -> None:
        label = factories.label(factories.customer())
        land(at=AT)
        Label.objects.update(withdrawn_at=LATE, landed_at=None)
        land(at=LATE)
        assert [row["withdrawn_at"] for row in self.read(label)] == [LATE]

    def test_a_label_that_is_withdrawn_while_it_is_carried_is_carried_again(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        label = factories.label(factories.customer())
        tables = type(here.tables())
        real = tables.append

        def meanwhile(*args: Any, **kwargs: Any) -> int:
            Label.objects.update(withdrawn_at=AT, landed_at=None)
            return real(*args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(tables, "append", meanwhile)
            land(at=AT)
        label.refresh_from_db()
        assert label.landed_at is None
        land(at=LATE)
        assert [row["withdrawn_at"] for row in self.read(label)] == [AT]
