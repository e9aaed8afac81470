"""Certificates: "with confidence 1 - delta, at most alpha of what this gate runs is wrong", from draws nobody chose.

A registration fixes everything before any label is opened, and one look (or continuous looks) at the registered
units decides. Learn-then-Test (Angelopoulos et al. 2110.01052; selective classification: Geifman and El-Yaniv
1705.08500) by fixed sequences downward from several starts. Each start brings delta / starts, and a sequence that
reaches the next start adds its own level to it (the fallback procedure: Wiens and Dmitrienko 2005, a chain in the
graphs of Bretz et al. 2009). That is never worse than separate sequences and as sure: the first false promise in
the sequence is tested at no more than the levels up to it, the next one, if that was not made, at those after it.

The unit is a cluster (storm key and day), since 600 alerts of one cause are one observation. A cluster passes a
threshold when any of its members does, and is wrong when any member that passes is wrong. Clusters are drawn
independently, so for a threshold fixed beforehand the wrong ones among those that pass are exactly binomial.
The alternative, one representative by hash, is valid for a random member only: it would count a storm with one
wrong run in ten as a tenth. What runs is the cluster, so the cluster is what must be right.
"""

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from classifier.bounds import NotCertifiable, log_wealth, monthly_delta, sample_size, tail, upper_bound
from classifier.registration import Gate, Registration, plan, rounded

__all__ = [
    "BREAKS",
    "Gate",
    "NotCertifiable",
    "Registration",
    "Tried",
    "Verdict",
    "continuous_look",
    "monthly_delta",
    "one_look",
    "plan",
    "sample_size",
    "upper_bound",
]

BREAKS = (
    "a customer, source or language that was not in the sampled window",
    "storms whose tickets were not clustered, so that one cause was counted many times",
    "people who write tickets in order to make the gate run",
    "drift within the window or since it ended",
    "errors of the reviewers whose verdicts were counted",
    "reading it as a promise about one ticket: it is about the share of all that run",
)
"""What breaks a certificate; printed on each (step P11)."""


