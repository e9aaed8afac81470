"""Doubtful labels as people read them: those of each customer's newest training, and what was answered last."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import OuterRef, Q, QuerySet, Subquery

from triage.models import Article, Customer, Person, Release, Suspect, Ticket
from triage.queries import articles, blind

PAGE = 30
ANSWERED = 10


@dataclass(frozen=True)
class Shown:
    """A doubtful label with the articles that it names: the given one and the likely one; None where it is gone."""

    row: Suspect
    given: Article | None
    likely: Article | None


def page(
    person: Person, *, customer: Customer | None, after: tuple[int, int] | None, at: datetime
) -> tuple[list[Shown], str]:
    """One page of those that nobody has answered, the most suspicious first, and where the next begins."""
    rows = waiting(person, customer=customer, at=at)
    if after is not None:
        place, pk = after
        rows = rows.filter(Q(place__gt=place) | Q(place=place, pk__gt=pk))
    found = list(
        rows.select_related("customer", "label", "release")
        .defer("release__measures")
        .order_by("place", "pk")[: PAGE + 1]
    )
    last = found[PAGE - 1] if len(found) > PAGE else None
    return _shown(found[:PAGE]), f"{last.place}~{last.pk}" if last else ""


def waiting(person: Person, *, customer: Customer | None, at: datetime) -> QuerySet[Suspect]:
    """Open ones of the newest training of each customer. What a model says of a sealed ticket is not among them."""
    rows: QuerySet[Suspect] = Suspect.objects.visible_to(person)
    if customer is not None:
        rows = rows.filter(customer=customer)
    newest = Release.objects.filter(customer=OuterRef("customer")).order_by("-created_at", "-pk").values("pk")[:1]
    sealed = blind.sealed_among(Ticket.objects.visible_to(person), at=at)
    rows = rows.filter(release=Subquery(newest), answer=Suspect.Answer.OPEN, label__withdrawn_at__isnull=True)
    return rows.exclude(label__ticket__in=sealed.values("pk"))


def answered(person: Person, *, customer: Customer | None) -> list[Shown]:
    """The last answers, newest first."""
    rows: QuerySet[Suspect] = Suspect.objects.visible_to(person).exclude(answer=Suspect.Answer.OPEN)
    if customer is not None:
        rows = rows.filter(customer=customer)
    related = ("customer", "label", "release", "made", "answered_by")
    return _shown(
        list(rows.select_related(*related).defer("release__measures").order_by("-answered_at", "-pk")[:ANSWERED])
    )


def _shown(rows: list[Suspect]) -> list[Shown]:
    wanted = [(row.customer_id, label) for row in rows for label in (row.given, row.likely)]
    found = articles.by_label(wanted)

    def of(row: Suspect, label: str) -> Article | None:
        shown = found.get((row.customer_id, label))
        return shown.article if shown else None

    return [Shown(row, of(row, row.given), of(row, row.likely)) for row in rows]
