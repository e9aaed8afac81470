"""One batch: claim, ask the model, decide, store. Three tries, then a person."""

import logging
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from triage.prediction import answers, claims, deciding, storing
from triage.prediction.answers import Answers, ChildEnded, Hold, TryAgain
from triage.prediction.claims import TRIES, Claim

log = logging.getLogger(__name__)

HELD_FOR = timedelta(seconds=15)
"""How long tickets rest before the next look at a lake that did not answer."""


@dataclass
class Progress:
    """How many tickets were decided, whether others wait, and the runs to ring for."""

    decided: int = 0
    more: bool = False
    runs: list[int] = field(default_factory=list)


def classify_batch(*, at: datetime, limit: int) -> Progress:
    """Classify and decide one customer's waiting tickets, at most `limit`, and tickets that were tried before."""
    done = Progress()
    for tried in (False, True):
        claim = claims.take(at=at, limit=limit, tried=tried)
        if claim is not None:
            _handle(claim, done, at=at)
    done.more = claims.waiting(at=at).exists()
    return done


def _handle(claim: Claim, done: Progress, *, at: datetime) -> None:
    tries = claim.tickets[0].attempts
    if tries > TRIES:  # the last try lost its worker too
        _store(claim, Answers(serving=None, why=_given_up("Each time the worker was lost or failed.")), done, at=at)
        return
    try:
        found = answers.ask(claim, at=at)
    except Hold as reason:
        log.warning("%d tickets wait: %s", len(claim.tickets), reason)
        claims.postpone(claim, until=at + HELD_FOR)
    except ChildEnded as reason:
        answered = len(reason.answers.rankings)
        before, blamed, after = (
            replace(claim, tickets=claim.tickets[part])
            for part in (slice(answered), slice(answered, answered + 1), slice(answered + 1, None))
        )
        claims.spare(after)
        if before.tickets:
            _store(before, reason.answers, done, at=at)
        _failed(blamed, reason, done, at=at)
    except TryAgain as reason:
        _failed(claim, reason, done, at=at)
    else:
        _store(claim, found, done, at=at)


def _failed(claim: Claim, reason: TryAgain, done: Progress, *, at: datetime) -> None:
    tries = claim.tickets[0].attempts
    log.warning("try %d of %d tickets: %s", tries, len(claim.tickets), reason)
    if tries < TRIES:
        claims.give_back(claim)
    else:
        _store(claim, Answers(serving=None, why=_given_up(str(reason))), done, at=at)


def _store(claim: Claim, found: Answers, done: Progress, *, at: datetime) -> None:
    outcomes = deciding.decide(claim, found, at=at)
    version = found.serving.release.version if found.serving else ""
    stored = storing.store(claim, outcomes, version=version, at=at)
    done.decided += stored.decided
    done.runs += stored.runs


def _given_up(why: str) -> str:
    return f"The text could not be classified in {TRIES} tries. {why}"
