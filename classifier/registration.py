"""What is fixed before any label is opened: the frozen gate, and the registration of one attempt to certify it.

`plan` chooses thresholds and starts from unlabelled scores only, and refuses what cannot succeed.
"""

import hashlib
import json
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from classifier.bounds import NotCertifiable, betting_sample_size, sample_size, share

BASES = ("draws", "history")


@dataclass(frozen=True, kw_only=True)
class Gate:
    """All that decides whether a runbook is chosen and with what, but for the threshold that a certificate sets.

    Each part is a digest or version in words; `runbooks` are (key, selection digest) pairs. A changed action of a
    runbook is no part of it.
    """

    text: str
    model: str
    calibrator: str
    evidence: str
    extractor: str
    runbooks: tuple[tuple[str, str], ...]

    @classmethod
    def from_dict(cls, parts: Mapping[str, Any]) -> Self:
        """From {text, model, calibrator, evidence, extractor: str, runbooks: {key: selection digest}}."""
        runbooks = tuple(sorted((str(key), str(digest)) for key, digest in dict(parts["runbooks"]).items()))
        return cls(runbooks=runbooks, **{name: str(part) for name, part in parts.items() if name != "runbooks"})

    def as_dict(self) -> dict[str, Any]:
        """The mapping that `from_dict` reads."""
        return {**asdict(self), "runbooks": dict(self.runbooks)}

    @property
    def hash(self) -> str:
        """sha256 (hex) of the canonical JSON of all parts: a change of any of them is another gate."""
        return digest(self.as_dict())


