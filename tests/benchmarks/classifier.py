"""What a ticket costs beside stock fastText and scikit-learn, and whether certificates on the model's scores hold.

    python -m tests.benchmarks.classifier --json F [--data DIR_OR_FILE [--test FILE] [--oos FILE] [--oos-share S]]
        [--long DIR_OR_FILE [--long-test FILE]]

Speed: three models trained on the same rows answer the same batches of 1,000 on one core, in turns; medians over the
rounds. Ours goes from raw text to a decision with evidence; fastText is asked for its best label line by line, on
lines prepared beforehand; scikit-learn is the pipeline that anybody would try first, from raw text.

Certificates: rows that the model never saw, out-of-scope rows among them, are taken for the whole truth, so that each
threshold's share of wrong runs is known. From them as many calibration sets as `--splits` says are drawn with
replacement; each is planned on and looked at once, and a promise is broken where the truth lies above alpha. (Divided
into halves instead, the measured half would exceed alpha by mere chance while the promise holds.) Exit 1 when more
are broken than the 99 % binomial quantile of delta.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from classifier.certificate import Verdict
from classifier.cost import model_bytes
from classifier.estimator import ArticleClassifier
from classifier.formats.jsonl import FormatError, Row
from classifier.ranked import Ranked, mixed, ranked
from tests.benchmarks.certificates import Pool, counted, limit, naive, own, pool
from tests.benchmarks.speed import speeds
from tests.benchmarks.tickets import Sets, generated, lengthened, load
from tests.benchmarks.written import write

ALPHAS = (0.05, 0.02, 0.01)


def trained(rows: Sequence[Row], *, jobs: int) -> ArticleClassifier:
    """The classifier as it comes."""
    return ArticleClassifier(jobs=jobs).fit([row.document for row in rows], [row.label for row in rows])


def population(rows: Ranked) -> Pool:
    """Scored rows as the truth: equal texts are one cluster."""
    places: dict[str, list[int]] = {}
    for place, cluster in enumerate(rows.cluster.tolist()):
        places.setdefault(cluster, []).append(place)
    return pool([rows.score[each] for each in places.values()], [rows.wrong[each] for each in places.values()])


def promises(
    source: Pool, *, procedure: Callable[..., Verdict], delta: float, splits: int, units: int | None, seed: int
) -> dict[str, dict[str, Any]]:
    """For each alpha how many of `splits` calibration sets led to a promise that the population disproves.

    A set holds `units` clusters, half as many as the population if not told. Beside it, what the rule without a
    test ("the lowest threshold whose precision on the set meets the target") breaks on as many sets.
    """
    found = {}
    for alpha in ALPHAS:
        n = units or len(source.best) // 2
        told, rule = (
            counted(source, random=np.random.default_rng([seed, round(alpha * 1e4)]), procedure=one, alpha=alpha,
                    delta=delta, n=n, draws=splits)
            for one in (procedure, naive)
        )  # fmt: skip
        found[f"{alpha:g}"] = {**told, "naive_broken": rule["broken"], "naive_certified": rule["certified"]}
    return found


def measured(
    sets: Sets,
    long: Sets,
    *,
    oos_share: float | None,
    splits: int,
    rounds: int,
    delta: float = 0.05,
    units: int | None = None,
    seed: int = 1,
    jobs: int = 2,
    procedure: Callable[..., Verdict] = own,
) -> dict[str, Any]:
    """All figures, in the order in which they are measured."""
    tell(f"training on {len(sets.train):,} rows")
    model = trained(sets.train, jobs=jobs)
    tell(f"speed on {len(sets.held_out):,} rows")
    figures: dict[str, Any] = speeds(model, sets.train, sets.held_out, rounds=rounds)
    tell("certificates")
    inside, outside = ranked(model, sets.held_out), ranked(model, sets.outside, in_scope=False)
    rows = mixed(inside, outside, oos_share)
    source = population(rows)
    found = promises(source, procedure=procedure, delta=delta, splits=splits, units=units, seed=seed)
    figures |= {
        "broken_promises": max(one["broken"] for one in found.values()),
        "limit": limit(splits, delta), "splits": splits, "delta": delta, "promises": found,
        "data": {
            "train": len(sets.train), "classes": len(model.classes_), "held_out": len(sets.held_out),
            "population": len(source.best), "oos_share": round(float(np.isin(rows.cluster, outside.cluster).mean()), 4),
        },
        "model_bytes": model_bytes(model, [row.document for row in sets.held_out[:20]]),
    }  # fmt: skip
    tell(f"long texts: training on {len(long.train):,} rows")
    told = speeds(trained(long.train, jobs=jobs), long.train, long.held_out, rounds=rounds)
    words = float(np.median([len(f"{r.document.subject} {r.document.body}".split()) for r in long.held_out]))
    return figures | {"long_texts": {"median_words": words, **told, "ratio": told["times_faster_than_sklearn"]}}


def tell(step: str) -> None:
    """Progress, off standard output."""
    print(step, file=sys.stderr, flush=True)


def table(figures: dict[str, Any]) -> str:
    """The figures for people."""
    rows = []
    for name, part in (("tickets", figures), ("long texts", figures["long_texts"])):
        rows.append(
            f"{name}: {part['us_per_ticket']} us a ticket; stock fastText {part['stock_fasttext_us']} "
            f"(many lines at once {part['stock_fasttext_multiline_us']}), scikit-learn {part['sklearn_us']}: "
            f"{part['times_faster_than_sklearn']} times as fast as scikit-learn, {part['times_stock_fasttext']} times "
            "what fastText takes"
        )
    for alpha, one in figures["promises"].items():
        rows.append(
            f"alpha {alpha}: {one['certified']} of {one['draws']} certified, mean coverage {one['coverage']}, "
            f"{one['broken']} broken (at most {one['limit']}); the rule without a test: {one['naive_broken']} broken"
        )
    return "\n".join(rows)


def _sources(options: argparse.Namespace) -> tuple[Sets, Sets]:
    sets = (
        load(options.data, test=options.test, outside=options.oos)
        if options.data
        else generated(train=options.rows, held_out=options.rows)
    )
    if options.long:
        return sets, load(options.long, test=options.long_test)
    return sets, Sets(lengthened(sets.train)[::4], lengthened(sets.held_out), [])


def main(given: Sequence[str] | None = None, *, procedure: Callable[..., Verdict] = own) -> int:
    """Measure and print; the exit code. `procedure` is what makes the promises."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="F", help="where to write the figures; - for standard output")
    parser.add_argument("--data", type=Path, help="labelled rows; without it tickets are generated")
    parser.add_argument("--test", type=Path, help="rows that are not trained on")
    parser.add_argument("--oos", type=Path, nargs="+", default=(), help="rows that no label answers")
    parser.add_argument(
        "--oos-share", type=float, help="share of the population that is out of scope; as given if not told"
    )
    parser.add_argument("--long", type=Path, help="labelled long texts; without it those of --data are put together")
    parser.add_argument("--long-test", type=Path, help="long texts that are not trained on")
    parser.add_argument("--splits", type=int, default=300, help="calibration sets to draw")
    parser.add_argument("--units", type=int, help="clusters of each; half of the population if not told")
    parser.add_argument("--delta", type=float, default=0.05)
    parser.add_argument("--rounds", type=int, default=9, help="batches of each model that are timed")
    parser.add_argument("--rows", type=int, default=4_000, help="tickets to generate, as many again to test on")
    parser.add_argument("--jobs", type=int, choices=(1, 2), default=2, help="threads in training")
    options = parser.parse_args(given)
    if options.oos_share is not None and not 0.0 <= options.oos_share < 1.0:
        parser.error(f"--oos-share {options.oos_share}: give at least 0 and less than 1")
    if min(options.splits, options.rounds) < 1:
        parser.error("--splits and --rounds must be at least 1")
    began = time.monotonic()
    try:
        sets, long = _sources(options)
    except FormatError as refusal:
        parser.error(str(refusal))
    figures = measured(
        sets, long, oos_share=options.oos_share, splits=options.splits, rounds=options.rounds, delta=options.delta,
        units=options.units, jobs=options.jobs, procedure=procedure,
    )  # fmt: skip
    tell(table(figures))
    write({**figures, "seconds": round(time.monotonic() - began, 1)}, options.json)
    return 0 if figures["broken_promises"] <= figures["limit"] else 1


if __name__ == "__main__":
    sys.exit(main())
