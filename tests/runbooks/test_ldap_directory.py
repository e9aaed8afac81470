"""An LDAP server as the directory: what it finds, what it changes, and what it never does."""

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

import pytest

from runbooks.targets import OpenDirectory, TargetError, open_directory
from runbooks.targets.accounts import Account
from runbooks.targets.ldap_names import NameBook
from tests.runbooks.slapd import OPEN, PEOPLE, Slapd, group, person

Opened = Callable[..., OpenDirectory]


@pytest.fixture
def opened(ldap_server: Slapd) -> Iterator[Opened]:
    clients: list[OpenDirectory] = []

    def client(**changes: str) -> OpenDirectory:
        clients.append(open_directory(ldap_server.settings(**changes), names=NameBook()))
        return clients[-1]

    yield client
    for one in clients:
        one.close()


@pytest.fixture
def directory(opened: Opened) -> OpenDirectory:
    return opened()


def uids(directory: OpenDirectory, *names: str) -> dict[str, list[str]]:
    return {name: [account.uid for account in found] for name, found in directory.find(names).items()}


def test_an_account_is_read_with_its_state(directory: OpenDirectory, ldap_server: Slapd) -> None:
    ldap_server.fail_to_sign_in("m.muster")
    account = directory.known("m.muster")
    assert (account.display_name, account.mail) == ("Max Müller-Muster", "m.muster@corp.example")
    assert (account.locked, account.lock_reason, account.enabled) == (True, "failed_logins", True)
    assert account.groups == ("Finance-Readers", "Payroll", "VPN Users")
    assert (account.quota_mb, account.privileged) == (10_240, False)
    states = {uid: directory.known(uid) for uid in ("g.one", "s.held", "bjones")}
    assert not states["g.one"].enabled
    assert states["s.held"].lock_reason == "security"
    # The other bjones lies outside the accounts' base.
    assert states["bjones"].groups == ()
    assert directory.account("no.body") is None
    with pytest.raises(TargetError, match="no account 'no.body'"):
        directory.known("no.body")


def test_whoever_can_reach_privilege_is_privileged(directory: OpenDirectory) -> None:
    """By attribute, by membership, and by a group within the group."""
    assert [uid for uid in ("p.riv", "p.admin", "n.ested", "j.smith") if directory.known(uid).privileged] == [
        "p.riv",
        "p.admin",
        "n.ested",
    ]


def test_a_group_that_leads_to_privilege_is_privileged_though_it_may_be_asked_for(directory: OpenDirectory) -> None:
    groups = {group.name: group for group in directory.groups()}
    assert [name for name in groups if groups[name].self_service] == sorted(OPEN)
    assert groups["Back Door"].privileged
    assert groups["Domain Admins"].privileged
    assert not groups["VPN Users"].privileged
    assert groups["VPN Users"].title == "About VPN Users"


def test_no_privileged_account_and_no_closed_group_is_ever_changed(
    directory: OpenDirectory, ldap_server: Slapd
) -> None:
    for uid in ("p.admin", "n.ested", "p.riv"):
        for change in (
            partial(directory.unlock, uid),
            partial(directory.lock, uid, reason="failed_logins"),
            partial(directory.set_quota, uid, 99),
            partial(directory.restore_quota, uid, 99),
            partial(directory.add_to_group, uid, "VPN Users"),
            partial(directory.remove_from_group, uid, "VPN Users"),
        ):
            with pytest.raises(TargetError, match="privileged"):
                change(run_id="r")
    for name in ("Domain Admins", "Operators", "Payroll", "Back Door"):
        with pytest.raises(TargetError, match="can't be changed by a runbook"):
            directory.add_to_group("bjones", name, run_id="r")
    assert ldap_server.changes() == []


def test_a_group_with_an_owner_may_be_asked_for_where_the_settings_name_it(opened: Opened, ldap_server: Slapd) -> None:
    """An owner that is no account, such as a group, can say nothing."""
    owned = opened(owned_groups=f'["{group("Payroll")}", "{group("VPN Users")}", "{group("Operators")}"]')
    groups = {each.name: each for each in owned.groups()}
    assert (groups["Payroll"].owners, groups["Payroll"].askable) == (("j.smith",), True)
    assert (groups["VPN Users"].owners, groups["VPN Users"].self_service) == ((), True)
    assert not groups["Operators"].askable
    owned.add_to_group("bjones", "Payroll", run_id="r")
    assert [dn for dn, _ in ldap_server.changes()] == [group("Payroll")]
    with pytest.raises(TargetError, match="can't be changed by a runbook"):
        owned.add_to_group("bjones", "Operators", run_id="r")


