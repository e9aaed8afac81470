"""What every ITSM connection gives to intake, and the exceptions that say whether to try again.

ItsmError
|- SignatureInvalid   the sender is not who they claim to be: 401
|- PayloadInvalid     signed, but cannot be used: kept in quarantine with this message
|- PayloadTooLarge    more than one delivery may hold: 413, nothing is kept
|- ReadFailed         the ITSM did not say how its ticket stands
|- PullFailed         the ITSM did not list what changed; `permanent`: somebody has to mend something first
`- ReplyFailed        the ITSM was not told; `permanent`: trying again cannot help
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, Self

from classifier.text import Document, text_hash
from triage.models import Source

if TYPE_CHECKING:
    from triage.itsm.placing import Order, Placed


class ItsmError(Exception):
    """Anything wrong between Triage and an ITSM; the message says what and how to mend it."""


class SignatureInvalid(ItsmError):
    """The message is not signed with one of the source's secrets, or not just now."""


class PayloadInvalid(ItsmError):
    """The message cannot be understood."""


class PayloadTooLarge(ItsmError):
    """The message holds more than one delivery may."""


class ReadFailed(ItsmError):
    """The ticket could not be read from the ITSM."""


class ReplyFailed(ItsmError):
    """The ITSM was not told. `permanent`: it never will take this; `status`: of its answer, 0 without one.

    `retry_after`: seconds that it asks for.
    """

    def __init__(self, message: str, *, permanent: bool, status: int = 0, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.status = status
        self.retry_after = retry_after


class PullFailed(ItsmError):
    """No page came. `permanent`: an administrator has to mend something; `retry_after`: seconds the ITSM asks for."""

    def __init__(self, message: str, *, permanent: bool, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after = retry_after


# What changes a ticket's text, its asker or its parameters; never taken from comments or from our own user.
CONTENT = frozenset(
    {
        *("subject", "body", "requester", "channel", "actor", "language", "kind", "created_at", "attachments"),
        *("fields", "attached_article"),
    }
)


@dataclass(frozen=True, kw_only=True)
class IncomingTicket:
    """A ticket as one message tells it. `stated` names what the message said: the rest leaves a known ticket alone.

    `author`: who caused the message (whoever changed the ticket last, where a page of `pull` tells it).
    `attached_article`: key or number of the article that an agent attached in the ITSM, empty where none is.
    """

    external_id: str
    subject: str = ""
    body: str = ""
    requester: str = ""
    channel: str = ""
    actor: str = "person"
    language: str = ""
    kind: str = "incident"
    status: str = ""
    priority: str = ""
    due_at: datetime | None = None
    created_at: datetime
    updated_at: datetime
    sequence: int | None = None
    attachments: tuple[Mapping[str, str], ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    group: str = ""
    owner: Mapping[str, str] = field(default_factory=dict)
    author: str = ""
    attached_article: str = ""
    comment: bool = False
    stated: frozenset[str] = frozenset()

    def without_content(self) -> Self:
        """The same message, saying nothing about the ticket's text and who asks."""
        return replace(self, stated=self.stated - CONTENT)

    def over(self, earlier: Self) -> Self:
        """This message laid over an earlier one of the same ticket: what both together say."""
        said = {name: getattr(self, name) for name in self.stated}
        newest = {
            "updated_at": max(self.updated_at, earlier.updated_at),
            "sequence": earlier.sequence if self.sequence is None else self.sequence,
            "fields": {**earlier.fields, **said.get("fields", {})},
        }
        return replace(earlier, **{**said, **newest, "stated": earlier.stated | self.stated})

    def to_json(self) -> bytes:
        """The message as bytes for a column."""
        values = {**asdict(self), "stated": sorted(self.stated)}
        return json.dumps(values, default=datetime.isoformat).encode()

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """The message that `to_json` wrote."""
        values = json.loads(raw)
        for name in ("due_at", "created_at", "updated_at"):
            values[name] = values[name] and datetime.fromisoformat(values[name])
        values |= {"attachments": tuple(values["attachments"]), "stated": frozenset(values["stated"])}
        return cls(**{name: values[name] for name in values if name in {known.name for known in fields(cls)}})


@dataclass(frozen=True)
class BadLine:
    """One line of a delivery that was put aside, counted from 1 (0: the delivery as a whole), and why."""

    line: int
    reason: str


@dataclass(frozen=True)
class Parsed:
    """What a delivery says: tickets with the number of their line, and lines that cannot be used."""

    tickets: tuple[tuple[int, IncomingTicket], ...] = ()
    problems: tuple[BadLine, ...] = ()


@dataclass(frozen=True)
class Seen:
    """How a ticket stands in the ITSM. `closed`: finished there, or with a group that is not ours."""

    closed: bool
    text_hash: str
    incoming: IncomingTicket


@dataclass(frozen=True, kw_only=True)
class Page:
    """Some of the tickets that changed, each in full (`stated` names all that the ITSM tells), oldest change first.

    `cursor`: what to ask for next, as text that still means the same after a restart; empty: nothing more.
    `pause`: seconds that the ITSM wants us to wait before the next page. `raw`: the answer's bytes as they came,
    which go into the lake. `problems`: records of the page that cannot be used, counted from 1.
    """

    tickets: tuple[IncomingTicket, ...]
    cursor: str = ""
    pause: float = 0.0
    raw: bytes = b""
    problems: tuple[BadLine, ...] = ()


class Connector(Protocol):
    """One kind of ITSM: a module of this package with these six functions."""

    def verify(self, *, source: Source, headers: Mapping[str, str], body: bytes) -> str:
        """The message's own key, at most 200 characters; raises SignatureInvalid. Header names are lower case."""

    def parse(self, *, body: bytes, content_type: str, at: datetime) -> Parsed:
        """What the message says; raises PayloadInvalid where nothing of it can be used, or PayloadTooLarge."""

    def read(self, source: Source, external_id: str) -> Seen | None:
        """The ticket as the ITSM has it now, None where the source offers no reading; raises ReadFailed."""

    def pull(self, source: Source, *, since: datetime, cursor: str) -> Page:
        """Tickets changed at or after `since`, page by page; `cursor` is empty for the first. Raises PullFailed."""

    def reply(self, source: Source, *, external_id: str, key: str, what: str, content: Mapping[str, object]) -> str:
        """Tell the ITSM, once for each key however often it is called; one sentence for the history, or ReplyFailed."""

    def place(self, source: Source, *, external_id: str, order: "Order") -> "Placed":
        """Set what is ordered where no person set something, once however often called; raises ReplyFailed."""


SETTLED = frozenset({"solved", "resolved", "closed", "done", "complete", "completed", "cancelled", "canceled"})
REOPENED = frozenset({"reopened", "re-opened"})


def is_settled(source: Source, status: str) -> bool:
    """Whether the ITSM calls the ticket finished; the source's setting `settled_statuses` replaces the usual words."""
    own = source.settings.get("settled_statuses")
    words = {str(word).casefold() for word in own} if isinstance(own, list) else SETTLED
    return status.strip().casefold() in words


def is_elsewhere(source: Source, group: str) -> bool:
    """Whether the ticket is assigned to a group that is not ours; `our_groups` in the source's settings names ours."""
    ours = source.settings.get("our_groups")
    return isinstance(ours, list) and bool(group.strip()) and group.strip() not in {str(name).strip() for name in ours}


def is_own_user(source: Source, author: str) -> bool:
    """Whether our own integration user (`own_user` in the source's settings) caused a message."""
    own = str(source.settings.get("own_user") or "").strip().casefold()
    return bool(own) and author.strip().casefold() == own


def seen(source: Source, incoming: IncomingTicket) -> Seen:
    """What matters of a ticket just before something is done about it."""
    closed = is_settled(source, incoming.status) or is_elsewhere(source, incoming.group)
    return Seen(closed, text_hash(Document(incoming.subject, incoming.body)), incoming)
