"""Certificates as people read them: how each stands, what its runs were found to be, and what others lack."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from django.db.models import QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from classifier import monitor
from classifier.bounds import monthly_delta, sample_size, upper_bound
from runbooks.base import Runbook
from runbooks.registry import RUNBOOKS
from triage.models import (
    Article,
    ArticleCount,
    Budget,
    Certificate,
    CertificateCount,
    Customer,
    Mode,
    Person,
    Registration,
    Release,
    RunbookState,
)
from triage.queries.customers import customers_of

EXPIRES_SOON = timedelta(days=14)
VALID, SOON, EXPIRED, REVOKED, OTHER_RELEASE = "valid", "soon", "expired", "revoked", "other_release"
STATES: dict[str, Promise] = {
    VALID: _("valid"),
    SOON: _("expires soon"),
    EXPIRED: _("expired"),
    REVOKED: _("revoked"),
    OTHER_RELEASE: _("its release is not in force"),
}
ALPHA = 0.05
"""What a certificate is asked for where the customer lays down nothing stricter."""

STARTS = 3
"""The starts of a registration, as `classifier.registration.plan` chooses them."""

HALF = 0.025
MOST = 100


@dataclass(frozen=True)
class CertificateCard:
    """A certificate and how it stands today."""

    row: Certificate
    state: str
    titles: list[str]
    count: CertificateCount

    @property
    def valid(self) -> bool:
        """Whether anything may run under it now, as far as can be told without opening the model."""
        return self.state in (VALID, SOON)

    @property
    def words(self) -> Promise:
        """The state in words."""
        return STATES[self.state]

    @property
    def wrong(self) -> float | None:
        """Share of verified runs that a blind verdict contradicted."""
        return self.count.wrong / self.count.verified if self.count.verified else None

    @property
    def interval(self) -> tuple[float, float]:
        """The exact two-sided 95 % interval of that share (Clopper and Pearson 1934)."""
        n, wrong = self.count.verified, self.count.wrong
        return 1.0 - upper_bound(n - wrong, n, delta=HALF), upper_bound(wrong, n, delta=HALF)


def cards(person: Person, *, customer: Customer | None, at: datetime) -> list[CertificateCard]:
    """Those that hold first, then the newest; at most 100, in one query."""
    rows = visible(person)
    if customer is not None:
        rows = rows.filter(customer=customer)
    found = [card(row, at=at) for row in rows.order_by("-issued_at")[:MOST]]
    return sorted(found, key=lambda one: not one.valid)


def card(row: Certificate, *, at: datetime) -> CertificateCard:
    """One certificate, read with `visible` or `cards`."""
    count = getattr(row, "count", None) or CertificateCount(certificate=row)
    return CertificateCard(row, _state(row, at=at), [title(key) for key in row.runbooks], count)


def visible(person: Person) -> QuerySet[Certificate]:
    """The certificates that the person may see, with what their page shows."""
    rows: QuerySet[Certificate] = Certificate.objects.visible_to(person)
    return rows.select_related("customer", "release", "registration", "count").defer("release__measures")


def holding(*, at: datetime) -> QuerySet[Certificate]:
    """Everybody's that hold now, as far as can be told without opening a model: neither revoked, expired nor left."""
    return Certificate.objects.filter(
        revoked_at__isnull=True, expires_at__gt=at, release__status=Release.Status.IN_FORCE
    )


def certified(customers: Iterable[int], *, at: datetime) -> dict[str, set[int]]:
    """By runbook those of the customers where a certificate covers it now; one query."""
    found: dict[str, set[int]] = {}
    rows = holding(at=at).filter(customer__in=customers)
    for customer, runbooks in rows.values_list("customer_id", "runbooks"):
        for key in runbooks:
            found.setdefault(key, set()).add(customer)
    return found


@dataclass(frozen=True)
class Watch:
    """How many verified runs the monitor needs until it revokes, 9 times in 10, where the true rate is a multiple."""

    factor: int
    needed: int


@lru_cache(maxsize=256)
def watches(alpha: float) -> tuple[Watch, ...]:
    """For 2 and 3 times alpha; simulated by the monitor itself (step P8), which takes a moment."""
    return tuple(Watch(factor, monitor.verifications_needed(alpha=alpha, factor=factor)) for factor in (2, 3))


@dataclass(frozen=True)
class Lacking:
    """A runbook that no valid certificate covers, and what is missing.

    `needed`: error-free clusters at least; `reached`: answered draws newer than training; `obstacles`: in words.
    """

    customer: Customer
    runbook: Runbook
    alpha: float
    needed: int
    reached: int
    tickets: int
    obstacles: list[Promise | str]

    @property
    def share(self) -> float:
        """How far the draws have come."""
        return min(1.0, self.reached / self.needed)


