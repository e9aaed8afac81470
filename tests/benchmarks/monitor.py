"""How soon does the monitor notice that a certificate no longer holds, and how often does it cry wolf?

    python -m tests.benchmarks.monitor --json F [--streams 300] [--lives 1000]

A stream is a certificate's life: so many audits with few wrong ones, then a change. Beside the monitor, on the very
same verdicts, runs a plain betting process: one test martingale from the first audit on, with the bet that is best
against the rate to come, which must first win back what the good audits cost it. Exit 1 when the monitor revokes
more certificates that hold than the 99 % binomial quantile of its delta allows, or notices the change from the
certified rate to three times as much no sooner than the plain process.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from classifier.monitor import PAUSED, REVOKED, STEADY, Monitor, advance, resume
from tests.benchmarks.certificates import lives
from tests.benchmarks.written import write

ALPHA, DELTA = 0.02, 0.01
GOOD, MOST = 3_000, 12_000
"""Audits before the change, and audits after it until a stream counts as never noticed."""

Verdicts = npt.NDArray[np.bool_]


class Noticed(NamedTuple):
    """Audits after the change until the monitor left "steady", until it revoked, and until the plain process spoke.

    None where that did not happen, or had happened without a reason before the change.
    """

    monitor: int | None
    revoked: int | None
    plain: int | None
    false_pauses: int


def watched(verdicts: Verdicts, *, good: int, alpha: float, delta: float, rate: float) -> Noticed:
    """One stream: `good` verdicts before the change to `rate`, the others after it.

    Where the monitor pauses before the change a person finds nothing and resumes it.
    """
    state, false_pauses, first = Monitor(alpha=alpha, delta=delta), 0, None
    revoked = None
    for number, wrong in enumerate(verdicts.tolist(), start=1):
        state = advance(state, wrong=wrong)
        if state.status == PAUSED and number <= good:
            state, false_pauses = resume(state), false_pauses + 1
        if state.status != STEADY and first is None:
            first = number
        if state.status == REVOKED:
            revoked = number
            break
    spoke = plain(verdicts, alpha=alpha, delta=delta, rate=rate)
    return Noticed(_after(first, good), _after(revoked, good), _after(spoke, good), false_pauses)


def plain(verdicts: Verdicts, *, alpha: float, delta: float, rate: float) -> int | None:
    """The audit at which one betting process from the first audit on reaches 1 / delta, with the bet best for `rate`."""
    stake = (rate - alpha) / (alpha * (1 - alpha))
    wealth = np.cumsum(np.where(verdicts, np.log1p(stake * (1 - alpha)), np.log1p(-stake * alpha)))
    reached = np.flatnonzero(wealth >= -np.log(delta))
    return int(reached[0]) + 1 if len(reached) else None


def detection(
    *, before: float, after: float, good: int, streams: int, alpha: float = ALPHA, delta: float = DELTA, seed: int = 1
) -> dict[str, Any]:
    """Audits needed to notice a change of the wrong rate from `before` to `after` that comes after `good` audits."""
    random = np.random.default_rng(seed)
    rates = np.concatenate([np.full(good, before), np.full(MOST, after)])
    found = [
        watched(random.random(len(rates)) < rates, good=good, alpha=alpha, delta=delta, rate=after)
        for _ in range(streams)
    ]
    return {
        "before": before, "after": after, "good": good, "streams": streams, "alpha": alpha, "delta": delta,
        "noticed": _spread([one.monitor for one in found]), "revoked": _spread([one.revoked for one in found]),
        "plain": _spread([one.plain for one in found]), "false_pauses": sum(one.false_pauses for one in found),
    }  # fmt: skip


def _after(audit: int | None, good: int) -> int | None:
    return audit - good if audit is not None and audit > good else None


def _spread(audits: Sequence[int | None]) -> dict[str, int | None]:
    """Median and 90 % quantile over all streams; one that is beyond every count stands as None."""
    counts = sorted(float("inf") if audit is None else audit for audit in audits)
    middle, ninth = (counts[min(len(counts) - 1, int(share * len(counts)))] for share in (0.5, 0.9))
    return {
        "median": None if middle == float("inf") else int(middle),
        "p90": None if ninth == float("inf") else int(ninth),
        "never": sum(audit is None for audit in audits),
    }


def measured(*, streams: int, count: int, alpha: float = ALPHA, good: int = GOOD) -> dict[str, Any]:
    """All figures; `kept` says whether the monitor is as good as its word."""
    changes: dict[str, tuple[int, int]] = {
        "change": (3, good),
        "2 x alpha after good audits": (2, good),
        "3 x alpha from the first run": (3, 0),
        "2 x alpha from the first run": (2, 0),
    }
    found: dict[str, dict[str, Any]] = {}
    for name, (multiple, since) in changes.items():
        found[name] = detection(before=alpha, after=multiple * alpha, good=since, streams=streams, alpha=alpha)
        print(name, json.dumps(found[name]), file=sys.stderr, flush=True)
    false = lives(count=count, runs=good + 1_000, alpha=alpha, delta=DELTA)
    sooner = _sooner(found["change"]["noticed"]["median"], found["change"]["plain"]["median"])
    return {
        "kept": false["broken"] <= false["limit"] and sooner, "alpha": alpha, "delta": DELTA,
        "detection": found, "false_revocations": false,
    }  # fmt: skip


def _sooner(monitor: int | None, other: int | None) -> bool:
    return monitor is not None and (other is None or monitor < other)


def main(given: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=300)
    parser.add_argument("--lives", type=int, default=1000, help="certificates whose rate is exactly alpha all along")
    parser.add_argument("--good", type=int, default=GOOD, help="audits before the change")
    parser.add_argument("--alpha", type=float, default=ALPHA)
    parser.add_argument("--json", metavar="F", help="where to write the figures; - for standard output")
    options = parser.parse_args(given)
    began = time.monotonic()
    figures = measured(streams=options.streams, count=options.lives, alpha=options.alpha, good=options.good)
    print(json.dumps(figures["false_revocations"]), file=sys.stderr)
    write({**figures, "seconds": round(time.monotonic() - began, 1)}, options.json)
    return 0 if figures["kept"] else 1


if __name__ == "__main__":
    sys.exit(main())
