"""The way to an LDAP server: TLS or nothing, settings that say what is wrong with them, and no secret in any message."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from runbooks.targets import TargetError, connect, open_directory
from runbooks.targets.ldap_connection import Change, Connection
from runbooks.targets.ldap_settings import LdapSettings, read
from tests.runbooks.slapd import BASE, SERVICE_PASSWORD, Slapd, certificate

GOOD = {
    "url": "ldaps://directory.example.org",
    "bind_dn": f"cn=triage,{BASE}",
    "bind_password": "hunter2-hunter2",
    "base_dn": BASE,
    "privileged_groups": f'["cn=Domain Admins,{BASE}"]',
}


@pytest.fixture
def overheard() -> Iterator[tuple[int, list[bytes]]]:
    """A server on loopback that answers nothing and keeps what it is told: the port, and what was heard."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def listen() -> None:
            try:
                while True:
                    with listener.accept()[0] as connection:
                        connection.settimeout(3)
                        heard.append(connection.recv(65536))
                        # The answer to StartTLS is "no such operation": a client that goes on does so in plain.
                        connection.sendall(bytes.fromhex("300c02010178070a010204000400"))
                        heard.append(connection.recv(65536))
            except OSError:
                return

        thread = threading.Thread(target=listen)
        thread.start()
        yield listener.getsockname()[1], heard
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize("scheme", ["ldap", "ldaps"])
def test_the_servers_certificate_is_checked(scheme: str, ldap_server: Slapd, tmp_path: Path) -> None:
    port = ldap_server.port if scheme == "ldap" else ldap_server.tls_port
    url = f"{scheme}://127.0.0.1:{port}"
    with_tls = open_directory(ldap_server.settings(url=url))
    assert "TLS" in with_tls.look()
    with_tls.close()
    other = tmp_path / "other.pem"
    certificate(other, tmp_path / "other.key", "127.0.0.1")
    for authorities in (str(other), ""):
        with pytest.raises(TargetError, match="(?i)certificate verify failed"):
            open_directory(ldap_server.settings(url=url, ca_file=authorities))
    # The right certificate, and another name than the one that was asked for.
    with pytest.raises(TargetError, match="(?i)certificate verify failed.*localhost"):
        open_directory(ldap_server.settings(url=url.replace("127.0.0.1", "localhost")))


def test_a_server_without_tls_gets_no_password(overheard: tuple[int, list[bytes]], ldap_server: Slapd) -> None:
    port, heard = overheard
    with pytest.raises(TargetError) as refused:
        open_directory(ldap_server.settings(url=f"ldap://127.0.0.1:{port}", answer_seconds="1"))
    assert f"127.0.0.1:{port}" in str(refused.value)
    assert b"1.3.6.1.4.1.1466.20037" in heard[0]
    assert SERVICE_PASSWORD.encode() not in b"".join(heard)


def test_without_tls_only_on_this_machine(ldap_server: Slapd) -> None:
    plain = open_directory(ldap_server.settings(start_tls="false"))
    assert "no TLS (loopback)" in plain.look()
    plain.close()
    with pytest.raises(TargetError, match="loopback"):
        read({**GOOD, "url": "ldap://directory.example.org", "start_tls": "false"})
    assert read({**GOOD, "url": "ldap://directory.example.org"}).encrypted


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"url": "http://directory.example.org"}, "url must be ldaps://host"),
        ({"url": "ldaps://cn=me:pw@directory.example.org"}, "url must be ldaps://host"),
        ({"url": "ldaps://"}, "url must be ldaps://host"),
        ({"bind_password": ""}, "bind_password: must not be empty"),
        ({"bind_dn": " "}, "bind_dn"),
        ({"flavour": "novell"}, "flavour: Input should be 'openldap' or 'active_directory'"),
        ({"privileged_groups": "[]"}, "name the privileged accounts"),
        ({"privileged_groups": '["cn=Domain Admins,dc=elsewhere"]'}, "under base_dn"),
        ({"self_service_groups": "VPN Users"}, "under base_dn"),
        ({"accounts_base": "ou=people,dc=elsewhere"}, "accounts_base must lie under base_dn"),
        ({"privileged_filter": "(cn=a"}, "privileged_filter: not an LDAP filter"),
        ({"account_filter": "cn=a"}, "account_filter: not an LDAP filter"),
        ({"uid_attribute": "uid)(cn=*"}, "uid_attribute"),
        ({"member_attribute": "memberUid"}, "set members_by to uid"),
        ({"ca_file": "/nowhere/ca.pem"}, "ca_file: must be the absolute path"),
        ({"answer_seconds": "0"}, "answer_seconds"),
        ({"colour": "blue"}, "colour: Extra inputs are not permitted"),
    ],
)
def test_settings_that_do_not_fit_are_named_and_never_repeated(changes: dict[str, str], said: str) -> None:
    with pytest.raises(TargetError, match=re.escape(said)) as refused:
        read({**GOOD, **changes})
    assert GOOD["bind_password"] not in str(refused.value)


