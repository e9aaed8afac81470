"""Counts kept beside the rows, so that pages over hundreds of thousands of tickets are drawn from a few hundred rows.

Every count is made anew from the rows, never added to: a lost or doubled pass changes nothing, and emptied tables
fill again by themselves. The reconciler calls `keep`.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeAlias

from django.db import transaction
from django.db.models import Case, CharField, Count, Exists, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce, TruncHour
from django.db.models.lookups import LessThanOrEqual

from triage.models import (
    ArticleCount,
    ArticleWeek,
    Certificate,
    CertificateCount,
    Decision,
    Draw,
    HourCount,
    Job,
    Release,
    Review,
    Run,
    Ticket,
)

T = Ticket.Status
Counted: TypeAlias = list[tuple[int, str, int]]
HOURS, SLOW = "counting of hours", "counting of verdicts"
EVERY = {HOURS: timedelta(seconds=10), SLOW: timedelta(minutes=5)}
OVERLAP = timedelta(minutes=2)
"""Changes are looked at again for so long: a transaction may end after a later one was counted."""

AT_ONCE = 20_000
"""Changed tickets that one pass looks at; more than that are counted by the passes that follow."""

LONGEST = 24
DAYS = 100
"""So many days, more than any page shows, are counted anew in their turn."""

MONTH, QUARTER, WEEK = timedelta(days=30), timedelta(days=90), timedelta(days=7)
WEEKS = 13
"""So many weeks of articles are kept."""

OUTCOMES = ("by_itself", "on_word", "by_person", "waiting", "under_way", "observed", "withdrawn")
COLUMNS = (*OUTCOMES, "in_time", "too_late")
HOUR = timedelta(hours=1)


class Span(NamedTuple):
    """From after one moment until another."""

    after: datetime
    until: datetime


def keep(*, at: datetime) -> bool:
    """Bring counts up to date where they are due; whether anything was counted."""
    hours, slow = _due(HOURS, at=at), _due(SLOW, at=at)
    if hours:
        _hours(at=at)
    if slow:
        _articles(at=at)
        _weeks(at=at)
        _certificates()
        _again(at=at)
    return hours or slow


def all_anew(*, at: datetime) -> None:
    """Empty the counts and fill them again, all at once: for imports, tests and measurements."""
    with transaction.atomic():
        HourCount.objects.all().delete()
        Job.objects.filter(name__in=[HOURS, SLOW]).delete()
    keep(at=at)
    while _hours(at=at):
        pass


def counted_at() -> datetime | None:
    """Until when changes are in the hours' counts; None where nothing was counted yet."""
    until = Job.objects.filter(name=HOURS).values_list("settings__until", flat=True).first()
    return datetime.fromisoformat(until) if until else None


def _due(name: str, *, at: datetime) -> bool:
    """Whether it is time, and this process the one that does it."""
    found, made = Job.objects.get_or_create(name=name, defaults={"kind": "counting", "changed_at": at})
    early = at - EVERY[name]
    return made or bool(Job.objects.filter(pk=found.pk, changed_at__lte=early).update(changed_at=at))


def _hours(*, at: datetime) -> bool:
    """Count the hours whose tickets changed since the last pass; whether more are left."""
    job = Job.objects.get(name=HOURS)
    last = job.settings.get("until")
    rows = Ticket.objects.filter(customer__isnull=False, changed_at__lte=at)
    if last:
        rows = rows.filter(changed_at__gt=datetime.fromisoformat(last) - OVERLAP)
    fresh = rows.filter(changed_at__gt=datetime.fromisoformat(last)) if last else rows
    cut = fresh.order_by("changed_at").values_list("changed_at", flat=True)[AT_ONCE : AT_ONCE + 1].first()
    until = cut or at
    changed = rows.filter(changed_at__lte=until).order_by()
    touched = changed.annotate(hour=TruncHour("received_at", tzinfo=UTC)).values_list("hour", flat=True).distinct()
    for begins, ends in _spans(sorted(touched)):
        _count(begins=begins, ends=ends)
    Job.objects.filter(pk=job.pk).update(settings={"until": until.isoformat()})
    return cut is not None and until < at


def _again(*, at: datetime) -> None:
    """Count one more of the last days anew, each in its turn: what was deleted has left no sign of a change."""
    job = Job.objects.get(name=SLOW)
    back = int(job.settings.get("back", 0))
    begins = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=back)
    _count(begins=begins, ends=begins + LONGEST * HOUR)
    Job.objects.filter(pk=job.pk).update(settings={**job.settings, "back": (back + 1) % DAYS})


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


