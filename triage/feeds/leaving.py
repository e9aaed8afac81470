"""The end of a pass: what is gone there is retired here, unless it is so much that a person has to say so.

An error page, a lost right or an empty answer must never retire a knowledge base.
"""

from datetime import datetime
from math import floor

from django.db.models import Q, QuerySet

from triage import lifecycle, telling
from triage.feeds.taking import ACTOR, Counts
from triage.models import Article, ArticleFeed, FeedArticle

ALWAYS = 3
"""So many may go in any pass, however few articles the feed has; but never all that it lists."""


def retire(feed: ArticleFeed, *, counts: Counts, at: datetime) -> tuple[Counts, int]:
    """Retire what this pass found gone, in the caller's transaction; the counts, and how many were held back."""
    standing = FeedArticle.objects.filter(feed=feed, article__isnull=False, gone_at__isnull=True)
    gone = standing.filter(_gone(feed))
    many, live = gone.count(), standing.count()
    emptied = many == live and feed.pass_full and counts.seen == 0
    if many > feed.may_retire and (many > max(ALWAYS, floor(feed.most_gone * live)) or emptied):
        return counts, many
    for row in gone.select_related("article__customer").order_by("pk"):
        counts = counts.and_one("retired" if _retire(feed, row, at=at) else "")
    if feed.pass_full and not feed.pass_blind:
        FeedArticle.objects.filter(_gone(feed), feed=feed, article__isnull=True).delete()
    return counts, 0


def _gone(feed: ArticleFeed) -> Q:
    """Listed as retired in this pass; in a full one that could be read, also what was not listed at all."""
    told = Q(leaving_in=feed.pass_id)
    if not feed.pass_full or feed.pass_blind:
        return told
    return told | Q(seen_in__isnull=True) | ~Q(seen_in=feed.pass_id)


def _retire(feed: ArticleFeed, row: FeedArticle, *, at: datetime) -> bool:
    """Whether it was live until now."""
    article = Article.objects.select_for_update().get(pk=row.article_id)
    FeedArticle.objects.filter(pk=row.pk).update(gone_at=at)
    if article.retired_at is not None:
        return False
    article.retired_at = at
    article.save(update_fields=["retired_at", "updated_at"])
    lifecycle.record(row=article, event="retired", at=at, actor=ACTOR, reason=f"feed {feed.slug}: gone there")
    _tell(article, _left(article), at=at)
    return True


def _left(article: Article) -> "QuerySet[Article]":
    """Live articles that still stand for the label."""
    return Article.objects.filter(
        customer=article.customer_id, translation_group=article.translation_group, retired_at__isnull=True
    )


def _tell(article: Article, left: "QuerySet[Article]", *, at: datetime) -> None:
    """Where a runbook hangs on the label, its tickets no longer run: somebody has to know that before they wonder."""
    group = Article.objects.filter(customer=article.customer_id, translation_group=article.translation_group)
    named = sorted(set(group.exclude(runbook="").values_list("runbook", flat=True)))
    if not named or left.exists():
        return
    telling.tell(
        kind="runbook_article_retired",
        customer=article.customer,
        key=f"article-retired-{article.pk}-{at.isoformat()}",
        text=f"Article {article.key} was retired in its knowledge base. Its tickets no longer start the runbook "
        f"{', '.join(named)}, also where a certificate covers it; the certificate stays.",
        link=f"/articles/{article.pk}/",
        data={"article": article.key, "runbooks": ", ".join(named)},
        at=at,
    )