def digest(value: Mapping[str, Any]) -> str:
    """sha256 (hex) of the canonical JSON of a mapping."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Registration:
    """What is fixed before any label is opened (step P3); `plan` makes it.

    `grid` are thresholds from high to low, `starts` indexes into it. `n` is the number of units of the one look,
    None for continuous looks. `draw_floor` is the smallest draw probability that counts when they differ (step P7).
    """

    gate: str
    runbooks: tuple[str, ...]
    alpha: float
    delta: float
    grid: tuple[float, ...]
    starts: tuple[int, ...]
    basis: str = "draws"
    n: int | None = None
    draw_floor: float | None = None

    def __post_init__(self) -> None:
        share("alpha", self.alpha)
        share("delta", self.delta)
        if self.basis not in BASES:
            raise ValueError(f"basis must be one of {', '.join(BASES)}, not {self.basis!r}")
        if not self.grid or list(self.grid) != sorted(set(self.grid), reverse=True):
            raise ValueError("the grid must hold thresholds from high to low, each once")
        if not (self.grid[-1] > 0.0 and self.grid[0] <= 1.0):
            raise ValueError("thresholds must lie above 0 and not above 1")
        if not self.starts or list(self.starts) != sorted(set(self.starts)):
            raise ValueError("the starts must be rising indexes into the grid, each once")
        if self.starts[0] < 0 or self.starts[-1] >= len(self.grid):
            raise ValueError("a start lies outside the grid")
        if self.n is not None and self.n < 1:
            raise ValueError("one look needs at least one unit")
        if self.draw_floor is not None and not 0.0 < self.draw_floor <= 1.0:
            raise ValueError("the draw floor must lie above 0 and not above 1")

    @property
    def level(self) -> float:
        """What each start brings: delta split evenly over the starts (Bonferroni)."""
        return self.delta / len(self.starts)

    @property
    def hash(self) -> str:
        """sha256 (hex) of everything registered."""
        return digest(self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values that `from_dict` reads."""
        plain = asdict(self)
        return {**plain, **{name: list(plain[name]) for name in ("runbooks", "grid", "starts")}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The registration that `as_dict` wrote; ValueError when a part is missing or unknown."""
        names = {field.name for field in fields(cls)}
        if odd := names.symmetric_difference(values):
            raise ValueError(f"not a registration: {', '.join(sorted(odd))} missing or unknown")
        lists = {name: tuple(values[name]) for name in ("runbooks", "grid", "starts")}
        return cls(**{**values, **lists})


def plan(
    scores: Sequence[float],
    *,
    gate: str,
    runbooks: Sequence[str],
    alpha: float,
    delta: float,
    clusters: Sequence[Hashable] | None = None,
    n: int | None = None,
    continuous: bool = False,
    starts: int = 3,
    steps: int = 60,
    basis: str = "draws",
    draw_floor: float | None = None,
) -> Registration:
    """Thresholds and starts from unlabelled scores in 0..1, or NotCertifiable naming the sample that is needed.

    Without `n` the scores are those of the very units to be looked at, once: the first start lies where exactly
    the error-free sample size of them passes, the others further down, evenly on a logarithmic scale of how many
    pass. With `n` they are other traffic and stand for n units to come (expected by the deadline when
    `continuous`); the first start then leaves room for two standard deviations. Three starts certify as much as
    five where rows are plenty and more where they are few; one start fails on a single wrong row at the top.
    """
    if continuous and n is None:
        raise ValueError("continuous looks need n, the units expected by the deadline")
    size = (betting_sample_size if continuous else sample_size)(alpha=alpha, delta=delta, starts=starts)
    needed = size if n is None else size + math.ceil(2 * math.sqrt(size))
    best = _best(scores, clusters)
    looked = len(best) if n is None else n
    first = _first_start(best, looked=looked, needed=needed, alpha=alpha)
    grid, begin = _thresholds(best, first=first, starts=starts, steps=steps)
    return Registration(
        gate=gate,
        runbooks=tuple(sorted(runbooks)),
        alpha=alpha,
        delta=delta,
        grid=grid,
        starts=begin,
        basis=basis,
        n=None if continuous else looked,
        draw_floor=draw_floor,
    )


def draw_share(*, needed: int, clusters_a_day: float, days: int = 90) -> float:
    """The share of clusters to draw so that `needed` of them are there within `days` (step P1).

    NotCertifiable when even drawing every cluster brings too few.
    """
    expected = clusters_a_day * days
    if needed > expected:
        raise NotCertifiable(
            f"{needed} clusters are needed within {days} days and {expected:.0f} are expected: pool runbooks, allow a "
            "larger share of wrong runs, or let a person approve each run",
            needed=needed,
        )
    return needed / expected


def rounded(scores: Sequence[float]) -> npt.NDArray[np.float64]:
    """Scores as they are stored and compared: 6 places; ValueError when one is not in 0..1."""
    values: npt.NDArray[np.float64] = np.asarray(scores, dtype=np.float64).round(6)
    if len(values) and not (values.min() >= 0.0 and values.max() <= 1.0):  # NaN fails both
        raise ValueError("scores must lie between 0 and 1")
    return values


def _best(scores: Sequence[float], clusters: Sequence[Hashable] | None) -> npt.NDArray[np.float64]:
    """The highest score of each cluster."""
    values = rounded(scores)
    if clusters is None:
        return values
    best: dict[Hashable, float] = {}
    for cluster, value in zip(clusters, values.tolist(), strict=True):
        best[cluster] = max(value, best.get(cluster, 0.0))
    return np.fromiter(best.values(), dtype=np.float64, count=len(best))


def _first_start(best: npt.NDArray[np.float64], *, looked: int, needed: int, alpha: float) -> int:
    """How many planning units pass the first start, so that `needed` of those looked at do; or NotCertifiable."""
    passing = int((best > 0.0).sum())
    scale = len(best) / looked if looked else 0.0  # planning units for each unit of the look
    first = max(1, math.ceil(needed * scale))
    if first > passing:
        raise NotCertifiable(_refusal(alpha, needed, looked, passing, len(best)), needed=_total(needed, best))
    return first


def _thresholds(
    best: npt.NDArray[np.float64], *, first: int, starts: int, steps: int
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """The grid from high to low, and which of it are starts: the best `first` scores pass the first, all the last.

    Each threshold lies just above a score that does not pass it. Given that score, those above are independent
    draws from what passes, so testing at the units' own scores keeps the tail exact at each threshold; the
    sequence as a whole stays exact while R(t) does not fall as t falls. Scores of other traffic need no such
    condition.
    """
    ranked = np.sort(best[best > 0.0])[::-1]
    last = len(ranked)
    begin = [round(first * (last / first) ** (step / starts)) for step in range(starts)]
    between = [round(first * (last / first) ** (step / steps)) for step in range(steps + 1)]
    grid = sorted({_above(ranked, rank) for rank in (*begin, *between)}, reverse=True)
    return tuple(grid), tuple(sorted({grid.index(_above(ranked, rank)) for rank in begin}))


def _above(ranked: npt.NDArray[np.float64], rank: int) -> float:
    """The lowest threshold that the highest `rank` scores pass, those tied with the last of them included."""
    below = ranked[ranked < ranked[rank - 1]]
    return round(float(below[0]) + 1e-6, 6) if len(below) else float(ranked[-1])


def _total(needed: int, best: npt.NDArray[np.float64]) -> int | None:
    passing = int((best > 0.0).sum())
    return math.ceil(needed * len(best) / passing) if passing else None


def _refusal(alpha: float, needed: int, looked: int, passing: int, planned: int) -> str:
    expected = passing * looked // planned if planned else 0
    return (
        f"certifying {alpha:.3g} needs at least {needed} clusters with a score above 0, all of them right, but only "
        f"{expected} of {looked} can be expected: draw more, pool runbooks, allow a larger share of wrong runs, or "
        "let a person approve each run"
    )