def _articles(*, at: datetime) -> None:
    """Volume, verdicts and answered draws by article."""
    spans = {"": Span(at - MONTH, at), "_90": Span(at - QUARTER, at)}
    found = _gathered({f"{name}{end}": rows for end, span in spans.items() for name, rows in _said(span).items()})
    for customer, article, count in _draws():
        found.setdefault((customer, article), {})["draws"] = count
    rows_now = [ArticleCount(customer_id=key[0], article=key[1], **counts) for key, counts in sorted(found.items())]
    with transaction.atomic():
        ArticleCount.objects.all().delete()
        ArticleCount.objects.bulk_create(rows_now, batch_size=500)


def _weeks(*, at: datetime) -> None:
    """Articles by week: this week and one of those before, each in its turn; all where there is none yet."""
    job = Job.objects.get(name=SLOW)
    monday = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    monday -= timedelta(days=monday.weekday())
    back = int(job.settings.get("weeks_back", 1))
    wanted = {0, back} if ArticleWeek.objects.exists() else set(range(WEEKS))
    for one in sorted(wanted):
        begins = monday - one * WEEK
        found = _gathered(_said(Span(begins, begins + WEEK)))
        rows = [
            ArticleWeek(customer_id=key[0], article=key[1], week=begins.date(), **counts)
            for key, counts in sorted(found.items())
        ]
        with transaction.atomic():
            ArticleWeek.objects.filter(week=begins.date()).delete()
            ArticleWeek.objects.bulk_create(rows, batch_size=500)
    ArticleWeek.objects.filter(week__lte=(monday - WEEKS * WEEK).date()).delete()
    Job.objects.filter(pk=job.pk).update(settings={**job.settings, "weeks_back": back % (WEEKS - 1) + 1})


def _gathered(counted: Mapping[str, Counted]) -> dict[tuple[int, str], dict[str, int]]:
    """The counts of each (customer, article), by name."""
    found: dict[tuple[int, str], dict[str, int]] = {}
    for name, rows in counted.items():
        for customer, article, count in rows:
            found.setdefault((customer, article), {})[name] = count
    return found


def _said(span: Span) -> dict[str, Counted]:
    """Volume and verdicts by article within a span."""
    return {
        "tickets": _volume(span),
        "verdicts": _verdicts(span),
        "agreed": _verdicts(span, agreed=True),
        "confirmed": _confirmed(span),
    }


def _volume(span: Span) -> Counted:
    made = Q(made_at__gt=span.after, made_at__lte=span.until)
    rows = Decision.objects.filter(made, in_force=True, ticket__draw__purpose=Draw.Purpose.NONE)
    return _by_article(rows.exclude(article=""), Count("pk"))


def _confirmed(span: Span) -> Counted:
    """Standing verdicts that named the article; not on the holdout, which may certify."""
    given = Q(decided_at__gt=span.after, decided_at__lte=span.until)
    rows = Review.objects.filter(given, undone_at__isnull=True).exclude(article="")
    rows = rows.exclude(ticket__draw__purpose=Draw.Purpose.HOLDOUT)
    counted = rows.order_by().values("customer", "article").annotate(n=Count("ticket", distinct=True))
    return [(row["customer"], row["article"], row["n"]) for row in counted]


def _draws() -> Counted:
    """Clusters of the sealed holdout that people have answered, newer than what the release in force was trained on.

    Counted by what the model said of them; what people said is not looked at, since it may certify.
    """
    newest = Release.objects.filter(customer=OuterRef("customer"), status=Release.Status.IN_FORCE)
    answered = Review.objects.filter(ticket=OuterRef("ticket"), blind=True, undone_at__isnull=True)
    rows = (
        Decision.objects.filter(Exists(answered), in_force=True, ticket__draw__purpose=Draw.Purpose.HOLDOUT)
        .exclude(article="")
        .annotate(trained=Subquery(newest.values("trained_until")[:1]))
        .filter(Q(trained__isnull=True) | Q(ticket__draw__drawn_at__gt=F("trained")))
    )
    return _by_article(rows, Count("ticket__draw__cluster", distinct=True))


