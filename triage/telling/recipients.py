"""Who gets a mail of a notification: by role at the customer and by runbook, as each person chose. Nobody is mailed
about a customer whose rows they could not see on the desk.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q, QuerySet

from triage.models import Customer, MailChoice, Membership, Person, Role, RunbookOwner, Ticket
from triage.permissions import is_requester
from triage.telling.kinds import KINDS, Audience

ROLES = {
    Audience.APPROVERS: (Role.APPROVER,),
    Audience.STEWARDS: (Role.STEWARD,),
    Audience.ADMINS: (Role.ADMIN,),
    Audience.EVERYONE: (Role.APPROVER, Role.STEWARD, Role.ADMIN),
}
WHY = {
    Audience.OWNER: "you own this runbook",
    Audience.APPROVERS: "you are an approver there",
    Audience.STEWARDS: "you are a model steward there",
    Audience.ADMINS: "you are an administrator there",
    Audience.EVERYONE: "you are an approver, a model steward or an administrator there",
    Audience.PROVIDER: "you administer this installation",
    Audience.NOBODY: "",
}


@dataclass(frozen=True)
class Recipient:
    """An address in small letters and, in words, why it is told."""

    address: str
    why: str


def recipients(
    kind: str,
    *,
    customer: Customer | None,
    runbook: str = "",
    ticket: Ticket | None = None,
    but: Collection[int | None] = (),
) -> tuple[Recipient, ...]:
    """Who is mailed. `but`: people by primary key who cannot act on it; nor may who raised the ticket approve."""
    told = KINDS[kind].audience
    if told is Audience.NOBODY:
        return ()
    if told is Audience.OWNER:
        owners = _owners(customer, runbook)
        if owners is not None:
            return _once([*_willing(owners[0], kind, WHY[told]), *owners[1]])
    for people, why in _circles(told, customer):
        able = [one for one in people if one.email and one.pk not in but and not _own(told, one, ticket)]
        if able:
            return _once(_willing(able, kind, why))
    return ()


def _circles(told: Audience, customer: Customer | None) -> Iterable[tuple[Iterable[Person], str]]:
    """Who is asked first, and who in their place where there is nobody."""
    if customer is not None and told is not Audience.PROVIDER:
        if told in ROLES:
            yield _with_role(customer, ROLES[told]), WHY[told]
        yield _with_role(customer, (Role.ADMIN,)), WHY[Audience.ADMINS]
    yield Person.objects.filter(is_active=True, is_superuser=True), WHY[Audience.PROVIDER]


def _with_role(customer: Customer, roles: Collection[str]) -> "QuerySet[Person]":
    held = Membership.objects.filter(customer=customer, role__in=roles, person=OuterRef("pk"))
    return Person.objects.filter(Exists(held), is_active=True)


def _owners(customer: Customer | None, runbook: str) -> tuple[list[Person], list[Recipient]] | None:
    """The people and the team of the customer's own row for the runbook, else of the row for all; None without."""
    rows = RunbookOwner.objects.filter(Q(customer=customer) | Q(customer__isnull=True), runbook=runbook)
    row = rows.order_by("customer_id").first() if customer is None else None
    if customer is not None:
        row = rows.filter(customer=customer).first() or rows.filter(customer__isnull=True).first()
    if row is None:
        return None
    member = Exists(Membership.objects.filter(customer=customer, person=OuterRef("pk")))
    people = list(row.people.filter(member | Q(is_superuser=True), is_active=True))
    team = [Recipient(row.mail.lower(), "this is the address of the runbook's owner")] if row.mail else []
    return (people, team) if people or team else None


def _own(told: Audience, person: Person, ticket: Ticket | None) -> bool:
    return told is Audience.APPROVERS and ticket is not None and is_requester(person, ticket)


def _willing(people: Iterable[Person], kind: str, why: str) -> list[Recipient]:
    """Those with an address who want this kind by mail."""
    chosen = dict(MailChoice.objects.filter(kind=kind).values_list("person_id", "wanted"))
    default = KINDS[kind].mail
    return [Recipient(one.email.lower(), why) for one in people if one.email and chosen.get(one.pk, default)]


def _once(found: Iterable[Recipient]) -> tuple[Recipient, ...]:
    by_address: dict[str, Recipient] = {}
    for one in found:
        by_address.setdefault(one.address, one)
    return tuple(by_address.values())
