"""Why this article and not the runner-up: every word of a ticket with what it adds, and where it stands in the text.

The numbers are exact (see contributions.py); this is what a page or an API shows of them.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from classifier.alignment import PARTS, Place, places
from classifier.contributions import contributions
from classifier.estimator import ArticleClassifier, Ranking
from classifier.text import UNSPACED, Document

_MATCHES = 5


class Token(NamedTuple):
    """A token of the clean line, what it adds to the difference, and its place in the raw text where it has one."""

    text: str
    contribution: float
    place: Place | None


class Span(NamedTuple):
    """A stretch of the raw subject or body and what its tokens add together. Spans never overlap."""

    part: str
    start: int
    end: int
    weight: float


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What speaks for `label` (above 0) and for `against` (below 0), in units of the score before softmax.

    e to the power of `difference` is how many times likelier the model holds `label` than `against`. `intercept` is
    what is there before any word is read, so that difference = intercept + sum of the tokens' contributions.
    """

    label: str
    against: str
    ranking: Ranking
    tokens: tuple[Token, ...]
    intercept: float

    @property
    def difference(self) -> float:
        """Score of `label` minus score of `against`, before softmax."""
        return self.intercept + sum(token.contribution for token in self.tokens)

    @property
    def spans(self) -> tuple[Span, ...]:
        """Where the tokens stand, subject before body, in reading order; tokens that share a place are one span."""
        found: list[Span] = []
        aligned = [(token.place, token.contribution) for token in self.tokens if token.place]
        for place, weight in sorted(aligned, key=lambda pair: (PARTS.index(pair[0].part), *pair[0][1:])):
            last = found[-1] if found else None
            if last and last.part == place.part and place.start < last.end:
                found[-1] = Span(last.part, last.start, max(last.end, place.end), last.weight + weight)
            else:
                found.append(Span(*place, weight))
        return tuple(found)

    def words(self, *, most: int, least: float = 0.2) -> tuple[list[str], list[str]]:
        """The words that count most: for `label`, and for `against`; at most `most` each, strongest first.

        A word that stands there several times is added up. Left out is what weighs less than `least` (0..1) of the
        strongest word of either side.
        """
        totals: dict[str, float] = {}
        for text, weight in self._phrases():
            totals[text] = totals.get(text, 0.0) + weight
        limit = least * max((abs(total) for total in totals.values()), default=0.0)
        order = sorted(totals.items(), key=lambda item: -item[1])
        speak_for = [text for text, total in order if total > 0 and total >= limit]
        speak_against = [text for text, total in reversed(order) if total < 0 and -total >= limit]
        return speak_for[:most], speak_against[:most]

    def _phrases(self) -> list[tuple[str, float]]:
        """Words with what they add; neighbours in a script without spaces that pull the same way are one."""
        found: list[tuple[str, float]] = []
        end: tuple[str, int] | None = None
        for text, weight, place in self.tokens:
            if not any(character.isalnum() for character in text):
                end = None
                continue
            last = found[-1] if found else ("", 0.0)
            unspaced = UNSPACED.match(text) is not None
            if unspaced and place and end == (place.part, place.start) and (last[1] > 0) == (weight > 0):
                found[-1] = (last[0] + text, last[1] + weight)
            else:
                found.append((text, weight))
            end = (place.part, place.end) if place and unspaced else None
        return found

    def as_dict(self) -> dict[str, Any]:
        """The explanation as JSON values."""
        return {
            "label": self.label,
            "against": self.against,
            "difference": self.difference,
            "intercept": self.intercept,
            "tokens": [{"text": token.text, "contribution": token.contribution} for token in self.tokens],
            "spans": [
                {"part": part, "start": start, "end": end, "weight": weight} for part, start, end, weight in self.spans
            ],
            "ranking": self.ranking.as_dict(),
        }


def explain(
    model: ArticleClassifier, document: Document, *, label: str | None = None, against: str | None = None
) -> Explanation:
    """Why the model ranks `label` (by default its best match) before `against` (by default the best of the others).

    Raises ValueError for a label that the model does not know, or for twice the same.
    """
    ranking = model.rank([document], k=_MATCHES)[0]
    ranked = [match.label for match in ranking.matches]
    label = ranked[0] if label is None else label
    against = next(other for other in ranked if other != label) if against is None else against
    if label == against:
        raise ValueError(f"{label!r} is to be told apart from itself; name another label")
    parts = contributions(model, ranking.line, label=label, against=against).tolist()
    tokens = ranking.line.split()
    where = places(tokens, document, limit=model.pipeline_.limit)
    return Explanation(
        label=label,
        against=against,
        ranking=ranking,
        tokens=tuple(map(Token, tokens, parts, where)),
        intercept=parts[-1],
    )
