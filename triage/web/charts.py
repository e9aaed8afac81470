"""Charts as inline SVG by matplotlib, each with its figures as a table.

No style is inline, since the pages' policy forbids it: what matplotlib writes as styles becomes attributes, and
colours become classes of the stylesheet, so that a chart follows the page into the dark.
"""

import io
import re
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

Numbers = tuple[float, ...]
Cells = tuple[tuple[str, ...], ...]

COLOURS = ("ink", "muted", "line", "surface", "accent", "bad", "good", "warn", "o0", "o1", "o2", "o3", "o4", "o5", "o6")
_HEX = {name: f"#fe{number:02x}01" for number, name in enumerate(COLOURS, 1)}
_NAMES = {code: name for name, code in _HEX.items()}
_STYLE = re.compile(r'style="([^"]*)"')
_GROUP = re.compile(r'<g id="[^"]*">')
_HEAD = re.compile(
    r"^.*?<svg[^>]*>\s*(<metadata>.*?</metadata>)?\s*(<defs>\s*<style[^>]*>[^<]*</style>\s*</defs>)?", re.DOTALL
)
_drawing = threading.Lock()  # matplotlib keeps settings and fonts for the whole process
POINTS = 72.0


@dataclass(frozen=True)
class Chart:
    """A picture with its title, and the same figures as a table for whoever cannot see it.

    `legend`: (colour, name) of its series, where there are several.
    """

    key: str
    title: str
    svg: SafeString
    columns: tuple[str, ...]
    rows: Cells
    legend: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Stack:
    """One series of a stacked chart. `colour` is one of COLOURS."""

    name: str
    colour: str
    values: Numbers


def warm() -> None:
    """Load matplotlib and its fonts, which takes a second that no page should wait for."""
    _picture(lambda axes: axes.set_title("0"), key="warm", label="", size=(1.0, 1.0))


@lru_cache(maxsize=128)
def stacked(*, key: str, title: str, unit: str, labels: tuple[str, ...], series: tuple[Stack, ...]) -> Chart:
    """Counts by time, one upon the other; `labels` name the steps of time."""

    def draw(axes: Any) -> None:
        from matplotlib.patches import StepPatch

        edges = [place - 0.5 for place in range(len(labels) + 1)]
        base = [0.0] * len(labels)
        for one in series:
            top = [below + value for below, value in zip(base, one.values, strict=True)]
            if any(one.values):
                # as an artist: `axes.stairs` would measure every corner for limits that are set below anyway
                look: dict[str, Any] = {
                    "facecolor": _HEX[one.colour],
                    "edgecolor": "none",
                    "linewidth": 0,
                    "baseline": base,
                }
                axes.add_artist(StepPatch(top, edges, fill=True, **look))
            base = top
        axes.set_ylim(0, max(1.0, 1.08 * max(base, default=1.0)))
        axes.set_xlim(-0.5, len(labels) - 0.5)
        _ticks(axes, labels)
        axes.yaxis.get_major_locator().set_params(integer=True, nbins=5)
        axes.set_ylabel(unit)

    table = tuple(
        (label, *(f"{one.values[place]:.0f}" for one in series))
        for place, label in enumerate(labels)
        if any(one.values[place] for one in series)
    )
    svg = _picture(draw, key=key, label=title)
    legend = tuple((one.colour, one.name) for one in series if any(one.values))
    return Chart(key, title, svg, (_("From"), *(one.name for one in series)), table, legend)


@lru_cache(maxsize=128)
def shares(*, key: str, title: str, unit: str, labels: tuple[str, ...], values: tuple[float | None, ...]) -> Chart:
    """Shares (0..1) by time, in percent; None where there is nothing to have a share of."""

    def draw(axes: Any) -> None:
        drawn = [float("nan") if value is None else 100 * value for value in values]
        axes.plot(range(len(drawn)), drawn, color=_HEX["o0"], linewidth=2, marker="o", markersize=3.5)
        axes.set_ylim(0, 100)
        axes.set_xlim(-0.5, len(labels) - 0.5)
        _ticks(axes, labels)
        axes.set_ylabel(unit)

    rows = tuple((label, _percent(value)) for label, value in zip(labels, values, strict=True) if value is not None)
    return Chart(key, title, _picture(draw, key=key, label=title), (_("From"), unit), rows)


