"""What was understood of a message: each field as the product will use it, what is missing and how to mend it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from classifier.text import Document, joined, text_hash
from triage import itsm, sampling
from triage.intake.owners import Owners
from triage.intake.pages import parsed_again
from triage.intake.storms import storm_key
from triage.itsm.base import BadLine, IncomingTicket, PayloadTooLarge, is_elsewhere, is_own_user, is_settled
from triage.models import Article, Customer, Draw, Source, Ticket
from triage.models.source import Assurance
from triage.prediction import asking
from triage.queries import articles, blind

MOST_READ = 5
LONGEST_TEXT = 3000
RAW_BYTES = 32 * 1024
MASK = "••••••"
_SECRET_KEY = re.compile(
    r'("[^"\\]{0,40}(?:password|passwd|secret|token|api_?key|authorization)[^"\\]{0,40}"\s{0,8}:\s{0,8}")[^"\\]{1,4000}(?=")',
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Missing:
    """Something that the product could use and does not have. `grave`: the ticket waits for it."""

    what: str
    mend: str
    grave: bool = False


@dataclass(frozen=True)
class Would:
    """What would be decided of the ticket; `ranked`: (article or label, probability)."""

    reason: str
    ranked: tuple[tuple[Article | str, float], ...] = ()
    sealed: bool = False


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One ticket of a message. `known`: it is a change of a ticket that is here already."""

    line: int
    told: IncomingTicket
    text: str
    customer: Customer | None
    owner: tuple[tuple[str, str], ...]
    assurance: Assurance
    settled: bool
    elsewhere: bool
    own: bool
    known: bool
    missing: tuple[Missing, ...]


@dataclass(frozen=True)
class Understood:
    """What a message says: the first few tickets, how many there are, and what of it cannot be used."""

    readings: tuple[Reading, ...]
    total: int
    problems: tuple[BadLine, ...]


def understand(source: Source, *, body: bytes, headers: Mapping[str, str], received_at: datetime) -> Understood:
    """Read a message as intake will, and store nothing."""
    if source.kind not in itsm.SOURCES:
        return Understood((), 0, (BadLine(0, f"there is no kind {source.kind!r} of source any more"),))
    try:
        parsed, _pulled = parsed_again(source, body=body, headers=headers, received_at=received_at)
    except PayloadTooLarge as error:
        return Understood((), 0, (BadLine(0, str(error)),))
    return Understood(readings(source, list(parsed.tickets)), len(parsed.tickets), parsed.problems)


def readings(source: Source, tickets: list[tuple[int, IncomingTicket]]) -> tuple[Reading, ...]:
    """The first few of these tickets, as the product will use them."""
    some = tickets[:MOST_READ]
    owners = Owners(source, [told.owner for _, told in some])
    ids = [told.external_id for _, told in some]
    known = set(Ticket.objects.filter(source=source, external_id__in=ids).values_list("external_id", flat=True))
    return tuple(_reading(source, line, told, owners, known) for line, told in some)


def _reading(source: Source, line: int, told: IncomingTicket, owners: Owners, known: set[str]) -> Reading:
    customer = owners.of(told.owner)
    return Reading(
        line=line,
        told=told,
        text=joined(Document(told.subject, told.body))[:LONGEST_TEXT],
        customer=customer,
        owner=tuple(told.owner.items()),
        assurance=source.assurance_of(told.channel),
        settled=is_settled(source, told.status),
        elsewhere=is_elsewhere(source, told.group),
        own=is_own_user(source, told.author),
        known=told.external_id in known,
        missing=tuple(_missing(source, told, customer=customer, known=told.external_id in known)),
    )


