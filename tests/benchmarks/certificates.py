"""Do certificates keep their promise? Draws samples from pools whose truth is known, and counts the broken ones.

`python -m tests.benchmarks.certificates --draws 1000 --json F` runs the whole; exit 1 when a count lies above the
99 % binomial quantile of its delta. The tests run the same functions with fewer draws.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from classifier.bounds import NotCertifiable, monthly_delta
from classifier.certificate import Verdict, continuous_look, one_look, plan
from classifier.draws import DrawnRow, look
from classifier.monitor import REVOKED, Monitor, advance
from tests.benchmarks.written import write

Random = np.random.Generator
Numbers = npt.NDArray[np.float64]
GATE = "0" * 64


class Pool(NamedTuple):
    """A population that is its own truth: for each cluster its members' scores and whether each would be wrong."""

    scores: list[Numbers]
    wrong: list[npt.NDArray[np.bool_]]
    best: Numbers
    worst: Numbers

    def risk(self, threshold: float) -> float:
        """The share of wrong clusters among all that pass."""
        passing = int((self.best >= threshold).sum())
        return float((self.worst >= threshold).sum() / passing) if passing else 0.0


def pool(scores: list[Numbers], wrong: list[npt.NDArray[np.bool_]]) -> Pool:
    scores = [members.round(6) for members in scores]
    best = np.array([members.max() for members in scores])
    worst = np.array([members[bad].max() if bad.any() else -1.0 for members, bad in zip(scores, wrong, strict=True)])
    return Pool(scores, wrong, best, worst)


def single(random: Random, scores: Numbers, chance: Numbers) -> Pool:
    wrong = random.random(len(scores)) < chance
    return pool(list(scores[:, None]), list(wrong[:, None]))


def smooth(random: Random, alpha: float, size: int) -> Pool:
    """The error rate rises steadily as the score falls, crossing alpha somewhere in the middle."""
    scores = random.beta(4, 1.5, size)
    return single(random, scores, np.clip(alpha * 6 * (1 - scores) ** 1.2, 0, 1))


def mislabelled(random: Random, alpha: float, size: int) -> Pool:
    """Wrong labels at the very top: the highest scores are worse than the middle."""
    scores = random.beta(4, 1.5, size)
    chance = np.where(scores > 0.97, 2 * alpha, np.where(scores > 0.75, 0.5 * alpha, 3 * alpha))
    return single(random, scores, np.clip(chance, 0, 1))


def plateau(random: Random, alpha: float, size: int) -> Pool:
    """Just above alpha at every threshold: every certificate is false."""
    return single(random, random.random(size), np.full(size, 1.02 * alpha))


def outsiders(random: Random, alpha: float, size: int) -> Pool:
    """18 % of the tickets have no article at all and spread over all scores."""
    outside = random.random(size) < 0.18
    scores = np.where(outside, random.beta(1.2, 3, size), random.beta(6, 1.2, size))
    return single(random, scores, np.where(outside, 1.0, np.clip(alpha * (1 - scores), 0, 1)))


def saw(random: Random, alpha: float, size: int) -> Pool:
    """The error rate goes up and down with the score."""
    scores = random.random(size)
    return single(random, scores, alpha * (1.0 + 0.9 * np.sin(40 * scores)))


def tied(random: Random, alpha: float, size: int) -> Pool:
    """Only twenty different scores."""
    scores = (random.beta(4, 1.5, size) * 20).round() / 20
    return single(random, scores, np.clip(alpha * 6 * (1 - scores) ** 1.2, 0, 1))


def storms(random: Random, alpha: float, size: int) -> Pool:
    """Clusters of very unequal size whose members share their cause, their rough score and mostly their error."""
    sizes = np.minimum(random.zipf(1.8, size), 200)
    centre = random.beta(4, 1.5, size)
    bad = random.random(size) < np.clip(alpha * 5 * (1 - centre) ** 1.2, 0, 1)
    scores = [np.clip(c + random.normal(0, 0.03, n), 0, 1) for c, n in zip(centre, sizes, strict=True)]
    wrong = [(random.random(n) < 0.9) if b else np.zeros(n, np.bool_) for b, n in zip(bad, sizes, strict=True)]
    return pool(scores, wrong)


POOLS: dict[str, Callable[[Random, float, int], Pool]] = {
    f.__name__: f for f in (smooth, mislabelled, plateau, outsiders, saw, tied, storms)
}


class Sample(NamedTuple):
    """Rows drawn from a pool, by cluster and with replacement: each drawn cluster is a unit of its own."""

    scores: list[float]
    wrong: list[bool]
    clusters: list[int]


