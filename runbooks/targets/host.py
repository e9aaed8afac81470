"""Hosts that runbooks may work on: who they are, how they are reached, and what may be touched on them.

Read and checked in the worker; a run's own process is given one host only.
"""

import json
import posixpath
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from runbooks.environments import Environment
from runbooks.targets.sqlite import TargetError

Argument = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f\x7f]+$")]
Command = Annotated[tuple[Argument, ...], Field(min_length=1, max_length=50)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$")]
Whole = Annotated[str, Field(pattern=r"^/[^\x00-\x1f\x7f]+$", max_length=500)]
User = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}$")]

RESERVED = ("all", "ungrouped")
"""Names of groups in every inventory, which no host may have."""

KEPT = ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr")
_TEXTS = ("private_key", "private_key_file")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Host(_Frozen):
    """One host. host_key: its public key as in /etc/ssh/ssh_host_*.pub, without which it is not trusted.

    become: run tasks as root by sudo without a password. python: the interpreter on the host.
    """

    address: Annotated[str, Field(pattern=r"^[A-Za-z0-9:][A-Za-z0-9.:-]{0,252}$")] = "127.0.0.1"
    connection: Literal["ssh", "local"] = "ssh"
    port: int = Field(default=22, ge=1, le=65535)
    user: User = "root"
    host_key: Annotated[
        str, Field(pattern=r"^((ssh-ed25519|ecdsa-sha2-nistp(256|384|521)|ssh-rsa) [A-Za-z0-9+/]{20,2000}={0,3})?$")
    ] = ""
    become: bool = False
    environment: Environment = "production"
    python: Annotated[str, Field(pattern=r"^/[A-Za-z0-9._/-]{1,200}$")] = "/usr/bin/python3"

    @model_validator(mode="after")
    def _can_be_reached(self) -> "Host":
        if self.connection == "ssh" and not self.host_key:
            raise ValueError("host_key is missing: give the host's public key, so that no other host can answer for it")
        if self.connection == "local" and self.become:
            raise ValueError("become does not work with connection 'local': a run's processes can gain no rights")
        return self


class Service(_Frozen):
    """A service that may be restarted. pid: prints the main process's number, 0 or nothing where it is down.

    start_seconds: how long it may take until it is up.
    """

    pid: Command
    restart: Command
    stop: Command
    start_seconds: int = Field(default=15, ge=1, le=60)


class Folder(_Frozen):
    """A folder whose old files may be deleted: neither read nor written for `older_than_days`."""

    path: Whole
    older_than_days: int = Field(ge=1, le=3650)

    @field_validator("path")
    @classmethod
    def _may_be_emptied(cls, path: str) -> str:
        if posixpath.normpath(path) != path or path.count("/") < 2:
            raise ValueError(f"{path}: give the whole plain path of a folder below another, such as /var/tmp")
        if any(path == kept or path.startswith(f"{kept}/") for kept in KEPT):
            raise ValueError(f"{path}: lies in a folder of the system, where nothing is deleted")
        return path


class Log(_Frozen):
    """A log that may be rotated: its logrotate configuration, the file that this rotates, logrotate's own notes."""

    config: Whole
    file: Whole
    state: Whole = "/var/lib/logrotate/status"


class Certificate(_Frozen):
    """A certificate that may be renewed. certificate, key: PEM files, which may be one; the server's own stands first.

    also: further files that renewing writes, such as a chain. renew: writes a new certificate; reload: makes the
    service take it. days: it is renewed where no more than these are left. address: host:port where the service
    presents it, asked with server_name; empty where nobody can ask. reload_seconds: until it does.
    """

    certificate: Whole
    key: Whole
    also: tuple[Whole, ...] = ()
    renew: Command
    reload: Command
    days: int = Field(default=30, ge=1, le=365)
    address: Annotated[str, Field(pattern=r"^(([A-Za-z0-9][A-Za-z0-9.-]{0,252}|\[[0-9A-Fa-f:]+\]):[0-9]{1,5})?$")] = ""
    server_name: Annotated[str, Field(pattern=r"^([A-Za-z0-9*][A-Za-z0-9.-]{0,252})?$")] = ""
    reload_seconds: int = Field(default=15, ge=1, le=60)


class Processes(_Frozen):
    """Which processes may be ended: of these users (never root), that need at least this share of one processor."""

    users: tuple[User, ...] = ()
    cpu_percent: int = Field(default=80, ge=10, le=100)

    @field_validator("users")
    @classmethod
    def _nobody_of_the_system(cls, users: tuple[str, ...]) -> tuple[str, ...]:
        if "root" in users:
            raise ValueError("root: the system's own processes are never ended")
        return users


