"""An evaluation for people: a table for the terminal, and one HTML page with plots that fetches nothing."""

import io
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from classifier.certificate import BREAKS

Result = Mapping[str, Any]

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; } caption { text-align: left; font-weight: 600; }
th, td { text-align: left; padding: .25rem 1rem .25rem 0; border-bottom: 1px solid #8886; vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 1rem 0; } svg { max-width: 100%; height: auto; background: #fff; }
"""


def table(result: Result) -> str:
    """The result as lines of text for a terminal."""
    rows, certification = result["rows"], result["certification"]
    counts = f"{rows['train']:,} train, {rows['test']:,} test, {rows['oos']:,} out-of-scope rows"
    lines = [
        f"{counts}; {result['classes']:,} classes",
        "",
        "accuracy on the test rows",
        *(f"  {name:<44} {figure}" for name, figure in _accuracies(result)),
        "",
        *(f"{name:<46} {figure}" for name, figure in _figures(result)),
        "",
        f"certified with confidence {100 * (1 - certification['delta']):g} % on {certification['units']:,} units",
        f"({certification['basis']}; that model reaches accuracy {certification['accuracy']:.4f}),",
        f"measured on test rows of which {100 * result['oos_share']:.1f} % are out of scope",
        "  at most wrong   threshold   would run   wrong of these   upper bound        n",
        *(_line(alpha, found) for alpha, found in result["certified"].items()),
    ]
    return "\n".join(lines)


def _accuracies(result: Result) -> list[tuple[str, str]]:
    low, high = result["accuracy_ci"]
    return [
        ("this model", f"{result['accuracy']:.4f}  (95 % interval {low:.4f} to {high:.4f})"),
        ("its fastText family alone", _figure(result["families"]["fasttext"]["accuracy"])),
        ("its linear family alone", _figure(result["families"]["linear"]["accuracy"])),
        (
            "baseline: BlazingText's documented defaults",
            _figure(result["baselines"]["blazingtext_defaults"]["accuracy"]),
        ),
        ("baseline: TF-IDF and LinearSVC", _figure(result["baselines"]["tfidf_linearsvc"]["accuracy"])),
    ]


def _figures(result: Result) -> list[tuple[str, str]]:
    return [
        ("macro-F1", _figure(result["macro_f1"])),
        ("right article among the first three", _figure(result["top3"])),
        ("calibration error", _figure(result["ece"])),
        ("out of scope: AUROC", _figure(result["oos_auroc"])),
        ("out of scope: found keeping 95 % of the test", _figure(result["oos_recall_at_95"])),
        ("training, seconds", f"{result['train_seconds']:,.1f}"),
        ("a ticket on one core, microseconds", f"{result['us_per_ticket']:,.0f}"),
        ("model, megabytes", f"{result['model_bytes'] / 1e6:,.1f}"),
    ]


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"


def _line(alpha: str, found: Mapping[str, float] | None) -> str:
    cells = _cells(alpha, found)
    if found is None:
        return f"  {cells[0]:>13}   nothing can be certified"
    return "  {:>13}   {:>9}   {:>9}   {:>14}   {:>11}   {:>6}".format(*cells)


def _cells(alpha: str, found: Mapping[str, float] | None) -> list[str]:
    first = f"{100 * float(alpha):.4g} %"
    if found is None:
        return [first, "none", "0 %", "", "", ""]
    return [
        first,
        f"{found['threshold']:.6f}",
        f"{100 * found['coverage']:.1f} %",
        f"{100 * found['wrong_rate']:.2f} %",
        f"{100 * found['upper_bound']:.2f} %",
        f"{found['n']:,}",
    ]


def write(result: Result, folder: Path) -> Path:
    """Write index.html into the folder (made if need be) and return its path; the plots are drawn by matplotlib."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "index.html"
    page.write_text(_page(result), encoding="utf-8")
    return page


def _page(result: Result) -> str:
    rows, certification = result["rows"], result["certification"]
    heads = ["At most wrong", "Threshold", "Would run", "Wrong of these", "Upper bound", "Units"]
    certificates = [_cells(alpha, found) for alpha, found in result["certified"].items()]
    mistakes = [[row["actual"], row["predicted"], str(row["count"])] for row in result["curves"]["confusions"]]
    parts = [
        f"<p>{rows['train']:,} train, {rows['test']:,} test and {rows['oos']:,} out-of-scope rows; "
        f"{result['classes']:,} classes.</p>",
        _table("Accuracy on the test rows", ["", "Accuracy"], _accuracies(result)),
        _table("Other figures", ["", "Figure"], _figures(result)),
        "<h2>What could be certified</h2>",
        f"<p>With confidence {100 * (1 - certification['delta']):g} %, on {certification['units']:,} units "
        f"({escape(certification['basis'])}; that model reaches accuracy {certification['accuracy']:.4f}); measured on "
        f"test rows of which {100 * result['oos_share']:.1f} % are out of scope.</p>",
        _table("Certificates", heads, certificates),
        "<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in certification["said"].values()) + "</ul>",
        "<p>What breaks a certificate:</p><ul>" + "".join(f"<li>{escape(item)}</li>" for item in BREAKS) + "</ul>",
        _figure_of("How many run at which risk; a dot is a certified threshold", _risk, result),
        "<h2>Can the probabilities be believed?</h2>",
        _figure_of("Share right for each predicted probability; on the line they agree", _reliability, result),
    ]
    if result["oos_auroc"] is not None:
        parts.append(_figure_of("In-scope score of test rows and of out-of-scope rows", _scope, result))
    parts.append(_table("The most frequent mistakes", ["Label", "Predicted", "Rows"], mistakes, words=2))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Evaluation</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>Evaluation</h1>\n"
        + "\n".join(parts)
        + "\n</main>\n</body>\n</html>\n"
    )


