"""What would become of texts that are no tickets: the same model, rules and situations, and nothing is stored."""

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from triage.models import Customer, Source, Ticket
from triage.prediction import answers, deciding
from triage.prediction.answers import Hold, TryAgain
from triage.prediction.claims import Claim
from triage.prediction.deciding import Outcome
from triage.serving import Serving

TOGETHER = 100
SECONDS = 20.0
"""The longest that one question of many texts may take."""


class NotNow(Exception):
    """There is no answer now; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """A text as a ticket would bring it, and who would have sent it where."""

    subject: str
    body: str
    language: str = ""
    requester: str = ""
    channel: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Told:
    """What would be decided of each question, in order, and the model that was asked; None where there is none."""

    serving: Serving | None
    outcomes: list[Outcome]


def ask(*, customer: Customer, source: Source | None, questions: Sequence[Question], at: datetime) -> Told:
    """The decision on each text as if it came now through this source, undrawn; raises NotNow.

    Without a source nobody knows how sure the channel is of who asks.
    """
    ends = time.monotonic() + SECONDS
    outcomes: list[Outcome] = []
    model: Serving | None = None
    for start in range(0, len(questions), TOGETHER):
        if time.monotonic() > ends:
            raise NotNow(f"{start} of {len(questions)} texts took {SECONDS:.0f} s. Send fewer at once.")
        tickets = _tickets(customer, source, questions[start : start + TOGETHER], at=at)
        claim = Claim(id=uuid.uuid4(), customer=customer, tickets=tickets, apart=False)
        try:
            found = answers.ask(claim, at=at)
        except (Hold, TryAgain) as error:
            raise NotNow(str(error)) from error
        outcomes += deciding.decide(claim, found, at=at)
        model = found.serving
    return Told(serving=model, outcomes=outcomes)


def _tickets(customer: Customer, source: Source | None, questions: Sequence[Question], *, at: datetime) -> list[Ticket]:
    """Tickets that are never saved; their numbers are no row's."""
    given = source or Source(customer=customer, assurance={})
    made = []
    for number, question in enumerate(questions, 1):
        ticket = Ticket(
            pk=-number,
            customer=customer,
            source=given,
            subject=question.subject,
            body=question.body,
            language=question.language,
            requester=question.requester,
            channel=question.channel,
            fields=dict(question.fields),
            created_at=at,
            updated_at=at,
            received_at=at,
            changed_at=at,
        )
        Ticket._meta.get_field("draw").set_cached_value(ticket, None)  # undrawn, and not looked up
        made.append(ticket)
    return made
