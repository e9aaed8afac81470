"""Resolved tickets of the same customer that read alike: what solved them, how, when, and how alike they are."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from django.db.models.functions import Substr

from classifier.nearest import nearest
from classifier.text import Document
from runbooks.registry import RUNBOOKS
from triage.models import Article, Person, Prediction, Review, Run, Ticket
from triage.queries import articles, blind
from triage.queries.log import name_of
from triage.serving import Serving

SHOWN = 5
LEAST = 0.2
"""Tickets less alike than this have little more than common words in common."""

LABELS = 3
NEWEST = 300
READ = 4000
"""Characters of a body that are compared: what a text says of itself, it says early."""

SOLVED = (Ticket.Status.RESOLVED, Ticket.Status.ANSWERED)
NAMES = (Review.Verdict.ARTICLE, Review.Verdict.WRONG_PARAMETERS)
_SPARE = 4
_WORDS = ((0.9, "nearly the same"), (0.6, "very alike"), (0.4, "alike"), (0.0, "somewhat alike"))


class Candidate(NamedTuple):
    """A resolved ticket's text as far as it is compared."""

    pk: int
    text_hash: str
    subject: str
    body: str


@dataclass(frozen=True, kw_only=True)
class Similar:
    """A resolved ticket: the article that solved it, how and when, and its likeness (0..1)."""

    ticket: Ticket
    label: str
    article: Article | None
    how: str
    solved_at: datetime
    likeness: float

    @property
    def alike(self) -> str:
        """The likeness in words."""
        return next(words for least, words in _WORDS if self.likeness >= least)


def similar(ticket: Ticket, prediction: Prediction, *, model: Serving, person: Person, at: datetime) -> list[Similar]:
    """Up to five resolved tickets that read like this one, likest first.

    Looked through are, for each of the first three matched articles and of the whole customer, the newest few hundred
    that the person may see. Those that wait for a blind check are left out: their article is still a secret.
    """
    labels = [match["label"] for match in prediction.matches[:LABELS]]
    found = candidates(ticket, labels, person=person)
    likest = nearest(
        model.classifier,
        Document(ticket.subject, ticket.body[:READ]),
        [Document(row.subject, row.body) for row in found],
        most=_SPARE * SHOWN,
        least=LEAST,
    )
    rows = {found[neighbour.number].pk: neighbour.likeness for neighbour in likest}
    return _told(rows, ticket=ticket, at=at)


def candidates(ticket: Ticket, labels: Iterable[str], *, person: Person) -> list[Candidate]:
    """Resolved tickets that may be alike, newest first, each text once."""
    said = Review.objects.visible_to(person).filter(
        customer=ticket.customer_id, undone_at__isnull=True, verdict__in=NAMES, ticket__status__in=SOLVED
    )
    ran = Run.objects.visible_to(person).filter(
        customer=ticket.customer_id, status=Run.Status.SUCCEEDED, ticket__status__in=SOLVED, decision__isnull=False
    )
    queries = [said.filter(article=label).order_by("-pk") for label in labels]
    queries += [said.order_by("-pk"), ran.order_by("-pk")]
    keys: set[int] = set()
    for query in queries:
        keys.update(query.values_list("ticket_id", flat=True)[:NEWEST])
    keys.discard(ticket.pk)
    tickets = Ticket.objects.visible_to(person).filter(customer=ticket.customer_id, pk__in=keys).order_by("-pk")
    once: dict[str, Candidate] = {}
    for row in tickets.values_list("pk", "text_hash", "subject", Substr("body", 1, READ)):
        once.setdefault(row[1], Candidate(*row))
    return list(once.values())


def _told(likeness: dict[int, float], *, ticket: Ticket, at: datetime) -> list[Similar]:
    """The likest of these with what solved them, without those that are still sealed."""
    found = Ticket.objects.filter(pk__in=likeness, customer=ticket.customer_id)
    rows = list(found.defer("body", "fields", "attachments"))
    sealed = blind.sealed(rows, at=at)
    # in order, so that the last word stands
    said = {
        review.ticket_id: review
        for review in Review.objects.filter(ticket__in=rows, undone_at__isnull=True)
        .select_related("person")
        .order_by("pk")
    }
    done = {
        run.ticket_id: run
        for run in Run.objects.filter(ticket__in=rows, status=Run.Status.SUCCEEDED)
        .select_related("decision", "ordered_by")
        .order_by("pk")
    }
    solved = {row: _solved(said.get(row.pk), done.get(row.pk)) for row in rows if row.pk not in sealed}
    shown = articles.by_label((ticket.customer_id, by.label) for by in solved.values() if by)
    told = [
        Similar(
            ticket=row,
            label=by.label,
            article=known.article if (known := shown.get((ticket.customer_id, by.label))) else None,
            how=by.how,
            solved_at=by.at,
            likeness=likeness[row.pk],
        )
        for row, by in solved.items()
        if by
    ]
    return sorted(told, key=lambda one: (-one.likeness, -one.ticket.pk))[:SHOWN]


class _Solved(NamedTuple):
    label: str
    how: str
    at: datetime


def _solved(said: Review | None, done: Run | None) -> _Solved | None:
    """What solved a ticket: by the last word of a person, else by its runbook; None where it was no article."""
    runbook = _title(done) if done else ""
    if said is not None:
        if said.verdict not in NAMES or not said.article:
            return None
        who = name_of(said.person) if said.person else "in the ITSM"
        return _Solved(said.article, f"{who}, by the runbook “{runbook}”" if done else who, said.decided_at)
    if done is None or done.decision is None or not done.decision.article:
        return None
    ordered = f", ordered by {name_of(done.ordered_by)}" if done.ordered_by else ""
    return _Solved(done.decision.article, f"by the runbook “{runbook}”{ordered}", done.finished_at or done.requested_at)


def _title(run: Run) -> str:
    return RUNBOOKS[run.runbook].title if run.runbook in RUNBOOKS else run.runbook
