"""Setting a password and reading the contact on file: on a real LDAP server and in the directory's file."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from runbooks.targets import TargetError, ldap_passwords, open_directory
from runbooks.targets.accounts import PasswordRefused
from runbooks.targets.directory import Account, SqliteDirectory, create
from runbooks.targets.ldap import LdapDirectory
from runbooks.targets.ldap_terms import exceptions
from tests.runbooks import slapd
from tests.runbooks.slapd import PASSWORD, Slapd, person

NEW = "correct staple 9"


@pytest.fixture(scope="module")
def server() -> Iterator[Slapd]:
    yield from slapd.fresh()


@pytest.fixture
def opened(server: Slapd) -> Iterator[Callable[..., LdapDirectory]]:
    made: list[LdapDirectory] = []

    def make(**changes: str) -> LdapDirectory:
        found = open_directory(server.settings(contact_attribute="recoveryMail", **changes))
        assert isinstance(found, LdapDirectory)
        made.append(found)
        return found

    yield make
    for each in made:
        each.close()


def test_the_contact_on_file_is_the_one_of_its_attribute_and_the_own_mailbox_only_where_settings_say_so(
    opened: Callable[..., LdapDirectory],
) -> None:
    plain, mailed = opened(), opened(contact_may_be_mail="true")
    assert [plain.known(uid).contact for uid in ("j.smith", "bjones", "m.muster")] == ["jane@home.example", "", ""]
    assert [mailed.known(uid).contact for uid in ("j.smith", "bjones")] == ["jane@home.example", "bjones@corp.example"]
    # Two on file stay two: the mailbox does not step in.
    assert mailed.known("m.muster").contact == ""


def test_a_password_is_set_under_the_servers_rules_and_the_server_keeps_it_hashed(
    opened: Callable[..., LdapDirectory], server: Slapd
) -> None:
    directory = opened()
    before = {name: server.values(person("j.smith"), name) for name in ("mail", "mailQuota", "accountState")}
    with pytest.raises(PasswordRefused, match="the directory says: .*(short|quality)"):
        directory.set_password("j.smith", "short", run_id="r-1")
    assert server.lets_in("j.smith")
    directory.set_password("j.smith", NEW, run_id="r-1")
    assert (server.lets_in("j.smith", NEW), server.lets_in("j.smith", PASSWORD)) == (True, False)
    (kept,) = server.values(person("j.smith"), "userPassword")
    assert kept.startswith("{SSHA}")
    with pytest.raises(PasswordRefused, match="existing value"):
        directory.set_password("j.smith", NEW, run_id="r-1")
    assert {name: server.values(person("j.smith"), name) for name in before} == before
    assert [dn for dn, _ in server.changes("r-1")] == [person("j.smith")]


def test_without_the_operation_for_it_the_password_goes_into_its_attribute(
    opened: Callable[..., LdapDirectory], server: Slapd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another OID stands for a server that does not offer RFC 3062."""
    monkeypatch.setattr(ldap_passwords, "PASSMODIFY", "1.3.6.1.4.1.32473.9.9")
    opened().set_password("n.oquota", "pässwort mit Umlaut", run_id="r-2")
    assert server.lets_in("n.oquota", "pässwort mit Umlaut")
    with pytest.raises(PasswordRefused, match="characters that no password may have"):
        opened().set_password("n.oquota", "bell \x07 and more text", run_id="r-2")


@pytest.mark.parametrize("uid", ["p.admin", "n.ested", "p.riv", "g.one", "s.held", "nobody"])
def test_no_password_is_set_for_whom_runbooks_must_not_touch(
    opened: Callable[..., LdapDirectory], server: Slapd, uid: str
) -> None:
    with pytest.raises(TargetError):
        opened().set_password(uid, NEW, run_id="r-3")
    assert server.changes("r-3") == []


def test_a_lock_by_an_administrator_is_not_lifted_by_a_new_password(
    opened: Callable[..., LdapDirectory], server: Slapd
) -> None:
    """ppolicy takes off any lock when a password is set; that of failed sign-ins only may go."""
    dn = person("n.oquota")
    server.change(dn, "pwdAccountLockedTime", "000001010000Z")
    with pytest.raises(TargetError, match="locked"):
        opened().set_password("n.oquota", NEW, run_id="r-4")
    assert server.values(dn, "pwdAccountLockedTime") == ["000001010000Z"]
    server.change(dn, "pwdAccountLockedTime")
    server.fail_to_sign_in("n.oquota")
    opened().set_password("n.oquota", NEW, run_id="r-4")
    assert server.lets_in("n.oquota", NEW)


class Recorded:
    """A connection that notes what is asked of it, or refuses as Active Directory does."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked: list[Any] = []

    def perform(self, _doing: str, request: Callable[[Any], object]) -> None:
        request(self)

    def modify(self, *asked: Any, **_: Any) -> None:
        self.asked += asked
        if self.error:
            raise self.error


def test_active_directory_takes_it_in_quotation_marks_and_utf_16() -> None:
    """MS-ADTS 3.1.1.3.1.5; there is no such server here to ask."""
    connection = Recorded()
    ldap_passwords.set_password(connection, "CN=x", "Ab1!", flavour="active_directory", run_id="r")  # type: ignore[arg-type]  # all that is used of it
    dn, changes = connection.asked
    assert (dn, list(changes)) == ("CN=x", ["unicodePwd"])
    assert changes["unicodePwd"][0][1] == [b'"\x00A\x00b\x001\x00!\x00"\x00']


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("0000052D: SvcErr: DSID-031A12D2, problem 5003 (WILL_NOT_PERFORM), data 0", PasswordRefused),
        ("0000001F: SvcErr: DSID-031A12D2, problem 5003 (WILL_NOT_PERFORM), data 0", exceptions.LDAPException),
    ],
)
def test_only_a_broken_rule_is_told_to_the_accounts_owner(message: str, kind: type[Exception]) -> None:
    """0x1F is a connection without enough encryption: for the operator, not for who chose a password."""
    refused = Recorded(exceptions.LDAPUnwillingToPerformResult(result=53, message=message))
    with pytest.raises(kind):
        ldap_passwords.set_password(refused, "CN=x", NEW, flavour="active_directory", run_id="r")  # type: ignore[arg-type]  # as above


def test_the_directory_in_a_file_keeps_rules_of_its_own(tmp_path: Path) -> None:
    create(
        tmp_path / "d.sqlite",
        [
            Account("ada", "Ada", "ada@corp.example", contact="ada@home.example"),
            Account("root", "R", "r@x", enabled=False),
        ],
    )
    with closing(SqliteDirectory(tmp_path / "d.sqlite")) as directory:
        assert directory.known("ada").contact == "ada@home.example"
        assert not directory.lets_in("ada", "")
        with pytest.raises(PasswordRefused, match="fewer than 12"):
            directory.set_password("ada", "short", run_id="r")
        directory.set_password("ada", NEW, run_id="r")
        with pytest.raises(PasswordRefused, match="present one"):
            directory.set_password("ada", NEW, run_id="r")
        with pytest.raises(TargetError):
            directory.set_password("root", NEW, run_id="r")
        assert (directory.lets_in("ada", NEW), directory.lets_in("ada", "another")) == (True, False)
        assert [(effect.run_id, effect.what) for effect in directory.effects()] == [("r", "set_password")]
        assert NEW not in "\n".join(directory._connection.iterdump())
        directory.allow_changes(False)
        with pytest.raises(Exception, match="readonly"):
            directory.set_password("ada", "another long one", run_id="r")
