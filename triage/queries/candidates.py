"""The ranked list of the ticket page: what tickets taught, new articles by their texts, and that none of them fits."""

from dataclasses import dataclass
from typing import Any

from classifier.articles import Likeness
from runbooks.base import Runbook
from triage.models import Article, Prediction, Ticket
from triage.queries import articles

SHOWN = 5
WORTH_SHOWING = 0.001

NONE_FIRST = 0.2
"""In-scope score below which "none" leads: there lie .91 of CLINC150's out-of-scope tickets and .05 of the others."""

_IN_DOUBT = 0.5


@dataclass(frozen=True)
class Candidate:
    """One article of the list. `number` is the key that chooses it.

    A new article has a `likeness` to the ticket's text and no probability, since no ticket has proved it yet.
    """

    number: int
    label: str
    probability: float | None
    likeness: float | None
    article: Article | None
    runbook: Runbook | None

    @property
    def is_new(self) -> bool:
        """Whether it was matched by its text alone."""
        return self.likeness is not None

    @property
    def is_strong(self) -> bool:
        """Whether its likeness is a strong one; else it is fair."""
        return self.likeness is not None and Likeness(self.label, self.likeness).strong


@dataclass(frozen=True)
class NoneFits:
    """That no article fits, as the list's last entry or its first.

    The in-scope score (0..1) is said in words and as a score, never as a probability: how many tickets are outside
    every article differs from desk to desk. It was .06 off where half of them were, .17 where a tenth was (CLINC150).
    """

    in_scope: float
    sufficient: bool
    first: bool

    @property
    def words(self) -> str:
        """How likely it is, in words."""
        if not self.sufficient:
            return "hard to tell"
        return "likely" if self.in_scope < NONE_FIRST else "possible" if self.in_scope < _IN_DOUBT else "unlikely"


@dataclass(frozen=True)
class Listed:
    """The articles in the order in which they are shown, and where `none` stands; None where no model answered."""

    candidates: list[Candidate]
    none: NoneFits | None


def listed(ticket: Ticket, prediction: Prediction | None) -> Listed:
    """The list for one ticket; nobody may see it who may not see the prediction."""
    if prediction is None:
        return Listed([], None)
    best = prediction.matches[:1]
    best += [match for match in prediction.matches[1:SHOWN] if match["probability"] >= WORTH_SHOWING]
    known = articles.by_label((ticket.customer_id, row["label"]) for row in [*best, *prediction.new_articles])
    new = [row for row in prediction.new_articles if _is_live(known.get((ticket.customer_id, row["label"])))]
    front = [row for row in new if row["in_front"]]
    rows = [*front, *best, *(row for row in new if not row["in_front"])]
    return Listed(
        [_candidate(number, row, known.get((ticket.customer_id, row["label"]))) for number, row in enumerate(rows, 1)],
        _none(prediction.evidence, behind_new=bool(front)),
    )


def _is_live(shown: articles.Shown | None) -> bool:
    """A new article that was retired since the prediction is suggested no longer."""
    return shown is not None and shown.article.retired_at is None


def _candidate(number: int, row: dict[str, Any], shown: articles.Shown | None) -> Candidate:
    return Candidate(
        number=number,
        label=row["label"],
        probability=row.get("probability"),
        likeness=row.get("likeness"),
        article=shown.article if shown else None,
        runbook=shown.runbook if shown else None,
    )


def _none(evidence: dict[str, Any], *, behind_new: bool) -> NoneFits | None:
    if "in_scope" not in evidence:
        return None
    in_scope = float(evidence["in_scope"])
    first = in_scope < NONE_FIRST and not behind_new
    return NoneFits(in_scope=in_scope, sufficient=bool(evidence.get("sufficient")), first=first)
