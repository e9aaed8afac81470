"""An evaluation's figures in words, shared by the terminal's table and the page."""

from collections.abc import Mapping, Sequence
from typing import Any

Result = Mapping[str, Any]

MISSING = "none"


def plain(value: float | None) -> str:
    """Four decimal places."""
    return MISSING if value is None else f"{value:.4f}"


def percent(value: float | None, *, places: int = 1) -> str:
    """A share (0..1) in percent."""
    return MISSING if value is None else f"{100 * value:.{places}f} %"


def between(ends: Sequence[float]) -> str:
    """An interval of shares in percent."""
    return f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f} %"


def interval(ends: Sequence[float]) -> str:
    """An interval with four decimal places."""
    return f"{ends[0]:.4f} to {ends[1]:.4f}"


def accuracies(result: Result) -> list[tuple[str, str, str]]:
    """Name, accuracy and its 95 % interval, of the model, its families and the baselines."""
    named = [
        ("its fastText family alone", result["families"]["fasttext"]),
        ("its linear family alone", result["families"]["linear"]),
        ("baseline: BlazingText's documented defaults", result["baselines"]["blazingtext_defaults"]),
        ("baseline: TF-IDF and LinearSVC", result["baselines"]["tfidf_linearsvc"]),
    ]
    first = ("this model", plain(result["accuracy"]), interval(result["accuracy_ci"]))
    return [first, *((name, plain(found["accuracy"]), "") for name, found in named)]


def others(result: Result) -> list[tuple[str, str, str]]:
    """Name, value and 95 % interval, where there is one, of the other figures."""
    return [
        ("macro-F1", plain(result["macro_f1"]), ""),
        ("right article among the first three", plain(result["top3"]), ""),
        ("calibration error", plain(result["ece"]), interval(result["ece_ci"])),
        ("out of scope: AUROC", plain(result["oos_auroc"]), ""),
        ("out of scope: found keeping 95 % of the test", plain(result["oos_recall_at_95"]), ""),
        ("training, seconds", f"{result['train_seconds']:,.1f}", ""),
        ("a ticket on one core, microseconds", f"{result['us_per_ticket']:,.0f}", ""),
        ("model, megabytes", f"{result['model_bytes'] / 1e6:,.1f}", ""),
    ]


def certificate(alpha: str, found: Mapping[str, float] | None) -> list[str]:
    """At most wrong, threshold, would run, wrong of these, upper bound, units."""
    first = f"{100 * float(alpha):.4g} %"
    if found is None:
        return [first, MISSING, "0 %", "", "", ""]
    return [
        first,
        f"{found['threshold']:.6f}",
        percent(found["coverage"]),
        percent(found["wrong_rate"], places=2),
        percent(found["upper_bound"], places=2),
        f"{found['n']:,}",
    ]


def basis(result: Result) -> str:
    """What the certificates rest on."""
    certification = result["certification"]
    return (
        f"With confidence {100 * (1 - certification['delta']):g} %, on {certification['units']:,} units "
        f"({certification['basis']}; that model reaches accuracy {certification['accuracy']:.4f}); measured on test "
        f"rows of which {100 * result['oos_share']:.1f} % are out of scope."
    )


def run_at(result: Result) -> str:
    """Under which certificate the languages' shares would run; empty where there is none."""
    alpha = result["certification"]["languages_at"]
    return "" if alpha is None else f"at most {100 * float(alpha):.4g} % wrong"
