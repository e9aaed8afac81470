"""Why this article and not that one, as the ticket page tells it: one sentence, and the text with what decided."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from classifier.explanation import Explanation, Span, explain
from classifier.text import Document
from triage import serving
from triage.lake.errors import LakeError
from triage.models import Prediction, Release, Ticket
from triage.queries import articles
from triage.serving import NoModel, Serving

LEVELS = (0.2, 0.4, 0.7)
"""From which share of the strongest word on a word is marked, a little, more, most."""

_LONGEST_WORD = 32
_LIKELY = 3.0


class NotNow(Exception):
    """There is nothing to explain with; the message says why, in a sentence for the page."""


class Piece(NamedTuple):
    """Some text, what it speaks for ("for", "against" or "") and how strongly (0..3)."""

    text: str
    side: str = ""
    level: int = 0


class Stretch(NamedTuple):
    """Pieces of the text; `found` where they are together a value that was found for the runbook."""

    found: bool
    pieces: list[Piece]


@dataclass(frozen=True, kw_only=True)
class Why:
    """What speaks for `label` rather than `against`. `same_release`: the model is the one that made the suggestion."""

    label: str
    against: str
    shown: Mapping[str, articles.Shown]
    explanation: Explanation
    release: str
    same_release: bool
    others: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The whole answer in plain words."""
        speak_for, speak_against = self.explanation.words(most=3)
        one, two = self.name(self.label), self.name(self.against)
        short = self.keys[1]
        names = {"one": one, "other": two, "words": _listed(speak_for), "against": _listed(speak_against)}
        if not speak_for and not speak_against:
            return _("No word of the ticket speaks for %(one)s or for %(other)s.") % names
        if not speak_for:
            said = ngettext(
                "No word speaks for %(one)s; %(against)s speaks for %(other)s.",
                "No word speaks for %(one)s; %(against)s speak for %(other)s.",
                len(speak_against),
            )
            return said % names
        said = ngettext(
            "%(words)s speaks for %(one)s rather than %(other)s",
            "%(words)s speak for %(one)s rather than %(other)s",
            len(speak_for),
        )
        if speak_against:
            rest = ngettext(
                "; %(against)s speaks for %(short)s", "; %(against)s speak for %(short)s", len(speak_against)
            )
            said += rest
        return _("%(sentence)s.") % {"sentence": said % {**names, "short": short}}

    def name(self, label: str) -> str:
        """The article's key and title."""
        shown = self.shown.get(label)
        return f"{shown.article.key} {shown.article.title}" if shown else label

    @property
    def keys(self) -> tuple[str, str]:
        """The keys of the two articles, for the legend."""
        one, two = (self.shown.get(label) for label in (self.label, self.against))
        return one.article.key if one else self.label, two.article.key if two else self.against

    @property
    def odds(self) -> str:
        """How much the whole difference is, in words."""
        difference = self.explanation.difference
        if difference < 0:
            return _("On the whole the words speak more for %(article)s.") % {"article": self.name(self.against)}
        return "" if difference > _LIKELY else _("The two are close: read both.")

    @property
    def rivals(self) -> list[tuple[str, str]]:
        """Other articles to compare with: label and name."""
        return [(label, self.name(label)) for label in self.others if label != self.against]


def model_of(prediction: Prediction) -> tuple[Serving, bool]:
    """The model that made the prediction (True), or the one in force where that can no longer be had (False).

    Raises NotNow where there is neither.
    """
    release = (
        Release.objects.of(prediction.customer)
        .filter(version=prediction.release)
        .select_related("customer")
        .defer("measures")
        .first()
    )
    if release is not None:
        try:
            return serving.load(release), True
        except (NoModel, LakeError):
            pass  # old models may be gone: the one in force still knows these articles
    try:
        found = serving.in_force(prediction.customer)
    except NoModel as error:
        raise NotNow(f"The words cannot be weighed: {error}") from error
    except LakeError as error:
        raise NotNow("The words cannot be weighed now: the lake with the model does not answer.") from error
    if found is None:
        raise NotNow("The words cannot be weighed: no model is in force for this customer.")
    return found, False


