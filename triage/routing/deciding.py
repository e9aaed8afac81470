"""From a pick, certificates, limits and the ticket's circumstances to one decision with its reason, in words."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from classifier.text import Document, TextPipeline
from runbooks.base import Assurance, Runbook, assurance_reaches
from runbooks.environments import UNSAID, Rule
from triage.models import Draw, Mode
from triage.routing.selection import WORTH_ASKING, Pick

AUTOMATE_FOR = timedelta(minutes=30)
"""How long a decision to automate may be acted on."""

APPROVE_FOR = timedelta(hours=24)
"""How long a decision to ask for approval may be acted on."""

OUT_OF_DATE = timedelta(hours=72)
"""A ticket that nobody touched for longer is not acted on: it may have been solved in some other way by now."""

FEWEST_WORDS = 8
"""With an attachment and fewer words than this in the body, the attachment counts as the content."""

PEOPLE = {"low": 0, "medium": 0, "high": 1, "irreversible": 2}
"""How many people a runbook of each tier needs under a certificate; without one at least one."""


OBSERVED = "This customer is in observe mode: the prediction is recorded and nothing is done."
DRAWN = "Drawn by chance for a person to answer first: find the article before looking at any match."


def attachment_is_content(*, body: str, attachments: Collection[object], text: TextPipeline) -> bool:
    """Whether the problem is probably described in an attachment, which nothing here reads."""
    # scripts without spaces are read by character, some three of which make a word
    words = sum(1.0 if len(word) > 1 else 1 / 3 for word in text.line(Document("", body)).split())
    return bool(attachments) and words < FEWEST_WORDS


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A certificate as routing sees it. `gate_now` is the hash of today's gate over the certificate's own pool.

    `proven` are the runbooks whose action is the one it was issued with, or has had enough verified runs since.
    """

    id: int
    gate: str
    gate_now: str
    runbooks: frozenset[str]
    threshold: float
    expires_at: datetime
    revoked: bool
    proven: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Situation:
    """Everything a decision depends on.

    `assurance` is the level of the ticket's channel, `obstacle` what stands in the way of any run now in one sentence,
    `environment` that of what the runbook would work on and `rule` what it may do there, `drawn` the purpose of the
    cluster's draw, `touched_at` when the ticket was last changed in the ITSM.
    """

    at: datetime
    mode: str
    pick: Pick
    certificates: tuple[Proof, ...] = ()
    assurance: Assurance = "none"
    obstacle: str | None = None
    environment: str = UNSAID
    rule: Rule = "run"
    drawn: str = Draw.Purpose.NONE
    attachment_is_content: bool = False
    touched_at: datetime


@dataclass(frozen=True, kw_only=True)
class Routed:
    """The decision. `people_needed` is how many must say yes before the run; `reason` is for the agent."""

    mode: str
    reason: str
    article: str = ""
    runbook: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    certificate: int | None = None
    people_needed: int = 0


def decide(situation: Situation) -> Routed:
    """What is to happen with one ticket. Automation needs every condition; the first that fails gives the reason."""
    pick = situation.pick
    if situation.mode == Mode.OBSERVE:
        drawn = situation.drawn != Draw.Purpose.NONE
        return Routed(mode=Mode.OBSERVE, article=pick.article, reason=DRAWN if drawn else OBSERVED)
    refused = _no_run(situation)
    if refused or pick.runbook is None:
        return Routed(mode=Mode.SUGGEST, article=pick.article, reason=refused)
    runbook = pick.runbook
    ready = Routed(mode=Mode.SUGGEST, article=pick.article, runbook=runbook.key, parameters=pick.parameters, reason="")
    stopped = _only_by_hand(situation)
    if stopped:
        return replace(ready, reason=stopped)
    proof = pick.owner or _certificate(situation, runbook)
    if isinstance(proof, str):
        doubt = proof
    else:
        ready = replace(ready, certificate=proof.id)
        doubt = _person_needed(situation, runbook, proof)
        if not doubt:
            covered = f"A certificate covers this run: the score reaches its threshold of {proof.threshold:g}."
            return replace(ready, mode=Mode.AUTOMATE, reason=covered)
    if pick.probability < WORTH_ASKING:
        return replace(ready, reason="The best match is too unlikely to ask for approval of its runbook.")
    return replace(ready, mode=Mode.APPROVE, people_needed=max(1, PEOPLE[runbook.tier]), reason=doubt)


