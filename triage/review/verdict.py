"""A person's verdict on a ticket, and the label that it makes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from django.db import transaction

from triage import lifecycle, placing
from triage.models import (
    Customer,
    Decision,
    Draw,
    Label,
    Person,
    Prediction,
    Review,
    Run,
    Ticket,
)
from triage.models.fields import english
from triage.permissions import check_can_order_run, check_can_review
from triage.queries import blind
from triage.queries.log import name_of
from triage.queries.queue import language_of
from triage.review import answering, duplicates, ordering
from triage.review.holding import check_not_held
from triage.review.refused import ReviewRefused
from triage.review.said import Verdict, checked
from triage.telling import tell, tell_verdict

V = Review.Verdict
T = Ticket.Status
LABELLED = {V.ARTICLE: True, V.WRONG_PARAMETERS: True, V.NONE: False, V.NOT_OURS: False}
"""Verdicts that make a label, and whether it is the article; two problems or a duplicate teach nothing."""


def decide(
    *,
    ticket: Ticket,
    person: Person,
    verdict: str,
    at: datetime,
    article: str = "",
    also: Sequence[str] = (),
    note: str = "",
    follow: str = "",
    parameters: Mapping[str, str] | None = None,
    duplicate_of: str = "",
    reply: str = "",
    provenance: str = "desk",
) -> Review:
    """Record a verdict on the text that `ticket` carries, and carry out what follows from it.

    `article` and `also` are labels; `duplicate_of`: the other ticket's number; `reply`: what the requester is sent
    where that is to follow, the article where it is empty; `provenance`: where it was said (desk, note, panel). A drawn
    ticket that went its way already is only answered for, not changed, unless the answer contradicts what was run: then
    it comes back.
    Raises ReviewRefused or PermissionDenied with the reason.
    """
    check_can_review(person, ticket)
    customer = ticket.customer
    if customer is None:
        raise ReviewRefused("This ticket belongs to no customer yet.")
    given = Verdict(verdict, article, note.strip()[:1000], follow, dict(parameters or {}), reply=reply.strip())
    said = checked(given, customer, also=also)
    if said.kind == V.DUPLICATE:
        said = replace(said, original=duplicates.original(ticket, duplicate_of))
    with transaction.atomic():
        current = Ticket.objects.select_for_update().get(pk=ticket.pk)
        _check_still_so(ticket, current, person=person, at=at)
        is_blind = _is_blind(current, person=person, at=at)
        if not is_blind:
            said = _corrected(said, current)
        review = _record(said, customer, current, person=person, is_blind=is_blind, provenance=provenance, at=at)
        if current.status == T.NEEDS_REVIEW:
            _carry_out(review, current, said, person=person, at=at)
        else:
            _compare(review, current, said, at=at)
        Ticket.objects.filter(pk=current.pk, held_by=person).update(held_by=None, held_until=None)
    return review


def _is_blind(ticket: Ticket, *, person: Person, at: datetime) -> bool:
    """Whether nobody could have told the person what we think: one verdict opens the whole cluster."""
    if not blind.awaits_verdict(ticket) or blind.has_looked(person, ticket):
        return False
    return not blind.is_opened(ticket, at=at)


def _corrected(said: Verdict, ticket: Ticket) -> Verdict:
    """Right article, other values than were found: the extraction was wrong, and that is worth knowing."""
    if said.kind != V.ARTICLE or not said.parameters:
        return said
    found = Decision.objects.filter(
        ticket=ticket, text_hash=ticket.text_hash, in_force=True, article=said.label
    ).first()
    if found is None or not found.parameters or found.parameters == said.parameters:
        return said
    return replace(said, kind=V.WRONG_PARAMETERS)


def _record(
    said: Verdict,
    customer: Customer,
    ticket: Ticket,
    *,
    person: Person,
    is_blind: bool,
    provenance: str,
    at: datetime,
) -> Review:
    """The Review, its Label and its line in the log."""
    review = Review.objects.create(
        customer=customer,
        ticket=ticket,
        person=person,
        verdict=said.kind,
        article=said.label,
        also_acceptable=list(said.also),
        duplicate_of=said.original,
        parameters=said.parameters,
        note=said.note,
        follow=said.follow if ticket.status == T.NEEDS_REVIEW else "",
        blind=is_blind,
        provenance=provenance,
        text_hash=ticket.text_hash,
        decided_at=at,
    )
    _label(review, Draw.objects.filter(ticket=ticket).first(), at=at)
    lifecycle.record(
        row=ticket, event="verdict", at=at, actor=f"person:{person.pk}", after=said.kind, reason=_words(said)
    )
    tell_verdict(review, at=at)
    return review


def _check_still_so(seen: Ticket, current: Ticket, *, person: Person, at: datetime) -> None:
    """Refuse where the ticket is no longer what the person looked at."""
    if current.text_hash != seen.text_hash:
        raise ReviewRefused("The ticket's text has changed since you opened it. Read it again.")
    check_not_held(current, person=person, at=at)
    if current.status == T.NEEDS_REVIEW:
        return
    if current.status in blind.ELSEWHERE and blind.awaits_verdict(current):
        if blind.has_looked(person, current):
            raise ReviewRefused("You have seen what Triage thinks of this ticket: somebody else has to answer blind.")
        return
    latest = Review.objects.filter(ticket=current, undone_at__isnull=True).order_by("-pk").first()
    if latest and latest.person and current.status in (T.RESOLVED, T.ANSWERED, T.QUEUED, T.WAITING_APPROVAL):
        who = "You have" if latest.person_id == person.pk else f"{name_of(latest.person)} has"
        raise ReviewRefused(f"{who} decided this ticket already, at {latest.decided_at:%H:%M} UTC.")
    raise ReviewRefused(f"This ticket needs no verdict now: {current.get_status_display().lower()}.")


def _label(review: Review, drawn: Draw | None, *, at: datetime) -> None:
    """The label that the verdict makes, with the chance that its ticket had of being drawn."""
    if review.verdict not in LABELLED:
        return
    ticket = review.ticket
    Label.objects.create(
        customer=review.customer,
        ticket=ticket,
        review=review,
        subject=ticket.subject,
        body=ticket.body,
        language=_language(ticket)[:16],
        article=review.article if LABELLED[V(review.verdict)] else "",
        provenance=f"{review.provenance}-blind" if review.blind else review.provenance,
        draw_purpose=drawn.purpose if drawn else Draw.Purpose.NONE,
        draw_probability=drawn.probability if drawn else 0.0,
        made_at=at,
    )


def _language(ticket: Ticket) -> str:
    found = Prediction.objects.filter(ticket_id=ticket.pk, text_hash=ticket.text_hash, in_force=True).first()
    return language_of(ticket, found)


def _carry_out(review: Review, ticket: Ticket, said: Verdict, *, person: Person, at: datetime) -> None:
    """Move the ticket where the verdict sends it and note what the ITSM is to be told."""
    if said.follow == "run":
        check_can_order_run(person, ticket)
        if said.runbook is None:
            raise ReviewRefused("This article has no runbook.")
        ordering.order(
            ticket=ticket, person=person, label=said.label, runbook=said.runbook, parameters=said.parameters, at=at
        )
        return
    closes = not said.follow and said.kind in (V.ARTICLE, V.WRONG_PARAMETERS, V.DUPLICATE)
    won = lifecycle.advance(
        Ticket.objects.filter(pk=ticket.pk, status=T.NEEDS_REVIEW, text_hash=ticket.text_hash),
        to=T.RESOLVED if closes else T.ANSWERED,
        at=at,
        actor=f"person:{person.pk}",
        reason=f"{name_of(person)}: {_words(said)}"[:1000],
    )
    if not won:
        raise ReviewRefused("Somebody else decided this ticket at the same moment.")
    placing.after_review(review, at=at)
    language = _language(ticket)
    answering.tell(review, article=said.article, reply=said.reply, language=language, closes=closes, at=at)


def _compare(review: Review, ticket: Ticket, said: Verdict, *, at: datetime) -> None:
    """A ticket that was run for comes back where a blind answer contradicts the run."""
    run = Run.objects.filter(ticket=ticket, status=Run.Status.SUCCEEDED).order_by("-pk").first()
    if run is None or run.decision is None or ticket.status != T.RESOLVED:
        return
    fits = run.decision.article in (said.label, *said.also) and said.kind == V.ARTICLE
    if fits and all(run.parameters.get(name) == value for name, value in said.parameters.items()):
        return
    reason = f"A blind check contradicts what was run ({run.decision.article}): {_words(said)}."
    lifecycle.advance(
        Ticket.objects.filter(pk=ticket.pk, status=T.RESOLVED),
        to=T.NEEDS_REVIEW,
        at=at,
        actor=f"person:{review.person_id}",
        reason=reason[:1000],
    )
    # taken back, this verdict was a look: its person now knows what was not right
    lifecycle.record(row=ticket, event=blind.REVEALED, at=at, actor=f"person:{review.person_id}")
    tell(
        kind="verification_contradicts",
        customer=review.customer,
        key=contradiction_key(review),
        text=f"{ticket.external_id}: a blind check contradicts what was run.",
        link=f"/tickets/{ticket.uuid}/",
        ticket=ticket,
        wait=blind.UNDO + blind.GRACE,
        at=at,
    )


def contradiction_key(review: Review) -> str:
    """The occasion's key, where a blind verdict contradicts a run."""
    return f"verify-{review.pk}"


def _words(said: Verdict) -> str:
    """The verdict in words."""
    if said.article:
        text = f"{said.article.key} {said.article.title}"
        text = f"{text}, but with other parameters" if said.kind == V.WRONG_PARAMETERS else text
    else:
        text = english(V(said.kind).label)
        text = f"{text} of {said.original.external_id}" if said.original else text
    return f"{text} ({said.note})" if said.note else text
