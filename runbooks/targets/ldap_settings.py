"""What must be known of an LDAP directory to work on it, checked with errors that say what to mend.

A target's settings are texts by name; lists stand there as JSON. No value ever appears in an error.
"""

import ipaddress
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from runbooks.targets.ldap_terms import check_filter, lies_under
from runbooks.targets.sqlite import TargetError

Attribute = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,127}$")]
NoAttribute = Annotated[str, Field(pattern=r"^([A-Za-z][A-Za-z0-9-]{0,127})?$")]
Flavour = Literal["openldap", "active_directory"]

DEFAULTS: Final[Mapping[Flavour, Mapping[str, str]]] = {
    "openldap": {
        "account_filter": "(objectClass=inetOrgPerson)",
        "group_filter": "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup))",
        "uid_attribute": "uid",
        "name_attribute": "cn",
        "owner_attribute": "owner",  # RFC 4519, 2.21
    },
    # Primary groups stand in no member list: 512 Domain Admins, 518 Schema, 519 Enterprise Admins, 520 Policy Owners.
    "active_directory": {
        "account_filter": "(&(objectCategory=person)(objectClass=user))",
        "group_filter": "(objectClass=group)",
        "uid_attribute": "sAMAccountName",
        "name_attribute": "displayName",
        "owner_attribute": "managedBy",
        "privileged_filter": "(|(adminCount=1)(primaryGroupID=512)(primaryGroupID=518)(primaryGroupID=519)"
        "(primaryGroupID=520))",
        "disabled_filter": "(userAccountControl:1.2.840.113556.1.4.803:=2)",
    },
}
KIB: Final[Mapping[str, float]] = {"bytes": 1 / 1024, "KiB": 1.0, "MiB": 1024.0}


