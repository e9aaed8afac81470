"""Releases as people read them: figures of their training, how they differ, and what a change of them brings."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from django.db.models import Case, Count, Q, QuerySet, When

from classifier.metrics import accuracy_interval, calibration_error
from classifier.metrics import reliability as bins_of
from triage.models import Article, Certificate, Comparison, Customer, Job, Person, Release, Ticket, Tuning
from triage.queries import blind
from triage.queries.customers import customers_of

S = Release.Status
MOST = 100


def releases(person: Person, *, customer: Customer | None) -> QuerySet[Release]:
    """The newest releases first, with how many certificates each has earned that nobody revoked (`held`)."""
    rows: QuerySet[Release] = Release.objects.visible_to(person)
    if customer is not None:
        rows = rows.filter(customer=customer)
    held = Count("certificate", filter=Q(certificate__revoked_at__isnull=True))
    return rows.select_related("customer").defer("measures").annotate(held=held).order_by("-created_at")[:MOST]


def jobs(person: Person, *, customer: Customer | None) -> QuerySet[Job]:
    """Trainings and comparisons, newest first: waiting, under way, and the last that ended."""
    rows = Job.objects.filter(kind__in=["train", "compare"], customer__in=customers_of(person))
    if customer is not None:
        rows = rows.filter(customer=customer)
    return rows.select_related("customer").order_by("-changed_at")[:10]


@dataclass(frozen=True)
class Calibration:
    """Out-of-fold rows of a release: how many, how many right, calibration error, and bins for the diagram."""

    rows: int
    accuracy: float
    error: float
    bins: list[dict[str, float]]
    ends: list[tuple[float, float]]


def calibration(tuning: Tuning | None) -> Calibration | None:
    """How well probabilities meet what came true, on rows that the models behind them had not seen."""
    rows = [row for each in tuning.rows.values() for row in each] if tuning else []
    if not rows:
        return None
    _scores, probability, right = np.asarray(rows, dtype=np.float64).T
    bins = bins_of(probability, right.astype(bool))
    ends = [accuracy_interval(round(one["accuracy"] * one["count"]), int(one["count"])) for one in bins]
    error = calibration_error(probability, right.astype(bool))
    return Calibration(len(rows), float(right.mean()), error, bins, ends)


@dataclass(frozen=True)
class Change:
    """What a release's coming into force brings: certificates that begin to count, and those that no longer do."""

    leaves: Release | None
    rises: list[Certificate]
    falls: list[Certificate]


def change(release: Release, *, at: datetime) -> Change:
    """Certificates belong to the release that earned them, so they come and go with it (step P6)."""
    leaves = (
        Release.objects.of(release.customer).filter(status=S.IN_FORCE).exclude(pk=release.pk).defer("measures").first()
    )
    held = Certificate.objects.of(release.customer).filter(revoked_at__isnull=True, expires_at__gt=at)
    rows = list(held.filter(release__in=[one for one in (release, leaves) if one]).order_by("-issued_at"))
    rises = [row for row in rows if row.release_id == release.pk]
    return Change(leaves, rises, [row for row in rows if row.release_id != release.pk])


def earlier(release: Release) -> Release | None:
    """The release that rolling back from this one, which is in force, leads to."""
    rows = Release.objects.of(release.customer).filter(status=S.RETIRED, in_force_at__isnull=False)
    found: Release | None = rows.order_by("-in_force_at").defer("measures").first()
    return found


def rivals(release: Release) -> QuerySet[Release]:
    """What this release can be compared with: the customer's others, the one in force first, then the newest."""
    rows: QuerySet[Release] = Release.objects.of(release.customer).exclude(pk=release.pk).defer("measures")
    first = Case(When(status=S.IN_FORCE, then=0), default=1)
    return rows.order_by(first, "-created_at")[:20]


@dataclass(frozen=True)
class Otherwise:
    """One kind of disagreement: the articles' labels and titles, how often, and tickets to look at."""

    old: str
    new: str
    old_title: str
    new_title: str
    count: int
    tickets: list[Ticket]


def disagreements(comparison: Comparison, *, person: Person, at: datetime) -> list[Otherwise]:
    """The comparison's table, most frequent first. Tickets sealed since then are left out; three queries."""
    rows: list[dict[str, Any]] = comparison.found
    labels = {row[name] for row in rows for name in ("old", "new")} - {""}
    titles = dict(
        Article.objects.offered_to(comparison.customer)
        .filter(translation_group__in=labels)
        .values_list("translation_group", "title")
    )
    keys = [uuid for row in rows for uuid in row["tickets"]]
    visible = {str(one.uuid): one for one in Ticket.objects.visible_to(person).filter(uuid__in=keys)}
    hidden = blind.sealed(visible.values(), at=at)
    return [
        Otherwise(
            row["old"],
            row["new"],
            titles.get(row["old"], ""),
            titles.get(row["new"], ""),
            row["count"],
            [visible[key] for key in row["tickets"] if key in visible and visible[key].pk not in hidden],
        )
        for row in rows
    ]
