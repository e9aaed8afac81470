"""The shipped identity runbooks on a real LDAP server, by the real runner: done once, checked, undone, or left alone."""

import os
import signal
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from runbooks import parameters, registry
from runbooks.base import Runbook
from runbooks.outcome import Outcome
from runbooks.runners import python
from runbooks.targets import open_directory
from runbooks.watch import Watch
from tests.runbooks.slapd import SERVICE_PASSWORD, Slapd, group, person

Execute = Callable[..., Outcome]


@pytest.fixture
def execute(ldap_server: Slapd) -> Execute:
    def run(runbook: str | Runbook, *, options: dict[str, Any] | None = None, **values: str) -> Outcome:
        book = registry.get(runbook) if isinstance(runbook, str) else runbook
        given = {"run_id": str(uuid.uuid4()), "target": ldap_server.settings(), **(options or {})}
        return python.execute(book, parameters=values, **given)

    return run


@pytest.fixture
def altered(tmp_path: Path) -> Callable[[str, str, str], Runbook]:
    """A shipped runbook whose steps have one phase wrapped."""

    def made(key: str, phase: str, body: str) -> Runbook:
        runbook = registry.get(key)
        steps = (runbook.folder / "steps.py").read_text(encoding="utf-8")
        wrapped = steps.replace(f"def {phase}(", f"def shipped_{phase}(")
        added = f'\n\ndef {phase}(context):\n    """Differently."""\n    shipped = shipped_{phase}\n{body}\n'
        (tmp_path / "steps.py").write_text(f"import os, signal\n{wrapped}{added}", encoding="utf-8")
        return runbook.model_copy(update={"folder": tmp_path})

    return made


def test_unlocking_lets_a_locked_out_person_in_again_and_once_only(execute: Execute, ldap_server: Slapd) -> None:
    ldap_server.fail_to_sign_in("j.smith")
    assert not ldap_server.lets_in("j.smith")
    run_id = str(uuid.uuid4())
    outcome = execute("unlock_account", options={"run_id": run_id}, account="j.smith")
    assert (outcome.status, outcome.output) == ("succeeded", "j.smith is unlocked\n")
    assert outcome.remembered == {"lock_reason": "failed_logins"}
    assert ldap_server.lets_in("j.smith")
    assert [dn for dn, _ in ldap_server.changes(run_id)] == [person("j.smith")]
    again = execute("unlock_account", account="j.smith")
    assert (again.status, again.message) == ("refused", "j.smith is already unlocked")
    assert len(ldap_server.changes()) == 1


def test_a_group_gains_the_member_and_a_second_run_is_refused(execute: Execute, ldap_server: Slapd) -> None:
    assert execute("add_to_group", account="bjones", group="VPN Users").status == "succeeded"
    assert person("bjones") in ldap_server.values(group("VPN Users"), "member")
    again = execute("add_to_group", account="bjones", group="VPN Users")
    assert (again.status, again.message) == ("refused", "bjones is already a member of VPN Users")
    assert len(ldap_server.changes()) == 1


def test_a_quota_is_raised_and_never_lowered(execute: Execute, ldap_server: Slapd) -> None:
    assert execute("raise_mailbox_quota", account="bjones", quota_mb="20480").status == "succeeded"
    assert ldap_server.values(person("bjones"), "mailQuota") == ["20480"]
    assert execute("raise_mailbox_quota", account="bjones", quota_mb="15360").status == "refused"
    assert len(ldap_server.changes()) == 1


REFUSED = [
    ("unlock_account", {"account": "n.ested"}, "privileged"),
    ("unlock_account", {"account": "s.held"}, "security investigation"),
    ("add_to_group", {"account": "bjones", "group": "Back Door"}, "can't be asked for"),
    ("raise_mailbox_quota", {"account": "p.riv", "quota_mb": "20480"}, "privileged"),
    ("raise_mailbox_quota", {"account": "g.one", "quota_mb": "20480"}, "disabled"),
]