def test_everything_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(TargetError) as refused:
        connect("directory", {"url": "ldaps://directory.example.org"})
    assert all(name in str(refused.value) for name in ("bind_dn", "bind_password", "base_dn"))


def test_a_directory_is_a_file_or_a_server() -> None:
    with pytest.raises(TargetError, match="'url' .* and 'path'"):
        open_directory({**GOOD, "path": "/some/file"})


def test_lists_and_numbers_come_as_text_or_json() -> None:
    groups = [f"cn=VPN Users,{BASE}", f"cn=Sales\\, North,OU=Groups,{BASE.upper()}"]
    settings = read({**GOOD, "self_service_groups": json.dumps(groups), "answer_seconds": "7"})
    assert (settings.self_service_groups, settings.answer_seconds) == (tuple(groups), 7)
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in settings.model_dump_json()
    assert LdapSettings.model_validate({**GOOD, "flavour": "active_directory"}).uid_attribute == "sAMAccountName"


def test_a_group_of_the_settings_that_does_not_exist_is_said(ldap_server: Slapd) -> None:
    for name in ("privileged_groups", "self_service_groups"):
        with pytest.raises(TargetError, match="no group 'cn=Domain Admin,.*mend"):
            open_directory(ldap_server.settings(**{name: f"cn=Domain Admin,{BASE}"}))


def test_a_service_account_that_may_not_write_changes_nothing(ldap_server: Slapd) -> None:
    directory = open_directory(
        ldap_server.settings(bind_dn=f"uid=bjones,ou=people,{BASE}", bind_password="right horse")
    )
    with pytest.raises(TargetError, match="refused the change: insufficientAccessRights"):
        directory.set_quota("j.smith", 20_480, run_id="r1")
    directory.close()


def test_a_server_that_sends_elsewhere_is_not_followed_and_nothing_passes_for_done(ldap_server: Slapd) -> None:
    """A password must not go to whatever server an entry names; and "not here" is no success."""
    with ldap_server.root() as connection:
        far = {"ref": f"ldap://192.0.2.1/ou=far,{BASE}", "ou": "far"}
        connection.add(f"ou=far,{BASE}", ["referral", "extensibleObject"], far)
    far_away = f"ou=people,ou=far,{BASE}"
    with closing(open_directory(ldap_server.settings(accounts_base=far_away))) as directory:
        for ask in (lambda: directory.account("j.smith"), directory.look):
            with pytest.raises(TargetError, match="refused a search: referral"):
                ask()
    settings = read(ldap_server.settings())
    with closing(Connection(settings, SERVICE_PASSWORD)) as plain:
        for changes in ([Change("replace", "description", "x")], [Change("delete", "description", "x")]):
            with pytest.raises(TargetError, match="refused the change: referral"):
                plain.modify(f"uid=j.smith,{far_away}", changes, run_id="r1")


@pytest.mark.parametrize("name", ["accounts_base", "groups_base"])
def test_a_base_that_does_not_exist_is_said(name: str, ldap_server: Slapd) -> None:
    directory = open_directory(ldap_server.settings(**{name: f"ou=nowhere,{BASE}"}))
    with closing(directory), pytest.raises(TargetError, match="no 'ou=nowhere,.*mend"):
        directory.look()


def test_the_settings_in_the_manual_fit() -> None:
    page = (Path(__file__).parents[2] / "docs" / "ldap.md").read_text(encoding="utf-8")
    examples = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", page, re.DOTALL)]
    for example in examples:
        example.pop("ca_file", "")
        assert read(example).encrypted
    assert [read(example).flavour for example in examples] == ["openldap", "active_directory"]
