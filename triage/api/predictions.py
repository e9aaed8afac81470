"""Predictions: what Triage would make of a text now. Nothing is stored, and a text under a blind check stays sealed."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone
from ninja import Field, Router, Schema
from pydantic import ConfigDict

from classifier.text import Document, normalise, text_hash
from triage.api.access import customer_of, person_of
from triage.api.problems import PROBLEMS, Refused
from triage.models import Certificate, Customer, Source, Ticket
from triage.prediction import asking
from triage.prediction.deciding import Outcome
from triage.queries import articles, blind

router = Router(tags=["predictions"])
MOST = 1000
AT_ONCE, PATIENCE = 2, 5.0
_free = threading.BoundedSemaphore(AT_ONCE)
"""So that questions of many texts leave this process's other threads to the desk and the webhooks."""

HASHES = 5_000
SUBJECT_WORDS, LONGEST_TRIED = 25, 4_000
"""How many words at the front may be a subject, and the characters of the longest text that is tried so."""

SEALED = "A ticket with this text was drawn for a blind check: say what you would do before you see this."
Short = Annotated[str, Field(max_length=320)]


class TextIn(Schema):
    """A text as a ticket would bring it. What stands in `requester` and `fields` fills a runbook's parameters."""

    subject: Annotated[str, Field(max_length=2_000)] = ""
    body: Annotated[str, Field(max_length=200_000)] = ""
    language: Annotated[str, Field(max_length=16)] = ""
    requester: Short = ""
    channel: Annotated[str, Field(max_length=40)] = ""
    fields: Annotated[dict[str, Annotated[str, Field(max_length=2_000)]], Field(max_length=100)] = {}


class _Whose(Schema):
    """At which customer; `source`: one of the customer's, whose channels say who asks how surely."""

    model_config = ConfigDict(extra="forbid")

    customer: Annotated[str, Field(max_length=40)]
    source: Annotated[str, Field(max_length=40)] = ""


class OneText(TextIn, _Whose):
    """One text."""


class ManyTexts(_Whose):
    """Up to 1,000 texts."""

    tickets: Annotated[list[TextIn], Field(min_length=1, max_length=MOST)]


class WouldMatch(Schema):
    """An article with its calibrated probability."""

    label: str
    key: str | None
    title: str | None
    probability: float


class WouldSuggest(Schema):
    """An article that no ticket has taught yet, by its text; `in_front`: shown before the matches."""

    label: str
    key: str | None
    title: str | None
    likeness: float
    in_front: bool


class WouldDecide(Schema):
    """What would happen, in words. `people_needed`: how many would have to say yes."""

    mode: Literal["observe", "suggest", "approve", "automate"]
    article: str
    runbook: str
    parameters: dict[str, str]
    certificate: UUID | None
    people_needed: int
    reason: str


class PredictionOut(Schema):
    """What would become of one text. Where `sealed`, there are no matches and no decision."""

    sealed: bool
    matches: list[WouldMatch]
    new_articles: list[WouldSuggest]
    score: float | None
    evidence: dict[str, Any] | None
    decision: WouldDecide | None
    note: str


class Predictions(Schema):
    """In the order of the texts. `release`: the model that was asked; null where none is in force."""

    customer: str
    release: str | None
    items: list[PredictionOut]


@router.post("", response={200: Predictions, **PROBLEMS}, operation_id="predict")
def predict(request: HttpRequest, asked: OneText | ManyTexts) -> Predictions:
    """Rank the articles for a text, and say what would be decided if a ticket brought it now."""
    person = person_of(request, "predict")
    customer = customer_of(person, asked.customer)
    source = get_object_or_404(Source, slug=asked.source, customer=customer) if asked.source else None
    texts: Sequence[TextIn] = asked.tickets if isinstance(asked, ManyTexts) else [asked]
    told = ask(customer, source, [_question(text) for text in texts])
    hidden = sealed_texts(customer, [Document(text.subject, text.body) for text in texts])
    shown = articles.by_label((customer.pk, label) for outcome in told.outcomes for label in _labels(outcome))
    wanted = {outcome.routed.certificate for outcome in told.outcomes} - {None}
    certificates = dict(Certificate.objects.of(customer).filter(pk__in=wanted).values_list("pk", "uuid"))
    names = {label: found.article for (_, label), found in shown.items()}
    return Predictions(
        customer=customer.slug,
        release=told.serving.release.version if told.serving else None,
        items=[
            _sealed() if number in hidden else _open(outcome, names, certificates)
            for number, outcome in enumerate(told.outcomes)
        ],
    )


