"""Articles that the model in force was never taught, matched by their texts: suggested, never acted on.

Their texts are not part of any gate: writing or editing an article changes nothing in what is automated.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from classifier.articles import SHOWN, ArticleMatcher, ArticleText, Placed, place
from classifier.estimator import Ranking
from triage.environment import environment
from triage.models import Article, Customer
from triage.serving.releases import Serving

log = logging.getLogger(__name__)

MOST = 3_000
"""How many new articles are matched at one customer, the last changed ones."""

BUSY = 0.05
"""Share of its time that a process may spend on reading changed articles again; till then the older texts serve."""

QUICK = 0.5
"""Seconds; what takes less is read again at once."""

Stamp = tuple[tuple[int, datetime], ...]


@dataclass(frozen=True, kw_only=True)
class _Kept:
    matcher: ArticleMatcher
    stamp: Stamp
    until: float


_matchers: OrderedDict[tuple[int, str], _Kept] = OrderedDict()
_building = threading.Lock()


def suggest_new(serving: Serving, rankings: Sequence[Ranking]) -> list[Placed]:
    """For each ranked ticket the new articles worth showing, and where; retired ones are never among them.

    New is a live label that the release's model does not know. A customer's own articles replace shared ones.
    """
    taught = {str(label) for label in serving.classifier.classes_}
    stamps = _stamps(serving.release.customer, taught)
    if not stamps or not rankings:
        return [Placed()] * len(rankings)
    matcher = _matcher(serving, stamps)
    gone = sum(label not in stamps for label in matcher.labels_)  # retired since the matcher was made
    found = matcher.best([ranking.line for ranking in rankings], k=SHOWN + gone)
    return [
        place([one for one in alike if one.label in stamps], in_scope=ranking.evidence.in_scope)
        for alike, ranking in zip(found, rankings, strict=True)
    ]


def _stamps(customer: Customer, taught: set[str]) -> dict[str, Stamp]:
    """The live new labels, each with what identifies its texts as they are now."""
    rows: dict[str, list[tuple[int, datetime, bool, bool]]] = {}
    found = Article.objects.filter(Q(customer=customer) | Q(customer__isnull=True)).order_by("pk")
    for pk, label, owner, retired, changed in found.values_list(
        "pk", "translation_group", "customer", "retired_at", "updated_at"
    ):
        if label not in taught:
            rows.setdefault(label, []).append((pk, changed, owner is not None, retired is None))
    stamps = {}
    for label, versions in rows.items():
        own = [row for row in versions if row[2]] or versions
        if live := tuple((pk, changed) for pk, changed, _, is_live in own if is_live):
            stamps[label] = live
    newest = sorted(stamps, key=lambda label: (max(changed for _, changed in stamps[label]), label), reverse=True)
    if len(newest) > MOST:
        log.warning("%s has %d new articles; the %d last changed are matched", customer.slug, len(newest), MOST)
    return {label: stamps[label] for label in newest[:MOST]}


def _matcher(serving: Serving, stamps: dict[str, Stamp]) -> ArticleMatcher:
    """The matcher of these texts, from memory where nothing changed or where it was made a moment ago."""
    key = (serving.release.customer.pk, serving.digest)
    stamp = tuple(sorted(version for versions in stamps.values() for version in versions))
    with _building:
        kept = _matchers.get(key)
        if kept is None or (kept.stamp != stamp and time.monotonic() >= kept.until):
            started = time.monotonic()
            matcher = ArticleMatcher.beside(serving.classifier, _texts(stamps))
            took = time.monotonic() - started
            kept = _Kept(matcher=matcher, stamp=stamp, until=started + (took / BUSY if took > QUICK else 0.0))
        _matchers[key] = kept
        _matchers.move_to_end(key)
        while len(_matchers) > environment().model_cache:
            _matchers.popitem(last=False)
        return kept.matcher


def _texts(stamps: dict[str, Stamp]) -> list[ArticleText]:
    label_of = {pk: label for label, versions in stamps.items() for pk, _ in versions}
    return [
        ArticleText(
            label=label_of[row.pk],
            title=row.title,
            symptoms=row.symptoms,
            aliases=tuple(str(alias) for alias in row.aliases),
            body=row.body,
        )
        for row in Article.objects.filter(translation_group__in=list(stamps)).order_by("pk")
        if row.pk in label_of
    ]