class LdapSettings(BaseModel):
    """One LDAP directory: where it is, who signs in, and how it writes down accounts and groups.

    url: `ldaps://host` or `ldap://host`; the latter turns to TLS by StartTLS unless `start_tls` is false, which only
    a loopback address may have. ca_file: the authorities that vouch for the server; empty: the system's.
    account_filter, group_filter: what counts as one. privileged_filter, disabled_filter, held_filter: which accounts
    runbooks never touch, are not in use, are held for an investigation; empty: none.
    privileged_groups: distinguished names (DN); whoever is in one, through other groups too, is privileged.
    self_service_groups: DNs of those that may be asked for by ticket. owned_groups: DNs of those that may be with the
    yes of an owner, whose DNs stand in the group's `owner_attribute`. members_by: what a membership holds.
    quota_attribute: a whole number in `quota_unit`; default_quota_mb counts where an account has none.
    contact_attribute: where an account's contact on file stands, a mail address that its owner can read without it.
    contact_may_be_mail: without such a contact the account's own mail address is it.
    lockout_seconds: after which OpenLDAP lets a locked account in again; 0: never. software: see `lists.software`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, str_strip_whitespace=True)

    url: str
    start_tls: bool = True
    ca_file: str = ""
    bind_dn: Annotated[str, Field(min_length=1)]
    bind_password: SecretStr
    flavour: Flavour = "openldap"
    base_dn: Annotated[str, Field(min_length=1)]
    accounts_base: str = ""
    groups_base: str = ""
    account_filter: Annotated[str, Field(min_length=1)]
    group_filter: Annotated[str, Field(min_length=1)]
    privileged_filter: str = ""
    disabled_filter: str = ""
    held_filter: str = ""
    privileged_groups: tuple[str, ...] = ()
    self_service_groups: tuple[str, ...] = ()
    owned_groups: tuple[str, ...] = ()
    uid_attribute: Attribute
    name_attribute: Attribute
    mail_attribute: Attribute = "mail"
    contact_attribute: NoAttribute = ""
    contact_may_be_mail: bool = False
    group_name_attribute: Attribute = "cn"
    group_title_attribute: Attribute = "description"
    owner_attribute: Attribute
    member_attribute: Attribute = "member"
    members_by: Literal["dn", "uid"] = "dn"
    quota_attribute: NoAttribute = ""
    quota_used_attribute: NoAttribute = ""
    quota_unit: Literal["bytes", "KiB", "MiB"] = "MiB"
    default_quota_mb: int = Field(default=0, ge=0)
    lockout_seconds: int = Field(default=0, ge=0)
    connect_seconds: int = Field(default=3, ge=1, le=30)
    answer_seconds: int = Field(default=5, ge=1, le=60)
    most_accounts: int = Field(default=200_000, ge=1)
    software: str = ""

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        flavour = given.get("flavour", "openldap")
        values = {**DEFAULTS.get(flavour, {}), **given}
        for base in ("accounts_base", "groups_base"):
            values[base] = values.get(base) or values.get("base_dn", "")
        return values

    @field_validator("privileged_groups", "self_service_groups", "owned_groups", mode="before")
    @classmethod
    def _listed(cls, given: Any) -> Any:
        if isinstance(given, str) and given.lstrip().startswith("["):
            return json.loads(given)
        return ([given] if given.strip() else []) if isinstance(given, str) else given

    @field_validator("bind_password")
    @classmethod
    def _not_empty(cls, given: SecretStr) -> SecretStr:
        if not given.get_secret_value():
            # RFC 4513, 5.1.2: a server answers "success" to a name without a password and lets anybody in.
            raise ValueError("must not be empty")
        return given

    @field_validator("account_filter", "group_filter", "privileged_filter", "disabled_filter", "held_filter")
    @classmethod
    def _filter_parses(cls, given: str) -> str:
        if given:
            check_filter(given)
        return given

    @field_validator("ca_file")
    @classmethod
    def _file_exists(cls, given: str) -> str:
        if given and not (Path(given).is_absolute() and Path(given).is_file()):
            raise ValueError("must be the absolute path of a file with certificates (PEM)")
        return given

    @model_validator(mode="after")
    def _holds_together(self) -> "LdapSettings":
        _address(self.url)
        if not self.encrypted and not self.loopback:
            raise ValueError("start_tls may be false on a loopback address only: use ldaps:// or start_tls")
        if not self.privileged_groups and not self.privileged_filter:
            raise ValueError("name the privileged accounts: privileged_groups, privileged_filter or both")
        for name in ("accounts_base", "groups_base"):
            if not lies_under(getattr(self, name), self.base_dn):
                raise ValueError(f"{name} must lie under base_dn")
        for group in (*self.privileged_groups, *self.self_service_groups, *self.owned_groups):
            if not lies_under(group, self.base_dn):
                raise ValueError("every group must be given by its distinguished name (DN) under base_dn")
        if self.member_attribute.casefold() == "memberuid" and self.members_by != "uid":
            raise ValueError("memberUid holds uids: set members_by to uid")
        return self

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return _address(self.url)

    @property
    def tls_at_once(self) -> bool:
        """Whether the connection begins with TLS (ldaps) and not by StartTLS."""
        return urlsplit(self.url).scheme.casefold() == "ldaps"

    @property
    def encrypted(self) -> bool:
        """Whether TLS protects the connection, by either way."""
        return self.tls_at_once or self.start_tls

    @property
    def loopback(self) -> bool:
        """Whether the server is on this machine."""
        host = self.address[0]
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host.casefold() == "localhost"

    @property
    def kib(self) -> float:
        """How many KiB one unit of the quota attribute is."""
        return KIB[self.quota_unit]


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    ports = {"ldap": 389, "ldaps": 636}
    # A user name or path in the address would be silently ignored, and so would what somebody meant by it.
    extra = parts.username or parts.password or parts.path.strip("/") or parts.query or parts.fragment
    if parts.scheme not in ports or not parts.hostname or extra:
        raise ValueError("url must be ldaps://host, ldaps://host:port or ldap://host, and nothing more")
    return parts.hostname, parts.port or ports[parts.scheme]


def read(given: Mapping[str, object]) -> LdapSettings:
    """Return the settings; TargetError naming every one that is wrong, never its value."""
    try:
        return LdapSettings.model_validate(dict(given))
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        found = [f"{_name(problem['loc'])}: {problem['msg'].removeprefix('Value error, ')}" for problem in problems]
        raise TargetError(f"the directory's settings do not fit: {'; '.join(found)}") from None


def _name(place: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in place) or "together"
