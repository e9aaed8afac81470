"""Filters of the queue that people save under a name; the first is what their queue opens with."""

from datetime import datetime

from django.db import transaction
from django.db.models import Min, QuerySet
from django.utils.translation import gettext as _

from triage import lifecycle
from triage.models import Person, SavedFilter
from triage.queries.narrowing import Filters
from triage.review.refused import ReviewRefused

MOST = 12


def saved(person: Person) -> QuerySet[SavedFilter]:
    """The person's filters, the first first."""
    return SavedFilter.objects.filter(person=person).order_by("position", "pk")


def save(person: Person, *, name: str, filters: Filters, at: datetime) -> SavedFilter:
    """Save what the queue is narrowed to; a name that is there already gets the new values. Raises ReviewRefused."""
    name = " ".join(name.split())[:60]
    if not name:
        raise ReviewRefused(_("Give the filter a name."))
    if not filters.active:
        raise ReviewRefused(_("Narrow the queue first; what it is narrowed to is saved then."))
    with transaction.atomic():
        Person.objects.select_for_update().get(pk=person.pk)  # two tabs at once must not pass the limit together
        mine = saved(person)
        known = mine.filter(name=name).first()
        if known is None and mine.count() >= MOST:
            raise ReviewRefused(_("%(most)d filters are the most. Remove one first.") % {"most": MOST})
        last = mine.last()
        values = {"query": filters.active}
        new = {**values, "position": last.position + 1 if last else 0}
        row, _made = SavedFilter.objects.update_or_create(
            person=person, name=name, defaults=values, create_defaults=new
        )
        lifecycle.record(row=person, event="filter saved", at=at, actor=f"person:{person.pk}", reason=name)
    return row


def put_first(row: SavedFilter, *, at: datetime) -> None:
    """Make it what the person's queue opens with."""
    least = saved(row.person).aggregate(least=Min("position"))["least"] or 0
    SavedFilter.objects.filter(pk=row.pk).update(position=least - 1)
    lifecycle.record(row=row.person, event="filter first", at=at, actor=f"person:{row.person_id}", reason=row.name)


def remove(row: SavedFilter, *, at: datetime) -> None:
    """Forget it."""
    SavedFilter.objects.filter(pk=row.pk).delete()
    lifecycle.record(row=row.person, event="filter removed", at=at, actor=f"person:{row.person_id}", reason=row.name)
