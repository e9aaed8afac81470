"""An evaluation as one HTML page that fetches nothing, for people who decide, and Comprehend's confusion matrix."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from classifier.breakdown import confused_with
from classifier.certificate import BREAKS
from classifier.formats import comprehend
from classifier.formats.jsonl import Row
from classifier.report import parts, plots
from classifier.report.figures import (
    Result,
    accuracies,
    basis,
    between,
    certificate,
    others,
    percent,
    plain,
    run_at,
)

MOST_SUSPECTS = 50
LONGEST_TEXT = 160
CONFUSION_MATRIX = "confusion_matrix.json"


def write(result: Result, folder: Path, *, train: Sequence[Row] = ()) -> Path:
    """Write index.html and confusion_matrix.json into the folder (made if need be); the path of the page.

    `train` are the rows that the model was trained on: the page shows the texts of those whose label is suspect.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "index.html"
    page.write_text(_page(result, train), encoding="utf-8")
    matrix = json.dumps(confusion_matrix(result), ensure_ascii=False) + "\n"
    (folder / CONFUSION_MATRIX).write_text(matrix, encoding="utf-8")
    return page


def confusion_matrix(result: Result) -> dict[str, Any]:
    """The test rows as Amazon Comprehend's confusion_matrix.json, all classes of the model listed."""
    rows = result["per_class"]
    counts = {(row["label"], label): count for row in rows for label, count in row["predicted"].items()}
    return comprehend.confusion_matrix(counts, classes=[row["label"] for row in rows])


def _page(result: Result, train: Sequence[Row]) -> str:
    rows, broken = result["rows"], result["certification"]["broken"].values()
    found = [
        parts.paragraph(
            f"{rows['train']:,} train, {rows['test']:,} test and {rows['oos']:,} out-of-scope rows; "
            f"{result['classes']:,} classes; profile {result['profile']}.",
            quiet=True,
        ),
        *([parts.banner("This model is worse than a plain baseline", result["warning"])] if result["warning"] else []),
        *([parts.banner("A promise did not hold on the test rows", " ".join(broken))] if broken else []),
        parts.tiles(_tiles(result)),
        *_accuracy(result),
        *_certified(result),
        *_calibrated(result),
        *_languages(result),
        *_learning(result),
        *_classes(result),
        *_suspects(result, train),
    ]
    return parts.document("Evaluation", found)


def _tiles(result: Result) -> list[tuple[str, str, str]]:
    alpha, run = next(((key, one) for key, one in result["certified"].items() if one), (None, None))
    certified = ("Would run by itself", "0 %", "nothing could be certified")
    if run is not None and alpha is not None:
        note = f"certified: at most {100 * float(alpha):.4g} % wrong; measured {percent(run['wrong_rate'])}"
        certified = ("Would run by itself", percent(run["coverage"]), note)
    return [
        ("Labelled rightly", percent(result["accuracy"]), f"95 % interval {between(result['accuracy_ci'])}"),
        certified,
        ("Right among the first three", percent(result["top3"]), "what an agent sees as suggestions"),
        ("Calibration error", plain(result["ece"]), "95 % interval {:.4f} to {:.4f}".format(*result["ece_ci"])),
        ("Macro-F1", plain(result["macro_f1"]), "every class counts the same"),
    ]


def _accuracy(result: Result) -> list[str]:
    bars = parts.figure(
        "The model beside its families and the baselines",
        "Each bar is the share of test rows labelled rightly. The model should be longer than both grey bars, which "
        "are what anybody would try first.",
        plots.drawn(plots.compared, result),
    )
    table = parts.table("Accuracy on the test rows", ["Model", "Accuracy", "95 % interval"], accuracies(result))
    figures = parts.table("Other figures", ["Of this model", "Figure", "95 % interval"], others(result))
    return [parts.heading("Accuracy"), parts.side_by_side([bars, f"<div>{table}{figures}</div>"])]


def _certified(result: Result) -> list[str]:
    heads = ["At most wrong", "Threshold", "Would run", "Wrong of these", "Upper bound", "Units"]
    rows = [certificate(alpha, found) for alpha, found in result["certified"].items()]
    curve = parts.figure(
        "How many tickets run at which risk",
        "Further right more tickets run by themselves, further up more of them are wrong. Each dot is a certified "
        "threshold with the share that may be wrong, which is also its dashed line: a dot belongs below its line. "
        "Above it, the test rows are unlike those that certified, or it is the chance that delta leaves.",
        plots.drawn(plots.risk, result),
    )
    return [
        parts.heading("What could be certified"),
        parts.paragraph(basis(result)),
        parts.table("Certificates", heads, rows, words=()),
        parts.side_by_side([curve, f"<div>{parts.bullets(list(result['certification']['said'].values()))}</div>"]),
        parts.folded("What breaks a certificate", parts.bullets(BREAKS)),
    ]