def test_each_change_is_made_once_however_often_it_is_asked_for(directory: OpenDirectory, ldap_server: Slapd) -> None:
    ldap_server.fail_to_sign_in("j.smith")
    for _ in range(3):
        directory.unlock("j.smith", run_id="r1")
        directory.add_to_group("j.smith", "VPN Users", run_id="r2")
        directory.set_quota("j.smith", 20_480, run_id="r3")
    assert [dn for dn, _ in ldap_server.changes()] == [person("j.smith"), group("VPN Users"), person("j.smith")]
    assert ldap_server.changes("r2") == [(group("VPN Users"), f"member:+ {person('j.smith')}")]
    assert ldap_server.changes("r3") == [(person("j.smith"), "mailQuota:+ 20480; mailQuota:- 10240")]
    assert ldap_server.lets_in("j.smith")
    for _ in range(3):
        directory.remove_from_group("j.smith", "VPN Users", run_id="r4")
        directory.restore_quota("j.smith", 10_240, run_id="r5")
    assert len(ldap_server.changes()) == 5
    assert directory.known("j.smith") == Account("j.smith", "Jane Smith", "j.smith@corp.example")


def test_unlocking_forgets_the_failures_and_locking_again_puts_the_very_lock_back(
    directory: OpenDirectory, ldap_server: Slapd
) -> None:
    ldap_server.fail_to_sign_in("j.smith")
    former = ldap_server.values(person("j.smith"), "pwdAccountLockedTime")
    directory.unlock("j.smith", run_id="r1")
    ldap_server.fail_to_sign_in("j.smith", times=1)
    assert ldap_server.lets_in("j.smith")
    directory.lock("j.smith", reason="failed_logins", run_id="r1")
    assert ldap_server.values(person("j.smith"), "pwdAccountLockedTime") == former
    assert not ldap_server.lets_in("j.smith")
    with pytest.raises(TargetError, match="only a person"):
        directory.lock("bjones", reason="security", run_id="r1")


def test_a_lock_by_an_administrator_stays(directory: OpenDirectory, ldap_server: Slapd) -> None:
    ldap_server.change(person("bjones"), "pwdAccountLockedTime", "000001010000Z")
    assert directory.known("bjones").lock_reason == "administrator"
    directory.unlock("bjones", run_id="r1")
    assert ldap_server.values(person("bjones"), "pwdAccountLockedTime") == ["000001010000Z"]


def test_a_lock_that_has_run_out_is_none(opened: Opened, ldap_server: Slapd) -> None:
    ldap_server.change(person("bjones"), "pwdAccountLockedTime", "20200101000000Z")
    assert opened().known("bjones").locked
    assert not opened(lockout_seconds="900").known("bjones").locked


def test_a_mailbox_without_a_quota_of_its_own_has_none_after_the_undo(opened: Opened, ldap_server: Slapd) -> None:
    directory = opened(default_quota_mb="5120", quota_unit="KiB")
    assert directory.known("n.oquota").quota_mb == 5_120
    directory.set_quota("n.oquota", 20_480, run_id="r1")
    assert ldap_server.values(person("n.oquota"), "mailQuota") == ["20971520"]
    directory.restore_quota("n.oquota", 5_120, run_id="r1")
    assert ldap_server.values(person("n.oquota"), "mailQuota") == []


