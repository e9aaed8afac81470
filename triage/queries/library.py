"""The library of articles as its keepers read it: how much each is used, how right it is, what it leads to."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db.models import Case, F, OuterRef, Q, QuerySet, Subquery, Sum, When
from django.db.models.functions import Coalesce
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from classifier.metrics import accuracy_interval
from runbooks.base import Runbook
from runbooks.registry import RUNBOOKS
from triage.models import (
    Article,
    ArticleCount,
    ArticleWeek,
    Customer,
    Person,
    Release,
    Review,
    Ticket,
    Tuning,
)
from triage.queries import articles, blind
from triage.queries.certificates import certified
from triage.queries.numbers import whole

PAGE = 100
SUMS = ("tickets", "tickets_90", "confirmed", "confirmed_90", "verdicts_90", "agreed_90")
SHOW: dict[str, Promise] = {
    "live": _("Live"),
    "retired": _("Retired"),
    "no-runbook": _("Live, without a runbook"),
    "unused": _("Live, not used for 90 days"),
}
SORTS: dict[str, tuple[str, bool]] = {
    "key": ("key", False),
    "title": ("title", False),
    "volume": ("used", True),
    "updated": ("updated_at", True),
}
"""By name: the column, and whether the highest comes first."""

WEEKS = 13
PAIRS = 8
LATEST = 8


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the list is narrowed to and sorted by; `after`: value and primary key of the last one shown."""

    text: str = ""
    language: str = ""
    show: str = "live"
    sort: str = "key"
    after: tuple[str, int] | None = None


@dataclass(frozen=True)
class Use:
    """How often an article was put first and named by people, and how often both agreed; of 30 and of 90 days."""

    tickets: int = 0
    tickets_90: int = 0
    confirmed: int = 0
    confirmed_90: int = 0
    verdicts_90: int = 0
    agreed_90: int = 0

    @property
    def accuracy(self) -> float | None:
        """Share of verdicts that named it where it was put first; None without a verdict."""
        return self.agreed_90 / self.verdicts_90 if self.verdicts_90 else None

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval (Wilson)."""
        return accuracy_interval(self.agreed_90, self.verdicts_90)


@dataclass(frozen=True)
class Row:
    """One line of the list. `certified`: at how many of `customers` a certificate covers its runbook."""

    article: Article
    use: Use
    runbook: Runbook | None
    certified: int
    customers: int


def page(person: Person, *, wanted: Wanted, customers: Sequence[Customer], at: datetime) -> tuple[list[Row], str]:
    """One page of the list and where the next one begins; the same four queries for any number of articles.

    `customers` are those whose figures count: the person's, or the one that the page is narrowed to.
    """
    keys = [one.pk for one in customers]
    rows = narrowed(articles.visible_to(person), wanted, customers=keys)
    column, down = SORTS.get(wanted.sort, SORTS["key"])
    if wanted.after is not None:
        rows = _behind(rows, column, down, wanted.after)
    order = F(column).desc() if down else F(column).asc()
    found = list(
        rows.select_related("customer", "fed__feed")
        .defer("body", "symptoms", "fed__feed__credentials")
        .order_by(order, "pk")[: PAGE + 1]
    )
    last = found[PAGE - 1] if len(found) > PAGE else None
    onward = f"{_value(last, column)}~{last.pk}" if last else ""
    shown = found[:PAGE]
    uses, held = used(shown, customers=keys), certified(keys, at=at)
    return [_row(one, uses.get(one.pk, Use()), held, keys) for one in shown], onward


def narrowed(rows: QuerySet[Article], wanted: Wanted, *, customers: Sequence[int]) -> QuerySet[Article]:
    """The articles that the list shows, each with `used`: how often it was put first in 90 days."""
    rows = rows.filter(Q(customer__isnull=True) | Q(customer__in=customers))
    rows = articles.mentioning(rows.filter(retired_at__isnull=wanted.show != "retired"), wanted.text)
    if wanted.language:
        rows = rows.filter(language=wanted.language)
    if wanted.show == "no-runbook":
        rows = rows.filter(runbook="")
    counts = ArticleCount.objects.filter(article=OuterRef("translation_group"))
    if wanted.sort == "volume":
        rows = rows.annotate(used=_sum(counts, "tickets_90", customers))
    if wanted.show == "unused":
        ever = _sum(counts, "tickets_90", customers) + _sum(counts, "confirmed_90", customers)
        rows = rows.annotate(ever=ever).filter(ever=0)
    return rows


def languages(person: Person) -> list[str]:
    """Those that the person's articles are written in."""
    return list(articles.visible_to(person).order_by("language").values_list("language", flat=True).distinct()[:100])


def used(rows: Iterable[Article], *, customers: Sequence[int]) -> dict[int, Use]:
    """How each article is used at these customers, by its primary key; one query."""
    rows = list(rows)
    found = ArticleCount.objects.filter(article__in={one.translation_group for one in rows}, customer__in=customers)
    by_label: dict[str, list[ArticleCount]] = {}
    for count in found:
        by_label.setdefault(count.article, []).append(count)
    return {
        one.pk: Use(**{name: sum(getattr(count, name) for count in mine) for name in SUMS})
        for one in rows
        if (mine := [count for count in by_label.get(one.translation_group, []) if _counts_for(one, count)])
    }


