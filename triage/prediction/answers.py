"""What the model says of claimed tickets: in this process for a fresh batch, in a child for tickets tried before."""

import json
import logging
import os
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from classifier.articles import Placed
from classifier.estimator import Match, Ranking
from classifier.evidence import Evidence
from classifier.text import Document
from triage import serving
from triage.lake.errors import LakeError
from triage.prediction.claims import Claim
from triage.serving import NoModel, Serving

log = logging.getLogger(__name__)

MATCHES = 5
ALONE_SECONDS = 12
"""The longest that a child may take; shorter than the task's soft limit."""

ALONE_BYTES = 4 << 30
"""Address space of the child."""

ALONE = (sys.executable, "-m", "classifier.alone")

LAKE_PATIENCE = timedelta(minutes=10)
"""A ticket that waited longer for a model that cannot be fetched goes to a person."""


class TryAgain(Exception):
    """Nothing could be said now; the message says why. The try counts."""


class ChildEnded(TryAgain):
    """The child ended early: `answers` are for the tickets before the one that it was reading."""

    def __init__(self, why: str, answers: "Answers") -> None:
        super().__init__(why)
        self.answers = answers


class Hold(Exception):
    """The model cannot be fetched now and none of these tickets has waited too long; the try does not count."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """A ranking for each ticket (None where there is none, and `why`), and the model they come from.

    `new_articles` that the model was not taught, by their texts: only ever suggested.
    """

    serving: Serving | None
    rankings: dict[int, Ranking] = field(default_factory=dict)
    new_articles: dict[int, Placed] = field(default_factory=dict)
    why: str = ""


def ask(claim: Claim, *, at: datetime) -> Answers:
    """The model's answers for a claim's tickets; raises TryAgain or Hold where there are none now."""
    try:
        model = serving.in_force(claim.customer)
    except NoModel as error:
        log.exception("no model for customer %s", claim.customer.slug)
        return Answers(serving=None, why=str(error))
    except LakeError as error:
        if at - min(ticket.changed_at for ticket in claim.tickets) < LAKE_PATIENCE:
            raise Hold(str(error)) from error
        return Answers(serving=None, why=f"The model could not be fetched from the lake for some time: {error}")
    except MemoryError as error:
        raise TryAgain("There was not enough memory to load the model.") from error
    if model is None:
        return Answers(serving=None, why="There is no model yet for this customer.")
    documents = [Document(ticket.subject, ticket.body) for ticket in claim.tickets]
    try:
        if not claim.apart:
            return _answers(model, claim, model.classifier.rank(documents, k=MATCHES))
        rankings, ended = _in_child(model, documents)
        answers = _answers(model, claim, rankings)
    except MemoryError as error:  # let through, it would end the whole worker
        raise TryAgain("There was not enough memory for the batch.") from error
    if ended:
        raise ChildEnded(ended, answers)
    return answers


def _answers(model: Serving, claim: Claim, rankings: list[Ranking]) -> Answers:
    keys = [ticket.pk for ticket in claim.tickets[: len(rankings)]]
    suggested = serving.suggest_new(model, rankings)
    return Answers(
        serving=model,
        rankings=dict(zip(keys, rankings, strict=True)),
        new_articles=dict(zip(keys, suggested, strict=True)),
    )


def _in_child(model: Serving, documents: list[Document]) -> tuple[list[Ranking], str]:
    """Rankings from a child process, in order, and why it ended before the last, if it did.

    A text that kills its reader takes nothing along but the child.
    """
    told = "".join(f"{json.dumps({'subject': document.subject, 'body': document.body})}\n" for document in documents)
    # no key or password of ours is in the environment of a process that reads hostile text
    environment = {"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [*ALONE, str(model.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        encoding="utf-8",
        start_new_session=True,
    ) as child:
        late = False
        try:
            with suppress(ProcessLookupError):
                resource.prlimit(child.pid, resource.RLIMIT_AS, (ALONE_BYTES, ALONE_BYTES))
            output, errors = child.communicate(f"{serving.model_key().hex()}\n{told}", timeout=ALONE_SECONDS)
        except subprocess.TimeoutExpired:
            late = True
            os.killpg(child.pid, signal.SIGKILL)
            output, errors = child.communicate()
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
    whole = output[: output.rfind("\n") + 1].splitlines()
    rankings = [_ranking(json.loads(line)) for line in whole[: len(documents)]]
    if len(rankings) == len(documents):
        return rankings, ""
    if late:
        return rankings, f"Reading the text apart took longer than {ALONE_SECONDS} s."
    if child.returncode < 0:
        return rankings, f"Reading the text apart ended with {signal.Signals(-child.returncode).name}."
    return rankings, f"Reading the text apart failed: {errors.strip()[-300:] or child.returncode}"


def _ranking(told: dict[str, Any]) -> Ranking:
    return Ranking(
        matches=tuple(Match(**match) for match in told["matches"]),
        evidence=Evidence(**told["evidence"]),
        line=told["line"],
    )