def test_a_change_is_refused_by_the_server_where_the_state_has_changed_since_it_was_read(
    directory: OpenDirectory, ldap_server: Slapd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between our look and our change: another quota, another lock, privilege."""
    from runbooks.targets.ldap_connection import Connection

    sent = Connection.modify
    meanwhile: list[tuple[str, str]] = []

    def modify(self: Connection, *arguments: object, **named: object) -> None:
        ldap_server.change(person("j.smith"), *meanwhile.pop())
        sent(self, *arguments, **named)  # type: ignore[arg-type]  # handed through as it came

    ldap_server.fail_to_sign_in("j.smith")
    monkeypatch.setattr(Connection, "modify", modify)
    meanwhile.append(("mailQuota", "77777"))
    with pytest.raises(TargetError, match="another state than before"):
        directory.set_quota("j.smith", 20_480, run_id="r1")
    meanwhile.append(("pwdAccountLockedTime", "20251111111111Z"))
    with pytest.raises(TargetError, match="another state than before"):
        directory.unlock("j.smith", run_id="r1")
    meanwhile.append(("accountState", "privileged"))
    with pytest.raises(TargetError, match="another state than before"):
        directory.unlock("j.smith", run_id="r1")
    assert ldap_server.changes() == []
    assert ldap_server.values(person("j.smith"), "mailQuota") == ["77777"]


def test_during_checks_nothing_is_sent(directory: OpenDirectory, ldap_server: Slapd) -> None:
    directory.allow_changes(False)
    with pytest.raises(TargetError, match="readonly"):
        directory.set_quota("bjones", 20_480, run_id="r1")
    with pytest.raises(TargetError, match="readonly"):
        directory.add_to_group("bjones", "VPN Users", run_id="r1")
    assert ldap_server.changes() == []
    directory.allow_changes(True)
    directory.set_quota("bjones", 20_480, run_id="r1")
    assert len(ldap_server.changes()) == 1


HOSTILE = [
    "*",
    "j*",
    "*)(uid=*",
    "j.smith)(uid=*",
    "j.smith))(|(uid=*",
    r"\2a",
    r"j.smith\00",
    "j.smith\x00",
    "j.smith\n",
    "\nj.smith",
    "j.smith ",
    "j.smith\u00ad",
    "J.SMITH",
    "j.smith,ou=people",
    'j"+,;<>=#smith',
    f"j.smith,{PEOPLE}",
    "../j.smith",
    "(objectClass=*)",
    "&",
    "!",
    "",
    " ",
    "\ud800",
    "x" * 5_000,
]


def test_a_name_made_to_mean_more_finds_nobody_and_changes_nothing(
    directory: OpenDirectory, ldap_server: Slapd
) -> None:
    for name in HOSTILE:
        assert directory.account(name) is None
        for change in (
            partial(directory.unlock, name),
            partial(directory.set_quota, name, 99),
            partial(directory.add_to_group, name, "VPN Users"),
            partial(directory.add_to_group, "j.smith", name),
            partial(directory.remove_from_group, "m.muster", f"VPN Users){name}"),
        ):
            with pytest.raises(TargetError, match="has no (account|group)"):
                change(run_id="r")
    assert ldap_server.changes() == []


def test_names_are_found_as_everywhere_else(directory: OpenDirectory) -> None:
    assert uids(directory, "J.SMITH", "jane smith", "max müller muster", "bjones@corp.example", "nobody", "*", "") == {
        "J.SMITH": ["j.smith"],
        "jane smith": ["j.smith", "jsmith2"],
        "max müller muster": ["m.muster"],
        "bjones@corp.example": ["bjones"],
    }
    # The same person in another spelling, and nobody besides.
    assert {uid for found in uids(directory, *HOSTILE).values() for uid in found} == {"j.smith"}


def test_an_account_that_is_gone_since_its_name_was_read_is_nobody(
    directory: OpenDirectory, ldap_server: Slapd
) -> None:
    assert uids(directory, "bjones") == {"bjones": ["bjones"]}
    with ldap_server.root() as connection:
        connection.delete(person("bjones"))
    assert uids(directory, "bjones") == {}


def test_two_entries_of_one_uid_are_for_a_person(opened: Opened) -> None:
    directory = opened(accounts_base="dc=corp,dc=example")
    with pytest.raises(TargetError, match="2 accounts 'bjones'"):
        directory.account("bjones")


def test_a_large_directory_is_read_in_pages_and_not_beyond_its_bound(opened: Opened, ldap_server: Slapd) -> None:
    with ldap_server.root() as connection:
        for number in range(600):
            values = {"uid": f"u{number:04}", "cn": f"Person Number{number}", "sn": "x"}
            connection.add(person(f"u{number:04}"), ["inetOrgPerson"], values)
    assert uids(opened(), "Person Number599", "u0001") == {"Person Number599": ["u0599"], "u0001": ["u0001"]}
    # Half an answer, which the library would hand on without a word.
    with pytest.raises(TargetError, match="refused a search: sizeLimitExceeded"):
        opened(bind_dn=person("bjones"), bind_password="right horse").find(["u0001"])
    with pytest.raises(TargetError, match="more than 550 entries"):
        opened(most_accounts="550").find(["u0001"])
    with pytest.raises(TargetError, match="could mean 300 accounts"):
        opened().find([f"u{number:04}" for number in range(300)])


def test_active_directorys_attributes_are_read_and_only_ever_set_to_nought(opened: Opened, ldap_server: Slapd) -> None:
    directory = opened(
        flavour="active_directory",
        accounts_base="ou=windows,dc=corp,dc=example",
        group_filter="(objectClass=groupOfNames)",
        privileged_filter="",
        disabled_filter="",
        held_filter="",
    )
    states = {uid: directory.known(f"w.{uid}") for uid in ("locked", "lapsed", "plain", "gone", "boss")}
    assert [uid for uid, account in states.items() if account.locked] == ["locked", "gone", "boss"]
    assert [uid for uid, account in states.items() if not account.enabled] == ["gone"]
    assert [uid for uid, account in states.items() if account.privileged] == ["boss"]
    assert states["locked"].display_name == "W.Locked"
    directory.unlock("w.locked", run_id="r1")
    dn = "cn=w.locked,ou=windows,dc=corp,dc=example"
    assert ldap_server.values(dn, "lockoutTime") == ["0"]
    assert not directory.known("w.locked").locked
    with pytest.raises(TargetError, match="lets nobody lock"):
        directory.lock("w.locked", reason="failed_logins", run_id="r1")
    directory.add_to_group("w.plain", "VPN Users", run_id="r2")
    assert directory.known("w.plain").groups == ("VPN Users",)


def test_what_is_there_is_said_in_words(directory: OpenDirectory) -> None:
    assert directory.look() == "signed in, TLS, 2 groups may be asked for, with assertions on changes"


def test_a_filter_that_the_server_cannot_judge_protects_by_refusing(opened: Opened, ldap_server: Slapd) -> None:
    """A misspelt attribute matches nobody: taken for "nobody is privileged", it would protect nobody."""
    with closing(opened(privileged_filter="(employeType=admin)")) as directory:
        with pytest.raises(TargetError, match="cannot judge"):
            directory.unlock("j.smith", run_id="r1")
        with pytest.raises(TargetError, match="cannot judge"):
            directory.account("j.smith")
    assert ldap_server.changes() == []
