"""Who may do what: each rule stands here once.

`check_can_x` raises PermissionDenied with the reason in a sentence; `can_x` is the same rule as a bool, for templates.
What a person may see is not decided here but by `visible_to` on the query.
"""

from collections.abc import Callable, Iterable
from typing import ParamSpec, TypeAlias

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied

from triage.models import Approval, Customer, Membership, Person, Review, Role, Run, Ticket

Visitor: TypeAlias = Person | AnonymousUser
P = ParamSpec("P")

REVIEWERS = frozenset({Role.AGENT, Role.STEWARD, Role.ADMIN})
APPROVERS = frozenset({Role.APPROVER, Role.ADMIN})
SETTLERS = frozenset({Role.AGENT, Role.APPROVER, Role.ADMIN})
STOPPERS = frozenset({Role.AGENT, Role.APPROVER, Role.STEWARD, Role.ADMIN})
STARTERS = frozenset({Role.ADMIN})
KEEPERS = frozenset({Role.STEWARD, Role.ADMIN})
LOG_READERS = frozenset({Role.AUDITOR, Role.STEWARD, Role.ADMIN})


def _whether(check: Callable[P, None]) -> Callable[P, bool]:
    """The same rule as a bool."""

    def passes(*args: P.args, **kwargs: P.kwargs) -> bool:
        try:
            check(*args, **kwargs)
        except PermissionDenied:
            return False
        return True

    return passes


def check_can_review(person: Visitor, ticket: Ticket) -> None:
    """Give a verdict on a ticket: agents, stewards and administrators of its customer."""
    if ticket.customer_id is None:
        raise PermissionDenied("This ticket belongs to no customer yet. Map its owner at the source first.")
    _need(person, ticket.customer_id, REVIEWERS, "give verdicts")


can_review = _whether(check_can_review)


def check_can_order_run(person: Visitor, ticket: Ticket) -> None:
    """Order a runbook for a ticket: whoever may review it, but nobody for their own request."""
    check_can_review(person, ticket)
    if is_requester(person, ticket):
        raise PermissionDenied("You raised this ticket yourself: somebody else has to order its runbook.")


can_order_run = _whether(check_can_order_run)


def check_can_answer(person: Visitor, approval: Approval) -> None:
    """Approve or refuse: approvers and administrators, never the requester, the one who ordered it, or twice."""
    _need(person, approval.customer_id, APPROVERS, "approve runs")
    if is_requester(person, approval.ticket):
        raise PermissionDenied("You raised this ticket yourself: somebody else has to approve its runbook.")
    ordered = Review.objects.filter(ticket=approval.ticket_id, follow="run", undone_at__isnull=True, person=person.pk)
    if ordered.exists():
        raise PermissionDenied("You ordered this run yourself: somebody else has to approve it.")
    if person.pk in (approval.first_person_id, approval.second_person_id):
        raise PermissionDenied("You have said yes already: a second person has to answer.")


can_answer = _whether(check_can_answer)


def check_can_settle(person: Visitor, run: Run) -> None:
    """Say whether a lost run happened: agents, approvers and administrators."""
    _need(person, run.customer_id, SETTLERS, "settle runs")


can_settle = _whether(check_can_settle)


def check_can_stop(person: Visitor, customer: Customer) -> None:
    """Pull the kill switch: everybody at the customer but auditors, since stopping is always safe."""
    _need(person, customer.pk, STOPPERS, "stop automation")


can_stop = _whether(check_can_stop)


def check_can_start(person: Visitor, customer: Customer) -> None:
    """Let runbooks start again: administrators only."""
    _need(person, customer.pk, STARTERS, "start automation again")


can_start = _whether(check_can_start)


def stops_at(person: Visitor, customers: Iterable[Customer]) -> set[int]:
    """Of these customers those where `check_can_stop` passes; one query for all."""
    return _among(person, customers, STOPPERS)


def starts_at(person: Visitor, customers: Iterable[Customer]) -> set[int]:
    """Of these customers those where `check_can_start` passes; one query for all."""
    return _among(person, customers, STARTERS)


def publishes_at(person: Visitor, customers: Iterable[Customer]) -> set[int]:
    """Of these customers those where `check_can_publish` passes; one query for all."""
    return _among(person, customers, KEEPERS)


def check_can_close_circuit(person: Visitor, customer: Customer) -> None:
    """Close a runbook's error circuit, after which it starts again: approvers and administrators."""
    _need(person, customer.pk, APPROVERS, "close a circuit")


can_close_circuit = _whether(check_can_close_circuit)


def check_can_switch_all(person: Visitor) -> None:
    """Stop or allow starts at all customers at once: the provider's administrators."""
    if not _provider(person):
        raise PermissionDenied("Only the provider's administrators switch automation for all customers.")


can_switch_all = _whether(check_can_switch_all)


def check_can_write_article(person: Visitor, customer: Customer | None) -> None:
    """Write or retire an article: stewards and administrators of its customer; shared ones the provider's only."""
    if customer is not None:
        _need(person, customer.pk, KEEPERS, "write articles")
    elif not _provider(person):
        raise PermissionDenied("Only the provider's administrators write articles that all customers share.")


can_write_article = _whether(check_can_write_article)


def check_can_import_history(person: Visitor, customer: Customer) -> None:
    """Bring past tickets in as labels: stewards and administrators of the customer."""
    _need(person, customer.pk, KEEPERS, "import past tickets")


