"""What every kind of article feed gives: entries page by page; and what they share: settings, one request, clean text.

What goes wrong is `triage.itsm.base.PullFailed`, as for tickets: it says whether to try again and when.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from triage.itsm import rest, strict_json
from triage.itsm.base import PayloadInvalid
from triage.itsm.outgoing import Answer, ExchangeFailed
from triage.itsm.strict_json import shown
from triage.models import ArticleFeed, Source

LONGEST_TITLE = 300
EARLIEST, LATEST = 1970, 2200
LONGEST_BODY = 200_000
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
PAGE_BYTES = 64 * 1024 * 1024  # fifty long articles with their translations
LONGEST_REASON = 500
_ID = re.compile(r"[\x21-\x7e]{1,180}")
_LANGUAGE = re.compile(r"([A-Za-z]{2,3})(?:[-_]([A-Za-z0-9]{2,8}))?")
# what no reader sees and some programs obey: controls, and marks that turn text around
_UNSEEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")

Root = Annotated[str, StringConstraints(pattern=r"^(https?://[^\s\x00-\x1f]{1,300})?$")]
Prefix = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,19})?$")]


class Stated(BaseModel):
    """What the settings of every feed may say. `key_prefix` stands before the keys of its articles."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key_prefix: Prefix = ""


class Reached(Stated):
    """A feed that is asked over HTTP. `api_url`: empty where the feed uses a source's."""

    api_url: Root = ""


Settings = TypeVar("Settings", bound=Stated)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One article in one language as the knowledge base tells it; texts are plain.

    `key`: what people there call it; `group`: the key of the article that it translates, its own where it translates
    none. `live`: readers there can see it. `url`: where it stands, an address or a path. `symptoms` and `aliases` are
    for a new article only: people edit them here.
    """

    external_id: str
    key: str
    group: str
    title: str
    body: str
    language: str
    live: bool
    url: str = ""
    changed_at: datetime | None = None
    symptoms: str = ""
    aliases: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of what is taken over."""
        return hashlib.sha256(f"{self.title}\0{self.body}\0{self.language}".encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Unusable:
    """A record that is no article: its id, empty where not even that can be read, and why in words."""

    external_id: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One page. `cursor`: what to ask for next, as text that still means the same after a restart; empty: all told."""

    entries: tuple[Entry, ...]
    unusable: tuple[Unusable, ...] = ()
    cursor: str = ""


class Listing(Protocol):
    """A page of what changed at or after `since`, of everything where that is None; raises PullFailed."""

    def __call__(self, feed: ArticleFeed, *, since: datetime | None, cursor: str, at: datetime) -> Listed:
        """The page at `cursor`, the first one where that is empty."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of knowledge base. `lenders`: kinds of sources whose address and credentials serve it too.

    `changes`: whether it can list changes alone; otherwise each pass lists everything. `example`: settings to begin
    with.
    """

    words: str
    settings: type[Stated]
    listed: Listing
    example: Mapping[str, object]
    lenders: frozenset[str] = frozenset()
    changes: bool = True


class RecordRefused(ValueError):
    """This record cannot become an article; the message says why."""


def read(settings: type[Settings], feed: ArticleFeed) -> Settings:
    """The feed's settings; raises ExchangeFailed (for good) with what to mend."""
    try:
        return settings.model_validate(feed.settings)
    except ValidationError as error:
        raise ExchangeFailed(f"settings of the feed: {first_of(error)}", permanent=True) from None


def first_of(error: ValidationError) -> str:
    """The first thing that is wrong, in one line and without what was entered."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'they'}: {first['msg']}"


def connection(feed: ArticleFeed) -> Source:
    """Whom to ask and who we are: the feed's own address and credentials, or those of the source that it names.

    Of a source both are taken, never one alone: its credentials go nowhere but to its own address.
    """
    if feed.source is not None:
        return feed.source
    settings = {"api_url": feed.settings.get("api_url", "")}
    # negative: tokens are kept by this number, and a feed's must not be mistaken for a source's
    return Source(pk=-feed.pk, slug=feed.slug, credentials=feed.credentials, settings=settings)


def root(feed: ArticleFeed) -> str:
    """The address of the knowledge base, without a slash at its end."""
    return str(connection(feed).settings.get("api_url") or "").rstrip("/")


def ask(feed: ArticleFeed, path: str, query: Mapping[str, str]) -> Answer:
    """One GET below the feed's address, which the provider's administrators alone enter; raises ExchangeFailed."""
    if not root(feed):
        raise ExchangeFailed("the feed has no api_url in its settings; set one", permanent=True)
    return rest.call(connection(feed), "GET", path, query=query, most=PAGE_BYTES)


def records(value: object, name: str) -> list[object]:
    """The list that an answer must hold; anything else is an answer of something else, and never an empty list."""
    found = value.get(name) if isinstance(value, dict) else None
    if not isinstance(found, list):
        raise ExchangeFailed(f"the answer has no list of {name}; it is taken for no answer", permanent=False)
    return found


def usable(
    found: list[object], convert: Callable[[Mapping[str, object]], list[Entry]], *, name: str
) -> tuple[tuple[Entry, ...], tuple[Unusable, ...]]:
    """The entries of all records that can be used, and the others with `name`, the field of their id."""
    entries: list[Entry] = []
    unusable: list[Unusable] = []
    for record in found:
        try:
            if not isinstance(record, dict):
                raise RecordRefused("it is no JSON object")  # noqa: TRY301 - one place says what becomes of refusals
            strict_json.check(record)
            entries += convert(record)
        except (RecordRefused, PayloadInvalid) as error:
            told = rest.text_of(record.get(name)) if isinstance(record, dict) else ""
            known = told if _ID.fullmatch(told) else ""
            unusable.append(Unusable(external_id=known, reason=str(error)[:LONGEST_REASON]))
    return tuple(entries), tuple(unusable)


def key(told: str) -> str:
    """A key as articles have it; raises RecordRefused."""
    if not KEY.fullmatch(told):
        raise RecordRefused(f"{shown(told)} cannot be a key: letters, digits, dots, dashes, underscores, at most 60")
    return told


def title(told: str) -> str:
    """One line without what no reader sees; raises RecordRefused where nothing is left."""
    line = " ".join(_UNSEEN.sub("", told).split())
    if not line:
        raise RecordRefused("it has no title")
    return line if len(line) <= LONGEST_TITLE else f"{line[: LONGEST_TITLE - 1]}…"


def body(told: str) -> str:
    """Plain text without what no reader sees, at most 200,000 characters."""
    text = _UNSEEN.sub("", told.replace("\r\n", "\n").replace("\r", "\n")).strip()
    return text if len(text) <= LONGEST_BODY else f"{text[: LONGEST_BODY - 1]}…"


def moment(told: object) -> datetime | None:
    """A moment in ISO 8601 with its zone; None for anything else, and for years that no article was written in."""
    try:
        found = datetime.fromisoformat(rest.text_of(told))
    except ValueError:
        return None
    return found if found.tzinfo and EARLIEST < found.year < LATEST else None


def language(told: str, otherwise: str = "en") -> str:
    """`de`, or `pt-BR` whatever case it came in; `otherwise` where it is no language tag."""
    parts = _LANGUAGE.fullmatch(told.strip())
    if not parts:
        return otherwise
    first, second = parts[1].lower(), parts[2] or ""
    return f"{first}-{second.upper() if len(second) <= 3 else second.title()}" if second else first
