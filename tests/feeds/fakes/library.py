"""What every fake knowledge base shares: an HTTP server on loopback, the one of the fake ITSMs, and what tests ask of it."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from tests.itsm.fakes.server import Asked, Desk, Told


class Library(Desk):
    """A knowledge base. A vendor's fake fills in `answer` and what the contract asks of it."""

    credentials: ClassVar[Mapping[str, str]] = {"kind": "basic", "user": "reader@example.org", "password": "p"}
    has_credentials: ClassVar[bool] = True
    lists_changes: ClassVar[bool] = True
    tells_retired: ClassVar[bool] = True
    page_size: ClassVar[int] = 5

    folder: Path

    def settings(self) -> dict[str, Any]:
        """The settings of a feed that is connected to this library."""
        return {"api_url": self.url}

    def write(self, *, title: str, html: str, changed: datetime, language: str = "en", of: str = "") -> str:
        """Publish an article, or a translation of another one; the key that it must have here."""
        raise NotImplementedError

    def change(self, key: str, *, changed: datetime, title: str | None = None, html: str | None = None) -> None:
        """Somebody changes an article."""
        raise NotImplementedError

    def retire(self, key: str, *, changed: datetime) -> None:
        """Readers do not see it any more, as the vendor lets authors say it."""
        raise NotImplementedError

    def publish(self, key: str, *, changed: datetime) -> None:
        """Readers see it again."""
        raise NotImplementedError

    def remove(self, key: str) -> None:
        """It is gone without a trace."""
        raise NotImplementedError

    def spoil(self, key: str, *, changed: datetime) -> None:
        """The vendor answers with a record of it that cannot be used."""
        raise NotImplementedError

    def partly(self) -> None:
        """Answer the next request with an object that lacks its list, as an error page of a proxy does."""
        self.trouble.append(Told(200, {"message": "Service is being upgraded"}))


def refused(status: int = 401) -> Told:
    """What a vendor says to wrong credentials."""
    return Told(status, {"message": "Unauthorized"})


def basic(library: Library, asked: Asked) -> bool:
    """Whether the request carries the library's user and password."""
    import base64

    pair = base64.b64encode(f"{library.credentials['user']}:{library.credentials['password']}".encode()).decode()
    return asked.headers.get("authorization") == f"Basic {pair}"
