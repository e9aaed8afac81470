"""Every setting that an operator may change, typed and read from `TRIAGE_*` environment variables in one place.

A bad value stops the start with the variable's name, what was wrong and how to mend it.
"""

import ipaddress
import json
from email.utils import parseaddr
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from runbooks import mail

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class EnvironmentInvalid(Exception):
    """An environment variable has a value that Triage cannot use; the message names it and the mend."""


class Environment(BaseSettings):
    """The process's environment. A field `lake_bucket` is the variable `TRIAGE_LAKE_BUCKET`."""

    model_config = SettingsConfigDict(env_prefix="TRIAGE_", extra="ignore", env_ignore_empty=True)

    home: Path = Field(Path("~/.triage"), description="a folder that this user may write to")
    debug: bool = Field(False, description="true or false; never true where strangers can reach the server")
    database_url: str = Field("", description="postgresql://user:password@host:5432/name; empty: SQLite in TRIAGE_HOME")
    broker_url: str = Field("", description="redis://host:6379/0; empty: the embedded broker of TRIAGE_HOME")
    broker_visibility: int = Field(900, ge=60, description="seconds, longer than the longest task")
    lake_endpoint: str = Field("", description="https://s3.example.org; empty: the embedded lake of TRIAGE_HOME")
    lake_bucket: str = Field("lake", pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", description="an S3 bucket name")
    lake_region: str = Field("us-east-1", description="the bucket's region")
    lake_access_key: str = Field("", description="an S3 access key")
    lake_secret_key: SecretStr = Field(SecretStr(""), description="the S3 secret key")
    installation_key: SecretStr = Field(SecretStr(""), description="64 hex digits: openssl rand -hex 32")
    allowed_hosts: str = Field("127.0.0.1,localhost,[::1]", description="host names, separated by commas")
    base_url: str = Field(
        "http://127.0.0.1:8000",
        pattern=r"^https?://[^/]+$",
        description="https://triage.example.org, no path",
    )
    web_processes: int = Field(1, ge=1, le=64, description="a whole number from 1 to 64")
    web_threads: int = Field(8, ge=1, le=64, description="a whole number from 1 to 64")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="DEBUG, INFO, WARNING or ERROR")
    model_cache: int = Field(4, ge=1, description="how many customers' models one process keeps loaded")
    classify_batch: int = Field(200, ge=1, le=5000, description="tickets in one batch, 1 to 5000")
    claim_seconds: int = Field(
        60, ge=10, le=900, description="seconds until a claimed ticket counts as lost, 10 to 900"
    )
    reconcile_seconds: float = Field(5.0, ge=0.2, le=600, description="seconds between two sweeps, 0.2 to 600")
    landing_seconds: float = Field(60.0, ge=0.5, le=3600, description="the longest that raw bytes wait for a full pack")
    runbooks: str = Field("", description="folders with runbooks of your own, whole paths, separated by colons")
    mail_url: SecretStr = Field(
        SecretStr(""), description="smtp://user:password@host:587/?starttls=1; empty: no mail is sent"
    )
    mail_from: str = Field(
        "", validate_default=True, description="the address that mail comes from, such as Triage <triage@example.org>"
    )
    mail_hourly: int = Field(20, ge=1, le=1000, description="mails an hour that one person gets at most, 1 to 1000")
    run_as: str = Field(
        "", description="a user that Python runbooks run as, where the workers are root; empty: the workers'"
    )
    itsm_networks: str = Field(
        "",
        description="networks such as 10.20.0.0/16, separated by commas, where ITSMs may be that customers' "
        "administrators enter; empty: public addresses only",
    )
    source_rate: int = Field(6000, ge=1, description="deliveries a minute that one source may send")
    api_rate: int = Field(600, ge=1, description="requests a minute that one API token may make")
    oidc_issuer: str = Field(
        "", description="your OpenID provider's issuer, such as https://login.example.org/realms/desk; empty: none"
    )
    oidc_client_id: str = Field(
        "", validate_default=True, description="the client's name at your OpenID provider, where there is one"
    )
    oidc_client_secret: SecretStr = Field(SecretStr(""), description="the client's secret; empty for a public client")
    oidc_scopes: str = Field("openid email profile", pattern=r"^openid( \S+)*$", description="openid and what else")
    oidc_label: str = Field("your organisation's account", description="how the sign-in page calls the OpenID provider")
    oidc_name_claim: str = Field("preferred_username", description="the claim that a new person's name comes from")
    oidc_mail_claim: str = Field(
        "email", description="the claim with the mail address; counts if email_verified is true"
    )
    oidc_groups_claim: str = Field("groups", description="the claim with the names of a person's groups")
    oidc_roles: str = Field("{}", description='JSON such as {"desk-agents": ["nordwind:agent"]}: roles by group')
    oidc_link_by_mail: bool = Field(
        True, description="true or false: at the first sign-in, people are known by their verified mail address"
    )
    oidc_create: bool = Field(False, description="true or false: unknown people get an account at their first sign-in")
    local_passwords: bool = Field(True, description="true or false; false only where an OpenID provider is set up")
    second_factor: str = Field(
        "optional",
        pattern="^(optional|admins|everyone)$",
        description="optional, admins or everyone: who needs a second factor besides a password or a one-time link",
    )

    @field_validator("mail_url")
    @classmethod
    def _mail_server(cls, given: SecretStr) -> SecretStr:
        if given.get_secret_value():
            try:
                mail.server(given.get_secret_value())
            except mail.MailError as error:
                raise ValueError(str(error)) from None
        return given

    @field_validator("mail_from")
    @classmethod
    def _mail_sender(cls, given: str, others: ValidationInfo) -> str:
        server = others.data.get("mail_url")
        if server and server.get_secret_value() and not given:
            raise ValueError("mail is sent, but from nobody")
        if given and not (given.isprintable() and mail.is_address(parseaddr(given)[1])):
            raise ValueError("not one mail address")
        return given

    @field_validator("itsm_networks")
    @classmethod
    def _networks(cls, given: str) -> str:
        for one in given.split(","):
            if one.strip():
                ipaddress.ip_network(one.strip())  # its ValueError says what is wrong
        return given

    @field_validator("oidc_issuer")
    @classmethod
    def _issuer(cls, given: str) -> str:
        parts = urlsplit(given)
        secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
        if given and not (secure and parts.hostname and not parts.query and not parts.fragment):
            raise ValueError("not an https:// address without query")
        return given

    @field_validator("oidc_client_id")
    @classmethod
    def _client(cls, given: str, others: ValidationInfo) -> str:
        if others.data.get("oidc_issuer") and not given:
            raise ValueError("an OpenID provider is named, but not who we are there")
        return given

    @field_validator("oidc_roles")
    @classmethod
    def _roles(cls, given: str) -> str:
        roles_by_group(given)
        return given

    @field_validator("local_passwords")
    @classmethod
    def _somehow(cls, given: bool, others: ValidationInfo) -> bool:
        if not given and not others.data.get("oidc_issuer"):
            raise ValueError("without passwords and without an OpenID provider nobody could sign in")
        return given