def why(ticket: Ticket, prediction: Prediction, *, against: str = "") -> Why:
    """Why the prediction's first article and not `against` (by default its second); raises NotNow.

    The caller has made sure that the person may see the suggestion.
    """
    ranked = [match["label"] for match in prediction.matches]
    if not ranked:
        raise NotNow("There is no suggestion whose words could be weighed.")
    model, same = model_of(prediction)
    rival = against if against in ranked[1:] else ranked[1] if len(ranked) > 1 else None
    try:
        found = explain(model.classifier, Document(ticket.subject, ticket.body), label=ranked[0], against=rival)
    except ValueError as error:
        raise NotNow(f"The words cannot be weighed: the model in force does not know {ranked[0]} any more.") from error
    except MemoryError as error:
        raise NotNow("The words cannot be weighed now: there is not enough memory.") from error
    labels = dict.fromkeys([*ranked, found.against])
    shown = articles.by_label((ticket.customer_id, label) for label in labels)
    return Why(
        label=found.label,
        against=found.against,
        shown={label: article for (_, label), article in shown.items()},
        explanation=found,
        release=model.release.version,
        same_release=same,
        others=tuple(ranked[1:]),
    )


def highlighted(text: str, *, part: str, spans: Iterable[Span], values: Iterable[str], start: int = 0) -> list[Stretch]:
    """A text (the subject or body from character `start` on) in pieces, marked where its words decided.

    `values` are what was found for the runbook. Linear in the text. Nothing here is escaped: templates do.
    """
    spans = tuple(spans)
    strongest = max((abs(span.weight) for span in spans), default=0.0)
    marks = _marks(text, [span for span in spans if span.part == part], strongest=strongest, start=start)
    stretches = []
    for begin, end, found in _stretches(text, values):
        stretches.append(Stretch(found, list(_pieces(text, marks, begin, end))))
    return stretches


class _Mark(NamedTuple):
    start: int
    end: int
    side: str
    level: int


def _marks(text: str, spans: list[Span], *, strongest: float, start: int) -> list[_Mark]:
    """What is marked, in order; equal neighbours with only white space between are one."""
    found: list[_Mark] = []
    for span in spans:
        begin, end, weight = max(0, span.start - start), min(len(text), span.end - start), span.weight
        level = sum(abs(weight) >= least * strongest for least in LEVELS) if strongest else 0
        if begin >= end or not level or not any(map(str.isalnum, text[begin:end])):
            continue
        side = "for" if weight > 0 else "against"
        last = found[-1] if found else None
        if last and last[2:] == (side, level) and not text[last.end : begin].strip():
            found[-1] = _Mark(last.start, end, side, level)
        else:
            found.append(_Mark(begin, end, side, level))
    return found


def _stretches(text: str, values: Iterable[str]) -> list[tuple[int, int, bool]]:
    """Where the text is a value that was found, and where it is not: (start, end, whether)."""
    wanted = sorted({value for value in values if len(value) > 2}, key=len, reverse=True)
    found, at = [], 0
    if wanted:
        for match in re.finditer("|".join(map(re.escape, wanted)), text, re.IGNORECASE):
            found += [(at, match.start(), False), (*match.span(), True)]
            at = match.end()
    found.append((at, len(text), False))
    return [stretch for stretch in found if stretch[0] < stretch[1]]


def _pieces(text: str, marks: list[_Mark], begin: int, end: int) -> Iterable[Piece]:
    at = begin
    for number in range(bisect_right(marks, begin, key=attrgetter("end")), len(marks)):
        mark = marks[number]
        if mark.start >= end:
            break
        one, two = max(mark.start, begin), min(mark.end, end)
        if at < one:
            yield Piece(text[at:one])
        yield Piece(text[one:two], mark.side, mark.level)
        at = two
    if at < end:
        yield Piece(text[at:end])


def _listed(words: list[str]) -> str:
    cut = [f"{word[:_LONGEST_WORD]}{'…' if len(word) > _LONGEST_WORD else ''}" for word in words]
    quoted = [_("“%(word)s”") % {"word": word} for word in cut]
    if len(quoted) < 2:
        return "".join(quoted)
    return _("%(words)s and %(last)s") % {"words": ", ".join(quoted[:-1]), "last": quoted[-1]}
