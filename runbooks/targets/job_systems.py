"""Targets whose work is done by another system's jobs: where it answers, as whom, and what may be touched through it.

Read and checked in the worker, where its client is too; a run on such a target has no process of its own.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from runbooks.targets.sqlite import TargetError

HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$")]

SHARED = ("software",)
"""Settings that targets of every kind may have; see `runbooks.targets.lists`."""
_TEXTS = ("url", "token", "ca_file", "project")
MOST_HOSTS = 1_000


class JobSystem(BaseModel):
    """What a client of any job system needs.

    url: its address, without what the API adds. token: an API token of a user with no more rights than the jobs need.
    ca_file: the authorities that vouch for the server; the system's where it is left out. insecure: admits http://.
    max_hosts: how many hosts one job may work on. hosts: the names that a ticket may use, where tickets name hosts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    url: Annotated[str, Field(max_length=500)]
    token: SecretStr
    ca_file: str | None = None
    insecure: bool = False
    max_hosts: int = Field(default=1, ge=1, le=MOST_HOSTS)
    hosts: tuple[HostName, ...] = Field(default=(), max_length=10_000)

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        wanted = "write the server's address only, such as https://awx.example.org"
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError:
            raise ValueError(f"is no address: {wanted}") from None
        if parts.scheme not in ("https", "http") or not parts.hostname or not url.isascii() or not url.isprintable():
            raise ValueError(f"is no address: {wanted}")
        if parts.username is not None or parts.query or parts.fragment or "?" in url or "#" in url or " " in url:
            raise ValueError(f"holds more than an address: {wanted}")
        return url.rstrip("/")

    @field_validator("token")
    @classmethod
    def _can_be_sent(cls, token: SecretStr) -> SecretStr:
        text = token.get_secret_value()
        if len(text) < 8 or not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError("is no token: copy it whole, 8 characters at least and no spaces")
        return token

    @field_validator("ca_file")
    @classmethod
    def _is_there(cls, path: str | None) -> str | None:
        if path is not None and not (Path(path).is_absolute() and Path(path).is_file()):
            raise ValueError("is no file: give the whole path of a file with certificates")
        return path

    @model_validator(mode="after")
    def _is_protected(self) -> "JobSystem":
        if self.url.startswith("http://") and not self.insecure:
            raise ValueError("url: http:// sends the token in plain: use https://, or set insecure to true")
        return self


class Awx(JobSystem):
    """The settings of a target of the kind `awx`. inventory: the number of the one inventory that jobs may work on."""

    inventory: int = Field(ge=1)


class Rundeck(JobSystem):
    """The settings of a target of the kind `rundeck`. project: the one project whose jobs may be run.

    api: the version of the API; 44 is the first that gives a job's definition as JSON.
    """

    project: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,199}$")]
    api: int = Field(default=44, ge=44, le=99)


System = TypeVar("System", bound=JobSystem)

KINDS: Mapping[Literal["awx", "rundeck"], type[JobSystem]] = {"awx": Awx, "rundeck": Rundeck}


def awx(settings: Mapping[str, str]) -> Awx:
    """Return the settings of a target of the kind `awx`; TargetError with all that is wrong, and no value."""
    return _parsed(Awx, settings)


def rundeck(settings: Mapping[str, str]) -> Rundeck:
    """Return the settings of a target of the kind `rundeck`; TargetError with all that is wrong, and no value."""
    return _parsed(Rundeck, settings)


def parse(kind: str, settings: Mapping[str, str]) -> JobSystem:
    """Return the settings of a target of one of the KINDS; TargetError with all that is wrong, and no value."""
    model = {str(name): model for name, model in KINDS.items()}.get(kind)
    if model is None:
        raise TargetError(f"no jobs are run by a target of the kind {kind!r}")
    return _parsed(model, settings)


def _parsed(model: type[System], settings: Mapping[str, str]) -> System:
    given = {name: _value(name, value) for name, value in settings.items() if name not in SHARED}
    try:
        return model.model_validate_json(json.dumps(given))
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        told = [": ".join(filter(None, (".".join(map(str, one["loc"])), _said(one["msg"])))) for one in found]
        raise TargetError(f"the target's settings do not fit: {'; '.join(told)}") from None


def _said(message: str) -> str:
    return message.removeprefix("Value error, ")


def _value(name: str, value: str) -> Any:
    if name in _TEXTS:
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value  # what is no JSON fits no other field, and the schema says so
