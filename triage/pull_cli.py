"""The commands that bring tickets in by hand: `triage pull` from the ITSMs, `triage replay` from the lake.

And `triage import-history`: past tickets from a file, as labels.
"""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from triage.output import JSON_HELP, tell, who, write

if TYPE_CHECKING:
    from triage.feeds.passes import Synced
    from triage.models import ArticleFeed, Source
    from triage.pulling import Pulled

SINCE_HELP = "ISO 8601, such as 2026-11-20 or 2026-11-20T09:30:00Z; UTC where no zone is given"
LONGEST_PAUSE = 120.0


class Moment(click.ParamType[datetime]):
    """A moment in ISO 8601."""

    name = "ISO"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """With a time zone, and not in the future."""
        try:
            found = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no moment; write {SINCE_HELP}", param, ctx)
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        if found > datetime.now(UTC):
            self.fail(f"{value!r} lies ahead", param, ctx)
        return found


@click.command()
@click.option("--source", "slug", metavar="SLUG", help="this source alone; else all that are pulled")
@click.option("--since", type=Moment(), help=f"tickets only, back as far as this: {SINCE_HELP}")
@click.option("--articles", is_flag=True, help="articles only, of all feeds that are gone over")
@click.option("--feed", "feed_slug", metavar="SLUG", help="articles of this feed alone")
@click.option("--json", "json_file", metavar="FILE", help=JSON_HELP)
def pull(
    slug: str | None, since: datetime | None, articles: bool, feed_slug: str | None, json_file: str | None
) -> None:
    """Pull what changed in ITSMs and knowledge bases now, however long it takes; what is known changes nothing."""
    if (slug or since) and (articles or feed_slug):
        raise click.UsageError("--source and --since are about tickets, --articles and --feed about articles")
    from triage import installation

    with installation.ready():
        from triage import bell

        results = [] if articles or feed_slug else [_pull(source, since=since) for source in _sources(slug)]
        feeds = [] if slug or since else [_sync(feed) for feed in _feeds(feed_slug)]
        if not (results or feeds):
            tell("nothing is pulled: set pull_every on a source or `every` on a feed, or name one")
        if any(result.waiting for result in results):
            bell.ring_now("classify_waiting")
        names = ("pages", "seen", "created", "updated", "quarantined")
        sums = {name: sum(getattr(result, name) for result in results) for name in names}
        told = {"sources": [result.as_dict() for result in results], **sums}
        write(json_file, {**told, "feeds": [feed.as_dict() for feed in feeds]})
    if not all([*(one.complete for one in results), *(one.complete for one in feeds)]):
        sys.exit(1)


@click.command()
@click.option("--source", "slug", metavar="SLUG", required=True)
@click.option("--since", type=Moment(), required=True, help=SINCE_HELP)
@click.option("--json", "json_file", metavar="FILE", help=JSON_HELP)
def replay(slug: str, since: datetime, json_file: str | None) -> None:
    """Apply the lake's raw deliveries that the database lacks, as after a restore of an older state."""
    from triage import installation

    with installation.ready():
        from triage import bell, replaying
        from triage.lake import here

        found = replaying.replay(source=_sources(slug)[0], store=here.store(), since=since)
        tell(f"{found.source}: {found.deliveries} deliveries in {found.objects} objects, {found.known} known already")
        tell(f"{found.applied} applied: {found.created} tickets new, {found.updated} changed")
        if found.quarantined or found.unusable:
            tell(f"{found.quarantined + found.unusable} messages or lines are in quarantine, as when they came")
        bell.ring_now("classify_waiting")
        write(json_file, found.as_dict())


