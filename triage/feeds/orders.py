"""What a person asks of a feed: a pass now, and leave to retire what is missing in it."""

from datetime import datetime

from triage import lifecycle
from triage.models import ArticleFeed, Person
from triage.permissions import check_can_write_article


class OrderRefused(Exception):
    """It cannot be done like this; the message says what to mend."""


def sync_now(*, feed: ArticleFeed, person: Person, at: datetime) -> None:
    """Let everything be listed as soon as a worker is free. Raises PermissionDenied, OrderRefused."""
    check_can_write_article(person, feed.customer)
    if not ArticleFeed.objects.filter(pk=feed.pk, enabled=True).update(due_at=at, full_at=None):
        raise OrderRefused(f"The feed {feed.name} is switched off. Switch it on in the settings first.")
    lifecycle.record(row=feed, event="sync ordered", at=at, actor=f"person:{person.pk}")


def retire_missing(*, feed: ArticleFeed, person: Person, many: int, at: datetime) -> None:
    """Let the next full listing retire as many articles as the person saw missing, and not one more.

    Raises PermissionDenied, and OrderRefused where it is another number by now.
    """
    check_can_write_article(person, feed.customer)
    waiting = ArticleFeed.objects.filter(pk=feed.pk, enabled=True, held_back=many, held_back__gt=0)
    if not waiting.update(may_retire=many, due_at=at, full_at=None):
        raise OrderRefused("Another number of articles is missing by now. Look again.")
    lifecycle.record(
        row=feed, event="retirement allowed", at=at, actor=f"person:{person.pk}", reason=f"{many} articles"
    )