@dataclass(frozen=True)
class Interval:
    """A share with its interval, and the limit that it is held against; all 0..1."""

    name: str
    share: float
    low: float
    high: float
    limit: float
    note: str


@lru_cache(maxsize=128)
def intervals(*, key: str, title: str, unit: str, limit: str, found: tuple[Interval, ...]) -> Chart:
    """Shares with intervals from top to bottom, each beside its limit."""

    def draw(axes: Any) -> None:
        for place, one in enumerate(reversed(found)):
            outside = one.low > one.limit
            colour = _HEX["bad" if outside else "o0"]
            axes.plot([100 * one.low, 100 * one.high], [place, place], color=colour, linewidth=3)
            axes.plot(100 * one.share, place, "o", color=colour, markersize=7)
            axes.plot([100 * one.limit] * 2, [place - 0.32, place + 0.08], color=_HEX["ink"], linewidth=2)
            axes.annotate(one.name, (0, place), xytext=(2, 11), textcoords="offset points", color=_HEX["muted"])
        axes.set_yticks([])
        axes.set_ylim(-0.5, len(found) - 0.2)
        axes.set_xlim(0, 1.1 * 100 * max(max(one.high, one.limit) for one in found))
        axes.set_xlabel(unit)

    rows = tuple(
        (one.name, _percent(one.share), f"{_percent(one.low)} – {_percent(one.high)}", _percent(one.limit), one.note)
        for one in found
    )
    height = 0.9 + 0.55 * len(found)
    svg = _picture(draw, key=key, label=title, size=(5.6, height), grid="x")
    columns = (_("Certificate"), unit, _interval(), limit, _("Verified"))
    return Chart(key, title, svg, columns, rows)


@dataclass(frozen=True)
class Bin:
    """Rows whose probability lay in one bin: their mean probability, the share that was right, how many."""

    probability: float
    right: float
    low: float
    high: float
    count: int


@lru_cache(maxsize=128)
def reliability(*, key: str, title: str, found: tuple[Bin, ...]) -> Chart:
    """The share that was right by what was predicted, over how many rows there were."""
    said, right = _("Predicted probability, %"), _("Right, %")

    def draw(axes: Any) -> None:
        most = max((one.count for one in found), default=1)
        middles = [100 * one.probability for one in found]
        axes.bar(middles, [25 * one.count / most for one in found], width=4, color=_HEX["line"])
        axes.plot([0, 100], [0, 100], color=_HEX["muted"], linewidth=1, linestyle="--")
        for one in found:
            axes.plot([100 * one.probability] * 2, [100 * one.low, 100 * one.high], color=_HEX["o1"], linewidth=1.4)
        axes.plot(middles, [100 * one.right for one in found], "o", color=_HEX["o1"], markersize=5)
        axes.set(xlim=(0, 101), ylim=(0, 103), xlabel=said, ylabel=right)

    rows = tuple(
        (_percent(one.probability), _percent(one.right), f"{_percent(one.low)} – {_percent(one.high)}", f"{one.count}")
        for one in found
    )
    columns = (said, right, _interval(), _("Rows"))
    return Chart(key, title, _picture(draw, key=key, label=title, size=(5.6, 3.2)), columns, rows)


