"""A pass over a feed: page by page under a claim, on from where a dead worker left it, and told where it keeps failing.

A pass lists what changed since the last mark, or everything now and then; the mark moves when a whole pass is stored.
"""

import logging
import time
import uuid
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q

from triage import telling
from triage.feeds import KINDS, leaving, taking
from triage.feeds.base import Listed
from triage.feeds.taking import Counts
from triage.itsm.base import PullFailed
from triage.models import ArticleFeed

log = logging.getLogger(__name__)
OVERLAP = timedelta(minutes=5)
SECONDS = 15.0
CLAIM = timedelta(minutes=3)  # longer than one page can take: a few requests, a token among them, and the rows
SHORTEST_WAIT = 30.0
LONGEST_WAIT = 900.0
TELL_AFTER = timedelta(hours=1)
LONGEST_REASON = 500


@dataclass(frozen=True, kw_only=True)
class Synced:
    """What became of a turn. `complete`: the pass is whole; `wait`: seconds before it goes on; `held_back`: articles
    that are missing there and were not retired here, since they are too many."""

    feed: str
    counts: Counts = field(default_factory=Counts)
    pages: int = 0
    complete: bool = False
    full: bool = False
    wait: float = 0.0
    failure: str = ""
    held_back: int = 0

    def as_dict(self) -> dict[str, object]:
        """For JSON; the counts are those of the pass so far."""
        told = asdict(self)
        return {**{name: told[name] for name in told if name != "counts"}, **told["counts"]}


class _Lost(Exception):
    """Another worker has this feed by now."""


@dataclass
class _Hold:
    """One worker's claim: each write asks whether it is still ours, since a slow worker may have lost it."""

    feed: int
    at: datetime
    until: datetime
    began: float = field(default_factory=time.monotonic)

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.began

    @property
    def now(self) -> datetime:
        return self.at + timedelta(seconds=self.elapsed)

    def write(self, *, end: bool = False, **columns: object) -> None:
        until = None if end else self.now + CLAIM
        mine = ArticleFeed.objects.filter(pk=self.feed, claim_until=self.until)
        if not mine.update(claim_until=until, **columns):
            raise _Lost
        self.until = until or self.until


def due(*, at: datetime) -> list[int]:
    """Feeds to go over now by primary key, the longest waiting first."""
    ripe = Q(due_at__isnull=True, every__isnull=False) | Q(due_at__lte=at)
    rows = ArticleFeed.objects.filter(_free(at), ripe, enabled=True)
    return list(rows.order_by(F("due_at").asc(nulls_first=True), "pk").values_list("pk", flat=True))


def sync(feed_id: int, *, at: datetime, seconds: float = SECONDS, by_hand: bool = False) -> Synced | None:
    """Go over one feed until its pass is whole or `seconds` are over; None where it is not due or another has it.

    `by_hand`: whether due or not. What fails is written on the feed; only the database's own errors are exceptions.
    """
    hold = _hold(feed_id, at=at, by_hand=by_hand)
    if hold is None:
        return None
    feed = ArticleFeed.objects.select_related("customer", "source").get(pk=feed_id)
    pages = 0
    try:
        _begin(feed, hold)
        while True:
            page = _page(feed, at=hold.now)
            _store(feed, hold, page)
            pages += 1
            if not page.cursor:
                return _end(feed, hold, pages=pages)
            if hold.elapsed > seconds:
                hold.write(end=True, due_at=hold.now)
                break
    except PullFailed as error:
        return _failed(feed, hold, error, pages=pages)
    except _Lost:
        log.warning("feed %s is gone over by another worker by now", feed.slug)
    return Synced(feed=feed.slug, counts=Counts(**feed.pass_counts), pages=pages, full=feed.pass_full)


def _free(at: datetime) -> Q:
    return Q(claim_until__isnull=True) | Q(claim_until__lt=at)


def _hold(feed_id: int, *, at: datetime, by_hand: bool) -> _Hold | None:
    rows = ArticleFeed.objects.filter(_free(at), pk=feed_id, enabled=True)
    if not by_hand:
        rows = rows.filter(Q(due_at__isnull=True, every__isnull=False) | Q(due_at__lte=at))
    until = at + CLAIM
    return _Hold(feed_id, at, until) if rows.update(claim_until=until) else None


def _begin(feed: ArticleFeed, hold: _Hold) -> None:
    """Go on with the pass that was cut off, or begin one: of changes, or of everything where that is due."""
    if feed.pass_id is not None:
        return
    kind = KINDS.get(feed.kind)
    last = feed.full_at
    whole = last is None or feed.listed_until is None or last <= hold.at - timedelta(seconds=feed.full_every)
    full = whole or kind is None or not kind.changes
    columns: dict[str, object] = {
        "pass_id": uuid.uuid4(),
        "pass_full": full,
        "pass_blind": False,
        "pass_since": None if full or feed.listed_until is None else feed.listed_until - OVERLAP,
        "pass_began": hold.at,
        "pass_counts": asdict(Counts()),
        "cursor": "",
    }
    _write(feed, hold, columns)


