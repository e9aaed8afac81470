"""What the gate makes of one text: the first match, its runbook and what the runbook would be given.

`selected` is what a certificate is issued for: certification scores history with the very code that serves tickets.
"""

import hashlib
import inspect
import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from classifier.certificate import Gate
from classifier.estimator import Ranking
from classifier.text import Document
from runbooks import parameters
from runbooks.base import Runbook, extractor
from runbooks.ownership import needs, owned
from runbooks.targets import TargetError
from runbooks.targets.accounts import Directory
from runbooks.targets.lists import Lists

WORTH_ASKING = 0.5
"""Below this probability of the first match nothing runs and nobody is asked: more likely wrong than right."""


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What an article's label leads to at one customer.

    `live`: not retired; `runbook`: None where it has none; `directory`: where the runbook's accounts are looked up;
    `lists`: what its target lets tickets name; `trouble`: why the runbook or its target cannot be used, empty where
    they can.
    """

    label: str
    live: bool = True
    runbook: Runbook | None = None
    directory: Directory | None = None
    lists: Lists | None = None
    trouble: str = ""


@dataclass(frozen=True, kw_only=True)
class Pick:
    """What the gate makes of one text: the first match, its runbook and what the runbook would be given.

    `owner`: whose yes the run needs whatever is certified, as a sentence; empty where nobody's.
    """

    article: str = ""
    probability: float = 0.0
    score: float = 0.0
    sufficient: bool = False
    evidence: str = ""
    live: bool = False
    runbook: Runbook | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    complete: bool = False
    problems: tuple[str, ...] = ()
    owner: str = ""

    def gate_score(self, pool: Collection[str]) -> float:
        """The score to hold against a threshold; 0 (which passes none) where no runbook of the pool would run."""
        likely = self.probability >= WORTH_ASKING
        runs = likely and self.sufficient and self.live and self.complete and not self.problems and not self.owner
        return self.score if runs and self.runbook is not None and self.runbook.key in pool else 0.0


def selected(
    *,
    ranking: Ranking,
    articles: Mapping[str, Offer],
    document: Document,
    requester: str,
    fields: Mapping[str, str],
    reference: str = "",
) -> Pick:
    """The gate's choice for one text: prediction decides with it, certification measures it.

    `reference`: what the ITSM calls the ticket, which its text may well repeat.
    """
    pick, offer = _matched(ranking, articles)
    if offer is not None and offer.trouble:
        return replace(pick, problems=(offer.trouble,))
    if offer is None or pick.runbook is None:
        return pick
    try:
        found = parameters.extract(
            pick.runbook,
            subject=document.subject,
            body=document.body,
            requester=requester,
            fields=fields,
            directory=offer.directory,
            lists=offer.lists,
            reference=reference,
        )
        owner = " ".join(needs(group) for group in owned(pick.runbook, found.values, offer.directory))
    except (TargetError, sqlite3.Error) as error:  # a file that is locked or damaged while it is read
        return replace(pick, problems=(f"the directory cannot be read: {error}",))
    given = dict(found.values)
    return replace(pick, parameters=given, complete=found.complete, problems=tuple(found.problems), owner=owner)


def _matched(ranking: Ranking, articles: Mapping[str, Offer]) -> tuple[Pick, Offer | None]:
    """The first match with what its article leads to; no parameters are looked for yet."""
    first = ranking.matches[0] if ranking.matches else None
    offer = articles.get(first.label) if first else None
    pick = Pick(
        article=first.label if first else "",
        probability=first.probability if first else 0.0,
        score=ranking.score,
        sufficient=ranking.evidence.sufficient,
        evidence=ranking.evidence.reason,
        live=offer is not None and offer.live,
        runbook=offer.runbook if offer else None,
    )
    return pick, offer


def gate(
    *,
    text: str,
    model: str,
    calibrator: str,
    evidence: str,
    labels: Iterable[str],
    articles: Mapping[str, Offer],
    runbooks: Iterable[Runbook],
) -> Gate:
    """All that decides whether a runbook of this pool is chosen and with what; a certificate holds for its hash only.

    `text`, `model`, `calibrator` and `evidence` are digests of the model and the rules around it; `labels` are those
    that the model knows: which of them lead to a runbook belongs to its selection.
    """
    known = set(labels)
    led = {
        runbook.key: sorted(
            label
            for label, offer in articles.items()
            if label in known and offer.runbook is not None and offer.runbook.key == runbook.key
        )
        for runbook in runbooks
    }
    selection = {book.key: _digest([book.selection_digest, *led[book.key]]) for book in runbooks}
    # what this file makes of a ranking decides too, so its source is part of the rules
    rules = [inspect.getsource(one) for one in (selected, _matched, Pick.gate_score)]
    judged = _digest([evidence, f"{WORTH_ASKING}", *rules])
    parts = {"text": text, "model": model, "calibrator": calibrator, "evidence": judged, "extractor": extractor()}
    return Gate.from_dict({**parts, "runbooks": selection})


def _digest(parts: list[str]) -> str:
    return hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).hexdigest()