class HostSettings(_Frozen):
    """The settings of a target of the kind `host`.

    hosts: by the one name that a ticket may use. runbooks: an environment that is named here admits these runbooks
    only. services, folders, logs, certificates, processes: what may be touched, by name. software: see
    `lists.software`. secrets: what tasks with `no_log: true` may use as `secrets.<name>`. private_key, or the path in
    private_key_file, is for every host with ssh.
    """

    hosts: dict[HostName, Host] = Field(min_length=1, max_length=10_000)
    private_key: SecretStr | None = None
    private_key_file: Annotated[str, Field(pattern=r"^/[^\x00-\x1f\x7f]+$")] | None = None
    runbooks: dict[Environment, tuple[str, ...]] = {}
    services: dict[Name, Service] = {}
    folders: dict[Name, Folder] = {}
    logs: dict[Name, Log] = {}
    certificates: dict[Name, Certificate] = {}
    processes: Processes = Processes()
    software: dict[str, tuple[str, ...]] = {}
    secrets: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")], SecretStr] = {}

    @field_validator("hosts")
    @classmethod
    def _no_group(cls, hosts: dict[str, Host]) -> dict[str, Host]:
        for name in hosts:
            if name in RESERVED:
                raise ValueError(f"{name}: this is the name of a group in every inventory: choose another")
        return hosts

    @field_validator("secrets")
    @classmethod
    def _long_enough(cls, secrets: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, secret in secrets.items():
            if len(secret.get_secret_value()) < 8:
                raise ValueError(f"{name}: has fewer than 8 characters, and could not be masked in an output")
        return secrets

    @model_validator(mode="after")
    def _has_one_key(self) -> "HostSettings":
        keys = sum(key is not None for key in (self.private_key, self.private_key_file))
        wanted = 1 if any(host.connection == "ssh" for host in self.hosts.values()) else 0
        if keys != wanted:
            raise ValueError(f"{keys} private keys are given and {wanted} wanted: private_key or private_key_file")
        return self

    def touchable(self, name: str) -> dict[str, Any]:
        """Return what tasks see as `target`: the host's environment and what may be touched, nothing secret."""
        host = self.hosts[name]
        return {
            "host": name,
            "environment": host.environment,
            "connection": host.connection,
            "python": host.python,
            **self.model_dump(mode="json", include={"services", "folders", "logs", "certificates", "processes"}),
        }

    def hidden(self) -> dict[str, str]:
        """Return what must not stand in any output, under names that `conversation.cleaner` masks."""
        values = [secret.get_secret_value() for secret in self.secrets.values()]
        if self.private_key is not None:
            values += self.private_key.get_secret_value().split("\n")
        # An output may show a text as JSON does.
        forms = dict.fromkeys([*values, *(json.dumps(value)[1:-1] for value in values)])
        return {f"secret {number}": value for number, value in enumerate(forms)}


def parse(settings: Mapping[str, str]) -> HostSettings:
    """Return the settings of a target, its tables given as JSON texts; TargetError with all that is wrong."""
    given = {name: _table(name, value) for name, value in settings.items()}
    try:
        return HostSettings.model_validate_json(json.dumps(given))
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        told = [f"{'.'.join(map(str, one['loc']))}: {one['msg'].removeprefix('Value error, ')}" for one in found]
        raise TargetError(f"the target's settings do not fit: {'; '.join(told)}") from None


def _table(name: str, value: str) -> Any:
    if name not in HostSettings.model_fields:
        raise TargetError(f"the target's settings do not fit: {name}: there is no such setting: take it out")
    try:
        return value if name in _TEXTS else json.loads(value)
    except (ValueError, RecursionError):
        raise TargetError(f"the target's settings do not fit: {name}: must be a table, as JSON") from None


def ssh_options(folder: Path, settings: HostSettings) -> list[str]:
    """Return ssh's options: no configuration of any user, no host but the one whose key lies in the folder."""
    key = settings.private_key_file or str(folder / "key")
    options = {
        "IdentityFile": key,
        "IdentitiesOnly": "yes",
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": str(folder / "known_hosts"),
        "GlobalKnownHostsFile": "/dev/null",
        "ControlMaster": "no",
        "ControlPath": "none",
        "ConnectTimeout": "10",
        "ServerAliveInterval": "5",
        "ServerAliveCountMax": "3",
        "ForwardAgent": "no",
    }
    return ["-F", "/dev/null", *[part for name, value in options.items() for part in ("-o", f"{name}={value}")]]


def known_hosts(host: Host) -> str:
    """Return the line that makes this host, and no other, known."""
    return f"[{host.address}]:{host.port} {host.host_key}\n" if host.port != 22 else f"{host.address} {host.host_key}\n"
