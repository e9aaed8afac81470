"""Keys of the lake: exact, in UTC, and closed to whatever a hostile name would make of them."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.lake import layout

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def test_a_pack_lies_under_its_customer_source_and_utc_day() -> None:
    key = layout.raw_key(customer="acme", source="servicenow-1", at=AT, pack_id="0190")
    assert key == "raw/customer=acme/source=servicenow-1/date=2026-01-02/0190.jsonl"
    assert key.startswith(layout.raw_prefix(customer="acme", source="servicenow-1"))
    tokyo = datetime(2026, 1, 3, 8, 59, tzinfo=timezone(timedelta(hours=9)))
    assert "/date=2026-01-02/" in layout.raw_key(customer="acme", source="s", at=tokyo, pack_id="1")


def test_what_no_customer_could_be_named_for_is_shared_and_no_customer_can_take_that_name() -> None:
    assert layout.raw_key(customer=None, source="s", at=AT, pack_id="1").startswith("raw/customer=_shared/source=s/")
    with pytest.raises(ValueError, match="_shared"):
        layout.raw_key(customer="_shared", source="s", at=AT, pack_id="1")


@pytest.mark.parametrize("name", ["", "..", "a/b", "a=b", "a b", "ü", "a\n", "a'b", "-a", "x" * 129])
def test_a_name_that_would_leave_its_place_is_refused(name: str) -> None:
    calls: list[Callable[[], str]] = [
        lambda: layout.raw_key(customer=name, source="s", at=AT, pack_id="1"),
        lambda: layout.raw_key(customer="c", source=name, at=AT, pack_id="1"),
        lambda: layout.raw_key(customer="c", source="s", at=AT, pack_id=name),
        lambda: layout.model_prefix(name, "1"),
        lambda: layout.model_prefix("c", name),
        lambda: layout.inbox_prefix(name),
        lambda: layout.table_uri("lake", name),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="cannot be part of a key"):
            call()


def test_models_tables_and_the_inbox_lie_where_the_design_says() -> None:
    assert layout.model_prefix("acme", "2026.1") == "models/acme/2026.1/"
    assert layout.table_uri("lake", "labels") == "s3://lake/tables/labels"
    assert layout.inbox_prefix("jira") == "inbox/jira/"


def test_a_claim_of_the_same_run_is_the_same_key_for_ever() -> None:
    # a changed rule would let a run that an older version claimed start once more
    key = layout.claim_key("6a0c1c7e-2f0e-4b8e-8d6c-0d7a5a1f8f10", "INC001", "unlock_account", 1)
    assert key == "runs/claims/3953203cfc86aed26066e6c9e738885a00aaa3d056189c0a800ea5d9a7a9ef39"


@given(
    st.lists(st.tuples(st.text(max_size=4), st.text(max_size=4), st.text(max_size=4), st.integers(0, 3)), max_size=8)
)
def test_claims_of_different_runs_never_meet(runs: list[tuple[str, str, str, int]]) -> None:
    assert len({layout.claim_key(*run) for run in runs}) == len(set(runs))


def test_ids_sort_by_their_moment_and_never_repeat() -> None:
    ids = [layout.time_ordered_id(AT + timedelta(milliseconds=number)) for number in range(-500, 500)]
    assert ids == sorted(ids)
    first = uuid.UUID(layout.time_ordered_id(AT))
    assert first.version == 7
    assert first.int >> 80 == int(AT.timestamp() * 1000)
    assert len({layout.time_ordered_id(AT) for _ in range(1000)}) == 1000


def test_a_moment_without_a_time_zone_is_refused() -> None:
    calls: list[Callable[[], str]] = [
        lambda: layout.time_ordered_id(AT.replace(tzinfo=None)),
        lambda: layout.raw_key(customer="c", source="s", at=AT.replace(tzinfo=None), pack_id="1"),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="no time zone"):
            call()