def _verdicts(span: Span, *, agreed: bool = False) -> Counted:
    """Decisions with a standing verdict of the span on the same text; `agreed`: it named the decision's article.

    Verdicts on the holdout are left out: they may certify.
    """
    said = Review.objects.filter(
        ticket=OuterRef("ticket"),
        text_hash=OuterRef("text_hash"),
        undone_at__isnull=True,
        decided_at__gt=span.after,
        decided_at__lte=span.until,
    )
    if agreed:
        said = said.filter(article=OuterRef("article"))
    rows = Decision.objects.filter(Exists(said), in_force=True).exclude(article="")
    return _by_article(rows.exclude(ticket__draw__purpose=Draw.Purpose.HOLDOUT), Count("pk"))


def _by_article(rows: QuerySet[Decision], number: Count) -> Counted:
    """(customer, article, count) of decisions."""
    counted = rows.order_by().values("customer", "article").annotate(n=number)
    return [(row["customer"], row["article"], row["n"]) for row in counted]


def _certificates() -> None:
    """Ended runs of each certificate, and what blind verdicts say of those that were drawn for verification."""
    ended = [Run.Status.SUCCEEDED, Run.Status.FAILED, Run.Status.UNDONE, Run.Status.UNDO_FAILED]
    runs = Run.objects.filter(decision__certificate__isnull=False, decision__mode="automate", status__in=ended)
    totals = dict(runs.order_by().values_list("decision__certificate").annotate(n=Count("pk")))
    checked: dict[int, dict[str, set[bool | None]]] = {}  # by cluster: storms of one cause are one observation
    drawn = runs.filter(ticket__draw__purpose=Draw.Purpose.VERIFY).select_related("decision", "ticket__draw")
    said, of_clusters = _blind_verdicts(drawn), _of_clusters(drawn)
    for run in drawn.iterator(chunk_size=2000):
        if run.decision is not None and run.decision.certificate_id is not None:
            draw = run.ticket.draw
            unit = (draw.customer_id, draw.cluster, run.ticket.storm_key)
            review = said.get((run.ticket_id, run.text_hash)) or of_clusters.get(unit)
            units = checked.setdefault(run.decision.certificate_id, {})
            units.setdefault(draw.cluster, set()).add(contradicted(run, review) if review else None)
    found = []
    for certificate in Certificate.objects.values_list("pk", flat=True):
        verdicts_of = list(checked.get(certificate, {}).values())
        found.append(
            CertificateCount(
                certificate_id=certificate,
                runs=totals.get(certificate, 0),
                verified=sum(verdicts != {None} for verdicts in verdicts_of),
                wrong=sum(True in verdicts for verdicts in verdicts_of),
                missing=sum(verdicts == {None} for verdicts in verdicts_of),
            )
        )
    CertificateCount.objects.bulk_create(
        found,
        update_conflicts=True,
        unique_fields=["certificate"],
        update_fields=["runs", "verified", "wrong", "missing"],
    )


def _blind_verdicts(runs: QuerySet[Run]) -> dict[tuple[int, str], Review]:
    """The standing blind verdict on each run's text, the newest of several."""
    rows = Review.objects.filter(ticket__in=runs.values("ticket"), blind=True, undone_at__isnull=True).order_by("pk")
    return {(row.ticket_id, row.text_hash): row for row in rows.iterator(chunk_size=2000)}


def _of_clusters(runs: QuerySet[Run]) -> dict[tuple[int | None, str, str], Review]:
    """The first standing blind verdict on any ticket of each run's cluster: after it nobody is asked again."""
    rows = Review.objects.filter(
        blind=True,
        undone_at__isnull=True,
        text_hash=F("ticket__text_hash"),
        ticket__draw__cluster__in=runs.values("ticket__draw__cluster"),
    )
    found: dict[tuple[int | None, str, str], Review] = {}
    for row in rows.select_related("ticket__draw").order_by("pk").iterator(chunk_size=2000):
        draw = row.ticket.draw
        found.setdefault((draw.customer_id, draw.cluster, row.ticket.storm_key), row)
    return found


def contradicted(run: Run, review: Review) -> bool:
    """Whether a blind verdict would not have run this runbook with these parameters on this ticket."""
    article = run.decision.article if run.decision else ""
    if review.verdict != Review.Verdict.ARTICLE or article not in (review.article, *review.also_acceptable):
        return True
    return any(run.parameters.get(name) != value for name, value in review.parameters.items())
