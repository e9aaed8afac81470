"""The four shipped runbooks, each run by the real runner on its real target: action, checks, undo, refusals, again."""

import uuid
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from runbooks import registry
from runbooks.outcome import Outcome
from runbooks.runners import RUNNERS
from runbooks.targets.directory import Account, SqliteDirectory
from runbooks.targets.journal import Journal

Execute = Callable[..., Outcome]


@pytest.fixture
def execute(directory_path: Path, journal_path: Path) -> Execute:
    paths = {"directory": directory_path, "journal": journal_path}

    def run(key: str, run_id: str | None = None, **parameters: str) -> Outcome:
        runbook = registry.get(key)
        target = {"path": str(paths[runbook.target_kind])}
        return RUNNERS[runbook.runner](
            runbook, parameters=parameters, target=target, run_id=run_id or str(uuid.uuid4())
        )

    return run


def account(directory: SqliteDirectory, uid: str) -> Account:
    return directory.known(uid)


def what_was_done(directory: SqliteDirectory) -> list[tuple[str, str]]:
    return [(effect.what, effect.account) for effect in directory.effects()]


def test_unlocking_unlocks_once_and_a_second_run_is_refused(execute: Execute, directory: SqliteDirectory) -> None:
    first = execute("unlock_account", account="j.smith")
    assert (first.status, first.output) == ("succeeded", "j.smith is unlocked\n")
    assert first.remembered == {"lock_reason": "failed_logins"}
    assert not account(directory, "j.smith").locked
    second = execute("unlock_account", account="j.smith")
    assert (second.status, second.message) == ("refused", "j.smith is already unlocked")
    assert what_was_done(directory) == [("unlock", "j.smith")]
    assert directory.repeated() == ()


@pytest.mark.parametrize(
    ("uid", "reason"),
    [
        ("p.admin", "privileged"),
        ("g.one", "disabled"),
        ("s.held", "held for a security investigation"),
        ("x.pired", "locked for another reason: expired"),
        ("no.body", "has no account no.body"),
    ],
)
def test_unlocking_refuses_whatever_is_not_a_plain_lock(
    execute: Execute, directory: SqliteDirectory, uid: str, reason: str
) -> None:
    before = directory.accounts()
    outcome = execute("unlock_account", account=uid)
    assert outcome.status == "refused"
    assert reason in outcome.message
    assert (directory.accounts(), directory.effects()) == (before, ())


def test_an_account_that_a_device_locks_again_is_left_as_it_was(execute: Execute, directory: SqliteDirectory) -> None:
    before = account(directory, "r.phone")
    outcome = execute("unlock_account", account="r.phone")
    assert outcome.status == "undone"
    assert "some device may use an old password" in outcome.message
    assert account(directory, "r.phone") == before


def test_adding_to_a_group_adds_once_and_a_second_run_is_refused(execute: Execute, directory: SqliteDirectory) -> None:
    assert execute("add_to_group", account="bjones", group="VPN Users").status == "succeeded"
    assert account(directory, "bjones").groups == ("Staff", "VPN Users")
    again = execute("add_to_group", account="bjones", group="VPN Users")
    assert (again.status, again.message) == ("refused", "bjones is already a member of VPN Users")
    assert what_was_done(directory) == [("add_to_group", "bjones")]


@pytest.mark.parametrize(
    ("uid", "group", "reason"),
    [
        ("bjones", "Domain Admins", "can't be asked for by ticket"),
        ("bjones", "Payroll", "can't be asked for by ticket"),
        ("bjones", "Nowhere", "has no group Nowhere"),
        ("no.body", "Finance", "has no account no.body"),
        ("p.admin", "Finance", "privileged"),
        ("g.one", "Finance", "disabled"),
        ("j.smith", "Finance", "locked"),
    ],
)
def test_adding_to_a_group_refuses_closed_groups_and_odd_accounts(
    execute: Execute, directory: SqliteDirectory, uid: str, group: str, reason: str
) -> None:
    outcome = execute("add_to_group", account=uid, group=group)
    assert outcome.status == "refused"
    assert reason in outcome.message
    assert directory.effects() == ()


def test_a_group_kept_by_a_rule_throws_the_member_out_and_the_run_is_undone(
    execute: Execute, directory: SqliteDirectory
) -> None:
    outcome = execute("add_to_group", account="bjones", group="All-Berlin")
    assert outcome.status == "undone"
    assert account(directory, "bjones").groups == ("Staff",)


