"""A pass over a feed: page by page under a claim, on from where a dead worker left it, and told where it keeps failing.

A pass lists what changed since the last mark, or everything now and then; the mark moves when a whole pass is stored.
"""

import logging
import uuid
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q

from triage import telling, turns
from triage.feeds import KINDS, leaving, taking
from triage.feeds.base import Listed
from triage.feeds.taking import Counts
from triage.itsm.base import PullFailed
from triage.models import ArticleFeed
from triage.turns import LONGEST_REASON, OVERLAP, SECONDS, TELL_AFTER, Hold, Lost

log = logging.getLogger(__name__)
CLAIMED = "claim_until"


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


def due(*, at: datetime) -> list[int]:
    """Feeds to go over now by primary key, the longest waiting first."""
    rows = ArticleFeed.objects.filter(turns.free(CLAIMED, at=at), _due(at), enabled=True)
    return list(rows.order_by(F("due_at").asc(nulls_first=True), "pk").values_list("pk", flat=True))


def sync(feed_id: int, *, at: datetime, seconds: float = SECONDS, by_hand: bool = False) -> Synced | None:
    """Go over one feed until its pass is whole or `seconds` are over; None where it is not due or another has it.

    `by_hand`: whether due or not. What fails is written on the feed; only the database's own errors are exceptions.
    """
    ripe = Q(enabled=True) & (Q() if by_hand else _due(at))
    hold = turns.hold(ArticleFeed.objects.filter(pk=feed_id), ripe, claim=CLAIMED, at=at)
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
    except Lost:
        log.warning("feed %s is gone over by another worker by now", feed.slug)
    return Synced(feed=feed.slug, counts=Counts(**feed.pass_counts), pages=pages, full=feed.pass_full)


def _due(at: datetime) -> Q:
    return Q(due_at__isnull=True, every__isnull=False) | Q(due_at__lte=at)


def _begin(feed: ArticleFeed, hold: Hold) -> None:
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


def _write(feed: ArticleFeed, hold: Hold, columns: dict[str, object]) -> None:
    hold.write(end=False, **columns)
    for name, value in columns.items():
        setattr(feed, name, value)


def _page(feed: ArticleFeed, *, at: datetime) -> Listed:
    """The next page; raises PullFailed, whatever was wrong with it."""
    kind = KINDS.get(feed.kind)
    if kind is None:
        raise PullFailed(f"there is no kind {feed.kind!r} of feed; set one of {list(KINDS)}", permanent=True)
    since, cursor = feed.pass_since, feed.cursor
    return turns.page(f"feed {feed.slug}", lambda: kind.listed(feed, since=since, cursor=cursor, at=at), cursor=cursor)


def _store(feed: ArticleFeed, hold: Hold, page: Listed) -> None:
    """The page's rows and its place in one transaction: a worker that dies leaves both or neither."""
    with transaction.atomic():
        hold.write()  # the claim's row is locked first: of two workers one waits, and then has lost it
        counts = taking.take(feed, page, counts=Counts(**feed.pass_counts), at=hold.now)
        blind = feed.pass_blind or any(not one.external_id for one in page.unusable)
        _write(feed, hold, {"cursor": page.cursor, "pass_counts": asdict(counts), "pass_blind": blind})


def _end(feed: ArticleFeed, hold: Hold, *, pages: int) -> Synced:
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


def _failed(feed: ArticleFeed, hold: Hold, error: PullFailed, *, pages: int) -> Synced:
    """Wait longer each time, or as long as is asked for; after an hour people are told, once."""
    failures = feed.failures + 1
    wait = turns.pause_after(error, failures=failures)
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
    except Lost:
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
