"""Articles as people see them: which one stands for a label, and searching those that a customer is offered."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from django.db.models import Q, QuerySet

from runbooks.base import Runbook
from runbooks.registry import RUNBOOKS
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


DESK = "en"
"""The language that the desk is written in: agents read articles in it, requesters get them in theirs."""


class Shown(NamedTuple):
    """The article that stands for a label at a customer, the runbook that the label leads to there, its languages."""

    article: Article
    runbook: Runbook | None
    languages: tuple[str, ...]


def by_label(pairs: Iterable[tuple[int | None, str]], language: str = DESK) -> Mapping[tuple[int | None, str], Shown]:
    """What to show for each (customer, label), in one query.

    A retired article is shown where nothing live carries the label, so that old decisions stay readable.
    """
    wanted = {(customer, label) for customer, label in pairs if label}
    if not wanted:
        return {}
    rows = Article.objects.filter(translation_group__in={label for _, label in wanted}).filter(
        Q(customer__in={customer for customer, _ in wanted if customer}) | Q(customer__isnull=True)
    )
    groups: dict[str, list[Article]] = {}
    for row in rows.defer("body"):
        groups.setdefault(row.translation_group, []).append(row)
    found: dict[tuple[int | None, str], Shown] = {}
    for customer, label in wanted:
        shown = _stands_for([row for row in groups.get(label, []) if row.customer_id in (None, customer)], language)
        if shown:
            found[customer, label] = shown
    return found


def best(customer: Customer | None, label: str, language: str = DESK) -> Shown | None:
    """The live article that stands for a label at a customer, with its body; None where there is none."""
    if customer is None:
        return None
    rows = Article.objects.filter(Q(customer=customer) | Q(customer__isnull=True), translation_group=label)
    shown = _stands_for(list(rows), language)
    return shown if shown and shown.article.retired_at is None else None


def search(customer: Customer, text: str, *, language: str = DESK, limit: int = 50) -> list[Shown]:
    """Live articles of a customer, one a label: best matches of every word first, by key where nothing is asked."""
    words = text.casefold().split()[:8]
    groups: dict[str, list[Article]] = {}
    for row in Article.objects.filter(Q(customer=customer) | Q(customer__isnull=True)).only(*_LISTED):
        groups.setdefault(row.translation_group, []).append(row)
    scored = []
    for label, rows in groups.items():
        shown = _stands_for(rows, language)
        score = max(_score(row, words) for row in rows)
        if shown and shown.article.retired_at is None and (score or not words):
            scored.append((-score, label, shown))
    return [row for _, _, row in sorted(scored, key=lambda entry: entry[:2])[:limit]]


def mentioning(rows: QuerySet[Article], text: str) -> QuerySet[Article]:
    """Those in whose key, title or symptoms every word occurs."""
    for word in text.split()[:6]:
        rows = rows.filter(Q(key__icontains=word) | Q(title__icontains=word) | Q(symptoms__icontains=word))
    return rows


def behind(rows: QuerySet[Article], *, key: str, pk: int) -> QuerySet[Article]:
    """Those that come after a place in the order of (key, pk)."""
    return rows.filter(Q(key__gt=key) | Q(key=key, pk__gt=pk))


def _stands_for(rows: list[Article], language: str) -> Shown | None:
    """By the rules that decisions follow: a customer's own articles replace shared ones of the same label.

    Of those the live ones, in the wanted language before English before any other. Translations that name different
    runbooks lead to none.
    """
    rows = [row for row in rows if row.customer_id is not None] or rows
    rows = [row for row in rows if row.retired_at is None] or rows
    if not rows:
        return None
    named = {row.runbook for row in rows if row.runbook}
    runbook = RUNBOOKS.get(named.pop()) if len(named) == 1 else None
    languages = tuple(sorted({row.language for row in rows}))
    return Shown(min(rows, key=lambda row: _rank(row, language)), runbook, languages)


def _rank(row: Article, language: str) -> tuple[bool, bool, int]:
    """Smaller is better: the wanted language, English, the oldest."""
    wanted = row.language.partition("-")[0] == language.partition("-")[0]
    return (not wanted, row.language != "en", row.pk)


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