def ask(customer: Customer, source: Source | None, questions: Sequence[asking.Question]) -> asking.Told:
    """What would be decided; 503 where this process is busy or the model cannot be had now."""
    with turn():
        try:
            return asking.ask(customer=customer, source=source, questions=questions, at=timezone.now())
        except asking.NotNow as error:
            raise Refused(503, str(error), Retry_After="10") from error


@contextmanager
def turn() -> Iterator[None]:
    """One of the few questions that this process answers at once; 503 where none gets free soon."""
    if not _free.acquire(timeout=PATIENCE):
        raise Refused(503, "Too many predictions at once. Send fewer at the same time.", Retry_After="5")
    try:
        yield
    finally:
        _free.release()


def sealed_texts(customer: Customer, documents: Sequence[Document]) -> set[int]:
    """Which of the documents have the text of a ticket that somebody is to answer blind.

    A document without a subject is also tried as a subject and a body in one.
    """
    numbers: dict[str, set[int]] = {}
    for number, document in enumerate(documents):
        for one in _hashes(document):
            numbers.setdefault(one, set()).add(number)
    found: set[int] = set()
    asked = list(numbers)
    for start in range(0, len(asked), HASHES):
        rows = Ticket.objects.of(customer).filter(text_hash__in=asked[start : start + HASHES])
        for one in set(blind.sealed_among(rows, at=timezone.now()).values_list("text_hash", flat=True)):
            found |= numbers[one]
    return found


def _hashes(document: Document) -> Iterator[str]:
    yield text_hash(document)
    if not document.subject and len(document.body) <= LONGEST_TRIED:
        words = normalise(document.body).split(" ")
        for cut in range(1, min(len(words), SUBJECT_WORDS + 1)):
            yield text_hash(Document(" ".join(words[:cut]), " ".join(words[cut:])))


def _question(text: TextIn) -> asking.Question:
    return asking.Question(
        subject=text.subject,
        body=text.body,
        language=text.language,
        requester=text.requester,
        channel=text.channel,
        fields=text.fields,
    )


def _labels(outcome: Outcome) -> Iterator[str]:
    for match in outcome.ranking.matches if outcome.ranking else ():
        yield match.label
    for placed in outcome.new_articles:
        for one in placed:
            yield one.label


def _sealed() -> PredictionOut:
    return PredictionOut(
        sealed=True, matches=[], new_articles=[], score=None, evidence=None, decision=None, note=SEALED
    )


def _open(outcome: Outcome, names: Mapping[str, Any], certificates: Mapping[int, UUID]) -> PredictionOut:
    ranking, routed = outcome.ranking, outcome.routed
    placed = ((outcome.new_articles.in_front, True), (outcome.new_articles.after, False))
    return PredictionOut(
        sealed=False,
        matches=[
            WouldMatch(label=match.label, probability=match.probability, **_named(match.label, names))
            for match in (ranking.matches if ranking else ())
        ],
        new_articles=[
            WouldSuggest(label=one.label, likeness=one.likeness, in_front=first, **_named(one.label, names))
            for found, first in placed
            for one in found
        ],
        score=ranking.score if ranking else None,
        evidence=ranking.evidence.as_dict() if ranking else None,
        decision=WouldDecide(
            mode=routed.mode,  # type: ignore[arg-type]  # one of the four
            article=routed.article,
            runbook=routed.runbook,
            parameters=dict(routed.parameters),
            certificate=certificates.get(routed.certificate) if routed.certificate else None,
            people_needed=routed.people_needed,
            reason=routed.reason,
        ),
        note=ranking.evidence.reason if ranking else routed.reason,
    )


def _named(label: str, names: Mapping[str, Any]) -> dict[str, str | None]:
    found = names.get(label)
    return {"key": found.key if found else None, "title": found.title if found else None}