def _table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]], *, words: int = 1) -> str:
    """A table whose first columns are words and whose others are figures."""

    def cell(tag: str, place: int, text: str) -> str:
        figure = ' class="n"' if place >= words else ""
        return f"<{tag}{figure}>{escape(text)}</{tag}>"

    head = "".join(cell("th", place, text) for place, text in enumerate(heads))
    body = "".join(
        "<tr>" + "".join(cell("td", place, text) for place, text in enumerate(row)) + "</tr>" for row in rows
    )
    return f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _figure_of(caption: str, draw: Callable[[Any, Result], None], result: Result) -> str:
    """An inline SVG; matplotlib loads only here, since it takes longer than all the rest of a command's start."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": caption, "svg.fonttype": "none", "font.size": 10}):
        figure = Figure(figsize=(7.5, 4), layout="constrained")
        axes = figure.add_subplot()
        draw(axes, result)
        axes.grid(visible=True, alpha=0.3)
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    svg = drawn.getvalue()
    svg = svg[svg.index("<svg") :].replace("<svg", f'<svg role="img" aria-label="{escape(caption)}"', 1)
    return f"<figure>{svg}<figcaption>{escape(caption)}.</figcaption></figure>"


def _risk(axes: Any, result: Result) -> None:
    curve = result["curves"]["risk"]
    axes.plot([100 * row["coverage"] for row in curve], [100 * row["wrong_rate"] for row in curve], color="#1f5fa8")
    for alpha, found in result["certified"].items():
        axes.axhline(100 * float(alpha), color="#888888", linewidth=0.8, linestyle="--")
        if found is not None:
            axes.plot(100 * found["coverage"], 100 * found["wrong_rate"], "o", color="#b3261e")
            axes.annotate(f"at most {100 * float(alpha):.4g} %", (100 * found["coverage"], 100 * found["wrong_rate"]),
                          xytext=(6, 6), textcoords="offset points")  # fmt: skip
    axes.set(xlabel="tickets that would run, %", ylabel="wrong of these, %", xlim=(0, 100), ylim=(0, None))


def _reliability(axes: Any, result: Result) -> None:
    rows = result["curves"]["reliability"]
    axes.plot([0, 1], [0, 1], color="#888888", linewidth=0.8, linestyle="--")
    axes.plot([row["probability"] for row in rows], [row["accuracy"] for row in rows], "o-", color="#1f5fa8")
    axes.set(xlabel="predicted probability", ylabel="share right", xlim=(0, 1), ylim=(0, 1.02))


def _scope(axes: Any, result: Result) -> None:
    for name, colour, words in (("test", "#1f5fa8", "test rows"), ("oos", "#b3261e", "out of scope")):
        counts = result["curves"]["in_scope"][name]
        shares = [100 * count / max(1, sum(counts)) for count in counts]
        axes.stairs(shares, [place / len(counts) for place in range(len(counts) + 1)], fill=True, alpha=0.5,
                    color=colour, label=words)  # fmt: skip
    axes.legend()
    axes.set(xlabel="in-scope score", ylabel="rows, %", xlim=(0, 1))
