"""A real OpenLDAP server in a folder of its own: password policy, access log as outside witness, its own certificate."""

import datetime as dt
import ipaddress
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from runbooks.targets.ldap_terms import ldap3
from triage.ports import free_ports

BASE = "dc=corp,dc=example"
PEOPLE = f"ou=people,{BASE}"
GROUPS = f"ou=groups,{BASE}"
ROOT = f"cn=root,{BASE}"
SERVICE = f"cn=triage,{BASE}"
SERVICE_PASSWORD = "service-pass-4711"
PASSWORD = "right horse"
SCHEMAS = Path("/etc/ldap/schema")
MODULES = Path("/usr/lib/ldap")

CONFIG = """
include {schemas}/core.schema
include {schemas}/cosine.schema
include {schemas}/inetorgperson.schema
attributetype ( 1.3.6.1.4.1.32473.1.1 NAME 'mailQuota' EQUALITY integerMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.32473.1.2 NAME 'accountState' EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.2.840.113556.1.4.221 NAME 'sAMAccountName' EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.782 NAME 'objectCategory' EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.662 NAME 'lockoutTime' EQUALITY integerMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.8 NAME 'userAccountControl' EQUALITY integerMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.1460 NAME 'msDS-User-Account-Control-Computed' EQUALITY integerMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.98 NAME 'primaryGroupID' EQUALITY integerMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.2.840.113556.1.4.150 NAME 'adminCount' EQUALITY integerMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.32473.1.3 NAME 'recoveryMail' EQUALITY caseIgnoreIA5Match
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 )
objectclass ( 1.3.6.1.4.1.32473.2.1 NAME 'mailUser' AUXILIARY MAY ( mailQuota $ accountState $ recoveryMail ) )
objectclass ( 1.2.840.113556.1.5.9 NAME 'user' AUXILIARY MUST sAMAccountName MAY ( objectCategory $ lockoutTime $
  userAccountControl $ msDS-User-Account-Control-Computed $ primaryGroupID $ adminCount ) )
modulepath {modules}
moduleload back_mdb
moduleload ppolicy
moduleload accesslog
pidfile {folder}/slapd.pid
TLSCertificateFile {folder}/cert.pem
TLSCertificateKeyFile {folder}/key.pem
sizelimit 500
database config
rootpw config

database mdb
suffix cn=log
directory {folder}/log
envflags nosync
rootdn cn=root,cn=log
rootpw root

database mdb
suffix {base}
rootdn {root}
rootpw root
directory {folder}/db
envflags nosync
maxsize 67108864
limits dn.exact="{service}" size.prtotal=unlimited
access to attrs=userPassword by dn.exact="{service}" =w by anonymous auth
access to attrs=member,mailQuota,pwdAccountLockedTime,lockoutTime by dn.exact="{service}" write by * read
access to * by * read
overlay ppolicy
ppolicy_default cn=policy,{base}
overlay accesslog
logdb cn=log
logops writes
"""


