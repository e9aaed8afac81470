"""What a runbook would do at which threshold, on rows that its model was tuned on. An estimate that proves nothing."""

from dataclasses import dataclass

import numpy as np

from classifier.bounds import upper_bound
from classifier.metrics import risk_curve
from triage.models import Article, ArticleCount, Customer, Release, Tuning
from triage.queries.certificates import led
from triage.routing.selection import WORTH_ASKING

POINTS = 80


@dataclass(frozen=True)
class Curve:
    """`points`: (threshold, coverage, wrong share, rows), from few to many; coverage of what is matched to the runbook.

    `tickets`: those of the last 30 days that were matched to it and not drawn.
    """

    release: Release
    rows: int
    tickets: int
    points: tuple[tuple[float, float, float, int], ...]


@dataclass(frozen=True)
class Choice:
    """Where a wanted alpha lies on the curve, and what a month brings. `bound`: of the wrong share, one-sided 95 %."""

    alpha: float
    threshold: float
    coverage: float
    wrong: float
    bound: float
    runs: float
    wrong_runs: float
    cost: float
    saving: float

    @property
    def net(self) -> float:
        """What is left of the saving."""
        return self.saving - self.cost


def curve(customer: Customer, runbook: str) -> Curve | None:
    """The risk-coverage curve of the release in force for one runbook; None where no rows were kept."""
    tuning = (
        Tuning.objects.filter(release__customer=customer, release__status=Release.Status.IN_FORCE)
        .select_related("release")
        .defer("release__measures")
        .first()
    )
    if tuning is None:
        return None
    articles = Article.objects.offered_to(customer).exclude(runbook="")
    labels = led(list(articles), customer).get(runbook, [])
    found = [row for label in labels for row in tuning.rows.get(label, ())]
    if not found:
        return None
    score, probability, right = np.asarray(found, dtype=np.float64).T
    score = np.where(probability >= WORTH_ASKING, score, 0.0)
    points = tuple(
        (one["threshold"], one["coverage"], one["wrong_rate"], int(one["rows"]))
        for one in risk_curve(score, right == 0, points=POINTS)
        if one["threshold"] > 0
    )
    counts = ArticleCount.objects.of(customer).filter(article__in=labels).values_list("tickets", flat=True)
    return Curve(tuning.release, len(found), sum(counts), points)


def choice(found: Curve, *, alpha: float, cost_of_wrong: float, cost_of_ticket: float) -> Choice | None:
    """The lowest threshold at which at most alpha was wrong, and what it means in a month; None where there is none."""
    below = [point for point in found.points if point[2] <= alpha]
    if not below:
        return None
    threshold, coverage, wrong, rows = max(below, key=lambda point: point[1])
    runs = found.tickets * coverage
    wrong_runs = runs * wrong
    return Choice(
        alpha=alpha,
        threshold=threshold,
        coverage=coverage,
        wrong=wrong,
        bound=upper_bound(round(wrong * rows), rows, delta=0.05),
        runs=runs,
        wrong_runs=wrong_runs,
        cost=wrong_runs * cost_of_wrong,
        saving=(runs - wrong_runs) * cost_of_ticket,
    )
