"""Article feeds as people see them: those of their customers, and the provider's."""

from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet

from triage.models import ArticleFeed, FeedArticle, Person
from triage.permissions import can_write_article

PROBLEMS = 20


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One feed. `problems`: the first of what is listed and no article here; only where the person may mend it."""

    feed: ArticleFeed
    live: int
    problem_count: int
    problems: tuple[FeedArticle, ...]
    may: bool


def visible_to(person: Person) -> "QuerySet[ArticleFeed]":
    """Feeds of the person's customers and those whose articles all share."""
    own = ArticleFeed.objects.visible_to(person)
    return ArticleFeed.objects.filter(Q(pk__in=own.values("pk")) | Q(customer__isnull=True))


def shown_to(person: Person) -> list[Shown]:
    """All of them with their counts; why one fails is for those who may do something about it."""
    live = Count("listed", filter=Q(listed__article__retired_at__isnull=True, listed__article__isnull=False))
    bad = Count("listed", filter=~Q(listed__problem=""))
    rows = (
        visible_to(person)
        .defer("credentials")
        .select_related("customer")
        .annotate(live=live, bad=bad)
        .order_by("name", "pk")
    )
    found = []
    for row in rows:
        may = can_write_article(person, row.customer)
        listed = FeedArticle.objects.filter(feed=row).exclude(problem="").order_by("external_id")
        problems = tuple(listed[:PROBLEMS]) if may and row.bad else ()
        found.append(Shown(feed=row, live=row.live, problem_count=row.bad if may else 0, problems=problems, may=may))
    return found
