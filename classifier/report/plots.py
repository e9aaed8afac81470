"""The page's drawings as SVG by matplotlib, in colours that colour-blind people tell apart (Okabe and Ito 2008).

They are drawn small, so that their text can still be read where a phone shrinks them; labels are text, not paths.
"""

import io
import re
from collections.abc import Callable
from typing import Any

from classifier.metrics import accuracy_interval
from classifier.report.figures import Result

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#5c6470"
MOST_LANGUAGES = 15
_GROUP = re.compile(r'<g id="[^"]*">')


def drawn(draw: Callable[[Any, Result], None], result: Result) -> str:
    """The SVG of one plot. matplotlib loads only here: it takes longer than all the rest of a command's start."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    settings: dict[Any, Any] = {
        "svg.hashsalt": draw.__name__,
        "svg.fonttype": "none",
        "font.size": 11,
        "font.sans-serif": ["DejaVu Sans", "Verdana", "sans-serif"],
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": GREY,
        "axes.axisbelow": True,
    }
    with mpl.rc_context(settings):
        figure = Figure(figsize=(5.4, 3.8), layout="constrained")
        axes = figure.add_subplot()
        axes.grid(visible=True, color="#e3e6ec", linewidth=0.8)
        draw(axes, result)
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None})
    svg = written.getvalue()
    # Names of groups repeat from plot to plot, and nothing refers to them.
    return _GROUP.sub("<g>", svg[svg.index("<svg") :])


def compared(axes: Any, result: Result) -> None:
    """Accuracies of the model, its families and the baselines as bars."""
    bars = [
        ("TF-IDF + LinearSVC", result["baselines"]["tfidf_linearsvc"]["accuracy"], GREY),
        ("BlazingText's defaults", result["baselines"]["blazingtext_defaults"]["accuracy"], GREY),
        ("linear family", result["families"]["linear"]["accuracy"], "#56b4e9"),
        ("fastText family", result["families"]["fasttext"]["accuracy"], "#56b4e9"),
        ("this model", result["accuracy"], BLUE),
    ]
    for place, (_, value, colour) in enumerate(bars):
        axes.barh(place, 100 * (value or 0), color=colour, height=0.62)
        axes.annotate("none" if value is None else f"{100 * value:.1f}", (100 * (value or 0), place), xytext=(4, 0),
                      textcoords="offset points", va="center")  # fmt: skip
    axes.set_yticks(range(len(bars)), [name for name, *_ in bars])
    axes.grid(visible=False, axis="y")
    axes.set(xlabel="test rows labelled rightly, %", xlim=(0, 112), xticks=range(0, 101, 20))


def risk(axes: Any, result: Result) -> None:
    """Wrong share of what would run, by share that would run, with the certified points; cut above what matters."""
    curve = result["curves"]["risk"]
    wrong = [100 * row["wrong_rate"] for row in curve]
    axes.plot([100 * row["coverage"] for row in curve], wrong, color=BLUE, lw=2)
    certified = {alpha: found for alpha, found in result["certified"].items() if found is not None}
    paper = {"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.8}
    for alpha, found in certified.items():
        axes.axhline(100 * float(alpha), color=GREY, linewidth=0.9, linestyle="--")
        place = (100 * found["coverage"], 100 * found["wrong_rate"])
        is_right = place[0] > 50
        axes.plot(*place, "o", color=ORANGE, markersize=8, markeredgecolor="white", zorder=3)
        side = {"ha": "right", "xytext": (-7, 6)} if is_right else {"ha": "left", "xytext": (7, 6)}
        axes.annotate(f"{100 * float(alpha):.4g} %: {place[0]:.0f} % run", place, textcoords="offset points",
                      color="#8f3f00", fontsize=10, weight="bold", bbox=paper, **side)  # fmt: skip
    most = 300 * max((float(alpha) for alpha in result["certified"]), default=0.05)
    reached = [100 * max(found["wrong_rate"], float(alpha)) for alpha, found in certified.items()]
    top = max(1.25 * max(reached, default=0.0), min(1.05 * max(wrong, default=1.0), most))
    axes.set(xlabel="tickets that would run, %", ylabel="wrong of these, %", xlim=(0, 101), ylim=(0, top or 1.0))


def reliability(axes: Any, result: Result) -> None:
    """Share right by predicted probability, with intervals, over how many rows each bin holds."""
    rows = result["curves"]["reliability"]
    most = sum(row["count"] for row in rows) or 1
    width = 1 / 15
    middles = [(min(14, int(row["probability"] * 15)) + 0.5) * width for row in rows]
    shares = [row["count"] / most for row in rows]
    axes.bar(middles, shares, width=0.9 * width, color="#d5dbe5", label="share of rows")
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.9, linestyle="--", label="calibrated")
    ends = [accuracy_interval(round(row["accuracy"] * row["count"]), row["count"]) for row in rows]
    right = [row["accuracy"] for row in rows]
    errors = [[max(0.0, share - low) for share, (low, _) in zip(right, ends, strict=True)],
              [max(0.0, high - share) for share, (_, high) in zip(right, ends, strict=True)]]  # fmt: skip
    axes.errorbar([row["probability"] for row in rows], right, yerr=errors, fmt="o", markersize=5, color=BLUE,
                  elinewidth=1.2, label="share right")  # fmt: skip
    axes.legend(loc="upper left", frameon=False, fontsize=9)
    axes.set(xlabel="predicted probability", ylabel="share right", xlim=(0, 1.01), ylim=(0, 1.03))


def learning(axes: Any, result: Result) -> None:
    """Accuracy by the number of labels, each doubling as far from the last."""
    points = result["learning_curve"]
    rows, right = [point["rows"] for point in points], [100 * point["accuracy"] for point in points]
    errors = [[max(0.0, 100 * (point["accuracy"] - point["accuracy_ci"][0])) for point in points],
              [max(0.0, 100 * (point["accuracy_ci"][1] - point["accuracy"])) for point in points]]  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.errorbar(rows, right, yerr=errors, fmt="o-", color=BLUE, lw=2, elinewidth=1.2, capsize=3)
    for x, y in zip(rows, right, strict=True):
        axes.annotate(f"{y:.1f}", (x, y), xytext=(7, -13), textcoords="offset points")
    axes.set_xticks(rows, [f"{count:,}" for count in rows])
    axes.minorticks_off()
    axes.set(
        xlabel="labels to learn from", ylabel="test rows labelled rightly, %", xlim=(rows[0] / 1.3, rows[-1] * 1.45)
    )


def languages(axes: Any, result: Result) -> None:
    """Accuracy by language with its interval, the language with most rows on top."""
    found = sorted(result["languages"].items(), key=lambda pair: pair[1]["rows"])[-MOST_LANGUAGES:]
    for place, (_, row) in enumerate(found):
        low, high = row["accuracy_ci"]
        axes.plot([100 * low, 100 * high], [place, place], color=BLUE, linewidth=2)
        axes.plot(100 * row["accuracy"], place, "o", color=BLUE, markersize=6)
        if row["would_run"] is not None:
            axes.plot(100 * row["would_run"], place, "D", color=ORANGE, markersize=5)
    axes.plot([], [], "o-", color=BLUE, label="labelled rightly (95 % interval)")
    if any(row["would_run"] is not None for _, row in found):
        axes.plot([], [], "D", color=ORANGE, label="would run")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False, fontsize=9, ncols=2)
    axes.set_yticks(range(len(found)), [_short(name) for name, _ in found])
    lowest = min(min(row["accuracy_ci"][0], 1.0 if row["would_run"] is None else row["would_run"]) for _, row in found)
    axes.set(xlabel="test rows, %", xlim=(10 * int(10 * max(0.0, lowest - 0.02)), 101))


def scope(axes: Any, result: Result) -> None:
    """In-scope scores of test rows and of out-of-scope rows."""
    for name, colour, hatch, words in (("test", BLUE, None, "test rows"), ("oos", ORANGE, "///", "out of scope")):
        counts = result["curves"]["in_scope"][name]
        shares = [100 * count / max(1, sum(counts)) for count in counts]
        axes.stairs(shares, [place / len(counts) for place in range(len(counts) + 1)], fill=True, alpha=0.55,
                    color=colour, hatch=hatch, label=words)  # fmt: skip
    axes.legend(frameon=False, loc="upper center")
    axes.set(xlabel="in-scope score", ylabel="rows, %", xlim=(0, 1))


def _short(name: str) -> str:
    """A name from outside, as matplotlib can show it: no dollar signs, which it would take for mathematics."""
    shown = "".join(one if one.isascii() and one.isprintable() and one != "$" else "?" for one in name[:13])
    return shown if len(shown) <= 12 else f"{shown[:9]}..."
