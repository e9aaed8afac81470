"""People, customers and tokens that an administrator is there for; of each person only what is theirs to see."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Count, Q, QuerySet

from triage.models import Budget, Customer, Identity, Membership, Person, SecondFactor, Source, Token
from triage.permissions import administered

PAGE = 50


@dataclass
class Row:
    """A person with the roles at customers that the reader administers."""

    person: Person
    roles: dict[Customer, list[str]] = field(default_factory=dict)
    second_factor: bool = False
    linked: bool = False


def customers_administered(by: Person) -> QuerySet[Customer]:
    """Customers that the person administers, by name."""
    rows = Customer.objects.order_by("name", "pk")
    return rows if by.is_superuser else rows.filter(pk__in=administered(by))


def people(by: Person) -> QuerySet[Person]:
    """People of the customers that the reader administers; everybody for a provider's administrator."""
    rows = Person.objects.order_by("username", "pk")
    if by.is_superuser:
        return rows
    return rows.filter(pk__in=Membership.objects.filter(customer__in=administered(by)).values("person"))


def page(by: Person, *, text: str = "", state: str = "", after: str = "") -> tuple[list[Row], str | None]:
    """One page of people by sign-in name, and after which name the next one starts."""
    rows = people(by)
    for word in text.split()[:4]:
        named = Q(username__icontains=word) | Q(first_name__icontains=word) | Q(last_name__icontains=word)
        rows = rows.filter(named | Q(email__icontains=word))
    if state in ("on", "off"):
        rows = rows.filter(is_active=state == "on")
    if state == "administrators":
        rows = rows.filter(Q(is_superuser=True) | Q(pk__in=Membership.objects.filter(role="admin").values("person")))
    if after:
        rows = rows.filter(username__gt=after)
    found = list(rows[: PAGE + 1])
    onward = found[PAGE - 1].username if len(found) > PAGE else None
    return _with_roles(found[:PAGE], by=by), onward


def one(person: Person, *, by: Person) -> Row:
    """A single person, as on the list."""
    return _with_roles([person], by=by)[0]


def tokens(by: Person, *, at: datetime) -> QuerySet[Token]:
    """API tokens that open something, of the people that are the reader's alone; their secrets are nowhere.

    The token of somebody who works for others too acts there as well: taking the role here away ends what it may here.
    """
    rows = Token.objects.filter(purpose=Token.Purpose.API, revoked_at__isnull=True, expires_at__gt=at)
    rows = rows if by.is_superuser else rows.filter(person__in=_governed(by).values("pk"))
    return rows.select_related("person").order_by("person__username", "-pk")


def customer_rows(by: Person) -> list[Customer]:
    """The customers with how many people and sources each has, as `people_count` and `source_count`."""
    rows = list(customers_administered(by))
    keys = [row.pk for row in rows]
    members = (
        Membership.objects.filter(customer__in=keys).values("customer").annotate(number=Count("person", distinct=True))
    )
    sources = Source.objects.filter(customer__in=keys).values("customer").annotate(number=Count("pk"))
    of_members = {row["customer"]: row["number"] for row in members.order_by()}
    of_sources = {row["customer"]: row["number"] for row in sources.order_by()}
    for row in rows:
        row.people_count = of_members.get(row.pk, 0)  # type: ignore[attr-defined]  # a count for the page
        row.source_count = of_sources.get(row.pk, 0)  # type: ignore[attr-defined]  # as above
    return rows


def budgets(customer: Customer) -> QuerySet[Budget]:
    """What of the yearly delta was spent, newest year first."""
    return Budget.objects.filter(customer=customer).order_by("-year")


def _governed(by: Person) -> QuerySet[Person]:
    """People of whom `check_can_govern` says yes to a customer's administrator, as a subquery."""
    elsewhere = Membership.objects.exclude(customer__in=administered(by)).values("person")
    return people(by).order_by().filter(is_superuser=False).exclude(pk__in=elsewhere)


def _with_roles(found: list[Person], *, by: Person) -> list[Row]:
    keys = [person.pk for person in found]
    members = Membership.objects.filter(person__in=keys).select_related("customer").order_by("customer__name", "role")
    if not by.is_superuser:
        members = members.filter(customer__in=administered(by))
    roles: dict[int, dict[Customer, list[str]]] = defaultdict(dict)
    for membership in members:
        roles[membership.person_id].setdefault(membership.customer, []).append(str(membership.get_role_display()))
    confirmed = SecondFactor.objects.filter(person__in=keys, confirmed_at__isnull=False)
    factors = set(confirmed.values_list("person_id", flat=True))
    linked = set(Identity.objects.filter(person__in=keys).values_list("person_id", flat=True))
    return [Row(person, roles[person.pk], person.pk in factors, person.pk in linked) for person in found]