@click.command("import-history")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--customer", default="default", show_default=True)
@click.option("--encoding", type=click.Choice(["utf-8", "utf-16", "cp1252"]), default="utf-8", show_default=True)
@click.option("--json", "json_file", metavar="FILE", help=JSON_HELP)
def import_history(file: Path, customer: str, encoding: str, json_file: str | None) -> None:
    """Past tickets that people solved, as labels to train on: CSV or JSONL with subject, body and article."""
    from triage import installation

    with installation.ready():
        from django.utils import timezone

        from triage import bell, history
        from triage.models import Customer

        whose = Customer.objects.filter(slug=customer).first()
        if whose is None:
            raise click.BadParameter(f"there is no customer {customer!r}", param_hint="--customer")
        with file.open("rb") as opened:
            raw = opened.read(history.MOST_BYTES + 1)
        try:
            found = history.bring_in(customer=whose, raw=raw, encoding=encoding, actor=who(), at=timezone.now())
        except history.HistoryRefused as refused:
            for line, why in refused.problems:
                tell(f"{file}:{line}: {why}" if line else f"{file}: {why}")
            tell(f"nothing was imported: {refused.count} lines cannot be used")
            write(json_file, {"problems": [{"line": line, "why": why} for line, why in refused.problems]})
            sys.exit(1)
        bell.ring_now("land_waiting")
        tell(f"{found.rows} past tickets of {found.articles} articles, {found.new} of them new")
        write(json_file, found.as_dict())


def _sources(slug: str | None) -> list["Source"]:
    from triage.models import Source

    rows = Source.objects.select_related("customer").filter(enabled=True, in_setup=False)
    if slug is None:
        return list(rows.filter(pull_every__isnull=False).order_by("slug"))
    found = list(rows.filter(slug=slug))
    if not found:
        raise click.BadParameter(f"no source that is live is called {slug!r}", param_hint="--source")
    return found


def _pull(source: "Source", *, since: datetime | None) -> "Pulled":
    """Pull until the pass is whole or fails, over as many turns as it takes; the counts of all of them."""
    from django.utils import timezone

    from triage.pulling import Pulled, pull

    total = Pulled(source=source.slug)
    while True:
        turn = pull(source.pk, at=timezone.now(), since=since, by_hand=True)
        since = None  # the pass goes on from its cursor
        if turn is None:
            tell(f"{source.slug}: another worker pulls it just now; try again in a minute")
            return total.plus(Pulled(source=source.slug, failure="another worker pulls it just now"))
        total = total.plus(turn)
        if total.complete or total.failure or total.wait > LONGEST_PAUSE:
            break
        time.sleep(total.wait)
    tell(
        f"{source.slug}: {total.seen} tickets in {total.pages} pages, {total.created} new, {total.updated} changed"
        + (f", {total.quarantined} quarantined" if total.quarantined else "")
    )
    if not total.complete:
        tell(f"{source.slug}: not complete: {total.failure or f'the ITSM asks to wait {total.wait:.0f} s'}")
    return total


def _feeds(slug: str | None) -> list["ArticleFeed"]:
    from triage.models import ArticleFeed

    rows = ArticleFeed.objects.filter(enabled=True)
    if slug is None:
        return list(rows.filter(every__isnull=False).order_by("slug"))
    found = list(rows.filter(slug=slug))
    if not found:
        raise click.BadParameter(f"no feed in use is called {slug!r}", param_hint="--feed")
    return found


def _sync(feed: "ArticleFeed") -> "Synced":
    """Go over a feed until its pass is whole or fails, over as many turns as it takes."""
    from django.utils import timezone

    from triage.feeds.passes import Synced, sync

    pages = 0
    while True:
        turn = sync(feed.pk, at=timezone.now(), by_hand=True)
        if turn is None:
            tell(f"{feed.slug}: another worker has it just now; try again in a minute")
            return Synced(feed=feed.slug, pages=pages, failure="another worker has it just now")
        pages += turn.pages
        if turn.complete or turn.failure:
            break
    done = turn.counts
    tell(
        f"{feed.slug}: {done.seen} articles in {pages} pages, {done.added} new, {done.changed} changed, "
        f"{done.back} back, {done.retired} retired" + (f", {done.refused} refused" if done.refused else "")
    )
    if turn.failure:
        tell(f"{feed.slug}: not complete: {turn.failure}")
    if turn.held_back:
        tell(f"{feed.slug}: {turn.held_back} articles are missing there; say on the page of articles if they may go")
    return turn
