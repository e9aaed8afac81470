"""The panel inside the ITSM: who may open it for which ticket, and for how long. No cookie reaches an iframe.

The ITSM's server asks for a *launch*: a signed pass for one ticket and agent, good for two minutes and one use. The
panel trades it for a *seat*, good for ten minutes and renewed while the panel is open. Both are bound to source, ticket
and person; what the person may do is looked up at each request, as on the desk.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from django.core import signing
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from triage import keys, lifecycle
from triage.environment import environment
from triage.models import Membership, Panel, Person, Ticket, Token, UsedLaunch
from triage.permissions import can_vouch, check_can_vouch

Kind = Literal["launch", "seat"]
LIVES = {"launch": timedelta(minutes=2), "seat": timedelta(minutes=10)}
LONGEST = timedelta(hours=8)
"""However often it is renewed, a seat ends this long after the ITSM vouched for the agent: a shift."""

LONGEST_PASS = 600


class PanelRefused(Exception):
    """This pass opens nothing; the message says why, and nothing of what it would have opened."""


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What the ITSM's server is given for one agent and ticket. `url` carries the pass where no log sees it."""

    token: str
    url: str
    expires_at: datetime
    ticket: Ticket
    person: Person


@dataclass(frozen=True, kw_only=True)
class Seat:
    """Who sits before the panel of which ticket, and since when the ITSM has vouched for them, by which API token."""

    panel: Panel
    ticket: Ticket
    person: Person
    begun: datetime
    token: int


def live(slug: str) -> Panel | None:
    """The panel of this source, where it is switched on and somebody may embed it."""
    rows = Panel.objects.filter(source__slug=slug, source__enabled=True, enabled=True).exclude(origins=[])
    return rows.select_related("source").first()


def launch(*, token: Token, slug: str, ref: str, agent: str, at: datetime) -> Launch:
    """A pass for the agent whom the ITSM names by mail address or user name, to the ticket that it names.

    `token`: the ITSM's own, whose owner vouches; the pass ends with it. Ticket.DoesNotExist where that person may
    not see the ticket, or its source has no panel; PermissionDenied, with a sentence, where they may not vouch or the
    agent is nobody who may see the ticket.
    """
    panel, vouching = live(slug), token.person
    rows = Ticket.objects.visible_to(vouching).filter(_named(ref), customer__isnull=False)
    mine = rows.filter(source=panel.source) if panel else rows.none()
    ticket = mine.select_related("source", "customer").order_by("pk").first()
    if panel is None or ticket is None or ticket.customer is None:
        raise Ticket.DoesNotExist
    check_can_vouch(vouching, ticket.customer)
    person = _agent(agent, ticket)
    seat = Seat(panel=panel, ticket=ticket, person=person, begun=at, token=token.pk)
    secret = _signed("launch", seat, at=at)
    path = reverse("panel", args=[panel.source.slug, ticket.uuid])
    lifecycle.record(
        row=ticket,
        event="panel opened",
        at=at,
        actor=f"person:{person.pk}",
        reason=f"The ITSM vouched, by a token of {vouching.get_username()}.",
    )
    url = f"{environment().base_url}{path}#{urlencode({'pass': secret})}"
    return Launch(token=secret, url=url, expires_at=at + LIVES["launch"], ticket=ticket, person=person)


def seated(secret: str, *, kind: Kind, slug: str, ref: str, at: datetime) -> Seat:
    """Whom this pass of this kind seats at this source's panel of this ticket; raises PanelRefused for every other.

    A launch is used up by this, whatever becomes of the answer.
    """
    told = _read(secret, kind=kind, at=at)
    ref = ref.replace("\x00", "")  # no id of a ticket has one, and PostgreSQL refuses the question
    panel = live(slug)
    if panel is None or told["s"] != panel.source_id:
        raise PanelRefused(_("This panel is switched off, or the pass is for another one."))
    person = Person.objects.filter(pk=told["p"], is_active=True, sessions_era=told["v"]).first()
    if person is None:
        raise PanelRefused(_("Your account was closed, or all its sessions were ended."))
    rows = Ticket.objects.visible_to(person).filter(_named(ref), uuid=told["t"], source=panel.source)
    ticket = rows.select_related("source", "customer", "held_by").first()
    if ticket is None or not _is_member(person, ticket):
        raise PanelRefused(_("This pass is for another ticket, or the ticket is no longer yours to see."))
    if not _is_vouched_for(told.get("k", 0), ticket, at=at):
        raise PanelRefused(_("The token by which the ITSM opens panels is no longer in force."))
    if kind == "launch":
        _use(told, at=at)
    begun = datetime.fromtimestamp(told["b"], UTC)
    return Seat(panel=panel, ticket=ticket, person=person, begun=begun, token=told["k"])