def _missing(source: Source, told: IncomingTicket, *, customer: Customer | None, known: bool) -> list[Missing]:
    found: list[Missing] = []

    def lacks(when: bool, what: str, mend: str, *, grave: bool = False) -> None:
        found.extend([Missing(what, mend, grave)] if when else [])

    named = ", ".join(f"{part} {value[:80]}" for part, value in told.owner.items())
    lacks(
        customer is None and bool(named),
        _("No customer answers for %(named)s.") % {"named": named},
        _("Map one of these values to a customer on the source's page; until then the ticket waits."),
        grave=True,
    )
    lacks(
        customer is None and not named,
        _("It names no company, domain, project or organisation, so nobody knows whose it is."),
        _("Let the sender tell one of them in its fields, or give the source a customer."),
        grave=True,
    )
    text = bool((told.subject + told.body).strip())
    lacks(not (text or known), _("It has no text to classify."), _("Send subject and body."), grave=True)
    lacks(not told.requester, _("Nobody is named who asks."), _("Runbooks that act for the requester need an address."))
    level = source.assurance_of(told.channel)
    lacks(
        level == Assurance.NONE,
        _("Nobody said how sure the channel %(channel)s is of who asks.") % {"channel": told.channel or _("(none)")},
        _("Runbooks that need to know wait for a person. Set the channel's level, if it deserves one."),
    )
    lacks(not told.status, _("It tells no status."), _("Without one a ticket that is solved there stays open here."))
    lacks(
        "updated_at" not in told.stated,
        _("It does not say when it changed."),
        _("Send updated_at, so that a message that comes late overwrites nothing newer."),
    )
    lacks(told.due_at is None, _("It has no due time."), _("The queue sorts it by its age."))
    return found


def would(source: Source, reading: Reading, *, at: datetime) -> Would | None:
    """What the ticket would get now; None without a customer or a text. Nothing is told of what is answered blind."""
    told, customer = reading.told, reading.customer
    if customer is None or not reading.text or told.comment:
        return None
    if _is_sealed(source, told, customer, at=at):
        return Would(_("It falls into a blind check: nobody sees a suggestion before the verdict."), sealed=True)
    question = asking.Question(
        subject=told.subject,
        body=told.body,
        language=told.language,
        requester=told.requester,
        channel=told.channel,
        fields=told.fields,
    )
    try:
        answer = asking.ask(customer=customer, source=source, questions=[question], at=at)
    except asking.NotNow as error:
        return Would(str(error))
    outcome = answer.outcomes[0]
    matches = outcome.ranking.matches[:3] if outcome.ranking else ()
    shown = articles.by_label((customer.pk, match.label) for match in matches)
    ranked = []
    for match in matches:
        found = shown.get((customer.pk, match.label))
        ranked.append((found.article if found else match.label, match.probability))
    return Would(outcome.routed.reason, tuple(ranked))


def _is_sealed(source: Source, told: IncomingTicket, customer: Customer, *, at: datetime) -> bool:
    """Drawn already, about to be drawn, or with the very text of one that is: its answer would tell theirs."""
    alike = Ticket.objects.of(customer).filter(text_hash=text_hash(Document(told.subject, told.body)))
    mine = Ticket.objects.filter(source=source, external_id=told.external_id)
    if blind.sealed_among(alike, at=at).exists() or blind.sealed_among(mine, at=at).exists():
        return True
    if mine.exists():
        return False
    key = storm_key(
        source=source,
        subject=told.subject,
        body=told.body,
        requester=told.requester,
        actor=told.actor,
        fields=told.fields,
    )
    return sampling.draw(customer=customer, storm_key=key, at=at).purpose != Draw.Purpose.NONE


def shown_raw(source: Source, body: bytes) -> str:
    """The first bytes as text for a page, without the source's secrets and what is named like one."""
    text = body[:RAW_BYTES].decode("utf-8", "replace")
    for secret in [*source.signing_secrets(), *_credential_values(source)]:
        text = text.replace(secret, MASK)
    return _SECRET_KEY.sub(rf"\g<1>{MASK}", text)


def _credential_values(source: Source) -> list[str]:
    try:
        told = json.loads(source.credentials) if source.credentials else {}
    except ValueError:
        return []
    names = ("password", "token", "value", "client_secret")
    return [value for name in names if isinstance(value := told.get(name), str) and len(value) > 3]


def shown_headers(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """The headers that are kept, signatures cut short: they are valid for this message for some minutes."""
    return [(name, _short(value) if "signature" in name else value) for name, value in sorted(headers.items())]


def _short(value: str) -> str:
    return f"{value[:14]}…" if len(value) > 14 else value
