"""The event `ticket.decided`: what became of a ticket, for other programs; nothing on the desk and no mail.

It is a stream of one event a ticket, so it goes only where an endpoint names it. Nothing of a customer in observe mode,
and nothing of what the model thinks of a drawn ticket before the blind verdict can no longer be undone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from triage.models import Customer, Decision, Mode, Notification, Posting, Prediction, Review, Ticket
from triage.queries import articles
from triage.queries.blind import GRACE, UNDO
from triage.queries.log import name_of
from triage.telling.kinds import DECIDED, KINDS
from triage.telling.rows import LONGEST_TEXT, endpoints_of, plain

BATCH = 500
AT_ONCE = timedelta(0)


@dataclass(frozen=True, kw_only=True)
class Decided:
    """One ticket's decision. `by`: `model`, `person` or `itsm`; `said`: further fields of the event."""

    ticket: Ticket
    key: str
    by: str
    label: str
    reason: str
    probability: float | None = None
    said: Mapping[str, str | float] = field(default_factory=dict)


def listeners(customer: Customer) -> list[int]:
    """The endpoints that asked for this event by name; none for a customer that is only observed."""
    return [] if customer.mode == Mode.OBSERVE else endpoints_of(KINDS[DECIDED].event, customer)


def tell_decided(
    customer: Customer, found: Sequence[Decided], *, endpoints: Sequence[int], at: datetime, wait: timedelta = AT_ONCE
) -> None:
    """Write one event for each decision and endpoint, set by set, in the caller's transaction; sent after `wait`."""
    if not (found and endpoints):
        return
    shown = articles.by_label([(customer.pk, one.label) for one in found])
    keys = {label: one.article.key for (_, label), one in shown.items()}
    rows = [_row(customer, one, keys.get(one.label), at=at) for one in found]
    made = Notification.objects.bulk_create(rows, batch_size=BATCH)
    common = {"next_at": at + wait, "created_at": at}
    Posting.objects.bulk_create(
        [Posting(notification=row, endpoint_id=endpoint, **common) for row in made for endpoint in endpoints],
        batch_size=BATCH,
    )


def tell_verdict(review: Review, *, at: datetime) -> None:
    """The verdict of a person, here or in the ITSM, with what the model had thought; told once it cannot be undone."""
    endpoints = listeners(review.customer)
    if not endpoints:
        return
    ticket, here = review.ticket, review.person is not None
    said: dict[str, str | float] = {"verdict": review.verdict, "follow": review.follow, "where": review.provenance}
    said |= _thought(ticket)
    said |= {"who": name_of(review.person)} if here else {}
    one = Decided(
        ticket=ticket,
        key=verdict_key(review),
        by="person" if here else "itsm",
        label=review.article,
        reason="" if here else "An agent attached this article in the ITSM.",
        said=said,
    )
    tell_decided(review.customer, [one], endpoints=endpoints, at=at, wait=UNDO + GRACE if here else AT_ONCE)


def verdict_key(review: Review) -> str:
    """The occasion's key: a verdict is told once."""
    return f"decided-review-{review.pk}"


def _thought(ticket: Ticket) -> dict[str, str | float]:
    """What the model had said of the same text, where it had."""
    decision = Decision.objects.filter(ticket=ticket, text_hash=ticket.text_hash, in_force=True).first()
    found = Prediction.objects.filter(ticket_id=ticket.pk, text_hash=ticket.text_hash, in_force=True).first()
    if decision is None or found is None or not found.matches:
        return {}
    return {"model_label": str(found.matches[0]["label"]), "model_probability": found.probability}


def _row(customer: Customer, one: Decided, key: str | None, *, at: datetime) -> Notification:
    about = key or one.label or one.said.get("verdict", "no article")
    sure = f" ({one.probability:.0%})" if one.probability is not None and one.label else ""
    how = one.said.get("decision") or one.by
    return Notification(
        customer=customer,
        kind=DECIDED,
        key=one.key,
        text=plain(f"{one.ticket.external_id}: {how}, {about}{sure}.")[:LONGEST_TEXT],
        link=f"/tickets/{one.ticket.uuid}/",
        desk=False,
        data={
            "ticket": one.ticket.external_id,
            "ticket_uuid": str(one.ticket.uuid),
            "by": one.by,
            "article": key,
            "label": one.label or None,
            "probability": one.probability,
            "reason": plain(one.reason)[:LONGEST_TEXT],
            **{name: value for name, value in one.said.items() if value},
        },
        created_at=at,
    )
