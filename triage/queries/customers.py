"""Which customers a person has to do with."""

from django.db.models import QuerySet

from triage.models import Customer
from triage.permissions import Visitor, member_of


def customers_of(person: Visitor) -> QuerySet[Customer]:
    """The customers that the person is a member of, by name; all for a provider's administrator."""
    found = Customer.objects.order_by("name", "pk")
    if person.is_superuser:
        return found
    return found.filter(pk__in=member_of(person))
