"""The private note with the suggestion: which tickets get one, until when it is worth writing, and what it says.

A source asks for it by `"suggestion_notes": true` in its settings. The row is made with the decision; the text is made
when the note is written, so that it says what is still so.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from urllib.parse import quote

from triage.environment import environment
from triage.models import Ticket, Writeback
from triage.queries import blind
from triage.queries.candidates import Candidate, Listed, listed
from triage.queries.sureness import as_percent, in_words
from triage.queries.ticket import prediction_of

SETTING = "suggestion_notes"
ABOUT = "suggests"
"""The key of a row's content that holds the hash of the text that the suggestion is for."""

HASH_SHOWN = 16
"""How many digits of the text's hash a link carries: it tells texts apart and opens nothing."""

CHOICES = ("accept", "other", "none")
OTHERS = 2


def announce(tickets: Iterable[Ticket], *, at: datetime) -> int:
    """The ITSM is to hear what is suggested for these tickets, where their sources ask for it; how many rows.

    Drawn tickets are never handed in: a note would tell whoever answers blind.
    """
    rows = [_row(ticket, at=at) for ticket in tickets if ticket.source.settings.get(SETTING) is True]
    Writeback.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)


def outdated(row: Writeback, ticket: Ticket, *, at: datetime) -> str | None:
    """Why this suggestion is not to be written any more, in a sentence; None for all other rows and while it holds."""
    if ABOUT not in row.content:
        return None
    if ticket.text_hash != row.content[ABOUT]:
        return "The ticket's text changed before the suggestion was written."
    if ticket.status != Ticket.Status.NEEDS_REVIEW:
        return "The ticket was decided before the suggestion was written."
    if blind.sealed([ticket], at=at):
        return "The ticket was drawn for a blind check: no suggestion is written."
    if not _listed(ticket).candidates:
        return "There is no suggestion any more."
    return None


def content(row: Writeback, ticket: Ticket) -> Mapping[str, object]:
    """What the ITSM is told: the row's own content, and for a suggestion its text as of now."""
    if ABOUT not in row.content:
        return dict(row.content)
    return {**row.content, "text": text(ticket), "public": False}


def text(ticket: Ticket) -> str:
    """The note: the articles in order with their probability in words, why, and a link for each choice."""
    found = _listed(ticket)
    prediction = prediction_of(ticket)
    lines = []
    if found.none and found.none.first:
        lines.append(f"Triage: probably none of the articles fits (in-scope score {found.none.in_scope:.2f}).")
    first, *others = found.candidates
    lines.append(f"Triage suggests {_named(first)}: {_sure(first)}.")
    lines += [f"Also possible: {_named(one)}: {_sure(one)}." for one in others[:OTHERS]]
    if why := (prediction.evidence.get("reason") or prediction.reason if prediction else ""):
        lines.append(f"Why: {why}")
    lines += [
        "",
        f"Use this article: {link(ticket, 'accept', first.label)}",
        f"Another one: {link(ticket, 'other')}",
        f"None of these: {link(ticket, 'none')}",
    ]
    return "\n".join(lines)


def link(ticket: Ticket, choice: str, label: str = "") -> str:
    """Where a choice is shown and made. It is no credential: it names ticket, text, choice and article."""
    chosen = f"?article={quote(label, safe='')}" if label else ""
    return f"{environment().base_url}/choose/{ticket.uuid}/{ticket.text_hash[:HASH_SHOWN]}/{choice}/{chosen}"


def _row(ticket: Ticket, *, at: datetime) -> Writeback:
    return Writeback(
        customer=ticket.customer,
        ticket=ticket,
        key=f"suggestion-{ticket.pk}-{ticket.text_hash[:HASH_SHOWN]}",
        what="note",
        content={ABOUT: ticket.text_hash},
        next_at=at,
        created_at=at,
    )


def _listed(ticket: Ticket) -> Listed:
    return listed(ticket, prediction_of(ticket))


def _named(one: Candidate) -> str:
    return f"{one.article.key} {one.article.title}" if one.article else one.label


def _sure(one: Candidate) -> str:
    if one.probability is None:
        return f"new article, {'strong' if one.is_strong else 'fair'} likeness of the texts ({one.likeness:.2f})"
    return f"{in_words(one.probability)} ({as_percent(one.probability)})"