@lru_cache(maxsize=128)
def risk(
    *, key: str, title: str, points: tuple[tuple[float, float, float], ...], alpha: float, chosen: tuple[float, float]
) -> Chart:
    """Wrong share by coverage from (threshold, coverage, wrong share) points, with the wanted alpha and where it lies.

    `chosen` is (coverage, wrong share), (0, 0) where nothing stays below alpha.
    """
    runs, wrong = _("Would run, % of the runbook's tickets"), _("Wrong of these, %")

    def draw(axes: Any) -> None:
        axes.plot([100 * one[1] for one in points], [100 * one[2] for one in points], color=_HEX["o1"], linewidth=2)
        axes.axhline(100 * alpha, color=_HEX["muted"], linewidth=1, linestyle="--")
        if chosen[0]:
            axes.plot(100 * chosen[0], 100 * chosen[1], "o", color=_HEX["bad"], markersize=8)
        top = 100 * max(2.2 * alpha, max((one[2] for one in points), default=alpha))
        axes.set(xlim=(0, 101), ylim=(0, min(100, 1.1 * top)), xlabel=runs, ylabel=wrong)

    rows = tuple((f"{threshold:.4f}", _percent(coverage), _percent(share)) for threshold, coverage, share in points)
    return Chart(key, title, _picture(draw, key=key, label=title), (_("Threshold"), runs, wrong), rows)


def _interval() -> str:
    # a space that does not break: with a plain one xgettext takes the sign for a format
    return _("95 % interval")


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.3g} %"


def _ticks(axes: Any, labels: Sequence[str]) -> None:
    step = -(-len(labels) // 7)
    places = range(0, len(labels), step)
    axes.set_xticks(list(places), [labels[place] for place in places])


def _picture(
    draw: Callable[[Any], object],
    *,
    key: str,
    label: str,
    size: tuple[float, float] = (5.6, 2.7),
    grid: Literal["x", "y"] = "y",
) -> SafeString:
    """The SVG of one drawing, `size` in inches. One at a time in a process."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    settings: dict[Any, Any] = {
        "svg.hashsalt": key,
        "svg.fonttype": "none",
        "font.size": 11,
        "text.color": _HEX["ink"],
        "text.parse_math": False,  # names of customers and certificates may hold dollar signs
        "axes.edgecolor": _HEX["line"],
        "axes.labelcolor": _HEX["muted"],
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "xtick.color": _HEX["muted"],
        "ytick.color": _HEX["muted"],
        "grid.color": _HEX["line"],
    }
    written = io.StringIO()
    with _drawing, mpl.rc_context(settings), warnings.catch_warnings():
        # widths are guessed by a font that lacks Japanese; what is shown is drawn by the browser with its own
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=size)
        width, height = size
        figure.subplots_adjust(left=0.62 / width, right=1 - 0.12 / width, top=1 - 0.14 / height, bottom=0.5 / height)
        axes = figure.add_subplot()
        axes.grid(visible=True, axis=grid, linewidth=0.8)
        draw(axes)
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    return mark_safe(_inline(written.getvalue(), label=label, size=size))  # noqa: S308 - matplotlib escapes text


def _inline(svg: str, *, label: str, size: tuple[float, float]) -> str:
    """The drawing as a part of a page, without styles. The salt of its key keeps its names its own."""
    body = _STYLE.sub(
        lambda found: _attributes(found[1]),
        _GROUP.sub("<g>", _HEAD.sub("", svg, count=1)).replace("xlink:href", "href"),
    )
    width, height = (side * POINTS for side in size)
    head = (
        f'<svg class="drawing" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(label)}" '
        'stroke-linejoin="round">'
    )
    return head + body


def _attributes(style: str) -> str:
    """A style attribute as presentation attributes and classes. The page's own font is used."""
    classes, plain = [], []
    for part in style.split(";"):
        name, _colon, value = (piece.strip() for piece in part.partition(":"))
        if name in ("fill", "stroke") and value in _NAMES:
            classes.append(f"{name}-{_NAMES[value]}")
        elif name and name not in ("font-family", "font"):
            plain.append(f'{name}="{value}"')
    return " ".join([*([f'class="{" ".join(classes)}"'] if classes else []), *plain])