@dataclass(frozen=True)
class Tried:
    """One threshold that was tested: n units passed, `errors` of them wrong; the hypothesis "more than alpha of what
    it runs is wrong" is rejected where p is at most the level.
    """

    threshold: float
    n: int
    errors: int
    p: float
    level: float

    @property
    def rejected(self) -> bool:
        """Whether the promise may be made at this threshold."""
        return self.p <= self.level


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a look found. Without a certificate, n, errors and bound are those of the threshold that came nearest."""

    certified: bool
    alpha: float
    delta: float
    threshold: float | None
    n: int
    errors: int
    upper_bound: float
    tried: tuple[Tried, ...]
    sentence: str
    breaks: tuple[str, ...] = BREAKS

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        plain = asdict(self)
        return {**plain, "tried": list(plain["tried"]), "breaks": list(self.breaks)}


class Units(NamedTuple):
    """One entry a cluster, in the order of first appearance: its highest score, and its highest wrong one (or -1)."""

    best: npt.NDArray[np.float64]
    wrong: npt.NDArray[np.float64]


def units(*, scores: Sequence[float], wrong: Sequence[bool | None], clusters: Sequence[Hashable]) -> Units:
    """Rows of one length each, gathered by cluster; a missing verdict (None) counts as wrong (step P1).

    Scores are rounded to 6 places, as everywhere before they are compared.
    """
    if not len(scores) == len(wrong) == len(clusters):
        raise ValueError(f"{len(scores)} scores, {len(wrong)} verdicts and {len(clusters)} clusters do not pair up")
    values = rounded(scores)
    number = {cluster: place for place, cluster in enumerate(dict.fromkeys(clusters))}
    place = np.fromiter((number[cluster] for cluster in clusters), dtype=np.intp, count=len(clusters))
    bad = np.fromiter((verdict is not False for verdict in wrong), dtype=np.bool_, count=len(wrong))
    best, worst = np.full(len(number), -1.0), np.full(len(number), -1.0)
    np.maximum.at(best, place, values)
    np.maximum.at(worst, place[bad], values[bad])
    return Units(best, worst)


def one_look(
    registration: Registration,
    *,
    scores: Sequence[float],
    wrong: Sequence[bool | None],
    clusters: Sequence[Hashable],
) -> Verdict:
    """The verdict of one look at exactly the registered number of units, by exact binomial tails (step P4)."""
    if registration.n is None:
        raise ValueError("this registration is for continuous looks: use continuous_look")
    seen = units(scores=scores, wrong=wrong, clusters=clusters)
    if len(seen.best) != registration.n:
        raise ValueError(
            f"registered is one look at {registration.n} units, but {len(seen.best)} were given: "
            "open exactly the first registered number in draw order, an unanswered one as None"
        )

    def test(threshold: float) -> tuple[int, int, float]:
        n, errors = int((seen.best >= threshold).sum()), int((seen.wrong >= threshold).sum())
        return n, errors, tail(errors, n, registration.alpha)

    tried = _walk(registration, test)
    chosen = _chosen(tried)
    return _verdict(registration, tried, upper_bound(chosen.errors, chosen.n, delta=chosen.level))


def continuous_look(
    registration: Registration,
    *,
    scores: Sequence[float],
    wrong: Sequence[bool | None],
    clusters: Sequence[Hashable],
) -> Verdict:
    """The verdict so far, rows in draw order: it may be asked after every unit, and once certified stays so.

    A threshold is rejected when its betting process ever reached one over its level (`bounds.log_wealth`); p is one
    over the highest wealth so far. n and errors are today's counts.
    """
    if registration.n is not None:
        raise ValueError("this registration is for one look: use one_look")
    seen = units(scores=scores, wrong=wrong, clusters=clusters)

    def counts(threshold: float) -> tuple[npt.NDArray[np.int_], npt.NDArray[np.int_]]:
        passing = seen.best >= threshold
        bad = (seen.wrong >= threshold)[passing]
        return np.arange(len(bad) + 1), np.concatenate([[0], np.cumsum(bad)])

    def p_value(threshold: float, alpha: float) -> float:
        n, errors = counts(threshold)
        return math.exp(-float(log_wealth(errors, n, alpha=alpha).max()))

    def test(threshold: float) -> tuple[int, int, float]:
        n, errors = counts(threshold)
        return int(n[-1]), int(errors[-1]), p_value(threshold, registration.alpha)

    tried = _walk(registration, test)
    chosen = _chosen(tried)  # the bound is where the same process would stop rejecting
    low, high = (0.0, registration.alpha) if chosen.rejected else (registration.alpha, 1.0)
    while high - low > 1e-6:
        middle = (low + high) / 2
        rejects = p_value(chosen.threshold, middle) <= chosen.level
        low, high = (low, middle) if rejects else (middle, high)
    return _verdict(registration, tried, high)


def _walk(registration: Registration, test: Callable[[float], tuple[int, int, float]]) -> tuple[Tried, ...]:
    """The thresholds that have a level, from high to low: their start's, and what a rejected neighbour hands down."""
    tried: list[Tried] = []
    level = 0.0
    for place, threshold in enumerate(registration.grid):
        level += registration.level if place in registration.starts else 0.0
        if level > 0.0:
            tried.append(Tried(threshold, *test(threshold), level))
            level = level if tried[-1].rejected else 0.0
    return tuple(tried)


def _chosen(tried: Sequence[Tried]) -> Tried:
    rejected = [one for one in tried if one.rejected]
    return rejected[-1] if rejected else min(tried, key=lambda one: one.p)


def _verdict(registration: Registration, tried: tuple[Tried, ...], bound: float) -> Verdict:
    chosen = _chosen(tried)
    return Verdict(
        certified=chosen.rejected,
        alpha=registration.alpha,
        delta=registration.delta,
        threshold=chosen.threshold if chosen.rejected else None,
        n=chosen.n,
        errors=chosen.errors,
        upper_bound=bound,
        tried=tried,
        sentence=_sentence(registration, chosen, bound),
    )


def _sentence(registration: Registration, chosen: Tried, bound: float) -> str:
    alpha, confidence = f"{100 * registration.alpha:.4g} %", f"{100 * (1 - registration.delta):.4g} %"
    counts = f"{chosen.errors} of the {chosen.n} units at or above {chosen.threshold:.6f} were wrong"
    if not chosen.rejected:
        return (
            f"Not certified: at the threshold that came nearest, {counts}, so that up to {100 * bound:.2f} % may be "
            f"wrong, and at most {alpha} is asked for."
        )
    window = "the imported history" if registration.basis == "history" else "the window that was sampled"
    return (
        f"With confidence {confidence}, at most {alpha} of what this gate runs is wrong: it held in {window} "
        f"({counts}; upper bound {100 * bound:.2f} %). Today's promise is the monitor, the expiry and the renewal."
    )
