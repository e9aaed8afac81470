"""What a change of an article does to certificates, told before it is done.

A gate is made of which labels lead to which runbook. Who changes that voids every certificate over the runbook; who
retires an article leaves them standing, but nothing runs for it any more.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from triage.models import Article, Certificate, Customer, Release, Tuning
from triage.queries.certificates import holding, title
from triage.serving.offers import leads_to


@dataclass(frozen=True)
class Version:
    """What of an article decides: whose it is, its label, its runbook, whether it is live."""

    pk: int | None
    customer: int | None
    label: str
    runbook: str
    live: bool


@dataclass(frozen=True)
class Consequence:
    """At one customer: the certificates that hold no longer, and the runbooks that run for this article no more."""

    customer: Customer
    voided: list[Certificate]
    stopped: list[str]

    @property
    def voided_titles(self) -> list[tuple[Certificate, str]]:
        """Each certificate with its runbooks by title."""
        return [(row, _titles(row.runbooks)) for row in self.voided]

    @property
    def stopped_titles(self) -> str:
        """The runbooks that stop, by title."""
        return _titles(self.stopped)


def of_change(
    article: Article | None, *, customer: Customer | None, label: str, runbook: str, retired: bool, at: datetime
) -> list[Consequence]:
    """For each customer where the change takes something away; empty where it takes nothing.

    `article` is the row as it is stored, None for a new one; the rest is what it is to be. Only labels that the release
    in force knows are part of its gate, so that a new article's label voids nothing.
    """
    now = _version(article) if article else None
    then = Version(now.pk if now else None, customer.pk if customer else None, label, runbook, not retired)
    labels = {label, *([now.label] if now else [])}
    rows = [_version(row) for row in Article.objects.filter(translation_group__in=labels).only(*_READ)]
    after = [row for row in rows if now is None or row.pk != now.pk] + [then]
    held = holding(at=at)
    if customer is not None:
        held = held.filter(customer=customer)
    mine: dict[Customer, list[Certificate]] = {}
    for row in held.select_related("customer").order_by("customer__name", "pk"):
        mine.setdefault(row.customer, []).append(row)
    known = _known(mine)
    found = [_at(one, rows, after, labels & known.get(one.pk, labels), certificates=mine[one]) for one in mine]
    return [one for one in found if one.voided or one.stopped]


_READ = ("customer_id", "translation_group", "runbook", "retired_at")


def _titles(keys: Iterable[str]) -> str:
    return ", ".join(title(key) for key in keys)


def _version(row: Article) -> Version:
    return Version(row.pk, row.customer_id, row.translation_group, row.runbook, row.retired_at is None)


def _known(customers: Iterable[Customer]) -> dict[int, set[str]]:
    """The labels that each customer's release in force was taught; nothing is said of one that kept no tuning."""
    rows = Tuning.objects.filter(release__customer__in=list(customers), release__status=Release.Status.IN_FORCE)
    return {customer: set(labels) for customer, labels in rows.values_list("release__customer_id", "labels")}


def _at(
    customer: Customer,
    before: list[Version],
    after: list[Version],
    labels: set[str],
    *,
    certificates: list[Certificate],
) -> Consequence:
    changed: set[str] = set()
    stopped: set[str] = set()
    for label in labels:
        was, was_live = _led(customer, before, label)
        will, is_live = _led(customer, after, label)
        if was != will:
            changed |= {was, will} - {""}
        if was_live and was and not (is_live and will == was):
            stopped.add(was)
    voided = [row for row in certificates if changed & set(row.runbooks)]
    covered = {key for row in certificates for key in row.runbooks}
    return Consequence(customer, voided, sorted(stopped & covered))


def _led(customer: Customer, rows: list[Version], label: str) -> tuple[str, bool]:
    """The runbook that a label leads to at a customer, and whether it is live there."""
    seen = [row for row in rows if row.label == label and row.customer in (None, customer.pk)]
    seen = [row for row in seen if row.customer is not None] or seen
    return leads_to((row.runbook, row.live) for row in seen)