@dataclass(frozen=True)
class Week:
    """One week of an article, from its Monday on."""

    begins: date
    tickets: int = 0
    verdicts: int = 0
    agreed: int = 0


def weeks(article: Article, *, customers: Sequence[int], at: datetime) -> list[Week]:
    """The last thirteen weeks, each there even where nothing happened; one query."""
    today = at.astimezone(UTC).date()
    first = today - timedelta(days=today.weekday(), weeks=WEEKS - 1)
    rows = ArticleWeek.objects.filter(
        article=article.translation_group, week__gte=first, customer__in=_at(article, customers)
    )
    sums = rows.order_by().values("week").annotate(t=Sum("tickets"), v=Sum("verdicts"), a=Sum("agreed"))
    found = {row["week"]: Week(row["week"], row["t"], row["v"], row["a"]) for row in sums}
    days = [first + timedelta(weeks=number) for number in range(WEEKS)]
    return [found.get(day, Week(day)) for day in days]


@dataclass(frozen=True)
class Confused:
    """How often models that had not seen the rows took one article's for another's, out of fold."""

    given: str
    said: str
    count: int
    title: str
    other: str


def confused(article: Article, *, customers: Sequence[int]) -> list[Confused]:
    """What the releases in force mix it up with, most frequent first; two queries. Training rows only, never a draw."""
    mine = Tuning.objects.filter(release__status=Release.Status.IN_FORCE, release__customer__in=_at(article, customers))
    label = article.translation_group
    pairs: Counter[tuple[str, str]] = Counter()
    for found in mine.values_list("report__confused", flat=True):
        for given, said, count in found or ():
            if label in (given, said):
                pairs[given, said] += count
    top = pairs.most_common(PAIRS)
    others = {said if given == label else given for (given, said), _count in top}
    shown = articles.by_label((customer, other) for other in others for customer in _at(article, customers)[:1])
    titles = {key[1]: one.article.title for key, one in shown.items()}
    return [
        Confused(given, said, count, titles.get(other, ""), other)
        for (given, said), count in top
        for other in [said if given == label else given]
    ]


def solved(person: Person, article: Article, *, customers: Sequence[int], at: datetime) -> tuple[int, list[Review]]:
    """How many standing verdicts name it, and the newest; none on a ticket that is still sealed."""
    rows = Review.objects.visible_to(person).filter(
        article=article.translation_group, undone_at__isnull=True, customer__in=_at(article, customers)
    )
    sealed = blind.sealed_among(Ticket.objects.visible_to(person), at=at)
    open_ = rows.exclude(ticket__in=sealed.values("pk"))
    return open_.count(), list(open_.select_related("ticket", "person").order_by("-pk")[:LATEST])


def _at(article: Article, customers: Sequence[int]) -> list[int]:
    """The customers that an article serves: its own, or all of these where it is shared."""
    return [pk for pk in customers if article.customer_id in (None, pk)]


def _counts_for(article: Article, count: ArticleCount) -> bool:
    return article.customer_id in (None, count.customer_id)


def _sum(counts: QuerySet[ArticleCount], name: str, customers: Sequence[int]) -> Any:
    """The sum over the customers that the article serves."""
    shared = counts.filter(customer__in=customers).order_by().values("article").annotate(n=Sum(name)).values("n")
    own = counts.filter(customer=OuterRef("customer"), customer__in=customers).values(name)[:1]
    return Case(When(customer__isnull=True, then=Coalesce(Subquery(shared), 0)), default=Coalesce(Subquery(own), 0))


def _behind(rows: QuerySet[Article], column: str, down: bool, after: tuple[str, int]) -> QuerySet[Article]:
    """Those that come after a place in the order of (column, primary key)."""
    told, pk = after
    value = _read(column, told)
    if value is None:
        return rows
    further = Q(**{f"{column}__{'lt' if down else 'gt'}": value})
    return rows.filter(further | Q(**{column: value}, pk__gt=pk))


def _read(column: str, told: str) -> object:
    """The sort value of a link; None where it is none."""
    if column == "used":
        return whole(told, digits=11)
    if column != "updated_at":
        return told
    try:
        read = datetime.fromisoformat(told)
    except ValueError:
        return None
    return read if read.tzinfo else None


def _value(row: Article, column: str) -> str:
    value = getattr(row, column)
    return str(value.astimezone(UTC).isoformat()) if isinstance(value, datetime) else str(value)


def _row(article: Article, use: Use, held: Mapping[str, set[int]], customers: Sequence[int]) -> Row:
    mine = _at(article, customers)
    covered = len(held.get(article.runbook, set()) & set(mine)) if article.runbook else 0
    return Row(article, use, RUNBOOKS.get(article.runbook), covered, len(mine))
