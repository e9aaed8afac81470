"""What became of the tickets that were received in each hour."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Case, CharField, Count, Exists, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce, TruncHour
from django.db.models.lookups import LessThanOrEqual

from triage.models import HourCount, Job, Review, Run, Ticket

T = Ticket.Status
OVERLAP = timedelta(minutes=2)
"""Changes are looked at again for so long: a transaction may end after a later one was counted."""

AT_ONCE = 20_000
"""Changed tickets that one pass looks at; more than that are counted by the passes that follow."""

LONGEST = 24
DAYS = 100
"""So many days, more than any page shows, are counted anew in their turn."""

OUTCOMES = ("by_itself", "on_word", "by_person", "waiting", "under_way", "observed", "withdrawn")
COLUMNS = (*OUTCOMES, "in_time", "too_late")
HOUR = timedelta(hours=1)


def changed(job: Job, *, at: datetime) -> bool:
    """Count the hours whose tickets changed since the job's last pass; whether more are left."""
    rows = Ticket.objects.filter(customer__isnull=False, changed_at__lte=at)
    fresh = rows
    if said := job.settings.get("until"):
        last = datetime.fromisoformat(said)
        rows, fresh = rows.filter(changed_at__gt=last - OVERLAP), rows.filter(changed_at__gt=last)
    cut = fresh.order_by("changed_at").values_list("changed_at", flat=True)[AT_ONCE : AT_ONCE + 1].first()
    until = cut or at
    hours = TruncHour("received_at", tzinfo=UTC)
    touched = rows.filter(changed_at__lte=until).order_by().annotate(hour=hours).values_list("hour", flat=True)
    for begins, ends in _spans(sorted(touched.distinct())):
        _count(begins=begins, ends=ends)
    job.settings["until"] = until.isoformat()
    Job.objects.filter(pk=job.pk).update(settings=job.settings)
    return cut is not None and until < at


def one_day(job: Job, *, at: datetime) -> None:
    """Count one more of the last days anew, each in its turn: what was deleted has left no sign of a change."""
    back = int(job.settings.get("back", 0))
    begins = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=back)
    _count(begins=begins, ends=begins + LONGEST * HOUR)
    job.settings["back"] = (back + 1) % DAYS
    Job.objects.filter(pk=job.pk).update(settings=job.settings)


def _spans(hours: Sequence[datetime]) -> Iterable[tuple[datetime, datetime]]:
    """Hours that follow one another as (begins, ends), at most a day each."""
    begins: datetime | None = None
    ends = begins
    for hour in hours:
        if begins is not None and ends is not None and (hour != ends or hour - begins >= LONGEST * HOUR):
            yield begins, ends
            begins = None
        begins = begins or hour
        ends = hour + HOUR
    if begins is not None and ends is not None:
        yield begins, ends


def _count(*, begins: datetime, ends: datetime) -> None:
    """Write the counts of all customers for these hours."""
    received = Q(received_at__gte=begins, received_at__lt=ends)
    rows = (
        _judged(Ticket.objects.filter(received, customer__isnull=False))
        .annotate(hour=TruncHour("received_at", tzinfo=UTC))
        .order_by()
        .values("customer", "hour")
        .annotate(
            **{f"n_{name}": Count("pk", filter=Q(outcome=name)) for name in OUTCOMES},
            n_in_time=Count("pk", filter=Q(decided=True, kept=True)),
            n_too_late=Count("pk", filter=Q(decided=True, kept=False)),
        )
    )
    found = []
    for row in rows:
        sums: Mapping[str, Any] = row  # a column for each of COLUMNS
        counts = {name: sums[f"n_{name}"] for name in COLUMNS}
        found.append(HourCount(customer_id=row["customer"], hour=row["hour"], **counts))
    kept = {(row.customer_id, row.hour) for row in found}
    with transaction.atomic():
        for old in HourCount.objects.filter(hour__gte=begins, hour__lt=ends):
            if (old.customer_id, old.hour) not in kept:
                old.delete()
        HourCount.objects.bulk_create(
            found, update_conflicts=True, unique_fields=["customer", "hour"], update_fields=COLUMNS, batch_size=500
        )


def _judged(tickets: QuerySet[Ticket]) -> QuerySet[Ticket]:
    """Tickets with their outcome, whether they are decided and had a due time, and whether they kept it."""
    good = Run.objects.filter(ticket=OuterRef("pk"), status=Run.Status.SUCCEEDED)
    done = Q(status__in=[T.RESOLVED, T.ANSWERED])
    said = Review.objects.filter(ticket=OuterRef("pk"), undone_at__isnull=True).order_by("decided_at")
    answered_at = Coalesce(Subquery(said.values("decided_at")[:1]), F("changed_at"))
    return tickets.annotate(
        outcome=Case(
            When(status__in=[T.NEEDS_REVIEW, T.WAITING_APPROVAL], then=Value("waiting")),
            When(done & Exists(good.exclude(ordered_by=None)), then=Value("on_word")),
            When(done & (Q(linked_run__isnull=False) | Exists(good)), then=Value("by_itself")),
            When(done, then=Value("by_person")),
            When(status=T.OBSERVED, then=Value("observed")),
            When(status=T.WITHDRAWN, then=Value("withdrawn")),
            default=Value("under_way"),
            output_field=CharField(),
        ),
        decided=Case(When(done & Q(due_at__isnull=False), then=Value(True)), default=Value(False)),
        kept=Case(
            When(Q(LessThanOrEqual(answered_at, F("due_at"))), then=Value(True)),
            default=Value(False),
        ),
    )