def _write(feed: ArticleFeed, hold: _Hold, columns: dict[str, object]) -> None:
    hold.write(end=False, **columns)
    for name, value in columns.items():
        setattr(feed, name, value)


def _page(feed: ArticleFeed, *, at: datetime) -> Listed:
    """The next page; raises PullFailed, whatever was wrong with it."""
    kind = KINDS.get(feed.kind)
    if kind is None:
        raise PullFailed(f"there is no kind {feed.kind!r} of feed; set one of {list(KINDS)}", permanent=True)
    try:
        page = kind.listed(feed, since=feed.pass_since, cursor=feed.cursor, at=at)
    except PullFailed:
        raise
    except Exception as error:  # a kind that stumbles over an answer must not do so at every sweep, unseen
        log.exception("feed %s: a page could not be read", feed.slug)
        raise PullFailed(f"a page could not be read ({type(error).__name__}); see the log", permanent=True) from error
    if page.cursor and page.cursor == feed.cursor:
        raise PullFailed("the same next page is named twice; nothing would ever end this", permanent=True)
    return page


def _store(feed: ArticleFeed, hold: _Hold, page: Listed) -> None:
    """The page's rows and its place in one transaction: a worker that dies leaves both or neither."""
    with transaction.atomic():
        hold.write()  # the claim's row is locked first: of two workers one waits, and then has lost it
        counts = taking.take(feed, page, counts=Counts(**feed.pass_counts), at=hold.now)
        blind = feed.pass_blind or any(not one.external_id for one in page.unusable)
        _write(feed, hold, {"cursor": page.cursor, "pass_counts": asdict(counts), "pass_blind": blind})


def _end(feed: ArticleFeed, hold: _Hold, *, pages: int) -> Synced:
    """Retire what is gone, and move the mark."""
    now = hold.now
    with transaction.atomic():
        hold.write()
        counts, held = leaving.retire(feed, counts=Counts(**feed.pass_counts), at=now)
        columns: dict[str, object] = {
            "pass_id": None,
            "cursor": "",
            "listed_until": feed.pass_began,
            "done_at": now,
            "counts": {**asdict(counts), "full": feed.pass_full},
            "failure": "",
            "failures": 0,
            "failing_since": None,
            "due_at": now + timedelta(seconds=feed.every) if feed.every else None,
        }
        if feed.pass_full:
            columns |= {"full_at": feed.pass_began, "may_retire": 0}
        if held or feed.pass_full:
            columns |= {"held_back": held, "held_since": (feed.held_since or now) if held else None}
        if held and not feed.pass_full:
            columns["full_at"] = None  # changes are told once: a full listing looks again
        hold.write(end=True, **columns)
        if held:
            _tell_held(feed, held, since=feed.held_since or now, at=now)
    return Synced(feed=feed.slug, counts=counts, pages=pages, complete=True, full=feed.pass_full, held_back=held)


def _tell_held(feed: ArticleFeed, held: int, *, since: datetime, at: datetime) -> None:
    telling.tell(
        kind="articles_held_back",
        customer=feed.customer,
        key=f"feed-held-{feed.pk}-{since.isoformat()}",
        text=f"{held} articles of the feed {feed.slug} are missing in what it lists. That is too many to retire them "
        "unasked: look whether they are really gone, and say so on the page of articles.",
        link="/articles/",
        data={"feed": feed.slug, "articles": str(held)},
        at=at,
    )


def _failed(feed: ArticleFeed, hold: _Hold, error: PullFailed, *, pages: int) -> Synced:
    """Wait longer each time, or as long as is asked for; after an hour people are told, once."""
    failures = feed.failures + 1
    backoff = LONGEST_WAIT if error.permanent else min(SHORTEST_WAIT * 2 ** min(failures - 1, 10), LONGEST_WAIT)
    wait = error.retry_after or backoff
    reason = str(error)[:LONGEST_REASON]
    since = feed.failing_since or hold.now
    columns: dict[str, object] = {"failure": reason, "failures": failures, "failing_since": since}
    if error.permanent:
        columns |= {"pass_id": None, "cursor": ""}  # a page that is gone for good: the pass begins anew
    # without a rhythm nobody tries again by itself: a person asked for this pass, and will see why it failed
    again = hold.now + timedelta(seconds=wait) if feed.every or not error.permanent else None
    counts = Counts(**feed.pass_counts) if feed.pass_counts else Counts()
    try:
        hold.write(end=True, due_at=again, **columns)
    except _Lost:
        log.warning("feed %s is gone over by another worker by now", feed.slug)
    log.warning("feed %s was not listed: %s", feed.slug, reason)
    if hold.now - since >= TELL_AFTER:
        telling.tell(
            kind="articles_failing",
            customer=feed.customer,
            key=f"feed-{feed.pk}-{since.isoformat()}",
            text=f"Articles of the feed {feed.slug} could not be listed since {since:%Y-%m-%d %H:%M} UTC: {reason}",
            link="/articles/",
            data={"feed": feed.slug},
            at=hold.now,
        )
    return Synced(feed=feed.slug, counts=counts, pages=pages, full=feed.pass_full, wait=wait, failure=reason)
