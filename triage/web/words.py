"""How times, probabilities and texts are put into words; loaded into every template."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django import template
from django.utils import timezone
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext_lazy, gettext_noop
from django.utils.translation import gettext as _

from triage.models import Person
from triage.queries.log import Entry, name_of
from triage.queries.sureness import as_percent, in_words
from triage.web.told import told

register = template.Library()
register.filter("told", told)
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_SPANS = (
    (2 * 86400, 86400, gettext_noop("%(n)s d")),
    (3600, 3600, gettext_noop("%(n)s h")),
    (60, 60, gettext_noop("%(n)s min")),
)
_RISKS = {
    "low": gettext_lazy("low risk"),
    "medium": gettext_lazy("medium risk"),
    "high": gettext_lazy("high risk"),
    "irreversible": gettext_lazy("irreversible risk"),
}
_ITEM = re.compile(r"(?:(\d{1,3})[.)]|[-*•])\s+(.*)")


@register.filter
def sure(probability: float | None) -> str:
    """A probability in words."""
    return _("no suggestion") if probability is None else told(in_words(probability))


@register.filter
def percent(share: float | None) -> str:
    """A share as percent. Never 100 % unless it is all, never 0 % unless it is none."""
    return "–" if share is None else as_percent(share)


@register.filter
def own_page(address: str) -> bool:
    """Whether this leads to a page of ours. Addresses that are stored become links only then."""
    return re.match(r"/(?![/\\])", address) is not None


@register.filter
def exactly(share: float | None) -> str:
    """A share as percent with what a certificate needs of its digits."""
    return "–" if share is None else f"{share * 100:.3g} %"


@register.filter
def width(share: float | None) -> str:
    """A share as a number from 0 to 100, for the geometry of a bar."""
    return f"{max(0.0, min(1.0, share or 0.0)) * 100:.1f}"


@register.filter
def ago(at: datetime | None) -> str:
    """How long something is past: `4 min`."""
    return "" if at is None else _span(timezone.now() - at)


@register.filter
def left(at: datetime | None) -> str:
    """How long until something: `in 2 h`, `3 min over`."""
    if at is None:
        return ""
    rest = at - timezone.now()
    if rest < timedelta(0):
        return _("%(span)s over") % {"span": _span(-rest)}
    return _("in %(span)s") % {"span": _span(rest)}


@register.filter
def overdue(at: datetime | None) -> bool:
    """Whether the moment has passed."""
    return at is not None and at < timezone.now()


@register.filter
def soon(at: datetime | None) -> bool:
    """Whether the moment lies within the next hour."""
    return at is not None and timezone.now() <= at < timezone.now() + timedelta(hours=1)


@register.filter
def moment(at: datetime | None) -> SafeString:
    """A moment in the person's zone, to the minute, with its exact time for programs."""
    if at is None:
        return mark_safe("–")
    local = timezone.localtime(at)
    exact = local.isoformat(timespec="seconds")
    return format_html('<time datetime="{}" title="{}">{}</time>', exact, exact, f"{local:%Y-%m-%d %H:%M}")


@register.filter
def clock(at: datetime | None) -> str:
    """The time of day in the person's zone."""
    return f"{timezone.localtime(at):%H:%M}" if at else ""


@register.filter
def took(started: datetime | None, finished: datetime | None) -> str:
    """How long from one moment to another."""
    if started is None or finished is None:
        return ""
    seconds = (finished - started).total_seconds()
    return _("%(n)s s") % {"n": f"{seconds:.1f}"} if seconds < 60 else _span(finished - started)


@register.filter
def called(person: Person | None) -> str:
    """A person's name."""
    return name_of(person) if person else told(name_of(person))


@register.filter
def spaced(name: str) -> str:
    """A key of ours as words."""
    return told(str(name).replace("_", " ").replace("-", " "))


@register.filter
def risk(tier: str) -> str:
    """A runbook's tier as its risk."""
    return str(_RISKS.get(tier, tier))


@register.filter
def titled(entry: Entry) -> str:
    """What happened, in words: the title of a line of the log."""
    of, event = spaced(entry.event.subject), entry.event.event
    if entry.hidden:
        return _("%(what)s changed") % {"what": of}
    if event == "status":
        return f"{of} {spaced(entry.after)}"
    return told(event) if entry.event.subject == "ticket" else f"{of}: {told(event)}"


@register.filter
def midway(phrase: object) -> str:
    """A phrase as it stands in the midst of a sentence; German keeps the capitals of its nouns."""
    text = str(phrase)
    return text if (get_language() or "").startswith("de") else text.lower()


@register.filter
def lang(code: str) -> str:
    """A language code that may stand in an attribute, else nothing."""
    return code if _LANGUAGE.fullmatch(code or "") else ""


@register.filter
def urlencoded(values: Mapping[str, str], otherwise: str = "") -> str:
    """Names and values as a part of an address; the bare name `otherwise` where there are none."""
    return urlencode(values) if values else (f"{otherwise}=" if otherwise else "")


@register.filter
def blocks(text: str) -> list[dict[str, Any]]:
    """A plain text as paragraphs and lists: lines that were wrapped are joined, numbered and dashed ones are items."""
    found: list[dict[str, Any]] = []
    for chunk in re.split(r"\n\s*\n", text.replace("\r\n", "\n").strip()):
        current: dict[str, Any] = {"kind": "", "lines": []}
        for line in chunk.split("\n"):
            item = _ITEM.match(line.strip())
            kind = ("ol" if item[1] else "ul") if item else "p"
            if item and current["kind"] == kind:
                current["lines"].append(item[2])
            elif item or not current["lines"]:
                current = {"kind": kind, "lines": [item[2] if item else line.strip()], "start": item[1] if item else ""}
                found.append(current)
            else:
                current["lines"][-1] += f" {line.strip()}"
    return [block for block in found if any(block["lines"])]


@register.filter
def marked(text: str, values: dict[str, str]) -> SafeString:
    """A text, escaped, with the values that were found in it marked."""
    wanted = sorted({value for value in (values or {}).values() if len(value) > 2}, key=len, reverse=True)
    if not wanted:
        return conditional_escape(text)
    pattern = re.compile("(" + "|".join(re.escape(value) for value in wanted) + ")", re.IGNORECASE)
    pieces = [
        format_html("<mark>{}</mark>", piece) if number % 2 else conditional_escape(piece)
        for number, piece in enumerate(pattern.split(text))
    ]
    return mark_safe("".join(pieces))  # noqa: S308 - every piece is escaped above


@register.filter
def coded(text: str) -> SafeString:
    """A text, escaped, with what stands between backticks as code."""
    pieces = [
        format_html("<code>{}</code>", piece) if number % 2 else conditional_escape(piece)
        for number, piece in enumerate(text.split("`"))
    ]
    return mark_safe("".join(pieces))  # noqa: S308 - every piece is escaped above


def _span(length: timedelta) -> str:
    seconds = max(0, int(length.total_seconds()))
    for least, size, unit in _SPANS:
        if seconds >= least:
            return _(unit) % {"n": seconds // size}
    return _("%(n)s s") % {"n": seconds}
