"""How often each article was put first, and what people said: by month, quarter and week."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeAlias

from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery

from triage.models import ArticleCount, ArticleWeek, Decision, Draw, Job, Release, Review

Counted: TypeAlias = list[tuple[int, str, int]]
MONTH, QUARTER, WEEK = timedelta(days=30), timedelta(days=90), timedelta(days=7)
WEEKS = 13
"""So many weeks of articles are kept."""


class Span(NamedTuple):
    """From after one moment until another."""

    after: datetime
    until: datetime


def lately(*, at: datetime) -> None:
    """Volume, verdicts and answered draws by article."""
    spans = {"": Span(at - MONTH, at), "_90": Span(at - QUARTER, at)}
    found = _gathered({f"{name}{end}": rows for end, span in spans.items() for name, rows in _said(span).items()})
    for customer, article, count in _draws():
        found.setdefault((customer, article), {})["draws"] = count
    rows_now = [ArticleCount(customer_id=key[0], article=key[1], **counts) for key, counts in sorted(found.items())]
    with transaction.atomic():
        ArticleCount.objects.all().delete()
        ArticleCount.objects.bulk_create(rows_now, batch_size=500)


def weeks(job: Job, *, at: datetime) -> None:
    """Articles by week: this week and one of those before, each in its turn; all where there is none yet."""
    monday = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    monday -= timedelta(days=monday.weekday())
    back = int(job.settings.get("weeks_back", 1))
    wanted = {0, back} if ArticleWeek.objects.exists() else set(range(WEEKS))
    for one in sorted(wanted):
        begins = monday - one * WEEK
        found = _gathered(_said(Span(begins, begins + WEEK)))
        rows = [
            ArticleWeek(customer_id=key[0], article=key[1], week=begins.date(), **counts)
            for key, counts in sorted(found.items())
        ]
        with transaction.atomic():
            ArticleWeek.objects.filter(week=begins.date()).delete()
            ArticleWeek.objects.bulk_create(rows, batch_size=500)
    ArticleWeek.objects.filter(week__lte=(monday - WEEKS * WEEK).date()).delete()
    job.settings["weeks_back"] = back % (WEEKS - 1) + 1
    Job.objects.filter(pk=job.pk).update(settings=job.settings)


def _gathered(counted: Mapping[str, Counted]) -> dict[tuple[int, str], dict[str, int]]:
    """The counts of each (customer, article), by name."""
    found: dict[tuple[int, str], dict[str, int]] = {}
    for name, rows in counted.items():
        for customer, article, count in rows:
            found.setdefault((customer, article), {})[name] = count
    return found


def _said(span: Span) -> dict[str, Counted]:
    """Volume and verdicts by article within a span."""
    return {
        "tickets": _volume(span),
        "verdicts": _verdicts(span),
        "agreed": _verdicts(span, agreed=True),
        "confirmed": _confirmed(span),
    }


def _volume(span: Span) -> Counted:
    made = Q(made_at__gt=span.after, made_at__lte=span.until)
    rows = Decision.objects.filter(made, in_force=True, ticket__draw__purpose=Draw.Purpose.NONE)
    return _by_article(rows.exclude(article=""), Count("pk"))


def _confirmed(span: Span) -> Counted:
    """Standing verdicts that named the article; not on the holdout, which may certify."""
    given = Q(decided_at__gt=span.after, decided_at__lte=span.until)
    rows = Review.objects.filter(given, undone_at__isnull=True).exclude(article="")
    rows = rows.exclude(ticket__draw__purpose=Draw.Purpose.HOLDOUT)
    counted = rows.order_by().values("customer", "article").annotate(n=Count("ticket", distinct=True))
    return [(row["customer"], row["article"], row["n"]) for row in counted]


def _draws() -> Counted:
    """Clusters of the sealed holdout that people have answered, newer than what the release in force was trained on.

    Counted by what the model said of them; what people said is not looked at, since it may certify.
    """
    newest = Release.objects.filter(customer=OuterRef("customer"), status=Release.Status.IN_FORCE)
    answered = Review.objects.filter(ticket=OuterRef("ticket"), blind=True, undone_at__isnull=True)
    rows = (
        Decision.objects.filter(Exists(answered), in_force=True, ticket__draw__purpose=Draw.Purpose.HOLDOUT)
        .exclude(article="")
        .annotate(trained=Subquery(newest.values("trained_until")[:1]))
        .filter(Q(trained__isnull=True) | Q(ticket__draw__drawn_at__gt=F("trained")))
    )
    return _by_article(rows, Count("ticket__draw__cluster", distinct=True))


def _verdicts(span: Span, *, agreed: bool = False) -> Counted:
    """Decisions with a standing verdict of the span on the same text; `agreed`: it named the decision's article.

    Verdicts on the holdout are left out: they may certify.
    """
    said = Review.objects.filter(
        ticket=OuterRef("ticket"),
        text_hash=OuterRef("text_hash"),
        undone_at__isnull=True,
        decided_at__gt=span.after,
        decided_at__lte=span.until,
    )
    if agreed:
        said = said.filter(article=OuterRef("article"))
    rows = Decision.objects.filter(Exists(said), in_force=True).exclude(article="")
    return _by_article(rows.exclude(ticket__draw__purpose=Draw.Purpose.HOLDOUT), Count("pk"))


def _by_article(rows: QuerySet[Decision], number: Count) -> Counted:
    """(customer, article, count) of decisions."""
    counted = rows.order_by().values("customer", "article").annotate(n=number)
    return [(row["customer"], row["article"], row["n"]) for row in counted]