def _calibrated(result: Result) -> list[str]:
    figures = [
        parts.figure(
            "Share right for each predicted probability",
            "On the dashed line a probability means what it says; dots below it are too sure, dots above it too "
            "modest. Bars show where the rows are; a dot over a low bar weighs little.",
            plots.drawn(plots.reliability, result),
        )
    ]
    if result["oos_auroc"] is not None:
        figures.append(
            parts.figure(
                "In-scope score of test rows and of out-of-scope rows",
                "The further apart the two are, the better are tickets told that no article covers "
                f"(AUROC {plain(result['oos_auroc'])}; .5 is a coin, 1 is perfect).",
                plots.drawn(plots.scope, result),
            )
        )
    return [parts.heading("Can the probabilities be believed?"), parts.side_by_side(figures)]


def _languages(result: Result) -> list[str]:
    found = sorted(result["languages"].items(), key=lambda pair: -pair[1]["rows"])
    if len(found) < 2:
        return []
    heads = ["Language", "Rows", "Accuracy", "Would run"]
    rows = [
        [
            name,
            f"{row['rows']:,}",
            f"{percent(row['accuracy'])} ({between(row['accuracy_ci'])})",
            percent(row["would_run"]) + (f" ({between(row['would_run_ci'])})" if row["would_run_ci"] else ""),
        ]
        for name, row in found
    ]
    note = f"Would run: {run_at(result)}." if run_at(result) else "Nothing would run: nothing could be certified."
    chart = parts.figure(
        "Accuracy by language",
        "Where two bars do not overlap, the languages differ beyond chance. Out-of-scope rows are not counted. " + note,
        plots.drawn(plots.languages, result),
    )
    table = parts.table("By language, as the file gives it or else as recognised, with 95 % intervals", heads, rows)
    return [parts.heading("Languages"), parts.side_by_side([chart, "<div></div>"]), table]


def _learning(result: Result) -> list[str]:
    if len(result["learning_curve"]) < 2:
        return []
    curve = parts.figure(
        "Accuracy by the number of labels",
        "Each point is a model trained like this one on part of its labels; bars are 95 % intervals.",
        plots.drawn(plots.learning, result),
    )
    said = parts.paragraph(result["learning_curve_said"])
    return [parts.heading("Would more labels help?"), parts.side_by_side([curve, f"<div>{said}</div>"])]


def _classes(result: Result) -> list[str]:
    mistakes = [[row["actual"], row["predicted"], f"{row['count']:,}"] for row in result["curves"]["confusions"]]
    heads = ["Label", "Rows", "Trained on", "Precision", "Recall", "F1", "Mean probability", "Most often mistaken for"]
    rows = []
    for row in result["per_class"]:
        other, count = confused_with(row)
        numbers = [f"{row['rows']:,}", f"{row['trained']:,}"]
        shares = [_or_dash(row[name]) for name in ("precision", "recall", "f1", "probability")]
        rows.append([row["label"], *numbers, *shares, f"{other} ({count:,})" if count else ""])
    caption = "Every class, the lowest F1 first; the mean probability, where predicted, equals precision if calibrated"
    return [
        parts.heading("Classes"),
        parts.table("The most frequent mistakes", ["Label", "Predicted", "Rows"], mistakes, words=(0, 1)),
        parts.folded(f"All {len(rows):,} classes", parts.table(caption, heads, rows, words=(0, 7))),
    ]


def _suspects(result: Result, train: Sequence[Row]) -> list[str]:
    found = result["suspects"]
    if not found:
        said = "A model below the baseline cannot judge labels." if result["warning"] else "No label seems to be wrong."
        return [parts.heading("Suspect labels"), parts.paragraph(said)]
    texts = {row.line or place: row for place, row in enumerate(train, start=1)}
    rows = [
        [f"{one['row']:,}", one["label"], one["likely"], percent(one["probability"]), _text(texts.get(one["row"]))]
        for one in found[:MOST_SUSPECTS]
    ]
    heads = ["Line", "Label", "Rather", "Probability", "Text"]
    shown = f"{len(rows):,} of {len(found):,} suspect rows, the most suspicious first"
    return [
        parts.heading("Suspect labels"),
        parts.paragraph(
            f"{len(found):,} of {result['rows']['train']:,} train rows have a label that models which had not seen "
            "the row find improbable (confident learning). Some will be right all the same: a person decides. Lines "
            "are those of the train file."
        ),
        parts.folded(shown, parts.table(shown, heads, rows, words=(1, 2, 4))),
    ]


def _text(row: Row | None) -> str:
    if row is None:
        return ""
    text = " ".join(f"{row.document.subject[:LONGEST_TEXT]} {row.document.body[: 4 * LONGEST_TEXT]}".split())
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}..."


def _or_dash(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
