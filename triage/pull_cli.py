"""The commands that bring tickets in by hand: `triage pull` from the ITSMs, `triage replay` from the lake."""

import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from triage.output import JSON_HELP, tell, write

if TYPE_CHECKING:
    from triage.models import Source
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
@click.option("--since", type=Moment(), help=f"go back as far as this: {SINCE_HELP}")
@click.option("--json", "json_file", metavar="FILE", help=JSON_HELP)
def pull(slug: str | None, since: datetime | None, json_file: str | None) -> None:
    """Pull what changed in the ITSMs now, however long it takes; what is known already changes nothing."""
    from triage import installation

    with installation.ready():
        from triage import bell

        results = [_pull(source, since=since) for source in _sources(slug)]
        if not results:
            tell("no source is pulled: set pull_every on one, or name it with --source")
        if any(result.waiting for result in results):
            bell.ring_now("classify_waiting")
        names = ("pages", "seen", "created", "updated", "quarantined")
        sums = {name: sum(getattr(result, name) for result in results) for name in names}
        write(json_file, {"sources": [result.as_dict() for result in results], **sums})
    if any(not result.complete for result in results):
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