def test_raising_a_quota_raises_once_and_a_second_run_is_refused(execute: Execute, directory: SqliteDirectory) -> None:
    outcome = execute("raise_mailbox_quota", account="bjones", quota_mb="51200")
    assert (outcome.status, outcome.remembered) == ("succeeded", {"quota_mb": 10_240})
    assert account(directory, "bjones").quota_mb == 51_200
    again = execute("raise_mailbox_quota", account="bjones", quota_mb="51200")
    assert (again.status, again.message) == ("refused", "the quota of bjones is already 51200 MiB")
    assert what_was_done(directory) == [("set_quota", "bjones")]


@pytest.mark.parametrize(
    ("uid", "quota", "reason"),
    [("bjones", "2048", "more than the 2048 MiB"), ("g.one", "51200", "disabled"), ("p.admin", "51200", "privileged")],
)
def test_a_quota_is_never_lowered_nor_raised_for_odd_accounts(
    execute: Execute, directory: SqliteDirectory, uid: str, quota: str, reason: str
) -> None:
    outcome = execute("raise_mailbox_quota", account=uid, quota_mb=quota)
    assert outcome.status == "refused"
    assert reason in outcome.message
    assert directory.effects() == ()


def test_a_quota_out_of_bounds_never_reaches_the_target(execute: Execute, directory: SqliteDirectory) -> None:
    outcome = execute("raise_mailbox_quota", account="bjones", quota_mb="9999999")
    assert (outcome.status, outcome.phase) == ("failed", "start")
    assert directory.effects() == ()


def test_a_quota_that_a_policy_cuts_is_put_back(execute: Execute, directory: SqliteDirectory) -> None:
    outcome = execute("raise_mailbox_quota", account="c.apped", quota_mb="51200")
    assert outcome.status == "undone"
    assert "20480 MiB and not 51200" in outcome.message
    assert account(directory, "c.apped").quota_mb == 10_240
    by_run = [effect.what for effect in directory.effects() if effect.run_id]
    assert by_run == ["set_quota", "restore_quota"]
    assert execute("raise_mailbox_quota", account="c.apped", quota_mb="20480").status == "succeeded"


def test_record_only_writes_one_entry_a_run_and_refuses_the_same_run_again(execute: Execute, journal: Journal) -> None:
    assert execute("record_only", run_id="r1", article="reset a card\u2019s PIN").status == "succeeded"
    again = execute("record_only", run_id="r1", article="reset a card\u2019s PIN")
    assert (again.status, again.message) == ("refused", "this run is already in the journal")
    assert execute("record_only", run_id="r2").status == "succeeded"
    entries = [(entry.run_id, entry.what, entry.detail) for entry in journal.entries()]
    assert entries == [("r1", "would run", "reset a card\u2019s PIN"), ("r2", "would run", "")]


def test_the_undo_of_record_only_withdraws_its_entry(journal: Journal) -> None:
    from runbooks.context import Context, NotDone
    from runbooks.library.record_only import steps

    context = Context(target=journal, parameters={}, run_id="r1")
    steps.action(context)
    steps.action(context)
    with pytest.raises(NotDone, match="2 entries"):
        steps.post_check(context)
    with pytest.raises(NotDone, match="2 entries of this run are not withdrawn"):
        steps.undo_check(context)
    steps.undo(context)
    steps.undo_check(context)
    assert [entry.what for entry in journal.entries("r1")] == ["would run", "would run", "withdrawn", "withdrawn"]


def test_every_runbook_undoes_its_own_action(directory: SqliteDirectory) -> None:
    from runbooks.context import Context
    from runbooks.library.add_to_group import steps as group
    from runbooks.library.raise_mailbox_quota import steps as quota
    from runbooks.library.unlock_account import steps as unlock

    cases: list[tuple[ModuleType, dict[str, str | int]]] = [
        (unlock, {"account": "j.smith"}),
        (group, {"account": "bjones", "group": "Finance"}),
        (quota, {"account": "bjones", "quota_mb": 51_200}),
    ]
    for steps, parameters in cases:
        before = directory.accounts()
        context = Context(target=directory, parameters=parameters, run_id=str(uuid.uuid4()))
        steps.pre_check(context)
        steps.action(context)
        steps.post_check(context)
        assert directory.accounts() != before
        steps.undo(context)
        steps.undo_check(context)
        assert directory.accounts() == before