def _use(told: Mapping[str, Any], *, at: datetime) -> None:
    """Claim the launch, or refuse it: of two who bring the same one, the database lets one in."""
    number = str(told.get("n") or "")
    UsedLaunch.objects.filter(expires_at__lt=at - LIVES["launch"]).delete()
    row = UsedLaunch(
        digest=hashlib.sha256(number.encode()).hexdigest(), expires_at=datetime.fromtimestamp(told["e"], UTC)
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        raise PanelRefused(_("This pass was used already. Open the panel again in the ITSM.")) from None


def pass_for(seat: Seat, *, at: datetime) -> str:
    """A fresh seat for whoever sits there; it never lasts beyond LONGEST after the ITSM vouched."""
    return _signed("seat", seat, at=at)


def _signed(kind: Kind, seat: Seat, *, at: datetime) -> str:
    told = {
        "s": seat.panel.source_id,
        "t": str(seat.ticket.uuid),
        "p": seat.person.pk,
        "v": seat.person.sessions_era,
        "k": seat.token,
        "b": int(seat.begun.timestamp()),
        "e": int(min(at + LIVES[kind], seat.begun + LONGEST).timestamp()),
    }
    number = {"n": secrets.token_urlsafe(16)} if kind == "launch" else {}
    return _signer(kind).sign_object({**told, **number})


def _read(secret: str, *, kind: Kind, at: datetime) -> dict[str, Any]:
    try:
        told: dict[str, Any] = _signer(kind).unsign_object(secret[:LONGEST_PASS])
    except signing.BadSignature:
        raise PanelRefused(_("This pass is not one of ours. Open the panel again in the ITSM.")) from None
    if told["e"] <= at.timestamp():
        raise PanelRefused(_("This pass has expired. Open the panel again in the ITSM."))
    return told


def _signer(kind: Kind) -> signing.Signer:
    """HMAC-SHA256 over the pass and its kind, so that a launch is no seat and a seat no launch."""
    return signing.Signer(key=keys.derive("panel").hex(), salt=f"triage.panel.{kind}", algorithm="sha256")


def _named(ref: str) -> Q:
    """The ticket by the ITSM's own id, or by ours."""
    return Q(external_id=ref) | (Q(uuid=ref) if _is_uuid(ref) else Q())


def _is_uuid(ref: str) -> bool:
    return len(ref) == 36 and all(letter in "0123456789abcdef-" for letter in ref) and ref.count("-") == 4


def _agent(agent: str, ticket: Ticket) -> Person:
    """The one active member of the ticket's customer with this mail address or user name, in any case."""
    name = agent.strip()
    rows = Person.objects.filter(Q(email__iexact=name) | Q(username__iexact=name), is_active=True)
    found = list(rows.filter(membership__customer=ticket.customer_id).distinct()[:2]) if name else []
    if len(found) != 1:
        many = "Several people here have" if found else "Nobody at this ticket's customer has"
        raise PermissionDenied(f"{many} the mail address or user name {name[:80]!r}. An administrator can mend that.")
    return found[0]


def _is_vouched_for(token: int, ticket: Ticket, *, at: datetime) -> bool:
    """Whether the token that opened the panel would still open it: who takes back a stolen one ends what it opened."""
    rows = Token.objects.filter(pk=token, revoked_at__isnull=True, expires_at__gt=at, person__is_active=True)
    found = rows.select_related("person").first()
    return bool(found and ticket.customer and can_vouch(found.person, ticket.customer))


def _is_member(person: Person, ticket: Ticket) -> bool:
    """Superusers see every customer's tickets on the desk; an ITSM can vouch for its customer's own people only."""
    return Membership.objects.filter(person=person.pk, customer=ticket.customer_id).exists()
