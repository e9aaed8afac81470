"""Articles as people see them: which one stands for a label, and searching those that a customer is offered."""

from collections.abc import Iterable, Mapping

from django.db.models import Q, QuerySet

from runbooks.base import Runbook
from runbooks.registry import RUNBOOKS, for_article
from triage.models import Article, Customer, Person

_LISTED = (
    "customer_id",
    "key",
    "title",
    "symptoms",
    "aliases",
    "language",
    "translation_group",
    "runbook",
    "retired_at",
)


def visible_to(person: Person) -> QuerySet[Article]:
    """Articles of the person's customers and those that the provider shares with all."""
    own = Article.objects.visible_to(person)
    return Article.objects.filter(Q(pk__in=own.values("pk")) | Q(customer__isnull=True))


def by_label(pairs: Iterable[tuple[int | None, str, str]]) -> Mapping[tuple[int | None, str], Article]:
    """The article to show for each (customer, label, wanted language), in one query.

    A customer's own article goes before the provider's, one in the wanted language before English before any other.
    A retired one is shown where nothing else carries the label, so that old decisions stay readable.
    """
    wanted = {(customer, label): language for customer, label, language in pairs if label}
    if not wanted:
        return {}
    rows = Article.objects.filter(translation_group__in={label for _, label in wanted}).filter(
        Q(customer__in={customer for customer, _ in wanted if customer}) | Q(customer__isnull=True)
    )
    groups: dict[str, list[Article]] = {}
    for row in rows.defer("body"):
        groups.setdefault(row.translation_group, []).append(row)
    found: dict[tuple[int | None, str], Article] = {}
    for (customer, label), language in wanted.items():
        fitting = [row for row in groups.get(label, []) if row.customer_id in (None, customer)]
        if fitting:
            found[customer, label] = min(fitting, key=lambda row: _rank(row, language))
    return found


def best(customer: Customer, label: str, language: str = "en") -> Article | None:
    """The live article that stands for a label at a customer, with its body."""
    fitting = Article.objects.offered_to(customer).filter(translation_group=label)
    return min(fitting, key=lambda row: _rank(row, language), default=None)


def search(customer: Customer, text: str, *, language: str = "en", limit: int = 50) -> list[Article]:
    """Live articles of a customer, one a label: best matches of every word first, by key where nothing is asked."""
    words = text.casefold().split()[:8]
    groups: dict[str, list[Article]] = {}
    for row in Article.objects.offered_to(customer).only(*_LISTED):
        groups.setdefault(row.translation_group, []).append(row)
    scored = []
    for label, rows in groups.items():
        score = max(_score(row, words) for row in rows)
        if score or not words:
            scored.append((-score, label, min(rows, key=lambda row: _rank(row, language))))
    return [row for _, _, row in sorted(scored, key=lambda entry: entry[:2])[:limit]]


def mentioning(rows: QuerySet[Article], text: str) -> QuerySet[Article]:
    """Those in whose key, title or symptoms every word occurs."""
    for word in text.split()[:6]:
        rows = rows.filter(Q(key__icontains=word) | Q(title__icontains=word) | Q(symptoms__icontains=word))
    return rows


def behind(rows: QuerySet[Article], *, key: str, pk: int) -> QuerySet[Article]:
    """Those that come after a place in the order of (key, pk)."""
    return rows.filter(Q(key__gt=key) | Q(key=key, pk__gt=pk))


def runbook_of(article: Article | None) -> Runbook | None:
    """The runbook that an article names, or that is shipped for its label."""
    if article is None:
        return None
    if article.runbook:
        return RUNBOOKS.get(article.runbook)
    return for_article(article.translation_group)


def _rank(row: Article, language: str) -> tuple[bool, bool, bool, bool, int]:
    """Smaller is better: live, the customer's own, the wanted language, English, the oldest."""
    wanted = row.language.split("-")[0] == language.split("-", maxsplit=1)[0]
    return (row.retired_at is not None, row.customer_id is None, not wanted, row.language != "en", row.pk)


def _score(row: Article, words: list[str]) -> int:
    """0 where a word is found nowhere; keys weigh most, then title, aliases and symptoms."""
    places = (
        (8, row.key.casefold()),
        (4, row.title.casefold()),
        (2, " ".join(str(alias) for alias in row.aliases).casefold()),
        (1, row.symptoms.casefold()),
    )
    total = 0
    for word in words:
        found = sum(weight for weight, text in places if word in text)
        if not found:
            return 0
        total += found
    return total