def sample(random: Random, source: Pool, n: int) -> Sample:
    rows = Sample([], [], [])
    for unit, place in enumerate(random.integers(0, len(source.best), n).tolist()):
        rows.scores.extend(source.scores[place].tolist())
        rows.wrong.extend(source.wrong[place].tolist())
        rows.clusters.extend([unit] * len(source.scores[place]))
    return rows


def own(random: Random, source: Pool, rows: Sample, *, alpha: float, delta: float) -> Verdict:
    """Planned on the unlabelled scores of the very units that are looked at."""
    registration = plan(rows.scores, clusters=rows.clusters, gate=GATE, runbooks=["r"], alpha=alpha, delta=delta)
    return one_look(registration, scores=rows.scores, wrong=rows.wrong, clusters=rows.clusters)


def other(random: Random, source: Pool, rows: Sample, *, alpha: float, delta: float) -> Verdict:
    """Planned on other, unlabelled traffic."""
    n = rows.clusters[-1] + 1
    traffic = sample(random, source, n)
    registration = plan(
        traffic.scores, clusters=traffic.clusters, gate=GATE, runbooks=["r"], alpha=alpha, delta=delta, n=n
    )
    return one_look(registration, scores=rows.scores, wrong=rows.wrong, clusters=rows.clusters)


def daily(random: Random, source: Pool, rows: Sample, *, alpha: float, delta: float) -> Verdict:
    """Continuous looks after every unit: what would ever have been certified."""
    n = rows.clusters[-1] + 1
    traffic = sample(random, source, n)
    registration = plan(
        traffic.scores, clusters=traffic.clusters, gate=GATE, runbooks=["r"], alpha=alpha, delta=delta, n=n,
        continuous=True, steps=25,
    )  # fmt: skip
    return continuous_look(registration, scores=rows.scores, wrong=rows.wrong, clusters=rows.clusters)


def naive(random: Random, source: Pool, rows: Sample, *, alpha: float, delta: float) -> Verdict:
    """No procedure at all: the lowest threshold whose share of wrong rows in the sample is at most alpha."""
    registration = plan(rows.scores, clusters=rows.clusters, gate=GATE, runbooks=["r"], alpha=alpha, delta=delta)
    verdict = one_look(registration, scores=rows.scores, wrong=rows.wrong, clusters=rows.clusters)
    scores, wrong = np.array(rows.scores), np.array(rows.wrong)
    kept = [t for t in registration.grid if wrong[scores >= t].mean() <= alpha]
    return Verdict(**{**vars(verdict), "certified": bool(kept), "threshold": kept[-1] if kept else None})


PROCEDURES = {f.__name__: f for f in (own, other, daily)}


def limit(draws: int, delta: float) -> int:
    """The 99 % binomial quantile: more broken promises than this are no accident."""
    return int(stats.binom.ppf(0.99, draws, delta))


def counted(
    source: Pool, *, random: Random, procedure: Callable[..., Verdict], alpha: float, delta: float, n: int, draws: int
) -> dict[str, Any]:
    """How many of `draws` samples of n units led to a certificate that the pool disproves."""
    certified, broken, coverage = 0, 0, 0.0
    for _ in range(draws):
        rows = sample(random, source, n)
        try:
            verdict = procedure(random, source, rows, alpha=alpha, delta=delta)
        except NotCertifiable:
            continue
        if verdict.threshold is not None:
            certified += 1
            coverage += float((source.best >= verdict.threshold).mean())
            broken += source.risk(verdict.threshold) > alpha
    return {
        "procedure": procedure.__name__, "alpha": alpha, "delta": delta, "n": n, "draws": draws,
        "certified": certified, "coverage": round(coverage / max(certified, 1), 3),
        "broken": broken, "limit": limit(draws, delta),
    }  # fmt: skip


def broken_promises(
    *, name: str, procedure: Callable[..., Verdict], alpha: float, delta: float, n: int, draws: int, seed: int = 1
) -> dict[str, Any]:
    """What `counted` finds on one of the simulated pools."""
    random = np.random.default_rng([seed, sum(map(ord, name)), round(alpha * 1e4)])
    source = POOLS[name](random, alpha, 20_000)
    outcome = counted(source, random=random, procedure=procedure, alpha=alpha, delta=delta, n=n, draws=draws)
    return {"pool": name, **outcome}


