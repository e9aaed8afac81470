"""Pieces of the page as HTML: everything that comes from outside is escaped here."""

from collections.abc import Sequence
from html import escape

STYLE = """
:root {
  color-scheme: light dark;
  --bg: #f6f7f9; --card: #fff; --ink: #18202d; --muted: #535e70; --line: #dde1e9; --bad: #8c1d13; --bad-soft: #fde8e6;
}
@media (prefers-color-scheme: dark) {
  :root {
    --bg: #10141b; --card: #191f29; --ink: #e5e9f0; --muted: #a7b2c2; --line: #323d4c; --bad: #ffb4ab;
    --bad-soft: #4a1712;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--ink); font: 16px/1.5 system-ui, "Segoe UI", Roboto, sans-serif; }
main { max-width: 68rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.7rem; margin: 0; } h2 { font-size: 1.25rem; margin: 2.2rem 0 .5rem; }
p { max-width: 46rem; margin: .5rem 0; } .quiet, caption, figcaption, dt { color: var(--muted); }
.banner { margin: 1rem 0; padding: .9rem 1.1rem; border: 2px solid var(--bad); border-radius: 8px;
  background: var(--bad-soft); color: var(--bad); }
.banner p { max-width: none; } .banner strong { font-size: 1.15rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(11.5rem, 1fr)); gap: .8rem; margin: 1.2rem 0; }
.tiles div, figure, .sheet { background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
.tiles div { padding: .7rem .9rem; } dl, dd, dt { margin: 0; } dt { font-size: .9rem; }
dd b { display: block; font-size: 1.6rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
dd span { font-size: .85rem; color: var(--muted); }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem; }
.plots > div > .sheet:first-child, .plots > div > p:first-child { margin-top: 0; }
figure { margin: 0; padding: .8rem; align-self: start; }
figure > svg { display: block; width: 100%; height: auto; background: #fff; border-radius: 4px; }
figcaption { font-size: .92rem; margin-top: .5rem; } figcaption b { color: var(--ink); display: block; }
.sheet { overflow-x: auto; margin: .8rem 0; padding: 0 .8rem .4rem; }
.sheet:focus-visible, summary:focus-visible { outline: 2.5px solid #2f6fdb; outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; }
caption { text-align: left; padding: .6rem 0 .3rem; font-size: .92rem; }
th, td { text-align: left; padding: .3rem 1rem .3rem 0; border-top: 1px solid var(--line); vertical-align: top;
  overflow-wrap: break-word; min-width: 6.5rem; }
th { border-top: 0; font-weight: 600; font-size: .85rem; }
td.n, th.n { text-align: right; white-space: nowrap; min-width: 0;
  font-variant-numeric: tabular-nums; }
td:last-child:not(.n) { min-width: 15rem; }
details { margin: .8rem 0; } summary { cursor: pointer; font-weight: 600; padding: .3rem 0; }
li { max-width: 46rem; }
"""


def document(title: str, body: Sequence[str]) -> str:
    """The whole page."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{escape(title)}</h1>\n"
        + "\n".join(body)
        + "\n</main>\n</body>\n</html>\n"
    )


def heading(text: str) -> str:
    """The title of a section."""
    return f"<h2>{escape(text)}</h2>"


def paragraph(text: str, *, quiet: bool = False) -> str:
    """A paragraph; quiet ones explain."""
    return f'<p class="quiet">{escape(text)}</p>' if quiet else f"<p>{escape(text)}</p>"


def bullets(texts: Sequence[str]) -> str:
    """A list of sentences."""
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>"


def banner(title: str, text: str) -> str:
    """What must not be overlooked."""
    return (
        f'<section class="banner" aria-label="Warning: {escape(title)}"><p><strong>{escape(title)}</strong></p>'
        f"<p>{escape(text)}</p></section>"
    )


def tiles(figures: Sequence[tuple[str, str, str]]) -> str:
    """Large figures: what it is, its value, what to know about it."""
    cells = (
        f"<div><dt>{escape(name)}</dt><dd><b>{escape(value)}</b><span>{escape(note)}</span></dd></div>"
        for name, value, note in figures
    )
    return f'<dl class="tiles">{"".join(cells)}</dl>'


def table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]], *, words: Sequence[int] = (0,)) -> str:
    """A table that scrolls by itself where it is too wide; `words` are the columns that are no figures."""

    def cell(tag: str, place: int, text: str) -> str:
        kind = "" if place in words else ' class="n"'
        scope = ' scope="col"' if tag == "th" else ""
        return f"<{tag}{kind}{scope}>{escape(text)}</{tag}>"

    head = "".join(cell("th", place, text) for place, text in enumerate(heads))
    body = "".join(
        "<tr>" + "".join(cell("td", place, text) for place, text in enumerate(row)) + "</tr>" for row in rows
    )
    return (
        f'<div class="sheet" role="region" tabindex="0" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def folded(summary: str, inside: str) -> str:
    """What is long is opened on demand."""
    return f"<details><summary>{escape(summary)}</summary>{inside}</details>"


def figure(title: str, reading: str, svg: str) -> str:
    """A drawing with its title and how to read it."""
    drawing = svg.replace("<svg", f'<svg role="img" aria-label="{escape(title)}"', 1)
    return f"<figure>{drawing}<figcaption><b>{escape(title)}</b>{escape(reading)}</figcaption></figure>"


def side_by_side(figures: Sequence[str]) -> str:
    """Drawings beside one another where the screen is wide enough."""
    return f'<div class="plots">{"".join(figures)}</div>'
