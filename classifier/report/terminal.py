"""An evaluation as lines of text for a terminal, at most 110 columns wide."""

import textwrap
from collections.abc import Mapping
from typing import Any

from classifier.breakdown import confused_with
from classifier.report.figures import Result, accuracies, basis, between, certificate, others, percent, plain, run_at

WIDTH = 100
WORST_CLASSES = 8
MOST_SUSPECTS = 5


def table(result: Result) -> str:
    """The result as lines of text; a warning stands first and last."""
    rows = result["rows"]
    counts = f"{rows['train']:,} train, {rows['test']:,} test, {rows['oos']:,} out-of-scope rows"
    warning = _warning(result)
    lines = [
        *warning,
        f"{counts}; {result['classes']:,} classes; profile {result['profile']}",
        "",
        "accuracy on the test rows",
        *(f"  {name:<44} {figure}{_interval(ends)}" for name, figure, ends in accuracies(result)),
        "",
        *(f"{name:<46} {figure}{_interval(ends)}" for name, figure, ends in others(result)),
        "",
        *textwrap.wrap(f"What could be certified. {basis(result)}", WIDTH),
        "  at most wrong   threshold   would run   wrong of these   upper bound        n",
        *(_line(alpha, found) for alpha, found in result["certified"].items()),
        *_languages(result),
        *_classes(result),
        *_learning(result),
        *_suspects(result),
        *([""] if warning else []),
        *warning[:-1],
    ]
    return "\n".join(lines)


def _warning(result: Result) -> list[str]:
    said = [text for text in (result["warning"], *result["certification"]["broken"].values()) if text]
    if not said:
        return []
    bar = "!" * WIDTH
    return [bar, *(line for text in said for line in textwrap.wrap(f"WARNING. {text}", WIDTH)), bar, ""]


def _line(alpha: str, found: Mapping[str, float] | None) -> str:
    cells = certificate(alpha, found)
    if found is None:
        return f"  {cells[0]:>13}   nothing can be certified"
    return "  {:>13}   {:>9}   {:>9}   {:>14}   {:>11}   {:>6}".format(*cells)


def _languages(result: Result) -> list[str]:
    found = result["languages"]
    if len(found) < 2:
        return []
    would = f"would run, {run_at(result)}" if run_at(result) else "would run"
    lines = ["", f"  {'language':<12} {'rows':>7}   accuracy (95 % interval)     {would}"]
    for name, row in sorted(found.items(), key=lambda pair: -pair[1]["rows"]):
        accuracy = f"{percent(row['accuracy'])} ({between(row['accuracy_ci'])})"
        runs = percent(row["would_run"])
        if row["would_run_ci"]:
            runs += f" ({between(row['would_run_ci'])})"
        lines.append(f"  {_cut(name, 12):<12} {row['rows']:>7,}   {accuracy:<26}   {runs}")
    return lines


def _classes(result: Result) -> list[str]:
    worst = [row for row in result["per_class"] if row["rows"] and (row["f1"] or 0.0) < 1.0][:WORST_CLASSES]
    if not worst:
        return []
    lines = ["", f"  {'classes with the lowest F1':<34} {'rows':>6}  {'F1':>6}   most often mistaken for"]
    for row in worst:
        other, count = confused_with(row)
        mistaken = f"{_cut(other, 40)} ({count:,})" if count else ""
        lines.append(f"  {_cut(row['label'], 34):<34} {row['rows']:>6,}  {plain(row['f1']):>6}   {mistaken}")
    return lines


def _learning(result: Result) -> list[str]:
    points = result["learning_curve"]
    if len(points) < 2:
        return []
    curve = ", ".join(f"{point['rows']:,}: {point['accuracy']:.4f}" for point in points)
    return ["", f"learning curve (labels: accuracy)  {curve}", *textwrap.wrap(result["learning_curve_said"], WIDTH)]


def _suspects(result: Result) -> list[str]:
    found: list[Mapping[str, Any]] = result["suspects"]
    if not found:
        return []
    lines = ["", f"{len(found):,} train rows have a label that is probably wrong; the first of them:"]
    lines += [
        f"  line {row['row']:>7,}   {_cut(row['label'], 34):<34}   rather {_cut(row['likely'], 34)}"
        for row in found[:MOST_SUSPECTS]
    ]
    return lines


def _interval(ends: str) -> str:
    return f"  (95 % interval {ends})" if ends else ""


def _cut(text: str, most: int) -> str:
    shown = "".join(one if one.isprintable() else "?" for one in text[: most + 1])
    return shown if len(shown) <= most else f"{shown[: most - 3]}..."