# One customer's year: three groups of runbooks, a new model and so a new attempt each month.
GROUPS, MONTHS, YEARLY, ALPHA, UNITS = 3, 12, 0.05, 0.10, 300


def year(random: Random, pools: list[Pool]) -> tuple[int, int]:
    """(certificates issued, certificates false when issued) in one simulated customer-year."""
    issued = false = 0
    delta = monthly_delta(yearly=YEARLY, attempts=MONTHS, groups=GROUPS)
    for month in range(MONTHS):
        for group in range(GROUPS):
            source = pools[int(random.integers(len(pools)))]
            occasion = f"{month}/{group}"
            for verdict in _attempt(random, source, delta, group=group, occasion=occasion):
                if verdict.threshold is not None:
                    issued += 1
                    false += source.risk(verdict.threshold) > ALPHA
                    break
    return issued, false


def _attempt(random: Random, source: Pool, delta: float, *, group: int, occasion: str) -> Iterator[Verdict]:
    """The verdicts of one attempt on unequally drawn rows: eight looks on the way, one, or one with unread rows."""
    traffic = sample(random, source, UNITS)
    try:
        registration = plan(
            traffic.scores, clusters=traffic.clusters, gate=GATE, runbooks=[occasion], alpha=ALPHA, delta=delta,
            n=UNITS, continuous=group == 0, steps=15, starts=3, draw_floor=0.25,
        )  # fmt: skip
    except NotCertifiable:
        return
    rows = _drawn(random, source, unread=0.03 if group == 2 else 0.0)
    if group > 0:
        yield look(registration, rows)
        return
    for day in range(1, 9):
        yield look(registration, rows[: len(rows) * day // 8])


def _drawn(random: Random, source: Pool, *, unread: float) -> list[DrawnRow]:
    """Clusters in production: those with high scores run and so are drawn less often; some are never answered."""
    rows: list[DrawnRow] = []
    for unit, place in enumerate(random.integers(0, len(source.best), 6 * UNITS).tolist()):
        probability = 0.25 if source.best[place] > 0.8 else 0.75
        if random.random() >= probability:
            continue
        silent = random.random() < unread
        rows.extend(
            DrawnRow(cluster=f"unit {unit}", score=score, wrong=None if silent else bad, probability=probability)
            for score, bad in zip(source.scores[place].tolist(), source.wrong[place].tolist(), strict=True)
        )
    return rows


def years(*, count: int, seed: int = 2) -> dict[str, Any]:
    """How many of `count` customer-years held any certificate that was false when issued."""
    random = np.random.default_rng(seed)
    shapes = (smooth, plateau, storms, saw)
    pools = [shape(random, ALPHA * factor, 5_000) for shape in shapes for factor in (0.3, 1.0)]
    outcomes = [year(random, pools) for _ in range(count)]
    return {
        "years": count, "delta": YEARLY, "issued": sum(issued for issued, _ in outcomes),
        "broken": sum(false > 0 for _, false in outcomes), "limit": limit(count, YEARLY),
    }  # fmt: skip


def lives(*, count: int, runs: int = 1_000, alpha: float = 0.05, delta: float = 0.01, seed: int = 3) -> dict[str, Any]:
    """How many of `count` certificates with a true rate of exactly alpha a monitor ever revokes."""
    random = np.random.default_rng(seed)
    revoked = 0
    for _ in range(count):
        state = Monitor(alpha=alpha, delta=delta)
        for wrong in (random.random(runs) < alpha).tolist():
            state = advance(state, wrong=wrong)
        revoked += state.status == REVOKED
    return {"lives": count, "runs": runs, "delta": delta, "broken": revoked, "limit": limit(count, delta)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--json", metavar="F", help="where to write the figures; - for standard output")
    arguments = parser.parse_args()
    began, results = time.monotonic(), []
    for procedure in PROCEDURES.values():
        for name in POOLS:
            for alpha, n in ((0.10, 400), (0.05, 800), (0.02, 2000)):
                draws = arguments.draws if procedure is not daily else max(1, arguments.draws // 5)
                results.append(
                    broken_promises(name=name, procedure=procedure, alpha=alpha, delta=0.05, n=n, draws=draws)
                )
                print(json.dumps(results[-1]), file=sys.stderr, flush=True)
    results += [years(count=arguments.draws), lives(count=arguments.draws)]
    print(*map(json.dumps, results[-2:]), sep="\n", file=sys.stderr)
    kept = all(result["broken"] <= result["limit"] for result in results)
    report = {"kept": kept, "seconds": round(time.monotonic() - began, 1), "results": results}
    write(report, arguments.json)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
