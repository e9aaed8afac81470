"""How the lake's server is reached: what both of its clients, for objects and for tables, are made from."""

import ipaddress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from triage.lake.errors import LakeError

CONNECT_SECONDS = 2


@dataclass(frozen=True)
class Connection:
    """One bucket of one S3 server, and the credentials for it; LakeError where one of them cannot be."""

    endpoint: str
    bucket: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    region: str

    def __post_init__(self) -> None:
        parts = urlsplit(self.endpoint)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise LakeError(
                f"the lake's endpoint {self.endpoint!r} is no http(s) URL; set it to https://s3.example.org"
            )
        for name in ("bucket", "access_key", "secret_key", "region"):
            if not getattr(self, name):
                raise LakeError(f"the lake's {name.replace('_', ' ')} is empty; set it")

    @property
    def plain_http(self) -> bool:
        """Without TLS."""
        return urlsplit(self.endpoint).scheme == "http"

    @property
    def on_loopback(self) -> bool:
        """On this machine, where no proxy may come between."""
        host = urlsplit(self.endpoint).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"
