"""The sources that a person keeps, and how each of them is: in as many queries for forty as for one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from triage.models import Delivery, Notification, Person, Refusal, Source, Ticket
from triage.permissions import administered

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Health:
    """How a source is. `state`: `good`, `wait` or `bad`; `words` says it in a sentence. Counts are of deliveries."""

    source: Source
    state: str
    words: str
    last_delivery: datetime | None
    quarantined: int
    kept: int
    refused: int
    unmapped: int
    told_at: datetime | None


def sources_of(person: Person) -> QuerySet[Source]:
    """Those that the person may keep, by name; one that serves many customers is for the provider's only."""
    found = Source.objects.select_related("customer").order_by("name", "pk")
    return found if person.is_superuser else found.filter(customer__in=administered(person))


def healths(person: Person, *, at: datetime, only: Source | None = None) -> list[Health]:
    """How the person's sources are, or one of them."""
    rows = sources_of(person)
    if only is not None:
        rows = rows.filter(pk=only.pk)
    mine = Delivery.objects.filter(source_id=OuterRef("pk"))
    refusals = Refusal.objects.filter(source=OuterRef("pk"), at__gte=at - DAY)
    unowned = Ticket.objects.filter(source=OuterRef("pk"), customer__isnull=True)
    rows = rows.annotate(
        last_delivery=Subquery(mine.order_by("-id").values("received_at")[:1]),
        quarantined=_count(mine.filter(status=Delivery.Status.QUARANTINED), "source_id"),
        kept=_count(mine.filter(status=Delivery.Status.STORED), "source_id"),
        refused=_count(refusals, "source"),
        unmapped=_count(unowned, "source"),
    )
    listed = list(rows)
    told = _told(person, listed)
    return [_health(row, told_at=told.get(row.slug)) for row in listed]


def _count(rows: QuerySet[Delivery] | QuerySet[Refusal] | QuerySet[Ticket], by: str) -> Coalesce:
    counted = rows.order_by().values(by).annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)


def _told(person: Person, listed: Sequence[Source]) -> dict[str, datetime]:
    """When people were last told of a wrong signature, by source."""
    names = {row.slug for row in listed}
    rows = Notification.objects.visible_to(person).filter(kind="signature").order_by("-pk")
    found: dict[str, datetime] = {}
    for data, made in rows.values_list("data", "created_at")[:500]:
        slug = data.get("source") if isinstance(data, dict) else None
        if slug in names:
            found.setdefault(str(slug), made)
    return found


def _health(row: Source, *, told_at: datetime | None) -> Health:
    counts = {name: getattr(row, name) for name in ("last_delivery", "quarantined", "kept", "refused", "unmapped")}
    state, words = _state(row, counts["last_delivery"], refused=counts["refused"], quarantined=counts["quarantined"])
    return Health(source=row, state=state, words=words, told_at=told_at, **counts)


def _state(row: Source, last: datetime | None, *, refused: int, quarantined: int) -> tuple[str, str]:
    if not row.enabled:
        return "wait", _("Switched off: it takes nothing.")
    if row.in_setup:
        return "wait", _("Being set up: messages are kept, and nothing becomes a ticket yet.")
    if row.pull_failure:
        return "bad", _("Not pulled: %(why)s") % {"why": row.pull_failure}
    if not row.signing_secrets() and row.pull_every is None:
        return "bad", _("Nothing can bring it a ticket: it has no secret and is not pulled.")
    if refused and (last is None or _refused_since(row, last)):
        return "bad", _("Its messages are refused: compare the secrets on both sides.")
    if last is None and row.pulled_until is None:
        return "wait", _("Live, but nothing has come yet.")
    if quarantined:
        return "wait", _("Works; some messages could not be used and wait in quarantine.")
    return "good", _("Works.")


def _refused_since(row: Source, last: datetime) -> bool:
    return Refusal.objects.filter(source=row, status=401, at__gt=last).exists()