def test_what_must_not_be_touched_is_refused(execute: Execute, ldap_server: Slapd) -> None:
    for uid in ("n.ested", "s.held"):
        ldap_server.fail_to_sign_in(uid)
    for key, values, reason in REFUSED:
        outcome = execute(key, **values)
        assert outcome.status == "refused", outcome
        assert reason in outcome.message
    assert ldap_server.changes() == []


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("unlock_account", {"account": "j.smith"}),
        ("add_to_group", {"account": "j.smith", "group": "VPN Users"}),
        ("raise_mailbox_quota", {"account": "j.smith", "quota_mb": "20480"}),
        ("raise_mailbox_quota", {"account": "n.oquota", "quota_mb": "20480"}),
    ],
)
def test_what_could_not_be_verified_is_put_back_exactly(
    key: str, values: dict[str, str], execute: Execute, altered: Callable[..., Runbook], ldap_server: Slapd
) -> None:
    def state() -> list[list[str]]:
        dn = person(values["account"])
        read = [ldap_server.values(dn, name) for name in ("pwdAccountLockedTime", "mailQuota", "accountState")]
        return [*read, ldap_server.values(group("VPN Users"), "member")]

    if key == "unlock_account":
        ldap_server.fail_to_sign_in("j.smith")
    before = state()
    outcome = execute(altered(key, "post_check", '    raise NotDone("not to be seen")'), **values)
    assert outcome.status == "undone", outcome
    assert state() == before
    assert len(ldap_server.changes()) == 2


def test_a_run_killed_between_action_and_post_check_leaves_one_effect_and_the_next_sees_it(
    execute: Execute, altered: Callable[..., Runbook], ldap_server: Slapd
) -> None:
    ldap_server.fail_to_sign_in("j.smith")
    lost = altered("unlock_account", "post_check", "    os.kill(os.getpid(), signal.SIGKILL)")
    outcome = execute(lost, account="j.smith")
    assert outcome.status == "unknown"
    assert "nobody knows what was done" in outcome.message
    assert execute("unlock_account", account="j.smith").status == "refused"
    assert len(ldap_server.changes()) == 1
    assert ldap_server.lets_in("j.smith")


def test_a_run_killed_before_its_change_was_sent_is_unknown_and_nothing_was_done(
    execute: Execute, altered: Callable[..., Runbook], ldap_server: Slapd
) -> None:
    ldap_server.fail_to_sign_in("j.smith")
    lost = altered("unlock_account", "action", "    os.kill(os.getpid(), signal.SIGKILL)")
    assert execute(lost, account="j.smith").status == "unknown"
    assert ldap_server.changes() == []
    assert execute("unlock_account", account="j.smith").status == "succeeded"


def test_a_server_that_is_down_means_that_nothing_was_changed(execute: Execute, ldap_server: Slapd) -> None:
    ldap_server.stop()
    outcome = execute("unlock_account", account="j.smith")
    assert (outcome.status, outcome.phase) == ("failed", "start")
    assert outcome.changed_nothing
    assert f"127.0.0.1:{ldap_server.port}" in outcome.message
    assert "nothing was changed" in outcome.message


def test_a_server_that_hangs_before_the_action_means_that_nothing_was_changed(
    execute: Execute, ldap_server: Slapd
) -> None:
    assert ldap_server.process is not None
    os.kill(ldap_server.process.pid, signal.SIGSTOP)
    outcome = execute("unlock_account", options={"target": ldap_server.settings(answer_seconds="1")}, account="j.smith")
    assert outcome.status == "failed"
    assert outcome.changed_nothing
    assert "did not answer in time" in outcome.message