@dataclass
class Slapd:
    """A running server."""

    folder: Path
    port: int
    tls_port: int
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        urls = f"ldap://127.0.0.1:{self.port}/ ldaps://127.0.0.1:{self.tls_port}/"
        with (self.folder / "out").open("ab") as out:
            self.process = subprocess.Popen(
                [slapd() or "slapd", "-f", str(self.folder / "slapd.conf"), "-h", urls, "-d", "0"],
                stdout=out,
                stderr=out,
            )
        for _ in range(200):
            assert self.process.poll() is None, (self.folder / "out").read_text()
            try:
                socket.create_connection(("127.0.0.1", self.tls_port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise AssertionError("slapd did not answer within 4 s")

    def stop(self) -> None:
        """Kill."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def settings(self, **changes: str) -> dict[str, str]:
        """A target's settings for this server; an empty change removes one."""
        settings = {
            "url": f"ldap://127.0.0.1:{self.port}",
            "ca_file": str(self.folder / "cert.pem"),
            "bind_dn": SERVICE,
            "bind_password": SERVICE_PASSWORD,
            "base_dn": BASE,
            "accounts_base": PEOPLE,
            "privileged_groups": f'["cn=Domain Admins,{GROUPS}"]',
            "privileged_filter": "(accountState=privileged)",
            "disabled_filter": "(accountState=disabled)",
            "held_filter": "(accountState=held)",
            "self_service_groups": "[" + ", ".join(f'"cn={name},{GROUPS}"' for name in OPEN) + "]",
            "quota_attribute": "mailQuota",
            **changes,
        }
        return {name: value for name, value in settings.items() if value}

    @contextmanager
    def root(self) -> Iterator[ldap3.Connection]:
        """A connection that may do everything, past the client under test."""
        connection = ldap3.Connection(
            ldap3.Server("127.0.0.1", self.port, get_info=ldap3.NONE),
            ROOT,
            "root",
            auto_bind=True,
            raise_exceptions=True,
        )
        try:
            yield connection
        finally:
            connection.unbind()

    def values(self, dn: str, attribute: str) -> list[str]:
        """What stands in an attribute, operational ones too."""
        with self.root() as connection:
            connection.search(dn, "(objectClass=*)", ldap3.BASE, attributes=[attribute])
            found = connection.response[0]["raw_attributes"].get(attribute, [])
            return sorted(bytes(value).decode() for value in found)

    def change(self, dn: str, attribute: str, *values: str) -> None:
        """Set an attribute behind everybody's back."""
        with self.root() as connection:
            connection.modify(dn, {attribute: [(ldap3.MODIFY_REPLACE, list(values))]})

    def lets_in(self, uid: str, password: str = PASSWORD) -> bool:
        """Whether this password signs in."""
        connection = ldap3.Connection(
            ldap3.Server("127.0.0.1", self.port, get_info=ldap3.NONE), person(uid), password, raise_exceptions=False
        )
        try:
            return bool(connection.bind())
        finally:
            connection.unbind()

    def fail_to_sign_in(self, uid: str, times: int = 3) -> None:
        """What locks an account."""
        for _ in range(times):
            assert not self.lets_in(uid, "wrong")

    def changes(self, run_id: str | None = None) -> list[tuple[str, str]]:
        """The access log: (DN, what) of every change that the service account made, or that carried this run's id."""
        connection = ldap3.Connection(
            ldap3.Server("127.0.0.1", self.port, get_info=ldap3.NONE), "cn=root,cn=log", "root", auto_bind=True
        )
        try:
            matching = f"(&(objectClass=auditModify)(reqResult=0)(reqAuthzID={SERVICE}))"
            connection.search("cn=log", matching, attributes=["reqDN", "reqMod", "reqControls", "reqStart"])
            found = sorted(connection.response or [], key=lambda item: item["raw_attributes"]["reqStart"])
            raw = [item["raw_attributes"] for item in found]
        finally:
            connection.unbind()
        marked = [item for item in raw if run_id is None or _mentions(item.get("reqControls", []), run_id)]
        return [(item["reqDN"][0].decode(), _said(item["reqMod"])) for item in marked]


OPEN = ("Finance-Readers", "VPN Users", "Back Door")
ACCOUNTS: Mapping[str, tuple[str, str]] = {
    "j.smith": ("Jane Smith", ""),
    "jsmith2": ("Jane Smith", ""),
    "bjones": ("Bob Jones", ""),
    "m.muster": ("Max Müller-Muster", ""),
    "n.oquota": ("Nora Oquota", ""),
    "p.admin": ("Petra Admin", ""),
    "n.ested": ("Nele Ested", ""),
    "p.riv": ("Paul Riv", "privileged"),
    "g.one": ("Gone Person", "disabled"),
    "s.held": ("Sam Held", "held"),
}
MEMBERS: Mapping[str, tuple[str, ...]] = {
    "Domain Admins": ("uid=p.admin,ou=people", "cn=Operators,ou=groups"),
    "Operators": ("uid=n.ested,ou=people", "cn=Back Door,ou=groups"),
    "Back Door": ("uid=bjones,ou=closed",),
    "Finance-Readers": ("uid=m.muster,ou=people",),
    "VPN Users": ("uid=m.muster,ou=people",),
    "Payroll": ("uid=m.muster,ou=people",),
}
OWNERS: Mapping[str, tuple[str, ...]] = {"Payroll": ("uid=j.smith,ou=people", "cn=Operators,ou=groups")}

CONTACTS: Mapping[str, tuple[str, ...]] = {
    "j.smith": ("jane@home.example",),
    "m.muster": ("max@home.example", "muster@home.example"),
    "p.admin": ("petra@home.example",),
    "g.one": ("gone@home.example",),
    "s.held": ("sam@home.example",),
}
"""Addresses on file; Max has two, and nobody can say which is meant."""

WINDOWS = (
    ("w.locked", 512, 133_000_000_000_000_000, 0x10, 513),
    ("w.lapsed", 512, 133_000_000_000_000_000, 0, 513),
    ("w.plain", 512, 0, 0, 513),
    ("w.gone", 514, 133_000_000_000_000_000, 0x10, 513),
    ("w.boss", 512, 133_000_000_000_000_000, 0x10, 512),
)
"""userAccountControl, lockoutTime, the computed bits, primaryGroupID."""


def person(uid: str) -> str:
    """The DN of a person."""
    return f"uid={uid},{PEOPLE}"


def group(name: str) -> str:
    """The DN of a group."""
    return f"cn={name},{GROUPS}"


def slapd() -> str | None:
    """The server's program, or None where it is not installed."""
    return shutil.which("slapd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def fresh() -> Iterator[Slapd]:
    """A server for one test, which is skipped where there is none."""
    if slapd() is None:
        pytest.skip("no slapd: apt-get install slapd")
    with running() as server:
        yield server


@contextmanager
def running() -> Iterator[Slapd]:
    """A server with people and groups, ended afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="tri-ldap-"))
    port, tls_port = free_ports(2)
    server = Slapd(folder, port, tls_port)
    try:
        certificate(folder / "cert.pem", folder / "key.pem", "127.0.0.1")
        for name in ("db", "log"):
            (folder / name).mkdir()
        names = {"schemas": SCHEMAS, "modules": MODULES, "folder": folder, "base": BASE, "root": ROOT}
        config = CONFIG.format(**names, service=SERVICE)
        (folder / "slapd.conf").write_text(config, encoding="utf-8")
        (folder / "people.ldif").write_text(ldif(), encoding="utf-8")
        program = slapd()
        assert program is not None
        load = [program, "-T", "add", "-f", str(folder / "slapd.conf"), "-b", BASE, "-l", str(folder / "people.ldif")]
        done = subprocess.run(load, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def ldif() -> str:
    """Everything that the server begins with."""
    entries = [
        f"dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: corp\ndc: corp",
        *(
            f"dn: ou={name},{BASE}\nobjectClass: organizationalUnit\nou: {name}"
            for name in ("people", "groups", "closed", "windows")
        ),
        f"dn: {SERVICE}\nobjectClass: applicationProcess\nobjectClass: simpleSecurityObject\ncn: triage\n"
        f"userPassword: {SERVICE_PASSWORD}",
        f"dn: cn=policy,{BASE}\nobjectClass: device\nobjectClass: pwdPolicy\ncn: policy\npwdAttribute: userPassword\n"
        "pwdLockout: TRUE\npwdMaxFailure: 3\npwdMinLength: 12\npwdCheckQuality: 2\npwdInHistory: 3",
    ]
    entries += [_account(uid, name, state, "people") for uid, (name, state) in ACCOUNTS.items()]
    entries += [_windows_account(*account) for account in WINDOWS]
    # Of the same uid, outside the accounts' base.
    entries.append(_account("bjones", "Bob Jones", "", "closed"))
    for name, members in MEMBERS.items():
        owners = [f"owner: {owner},{BASE}" for owner in OWNERS.get(name, ())]
        lines = "\n".join([*(f"member: {member},{BASE}" for member in members), *owners])
        entries.append(f"dn: {group(name)}\nobjectClass: groupOfNames\ncn: {name}\ndescription: About {name}\n{lines}")
    return "\n\n".join(entries) + "\n"


def _windows_account(uid: str, control: int, lockout: int, computed: int, group_id: int) -> str:
    """An account with the attributes that Active Directory has."""
    return (
        f"dn: cn={uid},ou=windows,{BASE}\nobjectClass: inetOrgPerson\nobjectClass: user\ncn: {uid}\nsn: {uid}\n"
        f"displayName: {uid.title()}\nsAMAccountName: {uid}\nobjectCategory: person\nuserAccountControl: {control}\n"
        f"lockoutTime: {lockout}\nmsDS-User-Account-Control-Computed: {computed}\nprimaryGroupID: {group_id}"
    )


def _account(uid: str, name: str, state: str, unit: str) -> str:
    lines = [
        f"dn: uid={uid},ou={unit},{BASE}", "objectClass: inetOrgPerson", "objectClass: mailUser", f"uid: {uid}",
        f"cn: {name}", f"sn: {name.rsplit(maxsplit=1)[-1]}", f"mail: {uid}@corp.example", f"userPassword: {PASSWORD}",
    ]  # fmt: skip
    lines += [f"accountState: {state}"] if state else []
    lines += [f"recoveryMail: {contact}" for contact in CONTACTS.get(uid, ())]
    lines += [] if uid == "n.oquota" else ["mailQuota: 10240"]
    return "\n".join(lines)


def certificate(path: Path, key_path: Path, address: str) -> None:
    """A certificate that vouches for itself, for one address."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, address)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    key_path.write_bytes(pem)


def _mentions(controls: list[bytes], run_id: str) -> bool:
    return any(run_id.encode().hex() in control.decode().lower() or run_id.encode() in control for control in controls)


def _said(mods: list[bytes]) -> str:
    """What was changed, without times and the server's own bookkeeping."""
    own = re.compile(r"^(entryCSN|modifiersName|modifyTimestamp|pwdFailureTime)\b")
    return "; ".join(sorted(text for mod in mods if not own.match(text := mod.decode(errors="replace"))))