def lacking(person: Person, *, customer: Customer | None, at: datetime) -> list[Lacking]:
    """The runbooks that articles lead to and nothing certifies, by customer; the same number of queries for any."""
    customers = [customer] if customer is not None else list(customers_of(person)[:MOST])
    articles = list(Article.objects.filter(retired_at__isnull=True).exclude(runbook=""))
    counts: dict[int, dict[str, ArticleCount]] = {}
    for row in ArticleCount.objects.filter(customer__in=customers):
        counts.setdefault(row.customer_id, {})[row.article] = row
    covered = certified([one.pk for one in customers], at=at)
    modelled = set(
        Release.objects.filter(customer__in=customers, status=Release.Status.IN_FORCE).values_list(
            "customer_id", flat=True
        )
    )
    budgets = {row.customer_id: row for row in Budget.objects.filter(customer__in=customers, year=at.year)}
    off = set(RunbookState.objects.filter(customer__in=customers, enabled=False).values_list("customer_id", "runbook"))
    found = []
    for each in customers:
        leads = led(articles, each)
        for key in sorted(key for key in leads if each.pk not in covered.get(key, ())):
            mine = [counts.get(each.pk, {}).get(label) for label in leads[key]]
            alpha, delta = alpha_for(each, RUNBOOKS[key]), monthly_delta(yearly=each.yearly_delta)
            found.append(
                Lacking(
                    customer=each,
                    runbook=RUNBOOKS[key],
                    alpha=alpha,
                    needed=sample_size(alpha=alpha, delta=delta, starts=STARTS),
                    reached=sum(one.draws for one in mine if one),
                    tickets=sum(one.tickets for one in mine if one),
                    obstacles=_obstacles(
                        each,
                        modelled=each.pk in modelled,
                        off=(each.pk, key) in off,
                        budget=budgets.get(each.pk),
                        delta=delta,
                    ),
                )
            )
    return found


def led(articles: list[Article], customer: Customer) -> dict[str, list[str]]:
    """Runbook key to the labels whose articles lead to it at this customer; its own articles replace shared ones."""
    by_label: dict[str, list[Article]] = {}
    for article in articles:
        if article.customer_id in (None, customer.pk):
            by_label.setdefault(article.translation_group, []).append(article)
    found: dict[str, list[str]] = {}
    for label, versions in by_label.items():
        own = [one for one in versions if one.customer_id is not None] or versions
        keys = {one.runbook for one in own}
        if len(keys) == 1 and (key := keys.pop()) in RUNBOOKS:
            found.setdefault(key, []).append(label)
    return found


def alpha_for(customer: Customer, runbook: Runbook) -> float:
    """The highest alpha that the customer's runs count on for a runbook of this tier."""
    return float(customer.alpha_by_tier.get(runbook.tier, ALPHA))


def _obstacles(
    customer: Customer, *, modelled: bool, off: bool, budget: Budget | None, delta: float
) -> list[Promise | str]:
    """What stands in the way besides draws, in words."""
    left = budget.limit - budget.spent if budget else customer.yearly_delta
    checks: tuple[tuple[bool, Promise], ...] = (
        (not modelled, _("No model is in force.")),
        (customer.mode == Mode.OBSERVE, _("The customer is in observe mode: nothing runs, certificate or not.")),
        (customer.holdout_share <= 0.0, _("No ticket is drawn for the sealed holdout (its share is 0).")),
        (left + 1e-12 < delta, _("This year's error budget does not pay for another attempt.")),
        (off, _("The runbook is switched off.")),
    )
    return [words for holds, words in checks if holds]


def refused(person: Person, *, customer: Customer | None) -> list[Registration]:
    """The newest attempts that earned no certificate, with their sentence."""
    rows = Registration.objects.visible_to(person).filter(certificate__isnull=True, opened_at__isnull=False)
    if customer is not None:
        rows = rows.filter(customer=customer)
    return list(rows.select_related("customer", "release").defer("plan", "release__measures").order_by("-pk")[:10])


def title(key: str) -> str:
    """A runbook's title, or its key where it is gone."""
    return RUNBOOKS[key].title if key in RUNBOOKS else key


def _state(row: Certificate, *, at: datetime) -> str:
    if row.revoked_at:
        return REVOKED
    if row.expires_at <= at:
        return EXPIRED
    if row.release.status != Release.Status.IN_FORCE:
        return OTHER_RELEASE
    return SOON if row.expires_at < at + EXPIRES_SOON else VALID
