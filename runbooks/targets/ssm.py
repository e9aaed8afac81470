"""An AWS account and region whose Systems Manager runs Automation documents: who we are there, and what may be reached.

Read and checked in the worker; no steps ever see it.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from runbooks.targets import lists
from runbooks.targets.sqlite import TargetError

LOOPBACK = ("127.0.0.1", "::1", "localhost")
Role = Annotated[str, Field(pattern=r"^(arn:aws[a-z-]{0,20}:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,200})?$")]
Instance = Annotated[str, Field(pattern=r"^(i|mi)-([0-9a-f]{8}|[0-9a-f]{17})$")]
HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$")]
_JSON = ("target_groups", "hosts")


class SsmSettings(BaseModel):
    """One AWS account and region.

    access_key_id with secret_access_key (and session_token) sign requests; without them the worker's own AWS identity
    does, which is then only allowed to take on `role_arn`. role_arn: taken on for each run, with `external_id` where
    the account's owner asks for one. endpoint_url, sts_endpoint_url: other addresses of the two services, such as VPC
    endpoints. max_targets: how many targets one rate-controlled execution may name. target_groups: what else it may
    work on, each `tag:<key>=<value>` or `ResourceGroup=<name>`, of which nobody knows how many they are. hosts: the
    names that a ticket may use, and the instance that each is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, str_strip_whitespace=True)

    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]{2,10}){1,3}-[0-9]{1,2}$")]
    access_key_id: SecretStr | None = None
    secret_access_key: SecretStr | None = None
    session_token: SecretStr | None = None
    role_arn: Annotated[
        str, Field(pattern=r"^(arn:aws[a-z-]{0,20}:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]{1,200})?$")
    ] = ""
    external_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_+=,.@:/-]*$", max_length=1224)] = ""
    endpoint_url: str = ""
    sts_endpoint_url: str = ""
    max_targets: int = Field(default=1, ge=1, le=50)
    target_groups: tuple[Annotated[str, Field(pattern=r"^(tag:[^=\s]{1,128}|ResourceGroup)=[^\s]{1,256}$")], ...] = ()
    hosts: dict[HostName, Instance] = Field(default={}, max_length=10_000)

    @field_validator("endpoint_url", "sts_endpoint_url")
    @classmethod
    def _encrypted(cls, url: str) -> str:
        if url:
            parts = urlsplit(url)
            here = parts.scheme == "http" and parts.hostname in LOOPBACK
            extra = parts.username or parts.password or parts.path.strip("/") or parts.query or parts.fragment
            if (parts.scheme != "https" and not here) or not parts.hostname or extra:
                raise ValueError("must be https://host or https://host:port, and nothing more")
        return url

    @model_validator(mode="after")
    def _says_who(self) -> "SsmSettings":
        given = [bool(key and key.get_secret_value()) for key in (self.access_key_id, self.secret_access_key)]
        if any(given) != all(given):
            raise ValueError("access_key_id and secret_access_key belong together: give both, or a role_arn alone")
        if self.session_token and not all(given):
            raise ValueError("session_token belongs to access_key_id and secret_access_key: give them too")
        if not all(given) and not self.role_arn:
            # The worker's own identity may do things that no customer's runbook should.
            raise ValueError("say who signs in: access_key_id and secret_access_key, or role_arn")
        if self.external_id and not self.role_arn:
            raise ValueError("external_id belongs to role_arn: give the role too")
        return self

    def instance(self, host: str) -> str:
        """Return the instance that a host is; TargetError where it is none of them."""
        if host not in self.hosts:
            raise TargetError(f"{host!r} is none of the target's {len(self.hosts)} hosts")
        return self.hosts[host]

    def admits(self, key: str, values: tuple[str, ...]) -> bool:
        """Whether a rate-controlled execution may work on these targets."""
        if key == "ParameterValues":
            return len(values) <= self.max_targets
        return all(f"{key}={value}" in self.target_groups for value in values)


def parse(settings: Mapping[str, str]) -> SsmSettings:
    """Return the settings of a target, lists and tables as JSON; TargetError with all that is wrong, never a value."""
    given: dict[str, Any] = {name: value for name, value in settings.items() if name != lists.SOFTWARE}
    try:
        given |= {name: json.loads(given[name]) for name in _JSON if isinstance(given.get(name), str)}
    except (ValueError, RecursionError):
        raise TargetError(f"the target's settings do not fit: {' and '.join(_JSON)}: must be JSON") from None
    try:
        return SsmSettings.model_validate(given)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        told = [f"{_name(one['loc'])}: {one['msg'].removeprefix('Value error, ')}" for one in found]
        raise TargetError(f"the target's settings do not fit: {'; '.join(told)}") from None


def _name(place: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in place) or "together"
