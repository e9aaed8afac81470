"""What changed in the ITSMs is pulled: what webhooks lost is found, and an ITSM that cannot call us is read as well.

A pass goes from five minutes before the last mark to the newest change. The mark moves only when a whole pass is
stored, so whatever is cut off, fails or comes late is asked for again; what is known already changes nothing.
"""

import logging
import time
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from django.db.models import F, Q

from triage import intake, itsm, telling, turns
from triage.itsm.base import Page, PullFailed
from triage.models import Source
from triage.turns import LONGEST_REASON, OVERLAP, SECONDS, TELL_AFTER, Hold, Lost

log = logging.getLogger(__name__)
FIRST = timedelta(days=1)
SHORT_PAUSE = 2.0
CLAIMED = "pull_claim_until"


@dataclass(frozen=True, kw_only=True)
class Pulled:
    """What became of a pull; counts are of tickets. `complete`: the pass is whole. `wait`: seconds before it goes on.

    `waiting`: some of the tickets wait for the model now.
    """

    source: str
    pages: int = 0
    seen: int = 0
    created: int = 0
    updated: int = 0
    quarantined: int = 0
    complete: bool = False
    waiting: bool = False
    wait: float = 0.0
    failure: str = ""

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)

    def after(self, page: Page, accepted: intake.Accepted) -> "Pulled":
        """With one page more."""
        return replace(
            self,
            pages=self.pages + 1,
            seen=self.seen + len(page.tickets),
            created=self.created + accepted.created,
            updated=self.updated + accepted.updated,
            quarantined=self.quarantined + (0 if accepted.duplicate else accepted.quarantined),
            waiting=self.waiting or accepted.waiting,
            complete=not page.cursor,
            wait=page.pause,
        )

    def plus(self, turn: "Pulled") -> "Pulled":
        """With a later turn of the same pass."""
        counts = ("pages", "seen", "created", "updated", "quarantined")
        sums = {name: getattr(self, name) + getattr(turn, name) for name in counts}
        return replace(turn, waiting=self.waiting or turn.waiting, **sums)


def due(*, at: datetime) -> list[int]:
    """Sources to pull now by primary key, the longest waiting first."""
    rows = Source.objects.filter(turns.free(CLAIMED, at=at), _due(at), enabled=True, in_setup=False)
    return list(rows.order_by(F("pull_due_at").asc(nulls_first=True), "pk").values_list("pk", flat=True))


def pull(
    source_id: int, *, at: datetime, since: datetime | None = None, seconds: float = SECONDS, by_hand: bool = False
) -> Pulled | None:
    """Pull one source until its pass is whole or `seconds` are over; None where it is not due or another pulls it.

    `since`: begin there, or at the mark where that is earlier. `by_hand`: whether due or not. What fails is written
    on the source and is no exception here; only the database's own errors are.
    """
    ripe = Q(enabled=True, in_setup=False) & (Q() if by_hand else _due(at))
    hold = turns.hold(Source.objects.filter(pk=source_id), ripe, claim=CLAIMED, at=at)
    if hold is None:
        return None
    source = Source.objects.select_related("customer").get(pk=source_id)
    done = Pulled(source=source.slug)
    try:
        _begin(source, hold, since=since)
        while True:
            page = _page(source)
            accepted = intake.accept_page(source=source, page=page, at=hold.now)
            done = done.after(page, accepted)
            _remember(source, hold, page)
            if done.complete or hold.elapsed + page.pause > seconds or page.pause > SHORT_PAUSE:
                break
            time.sleep(page.pause)
        _well(source, hold, done)
    except PullFailed as error:
        return _failed(source, hold, error, done=done)
    except Lost:
        log.warning("source %s is pulled by another worker by now", source.slug)
    return done


def _due(at: datetime) -> Q:
    return Q(pull_every__isnull=False) & (Q(pull_due_at__isnull=True) | Q(pull_due_at__lte=at))


def _begin(source: Source, hold: Hold, *, since: datetime | None) -> None:
    """Go on with the pass that was cut off, or begin one: never after the mark, which would leave a gap behind."""
    mark = source.pulled_until or source.created_at - FIRST + OVERLAP
    start = min(mark - OVERLAP, since or mark)
    if source.pull_from is None or (since is not None and since < source.pull_from):
        source.pull_from, source.pull_cursor, source.pull_seen = start, "", None
        hold.write(pull_from=start, pull_cursor="", pull_seen=None)


def _page(source: Source) -> Page:
    """The next page; raises PullFailed, whatever was wrong with it."""
    connector = itsm.SOURCES.get(source.kind)
    since = source.pull_from
    if connector is None or since is None:
        raise PullFailed(f"there is no kind {source.kind!r} of source; set one of {list(itsm.SOURCES)}", permanent=True)
    cursor = source.pull_cursor
    return turns.page(
        f"source {source.slug}", lambda: connector.pull(source, since=since, cursor=cursor), cursor=cursor
    )


def _remember(source: Source, hold: Hold, page: Page) -> None:
    """The page is stored: a worker that dies from here on costs nothing."""
    moments = [ticket.updated_at for ticket in page.tickets] + ([source.pull_seen] if source.pull_seen else [])
    source.pull_seen, source.pull_cursor = max(moments, default=None), page.cursor
    hold.write(pull_seen=source.pull_seen, pull_cursor=page.cursor)


def _well(source: Source, hold: Hold, done: Pulled) -> None:
    columns: dict[str, object] = {"pull_failure": "", "pull_failures": 0, "pull_failing_since": None}
    columns["pull_due_at"] = hold.now + timedelta(seconds=done.wait)
    if done.complete:
        # a clock that runs ahead must not carry the mark past changes to come
        known = [min(moment, hold.at) for moment in (source.pulled_until, source.pull_seen) if moment]
        columns |= {"pulled_until": max(known, default=None), "pull_from": None, "pull_seen": None}
        columns["pull_due_at"] = hold.now + timedelta(seconds=max(source.pull_every or 0, done.wait))
    hold.write(end=True, **columns)


def _failed(source: Source, hold: Hold, error: PullFailed, *, done: Pulled) -> Pulled:
    """Wait longer each time, or as long as the ITSM asks; after an hour people are told, once."""
    failures = source.pull_failures + 1
    wait = turns.pause_after(error, failures=failures)
    reason = str(error)[:LONGEST_REASON]
    since = source.pull_failing_since or hold.now
    columns: dict[str, object] = {"pull_failure": reason, "pull_failures": failures, "pull_failing_since": since}
    if error.permanent and source.pull_cursor:
        columns["pull_cursor"] = ""  # a page that is gone for good: the pass begins anew
    try:
        hold.write(end=True, pull_due_at=hold.now + timedelta(seconds=wait), **columns)
    except Lost:
        log.warning("source %s is pulled by another worker by now", source.slug)
    log.warning("source %s was not pulled: %s", source.slug, reason)
    if hold.now - since >= TELL_AFTER:
        telling.tell(
            kind="pull_failing",
            customer=source.customer,
            key=f"pull-{source.pk}-{since.isoformat()}",
            text=f"Source {source.slug} could not be pulled since {since:%Y-%m-%d %H:%M} UTC: {reason}",
            data={"source": source.slug},
            at=hold.now,
        )
    return replace(done, complete=False, wait=wait, failure=reason)