def test_a_server_that_hangs_after_the_action_leaves_the_run_to_a_person(
    execute: Execute, altered: Callable[..., Runbook], ldap_server: Slapd
) -> None:
    """The change is made and cannot be seen: neither success nor "undone" may be claimed."""
    ldap_server.fail_to_sign_in("j.smith")
    assert ldap_server.process is not None
    hang = f"    shipped(context)\n    os.kill({ldap_server.process.pid}, signal.SIGSTOP)"
    outcome = execute(
        altered("unlock_account", "action", hang),
        options={"target": ldap_server.settings(answer_seconds="1")},
        account="j.smith",
    )
    assert outcome.status == "undo_failed"
    assert "did not answer in time" in outcome.message
    os.kill(ldap_server.process.pid, signal.SIGCONT)
    assert len(ldap_server.changes()) == 1
    assert execute("unlock_account", account="j.smith").status == "refused"


def test_a_server_that_restarts_after_the_action_is_asked_again(
    execute: Execute, altered: Callable[..., Runbook], ldap_server: Slapd
) -> None:
    """The connection is dead by then; the post-check reads the truth on a new one."""
    ldap_server.fail_to_sign_in("j.smith")

    def restart(phase: str) -> None:
        if phase == "post_check":
            ldap_server.stop()
            ldap_server.start()

    waits = "    import time\n    time.sleep(0.5)\n    shipped(context)"
    outcome = execute(
        altered("unlock_account", "post_check", waits), options={"watch": Watch(on_phase=restart)}, account="j.smith"
    )
    assert outcome.status == "succeeded", outcome
    assert len(ldap_server.changes()) == 1


def test_an_account_that_is_locked_again_at_once_is_left_locked(
    execute: Execute, altered: Callable[..., Runbook], ldap_server: Slapd
) -> None:
    ldap_server.fail_to_sign_in("j.smith")
    again = (
        "    shipped(context)\n"
        "    from runbooks.targets.ldap_terms import ldap3\n"
        f"    server = ldap3.Server('127.0.0.1', {ldap_server.port}, get_info=ldap3.NONE)\n"
        f"    for _ in range(3):\n        ldap3.Connection(server, {person('j.smith')!r}, 'wrong').bind()"
    )
    outcome = execute(altered("unlock_account", "action", again), account="j.smith")
    assert outcome.status == "undone"
    assert "some device may use an old password" in outcome.message
    assert not ldap_server.lets_in("j.smith")
    assert len(ldap_server.changes()) == 1


def test_the_password_shows_nowhere(execute: Execute, altered: Callable[..., Runbook], ldap_server: Slapd) -> None:
    """Neither in what the steps print of the client nor in arguments and environment of any process of the run."""
    body = (
        "    from pathlib import Path\n    from contextlib import suppress\n"
        "    client = context.target\n    print(client._settings, vars(client._connection))\n"
        "    for folder in Path('/proc').glob('[0-9]*'):\n        with suppress(OSError):\n"
        "            text = (folder / 'cmdline').read_bytes() + (folder / 'environ').read_bytes()\n"
        f"            assert {SERVICE_PASSWORD[:8]!r}.encode() + {SERVICE_PASSWORD[8:]!r}.encode() not in text\n"
        "    shipped(context)"
    )
    ldap_server.fail_to_sign_in("j.smith")
    outcome = execute(altered("unlock_account", "pre_check", body), account="j.smith")
    assert outcome.status == "succeeded", outcome
    assert SERVICE_PASSWORD not in repr(outcome)
    assert "****" in outcome.output
    wrong = execute(
        "unlock_account", options={"target": ldap_server.settings(bind_password="not-the-pass-9")}, account="j.smith"
    )
    assert wrong.status == "failed"
    assert "invalidCredentials" in wrong.message
    assert "not-the-pass-9" not in repr(wrong)


def test_a_tickets_text_leads_to_the_servers_account(ldap_server: Slapd) -> None:
    directory = open_directory(ldap_server.settings())
    with closing(directory):
        found = parameters.extract(
            registry.get("add_to_group"),
            subject="VPN",
            body="Please add me to VPN Users, or to *)(uid=*",
            requester="bjones@corp.example",
            fields={},
            directory=directory,
        )
    assert (found.values, found.problems) == ({"account": "bjones", "group": "VPN Users"}, ())