def _no_run(situation: Situation) -> str:
    """Why no run can even be proposed for this ticket; empty where one can."""
    pick = situation.pick
    checks = (
        (
            situation.drawn == Draw.Purpose.HOLDOUT,
            DRAWN,
        ),
        (not pick.article, "The model found no article for this ticket."),
        (not pick.sufficient, pick.evidence or "Too little supports the match."),
        (not pick.live, f"The matching article {pick.article} is retired or not offered to this customer."),
        (pick.runbook is None and not pick.problems, f"Article {pick.article} has no runbook."),
        (situation.attachment_is_content, "The problem seems to be described in an attachment, which is not read."),
        (
            situation.at - situation.touched_at > OUT_OF_DATE,
            f"Nobody changed the ticket for {OUT_OF_DATE // timedelta(hours=1)} hours, so it may be out of date.",
        ),
        (bool(pick.problems), " ".join(_sentence(_NAMED.sub("", problem)) for problem in pick.problems)),
        (not pick.complete, "Not everything that the runbook needs was found in the ticket."),
    )
    return next((reason for failed, reason in checks if failed), "")


def _only_by_hand(situation: Situation) -> str:
    """Why a run that could be proposed is left to the agent."""
    if situation.mode == Mode.SUGGEST:
        return "This customer is in suggest mode: an agent decides whether the runbook runs."
    if situation.rule == "never":
        return f"This runbook never runs in the environment {situation.environment}."
    return _sentence(situation.obstacle) if situation.obstacle else ""


def _certificate(situation: Situation, runbook: Runbook) -> Proof | str:
    """The certificate that covers this run, or why there is none."""
    found = [proof for proof in situation.certificates if runbook.key in proof.runbooks]
    score = situation.pick.gate_score
    narrowed: tuple[tuple[str, Callable[[Proof], bool]], ...] = (
        ("No certificate covers this runbook", lambda _: True),
        ("The model, the articles or the runbook changed since the certificate", lambda it: it.gate == it.gate_now),
        ("The certificate for this runbook was revoked", lambda it: not it.revoked),
        ("The certificate for this runbook has expired", lambda it: it.expires_at > situation.at),
        ("The score is below where the certificate begins", lambda it: score(it.runbooks) >= it.threshold),
    )
    for why, keeps in narrowed:
        found = [proof for proof in found if keeps(proof)]
        if not found:
            return f"{why}, so a person confirms the run."
    return min(found, key=lambda proof: (proof.threshold, proof.id))


def _person_needed(situation: Situation, runbook: Runbook, proof: Proof) -> str:
    """Why a person confirms although a certificate covers the run; empty where none is needed."""
    if situation.mode != Mode.AUTOMATE:
        return "This customer is in approve mode: a person confirms each run."
    if situation.rule != "run":
        return f"In the environment {situation.environment} a person confirms each run of this runbook."
    if PEOPLE[runbook.tier]:
        return f"A runbook of the tier {runbook.tier} always needs a person's word."
    if runbook.key not in proof.proven:
        return "The runbook's action changed since the certificate, so a person confirms its next runs."
    if not assurance_reaches(situation.assurance, runbook.assurance):
        return "The channel does not show well enough who is asking, so a person confirms the run."
    return ""


_NAMED = re.compile(r"^[a-z][a-z0-9_]*: ")  # a problem begins with its parameter's name, which tells an agent nothing


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
