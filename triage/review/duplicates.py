"""Which ticket another one is a duplicate of, by the number that people call it."""

from triage.models import Ticket
from triage.review.refused import ReviewRefused


def original(ticket: Ticket, number: str) -> Ticket | None:
    """The customer's ticket of this number, of the same source first; None where no number is given.

    Raises ReviewRefused where there is none, or where it is the ticket itself.
    """
    number = number.strip().lstrip("#")
    if not number:
        return None
    # typed in small letters as often as not; ITSMs write their prefixes in capitals
    spelt = {number, number.upper()}
    alike = Ticket.objects.filter(customer=ticket.customer_id, external_id__in=spelt).order_by("pk")
    found: Ticket | None = alike.filter(source=ticket.source_id).first() or alike.first()
    if found is None:
        raise ReviewRefused(f"This customer has no ticket {number[:60]}. Give its number as the ITSM writes it.")
    if found.pk == ticket.pk:
        raise ReviewRefused("A ticket is no duplicate of itself. Give the other ticket's number.")
    return found
