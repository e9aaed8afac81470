"""The people of the sample company, in a real directory file."""

from pathlib import Path

import pytest

from runbooks.outcome import Outcome
from runbooks.registry import RUNBOOKS
from runbooks.runners.python import execute
from runbooks.targets import directory
from triage.demo import accounts


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "directory.sqlite3"
    directory.create(file, accounts.people(), groups=accounts.groups(), policies=accounts.policies())
    return file


def run(path: Path, runbook: str, **parameters: str) -> Outcome:
    return execute(
        RUNBOOKS[runbook],
        parameters=parameters,
        target={"path": str(path)},
        run_id="one",
    )


def test_people_are_the_same_each_time_and_more_people_begin_with_the_same() -> None:
    accounts._people.cache_clear()
    first = accounts.people(120)
    accounts._people.cache_clear()
    assert accounts.people(120) == first
    assert accounts.people(accounts.MOST)[: len(first)] == first
    assert len({person.uid for person in accounts.people(accounts.MOST)}) == accounts.MOST


def test_more_people_than_there_are_names_for_are_refused_with_the_number() -> None:
    with pytest.raises(ValueError, match="1296"):
        accounts.people(accounts.MOST + 1)


def test_two_people_share_a_name_so_that_a_name_alone_says_too_little(path: Path) -> None:
    names = [person.display_name for person in accounts.people()]
    twice = [name for name in names if names.count(name) > 1]
    client = directory.SqliteDirectory(path)
    try:
        assert twice
        assert len(client.find(twice[:1])[twice[0]]) == 2
    finally:
        client.close()


def test_addresses_lie_in_domains_that_belong_to_nobody() -> None:
    assert {person.mail.split("@")[1] for person in accounts.people()} == {"example.com", "example.org"}


@pytest.mark.parametrize("reason", ["held", "privileged", "disabled"])
def test_an_account_that_must_not_be_unlocked_is_refused_before_anything_changes(path: Path, reason: str) -> None:
    uid = {
        "held": next(person.uid for person in accounts.people() if person.lock_reason == "security"),
        "privileged": next(person.uid for person in accounts.people() if person.privileged),
        "disabled": next(person.uid for person in accounts.people() if not person.enabled),
    }[reason]
    assert run(path, "unlock_account", account=uid).status == "refused"


def test_a_locked_person_can_be_unlocked(path: Path) -> None:
    uid = accounts.people()[0].uid
    assert accounts.people()[0].locked
    assert run(path, "unlock_account", account=uid).status == "succeeded"


def test_a_policy_makes_the_check_after_a_raised_quota_fail_and_the_raise_is_undone(path: Path) -> None:
    capped = next(policy.subject for policy in accounts.policies() if policy.kind == "quota_cap")
    outcome = run(path, "raise_mailbox_quota", account=capped, quota_mb=str(accounts.CAP_MB * 2))
    assert outcome.status == "undone"


def test_a_device_with_an_old_password_locks_again_and_the_unlock_is_undone(path: Path) -> None:
    again = next(policy.subject for policy in accounts.policies() if policy.kind == "locks_again")
    assert run(path, "unlock_account", account=again).status == "undone"
