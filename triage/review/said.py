"""What a person says of a ticket, and whether it holds together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from runbooks.base import Runbook
from triage.models import Article, Customer, Review, Ticket
from triage.queries import articles
from triage.review.refused import ReviewRefused

V = Review.Verdict
LONGEST_REPLY = 20_000
FOLLOWS = ("", "reply", "assign", "ask", "run", "keep")
"""Empty resolves the ticket where an article fits; `keep` leaves it to whoever works on it in the ITSM."""


@dataclass(frozen=True)
class Verdict:
    """What the person said; `article` and `also` once checked."""

    kind: str
    label: str
    note: str
    follow: str
    parameters: dict[str, str]
    article: Article | None = None
    runbook: Runbook | None = None
    also: tuple[str, ...] = ()
    original: Ticket | None = None
    reply: str = ""


def checked(said: Verdict, customer: Customer, *, also: Sequence[str]) -> Verdict:
    """The verdict with its article found; raises ReviewRefused where it does not hold together."""
    if said.kind not in V.values:
        raise ReviewRefused(f"There is no verdict {said.kind!r}.")
    if said.follow not in FOLLOWS:
        raise ReviewRefused(f"There is no next step {said.follow!r}.")
    _check_words(said)
    if said.kind not in (V.ARTICLE, V.WRONG_PARAMETERS):
        if said.follow in ("run", "reply"):
            raise ReviewRefused("Only an article that fits can be run or replied with.")
        return replace(said, label="")
    if not said.label:
        raise ReviewRefused("Say which article fits.")
    known = {label: articles.best(customer, label) for label in dict.fromkeys([said.label, *also]) if label}
    for label, shown in known.items():
        if shown is None:
            raise ReviewRefused(f"This customer is offered no article {label!r}. Search for another one.")
    others = tuple(label for label in known if label != said.label)
    chosen = known[said.label]
    return replace(said, article=chosen.article, runbook=chosen.runbook, also=others) if chosen else said


def _check_words(said: Verdict) -> None:
    if said.kind == V.NONE and len(said.note) < 3:
        raise ReviewRefused("Say in a word or two what the ticket is about, so that an article can be written.")
    if said.follow in ("assign", "ask") and not said.note:
        raise ReviewRefused("Say to whom to assign it." if said.follow == "assign" else "Write the question to ask.")
    if len(said.reply) > LONGEST_REPLY:
        raise ReviewRefused(f"A reply has at most {LONGEST_REPLY:,} characters. Shorten it.")
