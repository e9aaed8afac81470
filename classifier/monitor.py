"""Watches a certificate in life: revokes when the promise is no longer believable, pauses when something changed.

Immutable states advanced by verdicts in draw order, one JSON object each. `Monitor` watches verified runs,
`ScopeAlarm` the in-scope scores of all tickets, which need no verdict and so speak much earlier.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np

from classifier.bounds import share, upper_bound

STEADY, PAUSED, REVOKED = "steady", "paused", "revoked"
RUN_LENGTH = 20_000
"""Verified runs between two false pauses, at least, on average (step P8)."""

MISSING_SHARE, MISSING_FROM = 0.10, 20
_MULTIPLES = (1.5, 2.0, 3.0, 5.0)


def bets(rate: float) -> tuple[float, ...]:
    """Stakes lambda for 1 + lambda (wrong - rate): the growth-optimal ones for 1.5, 2, 3 and 5 times the rate.

    For a true rate q that is lambda = (q - rate) / (rate (1 - rate)) (Kelly; Waudby-Smith and Ramdas 2010.09686).
    """
    share("rate", rate)
    likely = [min(multiple * rate, (1.0 + rate) / 2) for multiple in _MULTIPLES]
    return tuple((q - rate) / (rate * (1.0 - rate)) for q in likely)


def growth(rate: float, *, wrong: bool, weight: float) -> tuple[float, ...]:
    """By how much each bet grows at one observation; its expectation is at most 1 while P(wrong) <= rate.

    `weight` in (0, 1] is the smallest draw probability over this row's, which undoes unequal drawing: rows that
    were verified more often (reopened tickets, with probability 1) move the bets by less (step P10).
    """
    if not 0.0 < weight <= 1.0:
        raise ValueError(f"a weight must lie above 0 and not above 1, not {weight!r}")
    return tuple(1.0 + weight * stake * (wrong - rate) for stake in bets(rate))


@dataclass(frozen=True, kw_only=True)
class Monitor:
    """The monitor of one certificate; start with `Monitor(alpha=...)` and keep what `advance` returns.

    `delta` is the probability that this certificate is ever revoked although at most alpha is wrong. `mixture` and
    `detector` hold one sum a bet; n and errors count verified runs, `missing` verdicts that did not come in time.
    """

    alpha: float
    delta: float = 0.01
    run_length: float = RUN_LENGTH
    n: int = 0
    errors: int = 0
    missing: int = 0
    mixture: tuple[float, ...] = (0.0,) * len(_MULTIPLES)
    detector: tuple[float, ...] = (0.0,) * len(_MULTIPLES)
    status: str = STEADY
    reason: str = ""

    def __post_init__(self) -> None:
        share("alpha", self.alpha)
        share("delta", self.delta)
        if self.status not in (STEADY, PAUSED, REVOKED):
            raise ValueError(f"a monitor is steady, paused or revoked, not {self.status!r}")
        if not len(self.mixture) == len(self.detector) == len(_MULTIPLES):
            raise ValueError(f"a monitor keeps {len(_MULTIPLES)} sums of each kind")

    @property
    def wealth(self) -> float:
        """The evidence against "at most alpha is wrong", as a multiple of the stake; revoked at 1 / delta.

        Sum over start times k <= n of 1/(k(k+1)) times the betting product from k on, plus 1/(n+1) for the start
        times to come: a non-negative supermartingale that begins at 1 (Podkopaev and Ramdas 2110.06177; Ville).
        """
        return math.fsum(self.mixture) / len(self.mixture) + 1.0 / (self.n + 1)

    @property
    def change(self) -> float:
        """The e-detector: the sum over all start times of the betting products; paused at `run_length`.

        Shiryaev-Roberts form: its average run length is at least the threshold (Shin, Ramdas, Rinaldo 2203.03532).
        """
        return math.fsum(self.detector) / len(self.detector)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values that `from_dict` reads, to the last bit."""
        return {**asdict(self), "mixture": list(self.mixture), "detector": list(self.detector)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The state that `as_dict` wrote."""
        return cls(**{**values, "mixture": tuple(values["mixture"]), "detector": tuple(values["detector"])})


def advance(state: Monitor, *, wrong: bool | None, weight: float = 1.0) -> Monitor:
    """The state after the next verified run in draw order; None is a verdict that did not come by its deadline.

    A revoked certificate stays revoked, a paused one can still be revoked. A missing verdict moves no bet, but
    more than a tenth of them missing (of at least 20) pauses: silence must not keep a certificate alive.
    """
    if state.status == REVOKED:
        return state
    if wrong is None:
        return _settled(replace(state, missing=state.missing + 1))
    n = state.n + 1
    factors = growth(state.alpha, wrong=wrong, weight=weight)
    begun = 1.0 / (n * (n + 1))
    mixture = tuple(factor * (held + begun) for factor, held in zip(factors, state.mixture, strict=True))
    detector = state.detector
    if state.status == STEADY:
        detector = tuple(factor * (held + 1.0) for factor, held in zip(factors, detector, strict=True))
    return _settled(replace(state, n=n, errors=state.errors + wrong, mixture=mixture, detector=detector))


def resume(state: Monitor) -> Monitor:
    """A paused monitor after a person looked into it: detection begins anew, the evidence for revoking stays."""
    if state.status != PAUSED:
        raise ValueError(f"only a paused monitor can be resumed, and this one is {state.status}")
    return replace(state, status=STEADY, reason="", missing=0, detector=(0.0,) * len(_MULTIPLES))


def _settled(state: Monitor) -> Monitor:
    counts = f"{state.errors} of {state.n} verified runs were wrong where at most {100 * state.alpha:.4g} % may be"
    if state.wealth >= 1.0 / state.delta:
        return replace(state, status=REVOKED, reason=f"the promise no longer holds: {counts}")
    if state.status == PAUSED:
        return state
    if state.change >= state.run_length:
        return replace(state, status=PAUSED, reason=f"something changed of late: {counts} over the whole life")
    due = state.n + state.missing
    if due >= MISSING_FROM and state.missing > MISSING_SHARE * due:
        return replace(state, status=PAUSED, reason=f"{state.missing} of {due} verdicts are missing")
    return state


@dataclass(frozen=True, kw_only=True)
class ScopeAlarm:
    """The unlabelled alarm: too many tickets with an in-scope score below `cut`, which at most `rate` had before."""

    cut: float
    rate: float
    run_length: float = RUN_LENGTH
    n: int = 0
    low: int = 0
    detector: tuple[float, ...] = (0.0,) * len(_MULTIPLES)
    paused: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values that `from_dict` reads."""
        return {**asdict(self), "detector": list(self.detector)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The state that `as_dict` wrote."""
        return cls(**{**values, "detector": tuple(values["detector"])})


def scope_alarm(reference: Sequence[float], *, quantile: float = 0.05, run_length: float = RUN_LENGTH) -> ScopeAlarm:
    """An alarm from the in-scope scores (0..1) of the certified window; ValueError with fewer than 100 of them.

    The rate is the Clopper-Pearson bound at 1 % of the share below the cut, so that chance in the reference
    does not ring.
    """
    scores = np.asarray(reference, dtype=np.float64)
    if len(scores) < 100:
        raise ValueError(f"an alarm needs at least 100 reference scores, and {len(scores)} were given")
    cut = float(np.quantile(scores, share("quantile", quantile), method="lower"))
    below = int((scores < cut).sum())
    return ScopeAlarm(cut=cut, rate=upper_bound(below, len(scores), delta=0.01), run_length=run_length)


def observe(state: ScopeAlarm, *, in_scope: float) -> ScopeAlarm:
    """The alarm after one more ticket, automated or not; it stays paused once it rang."""
    if state.paused:
        return state
    low = in_scope < state.cut
    factors = growth(state.rate, wrong=low, weight=1.0)
    detector = tuple(factor * (held + 1.0) for factor, held in zip(factors, state.detector, strict=True))
    rings = math.fsum(detector) / len(detector) >= state.run_length
    return replace(state, n=state.n + 1, low=state.low + low, detector=detector, paused=rings)


def verifications_needed(*, alpha: float, delta: float = 0.01, factor: float = 3.0, power: float = 0.9) -> int:
    """Verified runs until a certificate whose true rate is factor x alpha from its first run on is revoked.

    The `power` quantile over 400 simulated lives with a fixed seed, so it repeats.
    """
    rate = min(factor * share("alpha", alpha), 0.99)
    if rate <= alpha:
        raise ValueError(f"the factor must be above 1, not {factor!r}")
    random = np.random.default_rng(0)
    stakes = np.asarray(bets(alpha))
    lives = 400
    sums, hit, n = np.zeros((lives, len(stakes))), np.zeros(lives, dtype=np.bool_), 0
    while hit.mean() < share("power", power):
        n += 1
        wrong = random.random(lives) < rate
        sums = (1.0 + stakes * (wrong[:, None] - alpha)) * (sums + 1.0 / (n * (n + 1)))
        hit |= sums.mean(axis=1) + 1.0 / (n + 1) >= 1.0 / delta
        sums[hit] = 0.0
    return n


def verification_share(
    *, alpha: float, runs: int, delta: float = 0.01, factor: float = 3.0, power: float = 0.9
) -> float | None:
    """The share of `runs` expected in the certificate's life to verify, so as to see factor x alpha within it.

    None when even verifying every run is too few: let a person approve each run instead (step P8).
    """
    needed = verifications_needed(alpha=alpha, delta=delta, factor=factor, power=power)
    return needed / runs if needed <= runs else None
