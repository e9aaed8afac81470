"""Answers become decisions: what each ticket's situation is, gathered once for the whole batch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from classifier.articles import Placed
from classifier.estimator import Ranking
from classifier.text import Document
from runbooks.base import ASSURANCES, Assurance
from runbooks.environments import UNSAID, strictest
from triage import automation, obstacles, routing, serving
from triage.models import Draw, Mode, Target, Ticket
from triage.prediction.answers import Answers
from triage.prediction.claims import Claim
from triage.routing import Offer, Pick, Proof, Routed, Situation
from triage.serving import Serving
from triage.targets import object_of, target_for


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One ticket's decision; `ranking` is None where no model answered. `new_articles` had no part in the decision."""

    ticket: Ticket
    routed: Routed
    ranking: Ranking | None
    drawn: bool
    new_articles: Placed = field(default_factory=Placed)


def decide(claim: Claim, answers: Answers, *, at: datetime) -> list[Outcome]:
    """A decision for each ticket of the claim, in order."""
    model = answers.serving
    if model is None:
        mode = Mode.OBSERVE if claim.customer.mode == Mode.OBSERVE else Mode.SUGGEST
        unread = Routed(mode=mode, reason=answers.why)
        return [
            Outcome(ticket=ticket, routed=unread, ranking=None, drawn=drawn_for(ticket) != Draw.Purpose.NONE)
            for ticket in claim.tickets
        ]
    return [
        Outcome(
            ticket=ticket,
            routed=routing.decide(situation),
            ranking=answers.rankings[ticket.pk],
            drawn=drawn_for(ticket) != Draw.Purpose.NONE,
            new_articles=answers.new_articles[ticket.pk],
        )
        for ticket, situation in zip(claim.tickets, situations(claim, model, answers.rankings, at=at), strict=True)
    ]


def situations(claim: Claim, model: Serving, rankings: Mapping[int, Ranking], *, at: datetime) -> list[Situation]:
    """Everything that the decision about each ticket of the claim depends on, in order."""
    with serving.offered(claim.customer) as articles:
        picks = {ticket.pk: _pick(ticket, rankings[ticket.pk], articles) for ticket in claim.tickets}
        proofs = serving.proofs(model, articles=articles, at=at)
    grounds = _grounds(claim, picks, at=at)
    return [_situation(claim, ticket, picks[ticket.pk], model, proofs, grounds, at=at) for ticket in claim.tickets]


def drawn_for(ticket: Ticket) -> str:
    """What the ticket's cluster was drawn for."""
    draw: Draw | None = getattr(ticket, "draw", None)
    return draw.purpose if draw else Draw.Purpose.NONE


def _pick(ticket: Ticket, ranking: Ranking, articles: Mapping[str, Offer]) -> Pick:
    return routing.selected(
        ranking=ranking,
        articles=articles,
        document=Document(ticket.subject, ticket.body),
        requester=ticket.requester,
        fields=ticket.fields,
        reference=ticket.external_id,
    )


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What holds for all runs of one runbook at the claim's customer; `rules` are those of the environments."""

    obstacle: str | None
    target: Target | None
    rules: tuple[Mapping[str, str], ...]


def _grounds(claim: Claim, picks: Mapping[int, Pick], *, at: datetime) -> dict[str, Ground]:
    """What the start of each runbook that was picked depends on, asked once for the batch."""
    picked = {pick.runbook.key: pick.runbook for pick in picks.values() if pick.runbook}
    return {
        key: Ground(
            obstacle=automation.obstacle(customer=claim.customer, runbook=runbook, at=at),
            target=target_for(claim.customer, runbook),
            rules=obstacles.rules_for(claim.customer, runbook),
        )
        for key, runbook in picked.items()
    }


def _situation(
    claim: Claim,
    ticket: Ticket,
    pick: Pick,
    model: Serving,
    proofs: tuple[Proof, ...],
    grounds: Mapping[str, Ground],
    *,
    at: datetime,
) -> Situation:
    attached = routing.attachment_is_content(
        body=ticket.body, attachments=ticket.attachments, text=model.classifier.pipeline_
    )
    ground = grounds.get(pick.runbook.key) if pick.runbook else None
    environment: str = UNSAID
    if pick.runbook and ground:
        environment = obstacles.environment_of(
            ground.target, object_of(pick.runbook, parameters=pick.parameters, ticket=ticket)
        )
    return Situation(
        at=at,
        mode=claim.customer.mode,
        pick=pick,
        certificates=proofs,
        assurance=_assurance(ticket),
        obstacle=ground.obstacle if ground else None,
        environment=environment,
        rule=strictest(environment, *(ground.rules if ground else ())),
        drawn=drawn_for(ticket),
        attachment_is_content=attached,
        touched_at=ticket.updated_at,
    )


def _assurance(ticket: Ticket) -> Assurance:
    known = ticket.source.assurance_of(ticket.channel)
    return next(level for level in ASSURANCES if level == known)
