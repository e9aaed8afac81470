"""Exact binomial arithmetic behind certificates, and the budget of delta that they are paid from.

Nothing here knows tickets: counts, shares and probabilities in, numbers out.
"""

import math

import numpy as np
import numpy.typing as npt
from scipy import special

YEARLY_DELTA = 0.05
"""Probability, for one customer and year, that any certificate issued was false when issued (step P5)."""

_PARTS = 10**9  # budgets are kept in whole billionths, so that twelve twelfths never exceed the year


class NotCertifiable(Exception):
    """Nothing can be certified from this; the message says what is missing and what to do instead.

    `needed` is the number of units (clusters) that would have to be drawn, where one can be named.
    """

    def __init__(self, reason: str, *, needed: int | None = None) -> None:
        super().__init__(reason)
        self.needed = needed


class BudgetSpent(NotCertifiable):
    """The customer's delta for this year does not pay for another attempt."""


def share(name: str, value: float) -> float:
    """The value, when it lies strictly between 0 and 1; ValueError naming it otherwise."""
    if not 0.0 < value < 1.0:
        raise ValueError(f"{name} must lie strictly between 0 and 1, not {value!r}")
    return value


def tail(errors: int, n: int, alpha: float) -> float:
    """P(Bin(n, alpha) <= errors): the exact p-value of "the error rate is above alpha"; 1.0 for n = 0.

    Learn-then-Test, Angelopoulos et al. 2110.01052, section 2; the binomial tail is exact for 0/1 errors.
    """
    if not 0 <= errors <= n:
        raise ValueError(f"errors must lie between 0 and n = {n}, not {errors}")
    return 1.0 if n == 0 else float(special.bdtr(errors, n, share("alpha", alpha)))


def upper_bound(errors: int, n: int, *, delta: float) -> float:
    """One-sided Clopper-Pearson bound: the error rate exceeds it with probability at most delta; 1.0 for n = 0.

    Clopper and Pearson 1934: the 1 - delta quantile of Beta(errors + 1, n - errors).
    """
    if not 0 <= errors <= n:
        raise ValueError(f"errors must lie between 0 and n = {n}, not {errors}")
    share("delta", delta)
    return 1.0 if errors == n else float(special.betaincinv(errors + 1, n - errors, 1.0 - delta))


def sample_size(*, alpha: float, delta: float, starts: int = 1, errors: int = 0) -> int:
    """The fewest passing units with which `errors` wrong ones still certify alpha at level delta / starts.

    With no errors this is ln(delta / starts) / ln(1 - alpha), rounded up (Geifman and El-Yaniv, 1705.08500).
    """
    level = share("delta", delta) / _at_least_one("starts", starts)
    if errors < 0:
        raise ValueError(f"errors must not be negative, not {errors}")
    low, high = errors, max(errors + 1, math.ceil(math.log(level) / math.log1p(-share("alpha", alpha))))
    while tail(errors, high, alpha) > level:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if tail(errors, middle, alpha) <= level else (middle, high)
    return high


def log_wealth(errors: npt.ArrayLike, n: npt.ArrayLike, *, alpha: float) -> npt.NDArray[np.float64]:
    """Log of the betting process against "the error rate is at least alpha" after n units, `errors` of them wrong.

    The bet is the likelihood ratio of an error rate q < alpha against alpha, mixed over q ~ Beta(1/2, 2)
    cut off at alpha. Each such ratio is a product of 1 + lambda (alpha - wrong) with lambda >= 0, hence a
    non-negative supermartingale under the hypothesis, and so is the mixture: it ever reaches 1 / delta with
    probability at most delta (Ville 1939; Waudby-Smith and Ramdas 2010.09686; 2409.15844 for Learn-then-Test).
    Being a function of the counts alone it needs no history. Arrays broadcast; the result starts at 0 for n = 0.
    """
    a, b = 0.5, 2.0
    k, m = np.asarray(errors, dtype=np.float64), np.asarray(n, dtype=np.float64)
    share("alpha", alpha)
    with np.errstate(divide="ignore"):  # a mass below the smallest double is wealth 0, on the safe side
        posterior = np.log(special.betainc(a + k, b + m - k, alpha)) + special.betaln(a + k, b + m - k)
    prior = math.log(special.betainc(a, b, alpha)) + special.betaln(a, b)
    wealth = posterior - prior - k * math.log(alpha) - (m - k) * math.log1p(-alpha)
    return np.asarray(wealth, dtype=np.float64)


def betting_sample_size(*, alpha: float, delta: float, starts: int = 1, errors: int = 0) -> int:
    """What `sample_size` is for one look, for continuous looks: units until the wealth reaches starts / delta."""
    goal = math.log(_at_least_one("starts", starts) / share("delta", delta))
    low, high = errors, sample_size(alpha=alpha, delta=delta, starts=starts, errors=errors)
    while log_wealth(errors, high, alpha=alpha) < goal:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if log_wealth(errors, middle, alpha=alpha) >= goal else (middle, high)
    return high


def monthly_delta(*, yearly: float = YEARLY_DELTA, attempts: int = 12, groups: int = 1) -> float:
    """What one attempt may charge when `groups` of runbooks each try `attempts` times a year.

    Union bound over attempts and groups (the equal-weight case of Bretz et al. 2009), rounded down to a
    billionth so that all attempts together fit into the year.
    """
    many = _at_least_one("attempts", attempts) * _at_least_one("groups", groups)
    return math.floor(share("yearly", yearly) * _PARTS / many) / _PARTS


def charge(delta: float, *, spent: float, yearly: float = YEARLY_DELTA) -> float:
    """What is spent once an attempt at delta is paid; BudgetSpent when the year does not hold it.

    Every attempt is charged, failed or not (step P5): the caller writes the result by a conditional update.
    """
    after = _parts(spent) + math.ceil(share("delta", delta) * _PARTS - 1e-3)
    if after > _parts(yearly):
        left = max(0, _parts(yearly) - _parts(spent)) / _PARTS
        raise BudgetSpent(
            f"this attempt costs delta {delta:g}, but only {left:g} of this year's {yearly:g} is left: "
            "register a smaller delta, or wait for the next year; until then a person approves each run"
        )
    return after / _PARTS


def _parts(value: float) -> int:
    if not 0.0 <= value < 1.0:
        raise ValueError(f"a budget must lie between 0 and 1, not {value!r}")
    return round(value * _PARTS)


def _at_least_one(name: str, value: int) -> int:
    if value < 1:
        raise ValueError(f"{name} must be at least 1, not {value}")
    return value