can_import_history = _whether(check_can_import_history)


def check_can_keep_source(person: Visitor, customer: Customer | None) -> None:
    """Connect and change a source of the customer: its administrators; one that serves many: the provider's only."""
    if customer is not None:
        _need(person, customer.pk, STARTERS, "connect sources")
    elif not _provider(person):
        raise PermissionDenied("Only the provider's administrators connect sources that serve many customers.")


def check_can_see_sources(person: Visitor) -> None:
    """See the sources of some customer: administrators."""
    if not _provider(person) and not administered(person):
        raise PermissionDenied("Sources are open to administrators.")


def check_can_publish(person: Visitor, customer: Customer) -> None:
    """Bring a model release into force, or an earlier one again: model stewards and administrators."""
    _need(person, customer.pk, KEEPERS, "publish models")


can_publish = _whether(check_can_publish)


def check_can_vouch(person: Visitor, customer: Customer) -> None:
    """Say who sits before a panel: the customer's administrators, through the ITSM's server that holds their token."""
    _need(person, customer.pk, STARTERS, "open panels for agents")


can_vouch = _whether(check_can_vouch)


def check_can_read_log(person: Visitor) -> None:
    """Read the log of some customer: auditors, stewards and administrators."""
    if not log_customers(person) and not _provider(person):
        raise PermissionDenied("The log is open to auditors, model stewards and administrators.")


can_read_log = _whether(check_can_read_log)


def rooms(person: Visitor) -> dict[str, bool]:
    """Which of the pages that are not for everybody the navigation names; one query."""
    if _provider(person):
        return {"reads_log": True, "administers": True}
    roles = frozenset[str]().union(*_roles(person).values())
    return {"reads_log": bool(roles & LOG_READERS), "administers": bool(roles & STARTERS)}


def log_customers(person: Visitor) -> list[int]:
    """Customers whose log the person may read. A provider's administrator reads all and needs no list."""
    return _where(person, LOG_READERS)


def check_can_administer(person: Visitor, customer: Customer) -> None:
    """Change a customer's settings and its people's roles: its administrators."""
    _need(person, customer.pk, STARTERS, "change people and settings")


can_administer = _whether(check_can_administer)


def check_can_administer_some(person: Visitor) -> None:
    """See the pages about people, customers and tokens: administrators of at least one customer."""
    if not _provider(person) and not administered(person):
        raise PermissionDenied("People, customers and tokens are for administrators.")


can_administer_some = _whether(check_can_administer_some)


def check_is_provider(person: Visitor) -> None:
    """Change what concerns every customer: the provider's administrators."""
    if not _provider(person):
        raise PermissionDenied("That is for the provider's administrators.")


is_provider = _whether(check_is_provider)


def administered(person: Visitor) -> list[int]:
    """Customers whose administrator the person is. A provider's administrator is that of all and needs no list."""
    return _where(person, STARTERS) if person.is_active else []


def check_can_govern(by: Visitor, person: Person) -> None:
    """Switch an account off or reset it: the provider's administrators, or those of all the customers it belongs to."""
    if _provider(by):
        return
    theirs = set(Membership.objects.filter(person=person.pk).values_list("customer_id", flat=True))
    if person.is_superuser or not theirs or theirs - set(administered(by)):
        raise PermissionDenied(
            "This person works for others too, so only the provider's administrators change the account itself. "
            "You can take away the roles at your customers."
        )


can_govern = _whether(check_can_govern)


def is_requester(person: Visitor, ticket: Ticket) -> bool:
    """Whether the person wrote the ticket, as far as its requester's address or name says."""
    asker = ticket.requester.strip().casefold()
    mine = {getattr(person, "email", "").casefold(), person.get_username().casefold()} - {""}
    return asker in mine


def remember(person: Person) -> None:
    """Read the person's roles once for all that a request asks; what they may see is then told by numbers."""
    person.roles = None if _provider(person) else _roles(person)


def member_of(person: Visitor) -> list[int]:
    """Customers that the person is a member of, in whatever role."""
    return list(_roles(person))


def _roles(person: Visitor) -> dict[int, frozenset[str]]:
    """What the person is at each customer: as remembered, else as it stands."""
    known: dict[int, frozenset[str]] | None = getattr(person, "roles", None)
    if known is not None:
        return known
    found: dict[int, set[str]] = {}
    for customer, role in Membership.objects.filter(person=person.pk).values_list("customer_id", "role"):
        found.setdefault(customer, set()).add(role)
    return {customer: frozenset(roles) for customer, roles in found.items()}


def _need(person: Visitor, customer: int, roles: frozenset[Role], what: str) -> None:
    if _provider(person):
        return
    if not _roles(person).get(customer, frozenset()) & roles:
        names = ", ".join(sorted(role.label.lower() for role in roles))
        raise PermissionDenied(f"You may not {what} for this customer. That takes one of these roles: {names}.")


def _where(person: Visitor, roles: frozenset[Role]) -> list[int]:
    """The customers where the person has one of these roles."""
    return [customer for customer, held in _roles(person).items() if held & roles]


def _among(person: Visitor, customers: Iterable[Customer], roles: frozenset[Role]) -> set[int]:
    keys = {customer.pk for customer in customers}
    if _provider(person):
        return keys
    return keys & set(_where(person, roles))


def _provider(person: Visitor) -> bool:
    return bool(person.is_active and person.is_superuser)