def roles_by_group(given: str) -> dict[str, frozenset[tuple[str, str]]]:
    """The (customer's slug, role) pairs that each group of the OpenID provider stands for; ValueError where unclear."""
    try:
        written = json.loads(given)
    except ValueError:
        raise ValueError("not JSON") from None
    if not isinstance(written, dict) or not all(isinstance(pairs, list) for pairs in written.values()):
        raise ValueError("not an object with a list for each group")
    found: dict[str, frozenset[tuple[str, str]]] = {}
    for group, pairs in written.items():
        split = [str(pair).split(":") for pair in pairs]
        if wrong := next((pair for pair in split if len(pair) != 2 or not all(pair)), None):
            raise ValueError(f"{':'.join(wrong)!r} is not of the form customer:role")
        found[group] = frozenset((slug, role) for slug, role in split)
    return found


@lru_cache(maxsize=1)
def environment() -> Environment:
    """This process's settings; raises EnvironmentInvalid with one line for each bad variable."""
    try:
        found = Environment()
    except ValidationError as error:
        raise EnvironmentInvalid("\n".join(_mend(detail["loc"], detail["msg"]) for detail in error.errors())) from None
    return found.model_copy(update={"home": found.home.expanduser().resolve(), **_endpoints(found)})


def _mend(location: tuple[int | str, ...], message: str) -> str:
    name = str(location[0])
    wanted = Environment.model_fields[name].description if name in Environment.model_fields else "see docs"
    return f"TRIAGE_{name.upper()}: {message}. Set it to {wanted}."


def _endpoints(found: Environment) -> dict[str, object]:
    """Where the embedded parts listen, for what the environment leaves empty."""
    file = found.home.expanduser() / "endpoints.json"
    if (found.broker_url and found.lake_endpoint) or not file.is_file():
        return {}
    written = json.loads(file.read_text(encoding="utf-8"))
    result: dict[str, object] = {}
    if not found.broker_url:
        result["broker_url"] = written["broker_url"]
    if not found.lake_endpoint:
        result |= {
            "lake_endpoint": written["s3_endpoint"],
            "lake_access_key": written["s3_access_key"],
            "lake_secret_key": SecretStr(written["s3_secret_key"]),
            "lake_bucket": written["bucket"],
        }
    return result
